"""Which parts of a running configuration filter nothing that is forwarded, by the words they begin with.

What stands in no list is refused: a command that nobody has judged may filter. IPv6 is not judged by the toolkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Lines that may begin a text of many lines, with the number of words before its first delimiter.
TEXTS: Final = {
    "banner": 2,
    "aaa authentication banner": 3,
    "aaa authentication fail-message": 3,
}
# Of the whole configuration; a section's lines are skipped with its head.
HARMLESS: Final = frozenset(
    """
    aaa access-session agent alias application appnav archive arp authentication banner bba-group bfd bfd-template
    boot boot-end-marker boot-start-marker bridge-domain call call-home call-manager-fallback card cdp cfs class-map
    cli clock config-register control-plane controller copp credentials crypto cts cvx daemon default device-sensor
    device-tracking diagnostic dial-peer dialer-list dns domain domain-name dot1x dspfarm dual-active email enable
    environment ephone ephone-dn ephone-template errdisable ethernet event event-handler event-monitor evpn
    exception fabric fast-reload feature feature-set fex fhrp fips flow ftp gatekeeper gateway global hardware
    hostname hw-module icam id-manager identity install interworking ipv6 isdn kerberos key kron l2 l2vpn lacp
    ldap-server license line lldp load-interval location logging login mac mac-address-table macro management
    manufacturer memory memory-size mgcp mgmt mka mlag mls mmi monitor mpls msrp multilink mvrp nbar netconf
    netconf-yang network-clock nls ntp num-exp nv nxapi object-tracking onep packet parameter-map parser password
    peer-filter platform pnp policy-map port-channel power priority-flow-control process process-max-time prompt ptp
    qos queue-monitor radius radius-server redundancy restconf rmon role route-map route-target router sampler sccp
    schedule scheduler sdm service service-template sflow sip-ua slot snmp snmp-server spanning-tree ssh stack-mac
    stackwise-virtual standby subscriber switch switchname switchport system tacacs tacacs-server telemetry
    telephony-service telnet template terminal tftp-server time-range track transceiver translation-rule transport
    trunk udld upgrade username userpassphrase vdc version virtual-service vlan vlan-group voice voice-card
    voice-port vpc vpdn vpdn-group vrf vstack vtp vxlan wsma xdr xml zone
    """.split()  # noqa: SIM905 - a list of its own lines would be pages long
) | frozenset(
    (
        "ip access-list log-update",
        "ip access-list logging",
        "ip accounting-threshold",
        "ip adjacency",
        "ip arp",
        "ip as-path",
        "ip admission",
        "ip auth-proxy",
        "ip bgp",
        "ip bgp-community",
        "ip bootp",
        "ip cef",
        "ip classless",
        "ip community-list",
        "ip default-gateway",
        "ip dhcp",
        "ip dns",
        "ip domain",
        "ip domain-list",
        "ip domain-lookup",
        "ip domain-name",
        "ip extcommunity-list",
        "ip finger",
        "ip flow",
        "ip flow-cache",
        "ip flow-capture",
        "ip flow-export",
        "ip flow-top-talkers",
        "ip forward-protocol",
        "ip ftp",
        "ip gratuitous-arps",
        "ip host",
        "ip http",
        "ip icmp",
        "ip igmp",
        "ip large-community-list",
        "ip load-sharing",
        "ip local",
        "ip mfib",
        "ip mroute",
        "ip msdp",
        "ip multicast",
        "ip multicast-routing",
        "ip name-server",
        "ip nat",
        "ip nbar",
        "ip pim",
        "ip prefix-list",
        "ip radius",
        "ip rcmd",
        "ip reflexive-list",
        "ip rip",
        "ip route",
        "ip rtcp",
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
    "vlan filter": "VLAN access maps filter, and are not read",
    "ip inspect": "inspection opens lists for answers",
    "ip options": "IP options are not modelled",
    "ip traffic-export": "traffic export is not read",
    "cts role-based enforcement": "TrustSec enforcement filters, and is not read",
    "zone-pair": "zone-based firewalls filter, and are not read",
    "traffic-policies": "traffic policies filter, and are not read",
    "mac access-map": "MAC access maps filter, and are not read",
    "qos police": "policing drops by class, and is not read",
}
# Of an interface.
HARMLESS_THERE: Final = frozenset(
    """
    arp auto autostate bandwidth beacon bfd bgp-policy bpdu carrier-delay cdp channel channel-group channel-protocol
    clock dampening dcbx default-gateway delay description dhcp dot1q duplex encapsulation error-correction evpn
    fabric fair-queue fec flow flowcontrol frame-relay glbp global h323-gateway hold-queue host-reachability hsrp
    igmp ipv6 isdn isis keepalive l2 l2-protocol l2protocol lacp link link-debounce lldp load-balancing
    load-interval logging loopback mac-address macro macsec mdix media-type medium member mfib mka mlag mld mls mop
    mpls msrp mtu multicast mvrp negotiate negotiation network-clock nmsp no-negotiate ntp ospf ospfv3 peer phone
    phy pim power ppp pppoe priority-flow-control priority-queue private-vlan ptp qos queueing random-detect rip
    rmon serial sflow shape shutdown snmp source-interface spanning-tree speed srr-queue standby storm-control
    switchport synchronous tcp track tracking traffic-loopback transceiver trust tunnel tx-queue uc-tx-queue udld
    unidirectional vpc vrf vrrp vtp vxlan wrr-queue
    """.split()  # noqa: SIM905 - a list of its own lines would be pages long
) | frozenset(
    (
        "ip accounting",
        "ip address",
        "ip arp",
        "ip attached-host",
        "ip attached-hosts",
        "ip attached-routes",
        "ip authentication",
        "ip bandwidth",
        "ip bandwidth-percent",
        "ip broadcast-address",
        "ip cef",
        "ip delay",
        "ip dhcp",
        "ip directed-broadcast",
        "ip distribute-list",
        "ip dns",
        "ip eigrp",
        "ip flow",
        "ip forward",
        "ip hello-interval",
        "ip helper-address",
        "ip hold-time",
        "ip igmp",
        "ip load-sharing",
        "ip local-proxy-arp",
        "ip mask-reply",
        "ip mfib",
        "ip mroute-cache",
        "ip mtu",
        "ip nbar",
        "ip nhrp",
        "ip ospf",
        "ip passive-interface",
        "ip pim",
        "ip port-unreachable",
        "ip proxy-arp",
        "ip redirects",
        "ip rip",
        "ip route-cache",
        "ip rsvp",
        "ip router",
        "ip split-horizon",
        "ip summary-address",
        "ip tcp",
        "ip unnumbered",
        "ip unreachables",
        "ip virtual-reassembly",
        "ip virtual-router",
        "ip vrf",
        "cts dot1x",
        "cts manual",
        "mac timestamp",
        "mac-address-table",
    )
)
FILTERS_THERE: Final = {
    "flow-spec": "flow specifications filter, and are not read",
    "ip flowspec": "flow specifications filter, and are not read",
    "ip multicast boundary": "a multicast boundary filters by group, and is not read",
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
    "cts role-based": "TrustSec enforcement filters, and is not read",
    "mac access-group": "a MAC list filters IP packets too, and is not read",
    "mac port": "a MAC list filters IP packets too, and is not read",
    "mac packet-classify": "a MAC list filters IP packets too, and is not read",
    "traffic-policy": "traffic policies filter, and are not read",
    "switchport port-security": "port security filters by MAC address, and is not read",
    "switchport block": "blocking of unknown addresses is not modelled",
    "switchport mode private-vlan": "private VLANs keep ports apart, which is not modelled",
    "switchport private-vlan": "private VLANs keep ports apart, which is not modelled",
    "switchport protected": "protected ports do not talk to each other, which is not modelled",
    "ip device": "IP device tracking may bind lists of its own",
    "device-tracking": "device tracking may drop what claims another's address",
    "authentication": "802.1X binds lists per session",
    "access-session": "802.1X binds lists per session",
    "rate-limit": "rate limits drop by list, and are not read",
}


def lookup(words: list[str], table: frozenset[str] | Mapping[str, object]) -> str | None:
    """The longest entry of a table that a line begins with, None where there is none."""
    for size in (3, 2, 1):
        key = " ".join(words[:size])
        if len(words) >= size and key in table:
            return key
    return None
