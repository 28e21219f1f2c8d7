"""Circuits: parts with widths and gate-level cost laws; a technology prices them.

Counts are the textbook structures. Depths are in levels, of which a technology has one delay each: ASAP7's 30.1 ps.

===============  =======================================================================
room             what it is for
===============  =======================================================================
``adders``       carry-propagate adders: ripple, prefix, carry-select; trees of them
``compressors``  3:2, 4:2 and 6:2 trees, counters of ones
``multipliers``  array and Booth multipliers, Booth encoders and selectors
``selection``    multiplexers, barrel and funnel shifters, tables of constants
``logic``        rows and trees of gates, comparators, leading-zero counters
``storage``      registers, small register files, shift registers
``part``         a circuit with its role in a datapath
``floating``     the parts of floating-point additions and products
``widths``       widths of many designs at once, which every cost law takes
===============  =======================================================================
"""

from __future__ import annotations

from hwsim.hardware.circuits.adders import (
    Adder,
    AdderTree,
    AddSubtract,
    CarrySelectAdder,
    Incrementer,
    Negator,
    PrefixAdder,
    StaggeredTree,
    Subtractor,
    SumDifference,
)
from hwsim.hardware.circuits.base import CELLS, Circuit
from hwsim.hardware.circuits.compressors import CompressorTree, Popcount
from hwsim.hardware.circuits.floating import float_addition, float_product
from hwsim.hardware.circuits.logic import AndRow, Comparator, Equality, FanOut, LeadingZeroCounter, OrTree, XorRow
from hwsim.hardware.circuits.multipliers import BoothEncoder, BoothMultiplier, BoothSelector, EntEncoder, Multiplier
from hwsim.hardware.circuits.part import GROUPS, Part, path_levels
from hwsim.hardware.circuits.selection import FunnelShifter, Mux, OneHotMux, Placer, Rom, Shifter, Swap
from hwsim.hardware.circuits.storage import Lfsr, Register, RegisterTable
from hwsim.hardware.circuits.widths import DivergenceError, Widths, largest, least, remembered, total, widths

__all__ = [
    "CELLS", "GROUPS", "AddSubtract", "Adder", "AdderTree", "AndRow", "BoothEncoder", "BoothMultiplier",
    "BoothSelector", "CarrySelectAdder", "Circuit", "Comparator", "CompressorTree", "DivergenceError", "EntEncoder",
    "Equality", "FanOut", "FunnelShifter", "Incrementer", "LeadingZeroCounter", "Lfsr", "Multiplier", "Mux",
    "Negator", "OneHotMux", "OrTree", "Part", "Placer", "Popcount", "PrefixAdder", "Register", "RegisterTable", "Rom",
    "Shifter", "StaggeredTree", "Subtractor", "SumDifference", "Swap", "Widths", "XorRow", "float_addition",
    "float_product", "largest", "least", "path_levels", "remembered", "total", "widths",
]  # fmt: skip
