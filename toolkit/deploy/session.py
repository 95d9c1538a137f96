"""Talking to devices: the only lines of the toolkit that do. Nornir tasks for one's own `nr.run(task=...)`.

Where the OS has a shell, filters are read and loaded over an exec channel on nornir-netmiko's own SSH session: one
transaction, an exit status, and nothing of it typed line by line. Where it has a command line only, lines are typed in
blocks (`cli_session`). Which of the two is the platform's `transport`; the tasks are the same. Tasks raise
`DeviceError` with the device's name and the next step; Nornir puts it into `result.exception`, and
`inventory.results` raises it again.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from toolkit.deploy.channel import Channels, end_session, execute, new_session, shared
from toolkit.deploy.cli_session import terminal
from toolkit.deploy.dialects import ENTERS
from toolkit.errors import DeployError, DeviceError
from toolkit.platforms import get

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nornir.core.task import Result, Task

    from toolkit.platforms.base import RouteQuery

__all__ = [
    "check_login",
    "clear_sessions",
    "confirm_change",
    "discard_sessions",
    "end_session",
    "load_filter",
    "read_file",
    "read_filter",
    "read_routes",
    "run_command",
    "save_startup",
    "startup_differs",
]

# The text goes in whole or not at all: a session that breaks half-way ends the input early, and the first half of a
# filter can be a valid filter. So the shell collects it, counts its bytes, and only then hands it on.
WHOLE: Final = (
    "LC_ALL=C; text=$(cat; printf x); text=${text%x}; "
    '[ "${#text}" -eq "$1" ] || { echo "only ${#text} of $1 bytes arrived" >&2; exit 74; }; '
)
LOAD: Final = WHOLE + 'printf %s "$text" | eval "$2"'
WRITE: Final = WHOLE + (
    'umask 022; new="$2.toolkit-new"; printf %s "$text" > "$new" && sync "$new" && mv -f "$new" "$2" '
    '|| { rm -f "$new"; exit 1; }'
)


def read_filter(task: Task, platform: str | None = None, *, fresh: bool = False) -> Result:
    """Nornir task: the output of each show command of the host's platform, by command (`result.result`).

    Args:
        task: given by Nornir.
        platform: name of the toolkit's platform; the host's own by default.
        fresh: read over a new SSH session, and leave the one that is open alone.

    Raises:
        DeviceError: the device does not answer, or a command fails.
    """
    from nornir.core.task import Result

    one = get(platform or str(task.host.platform))
    commands = one.show_commands
    name = str(task.host.name)
    if one.transport == "cli":
        with terminal(task, one, fresh=fresh) as prompt:
            found = {command: prompt.show(command) for command in commands}
    elif fresh:
        with new_session(task) as channels:
            found = {command: _must(name, channels, command)[0] for command in commands}
    else:
        channels = shared(task)
        found = {command: _must(name, channels, command)[0] for command in commands}
    return Result(host=task.host, result=found)


def read_routes(task: Task, queries: Mapping[str, Sequence[RouteQuery]], platform: str | None = None) -> Result:
    """Nornir task: where the host would send packets; `queries` are those of each host, by its name.

    The result is a tuple of sets of next hops, in the order of the host's queries.

    Raises:
        DeviceError: the device does not answer.
        ConfigError: its answer is not fully understood.
    """
    from nornir.core.task import Result

    name = str(task.host.name)
    one = get(platform or str(task.host.platform))
    asked = queries.get(name, ())
    if not asked:
        return Result(host=task.host, result=())
    command, text = one.ask_routes(asked)
    if one.transport == "cli":
        # The commands are the text's lines where it has any; each output follows its command.
        with terminal(task, one) as prompt:
            output = "".join(f"{line}\n{prompt.show(line)}\n" for line in (text or command).splitlines())
        return Result(host=task.host, result=one.read_routes(asked, output, "", name))
    output, errors = _must(name, shared(task), command, text)
    return Result(host=task.host, result=one.read_routes(asked, output, errors, name))


def load_filter(task: Task, text: str, platform: str | None = None) -> Result:
    """Nornir task: load a text with the platform's load command, or type it; `changed` only where there was a text.

    Configuration sessions of the text's own names that an earlier attempt has left are thrown away first. In a dry run
    nothing is sent, and the text is the result's `diff`.

    Raises:
        DeployError: a text for a command line does not enter configuration mode.
        DeviceError: the device rejected a line, with the device's own words; or the session broke.
    """
    from nornir.core.task import Result

    if not text:
        return Result(host=task.host, changed=False)
    if task.is_dry_run():
        return Result(host=task.host, changed=False, diff=text)
    one = get(platform or str(task.host.platform))
    if one.transport == "cli":
        if not ENTERS.match(next((line for line in text.splitlines() if line.strip()), "")):
            raise DeployError(
                f"the text for {task.host.name} does not enter configuration mode; on a command line it is the `apply` "
                "of a plan, and not a rendered configuration"
            )
        with terminal(task, one) as prompt:
            prompt.discard(text)
            return Result(host=task.host, changed=True, result=prompt.run(text))
    name = str(task.host.name)
    output, errors = _must(name, shared(task), _whole(LOAD, text, one.load_command), text)
    for mark in one.failure_indicators:
        if mark in output or mark in errors:
            raise DeviceError(f"{name} rejected the change: {_first_lines(errors or output)}")
    return Result(host=task.host, changed=True, result=output)


def confirm_change(task: Task, lines: str, platform: str | None = None) -> Result:
    """Nornir task: type the lines that confirm a timed commit; nothing where there are none.

    Raises:
        DeviceError: the device does not take them.
    """
    from nornir.core.task import Result

    if not lines or task.is_dry_run():
        return Result(host=task.host, changed=False)
    with terminal(task, get(platform or str(task.host.platform))) as prompt:
        return Result(host=task.host, changed=True, result=prompt.run(lines))


def discard_sessions(task: Task, text: str, platform: str | None = None) -> Result:
    """Nornir task: throw away what a load of a text that broke has left open; a timed commit of it goes back.

    Raises:
        DeviceError: the device does not answer.
    """
    from nornir.core.task import Result

    one = get(platform or str(task.host.platform))
    if one.transport == "cli":
        with terminal(task, one) as prompt:
            prompt.discard(text)
    return Result(host=task.host)


def startup_differs(task: Task, platform: str | None = None) -> bool:
    """Whether a device with a command line would boot with something else than it runs.

    Raises:
        DeviceError: the device does not answer.
    """
    one = get(platform or str(task.host.platform))
    if one.transport != "cli":
        return False
    with terminal(task, one) as prompt:
        return prompt.startup_differs()


def save_startup(task: Task, files: Mapping[str, str | None], lines: str = "", platform: str | None = None) -> Result:
    """Nornir task: write (or with None remove) files that the device reads at boot, each one atomically.

    On a command line the device saves what it runs when `lines` are typed. A file is written beside its place, synced
    and renamed; one that holds its text already is left alone, and `changed` says whether any was not.

    Raises:
        DeviceError: a file cannot be read or written.
    """
    from nornir.core.task import Result

    changed = False
    for path, text in files.items():
        if read_file(task, path) == text or task.is_dry_run():
            continue
        changed = True
        if text is None:
            run_command(task, f"rm -f {shlex.quote(path)}")
        else:
            run_command(task, _whole(WRITE, text, path), text)
    if lines and not task.is_dry_run():
        with terminal(task, get(platform or str(task.host.platform))) as prompt:
            prompt.run(lines)
        changed = True
    return Result(host=task.host, changed=changed)


def clear_sessions(task: Task, commands: Sequence[str], platform: str | None = None) -> Result:
    """Nornir task: run, or type, the commands that end tracked sessions (see `sessions`).

    Their number is the result, and `changed` whether there were any.

    Raises:
        DeviceError: a command fails.
    """
    from nornir.core.task import Result

    if commands and not task.is_dry_run():
        one = get(platform or str(task.host.platform))
        if one.transport == "cli":
            with terminal(task, one) as prompt:
                prompt.run("\n".join(commands))
        else:
            for command in commands:
                run_command(task, command)
    return Result(host=task.host, result=len(commands), changed=bool(commands) and not task.is_dry_run())


def check_login(task: Task) -> Result:
    """Nornir task: log in over a new SSH session, run nothing worth mentioning, and log out.

    It shows that the device can still be managed after a change; a session that was open before would not.

    Raises:
        DeviceError: the login fails.
    """
    from nornir.core.task import Result

    one = get(str(task.host.platform))
    if one.transport == "cli":
        with terminal(task, one, fresh=True):
            return Result(host=task.host, changed=False)
    with new_session(task) as channels:
        _must(str(task.host.name), channels, "exit 0")
    return Result(host=task.host, changed=False)


def read_file(task: Task, path: str) -> str | None:
    """Content of a file of the device, None where there is none.

    Raises:
        DeviceError: it is there and cannot be read.
    """
    quoted = shlex.quote(path)
    output = run_command(task, f"if test -e {quoted}; then echo yes && cat {quoted}; else echo no; fi")
    found, _, content = output.partition("\n")
    return content if found == "yes" else None


def run_command(task: Task, command: str, text: str = "") -> str:
    """Run a command over an exec channel, with a text on its standard input; returns its standard output.

    Raises:
        DeviceError: it exits non-zero (with what it wrote to standard error), or the session breaks.
    """
    return _must(str(task.host.name), shared(task), command, text)[0]


def _whole(script: str, text: str, argument: str) -> str:
    """A command for any login shell that runs one of the scripts above."""
    return shlex.join(["/bin/sh", "-c", script, "sh", str(len(text.encode())), argument])


def _must(name: str, channels: Channels, command: str, text: str = "") -> tuple[str, str]:
    """Output and errors of a command that has to succeed."""
    status, output, errors = execute(name, channels, command, text)
    if status != 0:
        raise DeviceError(_explain(name, errors or output, status))
    return output, errors


def _explain(device: str, words: str, status: int) -> str:
    first = _first_lines(words) or f"exit status {status}"
    if "Operation not permitted" in words or "Read-only file system" in words or "Permission denied" in words:
        return f"{device} is read-only for this user: {first}; use an account that may change its filter"
    return f"{device} refused: {first}"


def _first_lines(words: str) -> str:
    """What a device said, short enough for one line."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return " / ".join(lines[:2])[:300]
