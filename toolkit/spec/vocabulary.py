"""Words of vendors' pages -> roles: who a cell, a heading or a sentence speaks of.

A party that no role fits keeps the page's words; its finding is `role_unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Words in front of a role that say nothing about who it is.
_FILLERS: Final = (
    r"(?:the|a|an|all|any|every|each|both|other|your|our|existing|additional|remote|external|"
    r"internal|individual|these|those|of|"
    r"one|single|new|joining|cluster|clustered|kubernetes|k8s|k3s|rke2|rke|openshift|automation "
    r"suite|high[- ]availability|ha|"
    r"linux|windows|virtual|physical|remaining|peer|local|registered|target|source|destination|"
    r"primary|secondary|standby|active|"
    r"configured|authorized|authorised|trusted|corporate|company|on-?prem(?:ises)?|organi[sz]ation'?s?|administrators?|admins?)"
)
_HOSTS: Final = (
    r"(?:nodes?|hosts?|machines?|servers?|vms?|instances?|members?|systems?|computers?|boxe?s?|workstations?|pcs?)"
)
_CLUSTER: Final = (
    r"(?: (?:in|of|within|inside|from|on|across) (?:a|an|the|your|each|this) (?:\w+ "
    r")?(?:cluster|deployment|installation))?"
)


def _whole(*alternatives: str) -> re.Pattern[str]:
    joined = "|".join(alternatives)
    return re.compile(rf"^(?:{_FILLERS} )*(?:{joined}){_CLUSTER}(?: only)?$")


# Role -> what a party must be called, fillers aside. The order decides.
_ROLES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "temporary_registry",
        _whole(
            r"temp(?:orary)? (?:\w+ )?registry(?: (?:pool|server|host|machine|node)s?)?", r"temp(?:orary)? registries"
        ),
    ),
    (
        "install_machine",
        _whole(
            r"(?:machine|host|computer|server|workstation|node|system|vm)\b.*\b(?:trigger|run|start|"
            r"launch|execut|perform|initiat|driv|carr)\w*\b.*\b(?:install|upgrad|deploy|setup)\w*.*",
            rf"(?:install|installer|installation|installing|setup)[- ]{_HOSTS}",
            r"deploy(?:ment|er) (?:host|machine|workstation)s?",
            r"installer",
            r"(?:machine|host|computer|server) (?:from which|where|on which|that|which) .*\binstall\w*.*",
        ),
    ),
    (
        "load_balancer",
        _whole(
            r"(?:\w+ )?load[- ]?balanc(?:er|ers|ing)(?: (?:vips?|nodes?|hosts?|machines?|servers?|"
            r"address(?:es)?|frontends?|pool|virtual (?:ip|server|address)(?:e?s)?))?(?: \(?l?7?\)?)?",
            r"lbs?",
            r"[nae]lbs?",
            r"(?:cluster |virtual )?vips?",
            r"virtual ips?(?: address(?:es)?)?",
            r"haproxy(?: nodes?| servers?)?",
            r"load[- ]?balancer ?/ ?(?:reverse )?proxy.*",
        ),
    ),
    (
        "jump_server",
        _whole(
            r"jump[- ]?(?:servers?|hosts?|box(?:es)?|machines?|stations?|nodes?)",
            r"bastions?(?:[- ](?:hosts?|servers?|machines?|nodes?))?",
            r"(?:admin|administrator|administrators?'?|administration|administrative|management|"
            r"operator|operations) (?:workstations?|hosts?|machines?|pcs?|stations?|consoles?|"
            r"computers?|servers?|jump host|laptops?)",
            r"administrators?|admins?|sysadmins?",
        ),
    ),
    (
        "smtp_server",
        _whole(
            r"smtp(?: (?:servers?|relays?|hosts?|gateways?|services?))?",
            r"(?:e-?)?mail(?:[- ](?:servers?|relays?|hosts?|gateways?|hub|system))",
            r"smtp ?/ ?(?:e-?)?mail servers?",
            r"mta|mail transfer agents?",
        ),
    ),
    (
        "sql_server",
        _whole(
            r"(?:ms |microsoft |azure )?sql(?: (?:servers?|databases?|instances?|hosts?|clusters?|"
            r"database servers?))?(?: instances?)?",
            r"(?:external )?(?:databases?|db|rdbms)(?:[- ](?:servers?|hosts?|machines?|nodes?|"
            r"instances?|clusters?|systems?|tier|services?))?",
            r"(?:postgres|postgresql|mysql|mariadb|mssql|oracle)(?: (?:databases?|db|servers?|"
            r"instances?|hosts?|database servers?))*",
        ),
    ),
    (
        "internet",
        _whole(
            r"(?:public )?internet",
            r"public networks?",
            r"(?:world|outside world|public)",
            r"internet (?:hosts?|users?|clients?)",
        ),
    ),
    (
        "server",
        _whole(
            rf"(?:servers?|masters?|control[- ]?planes?|controllers?|managers?)(?:[- ](?:{_HOSTS[3:-1]}))?",
            rf"control[- ]?plane (?:components?|members?|{_HOSTS[3:-1]})",
            r"(?:kubernetes |kube )?api ?servers?",
            r"kube[- ](?:apiserver|scheduler|controller[- ]manager)",
            r"etcd(?: (?:nodes?|members?|hosts?|servers?|peers?))?",
            r"(?:master|controlplane|control plane|control-plane) ?(?:\+|/|and) ?etcd(?: nodes?)?",
        ),
    ),
    (
        "agent",
        _whole(
            rf"(?:agents?|workers?|compute|minions?)(?:[- ](?:{_HOSTS[3:-1]}))?",
            r"worker ?machines?",
        ),
    ),
    (
        "node",
        _whole(
            r"nodes?",
            r"clusters?(?:[- ](?:nodes?|hosts?|machines?|members?|servers?|vms?))?",
            r"(?:machines?|hosts?|members?|vms?)(?= (?:in|of|within))",
            r"(?:nodes?|machines?|hosts?|members?|servers?|vms?) (?:in|of|within|inside) (?:the|a|an|"
            r"each|this) cluster",
            r"everything in the cluster",
            r"node ips?|node network|node subnet|cluster network",
        ),
    ),
    (
        "client",
        _whole(
            r"(?:clients?|end[- ]?users?|users?|web|user'?s?|customers?)(?:[- ](?:machines?|pcs?|hosts?|"
            r"workstations?|computers?|devices?|networks?|browsers?|laptops?|desktops?|clients?|"
            r"systems?|traffic|subnets?))?",
            r"(?:web )?browsers?(?: of users| clients?)?",
            r"workstations?|desktops?|laptops?",
            r"users?' (?:browsers?|machines?|workstations?|devices?)",
        ),
    ),
    (
        "any",
        re.compile(
            r"^(?:any(?:where|one|body)?|everyone|everywhere|everything|all|\*|0\.0\.0\.0(?:/0)?|"
            r"(?:any|all) (?:sources?|destinations?|ips?|ip address(?:es)?|address(?:es)?|networks?|others?|traffic))$"
        ),
    ),
)
_ALL_MACHINES: Final = re.compile(r"^(?:all|every|each|other)[- ](?:the )?(?:machines?|hosts?|vms?)$")
_SELF: Final = re.compile(
    r"^(?:self|itself|themselves|same (?:host|node|machine|server|role)s?|each other|one another)$"
)
_LOOPBACK: Final = re.compile(
    r"\b(?:localhost|loopback|127\.0\.0\.\d+)\b|^(?:local(?: only| host)?|::1|lo|same pod|"
    r"within (?:the )?(?:host|node|pod))$"
)
_NONE: Final = re.compile(r"^(?:[-\u2013\u2014.]+|n/?a|none|not applicable|nobody|no one|unspecified|\?|tbd)?$")
_DITTO: Final = re.compile(r"^(?:\"|''|〃|”|ditto|same|same as above|as above|see above|idem)$")
_STRONG: Final = re.compile(r"\s*(?:[,;\n]|\s/\s|\s\+\s|\s&\s|\s\|\s)\s*")
_WEAK: Final = re.compile(r"\s*(?:,|/|&|\+|\band/or\b|\bas well as\b|\band\b|\bor\b|\bplus\b)\s*")
_ADDRESS: Final = re.compile(r"^[\w.-]*\d+\.\d+\.\d+[\w./-]*$|^\*?[\w-]*(?:\.[\w-]+)+(?:/\d+)?$")
_MAX_WORDS: Final = 6

SELF: Final = "self"
LOOPBACK: Final = "loopback"


@dataclass(frozen=True, slots=True)
class Party:
    """One party: a role name, `self`, `loopback`, or the page's words where `known` is false."""

    name: str
    known: bool = True


