"""Budgets: an answer that would take too long is refused in one sentence, whatever is asked, and nothing else breaks."""

from __future__ import annotations

import random

import pytest

from toolkit.errors import BudgetError, InputError
from toolkit.net import TCP, Action
from toolkit.packets import Audit, Box, Space


def grid(lines, seed=0):
    """From one host to everybody and from everybody to one host in turn: each pair is decided in a way of its own."""
    rng = random.Random(seed)
    entries = []
    for number in range(lines):
        host, low = (number, number), rng.randrange(60_000)
        sides = {"dst": host} if number % 2 else {"src": host}
        entries.append((rng.choice(list(Action)), Box((TCP, TCP), dport=(low, low + 3000), flags=(0, 1), **sides)))
    return entries


def test_a_list_beyond_the_budget_is_refused_and_the_space_goes_on():
    space = Space(budget=2000)
    with pytest.raises(BudgetError, match="more than 2000 steps"):
        space.acl(grid(100))
    small = grid(10)
    assert space.acl(small) == space.acl(small[:1] + small)
    space.budget = 10**6
    assert space.acl(grid(100)) == space.acl(grid(100))


def test_an_operation_beyond_the_budget_is_refused_and_its_operands_stay():
    space = Space()
    one, other = space.acl(grid(60)), space.acl(grid(60, seed=1))
    space.budget = 100
    with pytest.raises(BudgetError, match="more than 100 steps"):
        one & other
    space.budget = 10**6
    assert one & other <= one


@pytest.mark.parametrize("ask", [Audit.dead, lambda one: one.decides(99), lambda one: one.missed(0)])
def test_every_question_about_entries_has_a_budget(ask):
    with pytest.raises(BudgetError, match="more than 500 steps"):
        ask(Audit(Space(), grid(100), budget=500))
    ask(Audit(Space(), grid(100)))


def test_of_two_budgets_the_smaller_one_counts():
    space = Space(budget=10**6)
    with pytest.raises(BudgetError, match="more than 50 steps"), space.diagram.budget(50):
        space.acl(grid(100))
    with pytest.raises(BudgetError, match="more than 50 steps"), space.diagram.budget(50), space.diagram.budget(10**6):
        space.acl(grid(90))


def test_the_environment_may_allow_more_or_less(monkeypatch):
    monkeypatch.setenv("TOOLKIT_BUDGET", "700")
    with pytest.raises(BudgetError, match="more than 700 steps"):
        Space().acl(grid(100))
    monkeypatch.setenv("TOOLKIT_BUDGET", "70000000")
    Space().acl(grid(100))
    for wrong in ("much", "-5", "0", "1e6"):
        monkeypatch.setenv("TOOLKIT_BUDGET", wrong)
        with pytest.raises(InputError, match="TOOLKIT_BUDGET is"):
            Space()
