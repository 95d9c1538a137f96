"""The role vocabulary: the parties that vendors' pages speak of."""

from __future__ import annotations

from typing import Final

# Name -> what it is. A spec may declare more in its `roles`.
ROLES: Final[dict[str, str]] = {
    "node": "every machine of the cluster, servers and agents alike",
    "server": "a node that runs the control plane",
    "agent": "a node that runs workloads only",
    "load_balancer": "virtual addresses in front of the cluster",
    "jump_server": "the machine that administrators come from",
    "smtp_server": "takes system e-mail",
    "sql_server": "the database outside the cluster",
    "temporary_registry": "serves images during an offline installation",
    "install_machine": "where the installation or upgrade is triggered",
    "client": "users' machines",
    "internet": "everything outside the site",
    "any": "every address, the internet included",
}

# A cluster node is never an enforcement point, and nothing is two of these at once (DESIGN: words).
EXCLUSIVE: Final[tuple[frozenset[str], ...]] = (frozenset({"node", "internet"}),)
# A server and an agent are nodes too.
IMPLIES: Final[dict[str, str]] = {"server": "node", "agent": "node"}