def parties(text: str, product: str = "") -> tuple[Party, ...]:
    """Parties that a cell names; empty when it names nobody.

    `product` is the page's title: "Consul servers" on a page about Consul are servers.
    """
    # A cell may go on with sentences about the party that its first one names.
    flat = re.split(r"(?<=[a-z)])\.\s+(?=[A-Z])", text.strip())[0].rstrip(".").strip()
    if _NONE.match(flat.lower()):
        return ()
    # `Load balancer that ends TLS` is a load balancer; which one, the cell's own words say.
    described = re.match(r"([^\n,;/]+?)\s+(?:that|which|who)\s", flat)
    whole = None if "\n" in flat else _role(flat, product) or (described and _role(described[1], product))
    if whole:
        return (Party(whole),)
    found: list[Party] = []
    for piece in _STRONG.split(flat):
        found += _piece(piece.strip(), product)
    return tuple(dict.fromkeys(found))


def is_ditto(text: str) -> bool:
    """Whether a cell points to the one above it."""
    return _DITTO.match(text.strip().lower()) is not None


def _piece(text: str, product: str) -> list[Party]:
    text = re.sub(r"^(?:and|or|from|to)\s+", "", text.strip().rstrip("."), flags=re.IGNORECASE)
    if not text or _NONE.match(text.lower()):
        return []
    role = _role(text, product)
    if role:
        return [Party(role)]
    parts = [] if _ADDRESS.match(text) else [part for part in _WEAK.split(re.sub(r"\bn/a\b", "", text)) if part]
    if len(parts) > 1:
        # "server and agent nodes": the last word belongs to both.
        tail = parts[-1].split()[-1]
        roles = [_role(part, product) or _role(f"{part} {tail}", product) for part in parts]
        short = all(len(part.split()) <= _MAX_WORDS for part in parts)
        if all(roles) or (any(roles) and short):
            return [
                Party(role) if role else Party(_words(part), known=False)
                for role, part in zip(roles, parts, strict=True)
            ]
        if all(len(part.split()) <= 3 and part[0].isupper() for part in parts):  # noqa: PLR2004 - a list of names, no clause
            return [Party(_words(part), known=False) for part in parts]
    return [Party(_words(text), known=False)]


