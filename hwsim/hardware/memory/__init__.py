"""Memories: SRAM macros, register files and DRAM presets, each with the source of its figures."""

from __future__ import annotations

from hwsim.hardware.memory.dram import Dram, dram_names, load_dram
from hwsim.hardware.memory.figures import Device, Macro, MemoryRow
from hwsim.hardware.memory.nodes import node_factor, scaled_nodes
from hwsim.hardware.memory.sram import Sram, build_sram, sram_devices, sram_nodes

__all__ = [
    "Device", "Dram", "Macro", "MemoryRow", "Sram", "build_sram", "dram_names", "load_dram", "node_factor",
    "scaled_nodes", "sram_devices", "sram_nodes",
]  # fmt: skip
