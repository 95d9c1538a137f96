"""The Nornir inventory of a site's devices, with keys, and with host keys that are always checked."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import DeployError
from toolkit.site import node_firewall_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nornir.core import Nornir

    from toolkit.site import Site

PASSWORD_VARIABLE = "TOOLKIT_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Connection:
    """How to log in. By default: the inventory's user, the SSH agent and keys, the system's known_hosts.

    A password, where one is needed, comes from the environment variable TOOLKIT_PASSWORD and nowhere else.
    """

    user: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    timeout: float = 10.0


DEFAULT = Connection()


def open_nornir(site: Site, connection: Connection = DEFAULT, devices: Iterable[str] | None = None) -> Nornir:
    """Nornir over the devices of a site (never its hosts), all or some of them.

    Raises:
        DeployError: a host was asked for: nodes are never a push target.
    """
    from nornir import InitNornir

    # paramiko tells its log, and so the terminal, what we say ourselves in one line.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    wanted = set(devices) if devices is not None else {node.name for node in site.topology.devices}
    for name in wanted:
        if not site.topology.node(name).is_device:
            role = next(iter(site.roles_of(name)), "host")
            raise DeployError(f"{name} is no push target. {node_firewall_message(site, name, role)}")
    folder = site.folder
    nornir = InitNornir(
        runner={"plugin": "threaded", "options": {"num_workers": 20}},
        inventory={
            "plugin": "SimpleInventory",
            "options": {
                "host_file": str(folder / "hosts.yaml"),
                "group_file": str(folder / "groups.yaml"),
                "defaults_file": str(folder / "defaults.yaml"),
            },
        },
        logging={"enabled": False},
    ).filter(filter_func=lambda host: host.name in wanted)
    for host in nornir.inventory.hosts.values():
        _log_in(host, connection)
    return nornir


def _log_in(host: Any, connection: Connection) -> None:
    from nornir.core.inventory import ConnectionOptions

    options = host.get_connection_parameters("netmiko")
    extras: dict[str, Any] = {
        **(options.extras or {}),
        "ssh_strict": True,
        "fast_cli": True,
        "conn_timeout": connection.timeout,
    }
    if connection.known_hosts is not None:
        extras |= {"system_host_keys": False, "alt_host_keys": True, "alt_key_file": str(connection.known_hosts)}
    if connection.key_file is not None:
        extras |= {"use_keys": True, "allow_agent": False, "key_file": str(connection.key_file)}
    host.username = connection.user or host.username
    password = os.environ.get(PASSWORD_VARIABLE)
    host.connection_options["netmiko"] = ConnectionOptions(
        hostname=options.hostname,
        port=options.port,
        username=connection.user or options.username,
        password=password,
        platform=options.platform,
        extras=extras,
    )


def results(outcome: Any) -> Mapping[str, Any]:
    """Results of a Nornir run by host.

    Raises:
        DeployError: the first failure, as the task raised it.
    """
    for host, multi in outcome.items():
        if multi.failed:
            caught = multi.exception or next((one.exception for one in multi if one.exception), None)
            if isinstance(caught, DeployError):
                raise caught
            raise DeployError(f"{host}: {type(caught).__name__}: {caught}")
    return {host: multi[0].result for host, multi in outcome.items()}
