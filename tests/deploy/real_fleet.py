"""Twins behind SSH with the real platforms' own lines: policies that permit ports of one server on one interface."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.deploy.fleet import apply_module, session_module, sessions_module, target_module, timers_module
from tests.deploy.twin_fleet import enter_fleet, make_fleet
from tests.deploy.twin_platform import INTERFACE
from tests.platforms import asa_cases, cisco, junos_cases
from toolkit import deploy, platforms
from toolkit.deploy import moments
from toolkit.net import Action
from toolkit.policy import Ace
from toolkit.site import DeploySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = ("10.0.0.5/32",)


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


@contextlib.contextmanager
def real_fleet(os, count, tmp_path, monkeypatch) -> Iterator:
    """A fleet of twins of one OS, each without any list at first."""
    settings = DeploySettings(max_devices=50)
    contexts = {f"sw{n}": context_of(os, f"sw{n}") for n in range(1, count + 1)}
    boots = {device: boot_of(os, context) for device, context in contexts.items()}
    server, key = make_fleet(os, count, tmp_path, monkeypatch, settings, boots=boots)
    with server:
        fleet = enter_fleet(os, server, key, tmp_path, monkeypatch, settings)
        for module in (apply_module, session_module, sessions_module, target_module, timers_module, deploy.inventory):
            monkeypatch.setattr(module, "get", platforms.get)
        for module in (apply_module, target_module):
            monkeypatch.setattr(module, "context", lambda _site, _finder, device: contexts[device])
        monkeypatch.setattr(apply_module, "check_moments", moments.check_moments)
        monkeypatch.setattr(apply_module, "half_way", moments.half_way)
        fleet.platform = platforms.get(os)

        def render(device, ports, running):
            policy = replace(policy_of(os, contexts[device], ports), device=device)
            return fleet.platform.render(policy, running.without_owned())

        fleet.render = render
        yield fleet
