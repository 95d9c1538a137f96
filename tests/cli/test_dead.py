"""`toolkit dead`: entries that decide nothing, in each language, with what decides instead; and entries that are needed."""

from __future__ import annotations

import pytest

from tests.cli.test_contract import ask, toolkit

# Two /25 that cover a later /24 only together: the third entry is shadowed by both, the first says what the third says.
IOS = """\
ip access-list extended CORP-IN
 10 permit tcp 10.0.0.0 0.0.0.127 any
 20 deny tcp 10.0.0.128 0.0.0.127 any
 30 permit tcp 10.0.0.0 0.0.0.255 any
 40 permit udp 10.0.0.0 0.0.255.3 any eq 53
 50 permit icmp any any echo
!
interface GigabitEthernet0/1
 ip access-group CORP-IN in
"""
EOS = """\
ip access-list CORP-IN
   10 permit tcp 10.0.0.0/25 any
   20 deny tcp 10.0.0.128/25 any
   30 permit tcp 10.0.0.0/24 any
   40 permit udp 10.0.0.0 0.0.255.3 any eq domain
   50 permit icmp any any echo
!
interface Ethernet1
   ip access-group CORP-IN in
"""
NXOS = EOS.replace("eq domain", "eq 53")
ASA = """\
access-list CORP-IN extended permit tcp 10.0.0.0 255.255.255.128 any
access-list CORP-IN extended deny tcp 10.0.0.128 255.255.255.128 any
access-list CORP-IN remark said twice
access-list CORP-IN extended permit tcp 10.0.0.0 255.255.255.0 any
access-list CORP-IN extended permit udp 10.0.0.0 255.255.0.0 any eq 53
access-list CORP-IN extended permit icmp any any echo
access-list OLD standard permit 10.0.0.0 255.255.255.0
"""
JUNOS = "".join(
    f"set firewall family inet filter CORP-IN term {name} {words}\n"
    for name, *lines in (
        ("a", "from source-address 10.0.0.0/25", "from protocol tcp", "then accept"),
        ("b", "from source-address 10.0.0.128/25", "from protocol tcp", "then discard"),
        ("c", "from source-address 10.0.0.0/24", "from protocol tcp", "then accept"),
        ("d", "from source-address 10.0.0.0/16", "from protocol udp", "from destination-port 53", "then accept"),
        ("e", "from protocol icmp", "from icmp-type echo-request", "then accept"),
    )
    for words in lines
)
NFT = """\
table inet corp {
	chain CORP-IN {
		type filter hook forward priority 0; policy drop;
		jump inside
		ip saddr 10.0.0.0/16 udp dport 53 accept
		icmp type echo-request accept
	}
	chain inside {
		ip saddr 10.0.0.0/25 meta l4proto tcp accept
		ip saddr 10.0.0.128/25 meta l4proto tcp drop
		ip saddr 10.0.0.0/24 meta l4proto tcp accept
	}
}
"""
TEXTS = {
    "cisco_ios": IOS, "arista_eos": EOS, "cisco_nxos": NXOS, "cisco_asa": ASA, "juniper_junos": JUNOS, "linux_nftables": NFT,
}  # fmt: skip


@pytest.fixture
def judged(tmp_path):
    def run(platform, text, *options):
        path = tmp_path / "core1.cfg"
        path.write_text(text, encoding="utf-8")
        code, found = ask("dead", str(path), "--platform", platform, *options)
        (device,) = found["devices"]
        assert device["device"] == "core1"
        return code, device["lists"]

    return run


@pytest.mark.parametrize("platform", TEXTS)
def test_what_two_entries_cover_together_is_found_in_every_language(judged, platform):
    code, lists = judged(platform, TEXTS[platform], "--all")
    mine = lists[0]
    assert code == 3
    assert mine["list"].endswith("CORP-IN")
    first, third = mine["dead"]
    assert (first["number"], first["kind"], first["reached"]) == (1, "redundant", True)
    assert [one["number"] for one in first["by"]] == [3]
    assert (third["number"], third["kind"], third["reached"]) == (3, "shadowed", False)
    assert [one["number"] for one in third["by"]] == [1, 2]
    assert third["witness"]["src"] == "10.0.0.128"
    needed = {one["number"]: one["witness"] for one in mine["needed"]}
    assert set(needed) == {2, 4, 5}
    assert (needed[2]["src"], needed[4]["dport"], needed[5]["icmp"]) == ("10.0.0.128", 53, "8/0")


