"""What a renderer wrote, as Batfish reads it: without a warning, and with the meaning of its policy.

Batfish shares no code with the toolkit. The test runs where one answers: BATFISH_HOST names its host, and pybatfish is
installed (`pip install pybatfish`).
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tests.platforms import asa_cases, cisco, junos_cases, test_asa_extend, test_junos_extend
from tests.platforms.batfish import Asker, as_routed, reference
from tests.platforms.test_cisco_render import GOLDENS, hand_made
from toolkit.net import Action
from toolkit.render.snapshot import write_snapshot
from toolkit.render.work import Work
from toolkit.site import Enforcement
from toolkit.topology import Kind

ROOT = Path(__file__).resolve().parents[2]
HOST = os.environ.get("BATFISH_HOST")
pytestmark = pytest.mark.skipif(HOST is None, reason="BATFISH_HOST names no running Batfish")
FORMATS = {
    "arista_eos": "ARISTA",
    "cisco_asa": "CISCO_ASA",
    "cisco_ios": "CISCO_IOS",
    "cisco_nxos": "CISCO_NX",
    "juniper_junos": "FLAT_JUNIPER",
}
CASES = ("routed", "plain", "switched", "monitor")


@pytest.fixture(scope="module")
def batfish(tmp_path_factory):
    client = pytest.importorskip("pybatfish.client.session")
    session = client.Session(host=HOST)
    network = f"toolkit-{uuid.uuid4().hex[:8]}"
    session.set_network(network)
    yield Asker(session, tmp_path_factory.mktemp("snapshots"))
    session.delete_network(network)


def goldens():
    return sorted(GOLDENS.glob("*/*.cfg"))


@pytest.mark.parametrize("path", goldens(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_is_read_without_a_warning(batfish, path):
    name = f"golden-{path.parent.name}-{path.stem}"
    assert batfish.load(name, {path.name: path.read_text("utf-8")}) == [("PASSED", FORMATS[path.parent.name])]
    assert batfish.warnings(name) == []


def test_a_line_that_is_no_configuration_is_a_warning(batfish):
    text = (GOLDENS / "arista_eos" / "routed.cfg").read_text("utf-8").replace("   no shutdown", "   no shutdwon")
    batfish.load("broken", {"dev1.cfg": text})
    assert batfish.warnings("broken")


# ---- one list, two languages -----------------------------------------------------------------------


def compared(batfish, name, text, candidate, policy, rest=None):
    """Differences between a rendered device and its policy, for all of its lists."""
    acls = {candidate.bindings[acl.interface][0]: acl.entries for acl in policy.acls}
    batfish.load(f"{name}-is", {"dev1.cfg": text})
    batfish.load(f"{name}-asked", {"dev1.cfg": reference("dev1", acls, rest)})
    assert batfish.warnings(f"{name}-asked") == []
    assert set(acls) <= batfish.filters(f"{name}-is", "dev1")
    return [one for acl in acls for one in batfish.differences(f"{name}-is", f"{name}-asked", "dev1", acl)]


def cisco_case(name, case):
    device = cisco.make_context(name, switched=case == "switched", plain=case == "plain")
    entries = hand_made(device)
    enforcement = Enforcement.MONITOR if case == "monitor" else Enforcement.ENFORCE
    if case == "monitor":
        entries = {
            key: tuple(replace(ace, action=Action.PERMIT) if ace.log else ace for ace in aces)
            for key, aces in entries.items()
        }
    policy = cisco.make_policy(device, entries, enforcement)
    running = cisco.read(device, "")
    return policy, cisco.get(name).render(policy, running)


@pytest.mark.parametrize("name", cisco.NAMES)
@pytest.mark.parametrize("case", CASES)
def test_ios_eos_and_nxos_mean_what_the_policy_asks(batfish, name, case):
    policy, candidate = cisco_case(name, case)
    assert compared(batfish, f"{name}-{case}", candidate.text, candidate, policy) == []


@pytest.mark.parametrize("name", cisco.NAMES)
def test_a_permit_that_is_left_out_or_too_wide_is_found(batfish, name):
    policy, candidate = cisco_case(name, "plain")
    line = next(line for line in candidate.text.splitlines() if " permit tcp " in line and line.endswith(" 443"))
    for number, changed in enumerate(("!", line.removesuffix(" eq 443"))):
        text = candidate.text.replace(f"{line}\n", f"{changed}\n")
        assert compared(batfish, f"{name}-wrong-{number}", text, candidate, policy) != []


@pytest.mark.parametrize("case", ["own_routed", "own_switch", "own_plain"])
def test_junos_means_what_the_policy_asks(batfish, case):
    context = junos_cases.make_context(Kind.SWITCH if case == "own_switch" else Kind.ROUTER, plain=case == "own_plain")
    policy = junos_cases.make_policy(context, junos_cases.ENTRIES)
    candidate = junos_cases.PLATFORM.render(policy, junos_cases.running("", context))
    text = as_routed(candidate.text) if case == "own_switch" else candidate.text
    assert compared(batfish, f"junos-{case}", text, candidate, policy) == []
    narrower = text.replace("destination-port 2379-2380", "destination-port 2379")
    assert narrower != text
    assert compared(batfish, f"junos-{case}-wrong", narrower, candidate, policy) != []


@pytest.mark.parametrize("case", ["own_levels", "own_plain", "own_unknown"])
def test_an_asa_means_what_the_policy_asks_and_what_its_levels_leave(batfish, case):
    context = asa_cases.make_context(plain=case == "own_plain")
    before = asa_cases.PLATFORM.empty(context) if case == "own_unknown" else None
    candidate, before, _ = asa_cases.rendered(context, before=before)
    policy = asa_cases.make_policy(context, asa_cases.ENTRIES)
    rest = {}
    if case != "own_unknown":  # inside 100, dmz 50, outside 0
        higher = {"dmz": ("inside",), "outside": ("inside", "dmz"), "inside": ()}
        for interface, others in higher.items():
            nets = [prefix for other in others for prefix in asa_cases.DOMAINS[other]]
            rest[candidate.bindings[interface][0]] = [f"deny ip any {prefix}" for prefix in nets]
    assert compared(batfish, f"asa-{case}", candidate.text, candidate, policy, rest) == []
    wider = candidate.text.replace("eq 587", "range 587 588")
    assert wider != candidate.text
    assert compared(batfish, f"asa-{case}-wrong", wider, candidate, policy, rest) != []


@pytest.mark.parametrize("name", ["cisco_asa", "juniper_junos"])
def test_an_extended_list_permits_what_was_missing_and_nothing_else(batfish, name):
    module = {"cisco_asa": test_asa_extend, "juniper_junos": test_junos_extend}[name]
    _, before, after = module.extended([module.SSH, module.WEB])
    batfish.load(f"{name}-before", {"dev1.cfg": before.whole()})
    batfish.load(f"{name}-after", {"dev1.cfg": after.whole()})
    found = batfish.differences(f"{name}-after", f"{name}-before", "dev1", "CORP")
    assert found
    assert all(one.endswith(": PERMIT, not DENY") for one in found)
    assert batfish.differences(f"{name}-after", f"{name}-before", "dev1", "CORP", dstPorts="!22") == []


# ---- a whole site ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def multi_vendor(batfish, tmp_path_factory):
    work = Work(ROOT / "labs" / "multi-vendor")
    folder = tmp_path_factory.mktemp("site") / "multi-vendor"
    assert write_snapshot(work.site, work.rendered, folder) == ()
    return work, batfish.open("multi-vendor", folder)


def test_the_multi_vendor_site_is_read_without_a_warning(batfish, multi_vendor):
    work, files = multi_vendor
    assert sorted(kind for _, kind in files) == sorted([*FORMATS.values(), *["HOST"] * len(work.site.topology.hosts)])
    assert {status for status, _ in files} == {"PASSED"}
    assert batfish.warnings("multi-vendor") == []


def passes(batfish, source, destination, protocol, port, address=None):
    """Whether a connection is made and answered, from one host of the multi-vendor site to another's address."""
    headers = batfish.headers(
        dstIps=destination,
        ipProtocols=[protocol],
        dstPorts=str(port),
        srcPorts="40000",
        **({"srcIps": address} if address else {}),
    )
    rows = (
        batfish.session.q.bidirectionalTraceroute(startLocation=source, headers=headers).answer("multi-vendor").frame()
    )
    row = rows.iloc[0]
    traces = [*row.Forward_Traces, *(row.Reverse_Traces or ())]
    return bool(row.Reverse_Traces) and all(trace.disposition == "ACCEPTED" for trace in traces)


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "port", "permitted"),
    [  # from labs/multi-vendor/expectations.csv, which was written by hand
        ("node1", "10.10.2.13", "tcp", 2379, True),
        ("node1", "10.10.2.13", "tcp", 2378, False),
        ("jump1", "10.10.2.13", "tcp", 22, True),
        ("client1", "10.10.2.13", "tcp", 22, False),
        ("client1", "10.10.2.20", "tcp", 443, True),
        ("internet1", "10.10.2.20", "tcp", 443, False),
        ("node3", "10.10.40.53", "udp", 53, True),
        ("client1", "10.10.40.30", "tcp", 1433, False),
        ("node2", "10.10.40.30", "tcp", 1433, True),
        ("client1", "203.0.113.10", "tcp", 80, True),
    ],
)
@pytest.mark.usefixtures("multi_vendor")
def test_connections_end_to_end_are_those_that_are_expected(batfish, source, destination, protocol, port, permitted):
    assert passes(batfish, source, destination, protocol, port) is permitted
