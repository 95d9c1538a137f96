"""The Nornir inventory of a site's devices, with keys, and with host keys that are always checked."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import DeployError, ToolkitError
from toolkit.platforms import get, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nornir.core import Nornir

    from toolkit.site import Site

PASSWORD_VARIABLE: Final = "TOOLKIT_PASSWORD"  # noqa: S105 - the name of a variable
ENABLE_VARIABLE: Final = "TOOLKIT_ENABLE_PASSWORD"
UNKNOWN: Final = "unknown"
USUAL_KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")  # in the order in which ssh(1) tries them


@dataclass(frozen=True, slots=True)
class Connection:
    """How to log in. By default: the inventory's user, the SSH agent and keys, the user's own known_hosts.

    With a `key_file` that key alone is offered: no agent, no other key, no password, no ~/.ssh/config, which is what
    a lab wants. A password, where one is needed, comes from the environment variable TOOLKIT_PASSWORD or from the
    keyring (service `toolkit`), never from a file; the one that makes a login privileged from
    TOOLKIT_ENABLE_PASSWORD. `addresses` maps a device to the (address, port) to call instead of the inventory's.
    Host keys are checked whatever is set here. `timeout` is in seconds.
    """

    user: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    timeout: float = 10.0
    addresses: Mapping[str, tuple[str, int]] = field(default_factory=dict)


DEFAULT = Connection()


def open_nornir(site: Site, connection: Connection = DEFAULT, devices: Iterable[str] | None = None) -> Nornir:
    """Nornir over the devices of a site (never its hosts), all or some of them.

    Close it with `Nornir.close_connections(on_failed=True)` or `session.end_session` for each host.

    Raises:
        SiteError: a device is unknown.
        DeployError: a host was asked for (nodes are never a push target), or a key or known_hosts file is missing.
    """
    from nornir import InitNornir

    # paramiko and nornir tell their logs, and so the terminal, what we say ourselves in one line.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    logging.getLogger("nornir").addHandler(logging.NullHandler())
    wanted = set(devices) if devices is not None else {node.name for node in site.topology.enforcers}
    for name in sorted(wanted):
        if not site.topology.node(name).is_device:
            raise DeployError(host_message(site, name))
        if not site.topology.node(name).enforces:
            raise DeployError(f"{name} enforces nothing (filter.mode: none in hosts.yaml), so it is never changed")
    for what, path in (("key", connection.key_file), ("known_hosts", connection.known_hosts)):
        if path is not None and not path.is_file():
            raise DeployError(f"the {what} file {str(path)!r} is missing")
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


def host_message(site: Site, name: str) -> str:
    """Why a host is never a push target, with the vendor's line where a spec has it."""
    cited = [
        f" ({spec.name} line {finding.line})"
        for spec in site.specs.values()
        for finding in spec.findings
        if finding.code == "node_firewall"
    ]
    roles = ", ".join(site.roles_of(name)) or "none"
    return (
        f"{name} is a host (roles: {roles}), and hosts are never a push target: the vendor neither recommends nor "
        f"supports changes to IP tables on nodes{''.join(cited[:1])}. Filter on the devices in front of it "
        f"({', '.join(node.name for node in site.topology.enforcers)})"
    )


def _log_in(host: Any, connection: Connection) -> None:
    from nornir.core.inventory import ConnectionOptions

    options = host.get_connection_parameters("netmiko")
    # As Nornir and netmiko name them; what a file in the inventory says about host keys cannot weaken this.
    extras: dict[str, Any] = {
        **(options.extras or {}),
        "ssh_strict": True,
        "system_host_keys": True,
        "fast_cli": True,
        "conn_timeout": connection.timeout,
        **_keys(connection, options.extras or {}),
    }
    if connection.known_hosts is not None:
        extras |= {"system_host_keys": False, "alt_host_keys": True, "alt_key_file": str(connection.known_hosts)}
    host.username = connection.user or options.username or host.username
    address, port = connection.addresses.get(host.name, (options.hostname, options.port))
    host.hostname, host.port = address, port
    platform = options.platform if options.platform != host.platform else _driver(host.platform)
    secret = os.environ.get(ENABLE_VARIABLE)
    if secret is None and platform == "cisco_asa":
        secret = UNKNOWN  # without one netmiko types `login`, which asks for a password even where a key was enough
    if secret is not None:
        extras["secret"] = secret
    host.connection_options["netmiko"] = ConnectionOptions(
        hostname=address,
        port=port,
        username=host.username,
        password=None if connection.key_file else _password(host.username),
        platform=platform,
        extras=extras,
    )


def _driver(platform: str | None) -> str | None:
    """Netmiko's name of a platform's OS, where the inventory gives none."""
    return get(platform).netmiko_driver if platform in names() else platform


def _keys(connection: Connection, extras: Mapping[str, Any]) -> dict[str, Any]:
    """The keys to offer. netmiko looks for the user's own keys only when it is given the name of one."""
    if connection.key_file is not None:
        return {"use_keys": False, "allow_agent": False, "key_file": str(connection.key_file), "ssh_config_file": None}
    named = [Path(extras["key_file"]).expanduser()] if extras.get("key_file") else []
    usual = [Path.home() / ".ssh" / name for name in USUAL_KEYS]
    key = next((path for path in (*named, *usual) if path.is_file()), None)
    return {"allow_agent": True, "use_keys": key is not None, "key_file": None if key is None else str(key)}


def _password(user: str | None) -> str | None:
    """The password from the environment, or from the keyring where that is installed and has one."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and user is not None and find_spec("keyring") is not None:
        keyring: Any = import_module("keyring")
        try:
            password = keyring.get_password("toolkit", user)
        except keyring.errors.KeyringError:
            return None  # locked, or none on this machine: keys and the agent are left
    return password


def results(outcome: Any) -> Mapping[str, Any]:
    """Results of a Nornir run by host.

    Raises:
        DeployError: the first failure, as the task raised it, with the number of other devices that failed.
    """
    errors = failures(outcome)
    for host, caught in errors.items():
        others = [other for other in errors if other != host]
        more = f" (and {len(others)} more: {', '.join(others)})" if others else ""
        raise type(caught)(f"{caught.message}{more}", place=caught.place)
    return {host: multi[0].result for host, multi in outcome.items()}


def failures(outcome: Any) -> dict[str, DeployError]:
    """What went wrong in a Nornir run, by host; what is no `DeployError` becomes one that names the host."""
    found: dict[str, DeployError] = {}
    for host, multi in outcome.items():
        if multi.failed:
            caught = multi.exception or next((one.exception for one in multi if one.exception), None)
            if isinstance(caught, DeployError):
                found[host] = caught
            else:
                words = caught if isinstance(caught, ToolkitError) else f"{type(caught).__name__}: {caught}"
                found[host] = DeployError(f"{host}: {words}")
    return found
