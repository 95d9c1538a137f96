"""Changes whose lines count one by one: safe orders pass, others are refused with the line that breaks them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.deploy.real_fleet import context_of, policy_of
from tests.platforms import asa_cases, test_asa_extend, test_cisco_extend
from tests.platforms.cisco import read
from toolkit.deploy.moments import check_moments
from toolkit.deploy.plan import DeviceChange
from toolkit.errors import DeployError
from toolkit.platforms import get


def row(os, apply):
    return DeviceChange("dev1", os, "", "", apply, "", {}, "")


def checked(os, apply, before):
    check_moments(row(os, apply), get(os), before)


def first_state(os, context):
    if os == "cisco_asa":
        return asa_cases.running(asa_cases.INSPECT, context)
    return get(os).empty(context)


@pytest.mark.parametrize("os", ["cisco_ios", "cisco_asa"])
def test_lists_built_under_new_names_are_safe_both_ways(os):
    platform, context = get(os), context_of(os, "dev1")
    now = first_state(os, context)
    for ports in ((8001,), (8002, 8003)):
        policy = replace(policy_of(os, context, ports), device="dev1")
        change = platform.change(platform.render(policy, now.without_owned()), now)
        checked(os, change.apply, now)
        body = "\n".join(
            line for line in change.apply.splitlines() if not line.startswith("configure") and line != "end"
        )
        after = platform.parse_config(body, "dev1", context, now)
        checked(os, platform.restore(now, after), after)
        now = after


@pytest.mark.parametrize("foreign", ["step 10", "no gap", "no numbers"])
def test_entries_among_those_of_others_are_safe_both_ways_on_ios(foreign):
    text = test_cisco_extend.theirs("cisco_ios", step=1 if foreign == "no gap" else 10, numbers=foreign != "no numbers")
    context, _, before, candidate, after = test_cisco_extend.extended("cisco_ios", (test_cisco_extend.WEB,), text)
    platform = get("cisco_ios")
    change = platform.change(candidate, before)
    assert change.apply
    checked("cisco_ios", change.apply, before)
    now = platform.parse_config(change.apply, "dev1", context, before)
    assert now.fingerprint() == after.fingerprint()
    checked("cisco_ios", change.rollback, now)


def test_entries_among_those_of_others_are_safe_on_an_asa():
    candidate, before, _ = test_asa_extend.extended([test_asa_extend.SSH, test_asa_extend.WEB])
    change = get("cisco_asa").change(candidate, before)
    assert change.apply
    checked("cisco_asa", change.apply, before)


LIST = (
    "ip access-list extended L\n 10 permit tcp any host 10.0.0.5 eq 443\n 20 permit tcp any host 10.0.0.5 eq 22\n"
    " 30 deny ip any any\ninterface GigabitEthernet0/1\n ip access-group L in\n"
)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        # The entry is back at the end, but its flow is down in between.
        ("ip access-list extended L\n no 10\n 10 permit tcp any host 10.0.0.5 eq 443\n exit",
         r"after 'no 10' GigabitEthernet0/1 would deny tcp .*:443"),
        # Nothing wrong before and after, everything open in between.
        ("ip access-list extended L\n 5 permit ip any any\n no 5\n exit", r"after '5 permit ip any any' .* would permit "),
        # Unbound for a moment: whatever comes in passes.
        ("interface GigabitEthernet0/1\n no ip access-group L in\n ip access-group L in\n exit",
         r"after 'no ip access-group L in' .* would permit "),
    ],
)  # fmt: skip
def test_an_unsafe_moment_is_refused_with_its_line(lines, words):
    context = context_of("cisco_ios", "dev1")
    before = read(context, LIST)
    with pytest.raises(DeployError, match=f"dev1: the change cannot be sent safely: {words}"):
        checked("cisco_ios", f"configure terminal\n{lines}\nend\n", before)


def test_what_is_committed_as_a_whole_has_no_moments():
    text = LIST.replace("extended ", "").replace("GigabitEthernet0/", "Ethernet")
    before = read(context_of("arista_eos", "dev1"), text)
    unsafe = "ip access-list L\n no 10\n 10 permit tcp any host 10.0.0.5 eq 443\n exit\n"
    checked("arista_eos", f"configure session one\n{unsafe}commit\n", before)
    with pytest.raises(DeployError, match="after 'no 10'"):
        checked("arista_eos", f"configure terminal\n{unsafe}end\n", before)
