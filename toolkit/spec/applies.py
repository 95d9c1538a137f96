"""When a row applies: conditions over site settings, and clauses of the page that match no setting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from toolkit.spec.statements import NO_INTERNET, sentences


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
        if NO_INTERNET.search(one) and not re.search(rf"\b{_OFFLINE}\b", one, re.IGNORECASE):
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
    if _NEGATION.search(sentence):
        terms = [_negated(term) for term in terms]
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


# What a row is not needed for: `Not required when offline`, `Required unless an external registry is used`.
_NEGATION: Final = re.compile(
    r"\bnot (?:needed|required|necessary|used|applicable|relevant) (?:when|if|while|during|with|on)\b|"
    r"(?<!not needed )(?<!not required )(?<!not used )\bunless\b|\bexcept (?:in|for|during|when|if|with)\b",
    re.IGNORECASE,
)


def _negated(term: str) -> str:
    if term.startswith("phase"):
        return f"not {term}" if " == " in term else term.replace("phase in", "phase not in")
    return term.removeprefix("not ") if term.startswith("not ") else f"not {term}"


def _clause_words(clause: str) -> str:
    """A clause on one line; what follows its comma is the main sentence (`If you use X, open these ports`)."""
    flat = " ".join(clause.split())
    if re.match(r"(?:if|when|whenever|unless|in case|provided)\b", flat, re.IGNORECASE):
        flat = flat.split(",")[0]
    return flat.strip(" ,:")
