"""Filters of a lab's devices broken behind the toolkit's back, as somebody at a console would, or on purpose.

On a Linux device a rule is deleted with nft. On a vendor's command line another operator logs in over SSH and removes
one entry with the OS's own commands: the toolkit itself never edits a list that is bound.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.deploy import load_filter, open_nornir, results
from toolkit.deploy.session import end_session
from toolkit.errors import LabError
from toolkit.lab.twins.dataplane import TABLE
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.lab.rehearsal import Rehearsal

BREAKS: Final = ("permit-any", "deny-any")
NFT: Final = "/usr/sbin/nft"
NAMED: Final = re.compile(r"^ip access-list (?:extended )?(\S+)$")
FLAT: Final = re.compile(r"^access-list (\S+) (?:extended )?((?:remark|permit|deny)\b.*)$")
TERM: Final = re.compile(r"^set (firewall family \S+ filter \S+ term (\S+)) then accept$")
CITES: Final = re.compile(r"[ -]line[ -]\d")  # a vendor's page, so that the story can be followed back to it


def remove_rule(lab: Rehearsal, device: str) -> str:
    """Remove one permit of ours from a device, past the toolkit; returns what was removed, in the device's words.

    Raises:
        LabError: there is none, or the device refuses.
        DeviceError: a device with a command line rejects the removal.
    """
    if device in lab.twins:
        return _remove_entry(lab, device)
    table, chains = ours(lab, device)
    chain, prefix = chains[0], lab.work.site.file.acl_prefix
    listing = lab.lab.inside(device, [NFT, "-a", "list", "chain", *table.split(), chain]).stdout
    extended = lab.work.site.topology.node(device).filter.mode is Ownership.EXTEND
    mark = f'comment "{prefix}_forward: ' if extended else ""
    lines = [line.strip() for line in listing.splitlines() if mark in line]
    rules = [line for line in lines if " accept " in line and " line " in line]
    if not rules:
        raise LabError(f"{device} has no rule of ours to remove")
    text, _, handle = rules[len(rules) // 2].rpartition(" # handle ")
    done = lab.lab.inside(device, [NFT, "delete", "rule", *table.split(), chain, "handle", handle])
    if done.returncode != 0:
        raise LabError(f"{device}: {done.stderr.strip()}")
    return text


def _remove_entry(lab: Rehearsal, device: str) -> str:
    """The same on a command line, in a session of somebody else's."""
    system = lab.twins[device]
    owned = lab.read()[device].owned()
    found = list(permits(system, owned.text())) if owned is not None else []
    if not found:
        raise LabError(f"{device} has no entry of ours to remove")
    lines = found[len(found) // 2]
    nornir = open_nornir(lab.work.site, lab.connection, [device])
    try:
        results(nornir.run(task=load_filter, text="".join(f"{line}\n" for line in lines)))
    finally:
        for host in nornir.inventory.hosts.values():
            end_session(host)
    return "; ".join(lines[1:-1])


def permits(system: str, text: str) -> Iterator[tuple[str, ...]]:
    """What one would type to remove each permit that cites a page, of a filter in an OS's own language.

    Permits of answers are left out: what is removed is better known by its own direction.
    """
    if system == "juniper_junos":
        for match in filter(None, map(TERM.match, text.splitlines())):
            if CITES.search(match[2]) and not match[2].endswith("-answers"):
                yield "configure", f"delete {match[1]}", "commit", "exit"
        return
    header, remark = "", ""
    for line in text.splitlines():
        if NAMED.match(line):
            header, remark = line, ""
            continue
        flat = FLAT.match(line)
        entry = flat[2] if flat else re.sub(r"^\d+ ", "", line.strip())
        if entry.startswith("remark "):
            remark = entry
        elif entry.startswith("permit ") and CITES.search(remark) and ", answer" not in remark:
            away = (f"no {line.strip()}",) if flat else (header, f"no {entry}")
            yield "configure terminal", *away, "end"


def sabotage(lab: Rehearsal, kind: str) -> tuple[str, ...]:
    """Break the filters of all own devices on purpose, so that the matrix must say so; names the devices.

    Raises:
        LabError: unknown kind, or a device refuses.
    """
    if kind not in BREAKS:
        raise LabError(f"unknown break {kind!r} (known: {', '.join(BREAKS)})")
    verdict = "accept" if kind == "permit-any" else "drop"
    broken = []
    for node in lab.work.site.topology.devices:
        where, chains = ours(lab, node.name)
        script = "".join(f"insert rule {where} {chain} meta protocol ip {verdict}\n" for chain in chains)
        done = lab.lab.inside(node.name, [NFT, "-f", "-"], script)
        if done.returncode != 0:
            raise LabError(f"{node.name} cannot be broken: {done.stderr.strip()}")
        broken.append(node.name)
    return tuple(broken)


def ours(lab: Rehearsal, device: str) -> tuple[str, list[str]]:
    """Table (with its family) and chains in which the rules of ours stand on a device."""
    node = lab.work.site.topology.node(device)
    prefix, where = lab.work.site.file.acl_prefix, node.filter
    family = "bridge" if any(i.switched for i in node.interfaces.values()) else "inet"
    if device in lab.twins:  # at the twin's data plane: its configuration still says otherwise
        return f"{family} {TABLE}", [f"in{number}" for number in range(len(node.interfaces))]
    if where.mode is Ownership.OWN:
        return f"{family} {prefix}", [f"{prefix}_{name}_in" for name in node.interfaces]
    chain = f"{prefix}_forward" if where.mode is Ownership.JUMP else where.chain or ""
    return f"{where.family} {where.table}", [chain]
