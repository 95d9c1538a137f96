"""How large the rendered lists are: for each device, interface and direction, and against what the device holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.platforms import get
from toolkit.platforms._sizes import budgets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.net import Direction
    from toolkit.platforms._sizes import Budget
    from toolkit.platforms.base import FilterState
    from toolkit.render import Rendered


@dataclass(frozen=True, slots=True)
class ListRow:
    """One list where it is bound after a change, whoever wrote it.

    `written` are its entries as they stand in the text, `counted` as the device counts them; `share` is `counted` in
    percent of its budget, None where nobody said what that is.
    """

    interface: str
    direction: Direction
    acl: str
    written: int
    counted: int
    share: float | None


@dataclass(frozen=True, slots=True)
class DeviceSizes:
    """The lists of one device after a change, and the budget that they must fit into while it is made."""

    device: str
    platform: str
    rows: tuple[ListRow, ...]
    budgets: tuple[Budget, ...]
    note: str

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "counting": self.note,
            "budgets": [
                {
                    "direction": one.direction.value if one.direction else None,
                    "capacity": one.limit,
                    "today": one.today,
                    "then": one.then,
                    "together": one.together,
                    "percent": percent(one.together, one.limit),
                }
                for one in self.budgets
            ],
            "lists": [
                {
                    "interface": one.interface or None,
                    "direction": one.direction.value,
                    "acl": one.acl,
                    "written": one.written,
                    "counted": one.counted,
                    "percent": one.share,
                }
                for one in self.rows
            ],
        }


def device_sizes(rendered: Rendered, running: FilterState | None = None) -> DeviceSizes:
    """The sizes of one device; `running` is what it has today, its recorded filter without ours where None."""
    platform = rendered.candidate.platform
    counting = get(platform).capabilities.counting
    after, now = rendered.after, running or rendered.before
    expand = after.context.node.filter.port_ranges == "expanded"
    made = budgets(now, after, counting)
    limits = {one.direction: one.limit for one in made}
    rows = []
    for one in after.sizes():
        counted = one.counted(counting, expand=expand)
        share = percent(counted, limits.get(one.direction, limits.get(None)))
        rows.append(ListRow(one.interface, one.direction, one.acl, one.written, counted, share))
    return DeviceSizes(rendered.policy.device, platform, tuple(rows), made, counting.note)


def percent(count: int, limit: int | None) -> float | None:
    """A count in percent of a limit, with one digit; None where there is no limit."""
    return None if limit is None else round(100 * count / limit, 1)


def budget_lines(sizes: DeviceSizes) -> Iterator[tuple[str, ...]]:
    """One line for each budget, in `BUDGET_COLUMNS`."""
    for one in sizes.budgets:
        mine = [row for row in sizes.rows if one.direction in (None, row.direction)]
        share = percent(one.together, one.limit)
        yield (
            sizes.device,
            sizes.platform,
            one.direction.value if one.direction else "both",
            str(len(mine)),
            str(sum(row.written for row in mine)),
            str(one.today),
            str(one.then),
            str(one.together),
            "not said" if one.limit is None else str(one.limit),
            "" if share is None else f"{share} %",
        )


BUDGET_COLUMNS = (
    "device", "platform", "direction", "lists", "written", "today", "then", "together", "holds", "used"
)  # fmt: skip
LIST_COLUMNS = ("device", "interface", "direction", "list", "written", "counted", "used")


def list_lines(sizes: DeviceSizes) -> Iterator[tuple[str, ...]]:
    """One line for each list where it is bound."""
    for one in sizes.rows:
        share = "" if one.share is None else f"{one.share} %"
        place = one.interface or "(all)"
        yield sizes.device, place, one.direction.value, one.acl, str(one.written), str(one.counted), share
