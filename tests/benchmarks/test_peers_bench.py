"""Our engine beside OxiDD, dd (CUDD) and Aerleon's aclcheck, on the same lists in one run; by `make benchmark`.

Each engine meets each list in a process of its own, and may take a budget of processor time for each question
(TOOLKIT_BENCH_BUDGET, 20 seconds). What is not answered by then is printed as `over`. Answers are asserted: all engines
with sets of packets agree on every question that they answer, and aclcheck on single packets.
"""

# ruff: noqa: T201 - a benchmark is there to print
from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import pytest

from tests.benchmarks.acls import KINDS
from tests.benchmarks.peers import BUDGET

pytestmark = pytest.mark.benchmark

SIZES = (100, 1000, 10_000)
MODULES = {"toolkit": "toolkit", "OxiDD": "oxidd", "dd": "dd", "aclcheck": "aerleon"}
QUESTIONS = ("equality", "re-check", "point", "dead")
ROWS = list(product(KINDS, SIZES))


def ask(engine, kind, lines):
    """Answers of an engine about one list, by question; `over` for those that it did not give in time."""
    if find_spec(MODULES[engine]) is None:
        return {}
    budget = os.environ.get("TOOLKIT_BENCH_BUDGET", str(BUDGET))
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peers", engine, kind, str(lines), budget],
        capture_output=True, text=True, check=False, timeout=60 * float(budget),
    )  # fmt: skip
    found = {row["question"]: row for row in map(json.loads, done.stdout.splitlines())}
    missing = [one for one in QUESTIONS if one not in found and engine != "aclcheck"]
    if done.returncode:  # killed, or out of memory inside a library
        found |= {one: {"question": one, "over": f"exit {done.returncode}"} for one in missing}
    return found


def seconds(value):
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1 or unit == "us":
            return f"{value * factor:.3g} {unit}"
    return ""


def cell(row, ours):
    """Seconds, and how many times ours that is."""
    if row is None:
        return "-"
    if "over" in row:
        return "over" if row["over"].startswith("Over") else f"over ({row['over'][:20]})"
    text = seconds(row["seconds"])
    known = ours is not None and ours is not row and "seconds" in ours
    return f"{text} ({row['seconds'] / ours['seconds']:.2g}x)" if known else text


def test_engines_side_by_side():
    answers = {}
    for kind, lines in ROWS:
        for engine in MODULES:
            answers[engine, kind, lines] = ask(engine, kind, lines)
    for question in QUESTIONS:
        print(f"\n{question}\n| list | lines | {' | '.join(MODULES)} |\n| --- | --- |{' --- |' * len(MODULES)}")
        for kind, lines in ROWS:
            ours = answers["toolkit", kind, lines].get(question)
            cells = [cell(answers[engine, kind, lines].get(question), ours) for engine in MODULES]
            print(f"| {kind} | {lines:,} | {' | '.join(cells)} |")
    compared = _agree(answers)
    print(f"\n{compared} answers of other engines are the same as ours")
    _unsound(answers)
    assert compared > 0 or not any(find_spec(name) for name in ("oxidd", "dd"))


def _agree(answers):
    """Assert that engines agree; how many answers were compared."""
    compared = 0
    for kind, lines in ROWS:
        ours = answers["toolkit", kind, lines]
        for engine in ("OxiDD", "dd"):
            for question, row in answers[engine, kind, lines].items():
                if "answer" in row and "answer" in ours[question]:
                    assert row["answer"] == ours[question]["answer"], (engine, kind, lines, question)
                    compared += 1
        row = answers["aclcheck", kind, lines].get("point", {})
        if "answer" in row and "answer" in ours.get("point", {}):
            assert row["answer"][0] == ours["point"]["answer"][0], ("aclcheck", kind, lines)
            compared += 1
        assert ours["equality"].get("answer", True) is True
    return compared


def _unsound(answers):
    """Where aclcheck is wrong: questions about more than one packet, and entries that only several others cover."""
    for kind, lines in ROWS:
        ours, theirs = answers["toolkit", kind, lines], answers["aclcheck", kind, lines]
        if "answer" in theirs.get("wholes", {}) and "answer" in ours.get("wholes", {}):
            pairs = list(zip(ours["wholes"]["answer"], theirs["wholes"]["answer"], strict=True))
            wrong = sum(a != b for a, b in pairs)
            print(f"aclcheck, every port between two prefixes, {kind} {lines:,}: {wrong} of {len(pairs)} answers wrong")
        if "answer" in theirs.get("dead", {}) and "answer" in ours.get("dead", {}):
            (dead, _), (unreached, _) = ours["dead"]["answer"]
            print(
                f"Aerleon's shade check, {kind} {lines:,}: {theirs['dead']['answer'][0][0]} terms of "
                f"{unreached} never reached and {dead} dead"
            )
