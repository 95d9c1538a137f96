"""What sentences beside a port say: constraints, conditions, that nothing is asked for, who else is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
_NO_INTERNET: Final = re.compile(
    rf"\b{_NOT}\b[^.;]{{0,90}}\b{_OUTSIDE}\b|\bnon-?public\b|\bno_internet\b", re.IGNORECASE
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
    return any(_NO_INTERNET.search(one) and not _UNLIMITED.search(one) for _, one in sentences(text))


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


def asks_for_nothing(text: str) -> str | None:
    """Why a text asks for no opening at all (`blocked`, `loopback only`), None where it asks for one."""
    for _, one in sentences(text):
        if _LOCAL.search(one):
            return "it is for the host itself only"
        if _BLOCKED.search(one) and not _NO_INTERNET.search(one):
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
    return any(_CLOSED_TABLE.search(one) and not _NO_INTERNET.search(one) for _, one in sentences(text))


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: terms over site settings in order, and words of the page that match no setting."""

    terms: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __or__(self, other: Condition) -> Condition:
        words = (*self.words, *(one for one in other.words if one.lower() not in {w.lower() for w in self.words}))
        return Condition(tuple(dict.fromkeys((*self.terms, *other.terms))), words)

    @property
    def text(self) -> str | None:
        """The condition as text, None where there is none."""
        order = sorted(self.terms, key=lambda term: _ORDER.index(term) if term in _ORDER else 0)
        return " and ".join((*order, *self.words)) or None


_PHASES: Final = (
    (
        (
            r"\b(?:during|at|for the duration of|only (?:for|in|at|needed for|needed during|used "
            r"during)|while)\b[^.;]{0,30}\binstall(?:ation|ing)?s?\b[^.;]{0,20}\b(?:and|or|/|&|"
            r",)[^.;]{0,12}\bupgrad(?:e|es|ing)\b"
        ),
        "phase in (install, upgrade)",
    ),
    (
        r"\b(?:during|only (?:for|in|at|needed for|needed during|used during)|at)\b[^.;]{0,20}\bupgrad(?:e|es|ing)\b",
        "phase == 'upgrade'",
    ),
    (
        r"\bclos\w+ (?:it |them |(?:this|the|these) ports? )?(?:again )?(?:after|once) (?:the )?(?:install|setup)",
        "phase == 'install'",
    ),
    (
        (
            r"\b(?:during|only (?:for|at|needed for|needed during|used during)|"
            r"at)\b[^.;]{0,25}\b(?:installation|install|setup)(?: (?:time|phase))?\b(?! (?:machine|host|"
            r"server|media|package|director|path))"
        ),
        "phase == 'install'",
    ),
    (
        r"\bafter (?:the )?(?:installation|install)\b[^.;]{0,20}\bonly\b|\bonly after (?:the )?installation\b",
        "phase == 'steady'",
    ),
)
_OFFLINE: Final = r"(?:offline|off-line|air-?\s?gapp?ed|disconnected)"
_SETTINGS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"\b(?:without|(?:has|have|with) no) (?:any |direct |an )?internet (?:access|connectivity|connection)\b",
        "offline",
    ),
    (
        (
            rf"\b(?:not|non)[- ](?:(?:needed|required|used|applicable|necessary|relevant) "
            rf")?(?:in |for |with )?"
            rf"(?:an? |the )?{_OFFLINE}\b[\w ]*|\b(?:online|connected|internet-connected)[- "
            rf"](?:installations?|deployments?|environments?|mode|only|installs?)\b"
        ),
        "not offline",
    ),
    (
        (
            rf"\b{_OFFLINE}\b(?: (?:\w+ ){{0,2}}(?:installations?|deployments?|environments?|installs?|"
            rf"mode|set-?ups?|only|upgrades?|clusters?|sites?|use|scenarios?|networks?|systems?))?"
        ),
        "offline",
    ),
    (
        (
            r"\bexternal (?:\w+ )?(?:registry|registries)\b[^.;]{0,15}\b(?:is|are|was) (?:not |"
            r"un)(?:available|used|configured|present|provided)|\b(?:without|no) (?:an )?external "
            r"(?:\w+ )?registry\b|\bexternal (?:\w+ )?registry (?:isn'?t|is missing)|\bdo(?:es)? not "
            r"(?:have|use) an? external (?:\w+ )?registry\b|\bnot using an? external (?:\w+ )?registry"
        ),
        "not external_registry",
    ),
    (r"\b(?:if|when|with|using|where|in case)\b[^.;]{0,40}\bexternal (?:\w+ )?registry\b", "external_registry"),
    (
        (
            r"\bdirect(?:ly)? (?:connection|connections|connect(?:ing|ed|s)?|access(?:ing|es|"
            r"ed)?)\b[^.;]{0,30}\b(?:kube(?:rnetes)?|kerberos|k8s)[- ]?api\b|\bdirect "
            r"(?:kube(?:rnetes)?|k8s)[- ]?api (?:access|connections?)\b"
        ),
        "direct_kube_api",
    ),
)
_ORDER: Final = [
    "offline",
    "not offline",
    "external_registry",
    "not external_registry",
    "direct_kube_api",
    *(term for _, term in _PHASES),
]
_CLAUSE: Final = re.compile(
    r"(?<![\w-])(?P<clause>(?:(?:(?:not )?(?:required|needed|necessary|used|open|applies) )?(?:only )?"
    r"(?:if|when|whenever|unless|in case|provided(?: that)?)\b|"
    r"(?:(?:required|needed|necessary|used|open) )?only (?:while|during|until|as long as|at|where)\b|"
    r"only (?:for|with|in|on)\b|only (?:required|needed|necessary|used|applicable|relevant) "
    r"(?:for|with|in|by|on)\b|(?:required|needed|necessary|used|applicable|applies|relevant) "
    r"only (?:for|with|in|by|on)\b|(?<=^)for [^.;]{3,40}\bonly\b|(?:required|needed|necessary) "
    r"for (?=[^.;]* (?:deployments?|installations?|mode|environments?|set-?ups?|clusters|"
    r"configurations?)\b)|optional\b(?: for| if| when)?)[^.;()]*)",
    re.IGNORECASE,
)
_EMPTY_CLAUSE: Final = re.compile(
    r"\b(?:firewalls?)\b.*\b(?:set up|enabled|used|configured|in use|installed|exists?|have|"
    r"running)\b|\byou (?:have|use|run|set up) (?:a |any )?firewall|\botherwise\b|\b(?:noted|"
    r"stated|indicated|specified|mentioned)$|^if (?:needed|necessary|required|desired|applicable|possible)\b|"
    r"^(?:when|if) (?:you |we )?(?:are )?(?:install|"
    r"deploy|set up|setting up|configur|plan)\w*\b",
    re.IGNORECASE,
)
_PURPOSE_CLAUSE: Final = re.compile(
    r"^(?:when|whenever|if) (?:a |an |the |pods?|nodes?|users?|clients?|agents?|it|"
    r"they)\b.*\b(?:starts?|joins?|join|crash\w*|fails?|logs? in|boots?|connects?)\b",
    re.IGNORECASE,
)


