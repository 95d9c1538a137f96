"""A Nornir runner that spreads hosts over the workers of a Dask cluster: the same results as the threads runner.

In Nornir's configuration, after `pip install 'toolkit[dask]'`::

    runner:
      plugin: dask
      options: {address: "tls://scheduler:8786", security: {ca_file: ca.pem, cert: client.pem, key: client.key}}

Without an `address` a cluster of processes on this machine is made at the first run and ended with `close`, at the
latest with the program; it listens on loopback alone, and talks TLS with keys of its own, since whoever reaches a Dask
scheduler may run anything on its workers.

What differs from threads, because a connection cannot leave its process: each run opens its own, and closes them. What
a task writes into `host.data` comes back where it can be sent. A script that makes a cluster of its own needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import OrderedDict
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from toolkit.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client
    from nornir.core.inventory import Host
    from nornir.core.task import AggregatedResult, MultiResult, Task

MISSING: Final = "the runner 'dask' needs Dask's distributed: pip install 'toolkit[dask]'"
SECURITY_KEYS: Final = ("ca_file", "cert", "key")
KEPT: Final = 2  # tasks that a worker keeps unpacked


class DaskRunner:
    """Runs a task on each host, on the workers of a Dask cluster; see `nornir.core.plugins.runners.RunnerPlugin`.

    Args:
        address: the scheduler's, such as `tls://scheduler:8786`; a cluster on this machine where None.
        processes: of a cluster on this machine.
        threads: hosts at a time in each of its processes.
        security: `ca_file`, `cert` and `key`: PEM files for TLS with the scheduler.
        insecure: talk to a scheduler on another machine without TLS, hosts' passwords included.
        rerun: a task may run twice on a host whose worker was lost meanwhile. Without it such a host fails, and a
            scheduler that would run it again is refused.
        timeout: seconds to wait for the scheduler and a first worker.

    Raises:
        DeployError: an option is not understood, not safe, or Dask is not installed.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        processes: int = 2,
        threads: int = 10,
        security: Mapping[str, str] | None = None,
        insecure: bool = False,
        rerun: bool = False,
        timeout: float = 30.0,
    ) -> None:
        try:
            import distributed  # noqa: F401 - only whether it is there
        except ImportError:
            raise DeployError(MISSING) from None
        if processes < 1 or threads < 1:
            raise DeployError(f"the runner 'dask' needs processes and threads, not {processes} and {threads}")
        self.address = address
        self.size = (processes, threads)
        self.security = _security(security)
        self.rerun = rerun
        self.timeout = timeout
        self._client: Client | None = None
        self._cluster: Any = None
        self._lock = threading.Lock()
        if address is not None and not insecure:
            _check_address(address, secured=self.security is not None)

    # ---- the cluster ----------------------------------------------------------------------

    def client(self) -> Client:
        """The client of the cluster, which is made or called at the first use.

        Raises:
            DeployError: the scheduler does not answer, has no worker, or would run tasks twice.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connect() if self.address else self._start()
        return self._client

    def close(self) -> None:
        """End the connection to the cluster, and a cluster of our own."""
        with self._lock:
            for one in (self._client, self._cluster):
                if one is not None:
                    one.close()
            self._client = self._cluster = None

    def _start(self) -> Client:
        """A cluster of processes on this machine, on loopback, which nobody else's program can talk to."""
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security

        processes, threads = self.size
        security = Security.temporary()
        options: dict[str, Any] = {
            "distributed.scheduler.allowed-failures": 3 if self.rerun else 0,
            # No web pages: they tell what runs to whoever asks.
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
        with dask.config.set(options):
            self._cluster = LocalCluster(
                n_workers=processes,
                threads_per_worker=threads,
                host="127.0.0.1",
                protocol="tls://",
                security=security,
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.ERROR,
            )
            return Client(self._cluster, security=security, set_as_default=False, timeout=self.timeout)

    def _connect(self) -> Client:
        from distributed import Client

        try:
            client = Client(self.address, security=self.security, set_as_default=False, timeout=self.timeout)
            client.wait_for_workers(1, timeout=self.timeout)
            reruns = client.run_on_scheduler(_reruns)
        except (OSError, TimeoutError) as caught:
            raise DeployError(f"the Dask scheduler {self.address} does not answer: {caught}") from caught
        if reruns and not self.rerun:
            client.close()
            raise DeployError(
                f"the Dask scheduler {self.address} would run a task again whose worker was lost "
                f"(distributed.scheduler.allowed-failures is {reruns}), so a change may be sent twice; set that to 0 "
                "where the scheduler starts, or say rerun: true for tasks that only read"
            )
        return client

    # ---- running --------------------------------------------------------------------------

    def run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        """Run a task on hosts; each ends with its results, whatever happens to the others."""
        from distributed import as_completed
        from nornir.core.task import AggregatedResult

        from toolkit.deploy.parcel import pack_task

        result = AggregatedResult(task.name)
        if not hosts:
            return result
        client = self.client()
        run, parcel = uuid.uuid4().hex, pack_task(task, task.nornir)
        (shared,) = client.scatter([parcel], broadcast=True, hash=False)
        found: dict[str, MultiResult] = {}
        asked = client.map(
            run_one, [host.name for host in hosts], parcel=shared, run=run, record=bool(task.processors), pure=False
        )
        futures = dict(zip(asked, hosts, strict=True))
        try:
            for one in as_completed(asked, loop=client.loop):
                found[futures[one].name] = _received(one, task, futures[one])
                one.release()
        finally:
            client.cancel([one for one in asked if not one.done()])
        for host in hosts:
            result[host.name] = found[host.name]
        return result


def _received(future: Any, task: Task, host: Host) -> MultiResult:
    """The results of one host, with what the task wrote into its data; a failure where its worker was lost."""
    from toolkit.deploy.parcel import unpack

    try:
        results, events, written, gone = unpack(future.result(), task.nornir)
    except Exception as caught:  # noqa: BLE001 - whatever happened there is this host's failure
        return _failed(caught, task, host)
    host.data.update(written)
    for key in gone:
        host.data.pop(key, None)
    for name, *arguments in events:
        getattr(task.processors, name)(*arguments)
    found: MultiResult = results
    return found


def _failed(caught: Exception, task: Task, host: Host) -> MultiResult:
    """A host whose task did not come back."""
    from nornir.core.task import MultiResult, Result

    words = f"{host.name}: its worker did not end task {task.name} ({type(caught).__name__}: {caught})"
    one = Result(host, result=words, failed=True, exception=caught, severity_level=logging.ERROR, name=task.name)
    results = MultiResult(task.name)
    results.append(one)
    again = task.copy()
    again.host = host
    task.processors.task_instance_started(again, host)
    task.processors.task_instance_completed(again, host, results)
    return results


# ---- on a worker -----------------------------------------------------------------------------

_unpacked: OrderedDict[str, Task] = OrderedDict()
_unpacking = threading.Lock()
_SILENT: Final = logging.NullHandler()


def run_one(name: str, *, parcel: bytes, run: str, record: bool) -> bytes:
    """Run a packed task on one host; the packed results. A worker unpacks a task once for all of its hosts."""
    from nornir.core.processor import Processors

    from toolkit.deploy.channel import end_session
    from toolkit.deploy.parcel import Recorder, keepsakes, pack_results, unpack_task

    # What a task raises is in its results; without a handler Nornir's log would go to the terminal as well.
    logging.getLogger("nornir").addHandler(_SILENT)
    with _unpacking:
        if run not in _unpacked:
            _unpacked[run] = unpack_task(parcel)
            while len(_unpacked) > KEPT:
                _unpacked.popitem(last=False)
        task = _unpacked[run].copy()
    host = task.nornir.inventory.hosts[name]
    recorder = Recorder()
    task.processors = Processors([recorder] if record else [])
    before = keepsakes(host)
    try:
        results = task.start(host)
    finally:
        with suppress(Exception):  # a session that broke was an error of the task already
            end_session(host)
            host.close_connections()
    return pack_results(results, recorder.events, before, host, task.nornir)


def _reruns(dask_scheduler: Any = None) -> int:
    """How often the scheduler that this runs on gives a task of a lost worker to another one."""
    return int(dask_scheduler.allowed_failures)


# ---- options ---------------------------------------------------------------------------------


def _security(options: Mapping[str, str] | None) -> Any:
    if options is None:
        return None
    strange = sorted(set(options) - set(SECURITY_KEYS))
    missing = [key for key in SECURITY_KEYS if key not in options]
    if strange or missing:
        what = f"has {strange[0]!r}" if strange else f"has no {missing[0]!r}"
        raise DeployError(f"security of the runner 'dask' {what} (it takes: {', '.join(SECURITY_KEYS)})")
    for key, path in options.items():
        if not Path(path).is_file():
            raise DeployError(f"security of the runner 'dask': the {key} {path!r} is missing")
    from distributed.security import Security

    return Security(
        tls_ca_file=options["ca_file"],
        tls_client_cert=options["cert"],
        tls_client_key=options["key"],
        require_encryption=True,
    )


def _check_address(address: str, *, secured: bool) -> None:
    """A scheduler on another machine is talked to with TLS: hosts' passwords travel, and commands."""
    parts = urlsplit(address)
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    if not is_here and (parts.scheme != "tls" or not secured):
        raise DeployError(
            f"the Dask scheduler {address} is on another machine: use a tls:// address with security (ca_file, cert, "
            "key), since passwords of hosts travel; or say insecure: true"
        )
