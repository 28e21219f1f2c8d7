"""Piecewise linear: a slope and an offset per segment, one multiplication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwsim.hardware.functions.methods.table import take_segments
from hwsim.hardware.functions.registry import FRACTIONS, METHODS, check_options
from hwsim.hardware.functions.segmented import Segmented
from hwsim.spec.options import take_count


@dataclass(frozen=True)
class Piecewise(Segmented):
    """A straight line per segment."""

    method: ClassVar[str] = "piecewise"


@METHODS.register("piecewise")
def build(options: Mapping[str, Any]) -> Piecewise:
    """Build from ``{function, fraction: 12, segments: 32}``."""
    check_options(options, ("segments",))
    fraction = take_count(options, "fraction", 12, FRACTIONS)
    return Piecewise(str(options["function"]), fraction, take_segments(options, 32, fraction), 1)
