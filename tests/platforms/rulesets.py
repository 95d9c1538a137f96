"""Generated nft rulesets and packets, over few enough values that they meet."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st

from toolkit.net import ICMP, TCP, UDP, IcmpKind, Packet

# For tests that load each example into a kernel.
LOADED = settings(max_examples=40, deadline=None)

ADDRESSES = ["10.0.1.1", "10.0.1.0/30", "10.0.2.0/24", "10.0.1.4-10.0.1.6", "{ 10.0.1.1, 10.0.2.7-10.0.2.9 }"]
PORTS = ["22", "20-25", "{ 22, 80-90 }", "1024-65535"]
SIGNS = st.sampled_from(["", "!= "])
TRANSPORT = st.one_of(
    st.builds("{} {} {}{}".format, st.sampled_from(["tcp", "udp"]), st.sampled_from(["sport", "dport"]), SIGNS,
              st.sampled_from(PORTS)),
    st.sampled_from([
        "", "tcp flags ack,rst", "tcp dport 22 tcp flags ack,rst", "icmp type 8", "icmp type != 8",
        "icmp type 3 icmp code 4", "meta l4proto { tcp, udp } th dport 53", "meta l4proto tcp",
        "meta l4proto != { tcp, udp }", "ip protocol icmp", "tcp dport > 80",
    ]),
)  # fmt: skip
ADDRESS = st.one_of(st.just(""), st.builds("ip {} {}{}".format, st.sampled_from(["saddr", "daddr"]), SIGNS,
                                           st.sampled_from(ADDRESSES)))  # fmt: skip
FRAGMENT = st.sampled_from(["", "", "", "ip frag-off & 0x1fff != 0", "ip frag-off & 0x1fff == 0"])
STATE = st.sampled_from(["", "", "ct state new", "ct state established,related", "ct state != established"])
INWARDS = st.sampled_from(["", "", 'iifname "eth1"', 'iifname != "eth1"', 'iifname { "eth1", "eth2" }'])
OUTWARDS = st.sampled_from(["", "", 'oifname "eth2"', 'oifname != "eth2"', 'oifname { "eth1", "eth3" }'])
VERDICTS = ["accept", "drop", "return", "counter"]


def chain_of(family, verdicts, outwards):
    guard = st.sampled_from(["", "", "ether type ip" if family == "bridge" else "meta nfproto ipv4"])
    parts = [INWARDS, ADDRESS, FRAGMENT, TRANSPORT, guard, st.sampled_from(verdicts)]
    parts += [STATE] if family == "inet" else []
    parts += [OUTWARDS] if outwards and family == "inet" else []
    # The verdict comes last; fields may come in any order before it.
    rule = st.tuples(*parts).map(lambda words: " ".join([*(w for w in words if w not in verdicts and w),
                                                         *(w for w in words if w in verdicts)]))  # fmt: skip
    return st.lists(rule, max_size=5).map(lambda rules: "".join(f"\t\t{rule}\n" for rule in rules))


@st.composite
def rulesets(draw, family):
    verdicts = VERDICTS + (["reject"] if family == "inet" else [])
    policy = st.sampled_from(["accept", "drop"])
    leaf = draw(chain_of(family, verdicts, outwards=False))
    middle = draw(chain_of(family, [*verdicts, "jump leaf", "goto leaf"], outwards=False))
    early = draw(chain_of(family, [*VERDICTS, "jump leaf"], outwards=False))
    main = draw(chain_of(family, [*verdicts, "jump middle", "goto middle", "jump leaf"], outwards=True))
    if family == "inet":
        early = early.replace("reject", "drop")
    hooks = (
        f"type filter hook prerouting priority -5; policy {draw(policy)};",
        (f"type filter hook forward priority 0; policy {draw(policy)};"),
    )
    return (
        f"table {family} t {{\n\tchain leaf {{\n{leaf}\t}}\n\tchain middle {{\n{middle}\t}}\n"
        f"\tchain early {{\n\t\t{hooks[0]}\n{early.replace('jump leaf', 'accept')}\t}}\n"
        f"\tchain main {{\n\t\t{hooks[1]}\n{main}\t}}\n}}\n"
    )


ENDS = [IPv4Address(a) for a in ("10.0.1.1", "10.0.1.3", "10.0.1.5", "10.0.1.7", "10.0.2.8", "10.0.2.200", "192.0.2.1")]
NUMBERS = st.sampled_from([0, 22, 23, 53, 81, 443, 1023, 1024, 65535])


@st.composite
def packets(draw):
    src, dst = draw(st.sampled_from(ENDS)), draw(st.sampled_from(ENDS))
    protocol = draw(st.sampled_from([ICMP, TCP, TCP, UDP, UDP, 47]))
    if draw(st.integers(0, 5)) == 0:
        return Packet(src, dst, protocol, fragment=True)
    if protocol == ICMP:
        return Packet(
            src, dst, protocol, icmp=IcmpKind(draw(st.sampled_from([0, 3, 8])), draw(st.sampled_from([0, 4])))
        )
    if protocol == TCP:
        return Packet(src, dst, protocol, draw(NUMBERS), draw(NUMBERS), established=draw(st.booleans()))
    return Packet(src, dst, protocol, draw(NUMBERS), draw(NUMBERS)) if protocol == UDP else Packet(src, dst, protocol)
