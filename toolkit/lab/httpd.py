"""A web server of somebody else's in a lab: it answers every GET, and keeps the connection for the next one.

Run as a script with an address and a port; it imports nothing of the toolkit, which a node need not have.
"""

from __future__ import annotations

import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

TEXT: Final = b"here is the page\n"
ARGUMENTS: Final = 3


class Server(ThreadingHTTPServer):
    """A server that asks nobody for its own name."""

    def server_bind(self) -> None:
        """Without the look-up that the library does: a lab has no resolver, and waits for none."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "app.lab", int(self.server_address[1])


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that connections are kept

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)


def main() -> int:
    """Serve until it is killed."""
    if len(sys.argv) != ARGUMENTS:
        sys.stderr.write("usage: httpd.py ADDRESS PORT\n")
        return 2
    Server((sys.argv[1], int(sys.argv[2])), _Page).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
