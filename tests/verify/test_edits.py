"""Single edits of rendered configurations: the proof finds every one that changes meaning, and no other.

Whether an edit changes meaning is judged without the proof: packet by packet, on the boundary points of all
rules of the device, by walking the rules. TOOLKIT_EDITS=all tries every edit of every line.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.verify.edits import edits
from toolkit.errors import InputError
from toolkit.flows import build
from toolkit.net import Action
from toolkit.packets import Space
from toolkit.paths import PathFinder
from toolkit.platforms.base import ConnState
from toolkit.policy import build_policies
from toolkit.render import context, platform_of, recorded_state, render_all
from toolkit.render.proof import prove
from toolkit.site import load_site

DEVICES = ("leaf1", "leaf2", "fw1", "fw2")
SAMPLE = 12


class Bench:
    """The reference site rendered once, and a way to judge an edited text."""

    def __init__(self, site):
        self.site = site
        self.finder = PathFinder(site.topology)
        self.space = Space()
        self.policies, _ = build_policies(build(site), self.finder)
        self.rendered = render_all(site, self.finder, self.policies, self.space)

    def state(self, device, text):
        before = recorded_state(self.site, self.finder, device)
        where = context(self.site, self.finder, device)
        return platform_of(self.site, device).parse_config(text, f"{device}.cfg", where, before)

    def prove(self, device, state):
        before = recorded_state(self.site, self.finder, device)
        return prove(self.policies[device], state, before, self.space)

    def same(self, device, one, other):
        for acl in self.policies[device].acls:
            for state in ConnState:
                if one.permitted(self.space, acl.interface, state) != other.permitted(self.space, acl.interface, state):
                    return False
        return True


@pytest.fixture(scope="module")
def bench(reference):
    return Bench(reference)


@pytest.fixture(scope="module")
def extended():
    return Bench(load_site(Path(__file__).parents[1] / "sites" / "extend"))


@pytest.mark.parametrize("device", DEVICES)
def test_an_edit_that_changes_meaning_has_a_witness_and_no_other_has(bench, device):
    hold(bench, device)


@pytest.mark.parametrize("device", ["sw1", "fw1"])
def test_the_same_holds_of_rules_between_those_of_others(extended, device):
    hold(extended, device)


def test_a_rule_behind_what_denies_its_packets_is_found_and_one_further_up_is_not(extended):
    text = extended.rendered["fw1"].candidate.text
    assert text.count(" index 6 ") == 1
    for index in range(1, 9):
        state = extended.state("fw1", text.replace(" index 6 ", f" index {index} ") if index < 8 else
                               text.replace("insert rule", "add rule").replace(" index 6 ", " "))  # fmt: skip
        proof = extended.prove("fw1", state)
        assert proof.equivalent == (index <= 7), index
    assert {one.kind.value for one in proof.witnesses} == {"required_denied"}


def hold(bench, device):
    original = bench.rendered[device].after
    for name, text in edits(bench.rendered[device].candidate.text, seed=device, sample=SAMPLE):
        try:
            edited = bench.state(device, text)
        except InputError:
            continue  # refused is as good as found
        proof = bench.prove(device, edited)
        assert proof.equivalent == bench.same(device, original, edited), f"{device} {name}: {proof}"
        for witness in proof.witnesses:
            before = original.decide(witness.interface, witness.packet, witness.state)
            after = edited.decide(witness.interface, witness.packet, witness.state)
            assert after == witness.decision
            assert before.action is not after.action, f"{device} {name}: {witness}"
            denied = "denied" in witness.kind.value
            assert (after.action is Action.DENY) == denied


@pytest.mark.parametrize("device", ["leaf1", "leaf2", "fw2"])
def test_swapping_entries_that_meet_is_found(bench, device):
    text = bench.rendered[device].candidate.text
    lines = text.splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if " accept" in line and "ip saddr" in line)
    default = next(n for n, line in enumerate(lines) if n > first and " drop " in line)
    lines[first], lines[default] = lines[default], lines[first]
    assert not bench.prove(device, bench.state(device, "".join(lines))).equivalent


@pytest.mark.parametrize("device", DEVICES)
def test_splitting_a_prefix_and_reordering_strangers_changes_nothing(bench, device):
    text = bench.rendered[device].candidate.text
    lines = text.splitlines(keepends=True)
    permits = [n for n, line in enumerate(lines) if " accept" in line and ("tcp dport" in line or "udp dport" in line)]
    if len(permits) > 1:
        lines[permits[0]], lines[permits[1]] = lines[permits[1]], lines[permits[0]]
    split = "".join(lines).replace("10.20.0.0/24", "{ 10.20.0.0/25, 10.20.0.128/25 }")
    assert bench.prove(device, bench.state(device, split)).equivalent


@pytest.mark.parametrize("device", DEVICES)
def test_comments_counters_and_spaces_are_not_meaning(bench, device):
    text = re.sub(r' comment "[^"]*"', "", bench.rendered[device].candidate.text).replace(" counter", "")
    text = text.replace("\t", "    ") + "\n# a remark\n"
    assert bench.prove(device, bench.state(device, text)).equivalent


@pytest.mark.parametrize(
    "line", ["\t\tip saddr 10.0.0.1 mark set 1 accept\n", "\t\tip6 saddr ::1 drop\n", "\t\tfrobnicate\n"]
)
def test_a_line_that_is_not_understood_is_an_error_with_its_number(bench, line):
    text = bench.rendered["leaf1"].candidate.text
    lines = text.splitlines(keepends=True)
    lines.insert(20, line)
    with pytest.raises(InputError, match=r"^leaf1\.cfg:21: .*not understood"):
        bench.state("leaf1", "".join(lines))
