"""What sentences beside a port say: constraints, conditions, that nothing is asked for, who else is meant."""

from __future__ import annotations

import re
from typing import Final

from toolkit.spec.model import Constraint

_SENTENCE: Final = re.compile(
    r"(?<=[a-z0-9)\]])[.!?](?=\s|[A-Z]|$)(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)|(?<=[a-z)]);\s", re.IGNORECASE
)
_LONGEST: Final = 600
_ABBREVIATION: Final = re.compile(r"\b(?:e\.g|i\.e|etc|vs|incl|approx|no)\.$", re.IGNORECASE)


def sentences(text: str) -> list[tuple[int, str]]:
    """Sentences of a text with the offset of each; one glued to the next (`API.Port 9345`) is split off."""
    found: list[tuple[int, str]] = []
    start = 0
    for end in _SENTENCE.finditer(text):
        glued = end.end() < len(text) and not text[end.end()].isspace() and end[0] in ".!?"
        after = text[end.end() : end.end() + 1]
        if _ABBREVIATION.search(text[start : end.end()]) or (glued and not after.isupper()):
            continue
        found.append((start, text[start : end.end()]))
        start = end.end()
    found.append((start, text[start:]))
    found = [piece for at, one in found for piece in _pieces(at, one)]
    return [(at + len(one) - len(one.lstrip()), one.strip()) for at, one in found if one.strip(" .;")]


