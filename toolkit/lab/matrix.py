"""The matrix: every source, destination, protocol and port, with intent, model, expectation and live side by side.

Three steps: `build_matrix` lists the probes, `measure` sends them and gathers evidence, `judge` says for each
cell which of the four disagrees. A denial needs evidence, a device's own record of that packet or a tap that saw it
enter and never leave; silence alone stays inconclusive.
"""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from toolkit.errors import LabError
from toolkit.lab.nflog import GROUP, Nflog
from toolkit.lab.prober import Arrivals, Observation, Outcome, Probe, probe
from toolkit.lab.taps import Taps
from toolkit.net import MAX_PORT, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from ipaddress import IPv4Address
    from pathlib import Path

    from toolkit.lab.expectations import Expectations

LabService = tuple[str, int]  # (tcp, udp or icmp; port, 0 for icmp)

VXLAN: Final[LabService] = ("udp", 8472)
ECHO: Final[LabService] = ("icmp", 0)
SETTLE: Final = 0.05  # seconds until the last log records are out of the kernel, which keeps them for up to 10 ms
# Whom to believe when two say this and two say that: the file that a person wrote, then what was seen.
TRUST: Final = ("expectation", "live", "intent", "model")


@dataclass(frozen=True, slots=True)
class Target:
    """A destination: `name` is the host's, or `host/address` for a further address of the same host."""

    name: str
    address: IPv4Address

    @property
    def host(self) -> str:
        """The host that owns the address."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Measured:
    """A probe's outcome with the live verdict that outcome and evidence support together."""

    observation: Observation
    live: Verdict
    evidence: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `intent` None: traffic that is not ours, which must be as the model says.

    `wrong` names those that disagree, joined by `+`, and is empty when all agree.
    """

    source: str
    destination: str
    protocol: str
    port: int
    intent: Verdict | None
    model: Verdict
    expectation: Verdict | None
    live: Verdict
    evidence: str
    requirements: tuple[str, ...]
    wrong: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells, in the order probed."""

    cells: tuple[Cell, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many probes, and of them live permitted, live denied, wrong and inconclusive."""
        live = Counter(cell.live for cell in self.cells)
        return {
            "probes": len(self.cells),
            "permitted": live[Verdict.PERMITTED],
            "denied": live[Verdict.DENIED],
            "wrong": sum(bool(cell.wrong) for cell in self.cells),
            "inconclusive": live[Verdict.INCONCLUSIVE],
        }

    @property
    def ok(self) -> bool:
        """Whether there are cells, all conclusive, and nothing disagrees."""
        counts = self.counts
        return bool(counts["probes"]) and not counts["wrong"] and not counts["inconclusive"]

    def grid(self, role_of: Mapping[str, str]) -> dict[tuple[str, str], dict[str, int]]:
        """The counts by (source role, destination role); a host without a role stands under its own name."""
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            ends = role_of.get(cell.source, cell.source), role_of.get(cell.destination, cell.destination)
            groups.setdefault(ends, []).append(cell)
        return {ends: Matrix(tuple(cells)).counts for ends, cells in groups.items()}

    def write_csv(self, path: Path) -> None:
        """Write one line per cell; an absent intent or expectation is empty, requirements are joined by spaces."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = tuple(Cell.__dataclass_fields__)
            writer.writerow(names)
            for cell in self.cells:
                values = (getattr(cell, name) for name in names)
                writer.writerow([" ".join(one) if isinstance(one, tuple) else one for one in values])


def parse_service(text: str) -> LabService:
    """Read `tcp/25`, `udp/53` or `icmp`.

    Raises:
        LabError: anything else.
    """
    protocol, slash, port = text.partition("/")
    if text == "icmp":
        return ECHO
    if protocol in ("tcp", "udp") and slash and port.isdecimal() and 0 < int(port) <= MAX_PORT:
        return protocol, int(port)
    raise LabError(f"{text!r} cannot be probed; write tcp/25, udp/53 or icmp")


def pick_ports(seed: int, count: int, taken: Collection[int]) -> tuple[int, ...]:
    """`count` ports outside `taken`, the same for the same seed and `taken`, ascending."""
    free = [port for port in range(1, MAX_PORT + 1) if port not in taken]
    return tuple(sorted(random.Random(seed).sample(free, count)))  # noqa: S311 - must repeat, not surprise


def build_matrix(
    sources: Mapping[str, IPv4Address],
    targets: Sequence[Target],
    services: Iterable[LabService],
    *,
    seed: int,
    random_ports: int = 0,
    one_way: Collection[LabService] = (VXLAN,),
) -> tuple[Probe, ...]:
    """Every source to every target of another host on every service, and on seeded ports outside them.

    `sources` maps each host to the address it sends from. Each random port is probed over TCP and UDP.
    """
    wanted = list(dict.fromkeys(services))
    extra = pick_ports(seed, random_ports, {port for _, port in wanted})
    wanted += [(protocol, port) for port in extra for protocol in ("tcp", "udp")]
    return tuple(
        Probe(source, address, target.name, target.address, *service, one_way=service in one_way)
        for source, address in sources.items()
        for target in targets
        if target.host != source
        for service in wanted
    )


def pick(probes: Sequence[Probe], required: Callable[[Probe], bool], count: int, seed: int) -> tuple[Probe, ...]:
    """At most `count` of the probes in their order, half of them required and half not; the same for the same seed."""
    order = list(range(len(probes)))
    random.Random(seed).shuffle(order)  # noqa: S311 - must repeat, not surprise
    chosen: dict[bool, list[int]] = {True: [], False: []}
    for index in order:
        kind = chosen[required(probes[index])]
        if len(kind) < count // 2:
            kind.append(index)
        elif all(len(one) >= count // 2 for one in chosen.values()):
            break
    return tuple(probes[index] for index in sorted((*chosen[True], *chosen[False])))


def measure(
    probes: Sequence[Probe],
    hosts: Mapping[str, int],
    devices: Mapping[str, int],
    *,
    switches: Collection[str] = (),
    arrivals: Arrivals | None = None,
    timeout: float = 0.3,
    patience: float = 1.5,
    group: int = GROUP,
) -> tuple[Measured, ...]:
    """Send all probes and gather evidence; what stays inconclusive is tried once more, patiently.

    `hosts` and `devices` map names to file descriptors of network namespaces; `switches` names the devices
    that bridge. `timeout` and `patience` are in seconds.

    Raises:
        LabError: a probe that cannot be sent, or a log group that somebody else reads.
    """

    def once(some: Sequence[Probe], wait: float) -> list[Measured]:
        with Nflog(devices, group=group) as nflog, Taps(devices, switches=switches) as taps:
            found = probe(some, hosts, timeout=wait, watchers=[*nflog, *taps], arrivals=arrivals)
            time.sleep(SETTLE)
            nflog.drain()
            taps.drain()
            if arrivals is not None:
                arrivals.drain()
            return [_live(one, nflog, taps, arrivals) for one in found]

    if arrivals is not None:
        arrivals.drain()
        arrivals.arrived.clear()  # source ports come round again; an earlier arrival must not speak for a later probe
    measured = once(probes, timeout)
    again = [index for index, one in enumerate(measured) if one.live is Verdict.INCONCLUSIVE]
    if again:
        hopeless = [replace(probes[index], expect_hint=None) for index in again]
        for index, one in zip(again, once(hopeless, patience), strict=True):
            measured[index] = one
    return tuple(measured)


def _live(one: Observation, nflog: Nflog, taps: Taps, arrivals: Arrivals | None) -> Measured:
    if one.outcome in (Outcome.ANSWERED, Outcome.ARRIVED):
        return Measured(one, Verdict.PERMITTED, one.outcome)
    denial = _denial(one, nflog, taps)
    if one.outcome is Outcome.REFUSED:
        # A firewall's reset carries the destination's address; only the evidence tells the two apart.
        return Measured(one, Verdict.DENIED, denial) if denial else Measured(one, Verdict.PERMITTED, one.outcome)
    if one.outcome is Outcome.REJECTED:
        return Measured(one, Verdict.DENIED, denial or one.detail)
    if one.outcome is Outcome.UNROUTED:
        return Measured(one, Verdict.INCONCLUSIVE, f"the source has no way there: {one.detail}")
    if denial:
        return Measured(one, Verdict.DENIED, denial)
    arrived = arrivals is not None and one.key in arrivals.arrived
    return Measured(one, Verdict.INCONCLUSIVE, "arrived, but was not answered" if arrived else "silence")


def _denial(one: Observation, nflog: Nflog, taps: Taps) -> str:
    """Evidence that a device dropped the probe or its answer; empty without any."""
    for key, which in ((one.key, ""), (one.key.reverse(), " (the answer)")):
        record = nflog.dropped(key)
        # What was logged and went on nevertheless was not dropped: a rule may log what it permits.
        if record and not taps.left(record[0], key):
            return f"{record[0]}: {record[1]}{which}"
        if sighting := taps.dropped(key):
            return f"{sighting[0]}: entered on {sighting[1]} and never left{which}"
    return ""


def judge(
    measured: Iterable[Measured],
    *,
    intent: Callable[[Probe], Verdict | None],
    model: Callable[[Probe], Verdict],
    expectations: Expectations | None = None,
    requirements: Callable[[Probe], tuple[str, ...]] = lambda _: (),
) -> Matrix:
    """Hold what was measured against intent, model and the hand-written expectations.

    Raises:
        LabError: no row of the expectations speaks about a probe.
    """
    cells = []
    for one in measured:
        sent = one.observation.probe
        said = None
        if expectations is not None:
            row = expectations.find(sent.source, sent.destination, sent.protocol, sent.port)
            if row is None:
                what = f"{sent.source} -> {sent.destination} {sent.protocol}/{sent.port}"
                raise LabError(f"no row of the expectations speaks about {what}; end the file with *,*,*,*")
            said = row.verdict
        votes = {"intent": intent(sent), "model": model(sent), "expectation": said, "live": one.live}
        cells.append(
            Cell(
                sent.source,
                sent.destination,
                sent.protocol,
                sent.port,
                votes["intent"],
                model(sent),
                said,
                one.live,
                one.evidence,
                requirements(sent),
                who_is_wrong(votes),
            )
        )
    return Matrix(tuple(cells))


def who_is_wrong(votes: Mapping[str, Verdict | None]) -> str:
    """Names of the minority among intent, model, expectation and live, joined by `+`; empty when all agree.

    None and inconclusive do not vote. Two against two, or one against one, goes by `TRUST`.
    """
    cast = {name: votes[name] for name in TRUST if votes.get(name) in (Verdict.PERMITTED, Verdict.DENIED)}
    if len(set(cast.values())) <= 1:
        return ""
    (first, most), (_, fewer) = Counter(cast.values()).most_common()
    right = next(iter(cast.values())) if most == fewer else first
    return "+".join(name for name, verdict in cast.items() if verdict is not right)
