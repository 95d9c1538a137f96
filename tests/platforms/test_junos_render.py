"""juniper_junos: what is rendered and proved, when not, and what a device is told to do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.platforms.junos_cases import (
    BOUND,
    ENTRIES,
    FOREIGN,
    GOLDENS,
    NEW,
    PLATFORM,
    SCOPE,
    make_context,
    make_policy,
    proof,
    rendered,
    running,
    typed,
)
from tests.platforms.switched import switched
from toolkit.errors import PolicyError
from toolkit.net import TCP, Action, Packet
from toolkit.packets import Space
from toolkit.site import Enforcement
from toolkit.topology import Interface, Kind


# ---- what is rendered --------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["own_routed", "own_switch", "own_plain"])
def test_rendered_text_is_the_golden_and_proved(name):
    context = make_context(Kind.SWITCH if name == "own_switch" else Kind.ROUTER, plain=name == "own_plain")
    candidate, before, after = rendered(context)
    assert candidate.text == (GOLDENS / f"{name}.cfg").read_text(encoding="utf-8")
    assert proof(context, after, before).equivalent
    assert running(candidate.text, context).fingerprint() == after.fingerprint()
    assert candidate.bindings["ge-0/0/0"] == ("uipath_ge-0-0-0_in",)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("destination-port 22\n", "destination-port 23\n", "required_denied"),
        ("destination-port 22\n", "destination-port 22-23\n", "extra_permitted"),
        ("-rest-outside-the-scope then accept", "-rest-outside-the-scope then discard", "collateral_denied"),
    ],
)
def test_an_edit_of_the_text_is_seen_by_the_proof(old, new, kind):
    context = make_context()
    candidate, before, _ = rendered(context)
    assert old in candidate.text
    after = PLATFORM.parse_config(candidate.text.replace(old, new), "dev1.cfg", context, before)
    assert kind in {witness.kind.value for witness in proof(context, after, before).witnesses}


def test_a_citation_is_the_name_of_its_term():
    text = rendered(make_context())[0].text
    assert "term 0030-tcp-2379-suite-line-12 from protocol tcp\n" in text
    assert "annotate" not in text


def test_terms_with_ports_name_the_protocol():
    terms = {}
    for line in rendered(make_context())[0].text.splitlines():
        words = line.split()
        if "term" in words:
            terms.setdefault((words[5], words[7]), []).append(words[8:])
    for statements in terms.values():
        if any(words[1].endswith("-port") for words in statements if words[0] == "from"):
            assert ["from", "protocol", "tcp"] in statements or ["from", "protocol", "udp"] in statements


def test_the_default_counts_and_tells():
    lines = [line for line in rendered(make_context())[0].text.splitlines() if "uipath_ge-0-0-2-30_in" in line]
    denies = {line.split()[7] for line in lines if line.endswith("then discard")}
    for name in denies:
        assert {f"then count {name}", "then log", "then syslog"} <= {
            line.partition(f"term {name} ")[2] for line in lines if f"term {name} " in line
        }


def test_monitor_permits_and_counts():
    context = make_context()
    entries = {
        name: tuple(replace(a, action=Action.PERMIT) if a.log else a for a in aces) for name, aces in ENTRIES.items()
    }
    candidate, before, after = rendered(context, entries, enforcement=Enforcement.MONITOR)
    assert "discard" not in candidate.text
    assert "then count" in candidate.text
    assert proof(context, after, before, entries, enforcement=Enforcement.MONITOR).equivalent


def test_prefix_lists_are_used_where_they_shorten_and_not_when_plain():
    assert "prefix-list uipath_" in rendered(make_context())[0].text
    assert "prefix-list" not in rendered(make_context(plain=True))[0].text


def test_later_fragments_in_scope_are_denied_before_the_first_port():
    _, _, after = rendered(make_context())
    piece = Packet(IPv4Address("10.0.2.7"), IPv4Address("10.0.1.11"), TCP, fragment=True)
    decision = after.decide("ge-0/0/1", piece, NEW)
    assert decision.action is Action.DENY
    assert "is-fragment" in decision.entry
    outside = replace(piece, dst=IPv4Address("10.0.9.9"))
    assert after.decide("ge-0/0/1", outside, NEW).action is Action.PERMIT


def test_reference_site_renders_reads_back_and_is_proved(tmp_path):
    work = switched(tmp_path / "site", "juniper_junos", firewalls="router")
    for device, one in work.rendered.items():  # each one was proved while it was rendered
        context = one.before.context
        back = running(one.candidate.text, context)
        assert back.fingerprint() == one.after.fingerprint(), device
        assert PLATFORM.change(one.candidate, back).is_empty
        space = work.space
        for interface in context.interfaces:
            assert back.permitted(space, interface, NEW) == one.after.permitted(space, interface, NEW)


# ---- refusals of the renderer ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("context", "foreign", "words"),
    [
        (make_context(), BOUND, "somebody's filter CORP is bound there"),
        (make_context(Kind.FIREWALL), "", "knows no connections"),
        (make_context(mode="jump", table="t", chain="c"), "", "mode jump is for nftables"),
        (make_context(capacity=10), "", "entries, old and new together .* do not fit into its capacity of 10"),
    ],
)
def test_render_refuses(context, foreign, words):
    with pytest.raises(PolicyError, match=words):
        rendered(context, foreign=foreign)


def test_lo0_is_no_target():
    context = make_context()
    node = replace(context.node, interfaces={"lo0": Interface("dev1", "lo0")})
    context = replace(context, interfaces=("lo0",), node=node, domains={"lo0": ()})
    with pytest.raises(PolicyError, match="control plane are never touched"):
        PLATFORM.render(make_policy(context, {"lo0": SCOPE}), PLATFORM.empty(context))


def test_a_filter_on_lo0_is_left_alone_whatever_it_says():
    context = make_context()
    protect = (
        "set firewall family inet filter RE term a from tcp-initial\n"
        "set firewall family inet filter RE term a then policer P\n"
        "set interfaces lo0 unit 0 family inet filter input-list RE\n"
    )
    candidate, before, _ = rendered(context, foreign=protect)
    change = PLATFORM.change(candidate, before)
    assert "lo0" not in change.apply + change.rollback
    assert " RE" not in change.apply + change.rollback


def test_a_filter_that_is_not_bound_may_say_anything():
    rendered(make_context(), foreign="set firewall family inet filter OLD term a from ttl 1\n")


# ---- the change --------------------------------------------------------------------------------
def test_a_change_is_one_checked_and_timed_commit():
    context = make_context()
    candidate, before, _ = rendered(context)
    change = PLATFORM.change(candidate, before)
    lines = change.apply.splitlines()
    assert lines[0] == "configure exclusive"
    assert lines[-3:] == ["commit check", "commit confirmed 10", "exit"]
    assert change.confirm.splitlines() == ["configure exclusive", "commit", "exit"]
    assert change.save == ""
    assert change.rollback.splitlines()[-3:] == ["commit check", "commit", "exit"]
    assert "+set firewall" in change.diff


def test_rollback_restores_exactly():
    context = make_context()
    foreign = FOREIGN + "set interfaces ge-0/0/1 unit 0 family inet filter output CORP\n"
    candidate, before, after = rendered(context, foreign=foreign)
    change = PLATFORM.change(candidate, before)
    there = typed(change.apply, before)
    assert there.fingerprint() == after.fingerprint()
    assert there.text() == after.text()
    back = typed(change.rollback, there)
    assert back.text() == before.text()
    assert PLATFORM.restore(before, back) == ""


def test_a_second_change_replaces_only_what_differs():
    context = make_context()
    _, _, first = rendered(context)
    entries = {**ENTRIES, "ge-0/0/2.30": SCOPE}
    candidate = PLATFORM.render(make_policy(context, entries), first)
    change = PLATFORM.change(candidate, first)
    assert "filter uipath_ge-0-0-2-30_in" in change.apply
    assert "uipath_ge-0-0-0_in" not in change.apply
    assert typed(change.rollback, typed(change.apply, first)).text() == first.text()


def test_a_device_shows_statements_in_its_own_order():
    context = make_context()
    candidate, _, _ = rendered(context)
    lines = candidate.text.splitlines()
    shown, run = [], []
    for line in lines:  # within each term the other way round
        key = line.split()[:8]
        if run and run[-1].split()[:8] != key:
            shown += reversed(run)
            run = []
        run.append(line)
    shown += reversed(run)
    assert shown != lines
    assert PLATFORM.change(candidate, running("\n".join(shown) + "\n", context)).is_empty


def test_a_deactivated_binding_is_seen_and_activated_again():
    context = make_context()
    candidate, _, _ = rendered(context)
    off = candidate.text + "deactivate interfaces ge-0/0/0 unit 0 family inet filter\n"
    state = running(off, context)
    assert state.permitted(Space(), "ge-0/0/0", NEW) == Space().full or "ge-0/0/0" not in {n for n, _ in state.bound}
    assert "activate interfaces ge-0/0/0 unit 0 family inet filter\n" in PLATFORM.change(candidate, state).apply
