"""Compressors: many numbers to a sum and a carry word, without propagating carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log

from hwsim.hardware.circuits.base import Circuit, log2_ceil
from hwsim.hardware.circuits.widths import largest

#: Levels from the inputs of a full adder to its sum: 65.8 ps of the row c_csa8 over 30.1 ps, the 7 nm delay of
#: a level (synthesis with ASAP7, yosys 0.70 and abc).
SUM_LEVELS = 2.2
#: Full adders on the way through a row of each kind of compressor, and the numbers that it takes and leaves.
KINDS = {"3:2": (1.0, 3, 2), "4:2": (1.5, 4, 2), "6:2": (3.0, 6, 2)}


@dataclass(frozen=True)
class CompressorTree(Circuit):
    """Reduces ``inputs`` numbers of ``bits`` bits to two with compressors of ``kind``.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """

    inputs: int
    bits: int
    kind: str = "3:2"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"compressor {self.kind!r}; valid: {', '.join(KINDS)}")

    def cells(self) -> Mapping[str, float]:
        """Each full adder takes one bit away: inputs - 2 rows, one bit wider for each doubling of what they sum."""
        rows = largest(0, self.inputs - 2)
        # Rows near the root are wider: by half the growth of the whole tree on average.
        return {"fa": rows * (self.bits + log2_ceil(largest(self.inputs, 2)) / 2)} if rows else {"fa": 0.0}

    def levels(self) -> float:
        """Return the rows on the way, each of the kind's depth."""
        if self.inputs <= 2:
            return 0.0
        depth, taken, left = KINDS[self.kind]
        return SUM_LEVELS * depth * ceil(log(self.inputs / 2) / log(taken / left) - 1e-9)

    def live_bits(self, progress: float) -> float:
        """What is left of the numbers."""
        return largest(2.0, self.inputs * (2 / self.inputs) ** progress if self.inputs > 2 else 2.0) * (
            self.bits + log2_ceil(largest(self.inputs, 2))
        )


@dataclass(frozen=True)
class Popcount(Circuit):
    """Counts the ones among ``inputs`` bits."""

    inputs: int

    def cells(self) -> Mapping[str, float]:
        """Return one full adder per input that is not a bit of the result."""
        return {"fa": largest(0, self.inputs - self.inputs.bit_length())}

    def levels(self) -> float:
        """Return two full adders per doubling but the first."""
        return largest(1.0, 2.0 * log2_ceil(largest(self.inputs, 2)) - 1)

    def live_bits(self, progress: float) -> float:
        """What is not counted yet, and the count."""
        return self.inputs + (self.inputs.bit_length() - self.inputs) * progress
