"""IOS and IOS-XE: lines take effect one by one; `configure terminal revert timer` where an archive is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toolkit.lab.twins import routes
from toolkit.lab.twins.ace import RejectedError
from toolkit.lab.twins.cisco import CiscoShell, caret

if TYPE_CHECKING:
    from toolkit.lab.twins.tree import Tree

LOCK = """\
Parser Configure Lock
---------------------
Owner PID         : {pid}
User              : {user}
TTY               : {tty}
Type              : {kind}
State             : {state}
Class             : {kind}
Count             : {count}
Pending Requests  : 0
User debug info   : {info}"""


class IosShell(CiscoShell):
    """A login on IOS."""

    os: ClassVar[str] = "ios"
    acl_header: ClassVar[str] = "ip access-list extended"
    submodes: ClassVar[dict[str, str]] = {
        "ip access-list": "-ext-nacl",
        "interface": "-if",
        "object-group network": "-network-group",
        "object-group service": "-service-group",
    }
    denied: ClassVar[str] = "% Access denied"
    exclusive = False

    @property
    def prompt(self) -> str:
        """In configuration mode IOS cuts the name short."""
        name = self.device.running.hostname()
        if self.config:
            return f"{name[:20]}({self.mode})#"
        return f"{name}{'#' if self.privileged else '>'}"

    def rejection(self, line: str, caught: RejectedError) -> str:
        """The words of IOS."""
        if caught.incomplete:
            return "% Incomplete command.\n"
        return f"{caret(self.prompt, line, caught)}\n% Invalid input detected at '^' marker.\n"

    def duplicate(self) -> None:
        """See `CiscoShell`."""
        self.warning = "% Duplicate sequence number"

    def privileged_exec(self, text: str) -> str:  # noqa: PLR0911 - a table of lines
        """Lines of the privileged mode."""
        device = self.device
        match text.split():
            case ["configure", "terminal", *rest]:
                return self._configure(rest)
            case ["configure", "confirm"]:
                return "" if device.confirm() else "%No Rollback Confirmed Change pending"
            case ["configure", "revert", "now"]:
                return "" if device.revert() else "%No Rollback Confirmed Change pending"
            case ["write"] | ["write", "memory"]:
                device.save()
                return "Building configuration...\n[OK]"
            case ["copy", "running-config", "startup-config"]:
                return self.ask("Destination filename [startup-config]? ", self._copied)
            case ["reload"]:
                return self.ask("Proceed with reload? [confirm]", self._reload)
        return super().privileged_exec(text)

    def _copied(self, _: str) -> str:
        self.device.save()
        return "Building configuration...\n[OK]"

    def _reload(self, _: str) -> str:
        self.device.reload()
        return ""

    def _configure(self, rest: list[str]) -> str:
        device = self.device
        holder = device.lock
        if holder is not None and holder is not self:
            where = device.shells.index(holder) + 1 if holder in device.shells else 0
            return (
                f"Configuration mode locked exclusively by user '{device.login.user}' process '{100 + where}' from "
                f"terminal '{where}'. Please try later."
            )
        said = "Enter configuration commands, one per line.  End with CNTL/Z."
        match rest:
            case []:
                pass
            case ["lock"]:
                device.lock = self
            case ["revert", "timer", minutes] if minutes.isdecimal():
                if not any(child.startswith("path ") for child in device.running.sections.get("archive", ())):
                    return "%Archive configuration is not enabled; revert timer can not be set"
                if device.timed:
                    return "%A Rollback Confirmed Change is pending already"
                device.start_timer(int(minutes), device.running.copy())
                said = (
                    f"Rollback Confirmed Change: Backing up current running config to archive\n\n{said}\n"
                    f"Rollback Confirmed Change: Rollback will begin in {minutes} minutes.\n"
                    'Enter "configure confirm" if you wish to keep what you\'ve configured\n'
                )
            case _:
                raise RejectedError(len("configure terminal "))
        self.config = True
        return said

    def top(self, text: str) -> None:
        """Lines at the top that only IOS has."""
        match text.split():
            case ["ip", "access-list", "resequence", name, start, step]:
                self.renumber(f"{self.acl_header} {name}", start, step)
            case ["archive"]:
                self.tree.sections.setdefault("archive", [])
                self.where = "archive"
            case _:
                super().top(text)

    def child(self, text: str) -> None:
        """Lines of `archive` beside all others."""
        if self.where == "archive":
            if text.split(maxsplit=1)[0] not in ("path", "maximum", "write-memory"):
                raise RejectedError(0)
            self.tree.sections["archive"].append(text)
            return
        super().child(text)

    def display(self, command: str) -> str:  # noqa: PLR0911 - a table of commands
        """Show commands that only IOS has."""
        match command.split():
            case ["ip", "cef", address]:
                return routes.ios(self.device.running, address)
            case ["archive", "config", "rollback", "timer"]:
                return self._timer()
            case ["archive", "config", "differences", *files]:
                return self._differences(files)
            case ["configuration", "lock"]:
                return self._lock()
            case ["ip", "access-lists" | "access-list", *name]:
                return self._lists(name)
            case ["version"]:
                return "Cisco IOS Software, simulated twin (not an image of the OS), Version 15.2(7)E"
        return super().display(command)

    def shown(self, tree: Tree) -> str:
        """With the lines that IOS prints around it."""
        body = f"version 15.2\n!\n{tree.text(self.indent)}\n!\nend\n"
        return f"Building configuration...\n\nCurrent configuration : {len(body)} bytes\n!\n{body}"

    def _timer(self) -> str:
        device = self.device
        if not device.timed:
            return "%No Rollback Confirmed Change pending"
        return (
            "Time configured(or reconfigured): 12:00:00 UTC Tue Nov 24 2026\nTimer type: absolute timer\n"
            f"Timer value: 5 min\nUser: {device.login.user}"
        )

    def _differences(self, files: list[str]) -> str:
        """What the second of two configurations has more (+) and less (-) than the first."""
        known = {"nvram:startup-config": self.device.startup, "system:running-config": self.device.running}
        unknown = next((one for one in files if one not in known), None)
        if unknown is not None or len(files) != 2:  # noqa: PLR2004 - two files are compared
            raise RejectedError(len("show archive config differences "))
        one, other = (_said(known[file].sections) for file in files)
        lines = [*(f"-{line}" for line in one if line not in other), *(f"+{line}" for line in other if line not in one)]
        return "\n".join(["!Contextual Config Diffs:", *(lines or ["!No changes were found"])])

    def _lock(self) -> str:
        holder = self.device.lock
        if holder is None:
            return LOCK.format(pid=-1, user="unknown", tty=-1, kind="NO LOCK", state="FREE", count=0, info="")
        return LOCK.format(
            pid=100, user=self.device.login.user, tty=2, kind="EXCLUSIVE", state="LOCKED", count=1,
            info="configure terminal lock",
        )  # fmt: skip

    def _lists(self, name: list[str]) -> str:
        lines = []
        for header, children in self.device.running.sections.items():
            if header.startswith(f"{self.acl_header} ") and (not name or header.split()[-1] == name[0]):
                lines.append(f"Extended IP access list {header.split()[-1]}")
                lines += [f"    {child}" for child in children if " remark " not in child]
        return "\n".join(lines)


def _said(sections: dict[str, list[str]]) -> list[str]:
    """The lines of a configuration, those of a section behind its header."""
    return [
        f"{header} / {line}" if line else header for header, children in sections.items() for line in ("", *children)
    ]


SHELL = IosShell
