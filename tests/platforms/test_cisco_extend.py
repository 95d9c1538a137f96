"""Entries of ours in lists of others on IOS, EOS and NX-OS: after = before + required, and nothing of theirs moves."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.cisco import NAMES, NEW, make_context, make_policy, permit, port_of, read, tcp
from tests.platforms.test_cisco_meaning import lines
from toolkit.errors import PolicyError
from toolkit.lab.twins import Login, judge, make_twin
from toolkit.net import UDP, Action, Packet, PortRange, Service
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.policy import Standing
from toolkit.render.proof import prove

GOLDENS = Path(__file__).parent / "golden"
EACH = pytest.mark.parametrize("name", NAMES)
CORP = (
    "remark CORP-1 web",
    "permit tcp any host 10.0.2.9 eq 80",
    "remark CORP-2 quarantine",
    "deny ip host 10.0.1.66 any",
    "permit udp any any eq 53",
    "remark CORP-999 default",
    "deny ip any any log",
)


def theirs(name, body=CORP, step=10, number=1, *, numbers=True):
    """Somebody's list, bound inwards to an interface."""
    kind = "extended " if name == "cisco_ios" else ""
    found, at = f"ip access-list {kind}CORP\n", 0
    for line in body:
        counted = name != "cisco_ios" or not line.startswith("remark")
        at += step if counted else 0
        found += f"  {at} {line}\n" if counted and numbers else f"  {line}\n"
    return f"{found}interface {port_of(make_context(name), number)}\n  ip access-group CORP in\n"


def extended(name, permits, foreign=None, **filter_data):
    """(device, before, candidate, after) with the permits asked for on the first interface."""
    device = make_context(name, mode="extend", **filter_data)
    policy = make_policy(device, {port_of(device): permits})
    before = read(device, theirs(name) if foreign is None else foreign)
    candidate = get(name).render(policy, before)
    after = get(name).parse_config(candidate.text, "dev1.cfg", device, before)
    return device, policy, before, candidate, after


def said(state):
    return [f"{line.seq} {line.text}" for line in state.config.acls["CORP"].lines]


WEB = permit(tcp(443), ("10.0.1.5/32",), ("10.0.2.10/32",), comment="tcp-443 (page line 11)", requirements=("tcp-443",))


@EACH
def test_one_missing_permit_is_one_entry_before_what_denies_it(name):
    device, policy, before, candidate, after = extended(name, (WEB,))
    assert prove(policy, after, before, Space()).equivalent
    body = [
        line
        for line in candidate.text.splitlines()
        if "tcp" in line and "fragments" not in line and "remark" not in line
    ]
    assert len(body) == 1
    assert re.fullmatch(r" +\d+ permit tcp host 10.0.1.5 host 10.0.2.10 eq 443", body[0])
    assert "remark uipath_extend " in candidate.text
    assert "tcp-443 (page line 11)" in candidate.text
    # Ports let later fragments pass, so these are kept out.
    assert "deny tcp host 10.0.1.5 host 10.0.2.10 fragments" in candidate.text
    lines_now = [line.partition(" ")[2] for line in said(after)]
    assert [line for line in lines_now if line in [x.partition(" ")[2] for x in said(before)]] == [
        x.partition(" ")[2] for x in said(before)
    ]
    assert lines_now.index("permit tcp host 10.0.1.5 host 10.0.2.10 eq 443") < lines_now.index("CORP-999 default")
    assert lines_now.index("permit tcp host 10.0.1.5 host 10.0.2.10 eq 443") > lines_now.index(
        "deny ip host 10.0.1.66 any"
    )
    numbers = [entry.seq for entry in after.config.acls["CORP"].entries]
    assert numbers == sorted(set(numbers))
    assert "resequence" not in candidate.text
    assert candidate.existing[port_of(device)].wanted[0].standing is Standing.MISSING


@EACH
def test_what_is_typed_is_the_golden(name):
    ssh = permit(tcp(22), ("10.0.1.0/24",), ("10.0.2.10/32",), comment="tcp-22 (page line 10)")
    *_, candidate, after = extended(name, (WEB, ssh), override=("CORP-2",))
    assert candidate.text == (GOLDENS / name / "extend.txt").read_text(encoding="utf-8")
    assert after.whole() == (GOLDENS / name / "extended.txt").read_text(encoding="utf-8")
    assert read(after.context, after.whole()).fingerprint() == after.fingerprint()


