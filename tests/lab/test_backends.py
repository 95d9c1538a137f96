"""The backends folder: what is in there is offered, and each offers all that the protocol asks for."""

from __future__ import annotations

import inspect

import pytest

from toolkit.errors import LabError
from toolkit.lab.backends import DEFAULT, backend_names, load_backend
from toolkit.lab.backends.base import Backend, Lab
from toolkit.lab.topology_file import write
from toolkit.site import load_site


def members(protocol):
    return {name for name in vars(protocol) if not name.startswith("_") or name in ("__enter__", "__exit__")}


def test_the_embedded_backend_is_the_default():
    assert DEFAULT in backend_names()
    assert "base" not in backend_names()


def test_an_unknown_backend_is_refused_with_those_that_exist():
    with pytest.raises(LabError, match=r"no lab backend 'vmware' \(backends: .*netns"):
        load_backend("vmware")


@pytest.mark.parametrize("name", backend_names())
def test_each_backend_offers_the_whole_protocol(name):
    backend = load_backend(name)
    lab = inspect.get_annotations(type(backend).open)["return"]
    kind = getattr(inspect.getmodule(type(backend)), lab)
    set_at_start = set(inspect.getsource(kind.__init__).replace("self.", " ").split())
    for protocol, found in ((Backend, dir(backend)), (Lab, {*dir(kind), *set_at_start})):
        missing = {one for one in members(protocol) if one not in found and f"{one}:" not in found}
        assert not missing, f"{name} lacks {missing}"


def test_the_embedded_backend_refuses_a_vendors_image(spoiled, tmp_path):
    folder = spoiled("site.yaml", "  seed: 9\n", "  seed: 9\n  images: {leaf1: {kind: crpd, image: 'crpd:23'}}\n")
    write(load_site(folder), tmp_path / "x.clab.yml")
    with pytest.raises(LabError, match=r"leaf1 runs the image crpd:23 of kind juniper_crpd, .*--backend containerlab"):
        load_backend("netns").open(tmp_path / "x.clab.yml", folder)
    folder = spoiled("site.yaml", "kind: crpd", "kind: linux")
    write(load_site(folder), tmp_path / "x.clab.yml")
    assert load_backend("netns").open(tmp_path / "x.clab.yml", folder).plan.node("leaf1").image == "crpd:23"