@pytest.mark.parametrize("platform", TEXTS)
def test_without_them_nothing_is_left_to_find(judged, platform):
    lines = TEXTS[platform].splitlines(keepends=True)
    rid = [
        one for one in lines if "10.0.0.0/25" in one or "10.0.0.0 0.0.0.127" in one or "10.0.0.0 255.255.255.128" in one
    ]
    kept = [one for one in lines if one not in rid and " term a " not in one and "OLD" not in one]
    code, lists = judged(platform, "".join(kept))
    assert (code, [one["dead"] for one in lists]) == (0, [[]])


def test_people_read_entries_with_their_places(tmp_path):
    path = tmp_path / "core1.cfg"
    path.write_text(IOS, encoding="utf-8")
    done = toolkit("dead", str(path), "--platform", "cisco_ios")
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "core1 CORP-IN (GigabitEthernet0/1 in): 5 entries, 2 dead",
        "  1. permit tcp 10.0.0.0 0.0.0.127 any [sequence 10]",
        "     redundant: without it the same is decided by",
        "       3. permit tcp 10.0.0.0 0.0.0.255 any [sequence 30]",
        "  3. permit tcp 10.0.0.0 0.0.0.255 any [sequence 30]",
        "     shadowed: its packets are decided before by, together,",
        "       1. permit tcp 10.0.0.0 0.0.0.127 any [sequence 10]",
        "       2. deny tcp 10.0.0.128 0.0.0.127 any [sequence 20]",
        "     it does not permit tcp 10.0.0.128:1024 -> 1.0.0.1:1",
    ]


def test_fragments_keep_an_entry_alive_where_the_system_passes_them(judged):
    """With ports, two denies do not cover what a permit does on IOS: later fragments pass its addresses."""
    ports = IOS.replace(" any\n", " any eq 22\n")
    _, lists = judged("cisco_ios", ports, "--all")
    (third,) = [one for one in lists[0]["needed"] if one["number"] == 3]
    assert third["witness"]["fragment"] is True
    _, lists = judged("cisco_asa", ASA.replace(" any\n", " any eq 22\n"), "--all")
    assert 3 in [one["number"] for one in lists[0]["dead"]]  # it reassembles first


def test_a_list_that_is_bound_nowhere_may_be_unreadable_and_is_said(judged, tmp_path):
    _, (_, old) = judged("cisco_asa", ASA)
    assert (old["list"], old["entries"]) == ("OLD", 0)
    assert "is no extended entry" in old["unread"]
    assert (
        "OLD (bound nowhere): not judged: "
        in toolkit("dead", str(tmp_path / "core1.cfg"), "--platform", "cisco_asa").stderr
    )


def test_a_group_that_is_not_there_leaves_its_list_unread(judged):
    _, lists = judged("cisco_ios", "ip access-list extended A\n permit tcp object-group NOPE any eq 22\n" + IOS)
    by = {one["list"]: one for one in lists}
    assert by["A"]["unread"] == "list A: the network group NOPE is not there"
    assert len(by["CORP-IN"]["dead"]) == 2


def test_a_rule_for_one_interface_or_state_is_judged_where_it_matches(judged):
    text = """\
table inet corp {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		iifname "eth1" tcp dport 22 accept
		iifname "eth2" tcp dport 22 accept
		iifname { "eth1", "eth2" } tcp dport 22 accept
		ct state new tcp dport 443 accept
		ip6 nexthdr udp drop
		counter drop
	}
}
"""
    text = text.replace("\t\tip6 nexthdr udp drop\n", "")
    _, (mine,) = judged("linux_nftables", text, "--all")
    assert [one["number"] for one in mine["needed"]] == [1, 5]
    dead = {one["number"]: one for one in mine["dead"]}
    assert set(dead) == {2, 3, 4, 6}
    assert [one["number"] for one in dead[2]["by"]] == [4]
    assert (dead[4]["reached"], {2, 3} <= {one["number"] for one in dead[4]["by"]}) == (False, True)
    assert (dead[6]["kind"], dead[6]["by"]) == ("redundant", [])  # the policy says the same


