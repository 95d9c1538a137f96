"""Policy -> text -> state on IOS, EOS and NX-OS, and the lines that lead from one state to another."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.cisco import NAMES, NEW, deny, make_context, make_policy, permit, port_of, read, site_of, tcp
from toolkit.errors import ConfigError, PolicyError
from toolkit.net import ANY_SERVICE, ICMP, UDP, Action, Direction, IcmpKind, Packet, PortRange, Service
from toolkit.packets import FRAGMENTS, Block, Space
from toolkit.platforms import get
from toolkit.platforms._cisco_names import interface_key
from toolkit.render import context, render
from toolkit.render.proof import prove
from toolkit.render.work import Work
from toolkit.site import Enforcement
from toolkit.topology import Kind

GOLDENS = Path(__file__).parent / "golden"
EACH = pytest.mark.parametrize("name", NAMES)
NODES = ("10.0.1.11/32", "10.0.1.12/32", "10.0.1.13/32")
PEERS = ("10.0.2.11/32", "10.0.2.12/32", "10.0.2.16/28")
# What an analyser of configurations does not read (golden/README.md).
UNREAD = {("cisco_ios", "fragments"), ("arista_eos", "fragments"), ("cisco_nxos", "switched")}
# `show running-config` as each of them begins and ends it.
FRAMES = {
    "cisco_ios": ("Building configuration...\n\nCurrent configuration : 4711 bytes\n!\nversion 17.9\n!\n", "end\n"),
    "arista_eos": ("! Command: show running-config\n! device: dev1 (vEOS, EOS-4.31.2F)\n!\n", "end\n"),
    "cisco_nxos": (
        "\n!Command: show running-config\n!Time: Mon Nov 23 10:00:00 2026\n\nversion 10.3(4a) Bios:version\n",
        "",
    ),
}


def hand_made(device):
    one, two, three = device.interfaces
    scope = (
        deny(sources=NODES, comment="default deny"),
        deny(destinations=NODES, comment="default deny"),
        deny(tcp(587), destinations=("10.0.3.25/32",), comment="default deny"),
    )
    return {
        one: (
            permit(tcp(443), NODES, PEERS, comment="tcp-443 (page line 11)"),
            permit(tcp(2379, 2380), NODES, PEERS, comment="tcp-2379 (page line 12)"),
            permit(tcp(1024, 65535), NODES, ("10.0.2.0/24",), sport=PortRange(22, 22), established=True, comment="ssh, answers"),
            permit(Service(UDP, PortRange(8472, 8472)), NODES, PEERS, comment="what?! 'é' \t is kept readable"),
            permit(Service(112), NODES[:1], ("224.0.0.18/32",), comment="VRRP"),
            *scope,
        ),
        two: (
            permit(Service(ICMP, icmp=IcmpKind(8)), ("10.0.2.0/24",), NODES, comment="echo"),
            permit(Service(ICMP, icmp=IcmpKind(3, 4)), destinations=NODES, comment="too big"),
            *scope,
        ),
        three: scope,
    }  # fmt: skip


def rendered(device, entries=None, enforcement=Enforcement.ENFORCE, foreign=""):
    policy = make_policy(device, hand_made(device) if entries is None else entries, enforcement)
    before = read(device, foreign)
    platform = get(device.node.platform)
    return policy, before, platform.render(policy, before)


def loaded(device, text, before, file="dev1.cfg"):
    return get(device.node.platform).parse_config(text, file, device, before)


# ---- goldens -------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("case", ["routed", "plain", "switched", "monitor", "fragments"])
def test_rendered_text_is_the_golden_and_proves_its_policy(name, case):
    fragments = "deny" if case == "fragments" else "follow"
    device = make_context(name, switched=case == "switched", plain=case == "plain", fragments=fragments)
    enforcement = Enforcement.MONITOR if case == "monitor" else Enforcement.ENFORCE
    entries = hand_made(device)
    if case == "monitor":
        entries = {
            key: tuple(replace(ace, action=Action.PERMIT) if ace.log else ace for ace in aces)
            for key, aces in entries.items()
        }
    policy, before, candidate = rendered(device, entries, enforcement)
    golden = GOLDENS / name / f"{case}.{'txt' if (name, case) in UNREAD else 'cfg'}"
    assert candidate.text == golden.read_text(encoding="utf-8")
    proof = prove(policy, loaded(device, candidate.text, before), before, Space())
    assert proof.equivalent, proof.witnesses[0]
    assert ("fragments" in candidate.text) is (case == "fragments")


@EACH
def test_a_permit_that_is_left_out_and_one_too_many_show_in_the_proof(name):
    device = make_context(name)
    policy, before, candidate = rendered(device)
    line = next(line for line in candidate.text.splitlines() if "permit tcp" in line and " 443" in line)
    number = line.partition("permit")[0]
    for new, kind in (("!", "required_denied"), (f"{number}permit ip any any", "extra_permitted")):
        text = candidate.text.replace(line, new)
        proof = prove(policy, loaded(device, text, before), before, Space())
        assert kind in {one.kind.value for one in proof.witnesses}


@EACH
def test_object_groups_shorten_only_where_they_do(name):
    device = make_context(name)
    _, _, candidate = rendered(device)
    _, _, plain = rendered(make_context(name, plain=True))
    used = "object-group" in candidate.text
    assert used is (name != "arista_eos")
    assert ("object-group" in plain.text) is False
    assert (len(candidate.text.splitlines()) < len(plain.text.splitlines())) is used
    one = {port_of(device): (permit(tcp(1), NODES[:2], PEERS[:1]), deny(destinations=PEERS[:1]))}
    assert "object-group" not in rendered(device, one)[2].text  # two lines are no longer than a group and a line


@EACH
def test_every_line_fits_the_command_line(name):
    long = "x" * 300 + "?\n\x07"
    device = make_context(name)
    _, _, candidate = rendered(device, {port_of(device): (permit(tcp(1), comment=long), deny())})
    remarks = [line.partition("remark ")[2] for line in candidate.text.splitlines() if "remark x" in line]
    assert remarks == ["x" * 100]
    assert "?" not in candidate.text
    assert all(len(acl) <= 63 and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", acl) for acl in candidate.acls)
    assert candidate.text.isascii()


# ---- the reference site ------------------------------------------------------------------------------


@EACH
def test_the_reference_site_is_proved_and_pushed_and_rolled_back(name, reference):
    work = Work.of(site_of(reference, name))
    platform = get(name)
    assert set(work.rendered) == {"leaf1", "leaf2", "fw1", "fw2"}
    for device, one in work.rendered.items():
        change = platform.change(one.candidate, one.before)
        after = platform.parse_config(change.apply, "apply", one.after.context, one.before)
        assert after.fingerprint() == one.after.fingerprint()
        assert platform.change(one.candidate, after).is_empty
        shown = platform.parse_running(
            {"show running-config": FRAMES[name][0] + after.text() + FRAMES[name][1]}, after.context
        )
        assert shown.fingerprint() == after.fingerprint()
        assert platform.change(one.candidate, shown).is_empty
        back = platform.parse_config(change.rollback, "rollback", after.context, after)
        assert back.text() == one.before.text() == ""
        assert after.owned() is not None, device
        assert after.without_owned().fingerprint() == one.before.fingerprint()


@EACH
def test_a_device_of_the_site_denies_what_the_page_does_not_ask_for(name, reference):
    work = Work.of(site_of(reference, name))
    leaf = work.rendered["leaf1"]
    packets = [leaf.after.permitted(work.space, port, NEW) for port in leaf.after.context.interfaces]
    assert all(packets[0] != other for other in packets[2:3])
    scope = work.space.union(leaf.policy.scope)
    assert all(one & scope != scope for one in packets)
    assert all((work.space.full - scope) <= one for one in packets)


# ---- every policy ------------------------------------------------------------------------------------

PREFIXES = st.sampled_from(["10.0.1.0/24", "10.0.1.8/29", "10.0.1.11/32", "10.0.2.11/32", "0.0.0.0/0", "10.0.2.0/25"])
SOME = st.lists(PREFIXES, min_size=1, max_size=4, unique=True)
PORT = st.sampled_from([PortRange(0, 65535), PortRange(443, 443), PortRange(1, 1023), PortRange(1024, 65535)])
ICMPS = st.sampled_from([None, IcmpKind(8), IcmpKind(3, 4), IcmpKind(0, 0), IcmpKind(42)])


@st.composite
def services(draw):
    protocol = draw(st.sampled_from([None, ICMP, 6, UDP, 112, 89]))
    if protocol == ICMP:
        return Service(ICMP, icmp=draw(ICMPS)), {}
    if protocol in (6, UDP):
        extra = {"sport": draw(PORT), "established": protocol == 6 and draw(st.booleans())}
        return Service(protocol, draw(PORT)), extra
    return Service(protocol), {}


@st.composite
def policies(draw):
    permits = [
        permit(service, draw(SOME), draw(SOME), comment=draw(st.text(max_size=8)), **extra)
        for service, extra in draw(st.lists(services(), max_size=5))
    ]
    scope = [
        deny(service, draw(SOME), draw(SOME), **extra) for service, extra in draw(st.lists(services(), max_size=3))
    ]
    return (*permits, *scope)


@EACH
@given(entries=policies(), switched=st.booleans(), plain=st.booleans(), fragments=st.sampled_from(["follow", "deny"]))
@settings(max_examples=80, deadline=None)
def test_what_is_rendered_means_exactly_what_the_policy_says(name, entries, switched, plain, fragments):
    device = make_context(name, switched=switched, plain=plain, fragments=fragments)
    port = port_of(device)
    policy, before, candidate = rendered(device, {port: entries})
    space = Space()
    after = loaded(device, candidate.text, before)
    found = after.permitted(space, port, NEW)
    wanted = space.acl(((ace.action, box) for ace in entries for box in ace.boxes()), Action.PERMIT)
    if fragments == "deny":
        assert found == wanted
    # Nothing but later fragments between the addresses of what is permitted may pass beyond.
    permits = [box for box, _ in policy.required[port].initiating]
    later = space.union(Block(box.protocol, box.dst, box.src, flags=FRAGMENTS) for box in permits)
    assert wanted <= found <= wanted | later
    assert after.permitted(space, port_of(device, 3), NEW) == space.full


@EACH
def test_later_fragments_follow_the_rule_of_the_system_or_are_denied(name):
    packet = Packet(IPv4Address("10.0.1.11"), IPv4Address("10.0.2.11"), 6, fragment=True)
    other = Packet(IPv4Address("10.0.1.11"), IPv4Address("10.0.4.99"), 6, fragment=True)
    for fragments, passes in (("follow", True), ("deny", False)):
        device = make_context(name, fragments=fragments)
        policy, before, candidate = rendered(device)
        after = loaded(device, candidate.text, before)
        assert (after.decide(port_of(device), packet, NEW).action == "permit") is passes
        assert after.decide(port_of(device), other, NEW).action == "deny"
        assert prove(policy, after, before, Space()).equivalent
    # What a device is told to deny is not let through by the proof.
    loose = loaded(device, rendered(make_context(name))[2].text, before)
    assert {one.kind.value for one in prove(policy, loose, before, Space()).witnesses} == {"extra_permitted"}


# ---- from one state to another -----------------------------------------------------------------------


def steps(device, script, before):
    """The states between: of IOS each line counts at once, of the others none before the last."""
    lines = script.splitlines()
    for number in range(1, len(lines) + 1):
        if number == len(lines) or not lines[number].startswith(" "):
            yield lines[number - 1], loaded(device, "\n".join(lines[:number]), before)


FOREIGN = {
    "cisco_ios": "ip access-list extended CORP\n 10 permit ip any any\n!\naccess-list 10 permit 10.0.0.0 0.255.255.255\n",
    "arista_eos": "ip access-list CORP\n   10 permit ip any any\n!\nip access-list standard MGMT\n   10 permit 10.0.0.0/8\n",
    "cisco_nxos": "ip access-list CORP\n  10 permit ip any any\n",
}


@EACH
@pytest.mark.parametrize("drift", ["none", "entry", "group"])
def test_between_two_policies_no_interface_is_unfiltered_and_nothing_is_opened_or_dropped(name, drift):
    device = make_context(name)
    platform = get(name)
    first = loaded(device, rendered(device)[2].text, read(device, FOREIGN[name]))
    other = hand_made(device)
    other[port_of(device)] = (permit(tcp(8443), NODES, PEERS, comment="new"), *other[port_of(device)][1:])
    _, _, candidate = rendered(device, other)
    goal = loaded(device, candidate.text, first.without_owned())
    if drift != "none" and name == "arista_eos" and drift == "group":
        pytest.skip("EOS has no object groups in lists")
    if drift != "none":  # somebody has changed ours: same names, another content
        text = first.text()
        old = "permit tcp" if drift == "entry" else " host 10.0.1.13"
        first = read(device, text.replace(old, {"entry": "deny tcp", "group": " host 10.0.1.99"}[drift]))
    space = Space()
    for before, after in ((first, goal), (goal, first)):
        script = platform.restore(after, before)
        allowed = {
            port: (before.permitted(space, port, NEW), after.permitted(space, port, NEW)) for port in device.interfaces
        }
        for line, state in steps(device, script, before):
            for port, (old, new) in allowed.items():
                assert (interface_key(port), Direction.IN) in state.config.bindings, line
                assert old & new <= state.permitted(space, port, NEW) <= old | new, line
        assert state.text() == after.text()
        assert platform.restore(after, state) == ""
    assert "CORP" in goal.text()


@EACH
def test_taking_all_of_ours_away_leaves_the_others(name):
    device = make_context(name)
    platform = get(name)
    before = read(device, FOREIGN[name])
    after = loaded(device, rendered(device)[2].text, before)
    script = platform.restore(before, after)
    assert loaded(device, script, after).text() == before.text()
    lines = script.splitlines()
    # Off the interfaces first, then the lists, then the groups that they use.
    order = [max(n for n, line in enumerate(lines) if line.strip().startswith(words)) for words in ("no ip access-group", "no ip access-list")]  # fmt: skip
    assert order == sorted(order)
    assert "CORP" not in script


def test_each_system_says_how_a_change_is_undone():
    for name, marks in {
        "cisco_ios": ("configure terminal\n", "end\n", "", "write memory\n"),
        "arista_eos": ("configure session uipath-", "commit timer 00:05:00\n", "configure session uipath-", "write memory\n"),
        "cisco_nxos": ("configure session uipath-", "verify\ncommit\n", "", "copy running-config startup-config\n"),
    }.items():  # fmt: skip
        device = make_context(name)
        _, before, candidate = rendered(device)
        change = get(name).change(candidate, before)
        assert change.apply.startswith(marks[0])
        assert change.apply.endswith(marks[1])
        assert change.confirm.startswith(marks[2])
        assert bool(change.confirm) is bool(marks[2]) is get(name).capabilities.commit_confirm
        assert change.save == marks[3]
        assert "timer" not in change.rollback
        assert change.startup == {}
        assert change.diff.startswith("--- dev1 running")


def test_ios_reverts_by_itself_only_with_an_archive():
    device = make_context("cisco_ios")
    platform = get("cisco_ios")
    for archive, timed in (
        ("archive\n path flash:backup\n", True),
        ("archive\n log config\n  logging enable\n", False),
    ):
        policy, before, candidate = rendered(device, foreign=archive)
        change = platform.change(candidate, before)
        assert change.apply.startswith("configure terminal revert timer 5\n") is timed
        assert change.confirm == ("configure confirm\n" if timed else "")
        assert "revert" not in change.rollback
        assert prove(policy, loaded(device, change.apply, before), before, Space()).equivalent


# ---- refusals ----------------------------------------------------------------------------------------


@EACH
def test_own_refuses_where_somebody_has_a_list(name):
    device = make_context(name)
    bind = f"interface {port_of(device)}\n ip access-group CORP in\n"
    with pytest.raises(PolicyError, match=r"somebody's list CORP is bound there \(inwards\).*use filter.mode extend"):
        rendered(device, foreign=FOREIGN[name] + bind)
    rendered(device, foreign=FOREIGN[name])  # a list that is bound nowhere stands in nobody's way


@EACH
def test_a_list_on_the_way_out_counts_and_may_stop_the_plan(name):
    device = make_context(name)
    out = f"interface {port_of(device, 2)}\n ip access-group CORP out\n"
    policy, before, candidate = rendered(device, foreign=FOREIGN[name] + out)
    assert prove(policy, loaded(device, candidate.text, before), before, Space()).equivalent
    with pytest.raises(
        PolicyError, match=r"another team denies .* -> 10.0.2.*CORP: deny ip any any.*settle it with them"
    ):
        rendered(device, foreign=FOREIGN[name].replace("permit ip any any", "deny ip any any") + out)


@EACH
def test_what_the_system_cannot_do_is_refused(name):
    with pytest.raises(PolicyError, match=f"{name} tracks no connections"):
        rendered(make_context(name, kind=Kind.FIREWALL))
    device = make_context(name, switched=True)
    policy = make_policy(device, {})
    outward = replace(policy, acls=(replace(policy.acls[0], direction=Direction.OUT),))
    with pytest.raises(PolicyError, match="a layer-2 port takes lists inwards only"):
        get(name).render(outward, read(device, ""))
    word = "port " if name == "cisco_nxos" else ""
    text = f"{FOREIGN[name]}interface {port_of(device)}\n ip {word}access-group CORP out\n"
    with pytest.raises(ConfigError, match="bound outwards to a layer-2 port"):
        read(device, text)


@EACH
def test_old_and_new_entries_must_fit_together(name):
    device = make_context(name)
    _, before, candidate = rendered(device)
    after = loaded(device, candidate.text, before)
    size = sum(one.entries for one in after.sizes())
    rendered(make_context(name, capacity=size))
    with pytest.raises(PolicyError, match=rf"{size} entries, .* do not fit into its capacity of {size - 1}"):
        rendered(make_context(name, capacity=size - 1))
    tight = make_context(name, capacity=size + 5)
    now = loaded(tight, candidate.text, before)
    changed = {**hand_made(device), port_of(device): hand_made(device)[port_of(device, 3)]}
    with pytest.raises(PolicyError, match=rf"old and new together \({size} today"):
        get(name).change(rendered(tight, changed)[2], now)


def test_ports_of_protocols_that_the_system_does_not_look_at():
    device = make_context("cisco_nxos")
    sctp = {port_of(device): (permit(Service(132, PortRange(5, 5))), deny())}
    with pytest.raises(PolicyError, match="looks at no ports of 132"):
        rendered(device, sctp)
    assert (
        "132 any any eq 5" in rendered(make_context("cisco_ios"), {"GigabitEthernet0/1": sctp[port_of(device)]})[2].text
    )


@EACH
def test_render_of_a_site_goes_through_the_same_door(name, reference):
    site = site_of(reference, name)
    work = Work.of(site)
    one = work.rendered["fw2"]
    assert one.candidate.platform == name
    again = render(site, work.finder, work.policies["fw2"], one.before, work.space)
    assert again.candidate == one.candidate
    assert context(site, work.finder, "fw2").node.platform == name
    assert ANY_SERVICE.protocol is None
