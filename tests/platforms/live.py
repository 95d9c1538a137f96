"""Runs inside a throw-away network namespace: sends frames through the kernel's own rules, and sees what comes out.

Input (JSON on stdin): {"bridge": bool, "script": nft text, "packets": [{"interface", "src", "dst", "protocol", "sport", "dport",
"established", "icmp", "fragment"}]}. Output: a JSON list, true where the packet left the device.
No part of the toolkit is imported: what decides here is the kernel.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path

INTERFACES = ("eth1", "eth2", "eth3")
ROUTES = {"10.0.1.0/24": "eth1", "10.0.2.0/24": "eth2", "10.0.4.0/22": "eth2", "0.0.0.0/0": "eth3"}
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
OTHER = bytes.fromhex("020000000099")


def run(*argv, text=None):
    subprocess.run(argv, input=text, text=True, check=True, capture_output=True)


def tap(name):
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return handle


def set_up(bridge, hosts):
    taps = {name: tap(name) for name in INTERFACES}
    for name in INTERFACES:
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1", encoding="ascii")
        run("ip", "link", "set", name, "address", f"02:00:00:00:00:0{name[-1]}", "up")
    if bridge:
        run("ip", "link", "add", "lan", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        run("ip", "link", "set", "lan", "up")
        for name in INTERFACES:
            run("ip", "link", "set", name, "master", "lan")
        return taps
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    for name in ("all", *INTERFACES):
        for key in ("rp_filter", "send_redirects"):
            Path(f"/proc/sys/net/ipv4/conf/{name}/{key}").write_text("0", encoding="ascii")
    for prefix, name in ROUTES.items():
        run("ip", "route", "add", prefix, "dev", name)
    for host in hosts:
        for name in INTERFACES:
            run("ip", "neigh", "add", host, "lladdr", "02:00:00:00:00:99", "dev", name, "nud", "permanent")
    return taps


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def body(packet):
    if packet["fragment"]:
        return bytes(32)
    if packet["protocol"] == 6:
        return struct.pack(
            "!HHIIBBHHH", packet["sport"], packet["dport"], 1, 1, 0x50, 0x10 if packet["established"] else 2, 8, 0, 0
        )
    if packet["protocol"] == 17:
        return struct.pack("!HHHH", packet["sport"], packet["dport"], 8, 0)
    if packet["protocol"] == 1:
        return struct.pack("!BBHI", *packet["icmp"], 0, 0)
    return bytes(16)


def frame(packet, number, interface):
    inside = body(packet)
    ends = socket.inet_aton(packet["src"]), socket.inet_aton(packet["dst"])
    parts = [0x45, 0, 20 + len(inside), number, 100 if packet["fragment"] else 0, 64, packet["protocol"], 0, *ends]
    parts[7] = checksum(struct.pack("!BBHHHBBH4s4s", *parts))
    header = struct.pack("!BBHHHBBH4s4s", *parts)
    return bytes.fromhex(f"02000000000{interface[-1]}") + OTHER + b"\x08\x00" + header + inside


def main():
    order = json.load(sys.stdin)
    packets = order["packets"]
    taps = set_up(order["bridge"], {one["dst"] for one in packets})
    run("/usr/sbin/nft", "-f", "-", text=order["script"])
    wanted = {
        (n, socket.inet_aton(p["src"]), socket.inet_aton(p["dst"]), p["protocol"]) for n, p in enumerate(packets, 1)
    }
    seen = set()

    def drain(seconds):
        while ready := select.select(list(taps.values()), [], [], seconds)[0]:
            for handle in ready:
                data = os.read(handle, 2000)
                if data[12:14] == b"\x08\x00":
                    key = (int.from_bytes(data[18:20], "big"), data[26:30], data[30:34], data[23])
                    seen.update({key} & wanted)

    for number, packet in enumerate(packets, 1):
        sent = frame(packet, number, packet["interface"])
        if order["bridge"]:
            # To a station that no port has learnt: flooded to all other ports.
            sent = bytes.fromhex("020000000077") + bytes.fromhex(f"0200000000a{packet['interface'][-1]}") + sent[12:]
        os.write(taps[packet["interface"]], sent)
        drain(0)
    drain(0.5)
    seen_numbers = {key[0] for key in seen}
    json.dump([number in seen_numbers for number in range(1, len(packets) + 1)], sys.stdout)


main()
