"""The backends folder: what is in there is offered, and each offers all that the protocol asks for."""

from __future__ import annotations

import inspect

import pytest

from toolkit.errors import LabError
from toolkit.lab.backends import DEFAULT, backend_names, load_backend
from toolkit.lab.backends.base import Backend, Lab


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
