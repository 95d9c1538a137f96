"""Every single edit of every rendered configuration, loaded on the lab's devices; the proof's witnesses sent through.

Run as a program: `python -m tests.lab.witness_lab RESULT.json [DEVICE...]`. A witness is put on the wire of the interface that
it names, and it is seen whether it leaves the device by any other interface. The same packet must get the
opposite verdict under the configuration without the edit: so no verdict is an accident of routes or of silence.

Packets of known connections need one: it is written into the device's connection tracking beforehand.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.verify.edits import edits
from toolkit.errors import InputError
from toolkit.lab.namespaces import STATE, program, run_inside
from toolkit.lab.rehearsal import Rehearsal
from toolkit.lab.taps import packet_socket
from toolkit.lab.wire import build, checksum, network
from toolkit.net import ICMP, TCP, UDP, Action, Packet
from toolkit.platforms.base import ConnState
from toolkit.render import context, platform_of
from toolkit.render.proof import prove
from toolkit.render.work import Work

SAMPLE = 15
PATIENCE = 0.5  # seconds for what should come out
GRACE = 0.02  # seconds more for what should not
STRANGER = bytes.fromhex("020000000077")  # a station that no switch has learnt: flooded to all other ports
CLIENT_PORT = 40000


class Wire:
    """One device of a running lab: loads configurations, sends packets into it, watches what comes out."""

    def __init__(self, lab, device, foreign):
        self.lab, self.device, self.foreign = lab, device, foreign
        self.node = lab.plan.node(device)
        self.fd = lab.namespaces[device]
        self.bridge = bool(self.node.bridges)
        self.peers = {}
        for one, other in lab.plan.links:
            for near, far in ((one, other), (other, one)):
                if near[0] == device:
                    self.peers[near[1]] = far
        self.macs = {name: self._mac(name) for name in self.peers}
        if not self.bridge:
            self._write("net/netfilter/nf_conntrack_tcp_be_liberal", "1")

    def _mac(self, interface):
        done = self._run([program("ip"), "-j", "link", "show", "dev", interface])
        return bytes.fromhex(json.loads(done)[0]["address"].replace(":", ""))

    def _write(self, name, value):
        with network(self.fd):
            Path("/proc/sys", name).write_text(value, encoding="ascii")

    def _run(self, argv, text=None):
        done = self.lab.run(self.device, argv, text)
        assert done.returncode == 0, f"{self.device} {argv}: {done.stderr}"
        return done.stdout

    def load(self, text):
        """The device as after a boot with this configuration of ours."""
        self._run([program("nft"), "-f", "-"], f"flush ruleset\n{self.foreign}\n{text}")

    @contextmanager
    def tap(self):
        with ExitStack() as stack:
            yield stack.enter_context(packet_socket(self.fd, everything=True))

    def send(self, witnesses):
        """Send them all; for each, whether it left the device."""
        out = {}
        with self.tap() as tap:
            for number, one in enumerate(witnesses, 1):
                self._prepare(one)
                self._emit(one, number)
                out[number] = False
                if not self.bridge:  # the next one may be about the same connection
                    self._watch(tap, {number: one}, out, PATIENCE if self._passes(one) else GRACE)
            if self.bridge:
                self._watch(
                    tap, dict(enumerate(witnesses, 1)), out, PATIENCE if any(map(self._passes, witnesses)) else GRACE
                )
        return [out[number] for number in sorted(out)]

    def _passes(self, one):
        return one.decision.action is Action.PERMIT

    def _watch(self, tap, sent, out, patience):
        wanted = {number for number, one in sent.items() if self._passes(one)}
        deadline = time.monotonic() + patience
        grace = None
        while True:
            try:
                data, (_, _, kind, *_) = tap.recvfrom(64)
            except BlockingIOError:
                now = time.monotonic()
                if grace is None and (now > deadline or all(out[n] for n in wanted)):
                    grace = now + GRACE
                if grace is not None and now > grace:
                    return
                time.sleep(0.0005)
                continue
            if kind != socket.PACKET_OUTGOING or len(data) < 20:
                continue
            number = int.from_bytes(data[4:6], "big")
            one = sent.get(number)
            if one and data[9] == one.packet.protocol and data[12:20] == one.packet.src.packed + one.packet.dst.packed:
                out[number] = True

    def _prepare(self, one):
        if self.bridge:
            return
        packet = one.packet
        lines = [f"neigh replace {packet.dst} lladdr 02:00:00:00:00:77 dev {name} nud permanent" for name in self.peers]
        self._run([program("ip"), "-batch", "-"], "\n".join(lines) + "\n")
        tracker = program("conntrack")
        self.lab.run(self.device, [tracker, "-F"])
        if one.state is ConnState.ESTABLISHED:
            self._run([tracker, "-I", *_tuple(packet), "-t", "60", "-u", "ASSURED,SEEN_REPLY"])
        elif one.state is ConnState.RELATED:
            self._run([tracker, "-I", *_tuple(_about(packet)), "-t", "60", "-u", "ASSURED,SEEN_REPLY"])

    def _emit(self, one, number):
        data = bytearray(build(one.packet, number))
        if one.state is ConnState.RELATED:
            data = bytearray(_error(one.packet, number))
        data[10:12] = struct.pack("!H", checksum(bytes(data[:20])))
        node, interface = self.peers[one.interface]
        ends = STRANGER if self.bridge else self.macs[one.interface]
        source = bytes.fromhex(f"0200000000a{sorted(self.peers).index(one.interface)}")
        with network(self.lab.namespaces[node]), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((interface, 0x0800))
            sock.send(ends + source + b"\x08\x00" + bytes(data))


def _about(packet):
    """The connection that an ICMP error towards `dst` is about: one that `dst` has opened to `src`."""
    return Packet(packet.dst, packet.src, UDP, CLIENT_PORT, CLIENT_PORT + 1)


def _error(packet, number):
    inner = bytearray(build(_about(packet), 1))
    inner[10:12] = struct.pack("!H", checksum(bytes(inner[:20])))
    body = struct.pack("!BBHI", packet.icmp.type, packet.icmp.code or 0, 0, 0) + bytes(inner[:28])
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return (
        struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), number, 0, 64, ICMP, 0, packet.src.packed, packet.dst.packed
        )
        + body
    )


def _tuple(packet):
    ends = ["-s", str(packet.src), "-d", str(packet.dst)]
    if packet.protocol == TCP:
        return [
            "-p",
            "tcp",
            *ends,
            "--sport",
            str(packet.sport),
            "--dport",
            str(packet.dport),
            "--state",
            "ESTABLISHED",
        ]
    if packet.protocol == UDP:
        return ["-p", "udp", *ends, "--sport", str(packet.sport), "--dport", str(packet.dport)]
    if packet.protocol == ICMP:
        return [
            "-p",
            "icmp",
            *ends,
            "--icmp-type",
            str(packet.icmp.type),
            "--icmp-code",
            str(packet.icmp.code or 0),
            "--icmp-id",
            "1",
        ]
    return ["-p", str(packet.protocol), *ends]


def check(work, wire, rendered, prefer):
    """Rows of one device: edit, witness, what was claimed, and what was seen with and without the edit."""
    device, site = wire.device, work.site
    where = context(site, work.finder, device)
    platform = platform_of(site, device)
    text = rendered.candidate.text
    found = []
    for name, edited in edits(text, device, SAMPLE):
        try:
            state = platform.parse_config(edited, f"{device}.cfg", where, rendered.before)
        except InputError:
            continue  # a configuration that is refused goes to no device
        found.append((name, edited, prove(rendered.policy, state, rendered.before, work.space, prefer).witnesses))
    everything = [_opposite(one) for _, _, witnesses in found for one in witnesses]
    wire.load(text)
    plain = iter(wire.send(everything))
    rows = []
    for name, edited, witnesses in found:
        if not witnesses:
            rows.append({"device": device, "edit": name, "witness": None})
            continue
        wire.load(edited)
        for one, seen in zip(witnesses, wire.send(witnesses), strict=True):
            rows.append(
                {
                    "device": device,
                    "edit": name,
                    "witness": str(one),
                    "kind": one.kind.value,
                    "state": one.state.value,
                    "claimed": one.decision.action is Action.PERMIT,
                    "seen": seen,
                    "without": next(plain),
                }
            )
    wire.load(text)
    return rows


def _opposite(one):
    action = Action.DENY if one.decision.action is Action.PERMIT else Action.PERMIT
    return replace(one, decision=replace(one.decision, action=action))


def main():
    work = Work(Path("inventory"))
    prefer = work.ordinary
    rows = []
    with Rehearsal(work, STATE / "runs") as lab:
        planned = lab.make_plan()
        lab.push(planned)
        for device in sys.argv[2:] or planned.rendered:
            rendered = planned.rendered[device]
            foreign = work.site.topology.node(device).filter.running
            wire = Wire(lab.lab, device, (work.site.folder / foreign).read_text() if foreign else "")
            rows += check(work, wire, rendered, prefer)
    Path(sys.argv[1]).write_text(json.dumps(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run_inside(main))