def _pieces(at: int, text: str) -> list[tuple[int, str]]:
    """A sentence, or pieces of one that is too long to be one: patterns then take time by length, not by its square."""
    found: list[tuple[int, str]] = []
    while len(text) > _LONGEST:
        cut = text.rfind(" ", 1, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        found.append((at, text[:cut]))
        at, text = at + cut, text[cut:]
    return [*found, (at, text)]


_OUTSIDE: Final = (
    r"(?:internet|public|publicly|outside world|world|external networks?|untrusted networks?|"
    r"outside (?:the )?(?:network|cluster|organi[sz]ation|company)|externally)"
)
_NOT: Final = (
    r"(?:none|neither|do not|don'?t|must not|should not|shouldn'?t|mustn'?t|never|cannot|can ?not|not|no|"
    r"without|avoid|block(?:ed)?|den(?:y|ied)|clos(?:e|ed)|prohibit(?:ed)?|forbid(?:den)?|"
    r"inaccessible|unreachable|away from|isolat\w+ from|hidden from|shielded from|off)"
)
NO_INTERNET: Final = re.compile(
    rf"\b{_NOT}\b[^.;]{{0,90}}\b{_OUTSIDE}\b|\bnon-?public\b|\bno_internet\b|"
    rf"\b{_OUTSIDE}\b[^.;]{{0,40}}\b(?:must|should|is|are|has to|have to) (?:always )?(?:be )?"
    r"(?:denied|blocked|prohibited|forbidden|dropped|rejected|closed|not (?:be )?(?:allowed|permitted|possible))\b",
    re.IGNORECASE,
)
# `no internet access` may also describe the site or the proxy, and then it is no constraint on a port.
_UNLIMITED: Final = re.compile(
    r"\b(?:if|when|where|in|for)\b[^.;]{0,60}\b(?:no|not have|without)\b[^.;]{0,20}\binternet\b|"
    r"\bnot (?:only|require|need)\b|\bno internet (?:access|connection) (?:is )?(?:required|needed)",
    re.IGNORECASE,
)
_PRIVATE: Final = re.compile(
    r"\bprivate (?:ips?|ipv4|addresses|address|networks?|subnets?|interfaces?|vlans?|links?|lan|"
    r"ranges?)\b|\brfc ?1918\b|\bprivate[- ]only\b|\bprivately\b|"
    r"\binternal (?:networks?|ips?|addresses|address|traffic|subnets?|use|access|"
    r"communications?)[^.;]{0,12}\bonly\b|\bonly[^.;]{0,40}\b(?:internal|private) (?:networks?|"
    r"ips?|address(?:es)?|subnets?)\b|^internal only$",
    re.IGNORECASE,
)
_NOT_PRIVATE: Final = re.compile(
    r"\b(?:not|no|without|or public|and public)\b[^.;]{0,30}\bprivate\b|\bprivate or public\b", re.IGNORECASE
)
_BOTH_WAYS: Final = re.compile(
    r"\b(?:inbound|incoming|ingress)\b\s*(?:and|/|&|\+|,|as well as)\s*\b(?:outbound|outgoing|"
    r"egress)\b|\b(?:outbound|outgoing|egress)\b\s*(?:and|/|&|\+|,)\s*\b(?:inbound|incoming|"
    r"ingress)\b|"
    r"\bbi-?directional(?:ly)?\b|\bboth (?:directions|ways)\b|\btwo-?way\b|\beither direction\b|"
    r"\bin (?:and|/|&) out\b|\bin either direction\b|^in/out$",
    re.IGNORECASE,
)
_HEALTH: Final = re.compile(
    r"\bhealth[- ]?(?:checks?|checking|probes?|monitors?|monitoring)\b|\bliveness\b|\breadiness\b|\bhealthz\b",
    re.IGNORECASE,
)


def both_ways(text: str) -> bool:
    """Whether a text says that connections are opened from both ends."""
    return _BOTH_WAYS.search(text) is not None


def speaks_of_health(text: str) -> bool:
    """Whether a text speaks of health checks."""
    return _HEALTH.search(text) is not None


def forbids_internet(text: str) -> bool:
    """Whether a text keeps the internet out."""
    return any(NO_INTERNET.search(one) and not _UNLIMITED.search(one) for _, one in sentences(text))


def constraints(text: str, *, balancer: bool) -> tuple[Constraint, ...]:
    """Constraints that a text states; health checks only count where the load balancer is the source."""
    found = {
        Constraint.NO_INTERNET: forbids_internet(text),
        Constraint.PRIVATE_ONLY: any(
            _PRIVATE.search(one) and not _NOT_PRIVATE.search(one) for _, one in sentences(text)
        ),
        Constraint.BIDIRECTIONAL: both_ways(text),
        Constraint.HEALTH_CHECK: balancer and speaks_of_health(text),
    }
    return tuple(name for name, holds in found.items() if holds)


_LOCAL: Final = re.compile(
    r"\b(?:localhost|loopback|127\.0\.0\.1)\b[^.;]{0,30}\bonly\b|"
    r"\bonly[^.;]{0,50}\b(?:localhost|loopback|127\.0\.0\.1|local host|local machine)\b|"
    r"\b(?:binds?|bound|listen(?:s|ing)?)\b[^.;]{0,30}\b(?:to|on)\b[^.;]{0,20}\b(?:localhost|"
    r"loopback|127\.0\.0\.1)\b|\bloopback (?:interface|address|traffic)\b|^\W*(?:localhost|"
    r"loopback)\W*$|"
    r"\blocal(?:ly)? only\b|\bonly locally\b|\b(?:within|inside|internal to) the (?:same "
    r")?(?:host|node|pod|machine)\b|\bon the same host only\b|"
    r"\bnever leaves the (?:host|node|machine)\b|\bdoes not leave the (?:host|node|machine)\b|"
    r"\bnot reachable from (?:other|outside the) (?:hosts?|nodes?|machines?)\b",
    re.IGNORECASE,
)
_BLOCKED: Final = re.compile(
    r"^\W*(?:blocked|block|closed|close|den(?:y|ied)|drop(?:ped)?|reject(?:ed)?|forbidden|"
    r"prohibited|disabled|not used|unused|not (?:needed|required|exposed|open(?:ed)?)|"
    r"deprecated|removed|obsolete|reserved|do not open|do not use|never open|no longer used)\W*$|"
    r"\b(?:must|should|has to|have to|needs? to|is to|are to) (?:be |remain |stay |"
    r"always be |be kept |be left )(?:blocked|closed|denied|dropped|rejected|disabled|shut)\b|"
    r"\b(?:keep|leave) (?:this |the |these |it |them )?(?:ports? )?(?:closed|blocked)\b|"
    r"\b(?:must|should) (?:not|never) be (?:open(?:ed)?|allowed|exposed|used|reachable|"
    r"accessible)\b(?! (?:to|from|on|outside|by|in|unless|for))|"
    r"\b(?:do not|don't|never) (?:open|use|expose|allow) (?:this |the |these )?(?:ports?|"
    r"traffic|it)?\s*(?:[.!;,]|$|in the firewall|on the firewall|as |at all|any)|\b(?:is|are|"
    r"gets?) (?:always |now )?(?:blocked|dropped|denied|closed|disabled(?! by default))(?: by default)?\b(?! "
    r"(?:from|for|to|by the|on the|unless|until|if))|"
    r"\bblock (?:this|these|the) (?:ports?|traffic)\b(?! (?:from|to))|\bnot exposed\b(?! (?:to "
    r"the (?:internet|public)|publicly))|\bno (?:firewall )?(?:rule|opening|access|network "
    r"access|connectivity|inbound access)s? (?:is |are )?(?:needed|required|necessary)\b|"
    r"\b(?:does|do|need) not (?:need|have|require)? ?(?:to be )?(?:open(?:ed|ing)?|exposed?)\b|"
    r"\bneed not be open\b|\bno longer (?:used|needed|required|in use)\b|\breserved (?:for "
    r"future|by|and not)\b|\bnot (?:currently )?(?:in use|used|needed|required)\b(?! (?:if|when|"
    r"unless|for|in|on|with|by|to))|\bnothing (?:needs|has) to be opened\b",
    re.IGNORECASE,
)
_DENYING: Final = re.compile(
    r"^(?:den(?:y|ied)|block(?:ed)?|drop(?:ped)?|reject(?:ed)?|closed?|disabled?|forbidden|"
    r"prohibited|no|none|not allowed|not permitted|off|✗|✘|❌|\u00d7)$",
    re.IGNORECASE,
)
# In a column of actions more may follow: `Deny direct access`, `No (except updates)`.
_WITHHELD: Final = re.compile(
    r"^(?:(?:den(?:y|ied)|block(?:ed)?|drop(?:ped)?|reject(?:ed)?|disallow(?:ed)?|forbid(?:den)?|prohibit(?:ed)?|"
    r"closed?|not (?:allowed|permitted|open(?:ed)?)|never)\b|no(?=$|\s*[(,;:\u2013\u2014-])|[✗✘❌🚫⛔\u00d7])",
    re.IGNORECASE,
)


def withholds(text: str) -> bool:
    """Whether the cell of a column of actions keeps its row closed."""
    return denies(text) or _WITHHELD.match(text.strip()) is not None


def asks_for_nothing(text: str) -> str | None:
    """Why a text asks for no opening at all (`blocked`, `loopback only`), None where it asks for one."""
    for _, one in sentences(text):
        if _LOCAL.search(one):
            return "it is for the host itself only"
        if _BLOCKED.search(one) and not NO_INTERNET.search(one):
            return "it is to stay closed"
    return None


def denies(text: str) -> bool:
    """Whether a cell such as `Deny`, `blocked` or `No` withholds."""
    return _DENYING.match(text.strip().rstrip(".")) is not None


_CLOSED_TABLE: Final = re.compile(
    r"\b(?:blocked|closed|forbidden|prohibited|denied|reserved|loopback|unused|deprecated) "
    r"ports?\b|\bports? (?:that |which |to )?(?:must |should |shall |are |is |have to |be |"
    r"remain |stay |are to )*(?:blocked?|closed?|den(?:y|ied)|forbidden|reserved|never be "
    r"open(?:ed)?|not be (?:used|open(?:ed)?|exposed)|kept closed)\b(?! (?:from|to|for|on))|"
    r"\b(?:do not|don't|never|must not|should not|keep|avoid)\b[^.:]{0,60}\b(?:open|use|using|"
    r"opening|allow|closed)\b[^.:]{0,40}\bports?\b|\bports? (?:is|are)? ?(?:only )?(?:used|"
    r"bound|listening)? ?(?:on|to|over) (?:the )?(?:loopback|localhost)\b|"
    r"\bports?\b[^.:]{0,60}\b(?:must|should|shall) (?:not|never) be (?:open(?:ed)?|used|exposed|"
    r"allowed)\b|\b(?:loopback|localhost|local)[- ]only\b",
    re.IGNORECASE,
)


def closes_table(text: str) -> bool:
    """Whether a heading or lead says that the ports below are to stay closed."""
    return any(_CLOSED_TABLE.search(one) and not NO_INTERNET.search(one) for _, one in sentences(text))


_BETWEEN: Final = re.compile(
    r"\b(?:between|among)\s+(?P<a>[^.,;]+?)(?:\s+and\s+(?P<b>[^.,;]+?))?(?=\s+(?:must|should|"
    r"has|have|is|are|needs?|over|via|on|using|for|in order|through|in|within|of|only|when|if)\b|"
    r"[.,;)]|$)",
    re.IGNORECASE,
)
_FORWARDED: Final = re.compile(
    r"\b(?:forwarded|redirected|routed|sent|directed|relayed|delivered|proxied|load[- "
    r"]balanced)\s+to\s+(?P<to>[^.,;()]+)",
    re.IGNORECASE,
)
_FROM: Final = re.compile(
    r"\b(?:in|out)bound(?: and (?:in|out)bound)? (?:connectivity|access|traffic|connections?) "
    r"from\s+(?P<from>[^.;()]+)",
    re.IGNORECASE,
)
_NODE_TO_NODE: Final = re.compile(
    r"\b(?:inter-?node|node[- ]to[- ]node|intra-?cluster|cluster[- ]internal|"
    r"inter-?cluster-?node|between (?:all |the |cluster )?nodes|peer[- ]to[- ]peer)\b",
    re.IGNORECASE,
)


_AFTER_PARTY: Final = re.compile(
    r"\s+(?:during|via|through|by|from|over|on|when|if|for|using|while|as|in order|and (?:is|are|must|not))\b.*$",
    re.IGNORECASE,
)


def between(text: str) -> tuple[str, str] | None:
    """The two ends of `between A and B`; one plural party stands for both ends."""
    found = _BETWEEN.search(text)
    return None if found is None else (found["a"].strip(), (found["b"] or found["a"]).strip())


def forwarded_to(text: str) -> str | None:
    """Where a text says that the traffic of a port is forwarded to."""
    found = _FORWARDED.search(text)
    return None if found is None else _AFTER_PARTY.sub("", found["to"]).strip()


def both_ways_from(text: str) -> str | None:
    """Who has inbound and outbound connectivity according to a text."""
    found = _FROM.search(text)
    return None if found is None or not both_ways(text) else found["from"].strip()


def among_nodes(text: str) -> bool:
    """Whether a text speaks of traffic between nodes."""
    return _NODE_TO_NODE.search(text) is not None
