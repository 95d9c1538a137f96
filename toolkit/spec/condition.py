"""Conditions of requirements: small boolean expressions over site settings.

Grammar, a subset of Python's expressions::

    condition := NAME | NAME == 'text' | NAME in ('a', 'b') | not c | c and c | c or c | ( c )

A name is a site setting (`offline`, `external_registry`, `direct_kube_api`, `phase`, ...). Text is written
with or without quotes: `phase in (install, upgrade)`. Nothing is evaluated as Python.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toolkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

Setting = bool | str | int


def check_condition(text: str) -> str:
    """Return the text if it is a condition.

    Raises:
        SpecError: it is not.
    """
    _parse(text)
    return text


def names(text: str) -> frozenset[str]:
    """Setting names that a condition asks for (not the words that it compares them with)."""
    found: set[str] = set()
    _collect(_parse(text), found)
    return frozenset(found)


def holds(text: str | None, settings: Mapping[str, Setting]) -> bool:
    """Whether a condition holds for a site; no condition always holds.

    Raises:
        SpecError: the condition asks for a setting that the site does not have.
    """
    return True if text is None else _evaluate(_parse(text), settings, text)


def _parse(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise SpecError(f"{text!r} is no condition; write for example: offline and not external_registry") from None
    _collect(tree, set())
    return tree


def _collect(node: ast.expr, found: set[str]) -> None:
    match node:
        case ast.Name(id=name):
            found.add(name)
        case ast.BoolOp(values=values):
            for value in values:
                _collect(value, found)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _collect(operand, found)
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()]):
            found.add(name)
            _words(node.comparators[0])
        case _:
            raise SpecError(
                f"{ast.unparse(node)!r} is not allowed in a condition; use setting names, and, or, not, ==, in"
            )


def _words(node: ast.expr) -> tuple[Setting, ...]:
    match node:
        case ast.Constant(value=bool() | str() | int() as value):
            return (value,)
        case ast.Name(id=word):
            return (word,)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return tuple(word for element in elements for word in _words(element))
        case _:
            raise SpecError(f"{ast.unparse(node)!r} is no word that a setting can be compared with")


def _evaluate(node: ast.expr, settings: Mapping[str, Setting], text: str) -> bool:
    match node:
        case ast.Name(id=name):
            return bool(_setting(name, settings, text))
        case ast.BoolOp(op=op, values=values):
            # Every operand is evaluated, so that a misspelt name is found whatever stands before it.
            results = [_evaluate(value, settings, text) for value in values]
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.UnaryOp(operand=operand):
            return not _evaluate(operand, settings, text)
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]):
            inside = _setting(name, settings, text) in _words(right)
            return inside if isinstance(op, ast.Eq | ast.In) else not inside
        case _:  # pragma: no cover - _collect has refused everything else
            raise SpecError(f"{text!r} is no condition")


def _setting(name: str, settings: Mapping[str, Setting], text: str) -> Setting:
    if name not in settings:
        raise SpecError(
            f"the condition {text!r} asks for the setting {name!r}, which the site does not have "
            f"(settings: {', '.join(sorted(settings))})"
        )
    return settings[name]
