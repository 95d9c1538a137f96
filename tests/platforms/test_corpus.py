"""Configurations as people have them, each with what must be read in it, or with the line that must be refused.

`corpus/PLATFORM/NAME.cfg` is what the device shows. `NAME.expect.yaml` beside it says, written by hand from the
system's manuals and never printed by our code:

    interfaces: {NAME: [PREFIX, ...]}    of the inventory, with what leaves by them; `rest` is everything else
    kind: router | switch | firewall
    parses:
      lists: {NAME: how many entries}
      bound: [INTERFACE in|out LIST]
      packets: [INTERFACE | PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT] [marks] | permit|deny by LIST, a piece of the entry]
    refused: {line: NUMBER, says: a piece of the message, without: [lines that, once gone, make it readable]}
"""

from __future__ import annotations

import random
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
import yaml

from toolkit.errors import ConfigError
from toolkit.net import Action, IcmpKind, Packet, protocol_number
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.platforms.base import ConnState, DeviceContext
from toolkit.topology import FilterData, Interface, Kind, Node

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.suffix in (".cfg", ".nft", ".json", ".conf"))
NAMES = [f"{path.parent.name}/{path.name}" for path in FILES]
PLATFORMS = sorted({path.parent.name for path in FILES})
KEYS = {"about", "kind", "interfaces", "parses", "refused"}
PACKET = re.compile(
    r"(?P<interface>\S+) \| (?P<protocol>\w+) (?P<src>[\d.]+)(:(?P<sport>\d+))? > (?P<dst>[\d.]+)(:(?P<dport>\d+))?"
    r"(?P<marks>( [\w/ ]+)?) \| (?P<action>permit|deny) by (?P<acl>[^,]+), (?P<entry>.+)"
)
WHOLE = re.compile(r"is not complete|has no nameif|leads back here|no chain '")  # of a file, not of a line
MUTATIONS = 60  # of each file that is read


def expectation(path):
    data = yaml.safe_load(path.with_suffix(".expect.yaml").read_text())
    assert set(data) <= KEYS, path
    assert ("parses" in data) != ("refused" in data), path
    assert data["about"].strip()
    return data


def context_of(platform, data):
    """The device that the inventory makes of it."""
    kind = Kind(data.get("kind", "router"))
    given = data["interfaces"]
    bridge = "lan" if kind is Kind.SWITCH else None
    named = {name: [IPv4Network(p) for p in prefixes] for name, prefixes in given.items() if isinstance(prefixes, list)}
    rest = [IPv4Network("0.0.0.0/0")]
    for prefix in (prefix for prefixes in named.values() for prefix in prefixes):
        rest = [
            piece
            for one in rest
            for piece in (
                one.address_exclude(prefix) if prefix.subnet_of(one) else [one] if not one.subnet_of(prefix) else []
            )
        ]
    domains = {name: tuple(named.get(name, rest)) for name in given}
    interfaces = {
        name: Interface("dev1", name, (IPv4Interface("192.0.2.1/24"),) * (not bridge), bridge) for name in given
    }
    node = Node("dev1", kind, interfaces, (), platform, None, FilterData())
    return DeviceContext("dev1", tuple(interfaces), node.stateful, "uipath", node, {} if bridge else domains)


def read(path, data, text=None):
    platform = get(path.parent.name)
    text = path.read_bytes().decode() if text is None else text
    context = context_of(path.parent.name, data)
    if path.suffix in (".nft", ".conf"):
        return platform.parse_config(text, path.name, context, platform.empty(context))
    return platform.parse_running({platform.show_commands[0]: text}, context)


def entries_of(state):
    """How many entries each list has; of a filter that is bound, terms."""
    if hasattr(state, "ruleset"):
        return {
            f"{key[0]} {key[1]} {name}": len(chain.rules)
            for key, chains in state.ruleset.tables.items()
            for name, chain in chains.items()
        }
    if hasattr(state, "statements"):
        return {bound.name: len(bound.terms) for bound in state.bound.values()}
    if hasattr(state, "rules"):
        return {n: sum(one.words[0] != "remark" for one in lines) for n, lines in state.config.lists.items()}
    return {name: len(acl.entries) for name, acl in state.config.acls.items()}


def bound_of(state):
    if hasattr(state, "statements"):
        return {f"{name} {direction} {bound.name}" for (name, direction), bound in state.bound.items()}
    if hasattr(state, "rules"):
        return {" ".join((*key, name)).strip() for key, (name, _) in state.config.bound.items() if name in state.rules}
    known = {key for key in state.config.bindings if key in state._bound()}
    return {f"{name} {direction.value} {state.config.bindings[name, direction].acl}" for name, direction in known}


