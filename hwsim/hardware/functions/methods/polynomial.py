"""Polynomial: few segments, two or more multiplications in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwsim.hardware.functions.methods.table import take_segments
from hwsim.hardware.functions.registry import FRACTIONS, METHODS, check_options
from hwsim.hardware.functions.segmented import Segmented
from hwsim.spec.options import take_count


@dataclass(frozen=True)
class Polynomial(Segmented):
    """A polynomial of ``degree`` per segment."""

    method: ClassVar[str] = "polynomial"


@METHODS.register("polynomial")
def build(options: Mapping[str, Any]) -> Polynomial:
    """Build from ``{function, fraction: 12, degree: 2, segments: 4, or 16 for GELU and SiLU}``."""
    check_options(options, ("segments", "degree"))
    fraction = take_count(options, "fraction", 12, FRACTIONS)
    name = str(options["function"])
    segments = take_segments(options, 16 if name in ("gelu", "silu") else 4, fraction)
    return Polynomial(name, fraction, segments, take_count(options, "degree", 2, range(2, 7)))
