"""Which statements of a Junos configuration can decide forwarded packets.

Only `firewall`, prefix lists and the filters of interfaces are kept. Other hierarchies are known by their heads and
left out on purpose; a head that is not known, or that could filter in a way that is not understood, is an error.
"""

from __future__ import annotations

import re
from typing import Final

from toolkit.errors import ConfigError, Place

Words = tuple[str, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PREFIX_LIST: Final = ("policy-options", "prefix-list")
OURS: Final = ("inet", "ethernet-switching")
CONTROL_PLANE: Final = re.compile(r"(lo|fxp|em|me|vme|jsrv|bme|gre-mgmt|re\d+:mgmt-)\d*(\.\d+)?", re.ASCII)

# Hierarchies without any say in what an interface forwards. `security` is not among them: a device with security
# policies is a session firewall, which a firewall filter does not describe.
IGNORED: Final = _words("""
    access access-profile accounting-options applications apply-flags apply-macro chassis class-of-service
    diameter event-options fabric jsrc multi-chassis poe protocols redundant-power-system routing-options
    services session-limit-group snmp switch-options system version virtual-chassis
""")
# Hierarchies that are left out unless they filter, so that the word `filter` in them is an error.
UNLESS_FILTER: Final = _words("""
    bridge-domains ethernet-switching-options forwarding-options routing-instances vlans
""")
# Groups may be applied anywhere: one that could decide packets is refused where it is defined.
APPLIES: Final = _words("apply-groups apply-groups-except")
SECURITY_HARMLESS: Final = _words("""
    authentication-key-chains certificates key-chain ike ipsec macsec pki ssh-known-hosts
""")
POLICY_OPTIONS: Final = _words("""
    application-maps as-list as-path as-path-group community condition damping defaults extended-community-list
    large-community mac-list origin-as-group-as-path policy-statement route-distinguisher route-filter-list
    rtf-prefix-list tunnel-attribute vrf-target
""")
OTHER_FIREWALL: Final = _words("""
    atm-policer bandwidth-limit flexible-match hierarchical-policer interface-set load-balance-group policer
    three-color-policer traffic-class-map tunnel-end-point
""")
INTERFACE: Final = _words("""
    accounting-profile aggregated-ether-options apply-macro damping description disable enable encapsulation
    ether-options fastether-options flexible-vlan-tagging forwarding-class-accounting framing gigether-options
    gratuitous-arp-reply hold-time interface-transmit-statistics keepalives lane-speed layer2-policer-bypass
    link-mode mac mac-learn-enable media-type member member-range metadata mtu multi-chassis-protection
    native-vlan-id no-gratuitous-arp-request no-keepalives no-per-unit-scheduler no-traps number-of-sub-ports
    optics-options passive-monitor-mode per-unit-scheduler redundant-ether-options speed stacked-vlan-tagging
    traceoptions traps tunnel-port unused vlan-tagging
""")
UNIT: Final = _words("""
    accounting-profile alias apply-macro arp-resp bandwidth clear-dont-fragment-bit description disable enable
    encapsulation esi input-vlan-map inner-vlan-id-range native-inner-vlan-id no-traps output-vlan-map
    point-to-point proxy-arp statistics swap-by-poppush traps tunnel vlan-id vlan-id-list vlan-id-range
    vlan-tags family-none virtual-gateway-accept-data virtual-gateway-v4-mac virtual-gateway-v6-mac
""")
FAMILY: Final = _words("""
    accounting address apply-macro arp-learn bridge-domain-type destination-udp-port dhcp dhcp-client
    inner-vlan-id-list interface-mode mac-validate maximum-labels mtu native-vlan-id negotiate-address
    no-neighbor-learn no-redirects port-mode primary recovery-timeout reflective-relay sampling storm-control
    targeted-broadcast tcp-mss unnumbered-address vlan vlan-id vlan-id-list
""")
FAMILIES: Final = _words("""
    bridge ccc ethernet-switching inet inet6 iso mpls tcc vpls
""")


def is_kept(words: Words, place: Place) -> bool:
    """Whether a statement can decide forwarded packets.

    Raises:
        ConfigError: its hierarchy is not known, or filters in a way that is not understood.
    """
    head = words[0] if words else ""
    if head in KEPT:
        return len(words) > 1 and KEPT[head](words, place)
    if head in UNLESS_FILTER and ("filter" in words[1:] or "firewall" in words[1:]):
        raise ConfigError(f"a filter under {head} is not understood: it judges packets of many ports", place=place)
    if head == "security" and not (words[1:2] and words[1] in SECURITY_HARMLESS):
        message = f"security {' '.join(words[1:2])}: a session firewall is not described by its filters"
        raise ConfigError(message, place=place)
    if head not in IGNORED | UNLESS_FILTER | {"security", *APPLIES}:
        raise ConfigError(f"hierarchy {head!r} is not known", place=place)
    return False


def _group(words: Words, place: Place) -> bool:
    """What a group brings in is not written out where it applies, so nothing in it may decide packets."""
    inner = words[2:]
    if inner[:1] == ("interfaces",) and len(inner) > 1 and CONTROL_PLANE.fullmatch(inner[1]):
        return False
    if inner and is_kept(inner, place):
        message = f"group {words[1]} holds {inner[0]} statements, which are not followed; write them where they apply"
        raise ConfigError(message, place=place)
    return False


def _firewall(words: Words, place: Place) -> bool:
    """Filters of other families are read where they are bound, which is refused."""
    if words[1] == "filter":
        return len(words) > 2  # noqa: PLR2004 - the name
    if words[1] == "family":
        return len(words) > 4 and words[2] in OURS and words[3] == "filter"  # noqa: PLR2004 - the name
    if words[1] not in OTHER_FIREWALL:
        raise ConfigError(f"firewall {words[1]} is not known", place=place)
    return False


def _policy(words: Words, place: Place) -> bool:
    if words[1] == "prefix-list":
        return len(words) > 2  # noqa: PLR2004 - the name
    if words[1] not in POLICY_OPTIONS:
        raise ConfigError(f"policy-options {words[1]} is not known", place=place)
    return False


def _interface(words: Words, place: Place) -> bool:
    """Whether a statement binds a filter, or is not understood; that counts only on interfaces of the inventory."""
    if len(words) < 2 or words[1] == "interface-range":  # noqa: PLR2004 - its name
        return is_binding(words, place)
    try:
        return is_binding(words, place)
    except ConfigError:
        return True


def is_binding(words: Words, place: Place) -> bool:
    """Whether a statement below `interfaces` binds a filter.

    Raises:
        ConfigError: it is not understood, and may filter.
    """
    name, rest = words[1], words[2:]
    if not rest or name == "traceoptions":
        return False
    if CONTROL_PLANE.fullmatch(name):
        return "filter" in rest  # no forwarded packet passes it, but it tells which filters are not to be touched
    if name == "interface-range":
        rest = rest[1:]
        if rest[:1] == ("unit",) and "filter" not in rest and "policer" not in rest:
            return False
    elif rest[0] == "unit":
        return _unit(name, rest[2:], place)
    if rest and rest[0] not in INTERFACE | APPLIES:
        raise ConfigError(f"interfaces {name} {' '.join(rest[:3])} is not understood", place=place)
    return False


def _unit(name: str, inner: Words, place: Place) -> bool:
    if not inner or inner[0] in UNIT | APPLIES:
        return False
    family, tail = inner[1:2], inner[2:]
    if inner[0] != "family" or not family or family[0] not in FAMILIES:
        raise ConfigError(f"interfaces {name}: {' '.join(inner[:2])} is not understood", place=place)
    if not tail or tail == ("filter",) or tail[0] in FAMILY | APPLIES:
        return False
    if family[0] == "inet6" and tail[1:2] not in (("input",), ("output",)):
        return False  # IPv6 is not judged
    bound = tail[0] == "filter" and len(tail) == 3 and tail[1] in ("input", "output")  # noqa: PLR2004 - and the name
    if not bound or family[0] not in (*OURS, "inet6"):
        raise ConfigError(f"interfaces {name}: family {family[0]} {' '.join(tail[:2])} is not understood", place=place)
    return True


def _protocols(words: Words, place: Place) -> bool:
    """802.1X opens ports, and binds filters of its own, session by session."""
    del place
    return words[1] == "dot1x" and "interface" in words[:-1]


KEPT: Final = {
    "firewall": _firewall,
    "groups": _group,
    "interfaces": _interface,
    "policy-options": _policy,
    "protocols": _protocols,
}
