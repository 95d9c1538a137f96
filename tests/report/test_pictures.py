"""Pictures: well-formed, true to the flow graph, and readable or refused."""

# ruff: noqa: S314 - the XML is what this room has just written

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import ROOT
from toolkit.errors import InputError, MissingProgramError, SiteError
from toolkit.net import IcmpKind, PortRange, Service
from toolkit.render.work import resolve_inventory
from toolkit.report.choice import Choice, choose_flows, choose_role_flows
from toolkit.report.dot import for_html, quote, run_dot
from toolkit.report.pictures import hosts_picture, path_picture, roles_picture, services_label, topology_picture
from toolkit.site import load_site

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture):
    """(node names, edges) of an SVG: dot writes them as titles."""
    root = ET.fromstring(picture.svg)
    assert root.tag == f"{SVG}svg"
    titles = {kind: [] for kind in ("node", "edge", "graph")}
    for group in root.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        titles[group.get("class").split()[0]].append(None if title is None else title.text)
    return set(titles["node"]), titles["edge"]


def test_roles_have_one_arrow_per_pair(graph):
    nodes, edges = drawn(roles_picture(graph))
    pairs = {(flow.source, flow.destination) for flow in graph.role_flows}
    assert nodes == {end for pair in pairs for end in pair}
    assert sorted(edges) == sorted(f"{source}->{destination}" for source, destination in pairs)


def test_hosts_have_one_arrow_per_pair(graph):
    nodes, edges = drawn(hosts_picture(graph))
    pairs = {(flow.source.name, flow.destination.name) for flow in graph.flows}
    assert nodes == {end for pair in pairs for end in pair}
    assert len(edges) == len(pairs)


def test_a_port_narrows_the_picture(graph):
    nodes, _ = drawn(roles_picture(graph, Choice(port="587")))
    assert nodes == {"node", "smtp_server"}
    assert {str(flow.service) for flow in choose_role_flows(graph, Choice(port="2379-2380"))} == {
        "tcp/2379",
        "tcp/2380",
    }


def test_a_condition_narrows_the_picture(graph):
    offline = choose_role_flows(graph, Choice(condition="offline"))
    assert {flow.requirement for flow in offline} == {"tcp-80", "tcp-587", "tcp-30070"}
    always = choose_role_flows(graph, Choice(condition="always"))
    assert not {flow.requirement for flow in always} & {"tcp-80", "tcp-587", "tcp-30070"}
    assert len(offline) + len(always) == len(graph.role_flows)


def test_a_role_narrows_the_picture(graph):
    flows = choose_flows(graph, Choice(role="smtp_server"))
    assert {flow.destination.name for flow in flows} == {"smtp1"}
    assert {flow.source.name for flow in flows} == {"node1", "node2", "node3"}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(port="70000"), "70000"),
        (Choice(port="https"), "is no port"),
        (Choice(role="wizard"), "no flow has the role 'wizard' (roles: any, client"),
        (Choice(condition="sunny"), "'sunny' is no site setting (choose one of: always, direct_kube_api"),
        (Choice(port="1"), "no flow fits the choice (port 1)"),
    ],
)
def test_a_choice_that_makes_no_sense_is_an_error(graph, choice, said):
    with pytest.raises(InputError) as caught:
        hosts_picture(graph, choice)
    assert said in str(caught.value)


def test_too_many_arrows_are_refused_with_advice(graph):
    with pytest.raises(
        InputError, match=r"arrows are too many to read \(limit 5\); collapse to roles, or choose a port"
    ):
        hosts_picture(graph, limit=5)


def test_a_path_goes_over_its_devices(finder):
    nodes, edges = drawn(path_picture(finder, "node1", "smtp1"))
    hops = [hop.device for hop in finder.paths("node1", "smtp1")[0].hops]
    assert nodes == {"node1", *hops, "smtp1"}
    stations = ["node1", *hops, "smtp1"]
    there = [f"{one}->{other}" for one, other in pairwise(stations)]
    assert set(there) < set(edges)
    assert len(edges) == 2 * len(there)


def test_a_path_to_nobody_is_an_error(finder):
    with pytest.raises(SiteError, match="unknown host or device 'nobody'"):
        path_picture(finder, "node1", "nobody")


def test_labels_merge_neighbours_and_protocols():
    tcp = [Service(6, PortRange.parse(text)) for text in ("443", "2380", "2379", "443", "8000-8010", "8005")]
    assert services_label(tcp) == "tcp 443, 2379-2380,\n  8000-8010"
    mixed = [Service(17, PortRange.parse("53")), Service(1, icmp=IcmpKind(8, 0)), Service(None)]
    assert services_label(mixed) == "any\nicmp 8/0\nudp 53"
    assert services_label([Service(6), Service(6, PortRange(1, 1))]) == "tcp any"


@pytest.mark.parametrize(
    "name", ['"]; x [label="y', "a\\", "\\N", "<b>x</b>", "&lt;", "a:b:c", "line\nbreak", "\x1b[0m", "->"]
)
def test_any_name_is_shown_as_it_is(name):
    svg = run_dot(f"digraph {{ {quote('n')} [label={quote(name)}]; }}")
    root = ET.fromstring(svg)
    texts = [one.text for one in root.iter(f"{SVG}text")]
    shown = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in name)
    assert "\n".join(texts).replace("\xa0", " ").strip() == shown.strip()
    assert len([one for one in root.iter(f"{SVG}g") if one.get("class") == "node"]) == 1


def test_a_picture_shows_itself_in_jupyter(graph):
    picture = roles_picture(graph, Choice(port="587"))
    assert picture._repr_svg_().startswith("<svg")
    assert "(port 587)</figcaption>" in picture._repr_html_()
    assert "xmlns" not in for_html(picture.svg)


def test_graphviz_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match="apt-get install graphviz"):
        run_dot("digraph {}")


@pytest.mark.parametrize(
    "committed", sorted(Path(ROOT, "labs").glob("*/topology.svg")), ids=lambda path: path.parent.name
)
def test_a_topology_has_every_node_and_every_cable(committed):
    site = load_site(resolve_inventory(committed.parent))
    picture = topology_picture(site)
    nodes, edges = drawn(picture)
    assert nodes == set(site.topology.nodes)
    cables = {frozenset((one[0], other[0])) for one, other in site.topology.links}
    assert {frozenset(edge.split("--")) for edge in edges} == cables
    assert len(edges) == len(site.topology.links)
    # The committed one says the same; another dot may place things elsewhere.
    assert drawn_text(committed.read_text(encoding="utf-8")) == drawn_text(picture.svg), "draw it: toolkit lab picture"


def drawn_text(svg):
    return sorted(text.text for text in ET.fromstring(svg).iter(f"{SVG}text"))


def test_a_topology_says_who_is_active():
    site = load_site(resolve_inventory(ROOT / "labs" / "multi-node-ha"))
    assert {"gateways: active", "gateways: standby"} <= set(drawn_text(topology_picture(site).svg))
