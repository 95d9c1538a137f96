"""`toolkit impact`: what closing a port would break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.flows import Flow
    from toolkit.net import Service


@click.command()
@click.argument("service")
@click.option("--to", "destination", help="Only what goes to this host.")
@inventory_option
@json_option
def impact(inventory: Path, service: str, destination: str | None, as_json: bool) -> None:
    """Say what closing SERVICE (tcp/443, udp/8472, tcp/2379-2380, icmp) would break: who needs it, and why.

    Nothing is judged here but what is asked for: the requirements with their lines, the hosts, and the devices whose
    entries are there for it.
    """
    from toolkit.errors import InputError

    work = Work(inventory)
    wanted = _service(service)
    if destination is not None and destination not in {node.name for node in work.site.topology.hosts}:
        names = ", ".join(node.name for node in work.site.topology.hosts)
        raise InputError(f"{destination!r} is no host of the site (hosts: {names})")
    flows = [flow for flow in work.graph.flows if _meets(flow.service, wanted)]
    if destination is not None:
        flows = [flow for flow in flows if flow.destination.at in (None, destination)]
    rows = [_row(work, identifier, flows) for identifier in dict.fromkeys(i for f in flows for i in f.requirements)]
    if as_json:
        print_json({"service": str(wanted), "to": destination, "breaks": rows})
        return
    if not rows:
        print(f"nothing asks for {wanted}: closing it breaks nothing that is required")
    for row in rows:
        print(f"{row['citation']}: {row['purpose'] or 'no purpose given'}")
        print(f"  {', '.join(row['sources'])} -> {', '.join(row['destinations'])} {row['service']}")
        print(f"  entries on: {', '.join(row['devices']) or 'no device (same segment, or not enforceable)'}")


def _service(text: str) -> Service:
    from toolkit.net import ICMP, WITH_PORTS, PortRange, Service, protocol_number

    name, slash, ports = text.partition("/")
    number = protocol_number(name)
    if number == ICMP or not slash or number not in WITH_PORTS:
        return Service(number)
    return Service(number, PortRange.parse(ports))


def _meets(one: Service, wanted: Service) -> bool:
    ports = one.ports.first <= wanted.ports.last and wanted.ports.first <= one.ports.last
    return ports and (one.protocol is None or wanted.protocol is None or one.protocol == wanted.protocol)


def _row(work: Work, identifier: str, flows: list[Flow]) -> dict[str, Any]:
    mine = [flow for flow in flows if identifier in flow.requirements]
    devices = [
        device
        for device, policy in work.policies.items()
        if any(identifier in ace.requirements for acl in policy.acls for ace in acl.entries)
    ]
    return {
        "requirement": identifier,
        "citation": work.site.citation(identifier),
        "purpose": work.site.requirement(identifier).purpose,
        "service": ", ".join(dict.fromkeys(str(flow.service) for flow in mine)),
        "sources": list(dict.fromkeys(flow.source.name for flow in mine)),
        "destinations": list(dict.fromkeys(flow.destination.name for flow in mine)),
        "flows": len(mine),
        "devices": devices,
    }
