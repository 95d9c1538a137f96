"""A twin's rules in several transactions, where one would not fit into the buffer that nft may use."""

from __future__ import annotations

import re


def in_parts(script: str) -> list[str]:
    """A script of `compile_rules` as several transactions, one for each chain; the way into the chains comes last.

    An ordinary user's nft cannot enlarge its buffer, so that a long transaction does not fit. Each interface has its
    old list or its new one at every moment, as on a device that is told one interface after the other.
    """
    heads: list[str] = []
    bodies: list[str] = []
    ways: list[str] = []
    for table, body in re.findall(r"^(table \S+ \S+) \{\n(\tchain .*?\n)\}$", script, re.DOTALL | re.MULTILINE):
        where = table.removeprefix("table ")
        heads.append(f"add {table}\n")
        for name, inside in re.findall(r"\tchain (\S+) \{\n(.*?)\t\}\n", body, re.DOTALL):
            lines = inside.replace("\t\t", "").splitlines()
            base = lines[0] if lines and lines[0].startswith("type filter hook") else ""
            heads.append(f"add chain {where} {name}{f' {{ {base} }}' if base else ''}\n")
            rules = "".join(f"add rule {where} {name} {line}\n" for line in lines[bool(base) :])
            (ways if base else bodies).append(f"flush chain {where} {name}\n{rules}")
    return ["".join(heads), *bodies, *ways]
