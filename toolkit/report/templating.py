"""The one Jinja environment of this room: everything is escaped, and a missing name is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """The environment over `templates/`."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Fill a template of this room."""
    return environment().get_template(template).render(**values)


def own_text(name: str) -> str:
    """Text of a file in `templates/` that is not a template (style, script)."""
    return (TEMPLATES / name).read_text(encoding="utf-8")
