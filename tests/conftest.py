"""Shared by all rooms: the reference site, and copies of it that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# The same cases on every machine, so that a red run is about the change in hand and can be repeated anywhere.
# `pytest --hypothesis-profile=search` looks at new ones.
settings.register_profile("steady", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = ROOT / "inventory"


@pytest.fixture(scope="session")
def reference():
    from toolkit.site import load_site

    return load_site(INVENTORY)


@pytest.fixture
def spoiled(tmp_path):
    """A copy of the reference inventory, and a way to replace text in one of its files."""
    folder = tmp_path / "inventory"
    shutil.copytree(INVENTORY, folder)

    def change(file: str, old: str, new: str) -> Path:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return folder

    change.folder = folder
    return change


def pytest_terminal_summary(terminalreporter):
    """Figures that tests measured and nobody asserts: `record_property("figure", text)`; workers hand them on."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(text)
