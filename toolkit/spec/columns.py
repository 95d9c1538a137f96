"""What the columns of a table hold, from the words of its header or, failing that, from its cells."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from toolkit.spec import ports, protocols

if TYPE_CHECKING:
    from toolkit.spec.page import Table


class Kind(StrEnum):
    """What a column holds."""

    PORT = "port"
    TCP_PORT = "tcp_port"
    UDP_PORT = "udp_port"
    SOURCE_PORT = "source_port"
    BACKEND_PORT = "backend_port"
    PROTOCOL = "protocol"
    DIRECTION = "direction"
    SOURCE = "source"
    DESTINATION = "destination"
    PEER = "peer"
    ADDRESS = "address"
    BETWEEN = "between"
    SUBJECT = "subject"
    ACTION = "action"
    NEEDED = "needed"
    OPTIONAL = "optional"
    CONDITION = "condition"
    NOTES = "notes"
    PURPOSE = "purpose"
    OTHER = "other"


# The first pattern that is found in a header decides; the order matters ("Source port" is no source).
_HEADERS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"^(?:source|src|client|local|ephemeral) ports?\b(?! and)|^port \(source\)", Kind.SOURCE_PORT),
    (r"^tcp(?: ports?(?: numbers?| ranges?)?)?$|^ports? \(?tcp\)?$|^ports? tcp$", Kind.TCP_PORT),
    (r"^udp(?: ports?(?: numbers?| ranges?)?)?$|^ports? \(?udp\)?$|^ports? udp$", Kind.UDP_PORT),
    (
        (
            r"^port ?(?:name|description|usage|use|purpose|function|role)\b|^(?:name|description|"
            r"purpose|use) of (?:the )?port"
        ),
        Kind.PURPOSE,
    ),
    (r"^(?:application|app|l7|layer 7|service) protocol|^protocol \(?(?:application|l7)", Kind.PURPOSE),
    (r"\bopen(?:ed)? on\b|\blisten(?:s|ing|er)?\b(?!.*\bports?\b)", Kind.DESTINATION),
    (r"\bports?\b|\bport\(s\)", Kind.PORT),
    (r"\bprotocols?\b|\bproto\b|\btransport\b|^l4\b|^layer 4|^tcp ?/ ?udp$|^tcp or udp$|\bip protocol", Kind.PROTOCOL),
    (r"\b(?:source|from)\b.*\b(?:destination|dest|target|to)\b|\b(?:destination|target)\b.*\bsource\b", Kind.PEER),
    (r"^(?:between|communication between|parties|participants)$", Kind.BETWEEN),
    (r"^(?:remote|peer|counterpart|other (?:end|side|party)|far end|remote (?:host|end|party|system)s?)\b", Kind.PEER),
    (
        (
            r"\bdirections?\b|\binbound ?/ ?outbound\b|^in ?/ ?out\b|\bingress ?/ ?egress\b|^flow$|"
            r"^traffic(?: (?:type|flow))?$"
        ),
        Kind.DIRECTION,
    ),
    (
        r"\bused by\b|\baccessed by\b|\brequired by\b|\bneeded by\b|\binitiated by\b|\bopened by\b|\bcalled by\b",
        Kind.SOURCE,
    ),
    (
        (
            r"\bsources?\b|\bfrom\b|\b(?:open|exposed|accessible|visible|available) (?:to|by)\b|"
            r"\borigin|\binitiator\b|\bsrc\b|\bsender\b|\bcaller\b|\bconnecting\b|"
            r"^clients?$|^consumers?$|^inbound from\b|^who (?:connects|calls)|^users?$|^requesters?$"
        ),
        Kind.SOURCE,
    ),
    (
        (
            r"\bdestinations?\b|^to\b|\bto$|\bserver side\b|\bservice side\b|\btargets?\b|\bdest\b|"
            r"\bdst\b|\breceiver\b|\bback-?ends?\b|\bpool "
            r"members?\b|^outbound to\b|\bconnects? to\b|^reaches\b"
        ),
        Kind.DESTINATION,
    ),
    (
        (
            r"^(?:action|rule action|allow ?/ ?deny|allow or deny|policy|verdict|decision|permission|status|state|"
            r"access|allow(?:ed)?|permit(?:ted)?)$"
        ),
        Kind.ACTION,
    ),
    (r"^(?:is )?optional\??$", Kind.OPTIONAL),
    (
        r"^(?:required|needed|mandatory|optional)\??$|^required ?/ ?optional$|^(?:is )?(?:required|mandatory)\b.{0,3}$",
        Kind.NEEDED,
    ),
    (
        r"\bconditions?\b|^(?:required )?when\b|\bapplies (?:when|if)\b|\bonly (?:when|if)\b|\bprerequisites?\b",
        Kind.CONDITION,
    ),
    (
        (
            r"^(?:remote )?(?:(?:ip )?address(?:es)?|fqdns?|host ?names?|domains?(?: names?)?|urls?|endpoints?|"
            r"sites?)(?: ?(?:/|or|and) ?(?:(?:ip )?address(?:es)?|ips?|fqdns?|host ?names?|domains?|urls?))?$"
        ),
        Kind.ADDRESS,
    ),
    (
        (
            r"^(?:nodes?|hosts?|roles?|node (?:type|role)s?|machines?|servers?|systems?|applies to|on|"
            r"host (?:type|role)s?|vms?)$"
        ),
        Kind.SUBJECT,
    ),
    (
        (
            r"\brequirements?\b|\bnotes?\b|\bremarks?\b|\bcomments?\b|\brestrictions?\b|\bconstraints?\b|"
            r"\bdetails?\b|\bsecurity\b|\badditional\b|\bexposure\b|\baccess\b|\bscope\b|\bguidance\b"
        ),
        Kind.NOTES,
    ),
    (
        (
            r"\bpurpose\b|\bdescriptions?\b|\bus(?:e|age|ed for|es)\b|\bfunctions?\b|\breasons?\b|"
            r"\bservices?\b|\bcomponents?\b|\bapplications?\b|\bname\b|\bwhat\b|\bwhy\b|\bprocess\b|"
            r"\btype\b|\bfeature\b|\bmeaning\b|\bexplanation\b|\btraffic\b"
        ),
        Kind.PURPOSE,
    ),
)
# A table about machines may count network ports; it asks for no traffic.
_SIZING: Final = re.compile(
    r"\b(?:v?cpus?|cores?|ram|memory|disks?|storage|iops|nics?|gib|gb|bandwidth)\b", re.IGNORECASE
)
_PORTS: Final = frozenset({Kind.PORT, Kind.TCP_PORT, Kind.UDP_PORT})
_FRONT_END: Final = re.compile(
    r"\b(?:lb|load[- ]?balancers?|front-?end|virtual server|vip|balancer|external|public)\b", re.IGNORECASE
)
_BACK_END: Final = re.compile(
    r"\bback-?end|\btargets?\b|\bforward|\bpool\b|\bmembers?\b|\bnodes?\b|\binstances?\b|\bservers?\b|\binternal\b",
    re.IGNORECASE,
)
_INFERRED: Final = 0.6


def kind_of(header: str) -> Kind:
    """Kind of a column from its header."""
    text = re.sub(r"\(s\)", "s", header.lower())
    text = " ".join(re.sub(r"[^\w\s/()+?-]|_", " ", text).split()).strip(" ()?")
    if re.search(r"\bports?\b", text) and re.search(r"\bprotocols?\b", text):
        return Kind.PORT
    for pattern, kind in _HEADERS:
        if re.search(pattern, text):
            return kind
    return Kind.OTHER


def kinds_of(table: Table) -> tuple[Kind, ...] | None:
    """Kinds of the columns of a port table, None where the table asks for no ports.

    A table counts when a header speaks of ports and at least one cell below it can be read as one, or is
    a port left to the site. Machine sizes are no port table, whatever their columns are called.
    """
    headers = [cell.flat for cell in table.header.cells]
    if any(_SIZING.search(text) for text in headers):
        return None
    kinds = _settle([kind_of(text) for text in headers], table)
    for index, kind in enumerate(kinds):
        if kind in _PORTS and any(_holds_port(row.cells[index].flat) for row in table.rows if index < len(row.cells)):
            return tuple(kinds)
    return None


def _holds_port(text: str) -> bool:
    found = ports.read(text)
    if (found.entries and not found.bad) or found.site:
        return True
    return any(re.fullmatch(r"\d{3,8}[a-z*]?", bad.text) for bad in found.bad) or protocols.is_transport(text)


def _settle(kinds: list[Kind], table: Table) -> list[Kind]:
    """One column of each kind that must be single: the one whose cells say so, or the first."""
    for single in (Kind.PROTOCOL, Kind.PORT, Kind.DIRECTION, Kind.SOURCE, Kind.DESTINATION, Kind.SUBJECT):
        at = [index for index, kind in enumerate(kinds) if kind is single]
        if len(at) > 1:
            best = at[0]
            if single is Kind.DIRECTION:
                best = max(at, key=lambda index: (_share(table, index, _is_direction), -index))
            elif single is Kind.PROTOCOL:
                best = max(at, key=lambda index: (_share(table, index, _is_transport), -index))
            elif single is Kind.PORT:
                destination = [
                    i for i in at if re.search(r"dest|listen|target|server", table.header.cells[i].flat, re.IGNORECASE)
                ]
                best = (destination or sorted(at, key=lambda index: (-_share(table, index, _is_port), index)))[0]
                best = next((i for i in at if _FRONT_END.search(table.header.cells[i].flat)), best)
            spare = Kind.PURPOSE if single in (Kind.PROTOCOL, Kind.DIRECTION) else Kind.NOTES
            if single is Kind.PORT:
                spare = Kind.BACKEND_PORT if _has_back_end(table, best, at) else Kind.NOTES
            kinds = [spare if kind is single and index != best else kind for index, kind in enumerate(kinds)]
    if Kind.PROTOCOL not in kinds:
        # "Type", "Service" and the like may hold the protocol.
        for index, kind in enumerate(kinds):
            if kind in (Kind.PURPOSE, Kind.OTHER) and table.rows and _share(table, index, _is_transport) == 1:
                return [*kinds[:index], Kind.PROTOCOL, *kinds[index + 1 :]]
    return kinds


def _has_back_end(table: Table, front: int, at: list[int]) -> bool:
    """Whether a table of a load balancer names two ports: its own, and the one behind it."""
    others = [table.header.cells[index].flat for index in at if index != front]
    return (
        len(others) == 1
        and _FRONT_END.search(table.header.cells[front].flat) is not None
        and (_BACK_END.search(others[0]) is not None)
    )


def _texts(table: Table, index: int) -> list[str]:
    return [row.cells[index].flat for row in table.rows if index < len(row.cells) and row.cells[index].text]


def _share(table: Table, index: int, test: object) -> float:
    texts = _texts(table, index)
    return sum(bool(test(text)) for text in texts) / len(texts) if texts else 0  # type: ignore[operator]


def _is_transport(text: str) -> bool:
    return protocols.is_transport(text)


def _is_direction(text: str) -> bool:
    return re.search(r"bound|gress|coming|going|\bboth\b|direction", text, re.IGNORECASE) is not None


def _is_port(text: str) -> bool:
    found = ports.read(text)
    return bool(found.entries) and not found.bad and len(text) <= 40  # noqa: PLR2004 - a sentence with a number is no port cell


def infer(table: Table) -> tuple[Kind, ...] | None:
    """Kinds of the columns of a table without a usable header: ports and protocols are known by sight."""
    width = max((len(row.cells) for row in table.rows), default=0)
    if width < 2 or _is_matrix(table) or any(_SIZING.search(cell.flat) for cell in table.header.cells):  # noqa: PLR2004 - a port and what it is
        return None
    protocol = [index for index in range(width) if _share(table, index, _is_transport) >= _INFERRED]
    port = [index for index in range(width) if index not in protocol and _share(table, index, _is_port) >= _INFERRED]
    if protocol and port:
        named = [kind_of(cell.flat) for cell in table.header.cells] + [Kind.OTHER] * width
        kinds = [Kind.PURPOSE if named[index] is Kind.OTHER else named[index] for index in range(width)]
        kinds[protocol[0]] = Kind.PROTOCOL
        kinds[port[0]] = Kind.PORT
        return tuple(kinds)
    both = [index for index in range(width) if _share(table, index, _is_port_with_protocol) >= _INFERRED]
    if len(both) == 1:
        return tuple(Kind.PORT if index == both[0] else Kind.PURPOSE for index in range(width))
    return None


def _is_port_with_protocol(text: str) -> bool:
    found = ports.read(text)
    return bool(found.entries) and all(entry.protocols for entry in found.entries)


def _is_matrix(table: Table) -> bool:
    """Whether rows and columns are parties and the cells between them ports; such a table is not read."""
    headers = [cell.flat.lower() for cell in table.header.cells]
    corner = headers[0] if headers else ""
    if re.search(r"\bfrom\b.*\bto\b|\bsource\b.*\bdest", corner):
        return True
    return bool({text.lower() for text in _texts(table, 0)} & set(headers[1:]) - {""})
