"""A container engine and a containerlab that only remember: for what a lab does before, after and without them."""

from __future__ import annotations

import json
import socketserver
import stat
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

PROGRAM = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[1:], os.environ["CLAB_VERSION_CHECK"], os.environ["CLAB_LABDIR_BASE"]]) + "\\n")
answer = json.loads((folder / (sys.argv[1] + ".json")).read_text())
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["code"])
"""


class FakeContainerlab:
    """A program that gives the answers it was told to give."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "containerlab"
        self.path.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)), encoding="utf-8")
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def answers(self, verb, stdout="", *, code=0, stderr=""):
        text = stdout if isinstance(stdout, str) else json.dumps(stdout)
        body = json.dumps({"stdout": text, "code": code, "stderr": stderr})
        (self.folder / f"{verb}.json").write_text(body, encoding="utf-8")

    def calls(self):
        """(arguments, CLAB_VERSION_CHECK, CLAB_LABDIR_BASE) of each call."""
        path = self.folder / "calls"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


class FakeEngine:
    """State of an engine; `containers` are (identifier, name, lab, topology file)."""

    def __init__(self):
        self.containers = []
        self.networks = {}
        self.images = set()
        self.stubborn = set()  # containers that it says it has removed, and keeps
        self.ping = 200

    def add(self, name, lab, topology):
        self.containers.append((f"id-{name}", name, lab, str(topology)))

    def ask(self, method, path, query):
        what, _, rest = path.strip("/").partition("/")
        if what == "_ping":
            return self.ping, "OK"
        return getattr(self, f"_{method.lower()}_{what}")(rest, query)

    def _get_containers(self, rest, query):
        assert (rest, query["all"]) == ("json", ["true"])
        lab = json.loads(query["filters"][0])["label"][0].removeprefix("containerlab=")
        return 200, [
            {"Id": one[0], "Names": [f"/{one[1]}"], "Labels": {"containerlab": one[2], "clab-topo-file": one[3]}}
            for one in self.containers
            if one[2] == lab
        ]

    def _delete_containers(self, rest, query):
        assert query["force"] == ["true"]
        self.containers = [one for one in self.containers if one[0] != rest or one[1] in self.stubborn]
        return 204, ""

    def _get_networks(self, rest, _query):
        if rest not in self.networks:
            return 404, {"message": "no such network"}
        labels, names = self.networks[rest]
        return 200, {"Name": rest, "Labels": labels, "Containers": {name: {"Name": name} for name in names}}

    def _delete_networks(self, rest, _query):
        return (204, "") if self.networks.pop(rest, None) else (404, {"message": "no such network"})

    def _get_images(self, rest, _query):
        return (200, {}) if rest.removesuffix("/json") in self.images else (404, {"message": "no such image"})


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def serve(engine, path):
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            parts = urlsplit(self.path)
            status, body = engine.ask(self.command, unquote(parts.path), parse_qs(parts.query))
            text = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_DELETE = answer  # noqa: N815 - the names that http.server looks for

        def address_string(self):
            return "unix"

        def log_message(self, *_):
            pass

    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
