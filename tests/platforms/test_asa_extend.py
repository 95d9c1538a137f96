"""cisco_asa, mode extend: the fewest entries at the right places of somebody's list, proved and taken back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.asa_cases import (
    GOLDENS,
    INSPECT,
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

CORP = """access-list CORP remark CHG1 web
access-list CORP extended permit tcp any any eq www
access-list CORP remark CHG2 quarantine
access-list CORP extended deny ip host 10.0.2.66 any
access-list CORP extended permit udp any any eq domain
access-list CORP remark CHG3 default
access-list CORP extended deny ip any any log
"""
BIND = "access-group CORP in interface dmz\n"
SSH = permit(tcp(22), ("10.0.2.7/32",), NODES, requirements=("r1",), comment="tcp-22 (suite line 10)")
WEB = permit(tcp(80), ("10.0.2.7/32",), NODES, requirements=("r2",), comment="tcp-80")
WANTED = packet(src="10.0.2.7", dst="10.0.1.11")


def extended(aces, text=CORP + BIND, **filter_data):
    context = make_context(mode="extend", **filter_data)
    before = running(INSPECT + text, context)
    entries = {"dmz": tuple(aces)}
    candidate = PLATFORM.render(make_policy(context, entries), before)
    after = PLATFORM.parse_config(candidate.text, "dev1.cfg", context, before)
    assert proof(context, after, before, entries).equivalent
    return candidate, before, after


def lines(state, name="CORP"):
    return [" ".join(line.words) for line in state.config.lists[name]]


def test_what_is_missing_comes_before_the_default_and_its_remark():
    candidate, before, after = extended([SSH, WEB], plain=True)
    added = [line for line in lines(after) if line not in lines(before)]
    assert len(added) == 2 * len(NODES)
    assert added[0].startswith("remark uipath ")
    assert added[0].endswith(" tcp-22 (suite line 10)")
    assert added[1] == "extended permit tcp host 10.0.2.7 host 10.0.1.11 eq 22"
    assert [line for line in lines(after) if line not in added] == lines(before)
    assert lines(after)[-2:] == ["remark CHG3 default", "extended deny ip any any log"]
    assert not passes(before, WANTED)
    assert passes(after, WANTED)
    assert not passes(after, packet(src="10.0.2.8", dst="10.0.1.11"))
    assert [one.standing for one in candidate.existing["dmz"].wanted] == [Standing.MISSING, Standing.PERMITTED]


def test_the_text_is_the_golden():
    candidate, _, after = extended([SSH, WEB])
    assert candidate.text == (GOLDENS / "extend.txt").read_text(encoding="utf-8")
    assert after.whole() == (GOLDENS / "extended.cfg").read_text(encoding="utf-8")
    back = PLATFORM.parse_running({PLATFORM.show_commands[0]: after.whole()}, after.context)
    assert back.fingerprint() == after.fingerprint()


def test_nothing_is_added_where_everything_passes_already():
    candidate, before, _ = extended([WEB])
    assert PLATFORM.change(candidate, before).is_empty
    down = permit(tcp(22), ("10.0.2.7/32",), ("198.51.100.1/32",), comment="x")
    candidate, before, _ = extended([down], "")
    assert PLATFORM.change(candidate, before).is_empty


def test_an_explicit_deny_stops_and_an_override_goes_before_it():
    bad = permit(tcp(22), ("10.0.2.66/32",), NODES, requirements=("r3",), comment="x")
    with pytest.raises(PolicyError, match=r"dev1 dmz: .*CORP line 4 \(dev1:\d+\) denies .*which r3 requires"):
        extended([bad])
    _, _, after = extended([bad], override=("CORP line 4",))
    ours = next(n for n, line in enumerate(lines(after)) if line.startswith("remark uipath"))
    assert ours < lines(after).index("extended deny ip host 10.0.2.66 any")
    with pytest.raises(PolicyError, match=r"override 'other' names no explicit deny there .*'CORP line 4'"):
        extended([bad], override=("other",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CORP + BIND + "access-group CORP in interface outside\n", "list CORP is bound more than once"),
        (CORP + BIND + "access-group CORP global\n", "list CORP is bound more than once"),
        (CORP.replace(" any any log", " any any") + "access-group CORP global\n", "no list is bound there"),
        ("", "no list is bound there that could be extended"),
    ],
)
def test_where_an_entry_would_open_more_or_there_is_no_list(text, words):
    with pytest.raises(PolicyError, match=words):
        extended([SSH], text)


def test_a_global_list_behind_it_is_respected():
    text = CORP.replace("access-list CORP extended deny ip any any log\n", "") + BIND
    text += "access-list G extended deny tcp any any eq ssh\naccess-list G extended permit ip any any\naccess-group G global\n"
    with pytest.raises(PolicyError, match="G line 1"):
        extended([SSH], text)
    _, _, after = extended([SSH], text, override=("G line 1",))
    assert passes(after, WANTED)
    assert len(lines(after, "G")) == 2


def test_change_and_rollback_touch_only_entries_of_ours():
    candidate, before, after = extended([SSH])
    change = PLATFORM.change(candidate, before)
    theirs = {f"access-list CORP {line}" for line in lines(before)}
    for line in (change.apply + change.rollback).splitlines():
        assert not line.startswith(("clear", "access-group"))
        assert line.removeprefix("no ") not in theirs
    there = typed(change.apply, before)
    assert lines(there) == lines(after)
    assert PLATFORM.change(candidate, there).is_empty
    assert typed(change.rollback, there).text() == before.text()
    again = PLATFORM.render(make_policy(there.context, {"dmz": (SSH,)}), there)
    assert PLATFORM.change(again, there).is_empty


def test_what_a_device_shows_with_names_is_still_ours():
    candidate, before, _ = extended([SSH])
    there = typed(PLATFORM.change(candidate, before).apply, before)
    shown = there.text().replace("eq 22", "eq ssh")
    assert shown != there.text()
    state = running(INSPECT + shown, there.context)
    assert PLATFORM.change(candidate, state).is_empty
    assert state.without_owned().text() == before.text()


def test_an_entry_that_somebody_wrote_behind_our_remark_is_never_taken_for_ours():
    candidate, before, _ = extended([SSH])
    there = typed(PLATFORM.change(candidate, before).apply, before)
    entry = next(line for line in lines(there) if "eq 22" in line)
    edited = typed(f"no access-list CORP {entry}", there)
    assert not passes(edited, WANTED)
    assert edited.without_owned().text() == before.text()
    change = PLATFORM.change(candidate, edited)
    assert sorted(lines(typed(change.apply, edited))) == sorted(lines(there))
    assert passes(typed(change.apply, edited), WANTED)
    assert "deny ip any any" not in change.apply


def test_entries_that_stand_in_a_wrong_place_are_put_right():
    candidate, before, after = extended([SSH])
    there = typed(PLATFORM.change(candidate, before).apply, before)
    above = typed("access-list CORP line 1 extended deny tcp host 10.0.2.7 any eq 22 inactive", there)
    moved = PLATFORM.change(candidate, above)
    assert passes(typed(moved.apply, above), WANTED)
    late = typed("\n".join(f"no access-list CORP {line}" for line in lines(after) if line not in lines(before)), there)
    late = typed("\n".join(f"access-list CORP {line}" for line in lines(after) if line not in lines(before)), late)
    assert not passes(late, WANTED)
    assert lines(typed(PLATFORM.change(candidate, late).apply, late)) == lines(after)


def test_a_group_of_ours_that_somebody_edited_is_repaired():
    both = permit(tcp(22), NODES, ("10.0.2.7/32", "10.0.2.8/32", "10.0.2.9/32"), comment="x")
    context = make_context(mode="extend")
    entries = {"inside": (both,)}
    text = CORP.replace("permit tcp any any eq www", "permit tcp any any eq 81") + BIND.replace("dmz", "inside")
    before = running(INSPECT + text, context)
    candidate = PLATFORM.render(make_policy(context, entries), before)
    there = typed(PLATFORM.change(candidate, before).apply, before)
    group = next(name for _, name in there.owned().config.objects)
    edited = typed(f"object-group network {group}\n network-object host 10.0.2.99", there)
    change = PLATFORM.change(candidate, edited)
    assert " no network-object host 10.0.2.99" in change.apply
    assert typed(change.apply, edited).text() == there.text()


ENDS = ["10.0.2.7/32", "10.0.2.0/29", "10.0.1.0/24", "0.0.0.0/0"]
WORDS = ["host 10.0.2.7", "10.0.2.0 255.255.255.248", "10.0.1.0 255.255.255.0", "any"]
PERMITS = st.builds(
    lambda service, source, destination, number: permit(service, (source,), (destination,), comment=f"n{number}", requirements=(f"r{number}",)),
    st.sampled_from([tcp(22), tcp(20, 25), tcp(80), Service(UDP, PortRange(53, 53))]),
    st.sampled_from(ENDS[:2]),
    st.sampled_from(["10.0.1.0/24", "10.0.1.11/32"]),
    st.integers(0, 9),
)  # fmt: skip
ENTRIES = st.one_of(
    st.builds("extended {} {} {} {} eq {}".format, st.sampled_from(["permit", "permit", "deny"]), st.sampled_from(["tcp", "udp"]),
              st.sampled_from(WORDS), st.sampled_from(WORDS), st.sampled_from([22, 53, 80])),
    st.builds("extended {} ip {} {}".format, st.sampled_from(["permit", "deny"]), st.sampled_from(WORDS), st.sampled_from(WORDS)),
    st.just("remark x"),
    st.just("extended permit tcp any any eq 23 inactive"),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=6, unique=True), st.lists(PERMITS, min_size=1, max_size=3))
def test_whatever_stands_there_the_result_is_before_and_required(listed, aces):
    text = "".join(f"access-list CORP {entry}\n" for entry in listed)
    overrides = tuple(
        f"CORP line {number}" for number, entry in enumerate(listed, 1)
        if " deny " in entry and not entry.endswith("deny ip any any")
    )  # fmt: skip
    context = make_context(mode="extend", override=overrides)
    before = running(INSPECT + text + BIND, context)
    try:
        candidate = PLATFORM.render(make_policy(context, {"dmz": tuple(aces)}), before)
    except PolicyError as caught:
        assert "override" in str(caught)  # noqa: PT017 - a second `deny ip any any` is no default
        return
    after = PLATFORM.parse_config(candidate.text, "x", context, before)
    space = Space()
    required = space.union(box for ace in aces for box in ace.boxes())
    written = {line.partition(" extended ")[2] for line in candidate.text.splitlines() if " extended " in line}
    if not written & {entry.removeprefix("extended ") for entry in listed}:  # an ASA takes an entry once
        assert after.permitted(space, "dmz", NEW) == before.permitted(space, "dmz", NEW) | required
    change = PLATFORM.change(candidate, before)
    if not change.is_empty:
        assert typed(change.rollback, typed(change.apply, before)).text() == before.text()
