"""The SSH server in front of the twins: one process and one thread for all of them, one port each."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

import asyncssh

from toolkit.lab.twins import shells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from toolkit.lab.twins.device import Device
    from toolkit.lab.twins.shell import Shell

START: Final = 30.0  # seconds for all listeners to be there


class TwinServer:
    """Serves devices on an address, a free port each unless told otherwise; use it as a context manager.

    `ports` maps a device's name to its port once it runs, `host_key` is the public key of all of them.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        address: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
        host_key: Path | None = None,
    ) -> None:
        self.devices = {device.name: device for device in devices}
        self.address = address
        self.ports: dict[str, int] = dict(ports or {})
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="twins", daemon=True)
        made = host_key is None
        self._key = asyncssh.generate_private_key("ssh-ed25519") if made else asyncssh.read_private_key(str(host_key))
        self._servers: list[asyncssh.SSHAcceptor] = []
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def host_key(self) -> str:
        """Type and public key, as in known_hosts."""
        return " ".join(self._key.export_public_key().decode("ascii").split()[:2])

    def known_hosts(self) -> str:
        """Content of a known_hosts file for all devices."""
        return "".join(f"[{self.address}]:{port} {self.host_key}\n" for port in self.ports.values())

    def __enter__(self) -> Self:
        self.thread.start()
        try:
            self.call(self._listen())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, coroutine: Any) -> Any:
        """Run something in the thread of the twins and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(START)

    def do(self, work: Callable[[], Any]) -> Any:
        """Run a function in the thread of the twins, between two lines and never in the middle of one."""

        async def run() -> Any:
            return work()

        return self.call(run())

    def close(self) -> None:
        """End all listeners, connections and timers."""
        if self.thread.is_alive():
            self.call(self._stop())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(START)
        if not self.loop.is_closed():
            self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _listen(self) -> None:
        for device in self.devices.values():
            server = await asyncssh.listen(
                self.address,
                self.ports.get(device.name, 0),
                server_factory=lambda device=device: _Login(device, self._connections),
                server_host_keys=[self._key],
                line_editor=False,
                encoding=None,
                login_timeout=START,
            )
            self._servers.append(server)
            self.ports[device.name] = server.get_port()

    async def _stop(self) -> None:
        for device in self.devices.values():
            device.confirm()
            for shell in list(device.shells):
                shell.drop()
        for connection in list(self._connections):
            connection.abort()
            await connection.wait_closed()
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for _ in range(3):  # transports close themselves in the next rounds of the loop
            await asyncio.sleep(0)


class _Login(asyncssh.SSHServer):
    """Who may come in."""

    def __init__(self, device: Device, connections: set[asyncssh.SSHServerConnection]) -> None:
        self.device = device
        self.connection: asyncssh.SSHServerConnection | None = None
        self.connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """See asyncssh."""
        self.connection = conn
        self.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncssh."""
        del exc
        if self.connection is not None:
            self.connections.discard(self.connection)

    def begin_auth(self, username: str) -> bool:
        """See asyncssh."""
        del username
        return True

    def password_auth_supported(self) -> bool:
        """See asyncssh."""
        return self.device.login.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        """See asyncssh."""
        return username == self.device.login.user and password == self.device.login.password

    def public_key_auth_supported(self) -> bool:
        """See asyncssh."""
        return bool(self.device.login.keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """See asyncssh."""
        given = key.export_public_key().decode("ascii").split()[:2]
        return username == self.device.login.user and any(given == one.split()[:2] for one in self.device.login.keys)

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        """See asyncssh."""
        return _Terminal(self.device, self.connection)


class _Terminal(asyncssh.SSHServerSession[bytes]):
    """Bytes of one login in, bytes out."""

    def __init__(self, device: Device, connection: asyncssh.SSHServerConnection | None) -> None:
        self.device = device
        self.connection = connection
        self.channel: Any = None
        self.shell: Shell | None = None
        self.typed = ""
        self.waiting: deque[str] = deque()
        self.output: list[str] = []
        self.busy = False
        self.was_return = False

    def connection_made(self, chan: Any) -> None:
        """See asyncssh."""
        self.channel = chan

    def pty_requested(self, *_: Any) -> bool:
        """See asyncssh."""
        return True

    def shell_requested(self) -> bool:
        """See asyncssh."""
        return True

    def session_started(self) -> None:
        """See asyncssh."""
        self.shell = shells.make(self.device, self.output.append, self._hang_up)
        self.shell.start()
        self._flush()

    def data_received(self, data: bytes, datatype: Any) -> None:
        """Input, as much as the device has room for."""
        del datatype
        faults = self.device.faults
        if faults.input_limit is not None and len(data) > faults.input_limit:
            data, faults.input_limit = data[: faults.input_limit], None
        self.waiting.extend(data.decode("utf-8", "replace"))
        if not self.busy:
            self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncssh."""
        del exc
        if self.shell is not None:
            self.shell.drop()

    def _work(self) -> None:
        """Carry out what was typed; a slow device goes on by itself after a pause."""
        shell = self.shell
        while shell is not None and self.waiting and shell.open:
            char = self.waiting.popleft()
            if shell.rest:
                shell.key(char)
            elif char in "\r\n":
                # A terminal sends return; who sends both means one line.
                if not (char == "\n" and self.was_return):
                    line, self.typed = self.typed, ""
                    shell.line(line)
                    if self.device.faults.delay and self.device.counted and line:
                        self.was_return = char == "\r"
                        self._later()
                        return
            elif char == "\x04":
                line, self.typed = self.typed, ""
                shell.line(line + char)
            else:
                self.typed += char
            self.was_return = char == "\r"
        self._flush()

    def _later(self) -> None:
        self._flush()
        self.busy = True

        def go_on() -> None:
            self.busy = False
            self._work()

        asyncio.get_running_loop().call_later(self.device.faults.delay, go_on)

    def _flush(self) -> None:
        text = "".join(self.output)
        self.output.clear()
        if text and self.channel is not None and not self.channel.is_closing():
            self.channel.write(text.encode())

    def _hang_up(self) -> None:
        self._flush()
        if self.connection is not None:
            self.connection.abort()
