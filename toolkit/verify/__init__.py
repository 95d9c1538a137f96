"""Proof of configurations and of live devices over the whole packet space, traces of single packets, drift."""

from toolkit.render.proof import DeviceProof, Witness, WitnessKind, prove
from toolkit.verify.configs import verify_configs, verify_live, verify_states
from toolkit.verify.trace import Trace, trace

__all__ = [
    "DeviceProof",
    "Trace",
    "Witness",
    "WitnessKind",
    "prove",
    "trace",
    "verify_configs",
    "verify_live",
    "verify_states",
]
