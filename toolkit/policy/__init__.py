"""Paths -> vendor-neutral ACLs with scope, order and citations."""

from toolkit.policy.build import build_policies, goal_address, handed_to, protected_scope
from toolkit.policy.model import Ace, Acl, DevicePolicy, Requiredness

__all__ = [
    "Ace",
    "Acl",
    "DevicePolicy",
    "Requiredness",
    "build_policies",
    "goal_address",
    "handed_to",
    "protected_scope",
]
