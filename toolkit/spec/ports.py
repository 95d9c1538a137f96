"""Port cells: numbers, ranges, lists, with or without protocols, services and remarks in between.

`80, 443` · `2379-2380` · `30000 to 32767` · `443/tcp` · `TCP 80, 443; UDP 53` · `1433 (configurable)` · `any`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from toolkit.net import MAX_OCTET, MAX_PORT

_PROTOCOL: Final = r"tcp|udp|sctp"
_TOKEN: Final = re.compile(
    rf"""(?P<protocol>(?<![a-z])(?:{_PROTOCOL})(?![a-z]))
    |(?P<open>(?<![\w.-])(?P<low>\d+)\s*(?:\+(?!\s*\w)|\s(?:and|or)\s(?:above|higher|up|greater))|(?:>=|≥|>|above\s|greater\sthan\s)\s*(?P<floor>\d+))
    |(?P<first>(?<![\w.])\d+(?:(?={_PROTOCOL})|(?![\w]|\.\d)))(?:\s*(?:[-\u2013\u2014\u2212\u2010\u2011\u2012~]|\bto\b|\bthrough\b|\bthru\b|\.\.\.?|…|:(?=\d))\s*(?P<last>(?<![\w.])\d+(?![\w]|\.\d)))?
    |(?P<bad>(?<![\w.])\d+[a-z]\w*|(?<![\w.])\d[\d.]*\d(?!\w))
    |(?P<word>[a-z][\w./-]*|\*)
    |(?P<paren>[()\[\]])
    |(?P<other>\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_ANY: Final = re.compile(
    r"^(?:(?:tcp|udp)\s*[/:]?\s*)?(?:any|all|\*|all ports|any ports?|all (?:tcp|udp)(?: ports)?|"
    r"any (?:tcp|udp)(?: port)?|0\s*[-\u2013]\s*65535|full range)(?:\s*[/:]?\s*(?:tcp|udp))?$",
    re.IGNORECASE,
)
_SITE: Final = re.compile(
    r"configur|customi[sz]|user[- ]?defined|user[- ]?specified|site[- ]?(?:specific|defined)|"
    r"\bcustom\b|\bvar(?:ies|iable|ious)\b|\bmultiple\b|\bchosen\b|\bchoice\b|"
    r"\byour\b|\bdepend|\bdynamic|\brandom\b|\bephemeral\b|\bto be (?:decided|determined|"
    r"defined)\b|\btbd\b|\bassigned\b|\bselected\b|"
    r"<[^>\d]+>|\{[^}\d]+\}|\bas (?:set|defined|specified)\b|\bof the site\b|\badministrator\b|"
    r"\bset by\b|\bdefined by\b|\bper site\b|\boperator\b|"
    r"\b(?:database|db|smtp|proxy|registry|nodeport|service) port\b|\bchangeable\b",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(r"\b(?:see|refer|table|section|chapter|appendix|step|version|release)\b", re.IGNORECASE)
_VERSION: Final = re.compile(
    r"\b(?:http/[123](?:\.\d)?|tls\s*v?\d\.\d|ssl\s*v?\d(?:\.\d)?|ipv[46]|smb\s*v?[123]\b|"
    r"snmp\s*v[123]c?|v\d+(?:\.\d+)*|k[38]s|rke2|h2c?|s3|oauth2?|layer \d|l[2347])\b",
    re.IGNORECASE,
)
_THOUSANDS: Final = re.compile(
    r"(?<![\d,])(\d{1,2}),(\d{3})(\s*[-\u2013\u2014]\s*)(\d{1,2}),(\d{3})(?![\d,])|(?<![\d,])(\d{1,2}),(0\d{2})(?![\d,])"
)
_DASH: Final = r"\s*(?:[-\u2013\u2014\u2212~]|\.\.\.?|\bup to\b|\bto\b|\bthrough\b|\bthru\b|\b(?:un)?til+\b)\s*"
# Ranges whose ends carry a word each, or that are told in words, in the form that the tokens know.
_RANGES: Final = (
    (re.compile(rf"\b({_PROTOCOL})([\s/:]*)(\d+){_DASH}\1[\s/:]*(\d+)\b", re.IGNORECASE), r"\1\2\3-\4"),
    (re.compile(rf"\b(\d+)\s*/\s*({_PROTOCOL}){_DASH}(\d+)\s*/\s*\2\b", re.IGNORECASE), r"\1-\3/\2"),
    (re.compile(rf"\b(\d+){_DASH}(?:ports?\s+)?(\d+)\b", re.IGNORECASE), r"\1-\2"),
    (re.compile(r"\bbetween\s+(?:ports?\s+)?(\d+)\s+and\s+(?:ports?\s+)?(\d+)\b", re.IGNORECASE), r"\1-\2"),
)
_EMPTY: Final = re.compile(r"^(?:[-\u2013\u2014.]+|n/?a|none|not applicable|\?)?$", re.IGNORECASE)
PORTLESS: Final = ("icmp", "esp", "ah", "gre", "igmp", "vrrp", "ospf")
# Ports that pages give by name only.
_NAMES: Final = """
    ssh=22 http=80 https=443 dns=53 ntp=123 smtp=25 smtps=465 submission=587 ldap=389 ldaps=636 kerberos=88 syslog=514
    snmp=161 nfs=2049 rdp=3389 bgp=179
"""
BY_NAME: Final = dict(pair.split("=") for pair in _NAMES.split())


@dataclass(frozen=True, slots=True)
class Entry:
    """One port or range of a cell, with the protocols that stand beside it in the cell."""

    ports: str
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bad:
    """A piece of a cell that is no port; `repaired` is the port and footnote mark that it may stand for."""

    text: str
    reason: str
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortCell:
    """What a port cell says.

     `site` when the port is left to the site, `doubts` for a reading that a person
    should check, `portless` for protocols without ports that stand in the cell (`ICMP`).
    """

    entries: tuple[Entry, ...] = ()
    bad: tuple[Bad, ...] = ()
    site: bool = False
    blank: bool = False
    doubts: tuple[str, ...] = ()
    portless: tuple[str, ...] = ()


@dataclass
class _Run:
    """State of reading one cell from left to right."""

    items: list[Entry | Bad] = field(default_factory=list)
    current: tuple[str, ...] = ()
    last_was_protocol: bool = False
    prefix: bool | None = None
    words: list[str] = field(default_factory=list)


def read(text: str) -> PortCell:
    """Read a port cell."""
    flat = " ".join(text.split())
    if _EMPTY.match(flat):
        return PortCell(blank=True)
    if _ANY.match(flat):
        named = tuple(name.lower() for name in re.findall(_PROTOCOL, flat, re.IGNORECASE))
        return PortCell((Entry("any", named),))
    doubts: list[str] = []
    cleaned = _VERSION.sub(" ", re.sub(r"\s*\n\s*", " , ", text))
    if _THOUSANDS.search(cleaned):
        cleaned = _THOUSANDS.sub(lambda found: "".join(part for part in found.groups() if part), cleaned)
        doubts.append("commas inside numbers are taken for thousands separators")
    for pattern, form in _RANGES:
        cleaned = pattern.sub(form, cleaned)
    site = _SITE.search(flat) is not None
    run = _Run()
    for token in _TOKEN.finditer(cleaned):
        _step(run, token)
    if _REFERENCE.search(flat) and not any(isinstance(one, Entry) and one.protocols for one in run.items):
        return PortCell(bad=(Bad(flat, "it refers to another place"),))
    portless = tuple(name for name in PORTLESS if name in {word.lower() for word in run.words})
    entries = _dedupe([one for one in run.items if isinstance(one, Entry)])
    bad = tuple(one for one in run.items if isinstance(one, Bad))
    if not entries and not bad and not site:
        return PortCell(blank=True, portless=portless) if portless else _by_name(flat, run)
    return PortCell(entries, bad, site, doubts=tuple(doubts), portless=portless)


def _by_name(flat: str, run: _Run) -> PortCell:
    names = [BY_NAME[word.lower()] for word in run.words if word.lower() in BY_NAME]
    if names and len(names) == len(run.words):
        entries = tuple(Entry(port, run.current) for port in names)
        return PortCell(entries, doubts=(f"the port of {flat!r} is given by name only",))
    if run.current and not run.words:
        return PortCell(blank=True)
    return PortCell(bad=(Bad(flat, "no port number in it"),))


def _step(run: _Run, token: re.Match[str]) -> None:
    kind = token.lastgroup
    if token["protocol"]:
        _protocol(run, token["protocol"].lower())
        return
    if token["first"] or token["open"]:
        run.prefix = bool(run.current) if run.prefix is None else run.prefix
        low = (
            token["first"]
            or token["low"]
            or str(int(token["floor"]) + (">" in token["open"] and "=" not in token["open"]))
        )
        last = token["last"] if token["first"] else str(MAX_PORT)
        run.items.append(_port(low, last, run.current if run.prefix else ()))
        run.last_was_protocol = False
    elif token["bad"]:
        run.items.append(Bad(token["bad"], "it is no number"))
        run.last_was_protocol = False
    elif kind == "word" and token["word"].lower() not in ("and", "or", "port", "ports", "the", "a", "n/a"):
        run.words.append(token["word"])


def _protocol(run: _Run, name: str) -> None:
    if run.prefix is None:
        run.prefix = not run.items
    joined = (*run.current, name) if run.last_was_protocol else (name,)
    run.current = tuple(dict.fromkeys(joined))
    run.last_was_protocol = True
    if not run.prefix:
        # `80, 443/tcp`: a protocol behind ports holds for those that have none yet, or that got it one word ago.
        before = run.current[:-1]
        run.items = [
            replace(one, protocols=run.current)
            if one.protocols in ((), before) and _trailing(run.items, index, before)
            else one
            for index, one in enumerate(run.items)
        ]


def _trailing(items: list[Entry | Bad], index: int, before: tuple[str, ...]) -> bool:
    """Whether all items from this one on are still open for the protocol that follows them."""
    return all(one.protocols in ((), before) for one in items[index:])


def _port(low: str, last: str | None, protocols: tuple[str, ...]) -> Entry | Bad:
    text = low if last is None else f"{low}-{last}"
    high = low if last is None else last
    if not 1 <= int(low) <= MAX_PORT or not 1 <= int(high) <= MAX_PORT:
        if last is not None and int(low) == 0 and int(high) <= MAX_PORT:
            return Entry(f"0-{int(high)}", protocols)
        return Bad(text, f"ports go from 1 to {MAX_PORT}", protocols)
    if int(low) > int(high):
        return Bad(text, "the range runs backwards", protocols)
    return Entry(str(int(low)) if last is None or int(low) == int(high) else f"{int(low)}-{int(high)}", protocols)


def _dedupe(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(dict.fromkeys(entries))


def repair(bad: str, marks: frozenset[str]) -> tuple[str, str] | None:
    """The port and the footnote mark that a piece such as `300701` stands for, if a footnote of that mark exists.

    Only one reading may fit; `4431` with the footnotes 1 and 31 would have two when neither is a port.
    """
    first, dash, last = bad.partition("-")
    body = last if dash else first
    found = []
    for mark in marks:
        if not body.lower().endswith(mark.lower()) or len(body) <= len(mark):
            continue
        stem = body[: -len(mark)]
        if not stem.isdecimal() or stem.startswith("0"):
            continue
        whole = _port(first, stem, ()) if dash else _port(stem, None, ())
        if isinstance(whole, Entry):
            found.append((whole.ports, mark))
    return found[0] if len(found) == 1 else None


_ICMP_NAMES: Final = (
    (r"echo[- ]?repl", "0/0"),
    (r"echo|ping", "8/0"),
    (r"fragmentation|frag(?:mentation)? needed|packet too big", "3/4"),
    (r"port[- ]unreachable", "3/3"),
    (r"host[- ]unreachable", "3/1"),
    (r"unreachable", "3/*"),
    (r"time[- ]exceeded|ttl", "11/*"),
    (r"redirect", "5/*"),
)
_SINGLE_CODE: Final = ("0", "8", "13", "14")
_TYPE: Final = re.compile(
    r"\btypes?\s*[:=#]?\s*(\d{1,3})(?:\s*[,;/]?\s*(?:and\s*)?codes?\s*[:=#]?\s*(\d{1,3}|any|all|"
    r"\*)|\s*/\s*(\d{1,3}|\*))?",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(r"^\D{0,12}?(\d{1,3})(?:\s*[/:.]\s*(\d{1,3}|\*))?(?:\s|\(|,|$)")


def icmp_kinds(port_text: str, other: str) -> tuple[str, ...]:
    """ICMP kinds as `8/0`, from the port cell first and else from the words of the row; empty for every kind."""
    if _ANY.match(port_text.strip()):
        return ()
    for text in (port_text, other):
        typed = [(m[1], m[2] or m[3]) for m in _TYPE.finditer(text)]
        if not typed and text is port_text:
            typed = [(m[1], m[2]) for part in re.split(r"[,;]|\band\b", text) if (m := _PAIR.match(part.strip()))]
        typed = [(kind, code) for kind, code in typed if int(kind) <= MAX_OCTET]
        if typed:
            return tuple(dict.fromkeys(_kind(kind, code) for kind, code in typed))
        names = [kind for part in re.split(r"[,;]|\band\b|\bor\b", text.lower()) for kind in _first_name(part)]
        if names:
            return tuple(dict.fromkeys(names))
    return ()


def _first_name(part: str) -> list[str]:
    return next(([kind] for pattern, kind in _ICMP_NAMES if re.search(pattern, part)), [])


def _kind(kind: str, code: str | None) -> str:
    """Type and code as text; a type alone means its only code, or all of them."""
    if code is None or not code.isdecimal():
        return f"{kind}/0" if kind in _SINGLE_CODE else f"{kind}/*"
    return f"{kind}/{code}"
