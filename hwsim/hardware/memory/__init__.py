"""Memories: SRAM macros and DRAM presets, each with the source of its figures."""

from __future__ import annotations

from hwsim.hardware.memory.dram import Dram, dram_names, load_dram
from hwsim.hardware.memory.sram import Sram, build_sram, sram_nodes

__all__ = ["Dram", "Sram", "build_sram", "dram_names", "load_dram", "sram_nodes"]
