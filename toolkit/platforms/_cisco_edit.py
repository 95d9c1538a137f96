"""Lines of ours inside somebody's list: which they are, and how they are put in and taken out by sequence number.

A remark of ours names each entry of ours. Lines of others are never moved, changed or removed;
where no number is free between two of them, the list is numbered anew in the same order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, Literal

from toolkit.platforms._cisco_model import AccessList, Config, Entry, Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.platforms._cisco_dialect import Dialect

STEP: Final = 10
# Characters: an entry of somebody's that happened to have the digest of one of ours would be taken for ours. With lists
# of many thousand lines on each side, 48 bits leave one chance in millions, and what would meet is refused besides.
DIGEST: Final = 12
MAX_SEQ: Final = 2**31 - 1
FAR: Final = 100_000  # so far apart, there is room enough
Line = Entry | Remark


def mark(prefix: str) -> str:
    """What a remark of ours in somebody's list begins with."""
    return f"{prefix}_extend "


@dataclass(slots=True)
class Row:
    """A line of the list while it is edited: one that stays, a new one, or one that goes."""

    line: Line
    kind: Literal["stays", "new", "goes"]
    seq: int = 0
    wish: int = 0  # the number that a new line had where it comes from


def digest(entry: Entry) -> str:
    """What a remark of ours calls an entry; logging is no difference."""
    return hashlib.sha256(entry.text.removesuffix(" log").encode()).hexdigest()[:DIGEST]


def split(acl: AccessList, prefix: str) -> tuple[list[Line], list[list[Line]]]:
    """(lines of others, ours before each of them and behind the last).

    Ours are the remarks with our mark, and the entries that these name, wherever the remarks stand: not every IOS lets
    a remark be put beside its entry.
    """
    start = mark(prefix)
    named = {
        line.text.removeprefix(start)[:DIGEST]
        for line in acl.lines
        if isinstance(line, Remark) and line.text.startswith(start)
    }
    foreign: list[Line] = []
    mine: list[list[Line]] = [[]]
    for line in acl.lines:
        is_ours = named and (line.text.startswith(start) if isinstance(line, Remark) else digest(line) in named)
        if is_ours:
            mine[-1].append(line)
        else:
            foreign.append(line)
            mine.append([])
    return foreign, mine


def without_marked(config: Config, prefix: str) -> Config:
    """A configuration without lines of ours in lists of others."""
    acls = {name: replace(acl, lines=tuple(split(acl, prefix)[0])) for name, acl in config.acls.items()}
    return replace(config, acls=acls)


def only_marked(config: Config, prefix: str) -> Config:
    """Only the lines of ours in lists of others."""
    found = {}
    for name, acl in config.acls.items():
        lines = [line for some in split(acl, prefix)[1] for line in some]
        if lines:
            found[name] = replace(acl, lines=tuple(lines))
    return Config(found)


