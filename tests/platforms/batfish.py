"""Asking a running Batfish: snapshots, what it warns of, and whether two filters decide every packet alike.

The reference of a list is its policy written by other code in another language: entry by entry in EOS, without groups.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

from toolkit.net import ANY_PORT, ANYWHERE, PROTOCOL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

QUIET = ("parseWarning", "initIssues", "undefinedReferences", "viConversionWarning")


class Asker:
    """A session with Batfish; snapshots are named, and written below a folder."""

    def __init__(self, session, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def load(self, name: str, configs: Mapping[str, str]) -> list[tuple[str, str]]:
        """Make a snapshot of files; (status, format) of each."""
        where = self.folder / name / "configs"
        where.mkdir(parents=True)
        for file, text in configs.items():
            (where / file).write_text(text, encoding="utf-8")
        return self.open(name, self.folder / name)

    def open(self, name: str, folder: Path) -> list[tuple[str, str]]:
        """Make a snapshot of a folder that is there; (status, format) of each file."""
        self.session.init_snapshot(str(folder), name=name, overwrite=True)
        rows = self.session.q.fileParseStatus().answer(snapshot=name).frame()
        return [(row.Status, row.File_Format) for row in rows.itertuples()]

    def warnings(self, name: str) -> list[str]:
        """What Batfish has to say about a snapshot that it has read."""
        found = []
        for question in QUIET:
            rows = getattr(self.session.q, question)().answer(snapshot=name).frame()
            found += [f"{question}: {row.to_dict()}" for _, row in rows.iterrows()]
        return found

    def filters(self, name: str, device: str) -> set[str]:
        """Names of the filters of a device that Batfish can ask."""
        headers = self.headers(srcIps="10.0.0.2", dstIps="10.0.0.1", ipProtocols=["tcp"])
        rows = self.session.q.testFilters(nodes=device, headers=headers).answer(snapshot=name).frame()
        return set(rows["Filter_Name"])

    def differences(self, name: str, reference: str, device: str, acl: str, **constraints: str) -> list[str]:
        """Packets that one of two snapshots permits and the other denies; first fragments, as the reference knows."""
        found = []
        for action in ("permit", "deny"):
            question = self.session.q.searchFilters(
                nodes=device, filters=acl, action=action, headers=self.headers(fragmentOffsets="0", **constraints)
            )
            rows = question.answer(snapshot=name, reference_snapshot=reference).frame()
            found += [f"{row.Flow}: {row.Snapshot_Action}, not {row.Reference_Action}" for row in rows.itertuples()]
        return found

    @staticmethod
    def headers(**constraints):
        """Constraints on packets."""
        from pybatfish.datamodel.flow import HeaderConstraints

        return HeaderConstraints(**constraints)


def reference(device: str, acls: Mapping[str, Iterable], rest: Mapping[str, Iterable[str]] | None = None) -> str:
    """A device in EOS with the entries of policies under the names of their lists; `rest` comes before what is left."""
    lines = ["!RANCID-CONTENT-TYPE: arista", f"hostname {device}"]
    for number, (name, aces) in enumerate(acls.items(), 1):
        body = (
            [line for ace in aces for line in entries(ace)] + list((rest or {}).get(name, ())) + ["permit ip any any"]
        )
        lines += [f"ip access-list {name}", *(f"   {at} {line}" for at, line in enumerate(body, 1))]
        lines += [f"interface Ethernet{number}", "   no switchport", f"   ip access-group {name} in"]
    return "\n".join([*lines, "end", ""])


def entries(ace) -> list[str]:
    """One line for each pair of ends."""
    protocol = (
        "ip" if ace.service.protocol is None else PROTOCOL_NAMES.get(ace.service.protocol, str(ace.service.protocol))
    )
    protocol = protocol if protocol in ("ip", "icmp", "tcp", "udp") else str(ace.service.protocol)
    tail = _ports(ace.service.ports)
    if ace.service.icmp is not None:
        tail = f" {ace.service.icmp.type}" + ("" if ace.service.icmp.code is None else f" {ace.service.icmp.code}")
    tail += " established" * ace.established
    return [
        f"{'permit' if str(ace.action) == 'permit' else 'deny'} {protocol} {source}{_ports(ace.sport)} {destination}{tail}"
        for source, destination in product(_ends(ace.sources), _ends(ace.destinations))
    ]


def _ends(prefixes) -> list[str]:
    return ["any"] if ANYWHERE in prefixes else [str(prefix) for prefix in prefixes]


def _ports(ports) -> str:
    if ports == ANY_PORT:
        return ""
    return f" eq {ports.first}" if ports.first == ports.last else f" range {ports.first} {ports.last}"


def as_routed(text: str) -> str:
    """A Junos configuration whose layer-2 filters are those of routed ports: Batfish keeps no others.

    What differs is how conditions are called, and that IPv4 is asked for.
    """
    kept = [
        line
        for line in text.splitlines()
        if not re.search(r" ether-type | interface-mode | vlan members |^set vlans ", line)
    ]
    found = "\n".join([*kept, ""]).replace("family ethernet-switching filter", "family inet filter")
    return re.sub(r" from ip-(protocol|source-address|destination-address) ", r" from \1 ", found)
