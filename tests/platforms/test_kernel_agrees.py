"""The kernel as an outside judge: real frames through real rules get the verdicts that we compute.

The set, the walk and the renderer share one reading of nft's language; the kernel shares none of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.platforms.rulesets import packets, rulesets
from tests.platforms.test_extend import PERMITS, generated, workable
from tests.platforms.test_render import before_of, make_policy, permit, tcp
from toolkit.net import TCP, Action, Packet
from toolkit.packets import Space
from toolkit.platforms.base import ConnState
from toolkit.platforms.linux_nftables import PLATFORM
from toolkit.topology import Kind

LIVE = Path(__file__).with_name("live.py")
GOLDENS = Path(__file__).with_name("goldens")


def send(bridge, script, sent):
    order = {
        "bridge": bridge,
        "script": script,
        "packets": [
            {
                "interface": interface,
                "src": str(one.src),
                "dst": str(one.dst),
                "protocol": one.protocol,
                "sport": one.sport,
                "dport": one.dport,
                "established": one.established,
                "icmp": None if one.icmp is None else [one.icmp.type, one.icmp.code or 0],
                "fragment": one.fragment,
            }
            for interface, one in sent
        ],
    }
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, str(LIVE)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def live(kernel):
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun is not there, or not open to this user")
    return send


# Whole packets only: what this comparison says of later fragments is in the last test.
WHOLE = packets().filter(lambda one: not one.fragment)
SENT = st.lists(st.tuples(st.sampled_from(["eth1", "eth2", "eth3"]), WHOLE), min_size=60, max_size=120)
# Shrinking would build a namespace per step; a failure names the packet and the deciding rule anyway.
FRAMES = settings(
    max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


def disagreements(context, live, text, sent):
    """What the kernel does otherwise, twice in a row: on a busy machine a frame may come too late to be seen."""
    state = PLATFORM.parse_config(text, "file.nft", context, PLATFORM.empty(context))
    space = Space()
    permitted = {name: state.permitted(space, name, ConnState.NEW) for name in context.interfaces}
    for _ in range(2):
        passed = live(context.node.kind is Kind.SWITCH, text, sent)
        found, again = [], []
        for (interface, one), really in zip(sent, passed, strict=True):
            decision = state.decide(interface, one, ConnState.NEW)
            if {one in permitted[interface], decision.action is Action.PERMIT} != {really}:
                found.append(f"{one} at {interface}: kernel {'passes' if really else 'drops'} it, but {decision}")
                again.append((interface, one))
        if not found:
            return []
        sent = again
    return found


@pytest.mark.lab
@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_generated_rulesets_do_to_real_frames_what_we_say(device, live, family):
    context = device(Kind.FIREWALL if family == "inet" else Kind.SWITCH)
    verdicts = set()

    @FRAMES
    @given(rulesets(family), SENT)
    def check(text, sent):
        # Without ct the kernel tracks nothing, so that frames do not depend on those before them.
        text = re.sub(r"ct state (!= )?\S+ ?", "", text)
        assert not disagreements(context, live, text, sent)
        state = PLATFORM.parse_config(text, "file.nft", context, PLATFORM.empty(context))
        verdicts.update(state.decide(interface, one, ConnState.NEW).action for interface, one in sent)

    # Chance may let every example deny; these two do not.
    for policy in ("accept", "drop"):
        chain = f"chain main {{\n\t\ttype filter hook forward priority 0; policy {policy};\n\t}}\n"
        text = f"table {family} t {{\n\t{chain}}}\n"
        sent = [("eth1", Packet(IPv4Address("10.0.1.1"), IPv4Address("10.0.2.1"), TCP, 40000, 22))]
        assert not disagreements(context, live, text, sent)
        state = PLATFORM.parse_config(text, "file.nft", context, PLATFORM.empty(context))
        verdicts.update(state.decide(interface, one, ConnState.NEW).action for interface, one in sent)
    check()
    assert verdicts == set(Action)


@pytest.mark.lab
def test_the_rendered_bridge_does_to_real_frames_what_we_say(device, live):
    context = device(Kind.SWITCH)
    text = (GOLDENS / "own_bridge.nft").read_text(encoding="utf-8")

    @FRAMES
    @given(SENT)
    def check(sent):
        assert not disagreements(context, live, text, sent)

    check()


@pytest.mark.lab
def test_an_extended_chain_does_to_real_frames_what_we_say(device, live):
    verdicts = set()

    @FRAMES
    @given(rulesets("inet").map(workable), SENT, st.lists(PERMITS, min_size=1, max_size=3))
    def check(text, sent, asked):
        foreign = re.sub(r"ct state (!= )?\S+ ?", "", text.replace("\t\tct state established,related accept\n", "", 1))
        context, state = generated(device, "inet", foreign)
        candidate = PLATFORM.render(make_policy(context, {"eth1": asked}), state)
        assert not disagreements(context, live, foreign + candidate.text, sent)
        after = before_of(context, foreign + candidate.text)
        wanted = Space().union(box for ace in asked for box in ace.boxes())
        for interface, one in sent:
            now = after.decide(interface, one, ConnState.NEW).action
            was = state.decide(interface, one, ConnState.NEW).action
            asks = interface == "eth1" and one in wanted
            assert now is (Action.PERMIT if asks else was)
            verdicts.add((asks, was, now))

    check()
    assert verdicts >= {(True, Action.DENY, Action.PERMIT), (False, Action.DENY, Action.DENY)}


@pytest.mark.lab
def test_a_later_fragment_does_not_pass_by_a_port_rule_of_ours_in_a_foreign_chain(device, live):
    """The kernel compares what stands where the ports would be (next test), so our rules ask for whole packets."""
    foreign = "table bridge t {\n\tchain main {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n"
    where = {"mode": "extend", "family": "bridge", "table": "t", "chain": "main"}
    context = device(Kind.SWITCH, **where)
    ace = permit(tcp(0), destinations=("10.0.2.8/32",))
    text = foreign + PLATFORM.render(make_policy(context, {"eth1": (ace,)}), before_of(context, foreign)).text
    ends = IPv4Address("10.0.1.1"), IPv4Address("10.0.2.8"), TCP
    sent = [("eth1", Packet(*ends, fragment=True)), ("eth1", Packet(*ends, 1024, 0)), ("eth1", Packet(*ends, 1024, 1))]
    assert not disagreements(context, live, text, sent)
    assert live(bridge=True, script=text, sent=sent) == [False, True, False]


@pytest.mark.lab
@pytest.mark.xfail(
    reason="kernel 6.18 compares ports inside later fragments (measured on bridges and routed, nothing tracked); our model "
    "says that such a match never meets one",
    strict=False,
)
def test_a_port_match_never_meets_a_later_fragment(device, live):
    context = device(Kind.SWITCH)
    text = "table bridge t {\n\tchain c {\n\t\ttype filter hook forward priority 0; policy drop;\n\t\ttcp dport 0 accept\n\t}\n}\n"
    piece = Packet(IPv4Address("10.0.1.1"), IPv4Address("10.0.2.8"), TCP, fragment=True)
    assert not disagreements(context, live, text, [("eth1", piece)])
