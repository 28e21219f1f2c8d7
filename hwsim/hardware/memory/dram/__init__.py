"""DRAM: presets, effective bandwidth by access pattern, banks with open rows, energy per command."""

from __future__ import annotations

from hwsim.hardware.memory.dram.address_map import INTERLEAVED, ROW_BY_ROW, AddressMap, address_map
from hwsim.hardware.memory.dram.bank_model import DIRECT, QUEUED, BankModel, BankRun, Controller
from hwsim.hardware.memory.dram.candidates import DramCandidate, dram_candidates
from hwsim.hardware.memory.dram.channels import Channels
from hwsim.hardware.memory.dram.closed_form import (
    PATTERNS,
    SEQUENTIAL,
    Access,
    Effective,
    effective,
    effective_many,
    peak_gb_s,
    unloaded_latency_ns,
)
from hwsim.hardware.memory.dram.energy import CommandEnergy, EnergyPerBit, command_energy, energy_per_bit, run_energy_pj
from hwsim.hardware.memory.dram.memory import GIVEN, Dram, load_dram, timing_rows
from hwsim.hardware.memory.dram.preset import Preset, by_reference, dram_names, load_preset

__all__ = [
    "DIRECT", "GIVEN", "INTERLEAVED", "PATTERNS", "QUEUED", "ROW_BY_ROW", "SEQUENTIAL", "Access", "AddressMap",
    "BankModel", "BankRun", "Channels", "CommandEnergy", "Controller", "Dram", "DramCandidate", "Effective",
    "EnergyPerBit", "Preset", "address_map", "by_reference", "command_energy", "dram_candidates", "dram_names",
    "effective", "effective_many", "energy_per_bit", "load_dram", "load_preset", "peak_gb_s", "run_energy_pj",
    "timing_rows", "unloaded_latency_ns",
]  # fmt: skip
