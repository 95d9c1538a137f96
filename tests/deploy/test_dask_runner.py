"""The runner on Dask gives what the threads runner gives: on a cluster of two processes on loopback."""

from __future__ import annotations

import builtins
import os
import threading

import pytest

pytest.importorskip("distributed", reason="the extra 'dask' is not installed: pip install 'toolkit[dask]'")

from nornir import InitNornir
from nornir.core.exceptions import NornirExecutionError, NornirSubTaskError
from nornir.core.plugins.connections import ConnectionPluginRegister

from tests.deploy import dask_tasks as tasks
from tests.deploy.twin_fleet import enter_fleet, make_fleet
from toolkit import deploy
from toolkit.deploy.dask_runner import DaskRunner
from toolkit.deploy.parcel import NotSentError
from toolkit.errors import DeployError
from toolkit.site import DeploySettings

HOSTS = "".join(
    f"h{n}:\n  hostname: 127.0.0.{n}\n  groups: [g]\n  data: {{old: 1, own: {n}}}\n" for n in (5, 3, 1, 2, 4)
)
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def dask():
    runner = DaskRunner(processes=2, threads=2)
    yield runner
    runner.close()


@pytest.fixture
def make(tmp_path):
    """Nornir over five hosts, not in the order of their names."""
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    (tmp_path / "groups.yaml").write_text("g:\n  platform: linux\n  data: {where: here}\n")

    def one(runner=None, *, dry_run=False, **options):
        inventory = {"host_file": str(tmp_path / "hosts.yaml"), "group_file": str(tmp_path / "groups.yaml")}
        nornir = InitNornir(
            inventory={"plugin": "SimpleInventory", "options": inventory},
            runner=options or {"plugin": "threaded", "options": {"num_workers": 3}},
            logging={"enabled": False},
            dry_run=dry_run,
        )
        return nornir.with_runner(runner) if runner else nornir

    return one


def told(result):
    """A result as plain values: order, names, texts, failures; addresses of objects apart."""
    return [
        (
            name,
            many.failed,
            many.changed,
            [
                (
                    one.name,
                    one.result if not one.failed or one.exception is None else "",
                    one.failed,
                    one.changed,
                    one.diff,
                    one.severity_level,
                    type(one.exception),
                    str(one.exception),
                )
                for one in many
            ],
        )
        for name, many in result.items()
    ]


class Diary:
    """A processor that writes down what it is told."""

    def __init__(self):
        self.pages = {}

    def say(self, what, task, host, *words):
        self.pages.setdefault(host and host.name, []).append((what, task.name, *words))

    def task_started(self, task):
        self.say("started", task, None)

    def task_completed(self, task, result):
        self.say("completed", task, None, list(result))

    def task_instance_started(self, task, host):
        self.say("instance started", task, host)

    def task_instance_completed(self, task, host, result):
        self.say("instance completed", task, host, result.failed, [one.name for one in result])

    def subtask_instance_started(self, task, host):
        self.say("subtask started", task, host, dict(task.params))

    def subtask_instance_completed(self, task, host, result):
        self.say("subtask completed", task, host, str(result[0].result)[:9], result is not None)


# ---- the same as threads -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (tasks.numbers, {"factor": 3}),
        (tasks.outer, {"what": "x"}),
        (tasks.fails, {}),
        (tasks.sees_the_inventory, {}),
        (tasks.runs_on_all, {}),
    ],
)
def test_results_failures_and_their_order(dask, make, task, arguments):
    threads, spread = make(), make(dask)
    one, other = (nornir.run(task=task, **arguments) for nornir in (threads, spread))
    assert told(other) == told(one)
    assert list(other) == ["h5", "h3", "h1", "h2", "h4"]
    assert spread.data.failed_hosts == threads.data.failed_hosts
    for name, many in other.items():
        assert all(part.host is spread.inventory.hosts[name] for part in many)


def test_it_runs_in_other_processes(dask, make):
    found = {one.result for one in make(dask).run(task=tasks.where).values()}
    assert found
    assert os.getpid() not in found


def test_a_lambda_and_a_function_of_this_file_travel(dask, make):
    add = 1
    found = make(dask).run(task=lambda task: task.host["own"] + add, name="plus")
    assert {name: many[0].result for name, many in found.items()} == {f"h{n}": n + 1 for n in range(1, 6)}


