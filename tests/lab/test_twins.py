"""Twins by themselves: what they take, what they refuse and in which words, and what a list means to them."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from ipaddress import IPv4Address

import pytest

from tests.lab.twin_typing import Keyboard
from toolkit.errors import LabError
from toolkit.lab import twins
from toolkit.lab.twins import Login, judge, make_twin
from toolkit.net import ICMP, TCP, UDP, IcmpKind, Packet

IOS = "hostname r1\narchive\n path flash:a\ninterface GigabitEthernet0/1\n no switchport\n"
EOS = "hostname s1\ninterface Ethernet1\n no switchport\n"
NXOS = "hostname n1\ninterface Ethernet1/1\n no switchport\n"
ASA = "hostname f1\ninterface GigabitEthernet0/1\n nameif inside\n security-level 100\n"
JUNOS = "set system host-name j1\nset interfaces ge-0/0/1 unit 0 family inet address 10.0.0.1/24\n"
BOOT = {"cisco_ios": IOS, "arista_eos": EOS, "cisco_nxos": NXOS, "cisco_asa": ASA, "juniper_junos": JUNOS}


def packet(src="10.1.1.1", dst="10.0.0.5", protocol=TCP, sport=40000, dport=443, **more):
    return Packet(IPv4Address(src), IPv4Address(dst), protocol, sport, dport, **more)


# ---- what a list means -----------------------------------------------------------------------

CISCO_ENTRIES = [
    ("permit tcp any host 10.0.0.5 eq 443", packet(), packet(dport=444)),
    ("permit tcp any host 10.0.0.5 eq 443", packet(), packet(dst="10.0.0.6")),
    ("permit tcp any host 10.0.0.5 range 440 443", packet(), packet(dport=439)),
    ("permit tcp any host 10.0.0.5 gt 442", packet(), packet(dport=442)),
    ("permit tcp any host 10.0.0.5 lt 444", packet(), packet(dport=444)),
    ("permit tcp any host 10.0.0.5 neq 22", packet(), packet(dport=22)),
    ("permit tcp any eq 40000 any", packet(), packet(sport=40001)),
    ("permit udp any any eq 443", packet(protocol=UDP), packet()),
    ("permit ip any any", packet(protocol=112, sport=0, dport=0), None),
    ("permit 112 any any", packet(protocol=112, sport=0, dport=0), packet()),
    (
        "permit icmp any any echo",
        packet(protocol=ICMP, icmp=IcmpKind(8, 0)),
        packet(protocol=ICMP, icmp=IcmpKind(0, 0)),
    ),
    ("permit icmp any any 3 4", packet(protocol=ICMP, icmp=IcmpKind(3, 4)), packet(protocol=ICMP, icmp=IcmpKind(3, 3))),
]
STATELESS = [
    ("permit tcp any any eq 443 established", packet(established=True), packet()),
    ("permit ip any any fragments", packet(fragment=True), packet()),
    # A permit with ports lets later fragments pass, since they carry none; a deny with ports does not stop them.
    ("permit tcp any host 10.0.0.5 eq 443", packet(fragment=True), packet(fragment=True, dst="10.0.0.6")),
]


def cisco(os, *entries):
    """A twin with one list of these entries bound."""
    device = BOOT[os]
    if os == "cisco_asa":
        lines = "".join(f"access-list L extended {one}\n" for one in entries)
        return f"{device}{lines}access-group L in interface inside\n"
    header = f"ip access-list {'extended ' * (os == 'cisco_ios')}L"
    numbered = "".join(f" {number * 10} {one}\n" for number, one in enumerate(entries, 1))
    return f"{device} ip access-group L in\n{header}\n{numbered}"


def port(os):
    line = next(line for line in BOOT[os].splitlines() if line.startswith("interface "))
    return line.split()[1]


@pytest.mark.parametrize("os", ["cisco_ios", "arista_eos", "cisco_nxos", "cisco_asa"])
@pytest.mark.parametrize(("entry", "passes", "fails"), CISCO_ENTRIES)
def test_an_entry_permits_what_it_says_and_nothing_else(os, entry, passes, fails):
    device = make_twin("d", os, cisco(os, entry), Login())
    assert judge(device, port(os), passes).permit
    assert fails is None or not judge(device, port(os), fails).permit
    turned = make_twin("d", os, cisco(os, entry.replace("permit", "deny"), "permit ip any any"), Login())
    assert not judge(turned, port(os), passes).permit
    assert fails is None or judge(turned, port(os), fails).permit


@pytest.mark.parametrize("os", ["cisco_ios", "arista_eos", "cisco_nxos"])
@pytest.mark.parametrize(("entry", "passes", "fails"), STATELESS)
def test_what_only_stateless_lists_have(os, entry, passes, fails):
    device = make_twin("d", os, cisco(os, entry), Login())
    assert judge(device, port(os), passes).permit
    assert not judge(device, port(os), fails).permit


def test_a_deny_with_ports_leaves_later_fragments_to_the_entries_below():
    device = make_twin("d", "cisco_ios", cisco("cisco_ios", "deny tcp any any eq 443", "permit ip any any"), Login())
    assert judge(device, port("cisco_ios"), packet(fragment=True)).permit
    assert not judge(device, port("cisco_ios"), packet()).permit


GROUPS = {
    "cisco_ios": "object-group network G\n host 10.0.0.5\n 10.2.0.0 255.255.0.0\n",
    "cisco_nxos": "object-group ip address G\n 10 host 10.0.0.5\n 20 10.2.0.0/16\n",
    "cisco_asa": "object-group network H\n network-object 10.2.0.0 255.255.0.0\n"
    "object-group network G\n network-object host 10.0.0.5\n group-object H\n",
}


@pytest.mark.parametrize("os", GROUPS)
def test_groups_hold_their_members(os):
    word = "addrgroup" if os == "cisco_nxos" else "object-group"
    text = cisco(os, f"permit tcp any {word} G eq 443").replace("ip access-list", f"{GROUPS[os]}ip access-list", 1)
    if os == "cisco_asa":
        text = f"{GROUPS[os]}{text}"
    device = make_twin("d", os, text, Login())
    for dst, expected in (("10.0.0.5", True), ("10.2.255.9", True), ("10.3.0.1", False)):
        assert judge(device, port(os), packet(dst=dst)).permit is expected


def test_a_service_group_of_an_asa_stands_for_protocol_or_ports():
    group = "object-group service S tcp\n port-object eq https\n port-object range 8000 8010\n"
    device = make_twin("d", "cisco_asa", group + cisco("cisco_asa", "permit tcp any any object-group S"), Login())
    verdicts = [judge(device, port("cisco_asa"), packet(dport=one)).permit for one in (443, 8005, 8011)]
    assert verdicts == [True, True, False]
    mixed = "object-group service M\n service-object udp destination eq domain\n service-object tcp destination eq 53\n"
    device = make_twin("d", "cisco_asa", mixed + cisco("cisco_asa", "permit object-group M any any"), Login())
    assert judge(device, port("cisco_asa"), packet(protocol=UDP, dport=53)).permit
    assert not judge(device, port("cisco_asa"), packet(protocol=UDP, dport=54)).permit


def test_the_global_list_of_an_asa_goes_on_where_the_interface_ends():
    text = cisco("cisco_asa", "permit tcp any any eq 443")
    text += "access-list W extended permit tcp any any eq 22\naccess-group W global\n"
    device = make_twin("d", "cisco_asa", text, Login())
    assert [judge(device, port("cisco_asa"), packet(dport=one)).permit for one in (443, 22, 80)] == [True, True, False]


FILTER = "set firewall family inet filter F term "
BIND = "set interfaces ge-0/0/1 unit 0 family inet filter input F\n"
JUNOS_TERMS = [
    (["a from protocol tcp", "a from destination-port https", "a then accept"], packet(), packet(dport=22)),
    (["a from destination-address 10.0.0.0/24", "a from destination-address 10.0.0.5/32 except", "a then accept"],
     packet(dst="10.0.0.6"), packet()),
    (["a from source-prefix-list P", "a then accept"], packet(), packet(src="10.1.2.1")),
    (["a from tcp-established", "a from protocol tcp", "a then accept"], packet(established=True), packet()),
    (["a from protocol icmp", "a from icmp-type echo-request", "a then accept"],
     packet(protocol=ICMP, icmp=IcmpKind(8, 0)), packet(protocol=ICMP, icmp=IcmpKind(0, 0))),
    (["a from is-fragment", "a then accept"], packet(fragment=True), packet()),
    (["a then count all", "a then next term", "b from protocol tcp", "b then accept"], packet(), packet(protocol=UDP)),
    (["a from protocol udp", "a then reject", "b then log", "b then accept"], packet(), packet(protocol=UDP)),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "passes", "fails"), JUNOS_TERMS)
def test_a_term_of_junos_permits_what_it_says_and_the_end_discards(terms, passes, fails):
    text = (
        JUNOS + "set policy-options prefix-list P 10.1.1.0/24\n" + "".join(f"{FILTER}{one}\n" for one in terms) + BIND
    )
    device = make_twin("d", "juniper_junos", text, Login())
    assert judge(device, "ge-0/0/1", passes).permit
    assert not judge(device, "ge-0/0/1", fails).permit
    assert judge(device, "ge-0/0/2", fails).permit, "nothing is bound there"


# ---- lines -----------------------------------------------------------------------------------

REFUSED = [
    ("cisco_ios", "ip access-list extended L\npermit xcp any any", "% Invalid input detected at '^' marker."),
    ("cisco_ios", "ip access-list extended L\npermit tcp any", "% Incomplete command."),
    ("cisco_ios", "ip access-list extended L\npermit tcp any any eq 70000", "% Invalid input detected"),
    ("cisco_ios", "ip access-list extended L\n10 permit ip any any\n10 deny ip any any", "% Duplicate sequence number"),
    ("cisco_ios", "interface GigabitEthernet0/9", "% Invalid input detected"),
    ("arista_eos", "ip access-list L\npermit tcp any any established log extra", "% Invalid input"),
    ("arista_eos", "ip access-list L\npermit tcp any 10.0.0.0/33", "% Invalid input"),
    ("arista_eos", "ip access-list L\npermit", "% Incomplete command"),
    ("cisco_nxos", "ip access-list L\npermit tcp any any eq 80 443", "% Invalid command at '^' marker."),
    ("cisco_nxos", "ip access-list L\npermit", "% Incomplete command at '^' marker."),
    ("cisco_asa", "access-list L extended permit tcp any any established", "ERROR: % Invalid input detected"),
    ("cisco_asa", "access-list L extended permit tcp any 10.0.0.0 0.0.0.255", "ERROR: % Invalid input detected"),
    ("cisco_asa", "access-group NONE in interface inside", "ERROR: access-list <NONE> does not exist"),
    ("juniper_junos", "set firewall family inet filter F term a from protocl tcp", "syntax error."),
    ("juniper_junos", "set firewall family inet filter F term a", "missing argument."),
    ("juniper_junos", "set interfaces ge-0/0/1 unit 0 family inet filter input NONE\ncommit check",
     "Referenced filter 'NONE' is not defined"),
]  # fmt: skip


@pytest.mark.parametrize(("os", "lines", "words"), REFUSED)
def test_a_line_is_refused_in_the_words_of_its_os_and_changes_nothing_there(os, lines, words):
    keyboard = Keyboard(os, BOOT[os])
    *before, last = lines.splitlines()
    enter = "configure" if os == "juniper_junos" else "configure terminal"
    said = keyboard.type("\n".join([enter, *before]))
    assert words not in said
    state = keyboard.device.running.text()
    assert words in keyboard.type(last)
    assert keyboard.device.running.text() == state


def test_the_mark_stands_under_the_word():
    keyboard = Keyboard("cisco_ios", IOS)
    keyboard.type("configure terminal\nip access-list extended L")
    typed, mark, *_ = keyboard.type("permit tcp any bad any").splitlines()
    prompt = "r1(config-ext-nacl)#"
    assert typed == "permit tcp any bad any"
    assert mark.index("^") == len(prompt) + typed.index("bad")


def test_lists_are_printed_in_the_words_of_the_os():
    shown = {}
    for os in ("cisco_ios", "arista_eos", "cisco_nxos"):
        keyboard = Keyboard(os, BOOT[os])
        header = f"ip access-list {'extended ' * (os == 'cisco_ios')}L"
        host = "10.0.0.5/32" if os == "cisco_nxos" else "10.0.0.5 0.0.0.0"
        keyboard.type(f"configure terminal\n{header}\npermit tcp any {host} eq 80\npermit 6 any any eq 22\nend")
        shown[os] = [line.strip() for line in keyboard.show("show running-config").splitlines()]
    assert "10 permit tcp any host 10.0.0.5 eq www" in shown["cisco_ios"]
    assert "20 permit tcp any any eq 22" in shown["cisco_ios"]
    assert "20 permit tcp any any eq ssh" in shown["arista_eos"]
    assert "10 permit tcp any 10.0.0.5/32 eq www" in shown["cisco_nxos"]


def test_an_asa_takes_a_line_at_its_place_and_unbinds_a_list_with_its_last_entry():
    keyboard = Keyboard("cisco_asa", cisco("cisco_asa", "permit tcp any any eq 443", "deny ip any any"))
    keyboard.type("configure terminal\naccess-list L line 2 extended permit tcp any any eq 22")
    lines = keyboard.device.running.text().splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("access-list")] == ["https", "ssh", "any"]
    for entry in ("permit tcp any any eq 443", "permit tcp any any eq 22", "deny ip any any"):
        assert "access-group" in keyboard.device.running.text()
        assert "ERROR" not in keyboard.type(f"no access-list L extended {entry}")
    assert "access-group" not in keyboard.device.running.text()


def test_long_output_comes_in_pages():
    keyboard = Keyboard("cisco_ios", cisco("cisco_ios", *["permit ip any any log"] * 40))
    keyboard.shell.page = 24
    first = keyboard.type("show running-config")
    assert first.endswith(" --More-- ")
    for _ in range(3):
        keyboard.shell.key(" ")
    assert "".join(keyboard.output).endswith("r1#")
    assert not keyboard.shell.rest


# ---- sessions, candidates, timers ------------------------------------------------------------

EOS_LINES = "ip access-list L\npermit tcp any any eq 443\nexit\ninterface Ethernet1\nip access-group L in\n"


def test_a_session_counts_at_its_commit_and_not_before():
    keyboard = Keyboard("arista_eos", EOS)
    keyboard.type(f"configure session one\n{EOS_LINES}")
    assert keyboard.device.running.text() == keyboard.device.states[0]
    keyboard.type("abort")
    assert (keyboard.device.sessions, len(keyboard.device.states)) == ({}, 1)
    keyboard.type(f"configure session one\n{EOS_LINES}commit")
    assert (len(keyboard.device.states), keyboard.shell.prompt) == (2, "s1#")


@pytest.mark.parametrize(
    ("os", "apply", "confirm"),
    [
        ("arista_eos", f"configure session one\n{EOS_LINES}commit timer 00:05:00", "configure session one commit"),
        (
            "cisco_ios",
            "configure terminal revert timer 5\nip access-list extended L\npermit ip any any\nend",
            "configure confirm",
        ),
        (
            "juniper_junos",
            f"configure exclusive\n{FILTER}a then accept\n{BIND}commit confirmed 5\nexit",
            "configure\ncommit\nexit",
        ),
    ],
)
def test_a_timer_that_runs_out_goes_back_and_one_that_is_confirmed_does_not(os, apply, confirm, monkeypatch):
    keyboard = Keyboard(os, BOOT[os])
    first = keyboard.device.running.text()
    keyboard.type(apply)
    assert (keyboard.minutes, keyboard.device.running.text() == first) == (5, False)
    keyboard.run_out()
    assert keyboard.device.running.text() == first
    assert keyboard.device.sessions == {}
    confirmed = []
    monkeypatch.setattr(keyboard.device, "confirm", lambda: confirmed.append(True) or True)
    keyboard.type(apply)
    assert confirmed == []
    keyboard.type(confirm)
    assert confirmed == [True]
    assert keyboard.device.running.text() != first


def test_what_was_not_saved_is_gone_after_a_reload_and_a_second_login_sees_what_runs():
    keyboard = Keyboard("cisco_ios", IOS)
    keyboard.type("configure terminal\nip access-list extended L\npermit ip any any\nend\nwrite memory")
    keyboard.type("configure terminal\nno ip access-list extended L\nend")
    second = keyboard.login()
    assert "permit ip" not in second.command("show running-config")
    keyboard.device.reload()
    assert not keyboard.shell.open
    assert "permit ip" in keyboard.login().command("show running-config")


@pytest.mark.parametrize(
    ("os", "lock", "enter", "words"),
    [
        ("cisco_ios", "configure terminal lock", "configure terminal", "Configuration mode locked exclusively by user"),
        ("arista_eos", "configure lock", "configure session x", "configuration is locked by user"),
        ("juniper_junos", "configure exclusive", "configure", "error: configuration database locked by:"),
    ],
)
def test_a_lock_keeps_others_out_until_its_holder_is_gone(os, lock, enter, words):
    keyboard = Keyboard(os, BOOT[os])
    keyboard.type(lock)
    other = keyboard.login()
    assert words in keyboard.type(enter, other)
    keyboard.shell.drop()
    assert words not in keyboard.type(enter, other)


@pytest.mark.parametrize(
    ("os", "text", "words"),
    [
        (
            "cisco_ios",
            "ip access-list extended L\n permit tcp any any equal 5\n",
            "'permit tcp any any equal 5', column 19",
        ),
        ("cisco_asa", "access-list L extended permit tcp any any established\n", "column 42"),
        ("juniper_junos", "set firewall family inet filter F term a from protocl tcp\n", "word"),
        ("juniper_junos", "set security policies default-policy deny-all\n", "word 0"),
        ("juniper_junos", "set vlans v10 filter input F\n", "word 2"),
    ],
)
def test_a_boot_configuration_that_the_os_would_not_take_is_refused(os, text, words):
    with pytest.raises(LabError, match=f"twin d cannot boot: {os} would not take its configuration: .*{words}"):
        make_twin("d", os, BOOT[os] + text, Login())


def test_what_junos_says_beside_filters_is_kept_and_shown_in_its_order():
    said = "set version 22.4R3.25\nset chassis aggregated-devices ethernet device-count 2\nset snmp community c\n"
    device = make_twin("d", "juniper_junos", BOOT["juniper_junos"] + said, Login())
    lines = device.running.lines(())
    assert lines[0] == "set version 22.4R3.25"
    assert lines.index("set chassis aggregated-devices ethernet device-count 2") < lines.index("set snmp community c")
    keyboard = Keyboard("juniper_junos", BOOT["juniper_junos"] + said)
    keyboard.type("configure\nset version 23.2R1")
    assert [line for line in keyboard.type("show | compare").splitlines() if "version" in line] == [
        "- set version 22.4R3.25", "+ set version 23.2R1",
    ]  # fmt: skip


# ---- what a twin is not ----------------------------------------------------------------------


def test_a_system_without_a_twin_is_named_with_those_that_have_one():
    with pytest.raises(
        LabError, match="no twin of 'vyos' \\(twins: arista_eos, cisco_asa, cisco_ios, cisco_nxos, juniper"
    ):
        make_twin("d", "vyos", "", Login())


def test_twins_load_neither_platforms_nor_packet_sets():
    names = [f"toolkit.lab.twins.{one.name}" for one in pkgutil.iter_modules(twins.__path__)]
    assert len(names) > 10
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not [one for one in loaded if one.startswith(("toolkit.platforms", "toolkit.packets", "toolkit.policy"))]
    assert importlib.import_module("toolkit.lab.twins.server") is not None
