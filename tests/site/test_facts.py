"""Settings of a site: facts with a meaning of their own, and those that the conditions of its specs name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toolkit.errors import SiteError
from toolkit.flows import build
from toolkit.site import load_site, with_settings

SITE = Path(__file__).resolve().parents[1] / "sites" / "another-page"
FACT = "only_if_mesh_is_enabled"


@pytest.fixture
def changed(tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)

    def change(text: str) -> Path:
        path = folder / "site.yaml"
        old = path.read_text(encoding="utf-8")
        path.write_text(old.replace(f"settings: {{{FACT}: true}}", text), encoding="utf-8")
        return folder

    return change


def test_a_fact_that_a_condition_names_decides_whether_its_flow_is_asked_for():
    site = load_site(SITE)
    asked = {(flow.service.ports.first, flow.destination) for flow in build(site).role_flows}
    assert (21000, "agent") in asked
    off = {
        (flow.service.ports.first, flow.destination) for flow in build(with_settings(site, {FACT: False})).role_flows
    }
    assert off == asked - {(21000, "agent")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("settings: {only_if_mesh_is_enabld: true}", f"site.yaml:8: unknown key 'only_if_mesh_is_enabld'; did you mean '{FACT}'?"),
        (f"settings: {{{FACT}: true, weather: fine}}", "unknown key 'weather' (valid keys: direct_kube_api"),
        (f"settings: {{{FACT}: 1.5}}", f"site.yaml:8: settings.{FACT}"),
        ("settings: {}", f"answer it under settings, as {FACT}: true or {FACT}: false"),
    ],
)  # fmt: skip
def test_what_is_not_asked_for_or_not_answered_is_a_mistake(changed, text, says):
    with pytest.raises(SiteError) as caught:
        load_site(changed(text))
    assert says in str(caught.value)


def test_settings_are_changed_by_their_names_only():
    site = load_site(SITE)
    with pytest.raises(SiteError, match=r"unknown setting 'mesh' \(settings: .*only_if_mesh_is_enabled"):
        with_settings(site, {"mesh": True})
    assert with_settings(site, {"phase": "install"}).settings[FACT] is True


def test_a_site_needs_no_lab_of_its_own():
    assert str(load_site(SITE).file.lab.management) == "172.31.250.0/24"
