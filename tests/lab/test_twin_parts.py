"""A twin's rules in parts, for users whose nft has a small buffer: the kernel ends with the same rules."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.lab.reference_lab import ROOT, need_namespaces
from toolkit.lab.namespaces import program
from toolkit.lab.twins.dataplane import Port, compile_rules
from toolkit.lab.twins.parts import in_parts
from toolkit.lab.twins.tree import Tree
from toolkit.render.work import Work

pytestmark = pytest.mark.lab
PORTS = [Port(f"Ethernet{n}", f"eth{n}") for n in (1, 2, 3)]
OLD = """ip access-list extended A
 permit tcp any any eq 22
interface Ethernet3
 ip access-group A in
"""


def compiled(text, bridged=()):
    return compile_rules(Tree.read(text), "ios", "r1", PORTS, bridged)


def listed(*scripts):
    """What an ordinary user's kernel has after some transactions, in a network of its own; no handles, no counts."""
    need_namespaces()
    nft = program("nft")
    lines = [f"{nft} -f - <<'END' || exit 1\n{script}END\n" for script in scripts]
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", f"{''.join(lines)}{nft} -j -s list ruleset"],
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [next(iter(one.items())) for one in json.loads(done.stdout)["nftables"] if "metainfo" not in one]
    return sorted(json.dumps([kind, {k: v for k, v in one.items() if k != "handle"}]) for kind, one in found)


def rules(found):
    return [one for one in found if one.startswith('["rule"')]


@pytest.mark.parametrize("bridged", [(), ("eth1", "eth2", "eth3"), ("eth1", "eth2")])
def test_the_same_rules_whole_and_in_parts(bridged):
    lines = "".join(f" permit tcp host 10.0.0.{n} any eq {n}\n" for n in range(1, 6))
    new = f"ip access-list extended B\n{lines}" + "".join(
        f"interface Ethernet{n}\n ip access-group B in\n" for n in (1, 2)
    )
    whole, old = compiled(new, bridged), compiled(OLD, bridged)
    parts = in_parts(whole)
    assert len(parts) > 3
    wanted, found = rules(listed(old, whole)), rules(listed(*in_parts(old), *parts))
    assert set(wanted) <= set(found)
    assert [one for one in found if "jump" in one] == [one for one in wanted if "jump" in one]
    assert listed(*parts) == listed(whole)
    assert rules(listed(old)) != rules(listed(whole))


def test_a_list_that_is_no_longer_bound_filters_nothing():
    bare = compiled("interface Ethernet3\n")
    after = rules(listed(*in_parts(compiled(OLD)), *in_parts(bare)))
    assert not [one for one in after if "jump" in one]


def test_the_largest_device_of_the_labs_fits_in_parts():
    work = Work(ROOT / "labs" / "multi-vendor")
    names = work.site.topology.nodes["leaf1"].interfaces
    ports = [Port(name, f"eth{n}") for n, name in enumerate(names, 1)]
    text = work.rendered["leaf1"].candidate.text
    script = compile_rules(Tree.read(text), "eos", "leaf1", ports, [port.cable for port in ports])
    found = rules(listed(*in_parts(script)))
    assert len(found) == script.count("counter") + len(ports) + 1
