"""Table: the top bits of the reduced argument choose the result; no arithmetic but the reduction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwsim.hardware.functions.registry import FRACTIONS, METHODS, check_options
from hwsim.hardware.functions.segmented import Segmented
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count


@dataclass(frozen=True)
class Table(Segmented):
    """A word per segment: the kernel at the segment's middle."""

    method: ClassVar[str] = "table"
    glitch_family: ClassVar[str] = "lut"


def take_segments(options: Mapping[str, Any], default: int, fraction: int) -> int:
    """Return the option ``segments``: a power of two, no finer than the argument.

    Raises
    ------
    UsageError
        If it is something else.
    """
    found = take_count(options, "segments", min(default, 2**fraction), range(1, 4097))
    if found & (found - 1) or found > 2**fraction:
        raise UsageError(f"segments: {found}; valid: powers of two up to {min(4096, 2**fraction)}")
    return found


@METHODS.register("table")
def build(options: Mapping[str, Any]) -> Table:
    """Build from ``{function, fraction: 12, segments: 256}``."""
    check_options(options, ("segments",))
    fraction = take_count(options, "fraction", 12, FRACTIONS)
    return Table(str(options["function"]), fraction, take_segments(options, 256, fraction), 0)
