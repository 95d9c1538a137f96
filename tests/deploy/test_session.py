"""Logging in, and the Nornir tasks for one's own `nr.run`, over real SSH."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys

import pytest

from tests.deploy.fleet import ADDRESSES, OLD, free_port, keygen, known
from toolkit import deploy
from toolkit.deploy.channel import shared
from toolkit.deploy.inventory import PASSWORD_VARIABLE
from toolkit.deploy.session import LOAD, WRITE, _whole, end_session
from toolkit.errors import DeployError, DeviceError

SECRET = "open sesame"


@pytest.fixture
def leaf(fleet):
    """Nornir over one device."""
    nornir = fleet.nornir(devices=["leaf1"])
    yield nornir
    end_session(nornir.inventory.hosts["leaf1"])


def failure(fleet, **connection) -> DeviceError:
    """What a first read of a device fails with."""
    nornir = fleet.nornir(fleet.ssh.connection(**connection), devices=["leaf1"])
    with pytest.raises(DeviceError) as caught:
        deploy.results(nornir.run(task=deploy.read_filter))
    assert nornir.inventory.hosts["leaf1"].connections == {}
    return caught.value


# ---- logging in ------------------------------------------------------------------------------


def test_a_wrong_host_key_is_refused(fleet, tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text(known(fleet.ssh.port, keygen(tmp_path / "other")), encoding="ascii")
    error = str(failure(fleet, known_hosts=path))
    assert error.startswith(f"leaf1: the host key of 127.0.0.11 port {fleet.ssh.port} is not the known one")


def test_an_unknown_host_key_is_refused_and_not_learnt(fleet, tmp_path):
    path = tmp_path / "known_hosts"
    path.touch()
    assert "is not known; compare it on the console, then add it to known_hosts" in str(
        failure(fleet, known_hosts=path)
    )
    assert path.read_text(encoding="ascii") == ""


def test_a_key_that_the_device_does_not_take(fleet, tmp_path):
    keygen(tmp_path / "id")
    assert f"refuses the login of {fleet.ssh.user!r}; check the user, the key or the agent" in str(
        failure(fleet, key=tmp_path / "id")
    )


def test_a_port_where_nobody_listens(fleet):
    port = free_port()
    assert (
        str(failure(fleet, port=port))
        == f"leaf1: 127.0.0.11 port {port} refuses the connection; check the port, and that its SSH server runs"
    )


def test_a_port_where_something_else_answers(fleet):
    with socket.create_server(("127.0.0.11", 0)) as server:
        port = server.getsockname()[1]
        nornir = fleet.nornir(fleet.ssh.connection(port=port), devices=["leaf1"])
        nornir.inventory.hosts["leaf1"].connection_options["netmiko"].extras["banner_timeout"] = 0.3
        with pytest.raises(DeviceError, match=f"leaf1: 127.0.0.11 port {port} does not answer"):
            deploy.results(nornir.run(task=deploy.read_filter))


@pytest.mark.parametrize("missing", ["key", "known_hosts"])
def test_a_missing_file_is_named_before_anybody_is_called(fleet, tmp_path, missing):
    with pytest.raises(DeployError, match=f"the {missing} file .*nowhere' is missing"):
        fleet.nornir(fleet.ssh.connection(**{missing: tmp_path / "nowhere"}))


def test_a_node_is_no_push_target_and_the_vendor_is_cited(fleet):
    with pytest.raises(
        DeployError,
        match=r"node1 is a host \(roles: node, server\), and hosts are never a push target: the vendor neither recommends nor supports changes to IP tables on nodes .*line \d+.*leaf1",
    ):
        fleet.nornir(devices=["leaf1", "node1"])


def test_hosts_are_not_in_the_inventory_at_all(fleet):
    assert sorted(fleet.nornir().inventory.hosts) == ["fw1", "fw2", "leaf1", "leaf2"]


def test_host_keys_are_checked_whatever_the_inventory_says(spoiled):
    from toolkit.site import load_site

    folder = spoiled("groups.yaml", "ssh_strict: true", "ssh_strict: false")
    spoiled("groups.yaml", "system_host_keys: true", "system_host_keys: false")
    for host in deploy.open_nornir(load_site(folder)).inventory.hosts.values():
        extras = host.get_connection_parameters("netmiko").extras
        assert (extras["ssh_strict"], extras["system_host_keys"]) == (True, True)


def test_by_default_the_users_own_key_or_else_the_agent_is_offered(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()

    def extras():
        host = deploy.open_nornir(reference, devices=["leaf1"]).inventory.hosts["leaf1"]
        return host.get_connection_parameters("netmiko").extras

    assert (extras()["use_keys"], extras()["allow_agent"]) == (False, True)
    (tmp_path / ".ssh" / "id_ed25519").touch()
    assert (extras()["use_keys"], extras()["key_file"]) == (True, str(tmp_path / ".ssh" / "id_ed25519"))


def test_a_password_comes_from_the_environment_and_reaches_no_message_and_no_log(fleet, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    caplog.set_level(logging.DEBUG)
    connection = deploy.Connection(
        user=fleet.ssh.user,
        known_hosts=fleet.ssh.folder / "known_hosts",
        addresses={d: (a, fleet.ssh.port) for d, a in ADDRESSES.items()},
    )
    nornir = fleet.nornir(connection, devices=["leaf1"])
    assert nornir.inventory.hosts["leaf1"].get_connection_parameters("netmiko").password == SECRET
    outcome = nornir.run(task=deploy.read_filter)
    with pytest.raises(DeviceError, match="refuses the login") as caught:
        deploy.results(outcome)
    assert SECRET not in f"{caught.value}{outcome['leaf1'][0].result}{caplog.text}"


# ---- tasks -----------------------------------------------------------------------------------


def test_reading(leaf):
    outcome = leaf.run(task=deploy.read_filter)
    assert (deploy.results(outcome), outcome["leaf1"].changed) == ({"leaf1": {"cat running": OLD}}, False)


def test_loading_says_changed_only_where_a_text_was_sent(fleet, leaf):
    assert leaf.run(task=deploy.load_filter, text="")["leaf1"].changed is False
    outcome = leaf.run(task=deploy.load_filter, text="näw $(rule) \\n 'x'\n\n")
    assert (outcome.failed, outcome["leaf1"].changed, fleet.loads("leaf1")) == (False, True, 1)
    assert fleet.running("leaf1") == "näw $(rule) \\n 'x'\n\n"


def test_a_dry_run_sends_nothing(fleet, leaf):
    leaf.data.dry_run = True
    outcome = leaf.run(task=deploy.load_filter, text="new\n")
    assert (outcome["leaf1"][0].diff, outcome["leaf1"].changed, fleet.running("leaf1")) == ("new\n", False, OLD)
    leaf.run(task=deploy.save_startup, files={"boot": None})
    assert fleet.boot("leaf1") == OLD


def test_saving_writes_removes_and_leaves_alone(fleet, leaf):
    def save(text):
        outcome = leaf.run(task=deploy.save_startup, files={"boot": text})
        deploy.results(outcome)
        return outcome["leaf1"].changed, fleet.boot("leaf1")

    assert save("one\n") == (True, "one\n")
    assert save("one\n") == (False, "one\n")
    assert save("no end of line") == (True, "no end of line")
    assert save(None) == (True, None)
    assert save(None) == (False, None)
    assert sorted(path.name for path in fleet.folder("leaf1").iterdir()) == ["running", "sessions"]


def test_a_login_of_its_own_leaves_the_open_session_alone(leaf):
    host = leaf.inventory.hosts["leaf1"]
    leaf.run(task=deploy.read_filter)
    before = host.connections["netmiko"]
    outcome = leaf.run(task=deploy.check_login)
    assert (outcome.failed, outcome["leaf1"].changed) == (False, False)
    deploy.results(leaf.run(task=deploy.read_filter, fresh=True))
    assert host.connections["netmiko"] is before
    assert before.connection.remote_conn_pre.get_transport().is_active()


def test_clearing_sessions_counts_them(fleet, leaf):
    outcome = leaf.run(task=deploy.clear_sessions, commands=["echo 1 >> ended", "echo 2 >> ended"])
    assert (deploy.results(outcome), outcome["leaf1"].changed) == ({"leaf1": 2}, True)
    assert (fleet.folder("leaf1") / "ended").read_text(encoding="ascii") == "1\n2\n"
    assert leaf.run(task=deploy.clear_sessions, commands=[])["leaf1"].changed is False


def test_a_session_that_ended_is_opened_again(leaf):
    deploy.results(leaf.run(task=deploy.read_filter))
    leaf.inventory.hosts["leaf1"].connections["netmiko"].connection.remote_conn_pre.get_transport().close()
    assert deploy.results(leaf.run(task=deploy.read_filter)) == {"leaf1": {"cat running": OLD}}


def test_commands_take_milliseconds_because_the_socket_does_not_wait(leaf):
    deploy.results(leaf.run(task=deploy.read_filter))

    def no_delay(task):
        return shared(task).sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert leaf.run(task=no_delay)["leaf1"].result == 1


@pytest.mark.parametrize("script", [LOAD, WRITE])
def test_half_a_text_is_never_loaded_nor_written(tmp_path, script):
    """A session that breaks ends the input early; the first half of a filter can be a valid filter."""
    place = tmp_path / "place"
    argument = f"cat > {place}" if script is LOAD else str(place)
    command = _whole(script, "first\nsecond é\n", argument)
    half = subprocess.run(["sh", "-c", command], input="first\n", text=True, capture_output=True, check=False)
    assert (half.returncode, half.stderr, place.exists()) == (74, "only 6 of 16 bytes arrived\n", False)
    whole = subprocess.run(
        ["sh", "-c", command], input="first\nsecond é\n", text=True, capture_output=True, check=False
    )
    assert (whole.returncode, place.read_text(encoding="utf-8")) == (0, "first\nsecond é\n")


def test_importing_the_room_does_not_import_the_heavy_libraries():
    code = "import sys, toolkit.deploy; print([m for m in ('netmiko', 'nornir', 'paramiko') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
