"""One module per way to build a lab; the folder is scanned."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from toolkit.errors import LabError

if TYPE_CHECKING:
    from toolkit.lab.backends.base import Backend

DEFAULT = "netns"


def backend_names() -> tuple[str, ...]:
    """Names of all backends; nothing is imported for that."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if name != "base" and not name.startswith("_")))


def load_backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        LabError: there is none; names those that exist.
    """
    if name not in backend_names():
        raise LabError(f"no lab backend {name!r} (backends: {', '.join(backend_names())})")
    backend: Backend = importlib.import_module(f"{__name__}.{name}").BACKEND
    return backend
