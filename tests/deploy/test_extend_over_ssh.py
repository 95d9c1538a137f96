"""Mode extend from plan to rollback over real SSH: real nftables on a switch and a firewall of another team."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.reference_lab import need_namespaces
from toolkit.cli._existing import existing_json
from toolkit.errors import DeployError, PolicyError
from toolkit.lab.namespaces import STATE, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.net import Verdict
from toolkit.render.existing import existing_findings
from toolkit.render.work import Work

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "tests" / "sites" / "extend"


def in_lab(test, folder=SITE):
    """Run `test(lab)` in a rehearsal of a site, in a forked child; a failure there fails the test here."""
    need_namespaces()

    def body():
        with Rehearsal(Work(folder), STATE / "runs") as lab:
            test(lab)
        return 0

    assert run_inside(body) == 0, "the traceback of the child stands in the captured output"


def listing(lab, device):
    """The ruleset with handles, counters left out: what must be the same again."""
    shown = lab.lab.inside(device, ["/usr/sbin/nft", "-s", "-a", "list", "ruleset"]).stdout
    assert "chain forward" in shown
    return shown


def foreign(lab, device):
    return [line for line in listing(lab, device).splitlines() if '"uipath_forward:' not in line]


def fingerprints(lab):
    return {device: state.fingerprint() for device, state in lab.read().items()}


def test_plan_push_proof_matrix_reboot_and_rollback():
    def check(lab):
        before = {device: listing(lab, device) for device in ("sw1", "fw1")}
        first = fingerprints(lab)
        planned = lab.make_plan()
        assert "insert rule inet corp forward handle " in planned.plan.change("fw1").apply
        outcome = lab.push(planned)
        assert sorted(outcome.changed) == ["fw1", "sw1"]
        assert {device: foreign(lab, device) for device in before} == {d: t.splitlines() for d, t in before.items()}

        matrix = lab.matrix(lab.read(), None)
        assert matrix.ok, [cell for cell in matrix.cells if cell.wrong or cell.live is Verdict.INCONCLUSIVE][:3]
        live = {(cell.source, cell.destination, cell.port): cell.live for cell in matrix.cells}
        assert live["client1", "node1", 443] is live["node1", "node2", 2379] is Verdict.PERMITTED
        assert live["client1", "node1", 22] is live["jump1", "node1", 443] is Verdict.DENIED
        assert live["jump1", "node1", 3389] is Verdict.PERMITTED, "older excess is not ours to close"

        assert not lab.push(planned).changed
        assert not lab.make_plan().plan.changed
        pushed = fingerprints(lab)
        for device in ("sw1", "fw1"):
            lab.lab.reboot(device)
        assert fingerprints(lab) == pushed
        assert not lab.make_plan().plan.changed

        lab.rollback(planned)
        assert fingerprints(lab) == first
        files = lab.lab.inside("fw1", ["/bin/ls", "/etc/nftables.d"])
        assert (files.returncode, files.stdout) == (0, "")

    in_lab(check)


def test_drift_of_ours_is_repaired_and_drift_of_theirs_is_seen():
    def check(lab):
        lab.push(lab.make_plan())
        good = fingerprints(lab)
        assert "uipath_forward: tcp-443" in lab.remove_rule("fw1")
        assert lab.target.verify("fw1", lab.read()["fw1"])
        planned = lab.make_plan()
        assert planned.plan.changed == ("fw1",)
        lab.push(planned)
        assert fingerprints(lab) == good

        stop = 'insert rule inet corp forward ip daddr 10.70.1.11 tcp dport 443 drop comment "CORP-66 stop"\n'
        assert lab.lab.inside("fw1", ["/usr/sbin/nft", "-f", "-"], stop).returncode == 0
        problem = lab.target.verify("fw1", lab.read()["fw1"])[0]
        assert "required denied" in problem
        assert "CORP-66 stop" in problem
        with pytest.raises(PolicyError, match=r"fw1 eth4: .*CORP-66 stop \(handle \d+\) denies tcp 10\.80\.0\.\d+:"):
            lab.make_plan()

    in_lab(check)


def test_others_may_change_their_rules_before_and_after_a_push():
    def theirs(lab, text):
        assert lab.lab.inside("fw1", ["/usr/sbin/nft", "-f", "-"], text).returncode == 0

    def check(lab):
        planned = lab.make_plan()
        theirs(lab, 'insert rule inet corp forward tcp dport 9 accept comment "CORP-7 before"\n')
        with pytest.raises(DeployError, match="fw1 has changed since the plan was made"):
            lab.push(planned)
        planned = lab.make_plan()
        lab.push(planned)
        theirs(lab, 'insert rule inet corp forward tcp dport 10 accept comment "CORP-8 after"\n')
        assert not lab.make_plan().plan.changed
        with pytest.raises(DeployError, match="fw1 is not back in its first state; somebody else has changed it"):
            lab.rollback(planned)
        assert "uipath_forward" not in listing(lab, "fw1"), "ours are gone all the same"
        assert "CORP-7 before" in listing(lab, "fw1")
        assert "CORP-8 after" in listing(lab, "fw1")

    in_lab(check)


def test_a_plan_shows_what_passes_already_and_what_is_missing():
    def check(lab):
        planned = lab.make_plan()
        shown = existing_json(planned, "fw1", lab.work.space)["existing"]
        assert {key: len(value) for key, value in shown.items() if key != "mode"} == {
            "permitted": 2, "added": 0, "partly": 0, "missing": 1,
        }  # fmt: skip
        (missing,) = shown["missing"]
        assert missing == {
            "interface": "eth4",
            "entry": "tcp/443 10.80.0.0/24 -> 10.70.1.11, 10.70.1.12",
            "requirements": ["tcp-443"],
            "against": missing["against"],
        }
        assert missing["against"][0].startswith("CORP-999 default drop (handle ")
        ssh = next(one for one in shown["permitted"] if one["requirements"] == ["tcp-22"])
        assert ssh["by"][0].startswith("CORP-120 administrators (chain admins, handle ")
        findings = [one.message for one in existing_findings(planned.rendered.values())]
        assert any("fw1: CORP-120 administrators" in one and ":3389, which is in scope" in one for one in findings)

        lab.push(planned)
        shown = existing_json(lab.make_plan(), "fw1", lab.work.space)["existing"]
        assert [len(shown[state]) for state in ("permitted", "added", "missing")] == [2, 1, 0]

    in_lab(check)


@pytest.fixture
def quarantined(tmp_path):
    """The site with one of the clients in quarantine, and a way to override that."""
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    text = (folder / "fw1.nft").read_text(encoding="utf-8")
    (folder / "fw1.nft").write_text(text.replace("ip daddr 10.70.9.9", "ip saddr 10.80.0.66"), encoding="utf-8")

    def override(name):
        path = folder / "hosts.yaml"
        path.write_text(path.read_text(encoding="utf-8") + f"      override: [{name}]\n", encoding="utf-8")
        return folder

    override.folder = folder
    return override


def toolkit(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def test_an_explicit_deny_stops_every_verb_until_the_operator_names_it(quarantined, tmp_path):
    done = toolkit(tmp_path, "render", "-i", "site")
    assert done.returncode == 2
    assert "fw1 eth4: somebody's explicit deny meets what is required: CORP-10 quarantine (" in done.stderr
    assert "denies tcp 10.80.0.66:1024 -> 10.70.1.11:443, which tcp-443 requires" in done.stderr
    quarantined("CORP-10")
    done = toolkit(tmp_path, "render", "-i", "site", "-o", "configs")
    assert done.returncode == 0, done.stderr
    assert "warning: deny_overridden: fw1: CORP-10 quarantine" in done.stderr
    assert "insert rule inet corp forward index 2 " in (tmp_path / "configs" / "fw1.cfg").read_text(encoding="utf-8")
    assert toolkit(tmp_path, "verify", "-i", "site", "--configs", "configs").returncode == 0


def test_an_unknown_override_is_answered_with_the_choices(quarantined, tmp_path):
    quarantined("CORP-11")
    done = toolkit(tmp_path, "render", "-i", "site")
    assert done.returncode == 2
    assert "override 'CORP-11' names no explicit deny there (valid choices: " in done.stderr
    assert "'CORP-10 quarantine'" in done.stderr
    assert "'CORP-121 no telnet'" in done.stderr
    assert "CORP-999" not in done.stderr


def test_the_command_line_tells_it_in_a_table_and_in_json(tmp_path):
    need_namespaces()
    assert toolkit(tmp_path, "lab", "up", "-i", str(SITE)).returncode == 0
    try:
        inside = ("lab", "exec", "-i", str(SITE), "--", sys.executable, "-m", "toolkit")
        table = toolkit(tmp_path, *inside, "plan", "-i", str(SITE))
        assert table.returncode == 3, table.stderr
        assert "fw1 (extend), of 3 required entries: 2 permitted, 0 added, 0 partly, 1 missing" in table.stdout
        assert "info: older_excess: fw1: CORP-101 clients resolve (handle 11) permits udp 10.80." in table.stderr
        assert "info: older_excess: fw1: CORP-120 administrators" in table.stderr
        body = json.loads(toolkit(tmp_path, *inside, "plan", "-i", str(SITE), "--json").stdout)
        sw1 = next(one for one in body["devices"] if one["device"] == "sw1")
        assert sw1["existing"]["mode"] == "extend"
        assert {one["code"] for one in body["findings"]} == {"older_excess"}
    finally:
        assert toolkit(tmp_path, "lab", "down", "-i", str(SITE)).returncode == 0
