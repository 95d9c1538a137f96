"""Paths -> vendor-neutral ACLs with scope, order and citations; what somebody's list lacks of them."""

from toolkit.policy.build import build_policies, handed_to, protected_scope
from toolkit.policy.extend import Entry, Extension, Permit, Standing, plan_extension
from toolkit.policy.model import Ace, Acl, DevicePolicy, Requiredness
from toolkit.policy.placement import goal_address

__all__ = [
    "Ace",
    "Acl",
    "DevicePolicy",
    "Entry",
    "Extension",
    "Permit",
    "Requiredness",
    "Standing",
    "build_policies",
    "goal_address",
    "handed_to",
    "plan_extension",
    "protected_scope",
]
