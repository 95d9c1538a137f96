"""Sentences that ask for something: requirements that no table holds, constraints, and what must not be done."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from toolkit.spec import ports, protocols
from toolkit.spec.applies import condition
from toolkit.spec.context import ends_in
from toolkit.spec.draft import CONSTRAINT_ORDER
from toolkit.spec.model import Constraint, Severity
from toolkit.spec.page import MARK, Page, Prose
from toolkit.spec.proposal import Proposed, slug
from toolkit.spec.statements import constraints, forbids_internet, sentences, speaks_of_health
from toolkit.spec.vocabulary import mentions, parties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.spec.services import Drafts, Surroundings

# Ports that Istio's sidecars keep for themselves (istio.io, "Ports used by Istio").
ISTIO_PORTS: Final = (15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090)
# Where a page names a database and no port.
_USUAL: Final = {"sql_server": "1433"}
_PORT: Final = re.compile(
    r"\b(?:(?P<before>tcp|udp|tcp/udp|udp/tcp|tcp and udp)\s+)?ports?\s+(?:(?P<mid>tcp|udp|"
    r"tcp/udp|tcp and udp)\s+)?(?P<ports>\d{1,6}(?:\s*[-\u2013]\s*\d{1,6})?(?:/(?:tcp|"
    r"udp))?(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+|\s*/\s*|"
    r"\s+to\s+)\d{1,6}(?:\s*[-\u2013]\s*\d{1,6})?(?:/(?:tcp|udp))?)*)"
    r"(?:\s*[(/]?\s*(?P<after>tcp/udp|tcp and udp|tcp|udp)\b)?|\b(?P<bare_protocol>tcp|udp)[ "
    r"/](?P<bare>\d{2,5})\b|\b(?P<bare2>\d{2,5})/(?P<bare2_protocol>tcp|udp)\b",
    re.IGNORECASE,
)
_REQUEST: Final = re.compile(
    r"\b(?:open|opened|opening|allow|allows|allowed|permit|permitted|enable|enabled|expose|"
    r"exposed|exposing|forward|forwarded|must|need|needs|needed|require|requires|required|"
    r"should|ensure|make sure|has to|have to|"
    r"reach|reachable|accessible|connectivity|mandatory|recommend|recommended|connect|connects|"
    r"unblock|whitelist|allowlist)\b",
    re.IGNORECASE,
)
_REFUSAL: Final = re.compile(
    r"\b(?:do not|don't|must not|should not|never|not required|not needed|avoid|no longer|"
    r"cannot|not necessary|need not|reserved|conflict\w*|blocked|closed|instead of|deprecated)\b",
    re.IGNORECASE,
)
_OUTSIDE: Final = re.compile(r"\b(?:expos\w+|open\w*|publish\w*)\b[^.]*\boutside (?:of )?the cluster\b", re.IGNORECASE)
_VIA_BALANCER: Final = re.compile(
    r"\b(?:via|through|by|behind|using|over)\s+(?:the |a |an |your )?load[- ]?balancer", re.IGNORECASE
)
_CONNECTIVITY: Final = re.compile(
    r"\b(?:connectivity|connection|connections|connect|access|communication|traffic|reach)\b", re.IGNORECASE
)
_REACH: Final = re.compile(
    r"(?P<a>[^,;:]+?)\s+(?:also |always )?(?:must|should|need to|needs to|has to|have to|shall)\s+(?:also )?(?:be "
    r"able to\s+|be allowed to\s+)?(?:reach|connect to|access|contact|communicate with|talk to|"
    r"have (?:connectivity|access) to|resolve)\s+(?P<b>[^.;]+)",
    re.IGNORECASE,
)
_ONLY_FROM: Final = re.compile(r"\bonly\b[^.;]{0,60}?\b(?:from|by|to)\s+(?P<who>[^.;]+)", re.IGNORECASE)
_CUT: Final = re.compile(
    r"\s+(?:on|over|via|through|using|at|with|by|for|in order|when|if|so that|and (?:make|open|"
    r"that)|is|are|must|has|have|when)\b.*$|\s*\(.*$|,.*$",
    re.IGNORECASE,
)
_NODE_FIREWALL: Final = re.compile(
    r"\b(?:ip ?tables|nftables|firewalld|ufw|host(?:-based)? firewalls?|node firewalls?|local "
    r"firewalls?)\b[^.]*\b(?:not (?:be )?(?:recommended|supported|changed|modified|used|enabled|"
    r"running|touched)|unsupported|disable[d]?|conflicts?|must be (?:off|stopped|disabled)|"
    r"turned off|do not)\b|"
    r"\b(?:do not|don't|never|disable|stop|turn off)\b[^.]*\b(?:ip ?tables|nftables|firewalld|ufw|host firewalls?)\b",
    re.IGNORECASE,
)
_ISTIO: Final = re.compile(
    r"\bistio\b[^.]*\breserved ports?\b|\breserved ports?\b[^.]*\bistio\b|\bports?\b[^.]*\breserved (?:by|for) istio\b",
    re.IGNORECASE,
)
_KERBEROS: Final = re.compile(r"\bkerberos[ -]api\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, its line, and the ports that the sentence before it spoke of (for `it`)."""

    text: str
    line: int
    before: tuple[tuple[str, tuple[str, ...]], ...] = ()


