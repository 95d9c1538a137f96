"""Talking to devices: the only lines of the toolkit that do. Nornir tasks for one's own `nr.run(task=...)`.

Filters are read and loaded over an exec channel on nornir-netmiko's own SSH session: one transaction, an exit
status, and nothing of it typed into a shell line by line.
"""

from __future__ import annotations

import shlex
import socket
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import DeviceError
from toolkit.platforms import get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nornir.core.task import Result, Task

TIMEOUT: Final = 30.0
CHUNK: Final = 1 << 16


def read_filter(task: Task, platform: str | None = None) -> Result:
    """Nornir task: the output of each show command of the host's platform, by command (`result.result`).

    Raises:
        DeviceError: the device does not answer, or a command fails.
    """
    from nornir.core.task import Result

    commands = get(platform or str(task.host.platform)).show_commands
    return Result(host=task.host, result={command: run_command(task, command) for command in commands})


def load_filter(task: Task, text: str, platform: str | None = None) -> Result:
    """Nornir task: load a text with the platform's load command; `changed` only where there was a text.

    Raises:
        DeviceError: the device rejected a line; the device's own words are in the message.
    """
    from nornir.core.task import Result

    if not text:
        return Result(host=task.host, changed=False)
    one = get(platform or str(task.host.platform))
    output = run_command(task, one.load_command, text)
    for mark in one.failure_indicators:
        if mark in output:
            raise DeviceError(f"{task.host.name} rejected the change: {output.strip()[:300]}")
    return Result(host=task.host, changed=True, result=output)


def save_startup(task: Task, files: Mapping[str, str | None]) -> Result:
    """Nornir task: write (or with None remove) files that the device reads at boot, each one atomically."""
    from nornir.core.task import Result

    changed = False
    for path, text in files.items():
        if read_file(task, path) == text:
            continue
        changed = True
        quoted = shlex.quote(path)
        if text is None:
            run_command(task, f"rm -f {quoted}")
        else:
            run_command(task, f"cat > {quoted}.new && mv {quoted}.new {quoted}", text)
    return Result(host=task.host, changed=changed)


def read_file(task: Task, path: str) -> str | None:
    """Content of a file of the device, None where there is none."""
    quoted = shlex.quote(path)
    output = run_command(task, f"if test -e {quoted}; then echo yes; cat {quoted}; else echo no; fi")
    found, _, content = output.partition("\n")
    return content if found == "yes" else None


def run_command(task: Task, command: str, text: str = "") -> str:
    """Run a command over an exec channel, with a text on its standard input; returns its standard output.

    Raises:
        DeviceError: it exits non-zero (with what it wrote to standard error), or the session breaks.
    """
    channel = _transport(task).open_session(timeout=TIMEOUT)
    try:
        channel.settimeout(TIMEOUT)
        channel.exec_command(command)
        channel.sendall(text.encode())
        channel.shutdown_write()
        output, errors = _read(channel)
        status = channel.recv_exit_status()
    except (OSError, EOFError) as caught:
        raise DeviceError(f"{task.host.name}: the session broke: {caught or type(caught).__name__}") from None
    finally:
        channel.close()
    if status != 0:
        raise DeviceError(_explain(str(task.host.name), errors or output, status))
    return output


def end_session(host: Any) -> None:
    """End a host's SSH session at once.

    Netmiko's own good-bye types into a shell that was never used here, and waits ten seconds for an answer
    where the prompt of that shell looks like a privileged one.
    """
    plugin = host.connections.pop("netmiko", None)
    if plugin is not None:
        plugin.connection.paramiko_cleanup()


def _read(channel: Any) -> tuple[str, str]:
    """Both streams to their end; a full pipe on one of them cannot block the other."""
    output, errors = bytearray(), bytearray()
    while data := channel.recv(CHUNK):
        output += data
        while channel.recv_stderr_ready():
            errors += channel.recv_stderr(CHUNK)
    while data := channel.recv_stderr(CHUNK):
        errors += data
    return output.decode(errors="replace"), errors.decode(errors="replace")


def _explain(device: str, words: str, status: int) -> str:
    first = next((line.strip() for line in words.splitlines() if line.strip()), f"exit status {status}")
    if "Operation not permitted" in words or "Read-only file system" in words or "Permission denied" in words:
        return f"{device} is read-only for this user: {first}; use an account that may change its filter"
    return f"{device} refused: {first}"


def _transport(task: Task) -> Any:
    """The SSH transport of the host's netmiko connection, without Nagle's delay (50 ms a command otherwise).

    Raises:
        DeviceError: no connection; says whether it is the network, the host key or the login.
    """
    import netmiko
    from paramiko.ssh_exception import SSHException

    name = task.host.name
    try:
        connection = task.host.get_connection("netmiko", task.nornir.config)
    except netmiko.NetmikoAuthenticationException:
        raise DeviceError(f"{name}: login refused for user {task.host.username!r}; check the key or agent") from None
    except netmiko.NetmikoTimeoutException as caught:
        raise DeviceError(f"{name}: {_reason(str(caught), str(task.host.hostname))}") from None
    except (SSHException, OSError, ValueError) as caught:
        raise DeviceError(f"{name}: {_reason(str(caught), str(task.host.hostname))}") from None
    transport = connection.remote_conn_pre.get_transport()
    if transport is None or not transport.is_active():
        raise DeviceError(f"{name}: the session has ended")
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return transport


def _reason(text: str, address: str) -> str:
    if "not found in known_hosts" in text:
        return f"the host key of {address} is not known; add it to known_hosts after checking it"
    if "does not match" in text or "BadHostKey" in text:
        return f"the host key of {address} is not the known one; nothing was sent"
    first = next((line.strip() for line in text.splitlines() if line.strip()), "no answer")
    return f"unreachable at {address}: {first}"
