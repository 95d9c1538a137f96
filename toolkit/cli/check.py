"""`toolkit check SRC DST PROTO PORT`: one question about one packet."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli._common import Work, inventory_option, json_option, note, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.net import Packet
    from toolkit.platforms.base import FilterState
    from toolkit.site import Site
    from toolkit.verify import Trace

DEFAULT_SPORT = 49152


@click.command()
@click.argument("source")
@click.argument("destination")
@click.argument("protocol")
@click.argument("port")
@click.option("--sport", type=click.IntRange(0, 65535), default=DEFAULT_SPORT, show_default=True, help="Source port.")
@click.option(
    "--configs", type=click.Path(path_type=Path, file_okay=False), help="Judge the files of this folder instead."
)
@click.option("--live", is_flag=True, help="Judge the running filters, read from the devices over SSH.")
@inventory_option
@json_option
def check(
    inventory: Path,
    source: str,
    destination: str,
    protocol: str,
    port: str,
    sport: int,
    configs: Path | None,
    live: bool,
    as_json: bool,
) -> None:
    """Say whether a packet passes, which entry decides on each device, and which requirement asks for it.

    SOURCE and DESTINATION are hosts of the inventory or IPv4 addresses; PORT is a number, or type/code for ICMP.
    """
    from toolkit.policy import handed_to
    from toolkit.verify import trace

    work = Work(inventory)
    packet, ends = make_packet(work.site, source, destination, protocol, port, sport)
    states = filters(work, configs, live)
    servers = handed_to(work.graph, packet, ends[1])
    answer = trace(packet, *ends, work.finder, states, answered=_answered(work, packet), servers=servers)
    requirements = work.asked_for(packet)
    result = _result(answer, requirements)
    if as_json:
        print_json(result)
        return
    asked = ", ".join(work.site.citation(one) for one in requirements) or "nothing asks for it"
    print(f"{result['verdict']}: {packet}; {asked}")
    for number, path in enumerate(answer.paths, 1):
        for way, steps in (("forward", path.forward), ("return", path.back)):
            for step in steps:
                one = step.decision
                print(f"  path {number} {way:7}  {step.device} {step.interface} {one.action}: {one.acl} {one.entry}")
        if not path.forward:
            note(f"  path {number}: no device in between, so nothing can filter it")


def make_packet(
    site: Site, source: str, destination: str, protocol: str, port: str, sport: int
) -> tuple[Packet, tuple[str, str]]:
    """The packet that a question is about, and the hosts where it starts and ends.

    Raises:
        InputError: unknown host, address, protocol or port.
    """
    from toolkit.errors import InputError
    from toolkit.net import ICMP, WITH_PORTS, IcmpKind, Packet, PortRange, protocol_number

    number = protocol_number(protocol)
    if number is None:
        raise InputError("a packet has one protocol; choose tcp, udp, icmp or a number")
    (start, src), (end, dst) = _locate(site, source, as_source=True), _locate(site, destination, as_source=False)
    if start == end:
        raise InputError(f"{source} and {destination} are the same host; a flow to itself is local")
    if number == ICMP:
        kind = IcmpKind.parse(port)
        return Packet(src, dst, ICMP, icmp=IcmpKind(kind.type, kind.code or 0)), (start, end)
    if number not in WITH_PORTS:
        return Packet(src, dst, number), (start, end)
    ports = PortRange.parse(port)
    if ports.first != ports.last:
        raise InputError(f"{port!r}: give one port; a packet has no range")
    return Packet(src, dst, number, sport, ports.first), (start, end)


def _locate(site: Site, text: str, *, as_source: bool) -> tuple[str, IPv4Address]:
    from toolkit.errors import InputError

    if text in site.topology.nodes:
        balancer = site.file.load_balancers.get(text)
        if balancer is not None:
            return text, balancer.source[0] if as_source else balancer.virtual[0]
        own = site.topology.nodes[text].addresses
        if not own or site.topology.nodes[text].is_device:
            raise InputError(f"{text} is no host with an address; packets start and end at hosts")
        return text, own[0]
    try:
        address = IPv4Address(text)
    except AddressValueError:
        names = ", ".join(node.name for node in site.topology.hosts)
        raise InputError(f"{text!r} is neither a host (hosts: {names}) nor an IPv4 address") from None
    owner = site.topology.owners.get(address)
    if owner is not None:
        return owner.node, address
    for binding in sorted(
        site.file.bindings.values(), key=lambda b: -max((p.prefixlen for p in b.prefixes), default=0)
    ):
        if binding.at and any(address in prefix for prefix in binding.prefixes):
            return binding.at, address
    raise InputError(f"{address} belongs to no host and no binding of the site")


def filters(work: Work, configs: Path | None, live: bool) -> Mapping[str, FilterState]:
    """The filters to judge: rendered ones, those of files, or the running ones."""
    if live and configs:
        raise click.UsageError("--live and --configs exclude each other")
    if live:
        from toolkit.verify.live import read_states

        return read_states(work)
    if configs is not None:
        from toolkit.verify.configs import read_configs

        return read_configs(work.site, work.finder, work.policies, configs)
    return {device: one.after for device, one in work.rendered.items()}


def _answered(work: Work, packet: Packet) -> bool:
    """Whether somebody waits for an answer: not for one-way UDP and not for ICMP errors."""
    from toolkit.net import ECHO_REQUEST, ICMP
    from toolkit.spec.model import Reply

    if packet.protocol == ICMP:
        return packet.icmp is not None and packet.icmp.type == ECHO_REQUEST
    return not any(work.site.requirement(one).reply_kind is Reply.ONE_WAY for one in work.asked_for(packet))


def _result(answer: Trace, requirements: tuple[str, ...]) -> dict[str, Any]:
    def rows(steps: tuple[Any, ...]) -> list[dict[str, str]]:
        return [
            {
                "device": step.device,
                "interface": step.interface,
                "direction": step.direction,
                "acl": step.decision.acl,
                "entry": step.decision.entry,
                "action": str(step.decision.action),
            }
            for step in steps
        ]

    return {
        "verdict": str(answer.verdict),
        "required": bool(requirements),
        "requirements": list(requirements),
        "paths": [{"forward": rows(path.forward), "return": rows(path.back)} for path in answer.paths],
    }