def read(page: Page, around: Surroundings, out: Drafts) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Read all sentences outside tables and footnotes; returns the ports that a service must not use."""
    forbidden: list[tuple[str, tuple[int, ...]]] = []
    for sentence in _sentences(page, around):
        if _NODE_FIREWALL.search(sentence.text):
            out.find(
                "node_firewall",
                Severity.WARNING,
                sentence.line,
                f"packet filters on nodes are ruled out, so no node is an enforcement point: {sentence.text!r}",
            )
            continue
        if _KERBEROS.search(sentence.text):
            out.find(
                "misprint",
                Severity.WARNING,
                sentence.line,
                "'Kerberos API' is taken for Kubernetes API; Kerberos would be port 88",
            )
        if _ISTIO.search(sentence.text):
            roles = [role for role in mentions(sentence.text) if role.endswith("_server")] or ["sql_server"]
            forbidden.append((roles[0], ISTIO_PORTS))
            out.find(
                "port_forbidden",
                Severity.INFO,
                sentence.line,
                f"{roles[0]} must not use one of Istio's reserved ports: {', '.join(map(str, ISTIO_PORTS))}",
            )
            continue
        if not (_constrain(sentence, out) or _restrict(sentence, around, out) or _request(sentence, around, out)):
            _mention(sentence, out)
    return tuple(dict.fromkeys(forbidden))


def _sentences(page: Page, around: Surroundings) -> Iterator[Sentence]:
    taken = {line for note in around.footnotes.values() for line in note.lines}
    before: tuple[tuple[str, tuple[str, ...]], ...] = ()
    for block in page.blocks:
        if not isinstance(block, Prose) or block.line in taken:
            continue
        for at, text in sentences(block.marked):
            sentence = Sentence(MARK.sub("", text).strip(), block.line_at(at), before)
            yield sentence
            before = tuple(ports_in(sentence.text)) or before


def ports_in(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Ports that a sentence names as ports, each with the protocols beside it."""
    for found in _PORT.finditer(text):
        stated = (
            found["before"] or found["mid"] or found["after"] or found["bare_protocol"] or found["bare2_protocol"] or ""
        )
        named = protocols.stated_in(stated)
        for entry in ports.read(found["ports"] or found["bare"] or found["bare2"]).entries:
            yield entry.ports, entry.protocols or named