@EACH
def test_what_passes_already_needs_nothing(name):
    there = permit(tcp(80), ("10.0.1.5/32",), ("10.0.2.9/32",))
    device, _, before, candidate, after = extended(name, (there,))
    assert candidate.acls == ("CORP",)
    assert after.text() == before.text()
    assert candidate.existing[port_of(device)].wanted[0].standing is Standing.PERMITTED
    assert get(name).change(candidate, before).is_empty
    open_port = extended(name, (WEB,), theirs(name, number=2))  # no list stands where it is asked for
    assert open_port[4].text() == open_port[2].text()
    assert prove(open_port[1], open_port[4], open_port[2], Space()).equivalent


@EACH
def test_only_the_missing_pairs_of_a_permit_are_added(name):
    wide = permit(tcp(80), ("10.0.1.5/32", "10.0.1.6/32"), ("10.0.2.9/32", "10.0.2.10/32"))
    _, policy, before, candidate, after = extended(name, (wide,))
    assert prove(policy, after, before, Space()).equivalent
    added = [line for line in candidate.text.splitlines() if " permit " in line]
    assert len(added) == 2
    assert candidate.existing[port_of(make_context(name))].wanted[0].standing is Standing.PARTLY
    assert all("10.0.2.10" in line for line in added)


@EACH
@pytest.mark.parametrize("numbers", ["no gap", "unknown"])
def test_a_list_is_numbered_anew_only_where_no_number_is_free(name, numbers):
    if numbers == "unknown" and name != "cisco_ios":
        pytest.skip("its lines always have numbers")
    foreign = theirs(name, step=1) if numbers == "no gap" else theirs(name, numbers=False)
    _, policy, before, candidate, after = extended(name, (WEB,), foreign)
    assert prove(policy, after, before, Space()).equivalent
    assert candidate.text.count("resequence") == 1
    change = get(name).change(candidate, before)
    now = get(name).parse_config(change.apply, "apply", after.context, before)
    back = get(name).parse_config(change.rollback, "rollback", after.context, now)
    assert back.fingerprint() == before.fingerprint()
    if numbers == "no gap":
        assert said(back) == said(before)


@EACH
def test_an_explicit_deny_stops_the_plan_unless_it_is_overridden_by_name(name):
    sick = permit(tcp(443), ("10.0.1.66/32",), ("10.0.2.9/32",), requirements=("tcp-443",))
    with pytest.raises(PolicyError, match=r"deny ip host 10.0.1.66 any .*denies.*which tcp-443 requires"):
        extended(name, (sick,))
    for by in (
        "deny ip host 10.0.1.66 any",
        "CORP-2 quarantine",
        "CORP-2",
        "CORP 20" if name == "cisco_ios" else "CORP 40",
    ):
        _, policy, before, _, after = extended(name, (sick,), override=(by,))
        assert prove(policy, after, before, Space()).equivalent
    with pytest.raises(
        PolicyError, match=r"override 'CORP-999' names no explicit deny there \(valid choices: 'deny ip host"
    ):
        extended(name, (WEB,), override=("CORP-999",))


@EACH
def test_later_fragments_that_pass_in_part_are_not_guessed_at(name):
    part = ("permit tcp host 10.0.1.5 10.0.2.0 0.0.0.7 fragments", "deny ip any any")
    wide = permit(tcp(443), ("10.0.1.5/32",), ("10.0.2.0/28",))
    with pytest.raises(PolicyError, match=r"permits some later fragments of host 10.0.1.5 to 10.0.2.0.* and not all"):
        extended(name, (wide,), theirs(name, part))
    _, policy, before, candidate, after = extended(
        name, (WEB,), theirs(name, ("permit tcp any any fragments", "deny ip any any"))
    )
    assert prove(policy, after, before, Space()).equivalent
    assert "deny" not in candidate.text  # all of them pass today


@EACH
def test_several_ports_between_the_same_ends_need_one_guard(name):
    more = tuple(permit(tcp(port), ("10.0.1.5/32",), ("10.0.2.10/32",)) for port in (22, 443, 8443))
    whole = permit(Service(47), ("10.0.1.5/32",), ("10.0.2.9/32",))
    _, policy, before, candidate, after = extended(name, (*more, whole))
    assert prove(policy, after, before, Space()).equivalent
    assert candidate.text.count("deny ") == 1


