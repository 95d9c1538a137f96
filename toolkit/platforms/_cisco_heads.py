"""Which parts of a running configuration filter nothing that is forwarded, by the words they begin with.

What stands in no list is refused: a command that nobody has judged may filter. IPv6 is not judged by the toolkit.
"""

from __future__ import annotations

from typing import Final

# Of the whole configuration; a section's lines are skipped with its head.
HARMLESS: Final = frozenset(
    """
    aaa agent alias archive banner boot boot-end-marker boot-start-marker call-home card cdp cfs class-map cli
    clock config-register control-plane controller copp crypto daemon default diagnostic dns domain-name dot1x
    dual-active enable environment errdisable event event-handler event-monitor evpn exception fabric
    fast-reload feature feature-set fips flow ftp hardware hostname hw-module icam id-manager install ipv6 key
    l2 lacp ldap-server license line lldp load-interval location logging login mac mac-address-table management
    manufacturer memory memory-size mgmt mlag mls monitor multilink nbar netconf netconf-yang ntp nv nxapi
    object-tracking parser password peer-filter platform policy-map port-channel power priority-flow-control
    process process-max-time prompt ptp qos queue-monitor radius radius-server redundancy restconf rmon role
    route-map route-target router sampler schedule scheduler sdm service service-template sflow slot snmp
    snmp-server spanning-tree ssh stackwise-virtual standby subscriber switch system tacacs tacacs-server
    telemetry template terminal tftp-server time-range track transceiver transport udld upgrade username
    userpassphrase vdc version virtual-service vlan vlan-group voice vpc vrf vtp vxlan xdr
    """.split()  # noqa: SIM905 - a list of its own lines would be pages long
) | frozenset(
    (
        "ip arp",
        "ip as-path",
        "ip bgp",
        "ip bgp-community",
        "ip cef",
        "ip classless",
        "ip community-list",
        "ip default-gateway",
        "ip dhcp",
        "ip domain",
        "ip domain-list",
        "ip domain-lookup",
        "ip domain-name",
        "ip extcommunity-list",
        "ip finger",
        "ip forward-protocol",
        "ip ftp",
        "ip gratuitous-arps",
        "ip host",
        "ip http",
        "ip icmp",
        "ip igmp",
        "ip large-community-list",
        "ip load-sharing",
        "ip multicast",
        "ip multicast-routing",
        "ip name-server",
        "ip pim",
        "ip prefix-list",
        "ip radius",
        "ip rcmd",
        "ip route",
        "ip routing",
        "ip scp",
        "ip sla",
        "ip source-route",
        "ip ssh",
        "ip subnet-zero",
        "ip tacacs",
        "ip tcp",
        "ip telnet",
        "ip tftp",
        "ip virtual-router",
        "ip vrf",
    )
)
# `vlan 10` holds names; these are harmless heads too, but what begins with them may filter.
FILTERS: Final = {
    "vlan access-map": "VLAN access maps filter, and are not read",
    "vlan filter": "VLAN access maps filter, and are not read",
    "ip nat": "NAT changes addresses before or after a list sees them",
    "ip inspect": "inspection opens lists for answers",
    "ip access-list role-based": "role-based lists are not read",
    "ip local": "policy routing is not read",
    "ip options": "IP options are not modelled",
    "ip reflexive-list": "reflexive lists are not modelled",
    "ip traffic-export": "traffic export is not read",
    "cts": "TrustSec enforcement filters, and is not read",
    "zone": "zone-based firewalls filter, and are not read",
    "zone-pair": "zone-based firewalls filter, and are not read",
    "parameter-map": "inspection filters, and is not read",
    "traffic-policies": "traffic policies filter, and are not read",
    "mac access-map": "MAC access maps filter, and are not read",
    "qos police": "policing drops by class, and is not read",
}
# Of an interface.
HARMLESS_THERE: Final = frozenset(
    """
    arp autostate bandwidth bfd bpdu carrier-delay cdp channel channel-group channel-protocol clock dampening
    delay description dot1q duplex encapsulation error-correction fabric fair-queue fec flowcontrol glbp
    hold-queue host-reachability hsrp ipv6 isis keepalive l2protocol lacp link lldp load-balancing load-interval
    logging loopback mac-address macsec mdix media-type member mls mtu negotiate negotiation no-negotiate ntp
    ospf peer power priority-flow-control priority-queue ptp queueing random-detect rmon sflow shutdown snmp
    source-interface spanning-tree speed srr-queue standby storm-control switchport track tracking transceiver
    tunnel udld unidirectional vpc vrf vrrp vxlan wrr-queue
    """.split()  # noqa: SIM905 - a list of its own lines would be pages long
) | frozenset(
    (
        "ip address",
        "ip arp",
        "ip authentication",
        "ip bandwidth-percent",
        "ip broadcast-address",
        "ip cef",
        "ip dhcp",
        "ip directed-broadcast",
        "ip flow",
        "ip forward",
        "ip hello-interval",
        "ip helper-address",
        "ip hold-time",
        "ip igmp",
        "ip load-sharing",
        "ip local-proxy-arp",
        "ip mask-reply",
        "ip mroute-cache",
        "ip mtu",
        "ip ospf",
        "ip pim",
        "ip proxy-arp",
        "ip redirects",
        "ip rip",
        "ip route-cache",
        "ip router",
        "ip split-horizon",
        "ip summary-address",
        "ip tcp",
        "ip unnumbered",
        "ip unreachables",
        "ip virtual-router",
        "ip vrf",
        "mac-address-table",
    )
)
FILTERS_THERE: Final = {
    "ip verify": "reverse path checks filter by source, and are not modelled",
    "ip inspect": "inspection opens lists for answers",
    "ip nat": "NAT changes addresses before or after a list sees them",
    "ip policy": "policy routing is not read",
    "ip source": "IP source guard filters, and is not read",
    "ip traffic-export": "traffic export is not read",
    "ip wccp": "redirection is not read",
    "ip sgacl": "TrustSec enforcement filters, and is not read",
    "service-policy": "a service policy may drop by class, and is not read",
    "zone-member": "zone-based firewalls filter, and are not read",
    "crypto": "a crypto map chooses and drops packets, and is not read",
    "cts": "TrustSec enforcement filters, and is not read",
    "mac access-group": "a MAC list filters IP packets too, and is not read",
    "mac port": "a MAC list filters IP packets too, and is not read",
    "mac packet-classify": "a MAC list filters IP packets too, and is not read",
    "traffic-policy": "traffic policies filter, and are not read",
    "switchport port-security": "port security filters by MAC address, and is not read",
    "switchport block": "blocking of unknown addresses is not modelled",
    "switchport protected": "protected ports do not talk to each other, which is not modelled",
    "ip device": "IP device tracking may bind lists of its own",
    "authentication": "802.1X binds lists per session",
    "access-session": "802.1X binds lists per session",
    "rate-limit": "rate limits drop by list, and are not read",
}


def lookup(words: list[str], table: frozenset[str] | dict[str, str]) -> str | None:
    """The longest entry of a table that a line begins with, None where there is none."""
    for size in (3, 2, 1):
        key = " ".join(words[:size])
        if len(words) >= size and key in table:
            return key
    return None