def _constrain(sentence: Sentence, out: Drafts) -> bool:
    """`Port 8472 must not be exposed to the internet`, `none of these ports ...`: a constraint on rows that exist."""
    demanded = {one for one in constraints(sentence.text, balancer=False) if one is not Constraint.BIDIRECTIONAL}
    if not demanded:
        return False
    named = {port for port, _ in ports_in(sentence.text)}
    word = re.search(r"\bthe ([\w-]+) ports?\b", sentence.text, re.IGNORECASE)
    everything = not named and re.search(
        r"\b(?:all|any|none|these|those|every|no)\b[^.]*\bports?\b", sentence.text, re.IGNORECASE
    )
    hit = False
    for index, one in enumerate(out.requirements):
        by_word = (
            not named
            and word
            and word[1].lower() not in ("these", "following", "same")
            and re.search(rf"\b{re.escape(word[1])}\b", one.purpose, re.IGNORECASE)
        )
        if (one.ports in named) or by_word or everything:
            merged = {*one.constraints, *demanded}
            lines = tuple(dict.fromkeys((*one.lines, sentence.line)))
            out.requirements[index] = replace(
                one, constraints=tuple(c for c in CONSTRAINT_ORDER if c in merged), lines=lines
            )
            hit = True
    return hit or forbids_internet(sentence.text)


def _restrict(sentence: Sentence, around: Surroundings, out: Drafts) -> bool:
    """`Port 8443 must only be reachable from the bastion host`: a source that a row may contradict."""
    found = _ONLY_FROM.search(sentence.text)
    named = {port for port, _ in ports_in(sentence.text)}
    if found is None or not named:
        return False
    allowed = {one.name for one in parties(_CUT.sub("", found["who"]), around.title)}
    for one in out.requirements:
        if one.ports in named and allowed and not set(one.sources) <= allowed:
            out.find(
                "contradiction",
                Severity.WARNING,
                sentence.line,
                f"only {', '.join(sorted(allowed))} may reach port {one.ports}, but line {one.lines[0]} lets "
                f"{', '.join(one.sources)} in",
            )
    return any(one.ports in named for one in out.requirements)


def _request(sentence: Sentence, around: Surroundings, out: Drafts) -> bool:
    """A sentence that asks for a flow; True when it was dealt with."""
    text = sentence.text
    if not _REQUEST.search(text) or _REFUSAL.search(text):
        return False
    named = list(ports_in(text))
    referred = named or (
        list(sentence.before) if re.search(r"\b(?:it|them|this port|these ports)\b", text, re.IGNORECASE) else []
    )
    if referred and _VIA_BALANCER.search(text):
        health = (Constraint.HEALTH_CHECK,) if speaks_of_health(text) else ()
        for port, stated in referred:
            _add(out, sentence, "lb-health" if health else "lb", port, stated, (("load_balancer",), ("node",)), health)
        return True
    if named and _OUTSIDE.search(text):
        said = condition(text)
        prefix = "direct-kube-api" if "direct_kube_api" in said.terms else "outside"
        for port, stated in named:
            _add(out, sentence, prefix, port, stated, (("client",), ("node",)), (), said.text)
        out.find(
            "source_derived", Severity.INFO, sentence.line, "who is outside the cluster is not named; taken as client"
        )
        out.find(
            "destination_derived", Severity.INFO, sentence.line, "whose port is exposed is not named; taken as node"
        )
        return True
    ends = _ends(text, around.title)
    if ends is None:
        return False
    return _between(sentence, named, ends, out)


