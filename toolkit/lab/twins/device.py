"""A simulated device: what it runs, what it boots from, who is on it, and what is to go wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.lab.twins.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.twins.shell import Shell
    from toolkit.lab.twins.tree import Tree


@dataclass
class Faults:
    """What is to go wrong. Lines are counted from the first one that begins with `configure`, across sessions.

    `cut_after` and `reload_after` happen once, after that many lines were carried out; `cut_before` when the line of
    that number arrives, before it is carried out. A line that contains `reject` is refused in the OS's own words.
    `delay` is in seconds for each line from then on, `notice_after` prints a message for all users in the middle,
    `rename_after` changes the host name. Of the first longer burst of input only `input_limit` bytes are kept. `banner`
    is shown at login.
    """

    cut_after: int | None = None
    cut_before: int | None = None
    reload_after: int | None = None
    reject: str | None = None
    delay: float = 0.0
    notice_after: int | None = None
    rename_after: int | None = None
    input_limit: int | None = None
    banner: str = ""


@dataclass
class ConfigSession:
    """An EOS or NX-OS configuration session that waits for its commit; `pending` while a commit timer runs."""

    tree: Tree
    pending: bool = False


@dataclass
class Login:
    """Who may log in; `keys` are public keys as OpenSSH writes them. An empty `enable` makes everybody privileged."""

    user: str = "netops"
    password: str | None = None
    keys: tuple[str, ...] = ()
    enable: str = ""
    privileged: bool = True


@dataclass(eq=False)
class Device:
    """One twin. `os` is a netmiko driver's name. `minute` is how many seconds its commit timers take for a minute.

    A device that is `watched` keeps in `states` all running configurations that it has had, in order, so that every
    moment of a change can be judged.
    """

    name: str
    os: str
    running: Any
    login: Login = field(default_factory=Login)
    faults: Faults = field(default_factory=Faults)
    minute: float = 60.0
    interfaces: tuple[str, ...] = ()
    startup: Any = None
    sessions: dict[str, ConfigSession] = field(default_factory=dict)
    shells: list[Shell] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    saves: int = 0
    watched: bool = False
    lock: Shell | None = None
    counted: int = 0
    timer: asyncio.TimerHandle | None = None
    before_timer: Any = None
    on_change: Callable[[], None] | None = None
    on_save: Callable[[str], None] | None = None
    connections: Connections = field(default_factory=Connections)

    def __post_init__(self) -> None:
        if self.startup is None:
            self.startup = self.running.copy()
        self.note()

    def note(self) -> None:
        """Keep the running configuration of a watched device, where it differs from the last one kept."""
        if self.on_change is not None:
            self.on_change()
        if self.states and not self.watched:
            return
        text = self.running.text()
        if not self.states or self.states[-1] != text:
            self.states.append(text)

    def report_to(self, on_change: Callable[[], None], on_save: Callable[[str], None]) -> None:
        """Tell others after every line that may have changed what runs, and when a configuration is saved."""
        self.on_change, self.on_save = on_change, on_save

    def install(self, tree: Any) -> None:
        """Run a configuration."""
        self.running = tree
        self.note()

    def save(self) -> None:
        """Boot from what runs."""
        self.saves += 1
        self.keep()

    def keep(self) -> None:
        """Boot from what runs, as a commit makes a device do that saves by itself."""
        self.startup = self.running.copy()
        if self.on_save is not None:
            self.on_save(self.startup.text())

    # ---- timed commits --------------------------------------------------------------------

    @property
    def timed(self) -> bool:
        """Whether a commit waits for its confirmation."""
        return self.timer is not None

    def start_timer(self, minutes: float, back: Any, expired: Callable[[], None] | None = None) -> None:
        """Go back to a configuration unless somebody confirms in time; a second timer keeps the first way back."""
        if self.timer is not None:
            self.timer.cancel()
            back = self.before_timer
        self.before_timer = back

        def run_out() -> None:
            self.timer = None
            self.install(self.before_timer)
            if expired is not None:
                expired()

        self.timer = asyncio.get_running_loop().call_later(minutes * self.minute, run_out)

    def confirm(self) -> bool:
        """Keep what runs; False where nothing waited."""
        waited = self.timer is not None
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        return waited

    def revert(self) -> bool:
        """Go back now; False where nothing waited."""
        if self.confirm():
            self.install(self.before_timer)
            return True
        return False

    # ---- what goes wrong ------------------------------------------------------------------

    def reload(self) -> None:
        """Start again from the startup configuration: sessions, timers and locks are gone, connections break."""
        self.confirm()
        self.sessions.clear()
        self.lock = None
        for shell in list(self.shells):
            shell.drop()
        self.install(self.startup.copy())