class Edit:
    """The lines that make ours in one list as they are in `goal`, on a device where the list is `now`."""

    def __init__(self, now: AccessList, goal: AccessList, prefix: str, dialect: Dialect) -> None:
        self.now = now
        self.goal = goal
        self.dialect = dialect
        foreign, had = split(now, prefix)
        others, wanted = split(goal, prefix)
        # A remark without a number cannot be put anywhere, so where one stands is no difference.
        self.remarks = [] if dialect.numbered else _remarks(had, wanted)
        if not dialect.numbered:
            (foreign, had), (others, wanted) = _entries(foreign, had), _entries(others, wanted)
        placed: list[list[Line]] = [[] for _ in had]
        for slot, lines in zip(_aligned(others, foreign), wanted, strict=True):
            placed[slot] += lines
        self.rows: list[Row] = []
        for slot, (old, new) in enumerate(zip(had, placed, strict=True)):
            self._merge(old, new)
            self.rows += [Row(line, "stays", line.seq) for line in foreign[slot : slot + 1]]

    def _merge(self, old: list[Line], new: list[Line]) -> None:
        if not old:
            self.rows += [Row(line, "new", wish=line.seq) for line in new]
            return
        was, will = ([line.text for line in lines] for lines in (old, new))
        for step, start, stop, first, last in SequenceMatcher(None, was, will, autojunk=False).get_opcodes():
            kind: Literal["stays", "goes"] = "stays" if step == "equal" else "goes"
            self.rows += [Row(line, kind, line.seq) for line in old[start:stop]]
            if step != "equal":
                self.rows += [Row(line, "new", wish=line.seq) for line in new[first:last]]

    def lines(self) -> Iterator[str]:
        """Lines of configuration mode; what opens comes before what closes, and nothing where all is as wanted."""
        new = [row for row in self.rows if row.kind == "new"]
        goes = [row for row in reversed(self.rows) if row.kind == "goes"]
        if not new and not goes and not self.remarks:
            return
        head = self.dialect.list_head(self.now)
        inside: list[str] = []
        if new and not self._number():
            step = self._renumber()
            outside, inside = self.dialect.resequence(self.now.name, step, step)
            yield from outside
        # A system keeps one of two equal lines, so one that only changes its place must leave first.
        texts = {row.line.text for row in new}
        inside += [self._taken(row) for row in goes if row.line.text in texts]
        inside += [self._typed(row) for row in self.remarks if row.kind == "new"]
        inside += [self._typed(row) for row in new]
        inside += [self._taken(row) for row in goes if row.line.text not in texts]
        inside += [self._taken(row) for row in self.remarks if row.kind == "goes"]
        yield head
        yield from (f"{self.dialect.indent}{text}" for text in inside)
        back = None if new else self._numbers_of_old()
        outside, more = self.dialect.resequence(self.now.name, *back) if back else ([], [])
        yield from (f"{self.dialect.indent}{text}" for text in more)
        yield f"{self.dialect.indent}exit"
        yield from outside

    def _numbers_of_old(self) -> tuple[int, int] | None:
        """(start, step) that the lines of others had, where they are alone again and were numbered anew since."""
        left = [row for row in self.rows if row.kind != "goes" and self._counts(row)]
        wanted = [line.seq for line in self.goal.lines if self.dialect.numbered or isinstance(line, Entry)]
        if not self.goal.numbered or len(wanted) != len(left) or [row.seq for row in left] == wanted:
            return None
        step = wanted[1] - wanted[0] if len(wanted) > 1 else STEP
        even = wanted == [wanted[0] + number * step for number in range(len(wanted))]
        return (wanted[0], step) if even else None

    def _counts(self, row: Row) -> bool:
        """Whether a line has a sequence number."""
        return self.dialect.numbered or isinstance(row.line, Entry)

    def _number(self) -> bool:
        """Give new lines free numbers between those of the old ones; False where there are too few."""
        if not self.now.numbered and len(self.rows) > sum(row.kind == "new" for row in self.rows):
            return False
        taken = {row.seq for row in self.rows if row.kind == "goes"}
        last = 0
        run: list[Row] = []
        for row in (*self.rows, None):
            if row is not None and (row.kind == "goes" or not self._counts(row)):
                continue
            if row is not None and row.kind == "new":
                run.append(row)
                continue
            numbers = _free(run, last, row.seq if row is not None else None, taken)
            if numbers is None:
                return False
            for one, number in zip(run, numbers, strict=True):
                one.seq = number
            last, run = row.seq if row is not None else 0, []
        return True

    def _renumber(self) -> int:
        """Number the old lines anew, with room for the new ones; returns the step."""
        most = run = 0
        for row in self.rows:
            run = run + 1 if row.kind == "new" else run if not self._counts(row) else 0
            most = max(most, run)
        step = (most // STEP + 1) * STEP
        for number, row in enumerate((one for one in self.rows if one.kind != "new" and self._counts(one)), 1):
            row.seq = number * step
        self.now = replace(self.now, numbered=True)
        if not self._number():
            raise AssertionError("a step that leaves no room")  # it was made to
        return step

    def _typed(self, row: Row) -> str:
        text = f"remark {row.line.text}" if isinstance(row.line, Remark) else row.line.text
        return f"{row.seq} {text}" if self._counts(row) else text

    def _taken(self, row: Row) -> str:
        if self.dialect.numbered:
            return f"no {row.seq}"
        return f"no {'remark ' if isinstance(row.line, Remark) else ''}{row.line.text}"


def _entries(foreign: list[Line], mine: list[list[Line]]) -> tuple[list[Line], list[list[Line]]]:
    """The same without any remark."""
    kept: list[Line] = []
    slots: list[list[Line]] = [[]]
    for line, some in zip((*foreign, None), mine, strict=True):
        slots[-1] += [one for one in some if isinstance(one, Entry)]
        if isinstance(line, Entry):
            kept.append(line)
            slots.append([])
    return kept, slots


def _remarks(had: list[list[Line]], wanted: list[list[Line]]) -> list[Row]:
    """Remarks of ours that come or go."""
    old, new = (
        {line.text: line for some in part for line in some if isinstance(line, Remark)} for part in (had, wanted)
    )
    come = [Row(line, "new") for text, line in new.items() if text not in old]
    return come + [Row(line, "goes") for text, line in old.items() if text not in new]


def _free(run: list[Row], last: int, following: int | None, taken: set[int]) -> list[int] | None:
    """Numbers for new lines between two that stay: those they wish for, or spread out; None where too few are free."""
    wishes = [row.wish for row in run]
    end = following if following is not None else MAX_SEQ
    if wishes == sorted({one for one in wishes if last < one < end} - taken):
        return wishes
    if following is None:
        start = max([last, *taken])
        return [start + STEP * number for number in range(1, len(run) + 1)]
    free = [number for number in range(last + 1, min(following, last + FAR)) if number not in taken]
    if len(free) < len(run):
        return None
    return [free[len(free) * number // (len(run) + 1)] for number in range(1, len(run) + 1)] if run else []


def _aligned(goal: list[Line], now: list[Line]) -> list[int]:
    """For each slot between the lines of others in one list, the slot of another list before the same line.

    They differ only where others have changed theirs since: then it is the slot before the next line that is there.
    """
    was, will = ([(isinstance(line, Remark), line.text) for line in lines] for lines in (goal, now))
    if was == will:
        return list(range(len(goal) + 1))
    blocks = SequenceMatcher(None, was, will, autojunk=False).get_matching_blocks()
    same = {one + n: other + n for one, other, size in blocks for n in range(size)}
    return [next((same[n] for n in range(slot, len(goal)) if n in same), len(now)) for slot in range(len(goal) + 1)]
