"""Single edits of a rendered nftables configuration, as a hurried person would make them."""

from __future__ import annotations

import os
import random
import re
from ipaddress import IPv4Address, IPv4Network

ALL = os.environ.get("TOOLKIT_EDITS") == "all"
ADDRESS = r"(\d+\.\d+\.\d+\.\d+)"


def rules(text):
    """Numbers of the lines that decide something, from 0."""
    return [
        n
        for n, line in enumerate(text.splitlines())
        if re.search(r"\b(accept|drop|jump \w+)\b", line) and "policy" not in line
    ]


def drop(line):
    del line
    return ""


def flip(line):
    return re.sub(r"\b(accept|drop)\b", lambda m: {"accept": "drop", "drop": "accept"}[m[0]], line, count=1)


def widen_address(line):
    """Halve the length of the first host address; in a set, of its first host."""

    def wider(found):
        return f"{found[1]}{IPv4Network((IPv4Address(found[2]), 31), strict=False)}{found[3]}"

    alone = re.sub(rf"(ip [sd]addr ){ADDRESS}( )", wider, line, count=1)
    return alone if alone != line else re.sub(rf"([{{,] ){ADDRESS}(,| )", wider, line, count=1)


def widen_port(line):
    return re.sub(r"dport (\d+) ", lambda m: f"dport {m[1]}-{int(m[1]) + 1} ", line, count=1)


def drop_flags(line):
    return line.replace("tcp flags ack,rst ", "")


EDITS = (drop, flip, widen_address, widen_port, drop_flags)


def swaps(lines):
    """Each permit changes places with the first deny after it in its chain, where there is one."""
    for n in rules("".join(lines)):
        if " accept" not in lines[n]:
            continue
        later = next((m for m in range(n + 1, len(lines)) if " accept" not in lines[m]), None)
        if later is not None and " drop " in lines[later]:
            changed = list(lines)
            changed[n], changed[later] = changed[later], changed[n]
            yield f"swap-{n + 1}-{later + 1}", "".join(changed)


def edits(text, seed, sample=None):
    """(name, edited text) of every single edit; of a seeded sample of them unless TOOLKIT_EDITS=all."""
    lines = text.splitlines(keepends=True)
    found = list(swaps(lines))
    for number in rules(text):
        for edit in EDITS:
            changed = edit(lines[number])
            if changed != lines[number]:
                found.append(
                    (f"{edit.__name__}-{number + 1}", "".join([*lines[:number], changed, *lines[number + 1 :]]))
                )
    return found if ALL or sample is None else random.Random(seed).sample(found, min(sample, len(found)))