def packet_of(line):
    """(interface, packet, state of its connection, action, list, piece of the entry)."""
    one = PACKET.fullmatch(line)
    assert one, line
    marks = one["marks"].split()
    kind = IcmpKind.parse(marks[marks.index("type") + 1]) if "type" in marks else None
    marks = [mark for mark in marks if mark not in ("type", str(kind))]
    assert set(marks) <= {"ack", "fragment", "known", "related"}, line
    packet = Packet(
        IPv4Address(one["src"]),
        IPv4Address(one["dst"]),
        protocol_number(one["protocol"]),
        int(one["sport"] or 0),
        int(one["dport"] or 0),
        established="ack" in marks,
        icmp=kind,
        fragment="fragment" in marks,
    )
    state = {"known": ConnState.ESTABLISHED, "related": ConnState.RELATED}.get(
        " ".join({"known", "related"} & set(marks))
    )
    return one["interface"], packet, state or ConnState.NEW, Action(one["action"]), one["acl"], one["entry"]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_configuration_is_read_or_refused_as_is_stated(path):
    data = expectation(path)
    if "refused" in data:
        check_refusal(path, data)
        return
    state = read(path, data)
    wanted = data["parses"]
    counts = entries_of(state)
    assert {name: counts.get(name) for name in wanted.get("lists", {})} == wanted.get("lists", {})
    if "bound" in wanted:
        assert bound_of(state) == set(wanted["bound"])
    actions = set()
    for line in wanted["packets"]:
        interface, packet, known, action, acl, entry = packet_of(line)
        decision = state.decide(interface, packet, known)
        assert (decision.action, decision.acl) == (action, acl), f"{line}\n{decision}"
        assert entry in f"{decision.place} {decision.entry}", f"{line}\n{decision}"
        assert (packet in state.permitted(Space(), interface, known)) is (action is Action.PERMIT), line
        actions.add(action)
    assert actions == {Action.PERMIT, Action.DENY}, "every permit has a deny twin"
    assert read(path, data).fingerprint() == state.fingerprint()


def check_refusal(path, data):
    wanted = data["refused"]
    with pytest.raises(ConfigError) as caught:
        judge(read(path, data), data)
    message = str(caught.value)
    assert wanted["says"] in message
    if "where" in wanted:  # a listing in JSON has no lines that anybody would count
        assert wanted["where"] in str(caught.value.place)
    else:
        assert caught.value.place.line == wanted["line"], message
    if path.suffix == ".json":
        return
    lines = path.read_bytes().decode().split("\n")
    gone = set(wanted["without"] if "without" in wanted else [wanted["line"]])
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    if gone:
        judge(read(path, data, "\n".join(kept)), data)  # and nothing else of it is refused


def judge(state, data):
    """What is judged only when somebody asks."""
    for interface in data["interfaces"]:
        state.permitted(Space(), interface, ConnState.NEW)


def test_every_platform_has_both_kinds():
    known = ["arista_eos", "cisco_asa", "cisco_ios", "cisco_nxos", "juniper_junos", "linux_nftables"]
    assert known == PLATFORMS
    for platform in PLATFORMS:
        kinds = ["refused" in expectation(path) for path in FILES if path.parent.name == platform]
        assert kinds.count(True) >= 4, platform
        assert kinds.count(False) >= 4, platform
    stray = {path.name for path in CORPUS.glob("*/*.yaml")} - {path.with_suffix(".expect.yaml").name for path in FILES}
    assert not stray


# ---- edits of single words ---------------------------------------------------------------------------

LISTED = re.compile(
    r"permit|deny|access-(list|group)|object|port-|eq |range|host|filter|term|prefix-list|accept|drop|nft|rule"
)
JUNK = (
    "", "permit", "any", "host", "eq", "range", "999999999999", "300.1.1.1", "10.0.0.0/99", "-1", "0", "٣", "log", "in",
    "object-group", "no", '"', "{", "}", "10.0.0.1", "255.0.255.0", "established", "x" * 70, "!=", "9" * 5000, "\x00",
)  # fmt: skip


@pytest.mark.parametrize(
    "path", [p for p in FILES if "parses" in expectation(p)], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_edit_of_a_word_brings_a_traceback(path):
    """A word that is left out, doubled or replaced is understood, or refused with its place: never anything else."""
    data = expectation(path)
    rng = random.Random(path.name)
    lines = path.read_bytes().decode().split("\n")
    listed = [number for number, line in enumerate(lines) if LISTED.search(line)]
    first = next(iter(data["interfaces"]))
    refusals = []
    for _ in range(MUTATIONS):
        number = rng.choice(listed)
        pieces = re.split(r"(\s+)", lines[number])
        at = rng.choice([place for place, piece in enumerate(pieces) if piece.strip()])
        how = rng.choice(("gone", "twice", "junk", "neighbour"))
        pieces[at] = {
            "gone": "",
            "twice": f"{pieces[at]} {pieces[at]}",
            "junk": rng.choice(JUNK),
            "neighbour": rng.choice(lines[rng.choice(listed)].split() or [""]),
        }[how]
        text = "\n".join([*lines[:number], "".join(pieces), *lines[number + 1 :]])
        try:
            read(path, data, text).permitted(Space(), first, ConnState.NEW)
        except ConfigError as error:
            refusals.append(error)
    assert refusals
    for error in refusals:
        assert error.place.line or path.suffix == ".json" or WHOLE.search(str(error)), error


@pytest.mark.parametrize(
    "path", [p for p in FILES if "parses" in expectation(p)], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_cut_brings_a_traceback(path):
    """Half a configuration, cut anywhere, is read as what it says, or refused."""
    data = expectation(path)
    text = path.read_bytes().decode()
    first = next(iter(data["interfaces"]))
    rng = random.Random(path.name)
    refusals = []
    for _ in range(10):
        try:
            read(path, data, text[: rng.randrange(len(text))]).permitted(Space(), first, ConnState.NEW)
        except ConfigError as error:
            refusals.append(error)
    assert all(error.place is not None for error in refusals)
