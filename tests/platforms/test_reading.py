"""The two readers: what each rule means, what is refused, and that text and kernel listing say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests.platforms.rulesets import LOADED, rulesets
from toolkit.errors import ConfigError
from toolkit.platforms._nft_json import read_listing
from toolkit.platforms._nft_model import Ruleset, write_ruleset
from toolkit.platforms._nft_text import apply_script

INVENTORY = ("fw1.nft", "fw2.nft")


def table(rule, family="inet"):
    return (
        f"table {family} t {{\n\tchain other {{\n\t}}\n\tchain c {{\n"
        f"\t\ttype filter hook forward priority 0; policy accept;\n\t\t{rule}\n\t}}\n}}\n"
    )


def read(text, before=None):
    return apply_script(text, "file.nft", before or Ruleset())


def rule_of(text, family="inet"):
    return read(table(text, family)).tables[family, "t"]["c"].rules[0]


# ---- rules that both readers take, as the real nft lists them --------------------------------

RULES = """
tcp flags ack,rst accept
iif lo accept
iif != { lo } oif lo accept
limit rate 5/second burst 10 packets counter
limit rate over 10/minute log prefix "often"
tcp flags & (ack | rst) != 0 accept
tcp flags & (ack|rst) != 0 accept
tcp dport 5 tcp flags ack,rst accept
ct state established,related accept
ct state { established, related } accept
ct state != { established, related } accept
ct state invalid drop
ct state != new accept
meta l4proto { tcp, udp } th dport 53 accept
ip saddr 0.0.0.0/0 accept
ip saddr 0.0.0.0/1 accept
ip saddr { 0.0.0.0/1, 128.0.0.0/1 } accept
ip saddr { 10.0.0.0/25, 10.0.0.128/25 } accept
ip saddr 10.0.0.1-10.0.0.3 accept
ip saddr 10.0.0.0-10.0.0.255 accept
ip saddr != { 10.0.0.1, 10.0.0.5-10.0.0.9 } accept
ip daddr != 10.0.0.0/24 drop
tcp dport 0-65535 accept
tcp dport { 1, 3, 2, 10-20 } accept
tcp dport != 22 accept
tcp dport > 1023 accept
tcp dport >= 65535 accept
tcp dport <= 5 accept
tcp dport < 1 accept
udp sport 53 udp dport 1024-65535 accept
sctp dport 5 accept
ip protocol tcp accept
ip protocol != tcp accept
ip protocol 6 tcp dport 22 accept
meta l4proto 6-17 accept
meta l4proto { 6-17, 47 } accept
meta l4proto != { tcp, udp } accept
meta l4proto { 200, 201 } accept
meta protocol ip accept
meta protocol { ip, arp } accept
meta protocol != ip accept
ether type ip6 drop
meta nfproto ipv4 accept
meta nfproto ipv6 drop
meta nfproto != ipv4 accept
meta nfproto ipv4 ip saddr 10.0.0.1 accept
meta nfproto ipv4 icmp type 8 drop
meta nfproto ipv4 tcp dport 5 accept
meta nfproto ipv4 meta l4proto icmp drop
meta nfproto ipv4 meta l4proto { icmp, tcp } drop
meta nfproto ipv4 ip protocol tcp drop
meta nfproto ipv4 reject
meta l4proto { 4, 41, 58, 88, 112, 136, 253 } drop
icmp type echo-request accept
icmp type 8 icmp code 0 accept
icmp type { 3, 11 } accept
icmp type 8-10 accept
icmp type destination-unreachable icmp code frag-needed accept
icmp code { 1, 4 } accept
icmp type != 8 accept
ip frag-off & 0x1fff != 0 accept
ip frag-off & 8191 == 0 accept
iifname { "eth1", "eth2" } accept
iifname != "eth1" accept
iifname != { "eth1", "eth2" } oifname "eth3" accept
iifname eth1 accept
log group 7 prefix "a b" counter drop
log prefix "fw: " level warn drop
log accept
counter packets 5 bytes 7 accept comment "x"
counter
reject
reject with tcp reset
reject with icmp type port-unreachable
reject with icmp host-unreachable
reject with icmpv6 type no-route
reject with icmpx type admin-prohibited
goto other
jump other comment "y"
return
""".strip().splitlines()


@pytest.mark.parametrize("rule", RULES)
def test_text_and_listing_of_a_rule_are_the_same_model(kernel, rule):
    text = table(rule)
    model = read(text)
    assert read_listing(kernel(text), "dev1") == model
    assert read(write_ruleset(model)) == model, "what we write is not what we read"
    assert read_listing(kernel(write_ruleset(model)), "dev1") == model, "what we write is not what nft reads"


BRIDGE_RULES = """
ether type ip icmp type 8 drop
ether type ip ip saddr 10.0.0.1 drop
ether type ip meta l4proto { tcp, udp } th dport 5 accept
ether type ip meta l4proto icmp drop
meta protocol ip ip protocol tcp drop
ip protocol icmp drop
meta protocol arp accept
ip saddr 1.1.1.1 icmp type 8 accept
iifname "a" ip saddr 1.1.1.1 tcp dport 7 accept
""".strip().splitlines()


@pytest.mark.parametrize("rule", BRIDGE_RULES)
def test_text_and_listing_of_a_bridge_rule_are_the_same_model(kernel, rule):
    text = table(rule, "bridge")
    model = read(text)
    assert read_listing(kernel(text), "dev1") == model
    assert read_listing(kernel(write_ruleset(model)), "dev1") == model


# ---- rules that are refused, most of them because they mean something else than they seem -------

REFUSED = {
    "tcp dport 010 accept": "not understood as a number",  # octal
    "tcp dport ssh accept": "not understood as a number",
    "tcp dport 22,80 accept": "',' is not understood",
    "tcp dport 70000 accept": "out of range",
    "tcp dport 9-5 accept": "out of range",
    "tcp dport > 65535 accept": "matches nothing",
    "tcp dport { } accept": "empty set",
    "tcp dport 1 tcp dport 2 accept": "twice",
    "th dport 53 accept": "ports need a match on protocols",
    "meta l4proto { icmp, udp } th dport 53 accept": "ports need a match on protocols",
    "tcp flags { ack, rst } accept": "exact match",
    "tcp flags ack accept": "only ack with rst",
    "tcp flags != ack,rst accept": "not understood",
    "tcp flags ack / ack,rst accept": "not understood",
    "tcp flags & (ack | rst) == 0 accept": "is understood",
    "ct state != established,related accept": "not understood",
    "ct state foo accept": "not understood",
    "ct mark 1 accept": "expected 'state'",
    "ip saddr 10.0.0.5/24 accept": "host bits",
    "ip saddr 10.0.0.0/255.255.255.0 accept": "not understood as an address",
    "ip saddr 10.0.0.300 accept": "ip saddr:",
    "ip saddr @hosts accept": "not understood as an address",
    "ip6 saddr ::1 drop": "'ip6' is not understood",
    "ip dscp 1 accept": "ip dscp is not understood",
    "ip frag-off & 0x2000 != 0 accept": "is understood",
    'iifname "eth*" accept': "not understood",
    "iif 3 accept": "iifname '3' is not understood",
    'comment "x" accept': "not understood here",
    '"accept"': "not understood here",
    "accept drop": "after the verdict",
    "meta mark 1 accept": "meta mark is not understood",
    "mark set 1": "'mark' is not understood",
    "queue num 1": "'queue' is not understood",
    "dnat to 10.0.0.1": "'dnat' is not understood",
    "limit rate 1/second accept": "'limit' is not understood",
    "reject with nonsense": "not understood",
    "jump nowhere": "no chain 'nowhere'",
    "jump c": "no chain 'c'",
}


@pytest.mark.parametrize(("rule", "message"), REFUSED.items())
def test_a_rule_that_is_not_understood_is_an_error_with_its_line(rule, message):
    with pytest.raises(ConfigError) as caught:
        read(table(rule))
    assert message in str(caught.value)
    if "no chain" not in message:
        assert str(caught.value).startswith("file.nft:6: ")


LISTED_ONLY = [
    "th dport 53 accept",
    "tcp flags { ack, rst } accept",
    "tcp flags != ack,rst accept",
    "tcp flags ack / ack,rst accept",
    "ct state != established,related accept",
    'iifname "eth*" accept',
    "ip6 saddr ::1 drop",
    "meta mark 1 accept",
    "meta mark set 1",
    "limit rate 1/second accept",
    "ip saddr 10.0.0.1 ip saddr 10.0.0.2 accept",
    "ip dscp 1 accept",
]


@pytest.mark.parametrize("rule", LISTED_ONLY)
def test_the_listing_of_such_a_rule_is_refused_with_table_chain_and_handle(kernel, rule):
    with pytest.raises(ConfigError, match=r"^dev1: table inet t chain c handle \d+: "):
        read_listing(kernel(table(rule)), "dev1")


SCRIPTS = {
    'include "x"\n': "file.nft:1: unknown command 'include'",
    "define a = 1\n": "file.nft:1: unknown command 'define'",
    "table inet t {\n\tset s { type ipv4_addr; \n}\n": "file.nft:3: the table is not closed",
    "table inet t {\n\tflags dormant;\n}\n": "file.nft:2: 'flags' in a table",
    "table inet t {\n": "file.nft:1: the table is not closed",
    "table inet t {\n\tchain c {\n": "file.nft:2: chain c is not closed",
    "flush chain inet t c\n": "file.nft:1: there is no table inet t",
    "add table inet t\nflush chain inet t c\n": "file.nft:2: there is no chain c",
    "add table inet t\nadd rule inet t c accept\n": "file.nft:2: there is no chain c",
    "table inet t {\n\tchain a {\n\t\tjump b\n\t}\n\tchain b {\n\t\tgoto a\n\t}\n}\n": "leads back here",
    "table inet t {\n\tchain c {\n\t\ttype filter hook egress priority 0;\n\t}\n}\n": "file.nft:3: unknown hook",
    "table inet t {\n\tchain c {\n\t\ttype filter hook forward priority soon;\n\t}\n}\n": "file.nft:3: priority",
    "table inet t {\n\tchain c {\n\t\tpolicy drop\n\t}\n}\n": "file.nft:3: policy",
    "add table inet t\nadd chain inet t c\ninsert rule inet t c handle 4 accept\n": "file.nft:3: there is no rule with handle 4",
    "add table inet t\nadd chain inet t c\nadd rule inet t c index 0 accept\n": "file.nft:3: there is no rule with index 0",
    "add table inet t\nadd chain inet t c\nadd rule inet t c index accept\n": "file.nft:3: there is no rule with index accept",
    "add table inet t\nadd chain inet t c\ndelete rule inet t c handle 4\n": "file.nft:3: there is no rule with handle",
}


@pytest.mark.parametrize(("text", "message"), SCRIPTS.items())
def test_a_script_that_is_not_understood_is_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert message in str(caught.value)


LISTINGS = {
    "": "no JSON listing",
    "[]": "no JSON listing",
    '{"nftables": [{"table": {"family": "inet"}}]}': "no JSON listing",
    '{"nftables": [{"metainfo": {"json_schema_version": 2}}]}': "schema version 2",
    '{"nftables": [{"surprise": {"name": "s"}}]}': "surprise 's' is not understood",
    '{"nftables": [{"table": {"family": "ip", "name": "t", "handle": 1, "flags": "dormant"}}]}': "flags 'dormant'",
}


@pytest.mark.parametrize(("text", "message"), LISTINGS.items())
def test_a_listing_of_another_shape_is_refused(text, message):
    with pytest.raises(ConfigError, match=r"^dev1: ") as caught:
        read_listing(text, "dev1")
    assert message in str(caught.value)


def test_a_dormant_table_and_an_egress_hook_are_refused_as_the_kernel_lists_them(kernel):
    dormant = kernel(table("drop") + "add table inet t { flags dormant; }\n")
    with pytest.raises(ConfigError, match=r"table 't': flags"):
        read_listing(dormant, "dev1")
    listing = json.loads(kernel(table("drop")))
    chain = next(item["chain"] for item in listing["nftables"] if item.get("chain", {}).get("hook"))
    chain["hook"] = "egress"
    with pytest.raises(ConfigError, match="hook egress"):
        read_listing(json.dumps(listing), "dev1")


# ---- scripts ---------------------------------------------------------------------------------

STEPS = [
    ("flush chain inet t c\n", "flush chain"),
    ("flush table inet t\n", "flush table"),
    ("delete table inet t\n", "delete table"),
    ("table inet t {\n}\ndelete table inet t\n" + table("drop"), "idempotent reload"),
    ("add rule inet t c udp dport 5 accept\ninsert rule inet t c udp dport 6 drop\n", "both ends"),
    ("add chain inet t new { type filter hook forward priority filter + 10; policy drop; }\n", "new base chain"),
    ("add chain inet t new\nadd rule inet t new drop\ninsert rule inet t c jump new\n", "new chain and a jump"),
    ("delete chain inet t other\n", "delete chain"),
    ("add chain inet t c { type filter hook forward priority 0; policy drop; }\n", "another policy"),
    ("table inet t {\n\tchain c {\n\t\ttcp dport 9 accept\n\t}\n}\n", "a rule by block"),
    ("add table bridge b\nadd chain bridge b f { type filter hook forward priority filter; }\n", "a bridge"),
]


@pytest.mark.parametrize(("script", "what"), STEPS, ids=[what for _, what in STEPS])
def test_commands_change_a_ruleset_as_they_change_the_kernel(kernel, script, what):
    del what
    first = table("tcp dport 22 accept").replace("policy accept", "policy drop")
    assert read_listing(kernel(first, script), "dev1") == read(script, read(first))


def test_an_existing_base_chain_keeps_its_policy_when_none_is_given(kernel):
    first = table("accept").replace("policy accept", "policy drop")
    again = "add chain inet t c { type filter hook forward priority 0; }\n"
    assert read(again, read(first)).tables["inet", "t"]["c"].base.policy == "drop"
    assert read_listing(kernel(first, again), "dev1") == read(again, read(first))


@pytest.mark.parametrize("name", INVENTORY)
def test_the_recorded_filters_of_the_reference_site_read_the_same_in_both_ways(kernel, name, request):
    text = (request.config.rootpath / "inventory" / "configs" / name).read_text(encoding="utf-8")
    model = apply_script(text, name, Ruleset())
    listed = read_listing(kernel(text), "dev1")
    assert listed == model
    comments = [[rule.comment for c in chains.values() for rule in c.rules] for chains in model.tables.values()]
    assert comments == [
        [rule.comment for c in chains.values() for rule in c.rules] for chains in listed.tables.values()
    ]


# ---- generated rulesets ----------------------------------------------------------------------


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_generated_rulesets_read_the_same_from_text_and_from_the_kernel(kernel, family):
    @LOADED
    @given(rulesets(family))
    def check(text):
        model = read(text)
        assert read_listing(kernel(text), "dev1") == model
        assert read(write_ruleset(model)) == model

    check()


# ---- what forwarded packets never meet -----------------------------------------------------------

ELSEWHERE = """table inet f {
\tset bad { type ipv4_addr; flags interval; elements = { 10.0.0.7, 10.1.0.0/16 } }
\tset ports { type inet_service; elements = { 22, 443 } }
\tset moving { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
\tchain input {
\t\ttype filter hook input priority 0; policy drop;
\t\tiifname "eth*" accept
\t\ticmpv6 type { nd-neighbor-solicit, nd-router-advert } accept
\t\ttcp dport vmap { 22 : accept, 80 : drop }
\t\tip saddr @moving drop
\t\tjump deeper
\t}
\tchain deeper {
\t\tip protocol icmp icmp type echo-request limit rate 5/second accept
\t}
\tchain forward {
\t\ttype filter hook forward priority 0; policy drop;
\t\tip saddr @bad drop
\t\ttcp dport @ports accept
\t}
}
table ip6 six {
\tchain c { type filter hook forward priority 0; policy drop; ip6 saddr ::1 accept; }
}
"""


def test_rules_that_no_forwarded_packet_meets_may_say_what_they_like(kernel):
    model = read(ELSEWHERE)
    forward = model.tables["inet", "f"]["forward"].rules
    assert [rule.raw for rule in forward] == ["", ""]
    listed = read_listing(kernel(ELSEWHERE), "dev1")
    assert listed.tables["inet", "f"]["forward"] == model.tables["inet", "f"]["forward"]
    assert [len(rule.raw) > 0 for rule in listed.tables["inet", "f"]["input"].rules] == [True, True, True, True, False]


@pytest.mark.parametrize(("old", "new"), [("hook input", "hook forward"), ("@bad", "@moving"), ("@bad", "@none")])
def test_and_are_refused_where_one_does(kernel, old, new):
    text = ELSEWHERE.replace(old, new, 1)
    with pytest.raises(ConfigError, match=r"^file.nft:\d+: "):
        read(text)
    if new != "@none":
        with pytest.raises(ConfigError, match=r"^dev1: table inet f chain \w+ handle \d+: "):
            read_listing(kernel(text), "dev1")
