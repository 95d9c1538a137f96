"""Flow tables and rows: every flow has its page line."""

# ruff: noqa: S314 - the XML is what this room has just written

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from toolkit.errors import InputError
from toolkit.report import collect
from toolkit.report.choice import Choice
from toolkit.report.model import read_matrix
from toolkit.report.tables import FlowTable, hosts_table, roles_table


def test_every_flow_of_the_page_has_its_line(graph):
    rows = hosts_table(graph).rows
    lines = {row.requirement: row.lines for row in rows if row.document == "uipath-automation-suite"}
    assert lines["tcp-22"] == (10, 1)
    assert 27 in lines["tcp-30070"]
    assert all(lines.values())
    assert {(row.source, row.destination, row.service) for row in rows} == {
        (flow.source.name, flow.destination.name, str(flow.service)) for flow in graph.flows
    }


def test_roles_are_fewer_rows(graph):
    assert 0 < len(roles_table(graph)) < len(hosts_table(graph))
    assert {row.service for row in roles_table(graph, Choice(port="587")).rows} == {"tcp/587"}


def test_html_is_well_formed_and_escapes(graph):
    table = roles_table(graph)
    assert len(ET.fromstring(table._repr_html_()).findall("tbody/tr")) == len(table)
    hostile = FlowTable("<script>", (replace(table.rows[0], purpose="<img src=x>"),))
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;img src=x&gt;" in hostile._repr_html_()


def test_findings_come_errors_first_and_with_their_place(reference, graph):
    rows = collect.finding_rows(reference, graph.findings)
    order = [row.severity for row in rows]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    places = {row.code: row.place for row in rows}
    assert places["port_footnote_glued"] == "uipath-automation-suite line 27"
    assert places["not_in_force"] == "uipath-automation-suite line 31"


def test_requirements_out_of_force_are_shown_as_such(reference):
    rows = {row.id: row for row in collect.requirement_rows(reference)}
    assert not rows["direct-kube-api-6443"].in_force
    assert rows["tcp-22"].in_force
    assert rows["tcp-22"].notes
    assert rows["sql-server"].service == "tcp/1433"


def test_every_permit_entry_of_a_device_is_cited(report):
    entries = [entry for device in report.devices for acl in device.acls for entry in acl.entries]
    assert entries
    assert all(entry.citations or entry.comment for entry in entries)
    assert any(entry.citations == ("tcp-22 (uipath-automation-suite line 10,1)",) for entry in entries)
    assert next(device for device in report.devices if device.name == "fw1").diff == "+ jump"


def test_limits_speak_of_the_tunnel_and_of_ipv6(report):
    said = " ".join(report.limits)
    assert "udp/8472" in said
    assert "IPv6" in said
    assert "leaf1" in said


def test_a_matrix_file_is_read_or_refused(tmp_path):
    path = tmp_path / "matrix.csv"
    with pytest.raises(InputError, match="no such file"):
        read_matrix(path)
    path.write_text("source,destination,port\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"matrix\.csv:1: no matrix: the columns protocol, live are missing"):
        read_matrix(path)
    path.write_text("source,destination,protocol,port,live\na,b,tcp,1,denied\n", encoding="utf-8")
    assert read_matrix(path) == ({"source": "a", "destination": "b", "protocol": "tcp", "port": "1", "live": "denied"},)