def test_an_exception_is_the_one_that_was_raised(dask, make):
    found = make(dask).run(task=tasks.outer, what="x")["h3"]
    assert isinstance(found[0].exception, NornirSubTaskError)
    assert found[0].exception.result[0].exception is found[1].exception
    assert type(found[1].exception) is tasks.OddError
    assert (str(found[1].exception), found[1].exception.code) == ("h3 says 42", 42)
    assert "OddError" in found[1].result  # its traceback, as text
    with pytest.raises(NornirExecutionError):
        make(dask).run(task=tasks.outer, what="x", raise_on_error=True)


def test_failed_hosts_are_left_out_next_time(dask, make):
    nornir = make(dask)
    nornir.run(task=tasks.outer, what="x")
    assert list(nornir.run(task=tasks.numbers)) == ["h5", "h1", "h2", "h4"]
    assert list(nornir.run(task=tasks.numbers, on_good=False, on_failed=True)) == ["h3"]


def test_what_a_task_writes_into_a_host_comes_back(dask, make):
    nornir = make(dask, dry_run=True)
    found = nornir.run(task=tasks.writes)
    nornir.run(task=tasks.writes)
    assert all(many[0].result is True for many in found.values())
    for name, host in nornir.inventory.hosts.items():
        assert host.data == {"own": int(name[1:]), "seen": [name, name]}
    assert make(dask).run(task=tasks.writes)["h1"][0].result is False


def test_processors_are_told_the_same(dask, make):
    one, other = Diary(), Diary()
    make().with_processors([one]).run(task=tasks.outer, what="x")
    make(dask).with_processors([other]).run(task=tasks.outer, what="x")
    assert other.pages == one.pages
    assert len(one.pages["h1"]) == 6


def test_connections_are_closed_where_they_were_opened(dask, make, tmp_path):
    tasks.register()
    try:
        found = make(dask).run(task=tasks.uses_a_connection, file=str(tmp_path / "log"))
    finally:
        ConnectionPluginRegister.deregister("notebook")
    assert not found.failed
    for name in found:
        assert (tmp_path / f"log-{name}").read_text().split() == ["open", "use", "close"]


def test_no_hosts_is_no_work(dask, make):
    assert make(dask).filter(name="nobody").run(task=tasks.numbers) == {}


# ---- what cannot travel ------------------------------------------------------------------------
def test_an_exception_that_cannot_be_sent_is_told(dask, make):
    found = make(dask).run(task=tasks.raises_a_lock)
    for name, many in found.items():
        assert many.failed
        assert isinstance(many[0].exception, NotSentError)
        assert f"dask_tasks.LockedError: {name} is locked" in str(many[0].exception)


@pytest.mark.parametrize(("task", "at"), [(tasks.returns_a_lock, 0), (tasks.part_returns_a_lock, 1)])
def test_a_result_that_cannot_be_sent_is_a_failure(dask, make, task, at):
    nornir = make(dask)
    diary = Diary()
    found = nornir.with_processors([diary]).run(task=task)
    for many in found.values():
        assert many.failed
        assert many[at].result is None
        assert "is a lock, which cannot be sent back" in str(many[at].exception)
    assert nornir.data.failed_hosts == set(found)
    assert [page[0] for page in diary.pages["h1"]] == ["instance started", "instance completed"]


def test_what_cannot_be_sent_stays_out_of_a_hosts_data(dask, make):
    nornir = make(dask)
    assert nornir.run(task=tasks.keeps_a_lock)["h1"][0].result == "kept"
    assert "lock" not in nornir.inventory.hosts["h1"].data


def test_a_task_that_cannot_be_sent_is_refused_before_anything_runs(dask, make):
    with pytest.raises(DeployError, match="task numbers cannot be sent to a worker"):
        make(dask).run(task=tasks.numbers, factor=threading.Lock())


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the worker that is lost
def test_a_lost_worker_fails_its_hosts_and_nothing_runs_twice(make, tmp_path):
    runner = DaskRunner(processes=2, threads=1)
    try:
        found = make(runner).run(task=tasks.dies, folder=str(tmp_path))
    finally:
        runner.close()
    assert found["h1"].failed
    assert "its worker did not end task dies (KilledWorker" in found["h1"][0].result
    assert list(found) == ["h5", "h3", "h1", "h2", "h4"]
    lives = [name for name, many in found.items() if not many.failed]
    assert all(found[name][0].result == "lives" for name in lives)
    for name in ("h1", *lives):
        assert (tmp_path / name).read_text() == "ran\n"


