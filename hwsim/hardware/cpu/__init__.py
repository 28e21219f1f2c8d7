"""Processors without an array of PEs: operation counts of kernels, and the time and energy they take."""

from __future__ import annotations

from hwsim.hardware.cpu.tmac import Cpu, TMacWork, joules_per_token, lookup_rate, mac_operations, seconds, tmac_work

__all__ = ["Cpu", "TMacWork", "joules_per_token", "lookup_rate", "mac_operations", "seconds", "tmac_work"]