def _words(text: str) -> str:
    """The page's own words for a party, without an article in front."""
    return re.sub(r"^(?:the|an?|all|each|every)\s+(?=\S)", "", " ".join(text.split()), flags=re.IGNORECASE).strip(" .:")


def role_of(text: str, product: str = "") -> str | None:
    """The role of a phrase, None where no role fits."""
    return _role(text, product)


def _role(text: str, product: str) -> str | None:
    low = " ".join(re.sub(r"[“”\"'\u2019]", "", text.lower().replace("(s)", "s").replace("(es)", "es")).split()).strip(
        " .:"
    )
    bare = re.sub(r"\s*\([^)]*\)", "", low).strip()
    for candidate in dict.fromkeys((low, bare)):
        if not candidate:
            continue
        if _LOOPBACK.search(candidate):
            return LOOPBACK
        if _SELF.match(candidate):
            return SELF
        if _ALL_MACHINES.match(candidate):
            return "node"
        for role, pattern in _ROLES:
            if pattern.match(candidate):
                return role
    return _of_product(bare, product.lower())


_PRODUCT_SUFFIX: Final = (
    (
        "server",
        re.compile(
            r"^(?P<name>[\w. -]+?) (?:server|master|control[- ]plane|controller) (?:nodes?|machines?|instances?)$"
        ),
    ),
    ("agent", re.compile(r"^(?P<name>[\w. -]+?) (?:agent|worker|compute) (?:nodes?|machines?|instances?)$")),
    ("server", re.compile(r"^(?P<name>[\w. -]+?) (?:servers?|masters?|controllers?)$")),
    ("agent", re.compile(r"^(?P<name>[\w. -]+?) (?:agents?|workers?)$")),
    ("client", re.compile(r"^(?P<name>[\w. -]+?) (?:clients?|users?)$")),
    ("node", re.compile(r"^(?P<name>[\w. -]+?) (?:nodes?|cluster nodes?|cluster members?|cluster|hosts?)$")),
)
_SERVICES: Final = re.compile(
    r"\b(?:dns|ntp|ldap|proxy|nfs|storage|log|syslog|monitoring|backup|time|file|web|mail|"
    r"license|licence|metrics?|identity|image|registry|radius|auth\w*)\b"
)