# ---- options, and what is not safe -------------------------------------------------------------
def test_nornirs_configuration_finds_it_by_name(make):
    nornir = make(plugin="dask", options={"processes": 1, "threads": 2})
    try:
        assert isinstance(nornir.runner, DaskRunner)
        assert nornir.runner.size == (1, 2)
        assert nornir.run(task=tasks.numbers)["h4"][0].result == 4
    finally:
        nornir.runner.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": "tcp://192.0.2.7:8786"}, "is on another machine: use a tls:// address"),
        ({"address": "tls://192.0.2.7:8786"}, "is on another machine: use a tls:// address"),
        ({"address": "tcp://scheduler:8786"}, "is on another machine: use a tls:// address"),
        ({"security": {"ca_file": "x"}}, "has no 'cert'"),
        ({"security": {"ca": "x"}}, "has 'ca'"),
        ({"security": {"ca_file": "/nowhere", "cert": "x", "key": "x"}}, "the ca_file '/nowhere' is missing"),
        ({"processes": 0}, "needs processes and threads"),
    ],
)
def test_options_that_are_not_safe_or_not_understood(options, words):
    with pytest.raises(DeployError, match=words):
        DaskRunner(**options)


def test_insecure_has_to_be_said():
    assert DaskRunner("tcp://192.0.2.7:8786", insecure=True).address == "tcp://192.0.2.7:8786"


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments):
        if name == "distributed":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DeployError, match=r"pip install 'toolkit\[dask\]'"):
        DaskRunner()


def test_the_cluster_is_on_loopback_with_keys_of_its_own(dask):
    client = dask.client()
    addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
    assert all(one.startswith("tls://127.0.0.1:") for one in addresses)
    from distributed import Client

    for address in (client.scheduler.address, client.scheduler.address.replace("tls", "tcp")):
        with pytest.raises((OSError, TypeError)):
            Client(address, timeout=2, set_as_default=False)


@pytest.fixture
def cluster(tmp_path):
    """Somebody's cluster with TLS, and the files that its clients need."""
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    security = Security.temporary()
    files = {"ca_file": security.tls_ca_file, "cert": security.tls_client_cert, "key": security.tls_client_key}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    made = []

    def one(allowed):
        with dask.config.set({"distributed.scheduler.allowed-failures": allowed}):
            made.append(
                LocalCluster(
                    n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tls://", security=security,
                    dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0",
                )
            )  # fmt: skip
        return made[-1].scheduler_address, {name: str(tmp_path / name) for name in files}

    yield one
    for each in made:
        each.close()


def test_somebodys_cluster_is_used_with_its_keys(cluster, make):
    address, security = cluster(0)
    runner = DaskRunner(address, security=security)
    try:
        assert make(runner).run(task=tasks.numbers)["h5"][0].result == 5
    finally:
        runner.close()


def test_a_scheduler_that_would_run_a_task_twice_is_refused(cluster, make):
    address, security = cluster(3)
    refused = DaskRunner(address, security=security)
    with pytest.raises(DeployError, match=r"would run a task again .*allowed-failures is 3"):
        make(refused).run(task=tasks.numbers)
    reading = DaskRunner(address, security=security, rerun=True)
    try:
        assert not make(reading).run(task=tasks.numbers).failed
    finally:
        reading.close()


def test_a_scheduler_that_does_not_answer():
    with pytest.raises(DeployError, match="does not answer"):
        DaskRunner("tcp://127.0.0.1:9", timeout=2).client()


# ---- real SSH sessions -------------------------------------------------------------------------
def test_devices_are_read_over_ssh_from_the_workers(dask, tmp_path, monkeypatch):
    """Twins of IOS on loopback: what their filters are does not depend on who asks."""
    monkeypatch.delenv("TOOLKIT_ENABLE_PASSWORD", raising=False)
    settings = DeploySettings(max_devices=50)
    server, key = make_fleet("cisco_ios", 4, tmp_path, monkeypatch, settings)
    with server:
        target = enter_fleet("cisco_ios", server, key, tmp_path, monkeypatch, settings).target()
        try:
            threads = target.nornir.run(task=deploy.read_filter)
            spread = target.nornir.with_runner(dask).run(task=deploy.read_filter)
            wrong = target.nornir.with_runner(dask).run(task=deploy.read_filter, platform="linux_nftables")
        finally:
            target.close()
    assert told(spread) == told(threads)
    assert len(spread) == 4
    assert all("hostname" in many[0].result["show running-config"] for many in spread.values())
    assert all(isinstance(many[0].exception, DeployError) for many in wrong.values())