def _ends(text: str, title: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Source and destination of a sentence that speaks of connectivity."""
    reach = _REACH.search(text)
    found = (
        re.search(r"\bfrom\s+(?P<a>[^.;]+?)\s+(?:to|into|towards)\s+(?P<b>[^.;]+)", text, re.IGNORECASE)
        if _CONNECTIVITY.search(text) or _PORT.search(text)
        else None
    )
    pair = found or reach
    if pair:
        one = parties(
            _CUT.sub(
                "", re.sub(r"^.*\b(?:that|additionally|also|sure)\s+", "", pair["a"].strip(), flags=re.IGNORECASE)
            ),
            title,
        )
        other = parties(_CUT.sub("", pair["b"].strip()), title)
        if one and other and (any(p.known for p in (*one, *other))):
            return tuple(p.name for p in one), tuple(p.name for p in other)
    ends = ends_in(text, title)
    return None if ends is None else (tuple(p.name for p in ends[0]), tuple(p.name for p in ends[1]))


def _between(
    sentence: Sentence,
    named: list[tuple[str, tuple[str, ...]]],
    ends: tuple[tuple[str, ...], tuple[str, ...]],
    out: Drafts,
) -> bool:
    said = condition(sentence.text).text
    demanded = constraints(sentence.text, balancer=False)
    new = [(port, stated) for port, stated in named if not _covered(out, port, stated)]
    for port, stated in new:
        _add(out, sentence, "prose", port, stated, ends, demanded, said)
    if named:
        return True
    target = ends[1][0]
    if any(target in one.destinations for one in out.requirements) and target not in _USUAL:
        return False
    if target in ("node", "server", "agent", "any", "internet", "load_balancer"):
        return False
    _without_port(sentence, ends, demanded, said, out)
    return True


def _without_port(
    sentence: Sentence,
    ends: tuple[tuple[str, ...], tuple[str, ...]],
    demanded: tuple[Constraint, ...],
    said: str | None,
    out: Drafts,
) -> None:
    target = ends[1][0]
    usual = _USUAL.get(target)
    if any(target in one.destinations and set(ends[0]) & set(one.sources) for one in out.requirements):
        return
    name = slug(target.replace("_", "-"))
    out.requirements.append(
        Proposed(
            name,
            "tcp",
            usual,
            ends[0],
            ends[1],
            demanded,
            said,
            sentence.text,
            (sentence.line,),
            port_setting=slug(target).replace("-", "_"),
        )
    )
    _report(out, sentence, f"{', '.join(ends[0])} to {', '.join(ends[1])}", ends)
    choice = f"; {usual} is what is usual" if usual else ""
    out.find(
        "port_left_to_site",
        Severity.WARNING,
        sentence.line,
        f"the sentence names no port for {target}; the site chooses it{choice}",
    )


def _covered(out: Drafts, port: str, stated: tuple[str, ...]) -> bool:
    return any(one.ports == port and (not stated or one.protocol in stated) for one in out.requirements)


def _add(
    out: Drafts,
    sentence: Sentence,
    prefix: str,
    port: str,
    stated: tuple[str, ...],
    ends: tuple[tuple[str, ...], tuple[str, ...]],
    demanded: tuple[Constraint, ...],
    said: str | None = None,
) -> None:
    known = tuple(dict.fromkeys(one.protocol for one in out.requirements if one.ports == port))
    for protocol in stated or known or ("tcp",):
        name = f"{protocol}-{port}" if prefix == "prose" else f"{prefix}-{port}"
        out.requirements.append(
            Proposed(name, protocol, port, ends[0], ends[1], demanded, said, sentence.text, (sentence.line,))
        )
    _report(out, sentence, f"port {port}, {', '.join(ends[0])} to {', '.join(ends[1])}", ends)
    if not stated and not known:
        out.find(
            "protocol_missing",
            Severity.WARNING,
            sentence.line,
            f"the sentence states no protocol for port {port}; taken as tcp",
        )


def _report(out: Drafts, sentence: Sentence, what: str, ends: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    from toolkit.spec.roles import ROLES

    out.find("prose_requirement", Severity.WARNING, sentence.line, f"required in a sentence only: {what}")
    for role in dict.fromkeys((*ends[0], *ends[1])):
        if role not in ROLES:
            out.find("role_unknown", Severity.INFO, sentence.line, f"no role fits {role!r}; the page's words are kept")


def _mention(sentence: Sentence, out: Drafts) -> None:
    """A port that no row has: it may be a requirement, and it is not guessed who it is between."""
    for port, stated in ports_in(sentence.text):
        if not _covered(out, port, stated) and not any(service.ports == port for service, _ in out.closed):
            asks = _REQUEST.search(sentence.text) and not _REFUSAL.search(sentence.text)
            severity = Severity.WARNING if asks else Severity.INFO
            out.find(
                "port_in_prose",
                severity,
                sentence.line,
                f"port {port} is spoken of, but no row asks for it: {sentence.text[:100]!r}",
            )
