"""SSH sessions of nornir-netmiko, exec channels on them, and what went wrong in one line."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nornir.core.task import Task

TIMEOUT: Final = 30.0  # seconds without a word from a device
CHUNK: Final = 1 << 16
Channels = Any  # a paramiko Transport: opens any number of exec channels on one SSH session


def shared(task: Task) -> Channels:
    """The transport of the session that Nornir keeps for the host, opened on first use, and again where it has ended.

    Raises:
        DeviceError: no connection; says whether it is the network, the host key or the login.
    """
    return opened(task).remote_conn_pre.get_transport()


def opened(task: Task) -> Any:
    """The netmiko connection that Nornir keeps for the host, opened on first use, and again where it has ended.

    Raises:
        DeviceError: no connection; says whether it is the network, the host key or the login.
    """
    plugin = task.host.connections.get("netmiko")
    if plugin is not None:
        transport = plugin.connection.remote_conn_pre.get_transport()
        if transport is not None and transport.is_active():
            return plugin.connection
        end_session(task.host)
    with _explained(task):
        connection = task.host.get_connection("netmiko", task.nornir.config)
        _transport(connection)
    return connection


@contextmanager
def new_session(task: Task) -> Iterator[Channels]:
    """The transport of a session of its own beside the one that Nornir keeps, which stays open as the way back.

    Raises:
        DeviceError: no connection; says whether it is the network, the host key or the login.
    """
    # Nobody will type into this session, so netmiko need not look for the prompt of its shell (0.2 s).
    with opened_beside(task, prepare=False) as connection:
        yield _transport(connection)


@contextmanager
def opened_beside(task: Task, *, prepare: bool = True) -> Iterator[Any]:
    """A netmiko connection of its own beside the one that Nornir keeps.

    Raises:
        DeviceError: no connection; says whether it is the network, the host key or the login.
    """
    from nornir.core.plugins.connections import ConnectionPluginRegister

    options = task.host.get_connection_parameters("netmiko")
    plugin: Any = ConnectionPluginRegister.get_plugin("netmiko")()
    with _explained(task):
        plugin.open(
            hostname=options.hostname,
            username=options.username,
            password=options.password,
            port=options.port,
            platform=options.platform,
            extras=(options.extras or {}) | ({} if prepare else {"auto_connect": False}),
            configuration=task.nornir.config,
        )
        if not prepare:
            plugin.connection.establish_connection()
        _transport(plugin.connection)
    try:
        yield plugin.connection
    finally:
        plugin.connection.paramiko_cleanup()


def end_session(host: Any) -> None:
    """End a host's SSH session at once.

    Netmiko's own good-bye types into a shell that was never used here, and waits ten seconds for an answer
    where the prompt of that shell looks like a privileged one.
    """
    plugin = host.connections.pop("netmiko", None)
    if plugin is not None:
        plugin.connection.paramiko_cleanup()


def execute(device: str, channels: Channels, command: str, text: str = "") -> tuple[int, str, str]:
    """Run a command with a text on its standard input; returns exit status, output and errors.

    Raises:
        DeviceError: the session breaks; whether the command ran is then not known.
    """
    from paramiko.ssh_exception import SSHException

    try:
        channel = channels.open_session(timeout=TIMEOUT)
        try:
            channel.settimeout(TIMEOUT)
            channel.exec_command(command)
            try:
                channel.sendall(text.encode())
                channel.shutdown_write()
            except OSError:
                if channels.is_active() is False:
                    raise
                # The command ended without reading all of it; its exit status says why.
            output, errors = _read(channel)
            status = int(channel.recv_exit_status())
        finally:
            channel.close()
    except (SSHException, OSError, EOFError) as caught:
        raise DeviceError(f"{device}: the session broke: {caught or type(caught).__name__}; read it again") from None
    if status < 0:
        raise DeviceError(f"{device}: the session broke before the command ended; read it again")
    return status, output, errors


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


def _transport(connection: Any) -> Channels:
    """The SSH transport of a netmiko connection, without Nagle's delay (50 ms a command otherwise)."""
    transport = connection.remote_conn_pre.get_transport()
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return transport


@contextmanager
def _explained(task: Task) -> Iterator[None]:
    """Turn what netmiko and paramiko raise while connecting into one line about the device."""
    from netmiko.exceptions import NetmikoBaseException
    from paramiko.ssh_exception import SSHException

    options = task.host.get_connection_parameters("netmiko")
    where = f"{options.hostname} port {options.port or 22}"
    try:
        yield
    except (NetmikoBaseException, SSHException, OSError, EOFError, ValueError) as caught:
        user = str(options.username)
        raise DeviceError(f"{task.host.name}: {_reason(caught, where, user)}") from None


def _reason(caught: BaseException, where: str, user: str) -> str:
    from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, NoValidConnectionsError

    # netmiko replaces the error by a text of its own; what happened is the context of what it raises.
    causes = [caught, caught.__context__] if caught.__context__ else [caught]
    causes += [one for cause in causes if isinstance(cause, NoValidConnectionsError) for one in cause.errors.values()]
    kinds = tuple(type(cause) for cause in causes)
    if any(issubclass(kind, BadHostKeyException) for kind in kinds):
        return (
            f"the host key of {where} is not the known one: another machine may be answering there; compare it on the "
            "console, then correct known_hosts"
        )
    if any("not found in known_hosts" in str(cause) for cause in causes):
        return f"the host key of {where} is not known; compare it on the console, then add it to known_hosts"
    if any(issubclass(kind, AuthenticationException) for kind in kinds):
        return f"{where} refuses the login of {user!r}; check the user, the key or the agent"
    if any(issubclass(kind, ConnectionRefusedError) for kind in kinds):
        return f"{where} refuses the connection; check the port, and that its SSH server runs"
    if any(issubclass(kind, socket.gaierror) for kind in kinds):
        return f"{where} is no address and no known name; check hostname in hosts.yaml"
    first = next((line.strip() for line in str(causes[-1]).splitlines() if line.strip()), type(caught).__name__)
    return f"{where} does not answer ({first}); check the address and the way to it"
