"""Typing into a twin without SSH, for tests of what it makes of lines."""

from __future__ import annotations

from toolkit.lab.twins import Login, make_twin, shells


class Keyboard:
    """One login on a twin. Timers are only noted: nobody runs a loop here."""

    def __init__(self, os: str, config: str, **faults) -> None:
        self.device = make_twin("dev1", os, config, Login())
        self.device.start_timer = self._timed
        self.device.watched = True
        for name, value in faults.items():
            setattr(self.device.faults, name, value)
        self.output: list[str] = []
        self.shell = self.login()
        self.minutes: float | None = None

    def _timed(self, minutes, back, expired=None) -> None:
        self.minutes, self.back, self.expired = minutes, back, expired

    def run_out(self) -> None:
        """The timer that was set runs out."""
        self.minutes = None
        self.device.install(self.back)
        if self.expired is not None:
            self.expired()

    def login(self):
        shell = shells.make(self.device, self.output.append, lambda: None)
        shell.page = 0
        shell.start()
        return shell

    def type(self, text: str, shell=None) -> str:
        """What is printed for some lines, echoes and prompts included."""
        self.output.clear()
        for line in text.splitlines():
            (shell or self.shell).line(line)
        return "".join(self.output).replace("\r", "")

    def show(self, command: str) -> str:
        """Output of one command."""
        return self.shell.command(command)
