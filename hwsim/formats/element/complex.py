"""Complex weights ``complex2`` of {1, i, -1, -i}, two bits each (iFairy, arXiv 2508.05571).

Code c stands for i^c, so that a product of two codes is the sum of them modulo 4 (the code is a
choice of this library). A product with such a weight swaps and negates real and imaginary part: a
complex multiply-accumulate is two real additions.

A number takes the value nearest in phase; halfway it takes the next one counter-clockwise (phases of
-45° up to but without 45° are 1), and 0 becomes 1. That is PhaseQuant as the repository
DingsiyiPKU/fairytow has it (model_module/quantization.py, ``quantize_complex_tensor``). Magnitudes
are lost: data is given a scale first, and real and imaginary parts have one each, the mean of |Re|
over the numbers that become ±1 and of |Im| over those that become ±i, of the whole tensor.

``bits_per_element`` and storage are those of complex elements: a real number takes half of them.

An array of real numbers counts as numbers with imaginary part 0 and stays real: ±1, and 1 for 0.
There is no code for NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, as_floats, encoded_in_pieces, map_rows, refuse_nan
from hwsim.formats.registry import ELEMENTS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_nearest

NAME = "complex2"


@dataclass(frozen=True)
class QuarterTurns(ElementFormat):
    """The four powers of i."""

    complex_valued: ClassVar[bool] = True

    name: str = NAME
    bits: int = 2

    @property
    def max_value(self) -> float:
        """All values have the magnitude 1."""
        return 1.0

    @cached_property
    def _turns(self) -> NDArray[np.complex128]:
        return np.array([1, 1j, -1, -1j])

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of ``codes``, complex128."""
        return np.asarray(self._turns[np.asarray(codes, dtype=np.int64)])

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the codes nearest in phase of complex or real ``values``; ties as the module says.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        x = np.asarray(values)
        refuse_nan(self.name, x)
        re, im = x.real, x.imag
        # Comparisons instead of angles: exact on the diagonals.
        turns = [(im >= re) & (im > -re), (im <= -re) & (im > re), (im <= re) & (im < -re)]
        return np.asarray(np.select(turns, [1, 2, 3], 0)).astype(np.uint32)

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return the plain cast of ``x``, without a scale: complex64 and complex128 stay so, real stays real.

        Raises
        ------
        UsageError
            If another rounding or overflow than the default is asked for: a phase has no direction.
        ValueError
            If a value is NaN.
        """
        check_nearest(self.name, rounding, overflow, "phase")
        given = np.asarray(x)
        if given.dtype.kind != "c":
            given = as_floats(given)
        whole = given.dtype.kind == "c"

        def nearest(part: NDArray[Any]) -> NDArray[Any]:
            turns = self.decode(self.encode(part))
            return turns if whole else turns.real

        return map_rows(nearest, np.ascontiguousarray(given).reshape(-1)).reshape(given.shape)

    def scales(self, x: NDArray[Any]) -> tuple[float, float]:
        """Return the scales of real and imaginary parts of a complex tensor; 0 where no number becomes such.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        upright = self.encode(x) % 2 == 1
        parts = np.abs(x.real[~upright]), np.abs(x.imag[upright])
        re, im = (float(part.mean()) if part.size else 0.0 for part in parts)
        return re, im

    def scaled_quantize(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return a complex or real tensor quantized with the scales of iFairy, in its dtype.

        Real numbers are taken as pairs along the last axis: real part, imaginary part; a last one
        without a partner has the imaginary part 0.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        given = np.asarray(x)
        if given.dtype.kind != "c":
            return self._pairs(as_floats(given))
        re, im = self.scales(given)
        turns = self.decode(self.encode(given))
        return np.asarray(re * turns.real + 1j * im * turns.imag).astype(given.dtype)

    def _pairs(self, x: NDArray[Any]) -> NDArray[Any]:
        row = x if x.ndim else x.reshape(1)
        length = row.shape[-1]
        even = np.pad(row, [*[(0, 0)] * (row.ndim - 1), (0, length % 2)])
        done = self.scaled_quantize(even[..., ::2] + 1j * even[..., 1::2])
        parts = np.stack([done.real, done.imag], axis=-1).reshape(even.shape)[..., :length]
        return parts.reshape(x.shape).astype(x.dtype)


def parse(name: str) -> QuarterTurns | None:
    """Return ``complex2``, or None when the name is another."""
    return QuarterTurns() if name == NAME else None


def names() -> list[str]:
    """Return the one name of the family."""
    return [NAME]


ELEMENTS.register("complex")(Family(parse, names))
