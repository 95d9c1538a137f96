"""Plan, apply, rollback, journal; Nornir tasks; the only room that talks to devices.

For one's own `nr.run(task=...)`: `read_filter`, `load_filter`, `save_startup`, `clear_sessions`, `check_login`.
"""

from toolkit.deploy.apply import Options, Outcome, apply, rollback
from toolkit.deploy.inventory import Connection, open_nornir, results
from toolkit.deploy.journal import Journal, Step
from toolkit.deploy.plan import DeviceChange, Plan, certify, make_plan
from toolkit.deploy.plan import load as load_plan
from toolkit.deploy.plan import save as save_plan
from toolkit.deploy.session import check_login, clear_sessions, load_filter, read_filter, save_startup
from toolkit.deploy.target import Target

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
    "clear_sessions",
    "load_filter",
    "load_plan",
    "make_plan",
    "open_nornir",
    "read_filter",
    "results",
    "rollback",
    "save_plan",
    "save_startup",
]
