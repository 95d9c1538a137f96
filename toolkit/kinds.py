"""Vendor images of the lab: which kinds of containerlab node a device can be.

The names are those of containerlab 0.79's schema, without the kinds that are no network OS. Short names that
containerlab takes as well are written out, as its schema knows the long ones only.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from toolkit.files import FileModel

LINUX: Final = "linux"
KINDS: Final = (
    "6wind_vsr",
    "arista_ceos",
    "arista_veos",
    "arrcus_arcos",
    "aruba_aoscx",
    "checkpoint_cloudguard",
    "ciena_saos",
    "cisco_asav",
    "cisco_c8000",
    "cisco_c8000v",
    "cisco_cat9kv",
    "cisco_csr1000v",
    "cisco_ftdv",
    "cisco_iol",
    "cisco_n9kv",
    "cisco_sdwan",
    "cisco_vios",
    "cisco_xrd",
    "cisco_xrd_vrouter",
    "cisco_xrv",
    "cisco_xrv9k",
    "dell_ftosv",
    "dell_sonic",
    "f5_bigip-ve",
    "fdio_vpp",
    "fortinet_fortigate",
    "freebsd",
    "huawei_vrp",
    "ipinfusion_ocnos",
    "juniper_cjunosevolved",
    "juniper_crpd",
    "juniper_csrx",
    "juniper_vjunosevolved",
    "juniper_vjunosrouter",
    "juniper_vjunosswitch",
    "juniper_vmx",
    "juniper_vqfx",
    "juniper_vsrx",
    "linux",
    "mikrotik_ros",
    "nokia_srlinux",
    "nokia_sros",
    "nokia_srsim",
    "nvidia_cumulusvx",
    "openbsd",
    "openwrt",
    "paloalto_panos",
    "plvision_sonic",
    "rare",
    "sonic-vm",
    "sonic-vs",
    "veesix_osvbng",
    "vyosnetworks_vyos",
)
SHORT: Final = {"ceos": "arista_ceos", "crpd": "juniper_crpd", "srl": "nokia_srlinux", "vyos": "vyosnetworks_vyos"}


def _kind(text: str) -> str:
    kind = SHORT.get(text, text)
    if kind not in KINDS:
        raise ValueError(f"containerlab has no such kind of device; the kinds are {', '.join([*SHORT, *KINDS])}")
    return kind


def _image(text: str) -> str:
    if "$" in text or "{{" in text:
        raise ValueError("containerlab would expand `$` and `{{` in the name of an image")
    return text


class LabImage(FileModel):
    """What a device of the site is in the lab: a kind of containerlab node, and the image that it runs."""

    kind: Annotated[str, AfterValidator(_kind)]
    image: Annotated[str, Field(min_length=1, pattern=r"^\S+$"), AfterValidator(_image)]
