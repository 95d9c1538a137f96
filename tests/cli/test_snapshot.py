"""`toolkit render --snapshot`: whole configurations and hosts, for an analyser that shares no code with the toolkit."""

from __future__ import annotations

import json

from tests.cli.test_contract import toolkit

LAB = ("-i", "labs/multi-vendor")


def names(folder):
    return sorted(path.stem for path in folder.iterdir())


def test_the_snapshot_has_every_device_and_every_host(tmp_path):
    done = toolkit("render", *LAB, "--snapshot", str(tmp_path), "-o", str(tmp_path / "sent"))
    assert (done.returncode, "ip access-list" in done.stdout) == (0, False)
    assert f"{tmp_path}: 5 devices, 11 hosts" in done.stderr
    assert names(tmp_path / "configs") == ["core1", "edge1", "leaf1", "leaf2", "leaf3"]
    for device in ("core1", "leaf2"):  # where nothing of others stands, it is what would be sent
        text = (tmp_path / "configs" / f"{device}.cfg").read_text(encoding="utf-8")
        assert text == (tmp_path / "sent" / f"{device}.cfg").read_text(encoding="utf-8")
    assert len(names(tmp_path / "hosts")) == 11
    balancer = json.loads((tmp_path / "hosts" / "lb1.json").read_text(encoding="utf-8"))
    assert balancer == {
        "hostname": "lb1",
        "hostInterfaces": {
            "eth1": {
                "name": "eth1",
                "prefix": "10.10.2.21/28",
                "otherPrefixes": ["10.10.2.20/28"],
                "gateway": "10.10.2.17",
            }
        },
    }


def test_devices_whose_language_no_analyser_reads_are_left_out_and_named(tmp_path):
    done = toolkit("render", "--snapshot", str(tmp_path))
    assert done.returncode == 0
    assert names(tmp_path / "configs") == []
    for device in ("leaf1", "leaf2", "fw1", "fw2"):
        assert f"{device}: left out, since analysers do not read linux_nftables" in done.stderr