def _of_product(text: str, product: str) -> str | None:
    """Roles behind the product's own name: `Consul servers` on a page about Consul; `<any> server nodes`."""
    text = re.sub(rf"^(?:{_FILLERS} )+", "", text)
    for index, (role, pattern) in enumerate(_PRODUCT_SUFFIX):
        found = pattern.match(text)
        if found is None:
            continue
        names = found["name"].split()
        if {"and", "or", "to", "node", "nodes", "server", "servers", "agent", "agents"} & set(names):
            return None
        named = bool(product) and all(re.search(rf"\b{re.escape(name)}\b", product) for name in names)
        if named and not _SERVICES.search(found["name"]):
            return role
        if index < 2 and len(names) <= 2 and not _SERVICES.search(found["name"]):  # noqa: PLR2004 - the first two patterns name a node role
            return role
    return None


_MENTION: Final[tuple[tuple[str, str], ...]] = (
    ("temporary_registry", r"temp(?:orary)? (?:\w+ )?registry(?: pool| server)?"),
    ("install_machine", r"install(?:ation|er|ing)?[- ](?:machine|host|server)s?"),
    ("load_balancer", r"load[- ]?balanc(?:er|ers|ing)"),
    ("jump_server", r"jump[- ]?(?:server|host|box|machine)s?|bastions?(?: hosts?)?"),
    ("smtp_server", r"(?:smtp|mail|e-?mail)[- ](?:server|relay|gateway|host)s?"),
    ("sql_server", r"(?:sql|database|db|postgres(?:ql)?|mysql)[- ](?:server|host|instance)s?|\bdatabases\b"),
    ("agent", r"(?:agent|worker|compute)(?:[- ](?:node|machine|host)s?|s\b)|\b(?:agents?|workers?)\b"),
    (
        "server",
        (
            r"(?:control[- ]?plane|master|server|controller|manager)[- ](?:node|machine|host)s?|"
            r"control[- ]?planes?\b|\bmasters\b|(?<!\w )\bservers?\b(?! (?:port|certificate|name))"
        ),
    ),
    ("client", r"end[- ]?users?\b|\bclients?\b|\busers?\b|\bbrowsers?\b"),
    ("node", r"(?:all|every|each|cluster)[- ](?:the )?(?:machine|host)s?\b|\bnodes?\b|\bcluster members?\b"),
)


def mentions(text: str) -> tuple[str, ...]:
    """Roles that a sentence or heading mentions, in the order of the text; longer names win over words inside them."""
    low = text.lower().replace("(s)", "s")
    spans: list[tuple[int, int, str]] = []
    for role, pattern in _MENTION:
        for found in re.finditer(pattern, low):
            if not any(start < found.end() and found.start() < end for start, end, _ in spans):
                spans.append((found.start(), found.end(), role))
    return tuple(dict.fromkeys(role for _, _, role in sorted(spans)))
