"""Entries in somebody's list, typed into twins: taken, read back, and meaning the same packets."""

from __future__ import annotations

import pytest

from tests.lab.test_twins_platforms import agree, cisco_device, read
from tests.lab.twin_typing import Keyboard
from tests.platforms.cisco import NAMES, make_context, make_policy, permit, tcp
from tests.platforms.test_cisco_extend import CORP, WEB, theirs
from toolkit.packets import Space
from toolkit.platforms import get
from toolkit.render.proof import prove


@pytest.mark.parametrize("os", NAMES)
@pytest.mark.parametrize("step", [10, 1])
def test_entries_in_somebody_s_list_are_taken_read_back_and_mean_the_same(os, step):
    """With gaps between the lines of others, and without: then the twin numbers its list anew."""
    context = make_context(os, mode="extend")
    platform = get(os)
    # Where IOS numbers a list anew, a remark has no number of its own; the twin gives it one, so it gets none here.
    body = [line for line in CORP if not (os == "cisco_ios" and step == 1 and line.startswith("remark"))]
    keyboard = Keyboard(os, cisco_device(context, theirs(os, body, step)))
    first = before = read(keyboard, platform, context)
    wanted = [(WEB,), (WEB, permit(tcp(22), ("10.0.1.12/32",), ("10.0.2.11/32",), comment="ssh")), ()]
    for permits in wanted:
        policy = make_policy(context, {context.interfaces[0]: permits})
        change = platform.change(platform.render(policy, before.without_owned()), before)
        said = keyboard.type(change.apply + change.confirm)
        assert not [mark for mark in platform.failure_indicators if mark in said], said
        after = read(keyboard, platform, context)
        assert platform.change(platform.render(policy, after.without_owned()), after).is_empty
        assert prove(policy, after, first, Space()).equivalent
        agree(keyboard, after, context, 200)
        before = after
    assert before.fingerprint() == first.fingerprint()
    assert before.owned() is None
