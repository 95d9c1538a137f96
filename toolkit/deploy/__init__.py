"""Plan, apply, rollback, journal; Nornir tasks; the only room that talks to devices.

For one's own `nr.run(task=...)`, on any Nornir whose hosts have a `platform` of the toolkit and options for netmiko:
`read_filter`, `read_routes`, `load_filter`, `confirm_change`, `save_startup`, `clear_sessions`, `check_login`. They
change only what they are given, say `changed` only where something was, and send nothing in a dry run::

    nr = open_nornir(load_site(Path("inventory")))
    filters = results(nr.run(task=read_filter))  # device -> {command: output}; raises DeviceError
    nr.run(task=load_filter, text=Path("leaf1.cfg").read_text())
"""

from toolkit.deploy.apply import Options, Outcome, apply, rollback
from toolkit.deploy.inventory import Connection, open_nornir, results
from toolkit.deploy.journal import Journal, Step
from toolkit.deploy.plan import DeviceChange, Plan, certify, make_plan
from toolkit.deploy.plan import load as load_plan
from toolkit.deploy.plan import save as save_plan
from toolkit.deploy.routes import check_routes
from toolkit.deploy.session import (
    check_login,
    clear_sessions,
    confirm_change,
    load_filter,
    read_filter,
    read_routes,
    save_startup,
)
from toolkit.deploy.target import Target
from toolkit.deploy.timers import choose_timers

__all__ = [
    "Connection",
    "DeviceChange",
    "Journal",
    "Options",
    "Outcome",
    "Plan",
    "Step",
    "Target",
    "apply",
    "certify",
    "check_login",
    "check_routes",
    "choose_timers",
    "clear_sessions",
    "confirm_change",
    "load_filter",
    "load_plan",
    "make_plan",
    "open_nornir",
    "read_filter",
    "read_routes",
    "results",
    "rollback",
    "save_plan",
    "save_startup",
]
