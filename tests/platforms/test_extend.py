"""Our rules between other people's rules: generated foreign rulesets, a real kernel, meddling, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.platforms.rulesets import LOADED, rulesets
from tests.platforms.test_change import Device
from tests.platforms.test_render import CORP, EXTEND, JUMP, SHOW, after_of, before_of, make_policy, permit, tcp
from toolkit.errors import PolicyError
from toolkit.net import TCP, UDP, PortRange, Service
from toolkit.packets import Space
from toolkit.platforms._nft_existing import explicit_denies
from toolkit.platforms.base import ConnState
from toolkit.platforms.linux_nftables import PLATFORM
from toolkit.policy import Standing
from toolkit.topology import Kind

NEW = ConnState.NEW
PREFIXES = st.lists(
    st.sampled_from(["10.0.1.1/32", "10.0.1.0/29", "10.0.2.0/25", "0.0.0.0/0", "192.0.2.1/32"]), min_size=1, max_size=2,
    unique=True,
).map(tuple)  # fmt: skip
SERVICES = st.sampled_from([tcp(22), tcp(20, 90), Service(UDP, PortRange(53, 53)), Service(TCP), Service(47)])
PERMITS = st.builds(permit, SERVICES, PREFIXES, PREFIXES, comment=st.sampled_from(["one", "two"]))
ASKED = st.dictionaries(st.sampled_from(["eth1", "eth2"]), st.lists(PERMITS, min_size=1, max_size=3), min_size=1)


def generated(device, family, text):
    """A device in mode extend for the chain `main` of a generated ruleset, every explicit deny overridden."""
    where = {"mode": "extend", "family": family, "table": "t", "chain": "main"}
    kind = Kind.SWITCH if family == "bridge" else Kind.FIREWALL
    before = before_of(device(kind, **where), text)
    key = (family, "t")
    names = explicit_denies(before.ruleset, key, before.ruleset.tables[key]["main"])
    context = device(kind, **where, override=tuple(dict.fromkeys(one[0] for one in names)))
    return context, before_of(context, text)


def workable(text):
    """A generated ruleset whose only base chain is `main`, and known connections pass it: nothing else is in the way."""
    text = re.sub(r"\tchain early \{.*?\n\t\}\n", "", text, flags=re.DOTALL)
    known = "" if text.startswith("table bridge") else "\t\tct state established,related accept\n"
    return re.sub(r"(hook forward [^\n]*\n)", rf"\1{known}", text)


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_after_is_before_and_required_over_any_foreign_ruleset(device, family):
    outcomes = set()

    @settings(max_examples=300, deadline=None)
    @given(rulesets(family), ASKED)
    def check(text, asked):
        context, before = generated(device, family, text)
        try:
            candidate = PLATFORM.render(make_policy(context, asked, asked), before)
        except PolicyError as caught:
            # Another chain drops it, or answers would not come back: nothing that rules in this chain could change.
            outcomes.add("refused" if "another team denies" in str(caught) else str(caught))
            return
        after = after_of(context, candidate, before)
        space = Space()
        for interface in context.interfaces:
            added = space.union(box for ace in asked.get(interface, ()) for box in ace.boxes())
            was = before.permitted(space, interface, NEW)
            assert after.permitted(space, interface, NEW) == was | added
            for conn in (ConnState.ESTABLISHED, ConnState.RELATED):
                was, now = (state.permitted(space, interface, conn) for state in (before, after))
                assert was <= now <= was | added
            outcomes.update(one.standing for one in candidate.existing[interface].wanted)
        assert after.without_owned().ruleset == before.ruleset

    check()
    assert outcomes == {"refused", *Standing}


@pytest.mark.lab
@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_the_kernel_puts_them_where_we_say_by_index_and_by_handle(device, kernel, family):
    placed = set()

    @LOADED
    @given(rulesets(family).map(workable), ASKED)
    def check(text, asked):
        context, before = generated(device, family, text)
        try:
            candidate = PLATFORM.render(make_policy(context, asked, asked), before)
        except PolicyError:
            return
        expected = after_of(context, candidate, before)
        assert PLATFORM.parse_running({SHOW: kernel(text, candidate.text)}, context).ruleset == expected.ruleset
        now = PLATFORM.parse_running({SHOW: kernel(text)}, context)
        change = PLATFORM.change(candidate, now)
        assert change.is_empty == (expected.owned() is None)
        if change.is_empty:
            return
        placed.update(line.split()[0] for line in change.apply.splitlines())
        running = PLATFORM.parse_running({SHOW: kernel(text, change.apply)}, context)
        assert running.ruleset == expected.ruleset
        assert PLATFORM.change(candidate, running).is_empty
        (boot,) = PLATFORM.startup(running).values()
        assert PLATFORM.parse_running({SHOW: kernel(text, boot)}, context).ruleset == expected.ruleset
        back = PLATFORM.restore(now, running)
        assert PLATFORM.parse_running({SHOW: kernel(text, change.apply, back)}, context).ruleset == before.ruleset

    check()
    assert placed >= {"#", "insert", "add"}


# ---- on a device, step after step ------------------------------------------------------------


# The quarantine is nothing to what is required here.
APART = CORP.replace("ip saddr 10.0.1.66", "ip daddr 10.0.9.9")


@pytest.fixture
def dev(device, kernel):
    return Device(device(**EXTEND), kernel, APART)


def forward(dev):
    return dev.running().ruleset.tables["inet", "corp"]["forward"].rules


def comments(dev):
    return [rule.comment for rule in forward(dev)]


BEFORE = ["", "CORP-10 quarantine", "CORP-1 web"]
LAST = "CORP-999 default drop"


def ours(port):
    return f"uipath_forward: p{port}"


def test_rules_go_between_and_foreign_rules_keep_their_place_and_handle(device, kernel):
    dev = Device(device(**EXTEND, override=("CORP-10",)), kernel, CORP)
    handles = [rule.handle for rule in forward(dev)]
    dev.apply(443)
    assert comments(dev) == ["", ours(443), "CORP-10 quarantine", "CORP-1 web", LAST]
    change = dev.apply(443, 9345)
    assert change.apply.count("\ninsert rule") == 1, "what stands there is left alone"
    assert "delete" not in change.apply
    assert [line for line in change.diff.splitlines() if line.startswith(("+\t", "-\t"))] == [
        f"+{line}" for line in dev.running().text().splitlines() if "9345" in line
    ]
    dev.apply(9345)
    assert comments(dev) == ["", ours(9345), "CORP-10 quarantine", "CORP-1 web", LAST]
    dev.restore(dev.first)
    assert [rule.handle for rule in forward(dev)] == handles
    for script in dev.sent[dev.foreign :]:
        named = {line.split()[6] for line in script.splitlines() if line.startswith("delete")}
        assert not named & {str(handle) for handle in handles}


@pytest.mark.parametrize(
    "meddle",
    [
        'insert rule inet corp forward iifname "eth1" tcp dport 9 accept comment "uipath_forward: p9"\n',
        'add rule inet corp forward iifname "eth1" tcp dport 443 drop comment "uipath_forward: p443"\n',
        'insert rule inet corp forward index 2 tcp dport 1 accept comment "CORP-2 new and foreign"\n',
    ],
)
def test_rules_that_carry_our_mark_and_are_not_ours_any_more_are_put_right(dev, meddle):
    dev.apply(443)
    good = comments(dev)
    state = dev.running().fingerprint()
    dev.send(meddle)
    assert dev.running().fingerprint() != state, "drift, of ours or theirs, is noticed"
    assert dev.apply(443).is_empty == ("CORP-2" in meddle)
    assert [one for one in comments(dev) if "CORP-2" not in one] == good


def test_ours_are_told_from_those_of_a_team_that_writes_our_prefix(dev):
    dev.send('insert rule inet corp forward tcp dport 9 accept comment "uipath: a rule of theirs"\n')
    dev.first = dev.running()
    dev.apply(443)
    dev.restore(dev.first)
    assert comments(dev) == ["uipath: a rule of theirs", *BEFORE, LAST]


def test_a_deny_that_somebody_adds_later_stops_the_next_plan_by_its_name(dev):
    dev.apply(443)
    dev.send('insert rule inet corp forward tcp dport 443 drop comment "CORP-66 stop"\n')
    with pytest.raises(PolicyError, match=r"dev1 eth1: .*CORP-66 stop \(handle \d+\) denies tcp .*filter\.override"):
        dev.apply(443)
    space = Space()
    after = dev.running()
    assert not space.union(permit(tcp(443), destinations=("10.0.2.13/32",)).boxes()) <= after.permitted(
        space, "eth1", NEW
    )


def test_a_rollback_finds_its_places_where_others_have_changed_theirs_meanwhile(dev):
    dev.apply(443)
    one = dev.running()
    dev.apply(9345)
    web = next(rule.handle for rule in forward(dev) if rule.comment == "CORP-1 web")
    dev.send(f"delete rule inet corp forward handle {web}\n")
    dev.send('insert rule inet corp forward tcp dport 1 accept comment "CORP-3 new"\n')
    dev.send(PLATFORM.restore(one, dev.running()))
    assert comments(dev) == ["CORP-3 new", "", "CORP-10 quarantine", ours(443), LAST]
    assert dev.running().fingerprint() != one.fingerprint()


def test_a_device_moves_from_jump_to_extend_and_back_and_nothing_is_left(device, kernel):
    dev = Device(device(**JUMP), kernel, APART)
    dev.apply(443)
    jumped = dev.running()
    dev.context = device(**EXTEND)
    dev.apply(443)
    assert comments(dev) == [*BEFORE, ours(443), LAST]
    assert set(dev.running().ruleset.tables["inet", "corp"]) == {"forward"}
    extended = dev.running()
    dev.context = device(**JUMP)
    dev.apply(443)
    assert dev.running().fingerprint() == jumped.fingerprint()
    dev.context = device(**EXTEND)
    dev.restore(extended)
    assert dev.running().fingerprint() == extended.fingerprint()
    dev.restore(dev.first)
    assert dev.running().fingerprint() == dev.first.fingerprint()


# ---- what is there already, and what is refused ----------------------------------------------


def render(context, foreign, *aces):
    return PLATFORM.render(make_policy(context, {"eth1": aces}, {"eth1": aces}), before_of(context, foreign))


def test_what_passes_already_is_said_with_the_rule_and_what_is_missing_with_its_place(device):
    web = permit(tcp(80), ("10.0.1.5/32",), comment="web", requirements=("tcp-80",))
    more = permit(tcp(80), ("10.0.1.4/31",), comment="more", requirements=("tcp-80",))
    ssh = permit(tcp(22), ("10.0.1.5/32",), comment="ssh", requirements=("tcp-22",))
    candidate = render(device(**EXTEND), CORP, web, more, ssh)
    one, two, three = candidate.existing["eth1"].wanted
    assert (one.standing, one.by, one.slot) == (Standing.PERMITTED, ("CORP-1 web (running.nft:6)",), None)
    assert (two.standing, two.by, two.slot) == (Standing.PARTLY, one.by, 3)
    assert (three.standing, three.against) == (Standing.MISSING, ("CORP-999 default drop (running.nft:7)",))
    assert three.text == "tcp/22 10.0.1.5 -> any"
    assert three.requirements == ("tcp-22",)
    assert "web" not in candidate.text
    assert render(device(**JUMP), CORP, web, more, ssh).existing == candidate.existing


def test_older_excess_is_information(device):
    candidate = render(device(**EXTEND), CORP, permit(tcp(22), ("10.0.1.5/32",)))
    (excess,) = candidate.existing["eth1"].excess
    assert excess.entry == "CORP-1 web (running.nft:6)"
    assert str(excess.packet.src) == "10.0.1.5"
    assert candidate.existing["eth2"].excess == (excess,)
    assert not render(device(**EXTEND), CORP, permit(tcp(80), ("10.0.1.5/32",))).existing["eth1"].excess


def test_nothing_is_sent_where_all_is_permitted(device, kernel):
    context = device(**EXTEND)
    candidate = render(context, CORP, permit(tcp(80), ("10.0.1.5/32",)))
    assert (
        candidate.text == "# dev1: 0 rules of ours stand in chain forward in table inet corp, the rest is not touched\n"
    )
    assert PLATFORM.change(candidate, PLATFORM.parse_running({SHOW: kernel(CORP)}, context)).is_empty


def test_a_chain_with_nothing_but_its_policy_is_extended_at_its_end(device):
    bare = "table inet corp {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t\tct state established accept\n\t\tct state related accept\n\t}\n}\n"
    text = render(device(**EXTEND), bare, permit(tcp(22), ("10.0.1.5/32",))).text
    assert text.splitlines()[1].startswith("add rule inet corp forward iifname ")


def test_a_chain_that_forwarded_packets_do_not_pass_is_refused(device):
    inward = CORP.replace("hook forward", "hook input")
    with pytest.raises(
        PolicyError, match="chain forward of table inet corp is hooked at input: forwarded packets do not"
    ):
        render(device(**EXTEND), inward, permit(tcp(22)))


@pytest.mark.parametrize("missing", ["table", "chain"])
def test_table_and_chain_must_be_named(device, missing):
    where = {key: value for key, value in EXTEND.items() if key != missing}
    with pytest.raises(PolicyError, match=r"mode extend needs the foreign filter\.table and filter\.chain"):
        render(device(**where), CORP, permit(tcp(22)))


def test_a_drop_in_another_base_chain_cannot_be_extended_away(device):
    other = CORP.replace("inet corp", "inet more").replace("priority filter", "priority 5")
    with pytest.raises(PolicyError, match=r"another team denies tcp .*inet more forward"):
        render(device(**EXTEND), CORP + other, permit(tcp(22), ("10.0.1.5/32",)))


def test_a_deny_in_a_chain_that_is_jumped_to_is_named_with_its_chain(device):
    sub = CORP.replace("\tchain forward", "\tchain bad {\n\t\tip saddr 10.0.1.66 drop\n\t}\n\tchain forward").replace(
        'ip saddr 10.0.1.66 drop comment "CORP-10 quarantine"', "jump bad"
    )
    ace = permit(tcp(22), ("10.0.1.66/32",))
    with pytest.raises(PolicyError, match=r"ip saddr 10\.0\.1\.66 drop \(chain bad, running\.nft:3\) denies"):
        render(device(**EXTEND), sub, ace)
    text = render(device(**EXTEND, override=("ip saddr 10.0.1.66 drop",)), sub, ace).text
    assert "insert rule inet corp forward index 1 " in text


def test_a_switch_is_extended_in_its_bridge_chain(device, kernel):
    foreign = CORP.replace("inet corp", "bridge corp").replace("\t\tct state established,related accept\n", "")
    context = device(Kind.SWITCH, **EXTEND | {"family": "bridge"})
    answer = permit(Service(TCP, PortRange(1024, 65535)), ("10.0.2.13/32",), sport=PortRange(22, 22), established=True)
    candidate = render(context, foreign, permit(tcp(22), ("10.0.1.4/31",), ("10.0.2.13/32",)), answer)
    running = PLATFORM.parse_running({SHOW: kernel(foreign, candidate.text)}, context)
    assert running.ruleset == after_of(context, candidate, before_of(context, foreign)).ruleset
