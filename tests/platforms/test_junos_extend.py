"""juniper_junos, mode extend: the fewest terms at the right places of somebody's filter, proved and taken back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.junos_cases import (
    GOLDENS,
    NEW,
    NODES,
    PLATFORM,
    make_context,
    make_policy,
    packet,
    passes,
    permit,
    proof,
    running,
    tcp,
    typed,
)
from toolkit.errors import PolicyError
from toolkit.net import UDP, PortRange, Service
from toolkit.packets import Space
from toolkit.policy.extend import Standing
from toolkit.topology import Kind

CORP = """set firewall family inet filter CORP term web from protocol tcp
set firewall family inet filter CORP term web from destination-port 80
set firewall family inet filter CORP term web then accept
set firewall family inet filter CORP term quarantine from source-address 10.0.1.66/32
set firewall family inet filter CORP term quarantine then discard
set firewall family inet filter CORP term dns from protocol udp
set firewall family inet filter CORP term dns from destination-port domain
set firewall family inet filter CORP term dns then accept
set firewall family inet filter CORP term default then count dropped
set firewall family inet filter CORP term default then discard
"""
BIND = "set interfaces ge-0/0/0 unit 0 family inet filter input CORP\n"
SSH = permit(tcp(22), NODES, ("10.0.2.7/32",), requirements=("r1",), comment="tcp-22 (suite line 10)")
WEB = permit(tcp(80), NODES, ("10.0.2.7/32",), requirements=("r2",), comment="tcp-80")


def extended(aces, text=CORP + BIND, **filter_data):
    context = make_context(mode="extend", **filter_data)
    entries = {"ge-0/0/0": tuple(aces)}
    before = running(text, context)
    candidate = PLATFORM.render(make_policy(context, entries), before)
    after = PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)
    assert proof(context, after, before, entries).equivalent
    return candidate, before, after


def names(state, filter_name="CORP"):
    found = dict.fromkeys(
        words[6] for words in state.statements if words[:5] == ("firewall", "family", "inet", "filter", filter_name)
    )
    return list(found)


def test_what_is_missing_comes_before_the_default():
    candidate, before, after = extended([SSH, WEB])
    assert names(after) == ["web", "quarantine", "dns", "uipath_0010-tcp-22-suite-line-10", "default"]
    assert (
        "insert firewall family inet filter CORP term uipath_0010-tcp-22-suite-line-10 before term default\n"
        in candidate.text
    )
    assert not passes(before, packet(src="10.0.1.11", dst="10.0.2.7"))
    assert passes(after, packet(src="10.0.1.11", dst="10.0.2.7"))
    assert not passes(after, packet(src="10.0.1.99", dst="10.0.2.7"))
    standing = [one.standing for one in candidate.existing["ge-0/0/0"].wanted]
    assert standing == [Standing.MISSING, Standing.PERMITTED]


def test_the_text_is_the_golden():
    candidate, _, after = extended([SSH, WEB])
    assert candidate.text == (GOLDENS / "extend.txt").read_text(encoding="utf-8")
    assert after.whole() == (GOLDENS / "extended.cfg").read_text(encoding="utf-8")
    assert running(after.whole(), after.context).fingerprint() == after.fingerprint()


def test_behind_the_last_term_nothing_is_inserted_before():
    text = CORP.replace("term default then discard\n", "term default then next term\n") + BIND
    candidate, _, after = extended([SSH], text)
    assert names(after)[-2:] == ["uipath_0010-tcp-22-suite-line-10", "default"]  # what only counts keeps its place
    no_default = "".join(line for line in CORP.splitlines(keepends=True) if "default" not in line) + BIND
    candidate, _, after = extended([SSH], no_default)
    assert names(after)[-1].startswith("uipath_")
    assert "insert" not in candidate.text


def test_nothing_is_added_where_everything_passes_already():
    for text in (CORP + BIND, CORP):
        candidate, before, _ = extended([WEB] if text != CORP else [SSH, WEB], text)
        assert PLATFORM.change(candidate, before).is_empty


def test_an_explicit_deny_stops_and_an_override_goes_before_it():
    bad = permit(tcp(22), ("10.0.1.66/32",), ("10.0.2.7/32",), requirements=("r3",), comment="x")
    with pytest.raises(
        PolicyError, match=r"dev1 ge-0/0/0: .*CORP term quarantine \(dev1:6\) denies .*which r3 requires"
    ):
        extended([bad])
    _, _, after = extended([bad], override=("quarantine",))
    assert names(after).index("uipath_0010-x") < names(after).index("quarantine")
    with pytest.raises(PolicyError, match=r"override 'other' names no explicit deny there .*'CORP term quarantine'"):
        extended([bad], override=("other",))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("set interfaces ge-0/0/1 unit 0 family inet filter input CORP\n", "bound to ge-0/0/1 input as well"),
        ("set interfaces ge-0/0/1 unit 0 family inet filter output CORP\n", "bound to ge-0/0/1 output as well"),
        ("set interfaces lo0 unit 0 family inet filter input CORP\n", "guards the control plane as well"),
        ("set interfaces lo0 unit 0 family inet filter input-list CORP\n", "guards the control plane as well"),
    ],
)
def test_a_filter_that_judges_other_packets_too_is_refused(more, words):
    with pytest.raises(PolicyError, match=words):
        extended([SSH], CORP + BIND + more)
    extended([WEB], CORP + BIND + more)


def test_a_filter_without_a_family_keeps_its_own_path():
    text = CORP.replace("firewall family inet filter", "firewall filter") + BIND
    candidate, before, after = extended([SSH], text)
    assert "set firewall filter CORP term uipath_0010" in candidate.text
    assert passes(after, packet(src="10.0.1.11", dst="10.0.2.7"))
    change = PLATFORM.change(candidate, before)
    assert typed(change.rollback, typed(change.apply, before)).statements.keys() == before.statements.keys()


def test_a_layer2_filter_is_extended():
    context = make_context(Kind.SWITCH, mode="extend")
    text = (
        (CORP + BIND).replace("family inet", "family ethernet-switching").replace("from protocol", "from ip-protocol")
    )
    before = running(text.replace("source-address", "ip-source-address"), context)
    candidate = PLATFORM.render(make_policy(context, {"ge-0/0/0": (SSH,)}), before)
    after = PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)
    assert proof(context, after, before, {"ge-0/0/0": (SSH,)}).equivalent


def test_change_and_rollback_touch_only_terms_of_ours():
    candidate, before, after = extended([SSH])
    change = PLATFORM.change(candidate, before)
    for line in (change.apply + change.rollback).splitlines()[1:]:
        if line.split()[0] in ("set", "delete", "insert"):
            assert "uipath_" in line
    there = typed(change.apply, before)
    assert there.fingerprint() == after.fingerprint()
    assert PLATFORM.change(candidate, there).is_empty
    back = typed(change.rollback, there)
    assert back.text() == before.text()


def test_planning_again_on_the_changed_device_changes_nothing():
    candidate, before, _ = extended([SSH])
    there = typed(PLATFORM.change(candidate, before).apply, before)
    again = PLATFORM.render(make_policy(there.context, {"ge-0/0/0": (SSH,)}), there)
    assert PLATFORM.change(again, there).is_empty


def test_a_term_of_ours_that_was_moved_is_put_back():
    candidate, before, after = extended([SSH])
    there = typed(PLATFORM.change(candidate, before).apply, before)
    ours = "uipath_0010-tcp-22-suite-line-10"
    moved = typed(f"insert firewall family inet filter CORP term {ours} after term default", there)
    assert not passes(moved, packet(src="10.0.1.11", dst="10.0.2.7"))
    change = PLATFORM.change(candidate, moved)
    assert typed(change.apply, moved).fingerprint() == after.fingerprint()
    assert names(typed(change.rollback, typed(change.apply, moved))) == names(moved)


ENDS = ["10.0.1.11/32", "10.0.1.8/29", "10.0.2.0/24", "0.0.0.0/0"]
PERMITS = st.builds(
    lambda service, source, destination, number: permit(service, (source,), (destination,), comment=f"n{number}", requirements=(f"r{number}",)),
    st.sampled_from([tcp(22), tcp(20, 25), tcp(80), Service(UDP, PortRange(53, 53))]),
    st.sampled_from(ENDS),
    st.sampled_from(ENDS),
    st.integers(0, 9),
)  # fmt: skip
TERMS = st.tuples(
    st.sampled_from(["tcp", "udp", ""]), st.sampled_from(["22", "20-25", "53", ""]), st.sampled_from([*ENDS, ""]),
    st.sampled_from(["accept", "accept", "discard", "next term"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(TERMS, max_size=5), st.lists(PERMITS, min_size=1, max_size=4))
def test_whatever_stands_there_the_result_is_before_and_required(listed, aces):
    text = ""
    for number, (protocol, port, source, action) in enumerate(listed):
        head = f"set firewall family inet filter CORP term t{number}"
        text += f"{head} from protocol {protocol}\n" if protocol else ""
        text += f"{head} from destination-port {port}\n" if protocol and port else ""
        text += f"{head} from source-address {source}\n" if source else ""
        text += f"{head} then {action}\n"
    overrides = tuple(
        f"t{n}" for n, term in enumerate(listed)
        if term[3] == "discard" and (term[0] or term[2] or n < len(listed) - 1)
    )  # fmt: skip
    candidate, before, after = extended(aces, text + (BIND if text else ""), override=overrides)
    space = Space()
    required = space.union(box for ace in aces for box in ace.boxes())
    assert after.permitted(space, "ge-0/0/0", NEW) == before.permitted(space, "ge-0/0/0", NEW) | required
    change = PLATFORM.change(candidate, before)
    if not change.is_empty:
        there = typed(change.apply, before)
        assert there.fingerprint() == after.fingerprint()
        assert typed(change.rollback, there).text() == before.text()
