"""Policy -> text -> state: what is rendered does what the policy says, by our reading and by the kernel's."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.rulesets import LOADED
from toolkit.errors import PolicyError
from toolkit.net import ANY_PORT, ANY_SERVICE, ANYWHERE, ICMP, TCP, UDP, Action, Direction, IcmpKind, PortRange, Service
from toolkit.packets import Box, Space
from toolkit.platforms import get, names
from toolkit.platforms.base import ConnState
from toolkit.platforms.linux_nftables import PLATFORM
from toolkit.policy import Ace, Acl, DevicePolicy, Requiredness
from toolkit.site import Enforcement
from toolkit.topology import Kind, Ownership

GOLDENS = Path(__file__).parent / "goldens"
SHOW = PLATFORM.show_commands[0]
NEW, KNOWN = ConnState.NEW, ConnState.ESTABLISHED
CORP = """table inet corp {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		ip saddr 10.0.1.66 drop comment "CORP-10 quarantine"
		ip saddr 10.0.1.5 tcp dport 80 accept comment "CORP-1 web"
		counter drop comment "CORP-999 default drop"
	}
}
"""
JUMP = {"mode": "jump", "family": "inet", "table": "corp", "chain": "forward"}
EXTEND = {**JUMP, "mode": "extend"}


def net(text):
    return IPv4Network(text)


def tcp(port, last=None):
    return Service(TCP, PortRange(port, last or port))


def permit(service, sources=(ANYWHERE,), destinations=(ANYWHERE,), **extra):
    return Ace(Action.PERMIT, service, tuple(map(net, sources)), tuple(map(net, destinations)), **extra)


def deny(service=ANY_SERVICE, **extra):
    return Ace(Action.DENY, service, comment="default deny", log=True, **extra)


def make_policy(context, entries, required=None):
    """`entries` and `required` by interface; what is required is asked for of new and known connections."""
    acls = tuple(
        Acl(f"uipath_{name}_in", "dev1", name, Direction.IN, tuple(entries.get(name, ())))
        for name in context.interfaces
    )
    asked = {
        name: tuple((box, ("r1",)) for ace in (required or {}).get(name, ()) for box in ace.boxes())
        for name in context.interfaces
    }
    return DevicePolicy(
        device="dev1",
        platform="linux_nftables",
        ownership=context.node.filter.mode,
        stateful=context.stateful,
        enforcement=Enforcement.ENFORCE,
        prefix="uipath",
        acls=acls,
        required={name: Requiredness(boxes, boxes if context.stateful else ()) for name, boxes in asked.items()},
        scope=(Box(),),
        domains=context.domains,
    )


def before_of(context, text=""):
    return PLATFORM.parse_config(text, "running.nft", context, PLATFORM.empty(context))


def after_of(context, candidate, before):
    return PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)


def listed(context, listing):
    return PLATFORM.parse_running({SHOW: listing}, context)


def comments(state):
    return re.findall(r'comment "([^"]*)"', state.text())


# ---- hand-made policies and their goldens ----------------------------------------------------

NODES = ("10.0.1.11/32", "10.0.1.12/32")


def hand_made(device, name):
    """(context, entries, foreign text) of a golden; every entry of them matters."""
    if name == "own_bridge":
        entries = {
            "eth1": (
                permit(tcp(443), NODES, ("10.0.2.20/32",), comment='tcp-443 (spec "A" line 11)'),
                permit(
                    Service(TCP, PortRange(1024, 65535)), ("10.0.1.11/32",), ("10.0.2.0/24",),
                    sport=PortRange(22, 22), established=True, comment="tcp-22 (spec line 10), answers",
                ),
                permit(Service(UDP, PortRange(8472, 8472)), ("10.0.1.12/32",), NODES, comment="udp-8472"),
                permit(Service(ICMP, icmp=IcmpKind(3, 4)), comment="too big"),
                permit(Service(112), ("10.0.1.11/32",), ("224.0.0.18/32",), comment="VRRP"),
                deny(),
            ),
            "eth2": (permit(Service(ICMP, icmp=IcmpKind(8)), comment="echo"), deny(Service(ICMP))),
            "eth3": (permit(tcp(22), destinations=("10.0.1.11/32",), comment="ssh"), deny(destinations=(net("10.0.1.0/24"),))),
        }  # fmt: skip
        return device(Kind.SWITCH), entries, ""
    entries = {
        "eth1": (
            permit(tcp(2379, 2380), NODES, ("10.0.2.13/32",), comment="etcd"),
            permit(Service(TCP), ("10.0.1.11/32",), ("10.0.2.14/32",), comment="any TCP"),
        ),
        "eth2": (permit(Service(UDP, PortRange(53, 53)), ("10.0.2.13/32",), comment="dns"),),
    }
    if name == "jump":
        return device(**JUMP), entries, CORP
    if name == "extend":
        resolver = permit(Service(UDP, PortRange(53, 53)), destinations=("10.0.2.53/32",), comment="resolver")
        there = permit(tcp(80), ("10.0.1.5/32",), comment="permitted by CORP-1 already")
        early = permit(tcp(22), ("10.0.1.64/30",), ("10.0.2.13/32",), comment="one of these is in quarantine")
        return device(**EXTEND, override=("CORP-10",)), {
            "eth1": (*entries["eth1"], there, early, resolver), "eth2": entries["eth2"], "eth3": (resolver,),
        }, CORP  # fmt: skip
    return device(), {key: (*value, deny()) for key, value in entries.items()}, ""


NAMES = ("own_bridge", "own_stateful", "jump", "extend")


@pytest.mark.parametrize("name", NAMES)
def test_rendered_text_is_the_golden_and_the_kernel_reads_it_the_same(device, kernel, name):
    context, entries, foreign = hand_made(device, name)
    before = before_of(context, foreign)
    candidate = PLATFORM.render(
        make_policy(context, entries, {} if name == "own_bridge" else entries_required(entries)), before
    )
    assert candidate.text == (GOLDENS / f"{name}.nft").read_text(encoding="utf-8")
    after = after_of(context, candidate, before)
    running = listed(context, kernel(*filter(None, [foreign]), candidate.text))
    assert running.fingerprint() == after.fingerprint()
    assert comments(running) == comments(after)
    assert PLATFORM.change(candidate, running).is_empty


def entries_required(entries):
    return {name: [ace for ace in aces if ace.action is Action.PERMIT] for name, aces in entries.items()}


def rule_lines(text):
    return [
        n
        for n, line in enumerate(text.splitlines())
        if re.search(r"\b(accept|drop|jump)\b", line) and "policy" not in line
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_of_a_golden_matters_and_each_value_in_it(device, name):
    context, _, foreign = hand_made(device, name)
    before = before_of(context, foreign)
    text = (GOLDENS / f"{name}.nft").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    space = Space()

    def meaning(changed):
        state = PLATFORM.parse_config(changed, "edited.nft", context, before)
        return [state.permitted(space, interface, conn) for interface in context.interfaces for conn in ConnState]

    original = meaning(text)
    edits = 0
    for number in rule_lines(text):
        line = lines[number]
        if "frag-off" in line:
            continue  # the model knows that fragments have no ports; the kernel must be told
        if "jump uipath_eth3_in" in line and name == "own_stateful":
            continue  # bound, and empty: nothing is asked of this interface
        versions = {
            "",
            re.sub(r"\b(accept|drop)\b", lambda m: {"accept": "drop", "drop": "accept"}[m[0]], line, count=1),
            re.sub(r"dport (\d+) ", lambda m: f"dport {m[1]}-{int(m[1]) + 1} ", line),
            re.sub(r"(ip [sd]addr) (\d+\.\d+\.\d+\.\d+) ", r"\1 != \2 ", line, count=1),
            line.replace("tcp flags ack,rst ", ""),
            re.sub(r"icmp (type|code) (\d+)", r"icmp \1 7", line, count=1),
            re.sub(r'(iifname|jump) ("?(?:uipath_)?eth)1', r"\1 \g<2>2", line),
        } - {line}
        if "jump" in name and "accept" not in line:
            versions = {""}  # the jump itself
        for version in versions:
            edits += 1
            changed = "".join([*lines[:number], version, *lines[number + 1 :]])
            assert meaning(changed) != original, f"{line!r} -> {version!r} changes nothing"
    assert edits > 10


@pytest.mark.parametrize("name", NAMES)
def test_edits_that_keep_the_meaning_keep_it(device, name):
    context, _, foreign = hand_made(device, name)
    before = before_of(context, foreign)
    text = (GOLDENS / f"{name}.nft").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    first, second = [n for n in rule_lines(text) if "counter accept" in lines[n] and "ip saddr" in lines[n]][:2]
    lines[first], lines[second] = lines[second], lines[first]
    edited = (
        "".join(lines).replace("10.0.2.0/24", "{ 10.0.2.0/25, 10.0.2.128/25 }").replace("2379-2380", "{ 2379, 2380 }")
    )
    assert edited != text
    space = Space()
    one, other = (PLATFORM.parse_config(t, "x.nft", context, before) for t in (text, edited))
    for interface in context.interfaces:
        for conn in ConnState:
            assert one.permitted(space, interface, conn) == other.permitted(space, interface, conn)


# ---- generated policies ----------------------------------------------------------------------

PREFIXES = ["10.0.1.11/32", "10.0.1.12/32", "10.0.1.0/28", "10.0.2.0/24", "192.0.2.0/31", "0.0.0.0/0"]
SERVICES = [
    ANY_SERVICE, Service(TCP), Service(UDP), tcp(22), tcp(20, 25), tcp(0, 1023), Service(UDP, PortRange(53, 53)),
    Service(132, PortRange(5, 5)), Service(ICMP), Service(ICMP, icmp=IcmpKind(8)), Service(ICMP, icmp=IcmpKind(3, 4)),
    Service(47), Service(88), Service(112), Service(200),
]  # fmt: skip
NETWORKS = st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3, unique=True).map(
    lambda texts: tuple(map(net, texts))
)


@st.composite
def aces(draw, actions=tuple(Action)):
    service = draw(st.sampled_from(SERVICES))
    with_ports = service.protocol in (TCP, UDP, 132)
    return Ace(
        draw(st.sampled_from(actions)),
        service,
        draw(NETWORKS),
        draw(NETWORKS),
        sport=draw(st.sampled_from([ANY_PORT, PortRange(443, 443), PortRange(1024, 65535)]))
        if with_ports
        else ANY_PORT,
        established=service.protocol == TCP and draw(st.booleans()),
        comment=draw(st.text(max_size=140)),
        log=draw(st.booleans()),
    )


def entries_of(actions=tuple(Action)):
    return st.dictionaries(
        st.sampled_from(["eth1", "eth2"]), st.lists(aces(actions), max_size=4).map(tuple), min_size=1
    )


def expected(space, entries, interface):
    boxes = [(ace.action, box) for ace in entries.get(interface, ()) for box in ace.boxes()]
    return space.acl(boxes, default=Action.PERMIT)


@pytest.mark.parametrize("kind", [Kind.SWITCH, Kind.FIREWALL])
def test_own_permits_exactly_what_the_acls_permit(device, kind):
    context = device(kind)

    @settings(max_examples=120, deadline=None)
    @given(entries_of())
    def check(entries):
        before = PLATFORM.empty(context)
        after = after_of(context, PLATFORM.render(make_policy(context, entries), before), before)
        space = Space()
        for interface in context.interfaces:
            assert after.permitted(space, interface, NEW) == expected(space, entries, interface)
            if kind is Kind.FIREWALL:
                assert after.permitted(space, interface, KNOWN) == space.full

    check()


@pytest.mark.parametrize("mode", ["jump", "extend"])
def test_exactly_the_permits_are_added_to_what_passed_before(device, mode):
    context = device(**JUMP | {"mode": mode}, override=("CORP-10",))
    before = before_of(context, CORP)

    @settings(max_examples=120, deadline=None)
    @given(entries_of((Action.PERMIT,)))
    def check(entries):
        after = after_of(context, PLATFORM.render(make_policy(context, entries), before), before)
        space = Space()
        for interface in context.interfaces:
            added = space.union(box for ace in entries.get(interface, ()) for box in ace.boxes())
            for conn in ConnState:
                was = before.permitted(space, interface, conn)
                assert after.permitted(space, interface, conn) == was | added
        assert after.without_owned().fingerprint() == before.fingerprint()

    check()


@pytest.mark.parametrize("mode", ["bridge", "firewall", "jump", "extend"])
def test_the_kernel_reads_generated_policies_as_we_do_and_a_second_apply_is_empty(device, kernel, mode):
    brownfield = mode in ("jump", "extend")
    context = device(Kind.SWITCH) if mode == "bridge" else device()
    if brownfield:
        context = device(**JUMP | {"mode": mode}, override=("CORP-10",))
    foreign = CORP if brownfield else ""
    before = before_of(context, foreign)

    @LOADED
    @given(entries_of((Action.PERMIT,) if brownfield else tuple(Action)))
    def check(entries):
        candidate = PLATFORM.render(make_policy(context, entries), before)
        running = listed(context, kernel(*filter(None, [foreign]), candidate.text))
        assert running.ruleset == after_of(context, candidate, before).ruleset
        assert PLATFORM.change(candidate, running).is_empty
        assert PLATFORM.restore(running, running) == ""

    check()


def test_only_ipv4_is_ever_denied(device):
    """ARP and IPv6 pass: each drop looks at an IPv4 address, an ICMP kind, or asks for IPv4."""
    for kind, guard in ((Kind.SWITCH, "ether type ip "), (Kind.FIREWALL, "meta nfproto ipv4 ")):
        context = device(kind)
        entries = {"eth1": tuple(deny(service) for service in SERVICES)}
        text = PLATFORM.render(make_policy(context, entries), PLATFORM.empty(context)).text
        drops = [line for line in text.splitlines() if " drop " in line and "frag-off" not in line]
        assert len(drops) == len(SERVICES)
        assert all(guard in line or "icmp type" in line or "ip protocol icmp" in line for line in drops)
        after = before_of(context, text)
        assert not any(after.filters_ipv6(interface) for interface in context.interfaces)


# ---- what is refused -------------------------------------------------------------------------


def refusal(context, foreign, service=None, source="10.0.1.11/32"):
    ace = permit(service or tcp(22), (source,), ("10.0.2.13/32",))
    with pytest.raises(PolicyError) as caught:
        PLATFORM.render(make_policy(context, {"eth1": (ace,)}, {"eth1": (ace,)}), before_of(context, foreign))
    return str(caught.value)


def accepted(context, foreign, source="10.0.1.11/32"):
    ace = permit(tcp(22), (source,), ("10.0.2.13/32",))
    before = before_of(context, foreign)
    return PLATFORM.render(make_policy(context, {"eth1": (ace,)}, {"eth1": (ace,)}), before)


def test_own_is_refused_where_a_foreign_rule_denies_what_is_required(device):
    message = refusal(device(), CORP)
    assert "CORP-999 default drop" in message
    assert "running.nft:7" in message


def test_own_is_refused_where_a_foreign_table_has_our_name(device):
    assert "is not ours" in refusal(device(), "table inet uipath {\n\tchain input {\n\t}\n}\n")


def test_own_replaces_a_table_that_has_our_chains(device):
    context = device()
    first = accepted(context, "")
    assert accepted(context, first.text + "add rule inet uipath forward counter\n").text == first.text


def test_a_chain_name_that_nft_would_not_take_is_refused(device):
    from dataclasses import replace

    context = device()
    policy = make_policy(context, {})
    policy = replace(policy, acls=(replace(policy.acls[0], name="uipath_eth1:0_in"),))
    with pytest.raises(PolicyError, match="no name that nftables takes"):
        PLATFORM.render(policy, PLATFORM.empty(context))


@pytest.mark.parametrize("foreign", ["", CORP.replace("chain forward", "chain other"), CORP.replace("corp", "else")])
@pytest.mark.parametrize("mode", ["jump", "extend"])
def test_the_foreign_chain_must_be_there_and_those_that_are_get_named(device, mode, foreign):
    message = refusal(device(**JUMP | {"mode": mode}), foreign)
    assert "no base chain 'forward' in table inet corp" in message
    assert ("base chains: none" if not foreign else "base chains: inet ") in message


def test_jump_overtakes_the_default_but_no_explicit_deny(device):
    assert "jump uipath_forward" in accepted(device(**JUMP), CORP).text
    assert "CORP-10 quarantine" in refusal(device(**JUMP), CORP, source="10.0.1.66/32")


def test_an_explicit_deny_of_a_part_is_found_behind_the_default(device):
    assert "CORP-10 quarantine" in refusal(device(**JUMP), CORP, source="10.0.1.0/24")


@pytest.mark.parametrize("name", ["CORP-10", "CORP-10 quarantine", "ip saddr 10.0.1.66 drop"])
@pytest.mark.parametrize("mode", ["jump", "extend"])
def test_an_override_by_name_is_the_operators_decision(device, mode, name):
    assert "CORP-10 quarantine" in refusal(device(**JUMP | {"mode": mode}), CORP, source="10.0.1.66/32")
    assert accepted(device(**JUMP | {"mode": mode}, override=(name,)), CORP, "10.0.1.66/32")


@pytest.mark.parametrize("name", ["CORP-1", "CORP", "quarantine", "None", "CORP-999", "policy drop"])
@pytest.mark.parametrize("mode", ["jump", "extend"])
def test_an_override_names_a_whole_comment_or_its_first_word_of_an_explicit_deny(device, mode, name):
    context = device(**JUMP | {"mode": mode}, override=(name,))
    message = f"override '{name}' names no explicit deny there (valid choices: 'CORP-10 quarantine')"
    assert message in refusal(context, CORP, source="10.0.1.66/32")


@pytest.mark.parametrize("mode", ["jump", "extend"])
def test_an_override_by_handle(device, kernel, mode):
    listing = kernel(CORP)
    handle = next(r.handle for r in listed(device(**JUMP), listing).ruleset.tables["inet", "corp"]["forward"].rules
                  if r.comment.startswith("CORP-10 "))  # fmt: skip
    context = device(**JUMP | {"mode": mode}, override=(str(handle),))
    ace = permit(tcp(22), ("10.0.1.66/32",))
    policy = make_policy(context, {"eth1": (ace,)}, {"eth1": (ace,)})
    assert PLATFORM.render(policy, listed(context, listing))
    # A file gives no handles, so nobody can say there that the name is wrong; the deny still stops it.
    assert "CORP-10 quarantine" in refusal(context, CORP, source="10.0.1.66/32")
    wrong = device(**JUMP | {"mode": mode}, override=(f"handle {handle + 100}",))
    with pytest.raises(PolicyError, match=r"names no explicit deny there \(valid choices: 'CORP-10 quarantine'\)"):
        PLATFORM.render(policy, listed(wrong, listing))


def test_a_drop_that_ends_another_chain_is_no_default(device):
    sub = CORP.replace("\tchain forward", "\tchain bad {\n\t\tdrop\n\t}\n\tchain forward").replace(
        'drop comment "CORP-10 quarantine"', "jump bad"
    )
    assert "corp bad: drop" in refusal(device(**JUMP), sub, source="10.0.1.66/32")


def test_jump_cannot_overtake_another_base_chain(device):
    other = "table inet more {\n\tchain f {\n\t\ttype filter hook forward priority 5; policy drop;\n\t\tct state established accept\n\t}\n}\n"
    assert "inet more f: policy drop" in refusal(device(**JUMP), CORP + other)


def test_answers_of_known_connections_must_pass(device):
    from dataclasses import replace

    context = device(**JUMP)
    ace = permit(tcp(22), ("10.0.1.11/32",), ("10.0.2.13/32",))
    policy = make_policy(context, {"eth1": (ace,)}, {"eth1": (ace,)})
    answer = Box.of(Service(TCP), net("10.0.2.13/32"), net("10.0.1.11/32"), PortRange(22, 22))
    policy = replace(policy, required={**policy.required, "eth2": Requiredness((), ((answer, ("r1",)),))})
    assert PLATFORM.render(policy, before_of(context, CORP))
    with pytest.raises(PolicyError, match="belongs to a known connection"):
        PLATFORM.render(policy, before_of(context, CORP.replace("\t\tct state established,related accept\n", "")))


def test_comments_fit_nft_on_one_line_and_in_bytes(device):
    ace = permit(tcp(1), comment='say "é"\n' + "é" * 100)
    candidate = PLATFORM.render(make_policy(device(), {"eth1": (ace,)}), PLATFORM.empty(device()))
    (comment,) = [c for c in re.findall(r'comment "([^"]*)"', candidate.text) if c.startswith("say")]
    assert comment.startswith("say 'é' éé")
    assert len(comment.encode()) <= 127


def test_platforms_are_the_files_of_the_folder():
    assert "linux_nftables" in names()
    assert get("linux_nftables") is PLATFORM
    assert PLATFORM.name == "linux_nftables"
    with pytest.raises(Exception, match=r"unknown platform 'ios' \(valid platforms: .*linux_nftables.*\)"):
        get("ios")
    with pytest.raises(Exception, match="unknown platform"):
        get("_nft_model")


def test_ownership_modes_are_all_decided():
    assert set(Ownership) == {Ownership.OWN, Ownership.EXTEND, Ownership.JUMP, Ownership.NONE}