@EACH
def test_what_cannot_be_extended_is_refused(name):
    two = theirs(name) + f"interface {port_of(make_context(name), 2)}\n  ip access-group CORP in\n"
    with pytest.raises(PolicyError, match=r"list CORP is bound to .* which lack different entries"):
        extended(name, (WEB,), two)
    dead = theirs(name, ("deny tcp any any", "permit tcp host 10.0.1.5 host 10.0.2.10 eq 443", "deny ip any any"))
    with pytest.raises(PolicyError, match="behind what denies it, and a system keeps one of two equal entries"):
        extended(name, (WEB,), dead, override=("deny tcp any any",))
    out = theirs(name) + f"interface {port_of(make_context(name), 2)}\n  ip access-group CORP out\n"
    with pytest.raises(PolicyError, match=r"denies .* on the way out \(CORP: deny ip any any log"):
        extended(name, (WEB,), out)
    if name != "cisco_nxos":
        kind = "standard CORP\n permit host 10.0.1.1\n"
        text = f"ip access-list {kind}interface {port_of(make_context(name))}\n ip access-group CORP in\n"
        with pytest.raises(PolicyError, match="list CORP looks at sources only"):
            extended(name, (WEB,), text)
    device = make_context(name, mode="jump")
    policy, before = make_policy(device, {}), read(device, "")
    with pytest.raises(PolicyError, match="has no chains to jump to"):
        get(name).render(policy, before)


@EACH
def test_a_second_change_is_empty_and_a_third_takes_out_what_is_no_longer_asked_for(name):
    platform = get(name)
    device, _, before, candidate, after = extended(name, (WEB,))
    change = platform.change(candidate, before)
    now = platform.parse_config(change.apply, "apply", device, before)
    assert said(now) == said(after)
    assert platform.change(candidate, now).is_empty
    assert now.without_owned().text() == before.text()
    assert now.owned() is not None
    other = permit(Service(UDP, PortRange(123, 123)), ("10.0.1.5/32",), ("10.0.2.9/32",), comment="ntp")
    policy = make_policy(device, {port_of(device): (other,)})
    again = platform.render(policy, now.without_owned())
    second = platform.change(again, now)
    later = platform.parse_config(second.apply, "apply", device, now)
    assert prove(policy, later, before, Space()).equivalent
    assert "443" not in later.text()
    assert "+" in second.diff
    assert "CORP-1 web" in second.diff or "CORP-999" in second.diff
    for target, script, start in ((now, second.rollback, later), (before, change.rollback, now)):
        back = platform.parse_config(script, "rollback", device, start)
        assert back.text() == target.text()
    assert platform.restore(before, before) == ""


@EACH
def test_somebody_meddles_with_the_list_meanwhile(name):
    platform = get(name)
    device, _, before, _, after = extended(name, (WEB,))
    text = after.text().replace("permit udp any any eq 53", "permit udp any any eq 67")
    meddled = read(device, text)
    script = platform.restore(before, meddled)
    back = platform.parse_config(script, "restore", device, meddled)
    assert "uipath" not in back.text()
    assert "eq 67" in back.text()
    assert back.text() == meddled.without_owned().text()


# ---- every list --------------------------------------------------------------------------------------

PREFIX = st.sampled_from(["10.0.1.11/32", "10.0.2.0/24", "0.0.0.0/0", "10.1.1.8/29"])
ASK = st.lists(
    st.builds(
        permit,
        st.sampled_from([tcp(22), tcp(80, 443), Service(UDP, PortRange(53, 53)), Service(47), Service(6)]),
        st.lists(PREFIX, min_size=1, max_size=2, unique=True),
        st.lists(PREFIX, min_size=1, max_size=2, unique=True),
        comment=st.sampled_from(["one", "two"]),
    ),
    min_size=1,
    max_size=3,
)
REFUSALS = ("some later fragments", "one of two equal entries", "explicit deny meets")


