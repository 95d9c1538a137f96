"""The journal: what a crash at any byte leaves readable, and what it tells of each device."""

from __future__ import annotations

import threading

import pytest

from toolkit.deploy.journal import BACK, FINISHED, STARTED, STOPPED, Journal, Step
from toolkit.errors import DeployError


def test_a_crash_at_any_byte_of_the_last_line_loses_that_line_only(tmp_path):
    journal = Journal(tmp_path)
    journal.write("", STARTED)
    journal.write("leaf1", Step.SENDING, startup={"boot": "old é\n"})
    whole = journal.path.read_bytes()
    journal.write("leaf1", Step.SENT, note="ü")
    full = journal.path.read_bytes()
    for end in range(len(whole), len(full)):
        journal.path.write_bytes(full[:end])
        torn = Journal(tmp_path)
        assert torn.states() == {"leaf1": "sending"}
        torn.write("leaf1", Step.SENT)
        assert torn.states() == {"leaf1": "sent"}
        assert torn.startup_before("leaf1") == {"boot": "old é\n"}


def test_a_line_damaged_in_the_middle_is_named(tmp_path):
    journal = Journal(tmp_path)
    for step in (Step.SENDING, Step.SENT):
        journal.write("leaf1", step)
    text = journal.path.read_text(encoding="utf-8")
    journal.path.write_text("{}\n" + text, encoding="utf-8")
    with pytest.raises(DeployError, match=r"journal.jsonl:1: cannot be read; the journal was damaged"):
        journal.states()


def test_a_failure_is_no_state_and_the_last_touched_comes_last(tmp_path):
    journal = Journal(tmp_path)
    assert (journal.states(), journal.unfinished) == ({}, False)
    journal.write("leaf1", Step.SENDING)
    journal.write("leaf2", Step.SENDING)
    journal.write("leaf2", Step.SENT)
    journal.write("leaf2", Step.FAILED, reason="x")
    journal.write("leaf1", Step.ROLLED_BACK)
    journal.write("leaf1", Step.SENDING)
    assert list(journal.states().items()) == [("leaf2", "sent"), ("leaf1", "sending")]


@pytest.mark.parametrize(
    ("steps", "unfinished"),
    [
        ([], False),
        ([STARTED], True),
        ([STARTED, FINISHED], False),
        ([STARTED, STOPPED], True),
        ([STARTED, STOPPED, BACK], False),
        ([STARTED, FINISHED, "rollback started"], True),
    ],
)
def test_when_a_run_is_unfinished(tmp_path, steps, unfinished):
    journal = Journal(tmp_path)
    for step in steps:
        journal.write("", step)
        journal.write("leaf1", Step.SENT)
    assert journal.unfinished is unfinished


def test_threads_do_not_mix_their_lines(tmp_path):
    journal = Journal(tmp_path)
    threads = [
        threading.Thread(target=lambda n=n: [journal.write(f"d{n}", Step.SENT, text="x" * 5000) for _ in range(10)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.entries()) == 80
    assert len(journal.states()) == 8


def test_a_listener_hears_of_a_line_when_the_file_has_it(tmp_path):
    heard = []
    journal = Journal(tmp_path, told=lambda device, step: heard.append((device, step, len(journal.entries()))))
    journal.write("", "started")
    journal.write("leaf1", Step.SENDING)
    assert heard == [("", "started", 1), ("leaf1", "sending", 2)]
