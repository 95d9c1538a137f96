"""The real page, where it lies beside the repository, and short ways to read a page."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_PAGE = ROOT.parent / "shared" / "specs" / "uipath-step-9-node-ports.md"


@pytest.fixture(scope="session")
def real_page() -> bytes:
    if not REAL_PAGE.is_file():
        pytest.skip("the vendor's page is not in ../shared/specs")
    return REAL_PAGE.read_bytes()


@pytest.fixture
def read():
    from toolkit.spec.reader import read_spec_page

    def read_text(text: str):
        return read_spec_page(text.encode(), "page")

    return read_text