def condition(text: str, *, whole: bool = False) -> Condition:
    """Conditions that a text states; with `whole` the text is a condition by its place (a Condition column)."""
    found = Condition()
    for _, one in sentences(text):
        if _NO_INTERNET.search(one) and not re.search(rf"\b{_OFFLINE}\b", one, re.IGNORECASE):
            continue
        found |= _of_sentence(one, whole=whole)
    return found


def _of_sentence(sentence: str, *, whole: bool) -> Condition:
    terms: list[str] = []
    rest = sentence
    for pattern, term in _SETTINGS:
        if re.search(pattern, rest, re.IGNORECASE):
            terms.append(term)
            rest = re.sub(pattern, " ⁂ ", rest, flags=re.IGNORECASE)
    phase = next(((pattern, term) for pattern, term in _PHASES if re.search(pattern, rest, re.IGNORECASE)), None)
    if phase:
        terms.append(phase[1])
        rest = re.sub(phase[0], " ⁂ ", rest, flags=re.IGNORECASE)
    clause = _CLAUSE.search(rest)
    words: tuple[str, ...] = ()
    if (
        clause
        and "⁂" not in clause["clause"]
        and not _EMPTY_CLAUSE.search(clause["clause"])
        and not _PURPOSE_CLAUSE.search(clause["clause"])
    ):
        words = (_clause_words(clause["clause"]),)
    elif (
        whole
        and not terms
        and not re.fullmatch(
            r"\W*|always|yes|required|mandatory|all|any|none|no|-", sentence.strip(" ."), re.IGNORECASE
        )
    ):
        words = (" ".join(sentence.split()).strip(" .,"),)
    return Condition(tuple(terms), words)


def _clause_words(clause: str) -> str:
    """A clause on one line; what follows its comma is the main sentence (`If you use X, open these ports`)."""
    flat = " ".join(clause.split())
    if re.match(r"(?:if|when|whenever|unless|in case|provided)\b", flat, re.IGNORECASE):
        flat = flat.split(",")[0]
    return flat.strip(" ,:")


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
