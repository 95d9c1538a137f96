"""A strict reader of nft scripts: it applies a file's commands to a ruleset and refuses what it does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from toolkit.errors import ConfigError, Place
from toolkit.platforms._nft_model import Base, Chain, Rule, Ruleset, fault, reach_forwarded
from toolkit.platforms._nft_rule import RuleReader

if TYPE_CHECKING:
    from collections.abc import Callable

# A set of addresses or numbers on one line is read at once: the same few sets stand in very many rules.
TOKEN: Final = re.compile(
    r'"(?P<text>[^"\n]*)"|(?P<set>\{ [0-9./-]+(?:, [0-9./-]+)* \})|(?P<mark>[{};,\n])|'
    r'(?P<word>[^\s{};,"#]+)|(?P<note>#[^\n]*)|(?P<gap>[ \t\r]+)'
)
FAMILIES: Final = ("inet", "ip", "ip6", "bridge", "netdev", "arp")
PRIORITIES: Final = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
BRIDGE_PRIORITIES: Final = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
OBJECTS: Final = ("comment", "counter", "ct", "flowtable", "limit", "map", "quota", "secmark", "set", "synproxy")
# A set of addresses or ports that does not change by itself.
SET: Final = re.compile(
    r"(?:; )?type (?:ipv4_addr|inet_service)(?: ; (?:flags (?:interval|constant|constant , interval)|auto-merge|"
    r"elements = (\{ [0-9./,\s-]+\})))*(?: ;)*"
)
HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting", "ingress")


class Token(NamedTuple):
    """A word, a mark, a quoted text, or a whole set of numbers, with its line."""

    text: str
    line: int
    quoted: bool = False
    is_set: bool = False


def apply_script(text: str, file: str, before: Ruleset) -> Ruleset:
    """Apply the commands of an nft script to a ruleset.

    Raises:
        ConfigError: a line is not fully understood, or a command names what is not there.
    """
    return Script(_tokens(text, file), file, before).run()


def _tokens(text: str, file: str) -> list[Token]:
    found: list[Token] = []
    line, at = 1, 0
    for one in TOKEN.finditer(text):
        if one.start() != at:
            break
        at, kind = one.end(), one.lastgroup
        if kind == "text":
            found.append(Token(one["text"], line, quoted=True))
        elif kind in ("mark", "word", "set"):
            found.append(Token(one[0], line, is_set=kind == "set"))
            line += one[0] == "\n"
    if at < len(text):
        raise ConfigError(f"cannot read {text[at : at + 20]!r}", place=Place(file, line))
    return [*found, Token("\n", line)]


class Script:
    """The commands of one file, one after the other."""

    def __init__(self, tokens: list[Token], file: str, ruleset: Ruleset) -> None:
        self.tokens = tokens
        self.file = file
        self.ruleset = ruleset
        self.at = 0
        self.sets: dict[tuple[str, str], list[str]] = {}  # (table, set) -> its elements

    def run(self) -> Ruleset:
        while self.skip_ends():
            word = self.next("a command")
            if word == "table":
                self.table(*self.table_name())
            elif word in ("add", "insert", "delete", "flush"):
                self.command(word)
            else:
                raise self.error(f"unknown command {word!r} (known: table, add, insert, delete, flush)")
        problem = fault(self.ruleset)
        if problem:
            raise ConfigError(problem, place=Place(self.file))
        unclear = next((rule.fault for rule in reach_forwarded(self.ruleset) if rule.fault is not None), None)
        if unclear is not None:
            raise unclear
        return self.ruleset

    # ---- tokens ---------------------------------------------------------------------------

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self, what: str) -> str:
        token = self.peek()
        if token is None or (token.text == "\n" and not token.quoted):
            raise self.error(f"{what} is missing")
        if token.is_set:
            raise self.error(f"{what} is no set: {token.text!r} is not understood here")
        self.at += 1
        return token.text

    def take(self, text: str) -> bool:
        token = self.peek()
        if token is not None and token.text == text and not token.quoted:
            self.at += 1
            return True
        return False

    def skip_ends(self) -> bool:
        while self.take("\n") or self.take(";"):
            pass
        return self.peek() is not None

    def expect(self, text: str) -> None:
        if not self.take(text):
            token = self.peek()
            raise self.error(f"expected {text!r}, found {token.text if token else 'the end'!r}")

    def end(self) -> None:
        token = self.peek()
        if token is not None and token.text not in ("\n", ";", "}"):
            raise self.error(f"not understood: {token.text!r}")

    def error(self, message: str) -> ConfigError:
        index = min(self.at, len(self.tokens) - 1)
        if self.tokens[index].text == "\n" and index and not self.tokens[index].quoted:
            index -= 1
        return ConfigError(message, place=Place(self.file, self.tokens[index].line))

    # ---- commands -------------------------------------------------------------------------

    def table_name(self) -> tuple[str, str]:
        family = self.next("the table's family")
        if family not in FAMILIES:
            raise self.error(f"unknown family {family!r} (known: {', '.join(FAMILIES)})")
        return family, self.next("the table's name")

    def known_table(self) -> tuple[str, str]:
        key = self.table_name()
        if key not in self.ruleset.tables:
            raise self.error(f"there is no table {key[0]} {key[1]}")
        return key

    def known_chain(self) -> tuple[tuple[str, str], str]:
        key = self.known_table()
        name = self.next("the chain's name")
        if name not in self.ruleset.tables[key]:
            raise self.error(f"there is no chain {name} in table {key[0]} {key[1]}")
        return key, name

    def command(self, word: str) -> None:
        what = self.next("what to change")
        handlers: dict[tuple[str, str], Callable[[], None]] = {
            ("add", "table"): lambda: self.table(*self.table_name()),
            ("delete", "table"): self.delete_table,
            ("flush", "table"): self.flush_table,
            ("flush", "ruleset"): self.flush_ruleset,
            ("add", "chain"): self.add_chain,
            ("flush", "chain"): self.flush_chain,
            ("delete", "chain"): self.delete_chain,
            ("delete", "rule"): self.delete_rule,
            ("add", "rule"): lambda: self.add_rule(first=False),
            ("insert", "rule"): lambda: self.add_rule(first=True),
        }
        if (word, what) not in handlers:
            raise self.error(f"unknown command {word + ' ' + what!r}")
        handlers[word, what]()
        self.end()

    def delete_table(self) -> None:
        self.ruleset = self.ruleset.with_table(self.known_table(), None)

    def flush_ruleset(self) -> None:
        self.ruleset = Ruleset()

    def flush_table(self) -> None:
        key = self.known_table()
        for name in self.ruleset.tables[key]:
            self.ruleset = self.ruleset.with_rules(key, name, ())

    def flush_chain(self) -> None:
        key, name = self.known_chain()
        self.ruleset = self.ruleset.with_rules(key, name, ())

    def delete_chain(self) -> None:
        key, name = self.known_chain()
        chains = {other: chain for other, chain in self.ruleset.tables[key].items() if other != name}
        self.ruleset = self.ruleset.with_table_in_place(key, chains)

    def add_chain(self) -> None:
        key = self.known_table()
        self.chain(key, self.next("the chain's name"), body=self.take("{"))

    def delete_rule(self) -> None:
        """By the handle that the device reported; a rule read from text has none and so cannot be named."""
        key, name = self.known_chain()
        self.expect("handle")
        text = self.next("the handle")
        rules = self.ruleset.tables[key][name].rules
        kept = [rule for rule in rules if str(rule.handle) != text]
        if len(kept) != len(rules) - 1 or not text.isdecimal():
            raise self.error(f"there is no rule with handle {text} in chain {name}")
        self.ruleset = self.ruleset.with_rules(key, name, kept)

    def add_rule(self, *, first: bool) -> None:
        """At an end of the chain; or right before (insert) or behind (add) the rule that an index or a handle names."""
        key, name = self.known_chain()
        rules = self.ruleset.tables[key][name].rules
        at = 0 if first else len(rules)
        for word in ("index", "handle", "position"):
            if self.take(word):
                at = self.named_rule(word, name, rules) + (0 if first else 1)
                break
        rule = self.rule(key)
        self.ruleset = self.ruleset.with_rules(key, name, (*rules[:at], rule, *rules[at:]))

    def named_rule(self, word: str, chain: str, rules: tuple[Rule, ...]) -> int:
        """Position of the rule that an index (from 0, rules of this file included) or a handle names."""
        text = self.next(f"the {word}")
        names = [str(n) if word == "index" else str(rule.handle) for n, rule in enumerate(rules)]
        if text not in names or not text.isdecimal():
            raise self.error(f"there is no rule with {word} {text} in chain {chain}")
        return names.index(text)

    def table(self, family: str, name: str) -> None:
        key = (family, name)
        self.ruleset = self.ruleset.with_table_in_place(key, self.ruleset.tables.get(key, {}))
        if not self.take("{"):
            return
        while self.skip_ends() and not self.take("}"):
            word = self.next("a chain")
            if word in OBJECTS:
                self.object(f"{family} {name}", word)
                continue
            if word != "chain":
                raise self.error(f"{word!r} in a table is not understood; only chains are")
            chain = self.next("the chain's name")
            self.expect("{")
            self.chain(key, chain, body=True)
        if self.tokens[self.at - 1].text != "}":
            raise self.error("the table is not closed")

    def chain(self, key: tuple[str, str], name: str, *, body: bool) -> None:
        chain = self.ruleset.tables[key].get(name, Chain(name))
        self.ruleset = self.ruleset.with_chain(key, chain)
        if not body:
            return
        rules, base = list(chain.rules), chain.base
        while self.skip_ends() and not self.take("}"):
            if self.take("type"):
                base = self.base(key[0], chain)
                self.end()
            elif self.take("policy"):
                base = self.policy(base)
                self.end()
            else:
                rules.append(self.rule(key))
        if self.tokens[self.at - 1].text != "}":
            raise self.error(f"chain {name} is not closed")
        self.ruleset = self.ruleset.with_chain(key, Chain(name, base, tuple(rules)))

    def base(self, family: str, known: Chain) -> Base:
        """The line that hooks a chain; an existing one can only be given another policy, and keeps its own without."""
        kind = self.next("the chain's type")
        self.expect("hook")
        hook = self.next("the hook")
        if hook not in HOOKS:
            raise self.error(f"unknown hook {hook!r} (known: {', '.join(HOOKS)})")
        device = self.next("the device") if self.take("device") else ""
        self.expect("priority")
        priority = self.priority(family)
        base = Base(kind, hook, priority, known.base.policy if known.base else "accept", device)
        if (known.base and known.base != base) or (known.rules and not known.base):
            raise self.error(f"chain {known.name} exists, and is hooked otherwise")
        if self.take(";") and self.take("policy"):
            return self.policy(base)
        return base

    def policy(self, base: Base | None) -> Base:
        word = self.next("the policy")
        if base is None or word not in ("accept", "drop"):
            raise self.error(f"policy {word!r} is not understood here")
        return Base(base.type, base.hook, base.priority, word, base.device)

    def priority(self, family: str) -> int:
        names = BRIDGE_PRIORITIES if family == "bridge" else PRIORITIES
        words = [self.next("the priority")]
        while (token := self.peek()) is not None and token.text not in (";", "\n", "}"):
            words.append(self.next("the priority"))
        text = "".join(words)
        one = re.fullmatch(r"(?P<name>[a-z]+)?(?P<offset>[+-]?\d+)?", text)
        if one is None or not text or (one["name"] and one["name"] not in names):
            raise self.error(f"priority {text!r} is not understood")
        return (names[one["name"]] if one["name"] else 0) + int(one["offset"] or 0)

    # ---- rules ----------------------------------------------------------------------------

    def rule(self, key: tuple[str, str]) -> Rule:
        token = self.peek()
        line = token.line if token else 0
        reader = RuleReader(self, f"{key[0]} {key[1]}")
        return reader.read_or_keep(f"{self.file}:{line}")

    def skip_rule(self, start: int) -> list[str]:
        """Go on behind the rule that began at a token; its words."""
        depth, words = 0, []
        self.at = start
        while (token := self.peek()) is not None:
            text = "" if token.quoted else token.text
            if depth == 0 and text in ("\n", ";", "}"):
                break
            depth += (text == "{") - (text == "}")
            words.append(f'"{token.text}"' if token.quoted else token.text)
            self.at += 1
        return words

    def object(self, table: str, word: str) -> None:
        """A set whose elements are known; whatever else stands in a table decides nothing until a rule names it."""
        if word == "comment":
            self.next("the comment")
            return
        name = self.next("a name")
        while word == "ct" and (self.peek() or Token("{", 0)).text != "{":
            name = self.next("a name")
        self.expect("{")
        words = self.skip_rule(self.at)
        while self.skip_ends() and not self.take("}"):
            words += [";", *self.skip_rule(self.at)]
        found = SET.fullmatch(" ".join(words))
        if word == "set" and found:
            self.sets[table, name] = [one for one in re.split(r"[,\s]+", (found[1] or "").strip("{} ")) if one]

    def values(self, *, commas: bool = False) -> list[str]:
        """One value or an anonymous set; a list with commas only where nft knows one."""
        token = self.peek()
        if token is not None and token.is_set:
            self.at += 1
            return token.text[2:-2].split(", ")
        if self.take("{"):
            found = []
            while not self.take("}"):
                self.take("\n")
                found.append(self.next("a value"))
                self.take("\n")
                if not self.take(",") and (one := self.peek()) is not None and one.text not in ("}", "\n"):
                    raise self.error(f"expected ',' or '}}', found {one.text!r}")
                self.take("\n")
            if not found:
                raise self.error("an empty set is not understood")
            return found
        found = [self.next("a value")]
        while commas and self.take(","):
            found.append(self.next("a value"))
        return found
