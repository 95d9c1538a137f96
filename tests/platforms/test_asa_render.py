"""cisco_asa: what is rendered and proved, when not, and what a device is told to do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from tests.platforms.asa_cases import (
    ENTRIES,
    GOLDENS,
    HEAD,
    INSPECT,
    KNOWN,
    NEW,
    PLATFORM,
    make_context,
    make_policy,
    packet,
    passes,
    permit,
    proof,
    rendered,
    running,
    tcp,
    typed,
)
from tests.platforms.switched import switched
from toolkit.errors import ConfigError, PolicyError
from toolkit.net import ICMP, IcmpKind, PortRange
from toolkit.packets import Space
from toolkit.topology import Kind

FOREIGN = "access-list CORP extended permit ip any any\naccess-group CORP in interface dmz\n"


@pytest.mark.parametrize("name", ["own_levels", "own_plain", "own_unknown"])
def test_rendered_text_is_the_golden_and_proved(name):
    context = make_context(plain=name == "own_plain")
    before = PLATFORM.empty(context) if name == "own_unknown" else None
    candidate, before, after = rendered(context, before=before)
    assert candidate.text == (GOLDENS / f"{name}.cfg").read_text(encoding="utf-8")
    assert proof(context, after, before).equivalent
    back = PLATFORM.parse_running({PLATFORM.show_commands[0]: candidate.text}, context)
    for interface in context.interfaces:
        space = Space()
        assert back.permitted(space, interface, NEW) == after.permitted(space, interface, NEW)
    assert PLATFORM.change(candidate, back).is_empty


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("eq 22\n", "eq 23\n", "required_denied"),
        ("eq 22\n", "range 22 23\n", "extra_permitted"),
        ("extended permit ip any any\n", "extended deny ip any any\n", "collateral_denied"),
        ("extended deny ip any4 10.0.2.0 255.255.255.0\n", "extended permit ip any4 any4\n", "collateral_permitted"),
        ("  inspect icmp\n", "  inspect dns\n", "collateral_denied"),
    ],
)
def test_an_edit_of_the_text_is_seen_by_the_proof(old, new, kind):
    context = make_context()
    candidate, before, _ = rendered(context)
    assert old in candidate.text
    after = PLATFORM.parse_config(candidate.text.replace(old, new), "dev1.cfg", context, before)
    assert kind in {witness.kind.value for witness in proof(context, after, before).witnesses}


def test_what_levels_permit_and_deny_outside_the_scope_is_kept():
    context = make_context()
    _, before, after = rendered(context)
    for state in (before, after):
        assert passes(state, packet(src="10.0.1.99", dst="10.0.2.99", dport=9), "inside")
        assert not passes(state, packet(src="10.0.2.99", dst="10.0.1.99", dport=9), "dmz")
        assert passes(state, packet(src="10.0.2.99", dst="198.51.100.1", dport=9), "dmz")
        assert not passes(state, packet(src="198.51.100.1", dst="10.0.2.99", dport=9), "outside")
    assert passes(before, packet(src="10.0.1.11", dst="10.0.2.25", dport=25), "inside")
    assert not passes(after, packet(src="10.0.1.11", dst="10.0.2.25", dport=25), "inside")
    assert passes(after, packet(src="10.0.1.11", dst="10.0.2.25", dport=587), "inside")


def test_a_global_list_keeps_deciding_the_rest():
    context = make_context()
    foreign = INSPECT + "access-list G extended permit udp any any eq ntp\naccess-group G global\n"
    candidate, before, after = rendered(context, foreign=foreign)
    assert "permit ip any" not in candidate.text
    assert proof(context, after, before).equivalent
    assert passes(after, packet(17, 123, src="10.0.2.99", dst="10.0.1.99"), "dmz")
    assert not passes(after, packet(17, 123, src="10.0.2.99", dst="10.0.1.11"), "dmz")


def test_citations_are_remarks_and_the_default_logs():
    text = rendered(make_context())[0].text
    assert " remark tcp-22 (suite line 10)\n" in text
    denies = [line for line in text.splitlines() if " deny " in line and "object-group" in line]
    assert denies
    assert all(line.endswith(" log") for line in denies)


def test_a_remark_is_one_line_that_a_command_line_takes():
    ace = permit(tcp(22), comment="why?\tbecause\n\u00e9 " + "x" * 200)
    text = rendered(make_context(), {"dmz": (ace,)})[0].text
    (remark,) = [line.partition(" remark ")[2] for line in text.splitlines() if "because" in line]
    assert remark == ("why because " + "x" * 200)[:100]


def test_groups_are_used_where_they_shorten_and_not_when_plain():
    assert "object-group network uipath_" in rendered(make_context())[0].text
    plain = rendered(make_context(plain=True))[0].text
    assert "object-group" not in plain
    assert "host 10.0.1.14" in plain


def test_established_is_never_written():
    ace = permit(tcp(1024, 65535), sport=PortRange(22, 22), established=True)
    with pytest.raises(PolicyError, match="an ASA has no `established`"):
        rendered(make_context(), {"dmz": (ace,)})
    assert "established" not in rendered(make_context())[0].text


def test_hardware_names_in_the_inventory_lead_to_the_names_of_interfaces():
    context = make_context(names=("GigabitEthernet0/0", "GigabitEthernet0/1", "GigabitEthernet0/2"))
    candidate, before, after = rendered(context)
    assert "in interface dmz\n" in candidate.text
    assert "access-list uipath_GigabitEthernet0-1_in_" in candidate.text
    assert proof(context, after, before).equivalent


def test_without_a_recorded_configuration_names_are_made_of_hardware_names():
    context = make_context(names=("GigabitEthernet0/0", "GigabitEthernet0/1", "GigabitEthernet0/2"))
    candidate, before, after = rendered(context, before=PLATFORM.empty(context))
    assert "interface GigabitEthernet0/1\n nameif GigabitEthernet0-1\n security-level 0\n" in candidate.text
    assert "in interface GigabitEthernet0-1\n" in candidate.text
    assert proof(context, after, before).equivalent


def test_reference_site_renders_reads_back_and_is_proved(tmp_path):
    work = switched(tmp_path / "site", "cisco_asa", firewalls="firewall", only_firewalls=True)
    firewalls = [one for one in work.rendered.values() if one.candidate.platform == "cisco_asa"]
    assert len(firewalls) == 2
    for one in firewalls:  # each one was proved while it was rendered
        back = PLATFORM.parse_running({PLATFORM.show_commands[0]: one.candidate.text}, one.before.context)
        assert back.fingerprint() == one.after.fingerprint()
        assert PLATFORM.change(one.candidate, back).is_empty


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "foreign", "words"),
    [
        (make_context(), FOREIGN, "somebody's list CORP is bound there"),
        (make_context(Kind.ROUTER), "", "an ASA tracks connections"),
        (make_context(bridge="lan"), "", "an ASA that bridges is not supported"),
        (make_context(mode="jump", table="t", chain="c"), "", "mode jump is for nftables"),
        (make_context(capacity=10), "", "entries, old and new together .* do not fit into its capacity of 10"),
    ],
)
def test_render_refuses(context, foreign, words):
    with pytest.raises(PolicyError, match=words):
        rendered(context, foreign=foreign)


def test_an_interface_that_speaks_ipv6_keeps_what_its_level_permits():
    def head(name):
        return HEAD.replace(f" nameif {name}\n", f" nameif {name}\n ipv6 address 2001:db8::1/64\n")

    context = make_context()
    with pytest.raises(PolicyError, match="dev1 dmz: it speaks IPv6"):
        rendered(context, before=running(INSPECT, context, head("dmz")))
    candidate, _, _ = rendered(context, before=running(INSPECT, context, head("inside")))
    assert "permit ip any any\n" in candidate.text


def test_equal_cost_interfaces_of_other_levels_are_refused():
    context = make_context()
    both = (IPv4Network("10.0.2.0/24"),)
    context = replace(context, domains={**context.domains, "outside": both})
    with pytest.raises(ConfigError, match="dmz and outside are equal-cost, but have other levels"):
        rendered(context)


def test_answers_to_a_ping_need_the_inspection_of_icmp():
    context = make_context()
    reply = packet(ICMP, 0, src="10.0.2.9", dst="10.0.1.11", icmp=IcmpKind(0, 0))
    _, _, after = rendered(context)
    assert passes(after, reply, "dmz", KNOWN)
    _, _, without = rendered(context, foreign="")
    assert not passes(without, reply, "dmz", KNOWN)


# ---- the change ------------------------------------------------------------------------------


def test_a_list_is_complete_before_it_is_bound():
    context = make_context()
    candidate, before, _ = rendered(context)
    change = PLATFORM.change(candidate, before)
    lines = change.apply.splitlines()
    assert (lines[0], lines[-1]) == ("configure terminal", "end")
    assert change.save == "write memory\n"
    assert change.confirm == ""
    for number, line in enumerate(lines):
        if line.startswith("access-group"):
            name = line.split()[1]
            assert not [late for late in lines[number:] if late.startswith(f"access-list {name} ")]


def test_rollback_restores_exactly():
    context = make_context()
    candidate, before, after = rendered(context)
    change = PLATFORM.change(candidate, before)
    there = typed(change.apply, before)
    assert there.owned().text() == after.owned().text()
    back = typed(change.rollback, there)
    assert back.text() == before.text()
    assert PLATFORM.restore(before, back) == ""


@pytest.mark.parametrize("undo", [False, True])
def test_no_line_of_a_change_opens_or_closes_more_than_before_and_after(undo):
    """Two versions of our lists: after each typed line, between what both permit and what either does."""
    context = make_context()
    _, start, _ = rendered(context)
    first = typed(PLATFORM.change(*reversed((start, rendered(context)[0]))).apply, start)
    entries = {**ENTRIES, "dmz": (permit(tcp(443), ("10.0.2.9/32",), ("10.0.1.11/32",)), *ENTRIES["dmz"][1:])}
    candidate = PLATFORM.render(make_policy(context, entries), first)
    change = PLATFORM.change(candidate, first)
    second = typed(change.apply, first)
    old, new, text = (second, first, change.rollback) if undo else (first, second, change.apply)
    space = Space()
    lines = [line for line in text.splitlines() if line not in ("configure terminal", "end")]
    assert any(line.startswith("clear configure") for line in lines)
    group = ""
    state = old
    for number, line in enumerate(lines):
        if line.startswith("object-group"):
            group = line
        state = typed(f"{group}\n{line}" if line.startswith(" ") else line, state)
        for interface in context.interfaces:
            now, before, after = (one.permitted(space, interface, NEW) for one in (state, old, new))
            assert now <= before | after, f"{number}: {line}"
            assert before & after <= now, f"{number}: {line}"
    assert state.text() == new.text()


def test_a_bound_list_that_somebody_edited_is_repaired_without_an_open_moment():
    context = make_context()
    candidate, before, after = rendered(context)
    good = typed(PLATFORM.change(candidate, before).apply, before)
    name = candidate.bindings["dmz"][0]
    edited = typed(f"access-list {name} line 1 extended permit ip any any", good)
    assert passes(edited, packet(dport=9))
    change = PLATFORM.change(candidate, edited)
    state = edited
    for line in change.apply.splitlines()[1:-1]:
        state = typed(line, state)
        assert state.list_of("dmz", "in") is not None, line
    assert state.fingerprint() == good.fingerprint()
    assert not passes(state, packet(dport=9))
    assert state.owned().text() == after.owned().text()


def test_a_group_that_somebody_edited_is_repaired():
    context = make_context()
    candidate, before, _ = rendered(context)
    good = typed(PLATFORM.change(candidate, before).apply, before)
    group = next(name for _, name in good.owned().config.objects)
    edited = typed(
        f"object-group network {group}\n network-object host 10.0.2.66\n no network-object host 10.0.1.14", good
    )
    assert edited.fingerprint() != good.fingerprint()
    change = PLATFORM.change(candidate, edited)
    assert change.apply.splitlines()[1:-1] == [
        f"object-group network {group}", " network-object host 10.0.1.14", " no network-object host 10.0.2.66",
    ]  # fmt: skip
    assert typed(change.apply, edited).fingerprint() == good.fingerprint()


def test_the_rest_of_a_push_that_broke_off_is_written_anew():
    context = make_context()
    candidate, before, after = rendered(context)
    lines = PLATFORM.change(candidate, before).apply.splitlines()[1:-1]
    cut = next(n for n, line in enumerate(lines) if line.startswith("access-list")) + 4
    half = typed("\n".join(lines[:cut]), before)
    space = Space()
    assert half.permitted(space, "dmz", NEW) == before.permitted(space, "dmz", NEW)
    done = typed(PLATFORM.change(candidate, half).apply, half)
    assert done.owned().text() == after.owned().text()


def test_names_that_a_device_shows_for_numbers_change_nothing():
    context = make_context()
    candidate, _, _ = rendered(context)
    shown = candidate.text.replace("eq 22\n", "eq ssh\n").replace("eq 53\n", "eq domain\n").replace(" 8\n", " echo\n")
    assert shown != candidate.text
    state = PLATFORM.parse_running({PLATFORM.show_commands[0]: shown}, context)
    assert PLATFORM.change(candidate, state).is_empty
