"""One file per network OS, no I/O: render, parse, bind, show commands, failure indicators."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from toolkit.errors import SiteError

if TYPE_CHECKING:
    from toolkit.platforms.base import Platform


def names() -> tuple[str, ...]:
    """Names of the platforms, which are the files of this folder."""
    return tuple(m.name for m in iter_modules(__path__) if not m.name.startswith("_") and m.name != "base")


def get(name: str) -> Platform:
    """The platform of this name.

    Raises:
        SiteError: there is none; the message lists those that exist.
    """
    if name not in names():
        raise SiteError(f"unknown platform {name!r} (valid platforms: {', '.join(names())})")
    platform: Platform = import_module(f"{__name__}.{name}").PLATFORM
    return platform