def test_goto_and_return_end_what_follows(judged):
    text = """\
table inet corp {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ip saddr 10.0.0.0/24 goto inside
		ip saddr 10.0.0.7 tcp dport 80 accept
		ip saddr 10.0.1.7 tcp dport 80 accept
	}
	chain inside {
		tcp dport 22 return
		tcp dport 20-30 accept
		tcp dport 22 accept
	}
}
"""
    _, (mine,) = judged("linux_nftables", text, "--all")
    assert [one["entry"] for one in mine["dead"]] == [
        "inside: tcp dport 22 accept",
        "forward: ip saddr 10.0.0.7 tcp dport 80 accept",
    ]
    assert len(mine["needed"]) == 2


def test_the_site_of_today_is_named(tmp_path):
    code, found = ask("dead")
    assert code == 3
    (one,) = [row for device in found["devices"] for each in device["lists"] for row in each["dead"]]
    assert (one["kind"], one["by"], one["place"]) == ("redundant", [], "inventory/configs/fw1.nft:13")
    code, found = ask("dead", "--all")
    names = {
        row["witness"]["src_name"] for device in found["devices"] for each in device["lists"] for row in each["needed"]
    }
    assert names & {"node1", "node2", "client1", "jump1"}


def test_what_the_toolkit_renders_holds_nothing_dead_of_its_own():
    """Denies of later fragments on a bridge stay: the kernel may take their content for ports."""
    _, found = ask("dead", "rendered")
    by = {device["device"]: device["lists"] for device in found["devices"]}
    assert [each["dead"] for device in ("leaf1", "leaf2", "fw2") for each in by[device]] == [[], [], [], []]
    assert all("CORP-999" in row["entry"] for each in by["fw1"] for row in each["dead"])


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("nowhere.cfg", "--platform", "cisco_ios"), "nowhere.cfg: no such file, and no folder with *.cfg files"),
        (("nowhere",), "nowhere: neither a folder with DEVICE.cfg"),
        (("recorded", "--budget", "0"), "--budget"),
    ],
)
def test_arguments_that_name_nothing(arguments, answer):
    done = toolkit("dead", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert answer in done.stderr


def test_an_unknown_platform_lists_those_that_exist(tmp_path):
    (tmp_path / "one.cfg").write_text(IOS, encoding="utf-8")
    done = toolkit("dead", str(tmp_path), "--platform", "toaster")
    assert done.returncode == 2
    assert "cisco_asa" in done.stderr


@pytest.mark.parametrize(
    ("platform", "word", "bound"),
    [("cisco_ios", "echo", ""), ("arista_eos", "echo", ""), ("juniper_junos", "protocol udp", "set interfaces ge-0/0/1 unit 0 family inet filter input CORP-IN\n"), ("cisco_asa", "icmp any any echo", "")],
)  # fmt: skip
def test_a_list_that_packets_meet_and_nobody_understands_is_bad_input(tmp_path, platform, word, bound):
    """It is named with its line, it is not judged, and the others are."""
    text = TEXTS[platform].replace(word, "quantum") + bound
    (tmp_path / "one.cfg").write_text(text, encoding="utf-8")
    done = toolkit("dead", str(tmp_path), "--platform", platform)
    assert done.stdout == ""
    assert "CORP-IN" in done.stderr
    assert "one.cfg:" in done.stderr
    assert "not judged" in done.stderr
    assert done.returncode == (0 if platform == "cisco_asa" else 2)  # the ASA's list is bound nowhere


def test_a_list_beyond_the_budget_is_refused_and_not_guessed(tmp_path):
    """Every source meets every destination in another way: no engine can share much of that."""
    lines = ["ip access-list extended GRID"]
    for number in range(60):
        sides = (f"host 10.0.0.{number}", "any") if number % 2 else ("any", f"host 10.1.0.{number}")
        lines.append(
            f" {'permit' if number % 3 else 'deny'} tcp {' '.join(sides)} range {number * 100} {number * 100 + 900}"
        )
    (tmp_path / "grid.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = toolkit("dead", str(tmp_path), "--platform", "cisco_ios", "--budget", "500")
    assert (done.returncode, done.stdout) == (1, "")
    assert "more than 500 steps" in done.stderr
    assert "Traceback" not in done.stderr
    assert toolkit("dead", str(tmp_path), "--platform", "cisco_ios").returncode in (0, 3)
