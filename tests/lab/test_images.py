"""Pulling an image believes nobody: a registry that hands out something else is found out, and so is one that is gone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Address

import pytest

from tests.lab.reference_lab import need_namespaces
from toolkit.errors import LabError
from toolkit.lab.httpd import Server
from toolkit.lab.images import make_image, publish, pull
from toolkit.lab.kept import KeptSession
from toolkit.lab.namespaces import program, run_inside

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
HERE = IPv4Address("127.0.0.1")
IMAGE = "suite/agent:1.0"


class Registry(BaseHTTPRequestHandler):
    """It serves one image, and `spoil` may change what it says: path, status, headers, body."""

    protocol_version = "HTTP/1.1"
    manifest, blobs = make_image("hello\n")
    spoil = staticmethod(lambda *answer: answer)

    def do_GET(self):
        kind, _, name = self.path.removeprefix("/v2/suite/agent/").partition("/")
        body = self.manifest if kind == "manifests" else self.blobs[name]
        headers = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(body).hexdigest()}"}
        _, status, headers, body = self.spoil(kind, 200, headers, body)
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


CASES = (
    (lambda kind, status, headers, body: (kind, status, headers, body), True, "complete: manifest and 2 blobs, "),
    (lambda kind, status, headers, body: (kind, 404, headers, body), False, "manifest: HTTP status 404"),
    (lambda kind, status, headers, body: (kind, status, {}, body), False, "the manifest is not what its digest says"),
    (lambda kind, status, headers, body: (kind, status, headers, body + b" "), False, "the manifest is not what its"),
    (
        lambda kind, status, headers, body: (kind, status, headers, body + b" " * (kind == "blobs")),
        False,
        "is not what its digest says",
    ),
    (lambda kind, status, headers, body: (kind, 500, headers, b""), False, "manifest: HTTP status 500"),
)


def test_every_digest_is_checked():
    need_namespaces()

    def inside():
        subprocess.run([program("ip"), "link", "set", "lo", "up"], check=True)
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        with Server((str(HERE), 0), Registry) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            port = server.server_port
            for spoil, good, words in CASES:
                Registry.spoil = staticmethod(spoil)
                found, seen = pull(home, HERE, port, IMAGE)
                assert (found, words in seen) == (good, True), (seen, words)
            session = KeptSession(home, HERE, port, "/v2/suite/agent/manifests/1.0")
            assert session.look()[0]
            with pytest.raises(LabError, match="the registry answers 501 to an upload, not 202"):
                publish(home, HERE, port, IMAGE)
            server.shutdown()
        assert pull(home, HERE, port, IMAGE) == (False, "failed: [Errno 111] Connection refused")
        with pytest.raises(LabError, match=r"suite/agent:1\.0 cannot be put into the registry at 127\.0\.0\.1 port"):
            publish(home, HERE, port, IMAGE)
        with pytest.raises(LabError, match=r"no session to 127\.0\.0\.1 port \d+: .*refused"):
            KeptSession(home, HERE, port, "/")
        return 0

    assert run_inside(inside) == 0, "the traceback of the child stands in the captured output"


def test_the_same_text_gives_the_same_image():
    assert make_image("a") == make_image("a") != make_image("b")
