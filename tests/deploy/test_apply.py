"""Apply and rollback over real SSH: what is sent, what is refused, and what a failure leaves behind."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Address

import pytest

from tests.deploy.fleet import DEVICES, DONE, NEW, OLD, UNTOUCHED, CrashError
from toolkit import deploy
from toolkit.deploy.journal import lock
from toolkit.errors import DeployError, DeviceError, LockedError, ProofError

# ---- forwards --------------------------------------------------------------------------------


def test_a_plan_sends_nothing_and_an_apply_changes_filter_and_startup(fleet):
    plan = fleet.plan()
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)
    outcome = fleet.apply(plan)
    assert sorted(outcome.changed) == sorted(DEVICES)
    assert (fleet.filters(), fleet.startups()) == (DONE, DONE)
    assert {device: fleet.loads(device) for device in DEVICES} == dict.fromkeys(DEVICES, 1)


def test_the_canary_comes_first_and_then_the_waves(fleet):
    order = []
    fleet.on_verify = order.append
    fleet.apply(fleet.plan())
    assert (order[0], order[1], sorted(order[2:])) == ("leaf2", "leaf1", ["fw1", "fw2"])


def test_a_wave_may_be_a_group_of_the_inventory(fleet):
    settings = fleet.site.file.deploy
    fleet.limit(settings.model_copy(update={"canary": ("fw2",), "waves": (("leaf_switches",), ("linux_devices",))}))
    assert fleet.plan().waves == (("fw2",), ("leaf1", "leaf2"), ("fw1",)), "each device once, where it comes first"


def test_a_second_apply_sends_nothing(fleet):
    plan = fleet.plan()
    fleet.apply(plan)
    again = fleet.apply(plan)
    assert again.changed == []
    assert sorted(again.unchanged) == sorted(DEVICES)
    assert fleet.loads("leaf2") == 1
    assert fleet.plan().changed == ()


def test_the_journal_is_written_before_each_step(fleet):
    plan = fleet.plan()
    fleet.apply(plan)
    assert fleet.steps(plan, "leaf1") == ["sending", "sent", "verified", "saving", "saved"]
    whole = [one.step for one in deploy.Journal(fleet.runs / plan.id).entries() if not one.device]
    assert whole == ["started", "finished"]


def test_only_what_differs_is_sent(fleet):
    outcome = fleet.apply(fleet.plan({"leaf1": OLD, "fw1": OLD}))
    assert sorted(outcome.changed) == ["fw2", "leaf2"]
    assert (fleet.loads("leaf1"), fleet.loads("fw1")) == (0, 0)


# ---- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [None, "lenient"])
def test_a_rejected_line_stops_and_rolls_back_also_where_the_device_exits_0(fleet, mark):
    if mark:
        (fleet.folder("leaf1") / mark).touch()
    plan = fleet.plan({"leaf1": "good\nbad line\n"})
    with pytest.raises(DeviceError, match=r"leaf1 .*stdin:2: Error: syntax error.*\(rolled back: leaf1, leaf2\)"):
        fleet.apply(plan)
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)
    assert (fleet.loads("fw1"), fleet.loads("fw2")) == (0, 0)


def test_a_failed_proof_rolls_back_and_is_told_as_one(fleet):
    fleet.problems = {"fw1": ["extra_permitted: tcp 1.2.3.4:5 -> 6.7.8.9:10"]}
    with pytest.raises(ProofError, match="fw1 does not do what its policy asks: extra_permitted"):
        fleet.apply(fleet.plan())
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)


def test_a_device_that_does_not_keep_what_was_sent_is_found(fleet):
    (fleet.folder("leaf1") / "forgetful").touch()
    plan = fleet.plan()
    with pytest.raises(DeployError, match="leaf1 does not hold what was sent; not everything could be rolled back"):
        fleet.apply(plan)
    assert fleet.running("leaf2") == OLD, "the others are rolled back all the same"
    (fleet.folder("leaf1") / "forgetful").unlink()
    assert fleet.rollback(plan).rolled_back == ["leaf1"]
    assert fleet.filters() == UNTOUCHED


def test_a_read_only_device_is_named_with_the_remedy(fleet):
    (fleet.folder("leaf1") / "readonly").touch()
    with pytest.raises(DeployError, match=r"leaf1 is read-only for this user: Error: Operation not permitted; use an"):
        fleet.apply(fleet.plan())
    assert fleet.running("leaf2") == OLD


@pytest.mark.parametrize("moment", ["cut_before", "cut_after"])
def test_a_session_that_is_cut_while_sending_is_rolled_back_over_another(fleet, moment):
    (fleet.folder("fw1") / moment).touch()
    with pytest.raises(DeviceError, match=r"fw1: the session broke.*\(rolled back: fw1, fw2, leaf1, leaf2\)"):
        fleet.apply(fleet.plan())
    assert not (fleet.folder("fw1") / moment).exists()
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)


def test_a_bug_in_the_verification_rolls_back_too(fleet):
    def broken(_):
        raise ZeroDivisionError

    plan = fleet.plan()
    fleet.on_verify = broken
    with pytest.raises(ZeroDivisionError) as caught:
        fleet.apply(plan)
    assert caught.value.__notes__ == ["rolled back: leaf2"]
    assert fleet.filters() == UNTOUCHED


# ---- refusals --------------------------------------------------------------------------------


def test_a_moved_state_is_refused_before_anything_is_sent(fleet):
    plan = fleet.plan()
    (fleet.folder("fw2") / "running").write_text("somebody else's rule\n", encoding="utf-8")
    with pytest.raises(DeployError, match="fw2 has changed since the plan was made"):
        fleet.apply(plan)
    assert fleet.running("leaf2") == OLD
    assert not (fleet.runs / plan.id / "journal.jsonl").exists()


def test_a_state_that_moves_while_the_apply_runs_is_seen_before_the_first_line(fleet):
    def meddle(device):
        if device == "leaf2":
            (fleet.folder("fw1") / "running").write_text("somebody else's rule\n", encoding="utf-8")

    plan = fleet.plan()
    fleet.on_verify = meddle
    with pytest.raises(DeployError, match="fw1 has changed since"):
        fleet.apply(plan)
    assert fleet.filters() == UNTOUCHED | {"fw1": "somebody else's rule\n"}
    assert fleet.loads("fw1") == 0


def test_a_device_that_holds_the_candidate_without_us_has_moved(fleet):
    plan = fleet.plan()
    (fleet.folder("leaf2") / "running").write_text(NEW, encoding="utf-8")
    with pytest.raises(DeployError, match="leaf2 has changed since"):
        fleet.apply(plan)


def test_more_devices_than_the_site_allows(fleet):
    plan = fleet.plan()
    settings = fleet.site.file.deploy.model_copy(update={"max_devices": 3})
    fleet.limit(settings)
    with pytest.raises(DeployError, match=r"changes 4 devices, the site allows 3 at once \(deploy.max_devices\)"):
        fleet.apply(plan, site_checked=False)
    assert fleet.filters() == UNTOUCHED


def test_a_changed_inventory_makes_a_plan_old(fleet):
    plan = fleet.plan()
    fleet.limit(fleet.site.file.deploy.model_copy(update={"canary": ()}))
    with pytest.raises(DeployError, match="the specs or the inventory changed since plan"):
        fleet.apply(plan)


def test_one_apply_at_a_time_and_the_holder_is_named(fleet):
    plan = fleet.plan()
    with lock(fleet.runs, "apply abc123"), pytest.raises(LockedError) as caught:
        fleet.apply(plan)
    assert "another change is under way: apply abc123, process " in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    assert fleet.filters() == UNTOUCHED
    fleet.apply(plan)
    assert fleet.filters() == DONE


def test_without_a_certificate_nothing_is_sent(fleet):
    plan = fleet.plan()
    with pytest.raises(
        DeployError, match=f"has no lab certificate; rehearse it with: toolkit lab run --plan {plan.id}"
    ):
        fleet.apply(plan, without_lab=False)
    assert fleet.filters() == UNTOUCHED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"levels": dict.fromkeys(DEVICES, "policy")}, "was rehearsed at level 'policy', the site asks for 'os'"),
        ({"levels": {"leaf1": "os"}}, "was rehearsed at level 'none'"),
        ({"levels": dict.fromkeys(DEVICES, "superb")}, "was rehearsed at level 'superb'"),
        ({"fingerprint": "0" * 64}, "is for another plan"),
        ({"phase": "steady"}, "is for another plan, phase"),
        ({"version": "0.0.1"}, "phase or version"),
        ({"levels": 7}, "was damaged"),
    ],
)
def test_a_certificate_that_does_not_cover_the_plan(fleet, change, said):
    plan = fleet.plan()
    fleet.need("lines", "os")
    body = deploy.certify(plan, dict.fromkeys(DEVICES, "os"), fleet.runs / plan.id)
    (fleet.runs / plan.id / "certificate.json").write_text(json.dumps(body | change), encoding="utf-8")
    with pytest.raises(DeployError, match=said):
        fleet.apply(plan, without_lab=False, site_checked=False)
    assert fleet.filters() == UNTOUCHED


def test_a_certificate_that_covers_the_plan(fleet):
    fleet.need("lines", "twin")
    plan = fleet.plan()
    deploy.certify(plan, dict.fromkeys(DEVICES, "twin"), fleet.runs / plan.id)
    assert len(fleet.apply(plan, without_lab=False).changed) == 4


@pytest.mark.parametrize("flag", ["without_lab", "rehearsal"])
def test_going_without_a_certificate_is_in_the_journal(fleet, flag):
    plan = fleet.plan()
    fleet.apply(plan, **({"without_lab": False} | {flag: True}))
    started = deploy.Journal(fleet.runs / plan.id, rehearsal=flag == "rehearsal").entries()[0]
    assert started.detail[flag] is True


def test_what_was_done_to_a_lab_is_not_taken_for_what_was_done_to_production(fleet):
    for device in DEVICES:
        (fleet.folder(device) / "boot").unlink()
    plan = fleet.plan()
    fleet.apply(plan, rehearsal=True)
    fleet.reset()  # the lab is gone, and here is production
    assert fleet.rollback(plan).rolled_back == []
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)
    assert len(fleet.apply(plan).changed) == 4
    assert fleet.steps(plan, "leaf1") == ["sending", "sent", "verified", "saving", "saved"]


def test_a_lab_that_was_killed_stands_in_nobodys_way(fleet):
    def die(_):
        raise CrashError

    plan = fleet.plan()
    fleet.on_verify = die
    with pytest.raises(CrashError):
        fleet.apply(plan, rehearsal=True)
    fleet.on_verify = None
    fleet.reset()  # the next lab
    assert len(fleet.apply(plan, rehearsal=True).changed) == 4
    assert sorted(fleet.rollback(plan, rehearsal=True).rolled_back) == sorted(DEVICES)
    assert (fleet.filters(), fleet.startups()) == (UNTOUCHED, UNTOUCHED)
    assert len(fleet.apply(plan).changed) == 4


def test_the_same_drift_is_repaired_as_often_as_it_comes_back(fleet):
    fleet.apply(fleet.plan())
    identifiers = set()
    for _ in range(2):
        (fleet.folder("leaf1") / "running").write_text("a rule less\n", encoding="utf-8")
        plan = fleet.plan()
        identifiers.add(plan.id)
        assert fleet.apply(plan, save_anyway=True).changed == ["leaf1"]
        assert (fleet.filters(), fleet.startups()) == (DONE, DONE)
    assert len(identifiers) == 1
    assert fleet.steps(plan, "leaf1") == ["sending", "sent", "verified", "saving", "saved"] * 2


# ---- startup and sessions --------------------------------------------------------------------


def test_startup_is_left_alone_where_it_differed_before_unless_asked(fleet):
    (fleet.folder("leaf1") / "boot").write_text("not what runs\n", encoding="utf-8")
    plan = fleet.plan()
    outcome = fleet.apply(plan)
    assert outcome.notes == ["leaf1: startup differed from running before, so it was not saved"]
    assert fleet.startups() == DONE | {"leaf1": "not what runs\n"}
    fleet.rollback(plan)
    assert fleet.startups() == UNTOUCHED | {"leaf1": "not what runs\n"}
    fleet.apply(plan, save_anyway=True)
    assert fleet.startups() == DONE
    fleet.rollback(plan)
    assert fleet.startups() == UNTOUCHED | {"leaf1": "not what runs\n"}


def test_startup_is_not_saved_when_told_so(fleet):
    fleet.apply(fleet.plan(), save=False)
    assert (fleet.filters(), fleet.startups()) == (DONE, UNTOUCHED)


def test_a_firewall_whose_sessions_cannot_be_read_is_refused_before_anything_is_sent(fleet):
    (fleet.folder("fw1") / "sessions").unlink()
    with pytest.raises(DeviceError, match="fw1 refused: cat: sessions: No such file"):
        fleet.apply(fleet.plan())
    assert fleet.filters() == UNTOUCHED
    assert fleet.loads("leaf2") == 0


def test_only_denied_sessions_are_ended_and_only_on_stateful_devices(fleet):
    listing = (
        "tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=40000 dport=443 src=10.0.0.2 dst=10.0.0.1 "
        "sport=443 dport=40000 [ASSURED] mark=0 use=1\n"
        "tcp      6 431999 ESTABLISHED src=10.0.0.3 dst=10.0.0.2 sport=40001 dport=22 src=10.0.0.2 dst=10.0.0.3 "
        "sport=22 dport=40001 [ASSURED] mark=0 use=1\n"
    )
    for device in DEVICES:
        (fleet.folder(device) / "sessions").write_text(listing, encoding="ascii")
    fleet.end_with(lambda packet: f"echo {packet.src} {packet.dport} >> ended")
    outcome = fleet.apply(fleet.plan(), stale=lambda _device, packet, _state: packet.src == IPv4Address("10.0.0.3"))
    assert outcome.ended_sessions == 2
    ended = {d: (fleet.folder(d) / "ended").read_text() for d in DEVICES if (fleet.folder(d) / "ended").exists()}
    assert ended == dict.fromkeys(("fw1", "fw2"), "10.0.0.3 22\n")