@EACH
def test_after_is_before_and_required_over_any_list(name):
    outcomes = set()

    @settings(max_examples=80, deadline=None)
    @given(st.lists(lines(name, {}), min_size=1, max_size=6, unique_by=lambda one: one[0]), ASK, st.integers(1, 10))
    def check(found, asked, step):
        body = tuple(dict.fromkeys(line for line, _ in found))
        foreign = theirs(name, body, step)
        plain = read(make_context(name), foreign)
        *inner, last = plain.config.acls["CORP"].entries
        ends = [] if last.text.removesuffix(" log") == "deny ip any any" else [last]  # that one is the default
        override = tuple(dict.fromkeys(entry.text for entry in (*inner, *ends) if entry.action == "deny"))
        try:
            device, policy, before, candidate, after = extended(name, tuple(asked), foreign, override=override)
        except PolicyError as caught:
            outcomes.add(next((words for words in REFUSALS if words in str(caught)), str(caught)))
            return
        space = Space()
        port = port_of(device)
        required = space.union(box for ace in asked for box in ace.boxes())
        assert after.permitted(space, port, NEW) == before.permitted(space, port, NEW) | required
        assert prove(policy, after, before, space).equivalent
        assert after.without_owned().fingerprint() == before.fingerprint()
        change = get(name).change(candidate, before)
        if not change.is_empty:
            now = get(name).parse_config(change.apply, "apply", device, before)
            assert now.fingerprint() == after.fingerprint()
            back = get(name).parse_config(change.rollback, "rollback", device, now)
            assert back.fingerprint() == before.fingerprint()
        outcomes.update(one.standing for one in candidate.existing[port].wanted)

    check()
    assert {Standing.MISSING} <= outcomes <= {*Standing, *REFUSALS}


def test_remarks_of_ios_may_land_anywhere():
    """Some versions put a remark at the end of a list, some give it the number of the entry behind it."""
    device, policy, before, candidate, after = extended("cisco_ios", (WEB,))
    moved = [line for line in after.text().splitlines() if "remark uipath_extend" in line]
    rest = [line for line in after.text().splitlines() if line not in moved]
    end = next(number for number, line in enumerate(rest) if "deny ip any any log" in line) + 1
    numbered = [line.replace("remark CORP-1", "10 remark CORP-1") for line in (*rest[:end], *moved, *rest[end:])]
    shown = read(device, "\n".join(numbered) + "\n")
    assert shown.without_owned().fingerprint() == before.fingerprint()
    assert get("cisco_ios").change(candidate, shown).is_empty
    gone = get("cisco_ios").parse_config(get("cisco_ios").restore(before, shown), "x", device, shown)
    assert "uipath" not in gone.text()
    assert prove(policy, shown, before, Space()).equivalent


# ---- long lists, and many addresses --------------------------------------------------------------
MANY = tuple(f"10.0.1.{n}/32" for n in range(1, 80, 2))
FEW = tuple(f"10.0.2.{n}/32" for n in (10, 12, 14))
WITH_GROUPS = pytest.mark.parametrize("name", ["cisco_ios", "cisco_nxos"])


def entries_in(text):
    return [
        line
        for line in text.splitlines()
        if re.search(r"\b(permit|deny) (tcp|udp|icmp)", line) and "remark" not in line
    ]


@WITH_GROUPS
def test_a_permit_of_many_pairs_is_one_entry_of_object_groups(name):
    many = permit(tcp(443), MANY, FEW, comment="tcp-443 (page line 11)", requirements=("tcp-443",))
    device, policy, before, candidate, after = extended(name, (many,))
    assert prove(policy, after, before, Space()).equivalent
    # The permit, and before it what keeps later fragments out.
    assert len(entries_in(candidate.text)) == 2
    assert candidate.text.count("object-group ip address" if name == "cisco_nxos" else "object-group network") == 2
    plain = extended(name, (many,), plain=True)
    assert len(entries_in(plain[3].text)) == 2 * len(MANY) * len(FEW)
    space = Space()
    port = port_of(device)
    assert after.permitted(space, port, NEW) == plain[4].permitted(space, port, NEW)
    assert prove(plain[1], plain[4], plain[2], Space()).equivalent


@WITH_GROUPS
def test_groups_come_before_entries_that_name_them_and_go_after_them(name):
    many = permit(tcp(443), MANY, FEW, comment="tcp-443", requirements=("tcp-443",))
    device, _, before, candidate, after = extended(name, (many,))
    change = get(name).change(candidate, before)
    for lines_of, word in ((change.apply, "permit"), (change.rollback, "no")):
        lines_typed = [line.strip() for line in lines_of.splitlines()]
        groups = [n for n, line in enumerate(lines_typed) if line.removeprefix("no ").startswith("object-group")]
        entries = [
            n
            for n, line in enumerate(lines_typed)
            if "permit tcp" in line or (word == "no" and re.match(r"no \d+", line))
        ]
        assert groups
        assert entries
        assert max(groups) < min(entries) if word == "permit" else min(groups) > max(entries)
    after_change = get(name).parse_config(change.apply, "apply", device, before)
    assert get(name).change(candidate, after_change).is_empty
    back = get(name).parse_config(change.rollback, "rollback", device, after_change)
    assert back.text() == before.text()
    assert after.without_owned().text() == before.text()
    assert after.owned().config.groups


