"""The real platforms' own lines, pushed to twins over SSH: first put there, then cut at several lines, ended both ways."""

from __future__ import annotations

import contextlib

import pytest

from tests.deploy.fleet import CrashError, apply_module
from tests.deploy.real_fleet import real_fleet
from tests.deploy.twin_platform import NEW, OLD

DEVICES = 6


def die(*_, **__):
    raise CrashError


@pytest.mark.parametrize("os", ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"])
def test_a_real_platforms_push_is_old_or_new_wherever_it_is_cut(os, tmp_path, monkeypatch):
    with real_fleet(os, DEVICES, tmp_path, monkeypatch) as fleet, contextlib.ExitStack() as stack:
        target = fleet.target()
        stack.callback(target.close)
        fleet.apply(target, fleet.plan(target, OLD))
        assert {fleet.opens(device) for device in fleet.devices} == {OLD}
        for device in fleet.devices.values():
            device.states = device.states[-1:]

        plan = fleet.plan(target, NEW)
        last = len(plan.changes[0].apply.splitlines())
        cuts = [1, 3, last // 2, last * 3 // 4, last - 1, last]

        def cut_each():
            fleet.reset_count()
            for device, number in zip(fleet.devices, cuts, strict=True):
                fleet.fault(device, cut_after=number)
            with monkeypatch.context() as patch:
                patch.setattr(apply_module._Pusher, "undo", die)
                with pytest.raises(CrashError):
                    fleet.apply(target, plan)
            assert all(device.faults.cut_after is None for device in fleet.devices.values())

        cut_each()
        assert {fleet.opens(device) for device in fleet.devices} == {OLD, NEW}
        fleet.rollback(target, plan)
        assert {fleet.opens(device) for device in fleet.devices} == {OLD}
        cut_each()
        fleet.apply(target, plan, resume=True)
        for name, device in fleet.devices.items():
            assert fleet.opens(name) == NEW
            assert set(fleet.seen(name)) == {OLD, NEW}, "never between, and never without"
            assert (device.sessions, device.lock, device.timed) == ({}, None, False)
        assert fleet.plan(target, NEW).changed == ()
