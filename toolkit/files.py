"""Reading the YAML files that people edit: mistakes are answered with file, line and the valid choices.

A document is parsed once, keeping the line of every key and list item, then validated by a pydantic
model that forbids unknown keys. pydantic says *what* is wrong, the line map says *where*, and the
model's own fields are the choices.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.errors import InputError, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound="FileModel")


class FileModel(BaseModel):
    """Base of every model of a file that people edit: frozen, and unknown keys are mistakes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class Document:
    """A YAML document with the line of each of its parts.

    `data` is plain Python (dict, list, str, int, float, bool, None); `lines` maps a path such as
    `("requirements", 0, "ports")` to the line, from 1, where that key or item stands.
    """

    def __init__(self, file: str, data: Any, lines: Mapping[Path_, int]) -> None:
        self.file = file
        self.data = data
        self.lines = dict(lines)

    def place(self, *path: str | int) -> Place:
        """Place of a path, or of its nearest ancestor that stands in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return Place(self.file, self.lines[path[:end]])
        return Place(self.file)


def read_document(path: Path, *, error: type[InputError] = InputError) -> Document:
    """Read a YAML file.

    Raises:
        InputError: (or the given subclass) the file is missing, unreadable, not UTF-8, not YAML,
            or holds a key twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise error("no such file", place=Place(str(path))) from None
    except (OSError, UnicodeDecodeError) as caught:
        raise error(f"cannot be read: {caught}", place=Place(str(path))) from caught
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Path_, int] = {}
        if node is not None:
            _map_lines(node, (), lines, str(path), error)
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as caught:
        line = caught.problem_mark.line + 1 if caught.problem_mark else None
        raise error(f"not YAML: {caught.problem}", place=Place(str(path), line)) from None
    except yaml.YAMLError as caught:
        raise error(f"not YAML: {caught}", place=Place(str(path))) from None
    finally:
        loader.dispose()
    return Document(str(path), data, lines)


def load(path: Path, model: type[Model], *, error: type[InputError] = InputError) -> tuple[Model, Document]:
    """Read a YAML file into a model; returns the model and the document it came from.

    Raises:
        InputError: (or the given subclass) with file and line of the first mistake, and the valid choices.
    """
    document = read_document(path, error=error)
    return validate(document, model, error=error), document


def validate(
    document: Document,
    model: type[Model],
    data: Any = ...,
    at: Path_ = (),
    *,
    error: type[InputError] = InputError,
) -> Model:
    """Validate a document, or the part `data` of it that stands at the path `at`.

    Raises:
        InputError: (or the given subclass) with file and line of the first mistake.
    """
    value = document.data if data is ... else data
    if not isinstance(value, dict):
        raise error(f"expected a mapping with the keys {', '.join(model.model_fields)}", place=document.place(*at))
    try:
        return model.model_validate(value)
    except ValidationError as caught:
        first = caught.errors()[0]
        place = document.place(*at, *first["loc"])
        raise error(_explain(first, model), place=place) from None


def _explain(problem: ErrorDetails, model: type[BaseModel]) -> str:
    """One line for a person: the key, what is wrong with it, and what would be right."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        choices = _keys_at(model, problem["loc"][:-1])
        near = get_close_matches(key, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {key!r}{hint} (valid keys: {', '.join(choices)})"
    if problem["type"] == "missing":
        return f"the key {problem['loc'][-1]!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message} (found: {problem['input']!r})" if where else message


def _keys_at(model: type[BaseModel], loc: Path_) -> list[str]:
    """Keys that the model at a path of the error accepts; lists, mappings and unions are looked through."""
    current: list[type[BaseModel]] = [model]
    for part in loc:
        found = [kind for one in current if (kind := _field_models(one, part))]
        if found:
            current = [one for kinds in found for one in kinds]
    return sorted({alias or name for one in current for name, alias in _names(one)})


def _names(model: type[BaseModel]) -> list[tuple[str, str | None]]:
    return [(name, field.alias) for name, field in model.model_fields.items()]


def _field_models(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return _models_in(field.annotation)
    return []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for argument in getattr(annotation, "__args__", ()) for one in _models_in(argument)]


def _map_lines(node: Any, path: Path_, lines: dict[Path_, int], file: str, error: type[InputError]) -> None:
    """Record the line of every key and item below a YAML node; a key that stands twice is a mistake."""
    lines.setdefault(path, node.start_mark.line + 1)
    if node.id == "mapping":
        for key, value in node.value:
            step = (*path, key.value)
            if step in lines:
                place = Place(file, key.start_mark.line + 1)
                raise error(f"the key {key.value!r} stands twice (first on line {lines[step]})", place=place)
            lines[step] = key.start_mark.line + 1
            _map_lines(value, step, lines, file, error)
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            _map_lines(value, (*path, index), lines, file, error)
