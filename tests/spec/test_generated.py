"""Any table gives the same requirements as Markdown and as HTML, whatever the order of its columns."""

from __future__ import annotations

import html

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.spec.reader import read_spec_page

HEADERS = {
    "port": ("Port", "Port(s)", "Port range", "Destination port", "Listening port"),
    "protocol": ("Protocol", "Transport", "Protocol(s)"),
    "source": ("Source", "From", "Source(s)", "Allowed from", "Used by"),
    "destination": ("Destination", "To", "Target", "Destination host"),
    "purpose": ("Purpose", "Description", "Service", "Used for"),
}
ROLES = {
    "All nodes": "node",
    "Server nodes": "server",
    "worker nodes": "agent",
    "the load balancer": "load_balancer",
    "Bastion host": "jump_server",
    "Mail relay": "smtp_server",
    "Database server": "sql_server",
    "End users": "client",
    "Internet": "internet",
    "Badge printer": "Badge printer",
    "Any": "any",
}
PROTOCOLS = {"TCP": ("tcp",), "udp": ("udp",), "TCP/UDP": ("tcp", "udp"), "UDP and TCP": ("udp", "tcp")}

port = st.integers(1, 65535)
entry = st.one_of(
    port.map(lambda n: (str(n), str(n))),
    st.tuples(port, port)
    .filter(lambda p: p[0] < p[1])
    .flatmap(
        lambda p: st.sampled_from(["-", " - ", "\u2013", " to "]).map(lambda d: (f"{p[0]}{d}{p[1]}", f"{p[0]}-{p[1]}"))
    ),
)
entries = st.lists(entry, min_size=1, max_size=3, unique_by=lambda e: e[1])
party = st.lists(st.sampled_from(sorted(ROLES)), min_size=1, max_size=3, unique=True)
words = st.text("abcdefgh ", min_size=1, max_size=12).map(lambda t: " ".join(t.split())).filter(lambda t: len(t) > 2)
row = st.fixed_dictionaries({
    "port": entries, "protocol": st.sampled_from(sorted(PROTOCOLS)), "source": party, "destination": party, "purpose": words,
    "separator": st.sampled_from([", ", "; ", " / "]),
})  # fmt: skip
table = st.tuples(
    st.lists(row, min_size=1, max_size=5),
    st.permutations(sorted(HEADERS)),
    st.fixed_dictionaries({kind: st.sampled_from(names) for kind, names in HEADERS.items()}),
)


def cells(one, order):
    text = {
        "port": ", ".join(shown for shown, _ in one["port"]),
        "protocol": one["protocol"],
        "source": one["separator"].join(one["source"]),
        "destination": one["separator"].join(one["destination"]),
        "purpose": one["purpose"],
    }
    return [text[kind] for kind in order]


def as_markdown(rows, order, headers, *, outer: bool) -> bytes:
    lines = [[headers[kind] for kind in order], ["---"] * len(order), *(cells(one, order) for one in rows)]
    frame = ("| ", " |") if outer else ("", "")
    return ("\n".join(frame[0] + " | ".join(line) + frame[1] for line in lines) + "\n").encode()


def as_html(rows, order, headers) -> bytes:
    out = ["<table>", "<tr>" + "".join(f"<th>{headers[kind]}</th>" for kind in order) + "</tr>"]
    out += ["<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in cells(one, order)) + "</tr>" for one in rows]
    return "\n".join([*out, "</table>"]).encode()


def expected(rows):
    return [
        (
            name,
            ports,
            tuple(ROLES[role] for role in one["source"]),
            tuple(ROLES[role] for role in one["destination"]),
            one["purpose"],
        )
        for one in rows
        for _, ports in one["port"]
        for name in PROTOCOLS[one["protocol"]]
    ]


def found(data):
    proposal = read_spec_page(data, "page")
    assert not proposal.has_errors
    return [(one.protocol, one.ports, one.sources, one.destinations, one.purpose) for one in proposal.requirements]


@settings(deadline=None, max_examples=150)
@given(table)
def test_markup_and_column_order_change_nothing(drawn):
    rows, order, headers = drawn
    want = expected(rows)
    assert found(as_markdown(rows, order, headers, outer=True)) == want
    assert found(as_markdown(rows, order, headers, outer=False)) == want
    assert found(as_html(rows, order, headers)) == want


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="|-:#<>/*`[]()^0123456789 \n\tabctdrTCPUDportx&;\\", max_size=300))
def test_no_text_breaks_the_reader(text):
    """Whatever the bytes, the answer is a proposal or a PageError, and a proposal always loads as a spec."""
    from toolkit.errors import PageError

    page = f"| Port | Protocol | Source |\n|---|---|---|\n| 443 | TCP | nodes |\n{text}"
    for data in (text.encode(), page.encode(), f"<table><tr><th>Port<th>Protocol<tr><td>443<td>TCP{text}".encode()):
        try:
            proposal = read_spec_page(data, "page")
        except PageError:
            continue
        assert proposal.as_yaml()
        assert len({one.id for one in proposal.requirements}) == len(proposal.requirements)
