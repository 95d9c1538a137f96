"""A tiny OCI image, put into the lab's registry and pulled from it, blob by blob, over its own HTTP interface.

https://distribution.github.io/distribution/spec/api/: nothing is simulated but the size of the image.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.kept import OneConnection

if TYPE_CHECKING:
    from ipaddress import IPv4Address

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OK, CREATED, ACCEPTED = 200, 201, 202


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def make_image(text: str) -> tuple[bytes, dict[str, bytes]]:
    """Manifest and blobs (by digest) of an image whose one layer holds one file with a text."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        entry = tarfile.TarInfo("motd")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    layer = gzip.compress(raw.getvalue(), mtime=0)
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(raw.getvalue())]}}
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)}],
    }
    return json.dumps(manifest).encode(), {_digest(config): config, _digest(layer): layer}


def publish(namespace: int, address: IPv4Address, port: int, image: str) -> str:
    """Put a tiny image into the registry, from a namespace; returns its digest.

    Raises:
        LabError: the registry cannot be reached or refuses.
    """
    name, _, tag = image.partition(":")
    manifest, blobs = make_image(f"{image}\n")
    try:
        connection = OneConnection(namespace, address, port)
        for digest, blob in blobs.items():
            begun = connection.ask("POST", f"/v2/{name}/blobs/uploads/")
            _must(begun.status, ACCEPTED, "an upload")
            place = begun.headers["location"]
            path = place.partition(f":{port}")[2] if place.startswith("http") else place
            kind = {"Content-Type": "application/octet-stream"}
            put = connection.ask("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", blob, kind)
            _must(put.status, CREATED, f"blob {digest}")
        put = connection.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})
        _must(put.status, CREATED, "the manifest")
        connection.close()
    except OSError as caught:
        raise LabError(f"{image} cannot be put into the registry at {address} port {port}: {caught}") from None
    return _digest(manifest)


def pull(namespace: int, address: IPv4Address, port: int, image: str) -> tuple[bool, str]:
    """Pull an image from a namespace and check every digest; whether it is complete, and what was seen."""
    name, _, tag = image.partition(":")
    try:
        connection = OneConnection(namespace, address, port)
        found = connection.ask("GET", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        if found.status != OK:
            return False, f"manifest: HTTP status {found.status}"
        if found.headers.get("docker-content-digest") != _digest(found.body):
            return False, "the manifest is not what its digest says"
        body = json.loads(found.body)
        size = len(found.body)
        for part in (body["config"], *body["layers"]):
            blob = connection.ask("GET", f"/v2/{name}/blobs/{part['digest']}").body
            if _digest(blob) != part["digest"] or len(blob) != part["size"]:
                return False, f"blob {part['digest']} is not what its digest says"
            size += len(blob)
        connection.close()
    except (OSError, ValueError, KeyError, TypeError) as caught:
        return False, f"failed: {caught or type(caught).__name__}"
    return True, f"complete: manifest and {1 + len(body['layers'])} blobs, {size} bytes, every digest right"


def _must(status: int, wanted: int, what: str) -> None:
    if status != wanted:
        raise LabError(f"the registry answers {status} to {what}, not {wanted}")
