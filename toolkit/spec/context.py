"""What stands around a table: headings, caption and the sentence that leads in, and what they say of all its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toolkit.spec import protocols
from toolkit.spec.applies import Condition, condition
from toolkit.spec.page import Heading, Prose, Table
from toolkit.spec.statements import between, both_ways, closes_table, sentences
from toolkit.spec.vocabulary import SELF, Party, mentions, parties, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.spec.page import Block

_LONGEST: Final = 600  # what is longer names no two ends
IN: Final = "in"
OUT: Final = "out"
BOTH: Final = "both"
_IN: Final = re.compile(r"\b(?:in-?bound|incoming|ingress|in|listen(?:s|ing)?|receiv(?:e|es|ing))\b", re.IGNORECASE)
_OUT: Final = re.compile(r"\b(?:out-?bound|outgoing|egress|out)\b", re.IGNORECASE)
_IN_HEADING: Final = re.compile(r"\b(?:in-?bound|incoming|ingress)\b", re.IGNORECASE)
_OUT_HEADING: Final = re.compile(r"\b(?:out-?bound|outgoing|egress)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the surroundings say, with the line that says it."""

    value: tuple[Party, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for all rows of a table, each with the lines that say it."""

    subject: Said | None = None
    sources: Said | None = None
    destinations: Said | None = None
    direction: str | None = None
    direction_line: int | None = None
    condition: Condition = field(default_factory=Condition)
    condition_lines: tuple[int, ...] = ()
    protocol: str | None = None
    protocol_line: int | None = None
    closed_line: int | None = None
    notes: tuple[tuple[int, str], ...] = ()


def direction_in(text: str, *, heading: bool = False) -> str | None:
    """Direction that a cell or heading names: `in`, `out`, `both` or None."""
    inward = (_IN_HEADING if heading else _IN).search(text)
    outward = (_OUT_HEADING if heading else _OUT).search(text)
    if (
        both_ways(text)
        or (inward and outward)
        or (not heading and re.search(r"\bboth\b|\bduplex\b|<-+>|↔|⇄|⇔|<=>", text, re.IGNORECASE))
    ):
        return BOTH
    if not heading and re.fullmatch(r"\s*(?:→|->|=>|⇒)\s*", text):
        return OUT
    if not heading and re.fullmatch(r"\s*(?:←|<-|⇐)\s*", text):
        return IN
    return IN if inward else OUT if outward else None


def tables_with_context(blocks: Sequence[Block]) -> Iterator[tuple[Table, Context]]:
    """Each table with its surroundings, in document order."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    stack: list[Heading] = []
    leads: list[Prose] = []
    for block in blocks:
        if isinstance(block, Heading):
            stack = [one for one in stack if one.level < block.level] + [block]
            leads = []
        elif isinstance(block, Prose):
            leads.append(block)
        else:
            texts = [(one.text, one.line) for one in ([block.caption] if block.caption else [])]
            lead = leads[-1:] if leads else []
            texts += [(one.text, one.line) for one in lead]
            headings = [(one.text, one.line) for one in reversed(stack)]
            yield block, read_context(texts, headings, title)
            leads = []


def read_context(texts: list[tuple[str, int]], headings: list[tuple[str, int]], title: str) -> Context:
    """Context from caption and lead (nearest first) and headings (nearest first)."""
    context = Context(notes=tuple((line, text) for text, line in texts))
    for text, line in (*texts, *headings):
        heading = (text, line) in headings or len(text.split()) <= 8  # noqa: PLR2004 - a caption is as short as a heading
        context = narrow(context, text, line, title, heading=heading)
    return context


def narrow(context: Context, text: str, line: int, title: str, *, heading: bool = True, first: bool = False) -> Context:
    """Add what one more text says; with `first` it is nearer to the rows than everything before."""
    direction = direction_in(text, heading=True)
    if direction and (first or context.direction is None):
        context = replace(context, direction=direction, direction_line=line)
    ends = ends_in(text, title)
    known = context.subject or context.sources or context.destinations
    if first or not known:
        if ends:
            context = replace(context, subject=None, sources=Said(ends[0], line), destinations=Said(ends[1], line))
        else:
            subject = subject_in(text, title, heading=heading, directed=context.direction is not None)
            if subject:
                context = replace(context, subject=Said(subject, line), sources=None, destinations=None)
    found = condition(text)
    if found.text:
        context = replace(
            context, condition=context.condition | found, condition_lines=(*context.condition_lines, line)
        )
    stated = protocols.stated_in(text)
    if len(stated) == 1 and context.protocol is None and re.search(r"\bports?\b", text, re.IGNORECASE):
        context = replace(context, protocol=stated[0], protocol_line=line)
    if (
        closes_table(text)
        and context.closed_line is None
        and not re.search(r"\b(?:reserved|unused) ports? (?:range|list)", text)
    ):
        context = replace(context, closed_line=line)
    return context


_ARROW: Final = re.compile(r"\s*(?:→|->|=>|⇒|\u2014>|\u2013>)\s*")
_FROM_TO: Final = re.compile(r"\b(?:from )(?P<a>[^.:;]+?) (?:to|into|towards) (?P<b>[^.:;]+)", re.IGNORECASE)
_A_TO_B: Final = re.compile(
    r"^(?:.*?\b(?:for|of)\b )?(?P<a>[^.:;]+?)[ -]to[ -](?P<b>[^.:;]+?)(?: (?:communications?|"
    r"traffic|connections?|connectivity|ports?|rules?|flows?|access))*$",
    re.IGNORECASE,
)
_GENERIC_TAIL: Final = re.compile(
    r"\s+(?:communications?|traffic|connections?|connectivity|ports?|rules?|flows?|access)$|\s*\([^)]*\)\s*$",
    re.IGNORECASE,
)


def arrow_sides(text: str) -> tuple[str, str, bool] | None:
    """The two sides of an arrow in a text, source first, and whether it points both ways."""
    both = re.split(r"\s*(?:<-+>|\u2194|\u21c4|\u21d4|<=+>)\s*", text)
    if len(both) == 2 and all(both):  # noqa: PLR2004 - two sides
        return both[0], both[1], True
    right = _ARROW.split(text)
    if len(right) == 2 and all(right):  # noqa: PLR2004
        return right[0], right[1], False
    left = re.split(r"\s*(?:\u2190|<-+|<=)\s*", text)
    if len(left) == 2 and all(left):  # noqa: PLR2004
        return left[1], left[0], False
    return None


def ends_in(text: str, title: str = "") -> tuple[tuple[Party, ...], tuple[Party, ...]] | None:
    """Both ends that a heading, caption or sentence names: `Agents to servers`, `A → B`, `between A and B`."""
    if len(text) > _LONGEST:
        return None
    flat = re.sub(r"^(?:table|figure)\s+[\d.]+[.:]?\s*|^[\d.]+\s+", "", text.strip().rstrip(":."), flags=re.IGNORECASE)
    parts = _ARROW.split(flat)
    if len(parts) == 2:  # noqa: PLR2004 - two ends
        return _known_ends(_last_phrase(parts[0]), parts[1], title)
    for pattern in (_FROM_TO, _A_TO_B):
        found = pattern.search(flat)
        if found:
            ends = _known_ends(found["a"], found["b"], title)
            if ends:
                return ends
    pair = between(flat)
    if pair:
        one, other = _known(pair[0], title), _known(pair[1], title)
        if one and other:
            both = tuple(dict.fromkeys((*one, *other)))
            return both, both
    return _by_order(flat)


def _last_phrase(text: str) -> str:
    return re.split(r":\s+|\bfor\b|\bfrom\b", text)[-1]


def _known_ends(one: str, other: str, title: str) -> tuple[tuple[Party, ...], tuple[Party, ...]] | None:
    first, second = _known(one, title), _known(other, title)
    return (first, second) if first and second else None


def _known(text: str, title: str) -> tuple[Party, ...]:
    """Parties of a phrase if all of them are known; else the roles that it mentions when that is a single one."""
    trimmed = _GENERIC_TAIL.sub("", text.strip())
    found = parties(trimmed.replace("all-machine", "all machines"), title)
    if found and all(one.known for one in found):
        return found
    roles = mentions(text)
    return (Party(roles[0]),) if len(roles) == 1 and len(text.split()) <= 5 else ()  # noqa: PLR2004 - a phrase, no clause


def _by_order(text: str) -> tuple[tuple[Party, ...], tuple[Party, ...]] | None:
    """`Agents connect to the server`: two roles with the verb between them."""
    found = re.search(
        r"^(?P<a>.+?)\b(?P<verb>(?:connect|connects|connecting|reach|reaches|talk|talks|send|sends|"
        r"initiate|initiates|forward|forwards|need to reach|must reach|access|accesses|contact|"
        r"contacts|report|reports)\b(?:[^.]{0,40}?\b(?:to|with))?|(?:accept|accepts|receive|"
        r"receives)\b[^.]{0,40}?\bfrom)\s+(?P<b>[^.]+)$",
        text,
        re.IGNORECASE,
    )
    if found is None:
        return None
    one, other = mentions(found["a"]), mentions(found["b"])
    if len(one) != 1 or not other:
        return None
    first, second = (Party(one[0]),), (Party(other[0]),)
    return (second, first) if found["verb"].lower().endswith("from") else (first, second)


_SPEAKER: Final = re.compile(
    r"\b(?:from|for|by) (?P<after>(?:[a-z-]+ ){0,3}[a-z-]+)|"
    r"^(?P<before>(?:[a-z-]+ ){0,3}?[a-z-]+) (?:connects?|access(?:es)?|reach(?:es)?|uses?|"
    r"talks?|sends?|opens?|calls?|polls?)\b",
    re.IGNORECASE,
)


def speaker_in(text: str) -> str | None:
    """The single role that the words of a row name as the one who connects: `API for clients`, `Agents report`."""
    found = [role for one in _SPEAKER.finditer(text) for role in mentions(one["after"] or one["before"])[:1]]
    return found[0] if len(set(found)) == 1 else None


_ON: Final = re.compile(r"\b(?:on|for|of|at)\s+(?P<who>[^.:;,()]+)", re.IGNORECASE)
# Words of headings that name no party.
_GENERIC_WORDS: Final = """
    required require requirements requirement port ports network networking networks firewall firewalls
    rule rules inbound outbound incoming outgoing ingress egress table the a an and or of for on in to
    from with by all following additional other optional default list overview open opened needed used
    using configuration configuring configure settings setup security communication communications
    traffic access connectivity connections tcp udp icmp protocol protocols prerequisites installation
    installing install upgrade upgrades upgrading offline online airgapped air-gapped deployment
    deployments environment environments mode general common notes note step appendix reference matrix
    information introduction before you begin system hardware software cluster kubernetes internal
    external direction bidirectional external-facing supported services service components component ip
    address addresses public private ephemeral reserved blocked closed example examples summary details
    number numbers what which must be should have has
"""
_GENERIC: Final = frozenset(_GENERIC_WORDS.split())


def subject_in(text: str, title: str, *, heading: bool, directed: bool) -> tuple[Party, ...]:
    """Whose ports a heading or lead speaks of; empty when it does not say."""
    flat = re.sub(
        r"^(?:(?:table|figure|step|appendix)\s+[\d.]+|[\d.]+)[.:)]?\s*",
        "",
        text.strip().rstrip(":."),
        flags=re.IGNORECASE,
    )
    for found in _ON.finditer(flat):
        named = tuple(
            one
            for one in parties(_GENERIC_TAIL.sub("", found["who"]), title)
            if one.known and one.name not in (SELF, "any")
        )
        if named:
            return named
    roles = mentions(flat)
    if roles and (heading or len(roles) == 1):
        return tuple(Party(role) for role in roles)
    if not heading:
        return ()
    role = role_of(
        " ".join(word for word in flat.split() if word.lower().strip("():,") not in _GENERIC) or "-",
        "" if flat == title else title,
    )
    if role:
        return (Party(role),)
    return _unknown_subject(flat, title, directed=directed)


def _unknown_subject(flat: str, title: str, *, directed: bool) -> tuple[Party, ...]:
    """A party in the page's words: `Ports for the metrics collector`, or a bare name over a table with directions."""
    named = re.search(r"\b(?:for|on|of)\s+(?:the |an? |each |all |every |your )*(?P<who>[A-Za-z][\w -]{2,40})$", flat)
    if named:
        words = named["who"].split()
        if (
            not all(word.lower() in _GENERIC for word in words)
            and not _GENERIC & {words[-1].lower()}
            and named["who"].lower() not in title.lower()
        ):
            return (Party(named["who"].strip(), known=False),)
        return ()
    rest = [word for word in re.findall(r"[\w-]+", flat) if word.lower() not in _GENERIC and not word.isdecimal()]
    if directed and flat != title and 0 < len(rest) <= 3:  # noqa: PLR2004 - a name, no sentence
        return (Party(" ".join(rest), known=False),)
    return ()


def lead_sentences(context: Context) -> Iterator[tuple[int, str]]:
    """Sentences of caption and lead with their lines."""
    for line, text in context.notes:
        for _, sentence in sentences(text):
            yield line, sentence
