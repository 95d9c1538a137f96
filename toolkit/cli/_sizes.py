"""What the verbs say of the size of rendered lists, against what each device holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli._common import note, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from toolkit.render.sizes import DeviceSizes


def sizes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--sizes`."""
    return click.option("--sizes", is_flag=True, help="Also list the size of every ACL, by interface and direction.")(
        function
    )


def print_sizes(devices: Sequence[DeviceSizes], *, every_list: bool) -> None:
    """The entries of each device against its budget; with `every_list` those of each list as well."""
    from toolkit.render.sizes import BUDGET_COLUMNS, LIST_COLUMNS, budget_lines, list_lines

    lines = [line for one in devices for line in budget_lines(one)]
    print_table(BUDGET_COLUMNS, lines, "entries (together: old and new, while a device changes)")
    if every_list:
        print_table(LIST_COLUMNS, [line for one in devices for line in list_lines(one)], "entries of each list")
    for platform, said in {one.platform: one.note for one in devices}.items():
        note(f"{platform} counts so: {said}")