@WITH_GROUPS
def test_a_group_that_somebody_changed_is_refused_with_what_to_type(name):
    many = permit(tcp(443), MANY, FEW, comment="tcp-443", requirements=("tcp-443",))
    device, _, before, candidate, _ = extended(name, (many,))
    change = get(name).change(candidate, before)
    wrong = get(name).parse_config(change.apply.replace("host 10.0.2.12", "host 10.0.2.13"), "apply", device, before)
    with pytest.raises(
        PolicyError, match=r"was changed by hand.*put its members back first \(host 10.0.2.12, no host 10.0.2.13\)"
    ):
        get(name).change(candidate, wrong)


@WITH_GROUPS
def test_pairs_whose_later_fragments_pass_today_are_told_apart(name):
    """A group would let later fragments of all pairs pass, or of none; some pass already, so pairs are written."""
    foreign = theirs(name, ("permit tcp host 10.0.1.1 host 10.0.2.10 eq 80", *CORP))
    many = permit(tcp(443), MANY, FEW, comment="tcp-443", requirements=("tcp-443",))
    _, policy, before, candidate, after = extended(name, (many,), foreign)
    assert prove(policy, after, before, Space()).equivalent
    assert "object-group" not in candidate.text
    assert len(entries_in(candidate.text)) == 2 * len(MANY) * len(FEW) - 1


def test_layer_2_ports_and_eos_take_no_groups():
    many = permit(tcp(443), MANY, FEW, comment="tcp-443", requirements=("tcp-443",))
    assert "object-group" not in extended("arista_eos", (many,))[3].text
    device = make_context("cisco_ios", switched=True, mode="extend")
    policy = make_policy(device, {port_of(device): (many,)})
    before = read(device, theirs("cisco_ios"))
    candidate = get("cisco_ios").render(policy, before)
    assert "object-group" not in candidate.text
    after = get("cisco_ios").parse_config(candidate.text, "dev1.cfg", device, before)
    assert prove(policy, after, before, Space()).equivalent


@EACH
def test_no_entry_of_theirs_is_taken_for_ours(name):
    """Thousands of entries on each side: the marks of ours must not name one of theirs by chance."""
    body = [f"permit tcp host 172.16.{n // 250}.{n % 250 + 1} host 10.0.2.9 eq {n % 7 + 1}" for n in range(4000)]
    foreign = theirs(name, (*body, "deny ip any any log"))
    many = permit(tcp(443), MANY, tuple(f"10.0.2.{n}/32" for n in range(10, 60, 2)), comment="c", requirements=("r",))
    _, _, before, candidate, after = extended(name, (many,), foreign, plain=True)
    assert len(entries_in(candidate.text)) == 2 * len(MANY) * 25
    assert not any(" host 172.16." in line for line in candidate.text.splitlines())
    assert [line.text for line in after.without_owned().config.acls["CORP"].entries] == [
        line.text for line in before.config.acls["CORP"].entries
    ]


def test_a_mark_that_would_name_an_entry_of_theirs_is_refused(monkeypatch):
    monkeypatch.setattr("toolkit.platforms._cisco_edit.DIGEST", 1)
    many = permit(tcp(443), MANY, FEW, comment="c", requirements=("r",))
    with pytest.raises(PolicyError, match="by chance an entry of list CORP has the mark"):
        extended("arista_eos", (many,))


@WITH_GROUPS
def test_a_twin_reads_entries_of_our_groups_in_their_list_as_we_do(name):
    """A second reading of the same text, with code of its own, packet by packet."""
    many = permit(tcp(443), MANY, FEW, comment="tcp-443", requirements=("tcp-443",))
    device, _, _, _, after = extended(name, (many,))
    twin = make_twin("dev1", name, after.text(), Login())
    verdicts = set()
    for source in ("10.0.1.1", "10.0.1.2", "10.0.1.5", "10.0.1.66", "10.0.1.79"):
        for destination in ("10.0.2.9", "10.0.2.10", "10.0.2.12", "10.0.2.13"):
            for port in (53, 80, 443):
                packet = Packet(IPv4Address(source), IPv4Address(destination), 6, 40000, port)
                ours = after.decide(port_of(device), packet, NEW).action is Action.PERMIT
                assert judge(twin, port_of(device), packet).permit == ours, packet
                verdicts.add((port, ours))
    assert {(443, True), (443, False)} <= verdicts
