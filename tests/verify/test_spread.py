"""Rendering and proofs spread over processes, or over the workers of a Dask cluster, give what one process gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks.brownfield_site import write_brownfield
from toolkit.errors import ConfigError, InputError, PolicyError
from toolkit.render.spread import processes
from toolkit.render.work import Work
from toolkit.verify.configs import read_configs, verify_states
from toolkit.verify.spread import verify_spread


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A few routers with lists of another team, and devices of our own around them."""
    return write_brownfield(tmp_path_factory.mktemp("site"), 3, 60)


@pytest.fixture(scope="module")
def pool():
    with processes(2) as executor:
        yield executor


@pytest.fixture
def configs(site, tmp_path):
    for device, one in Work(site).rendered.items():
        (tmp_path / f"{device}.cfg").write_text(one.candidate.text, encoding="utf-8")
    return tmp_path


def alone(site, folder):
    work = Work(site)
    states = read_configs(work.site, work.finder, work.policies, folder)
    return verify_states(work.site, work.finder, work.policies, states, work.space, work.ordinary)


def test_candidates_are_the_same(site):
    one, other = Work(site).rendered, Work(site, workers=2).rendered
    assert list(other) == list(one)
    assert len(one) == 6
    for device in one:
        assert other[device].candidate == one[device].candidate
        assert other[device].after.fingerprint() == one[device].after.fingerprint()
        assert other[device].before.text() == one[device].before.text()


def test_proofs_are_the_same(site, configs, pool):
    found = verify_spread(Work(site), configs, pool, 2)
    assert found == alone(site, configs)
    assert all(proof.equivalent for proof in found)


def broken(folder):
    """One rule of ours opened, and one entry of ours left out of somebody's list."""
    path = folder / "core.cfg"
    path.write_text(path.read_text().replace("tcp dport 2380 ", "tcp dport 2381 "))
    path = folder / "router1.cfg"
    lines = path.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if "permit tcp" in line and "remark" not in line)
    path.write_text("".join(lines[:at] + lines[at + 1 :]))


def test_a_broken_configuration_has_the_same_witnesses(site, configs, pool):
    broken(configs)
    found = verify_spread(Work(site), configs, pool, 2)
    assert found == alone(site, configs)
    assert {proof.device for proof in found if not proof.equivalent} == {"core", "router1"}


def test_errors_come_through(site, configs, pool):
    (configs / "core.cfg").write_text(
        "table inet uipath {\n\tchain x {\n\t\ttype filter hook forward priority 0;\n\t\tfrobnicate\n\t}\n}\n"
    )
    with pytest.raises(ConfigError, match=r"core.cfg:4: statement 'frobnicate' is not understood"):
        verify_spread(Work(site), configs, pool, 2)
    (configs / "core.cfg").unlink()
    with pytest.raises(InputError, match="the configuration of core is missing"):
        verify_spread(Work(site), configs, pool, 2)


def test_a_refusal_comes_through(tmp_path):
    folder = write_brownfield(tmp_path, 2, 20)
    path = folder / "configs" / "router2.cfg"
    text = path.read_text()
    path.write_text(text.replace("CORP-IN\n", "CORP-IN\n deny ip any any\n", 1))
    for workers in (1, 2):
        with pytest.raises(PolicyError, match=r"router2 .*somebody's explicit deny meets what is required"):
            _ = Work(folder, workers=workers).rendered


def test_the_command_line_says_the_same(site, configs):
    broken(configs)

    def ask(*options):
        command = [
            sys.executable,
            "-m",
            "toolkit",
            "verify",
            "-i",
            str(site),
            "--configs",
            str(configs),
            "--json",
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout

    one, other = ask(), ask("--jobs", "2")
    assert one == other
    assert one[0] == 4


@pytest.mark.xdist_group("dask")
def test_on_the_workers_of_a_cluster(site, configs):
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed: pip install 'toolkit[dask]'")
    from toolkit.deploy.dask_runner import DaskRunner

    broken(configs)
    runner = DaskRunner(processes=2, threads=1)
    try:
        found = verify_spread(Work(site), configs, runner.client().get_executor(), 2)
    finally:
        runner.close()
    assert found == alone(site, configs)
    assert sum(not proof.equivalent for proof in found) == 2
