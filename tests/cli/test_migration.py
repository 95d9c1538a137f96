"""A device is replaced by one of another vendor: `toolkit compare` proves the new configuration against the old one."""

from __future__ import annotations

import pytest

from tests.cli.test_contract import ask, toolkit

SITE = ("-i", "labs/multi-vendor")
# One of the interfaces of core1, as IOS has it today, and as somebody wrote it for EOS.
IOS = """\
object-group network NODES
 host 10.10.1.11
 host 10.10.1.12
!
ip access-list extended FROM-NODES
 remark to the balancer, and answers to the administrators
 10 permit tcp object-group NODES host 10.10.2.21 eq 443
 20 permit tcp object-group NODES eq 22 10.10.30.0 0.0.0.255 established
 30 deny tcp 10.10.1.0 0.0.0.255 10.10.2.0 0.0.0.255
 40 permit udp 10.10.1.0 0.0.0.254 any eq 53
 50 permit icmp any any echo
!
interface GigabitEthernet0/1
 ip access-group FROM-NODES in
"""
EOS = """\
ip access-list from-nodes
   10 permit tcp host 10.10.1.11 eq 22 10.10.30.0/24 established
   20 permit tcp 10.10.1.12/32 eq 22 10.10.30.0/24 established
   30 permit tcp host 10.10.1.12 host 10.10.2.21 eq https
   40 permit tcp host 10.10.1.11 host 10.10.2.21 eq https
   50 deny tcp 10.10.1.0/24 10.10.2.0/24
   60 permit udp 10.10.1.0 0.0.0.254 any eq domain
   70 permit icmp any any echo
!
interface Ethernet1
   ip access-group from-nodes in
"""
RENAMED = [part for n in range(1, 6) for part in ("--interface", f"GigabitEthernet0/{n}=Ethernet{n}")]


@pytest.fixture
def migrate(tmp_path):
    def run(eos, *options):
        for name, text in (("ios", IOS), ("eos", eos)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "core1.cfg").write_text(text, encoding="utf-8")
        folders = (str(tmp_path / "ios"), str(tmp_path / "eos"))
        return ask("compare", *folders, "--after-platform", "arista_eos", *(options or RENAMED), *SITE)

    return run


def test_another_language_order_and_interface_and_the_same_meaning(migrate):
    code, found = migrate(EOS)
    assert (code, found["equal"], found["devices"]) == (0, True, ["core1"])


@pytest.mark.parametrize(
    ("old", "new", "kind", "witness"),
    [
        ("eq https\n   50", "\n   50", "newly_permitted", {"protocol": "tcp", "src": "10.10.1.11", "dst": "10.10.2.21"}),
        ("   60 permit udp 10.10.1.0 0.0.0.254", "   60 permit udp 10.10.1.0/24", "newly_permitted", {"protocol": "udp", "dport": 53}),
        ("   20 permit tcp 10.10.1.12/32 eq 22 10.10.30.0/24 established\n", "", "newly_denied", {"src": "10.10.1.12", "sport": 22}),
        ("any echo", "any echo-reply", "newly_denied", {"protocol": "icmp", "icmp": "8/0"}),
    ],
)  # fmt: skip
def test_a_slip_in_the_migration_is_a_packet(migrate, old, new, kind, witness):
    assert old in EOS
    code, found = migrate(EOS.replace(old, new))
    assert code == 3
    rows = [row for row in found["differences"] if row["kind"] == kind]
    assert {row["interface"] for row in rows} == {"GigabitEthernet0/1"}
    assert witness.items() <= rows[0]["witness"].items()


def test_without_the_new_names_an_unbound_list_is_no_filter(migrate):
    code, found = migrate(EOS, "--interface", "GigabitEthernet0/2=Ethernet2")
    assert code == 3
    assert [row["kind"] for row in found["differences"]] == ["newly_permitted"]
    assert "FROM-NODES" in found["differences"][0]["before"]


@pytest.mark.parametrize("wrong", ["Ethernet1", "Nowhere=Ethernet1", "GigabitEthernet0/1="])
def test_names_that_are_no_pair(migrate, wrong):
    done = toolkit("compare", "recorded", "recorded", "--interface", wrong, *SITE)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--interface {wrong!r}: write OLD=NEW; OLD is one of " in done.stderr
