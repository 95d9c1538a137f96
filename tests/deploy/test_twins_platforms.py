"""The real platforms' own lines, pushed to twins over SSH: first put there, then cut at several lines, ended both ways."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from tests.deploy.fleet import CrashError, apply_module, session_module, sessions_module, target_module, timers_module
from tests.deploy.twin_fleet import enter_fleet, make_fleet
from tests.deploy.twin_platform import INTERFACE, NEW, OLD
from tests.platforms import asa_cases, cisco, junos_cases
from toolkit import deploy, platforms
from toolkit.deploy import moments
from toolkit.net import Action
from toolkit.policy import Ace
from toolkit.site import DeploySettings

SERVER = ("10.0.0.5/32",)
DEVICES = 6


def policy_of(os, context, ports):
    """A policy that permits ports of one server and denies it otherwise, on the interface that the tests look at."""
    scope = Ace(Action.DENY, destinations=tuple(map(cisco.net, SERVER)), comment="default deny", log=True)
    cases = {"juniper_junos": junos_cases, "cisco_asa": asa_cases}.get(os, cisco)
    interface = "dmz" if os == "cisco_asa" else INTERFACE[os]
    permits = [
        cisco.permit(cisco.tcp(port), destinations=SERVER, comment=f"tcp-{port} (page line 1)") for port in ports
    ]
    return cases.make_policy(context, {interface: (*permits, scope)})


def context_of(os, device):
    other = {"juniper_junos": junos_cases, "cisco_asa": asa_cases}.get(os)
    return replace(other.make_context() if other else cisco.make_context(os), device=device)


def boot_of(os, context):
    archive = "archive\n path flash:archive\n" if os == "cisco_ios" else ""
    if os == "cisco_asa":
        return asa_cases.HEAD.replace("hostname dev1", f"hostname {context.device}") + asa_cases.INSPECT
    if os == "juniper_junos":
        return f"set system host-name {context.device}\n" + "".join(
            f"set interfaces {one.partition('.')[0]} unit {one.partition('.')[2] or 0} family inet\n"
            for one in context.interfaces
        )
    ports = "".join(f"interface {one}\n no switchport\n" for one in context.interfaces)
    return f"hostname {context.device}\n{archive}{ports}"


def die(*_, **__):
    raise CrashError


@pytest.mark.parametrize("os", ["cisco_ios", "arista_eos", "cisco_nxos", "juniper_junos", "cisco_asa"])
def test_a_real_platforms_push_is_old_or_new_wherever_it_is_cut(os, tmp_path, monkeypatch):
    settings = DeploySettings(max_devices=50)
    contexts = {f"sw{n}": context_of(os, f"sw{n}") for n in range(1, DEVICES + 1)}
    boots = {device: boot_of(os, context) for device, context in contexts.items()}
    server, key = make_fleet(os, DEVICES, tmp_path, monkeypatch, settings, boots=boots)
    with contextlib.ExitStack() as stack:
        stack.enter_context(server)
        fleet = enter_fleet(os, server, key, tmp_path, monkeypatch, settings)
        for module in (apply_module, session_module, sessions_module, target_module, timers_module, deploy.inventory):
            monkeypatch.setattr(module, "get", platforms.get)
        for module in (apply_module, target_module):
            monkeypatch.setattr(module, "context", lambda _site, _finder, device: contexts[device])
        monkeypatch.setattr(apply_module, "check_moments", moments.check_moments)
        fleet.platform = platform = platforms.get(os)

        def render(device, ports, running):
            policy = replace(policy_of(os, contexts[device], ports), device=device)
            return platform.render(policy, running.without_owned())

        fleet.render = render
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
