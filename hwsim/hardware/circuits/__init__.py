"""Circuits: parts with widths and gate-level cost laws; a technology prices them."""

from __future__ import annotations

from hwsim.hardware.circuits.base import CELLS, Circuit
from hwsim.hardware.circuits.library import (
    Adder,
    AdderTree,
    AndRow,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Multiplier,
    Mux,
    OrTree,
    Register,
    Rom,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.circuits.part import GROUPS, Part

__all__ = [
    "CELLS", "GROUPS", "Adder", "AdderTree", "AndRow", "Circuit", "Comparator", "Incrementer", "LeadingZeroCounter",
    "Multiplier", "Mux", "OrTree", "Part", "Register", "Rom", "Shifter", "Subtractor", "XorRow",
]  # fmt: skip
