"""Modular multiplication: Barrett reduction, and the byte form of CROSS/BAT (arXiv 2501.07047).

Barrett, for q of ``bits`` bits: ``t = ((z >> (bits - 1)) · mu) >> (bits + 1)``, ``mu = floor(2^(2 bits) / q)``;
``z - t q`` is below 3 q, and two conditional subtractions finish (Menezes et al., HAC 14.42).

BAT: a known factor a becomes a matrix of bytes, column i those of ``a · 2^(8 i) mod q``; its product
with the bytes of x is byte MACs only, d² of them for d bytes: 16 for residues below 2^31 or 2^32. Row
sums are shifted by 0, 8, 16, 24, added, and reduced once per output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Multiplier, Mux, Part, Register, Subtractor
from hwsim.hardware.units.base import UNITS, Unit, check

#: Bits of the digits that BAT cuts residues into.
BYTE = 8


@UNITS.register("modular_multiplier")
@dataclass(frozen=True)
class ModularMultiplier(Unit):
    """Multiplies residues of a modulus of ``bits`` bits."""

    bits: int = 31

    def __post_init__(self) -> None:
        check("bits", self.bits, 4, 62)

    def multiply(self, x: int, y: int, q: int) -> int:
        """Return x · y mod q by Barrett reduction; x and y below q, q of exactly ``bits`` bits."""
        check("bits of q", q.bit_length(), self.bits, self.bits)
        return self.reduce(x * y, q)

    def reduce(self, z: int, q: int) -> int:
        """Return z mod q for z below 2^(2 bits)."""
        mu = (1 << (2 * self.bits)) // q
        rest = z - (((z >> (self.bits - 1)) * mu) >> (self.bits + 1)) * q
        for _ in range(2):
            rest = rest - q if rest >= q else rest
        return rest

    @property
    def digits(self) -> int:
        """Bytes of a residue."""
        return -(-self.bits // BYTE)

    @property
    def byte_macs(self) -> int:
        """Byte MACs per modular MAC in the form of BAT."""
        return self.digits**2

    @property
    def byte_sum_bits(self) -> int:
        """Bits of the shifted row sums of byte products, all bytes 255."""
        return int((self.digits * 255**2 * sum(1 << (BYTE * j) for j in range(self.digits))).bit_length())

    def byte_matrix(self, a: int, q: int) -> NDArray[np.int64]:
        """Return the bytes of a · 2^(8 i) mod q: row j is of weight 2^(8 j), column i meets byte i of x."""
        columns = [(a << (BYTE * i)) % q for i in range(self.digits)]
        return np.array([[(c >> (BYTE * j)) & 255 for c in columns] for j in range(self.digits)], dtype=np.int64)

    def multiply_bytes(self, matrix: NDArray[Any], x: int, q: int) -> int:
        """Return a · x mod q from the :meth:`byte_matrix` of a: byte MACs, shifted sums, one reduction.

        Raises
        ------
        UsageError
            If the sum is too wide for one reduction: residues of 2 bytes below 13 bits, of 3 below 18.
        """
        check("bits of the sum of byte products", self.byte_sum_bits, 1, 2 * self.bits)
        parts = np.array([(x >> (BYTE * i)) & 255 for i in range(self.digits)], dtype=np.int64)
        total = sum(int(row) << (BYTE * j) for j, row in enumerate(matrix @ parts))
        return self.reduce(total, q)

    def parts(self) -> tuple[Part, ...]:
        """Return the three multipliers of a Barrett multiplier, its subtractions and registers.

        Of ``t · q`` only the low bits + 2 bits are needed: half an array.
        """
        n = self.bits
        return (
            Part("product", "multiplier", Multiplier(n, n)),
            Part("times mu", "multiplier", Multiplier(n + 1, n + 1)),
            Part("times q", "multiplier", Multiplier(n + 1, n), count=0.5),
            Part("remainder", "accumulator", Subtractor(n + 2)),
            Part("conditional subtraction", "accumulator", Subtractor(n + 2), 2, in_series=2),
            Part("choice", "normalisation", Mux(n + 2, 2), 2, in_series=2),
            Part("modulus and mu", "register", Register(2 * n + 1), on_path=False),
            Part("operands", "register", Register(2 * n), on_path=False),
            Part("result", "register", Register(n)),
        )

    def operations(self) -> Mapping[str, int]:
        """Three products and three subtractions."""
        return {"mul": 3, "add": 3, "cmp": 2}
