"""The lab's SMTP server: takes messages for real and keeps each in a folder. Run as `python -m toolkit.lab.smtpd`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Keep:
    """Writes each message to a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a message."""
        self.count += 1
        path = self.folder / f"{self.count:06}.eml"
        path.write_bytes(envelope.content)
        return f"250 kept as {path.name}"


async def serve(folder: Path, address: str, ports: Sequence[int]) -> None:
    """Listen on all ports until the process ends."""
    from aiosmtpd.smtp import SMTP

    handler = Keep(folder)
    loop = asyncio.get_running_loop()
    # The host name is given: aiosmtpd would look it up for each connection, and a lab has no resolver.
    for port in ports:
        await loop.create_server(lambda: SMTP(handler, hostname="smtp.lab", loop=loop), address, port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], [int(port) for port in sys.argv[3:]]))
