"""Memories: SRAM buffers, register files and DRAM presets, each with the source of its figures."""

from __future__ import annotations

from hwsim.hardware.memory.arrays import sram_figures
from hwsim.hardware.memory.buffer import build_buffer
from hwsim.hardware.memory.candidates import Candidate, sram_candidates
from hwsim.hardware.memory.deviations import MemoryDeviation, memory_deviations
from hwsim.hardware.memory.dram import SEQUENTIAL, Access, Dram, Preset, dram_names, load_dram, load_preset
from hwsim.hardware.memory.explain import MemorySheet, dram_sheet, memory_sheet
from hwsim.hardware.memory.figures import Device, Macro, MemoryRow
from hwsim.hardware.memory.kinds import MEMORIES, Memory, MemoryKind
from hwsim.hardware.memory.nodes import node_factor, scaled_nodes
from hwsim.hardware.memory.published import PublishedSpec
from hwsim.hardware.memory.register_file import RegisterFile, build_register_file
from hwsim.hardware.memory.sram import Sram, build_sram, sram_devices, sram_nodes

__all__ = [
    "MEMORIES", "SEQUENTIAL", "Access", "Candidate", "Device", "Dram", "Macro", "Memory", "MemoryDeviation",
    "MemoryKind", "MemoryRow", "MemorySheet", "Preset", "PublishedSpec", "RegisterFile", "Sram", "build_buffer",
    "build_register_file", "build_sram", "dram_names", "dram_sheet", "load_dram", "load_preset", "memory_deviations",
    "memory_sheet", "node_factor", "scaled_nodes", "sram_candidates", "sram_devices", "sram_figures", "sram_nodes",
]  # fmt: skip
