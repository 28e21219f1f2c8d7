"""Outlier features kept in FP16: ``llm_int8`` and ``BASE_outP`` such as ``int4_g128_out10``.

A feature is a position along the reduction, the same for all rows. Features with outliers are split
off and stored as FP16; the rest moves together and is stored in the base format, whose groups or
rows run over what is left. Hardware needs a second, small FP16 product for them (the mixed-precision
decomposition of LLM.int8(), arXiv 2208.07339).

* ``llm_int8``: outliers are the features in which any magnitude reaches 6.0; the rest is INT8 with
  one FP32 scale per row from the largest magnitude that is left (bitsandbytes: ``A.abs() >= threshold``
  and float32 ``row_stats``). How many they are depends on the data; storage counts one in a thousand,
  since "more than 99.9% of values are multiplied in 8-bit" (abstract of the paper). That holds for
  activations whose outliers keep to a few features. In data with heavy tails everywhere most features
  reach 6.0 in some row, and nearly all of the tensor is FP16: ``measured_bits`` says what it costs.
* ``BASE_outP``: the P per mille of features with the largest magnitudes, rounded to a whole number
  of features (half up, hence none in short rows); of equal ones the first. BASE is any scaled
  format; see :mod:`hwsim.formats.block.scaled_names`.

The list of positions is one per tensor, not per row: it is not counted in the storage. In ``_outP``
the rounding may change which features are largest, so that a second quantization may differ; and
what is split off is rounded more finely than its neighbours, so that order may break by a rounding.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, Format, along_axis, as_floats, refuse_nan
from hwsim.formats.block import scaled_names
from hwsim.formats.block.encoded import Encoded, Part, moved_back, moved_last
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.block.scales import FP16
from hwsim.formats.registry import BLOCKS, Family
from hwsim.formats.rounding import Overflow, Rounding, check_modes

#: LLM.int8(): magnitude of an outlier, and the share of outlier features that storage counts.
THRESHOLD = 6.0
NOMINAL_SHARE = Fraction(1, 1000)

MAX_PER_MILLE = 500


@dataclass(frozen=True)
class SplitElement(ElementFormat):
    """An element of the base format, of a class of its own: a datapath for ``code`` alone would lose the outliers."""

    name: str
    code: ElementFormat

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code that is not split off."""
        return self.code.bits

    @property
    def max_value(self) -> float:
        """Largest value of the base element."""
        return self.code.max_value

    @property
    def nan_code(self) -> int | None:  # type: ignore[override]
        """The code of NaN of the base element."""
        return self.code.nan_code

    def values(self) -> NDArray[np.float64]:
        """Return the finite values of the base element, ascending."""
        return self.code.values()

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes`` of the base element."""
        return self.code.decode(codes)

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the codes of the base element.

        Raises
        ------
        ValueError
            If a value is NaN and the base element has no code for it.
        """
        return self.code.encode(values)


@dataclass(frozen=True)
class Split(Format):
    """Outlier features in FP16, the rest in ``base``.

    Outliers are the features that reach ``threshold``; where it is None, the ``share`` of the features
    with the largest magnitudes. ``share`` is what storage counts.
    """

    name: str
    base: Scaled
    share: Fraction
    threshold: float | None = None

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code that is not split off."""
        return self.base.bits

    @property
    def block_size(self) -> int | None:  # type: ignore[override]
        """Elements of the base format that share a scale."""
        return self.base.block_size

    @property
    def element(self) -> SplitElement:
        """The base element, of a class of its own."""
        return SplitElement(f"{self.base.element.name}_split", self.base.element)

    @property
    def bits_per_element(self) -> Fraction:
        """The mean of base format and FP16, weighted by the share of outliers."""
        return (1 - self.share) * self.base.bits_per_element + self.share * FP16.bits

    @property
    def stable(self) -> bool:
        """With a fixed threshold only: which features are largest may change by their rounding."""
        return self.threshold is not None and self.base.stable

    def outliers(self, k: int) -> int:
        """Return how many of ``k`` features storage counts as outliers: the share, rounded half up."""
        return math.floor(k * self.share + Fraction(1, 2))

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor, without the list of positions."""
        apart = self.outliers(k)
        return self.base.storage_bits(rows, k - apart) + rows * apart * FP16.bits

    def code_bits(self, rows: int, k: int) -> int:
        """Return the bits of codes, those of outliers in FP16."""
        apart = self.outliers(k)
        return self.base.code_bits(rows, k - apart) + rows * apart * FP16.bits

    def outlier_positions(self, x: NDArray[Any], axis: int = -1) -> NDArray[np.bool_]:
        """Return which positions of ``x`` along ``axis`` are split off, shape (length of ``axis``,).

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        given = np.asarray(x)
        return self._positions(np.moveaxis(given, axis, -1) if given.ndim else given.reshape(1))

    def outlier_share(self, x: NDArray[Any], axis: int = -1) -> float:
        """Return the measured share of positions of ``x`` that are split off; 0 for an empty axis.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        found = self.outlier_positions(x, axis)
        return float(found.mean()) if found.size else 0.0

    def measured_bits(self, x: NDArray[Any], axis: int = -1) -> float:
        """Return the bits per element of ``x`` with the outliers that it has, scales of rows not counted.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        share = self.outlier_share(x, axis)
        return (1 - share) * float(self.base.bits_per_element) + share * FP16.bits

    def _positions(self, x: NDArray[Any]) -> NDArray[np.bool_]:
        rows = tuple(range(x.ndim - 1))
        largest = np.maximum(x.max(axis=rows, initial=0.0), -x.min(axis=rows, initial=0.0))
        refuse_nan(self.name, largest)
        if self.threshold is not None:
            return np.asarray(largest >= self.threshold)
        found = np.zeros(largest.shape, dtype=bool)
        found[np.argsort(-largest, kind="stable")[: self.outliers(largest.size)]] = True
        return found

    def quantize(
        self,
        x: NDArray[Any],
        axis: int = -1,
        rounding: Rounding = "nearest_even",
        overflow: Overflow = "saturate",
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Return ``x`` with outlier features rounded to FP16 and the rest to the base; see :meth:`Format.quantize`."""
        check_modes(rounding, overflow)

        def quantize_last(moved: NDArray[Any]) -> NDArray[Any]:
            apart = self._positions(moved)
            # compress, as a mask leaves the copy in an order that would be copied again
            rest = self.base.quantize(np.compress(~apart, moved, axis=-1), -1, rounding, overflow, seed)
            outliers = FP16.quantize(np.compress(apart, moved, axis=-1), -1, rounding, overflow, seed)
            return _merged(rest, outliers, apart)

        return along_axis(x, axis, quantize_last)

    def encode(self, x: NDArray[Any], axis: int = -1) -> SplitEncoded:
        """Return ``x`` as it is stored, rounded to nearest even and saturating.

        Raises
        ------
        ValueError
            If a value is NaN.
        """
        given = as_floats(x)
        moved = moved_last(given, axis)
        apart = self._positions(moved)
        outliers = Part.of(FP16.encode(np.compress(apart, moved, axis=-1)), FP16.bits)
        rest = self.base.encode(np.compress(~apart, moved, axis=-1))
        return SplitEncoded(self.name, rest, outliers, apart, axis, given.shape)

    def decode(self, encoded: SplitEncoded) -> NDArray[Any]:
        """Return the tensor of ``encoded``: exactly what ``quantize`` gives, in the dtype it gives."""
        rest = self.base.decode(encoded.rest)
        outliers = FP16.decode(encoded.outliers.codes).astype(rest.dtype)
        return moved_back(_merged(rest, outliers, encoded.positions), encoded.axis, encoded.shape)

    def values(self) -> NDArray[np.float64]:
        """Return the finite values of the base element under a scale of 1, ascending."""
        return self.base.values()


@dataclass(frozen=True, eq=False)
class SplitEncoded:
    """A tensor whose outlier features are kept apart.

    ``rest`` and ``outliers`` have the blocked axis last; ``positions`` says which of its features are
    outliers; ``axis`` and ``shape`` are those of the tensor.
    """

    format: str
    rest: Encoded
    outliers: Part
    positions: NDArray[np.bool_]
    axis: int
    shape: tuple[int, ...]

    @property
    def storage_bits(self) -> int:
        """Bits of both parts, without the list of positions."""
        return self.rest.storage_bits + self.outliers.storage_bits


def _merged(rest: NDArray[Any], outliers: NDArray[Any], apart: NDArray[np.bool_]) -> NDArray[Any]:
    """Return both parts (…, features) with their features in place."""
    whole = np.empty((*rest.shape[:-1], apart.size), dtype=rest.dtype)
    whole[..., np.flatnonzero(~apart)] = rest
    whole[..., np.flatnonzero(apart)] = outliers
    return whole


_PATTERN = re.compile(r"(?P<base>.+)_out(?P<per_mille>\d+)$")


def parse(name: str) -> Split | None:
    """Return the split format called ``name``, or None when the name is of another family.

    Raises
    ------
    ValueError
        If the share or a size of the base format is out of range.
    """
    if name == "llm_int8":
        base = scaled_names.parse("int8_channel_fp32")
        assert base is not None
        return Split(name, base, NOMINAL_SHARE, THRESHOLD)
    match = _PATTERN.match(name)
    base = None if match is None else scaled_names.parse(match["base"])
    if match is None or base is None:
        return None
    per_mille = int(match["per_mille"])
    if not 1 <= per_mille <= MAX_PER_MILLE:
        raise ValueError(f"{name}: valid: 1 to {MAX_PER_MILLE} per mille of the features")
    return Split(f"{base.name}_out{per_mille}", base, Fraction(per_mille, 1000))


def names() -> list[str]:
    """Return the usual names of the family; ``BASE_outP`` is read for any scaled BASE."""
    return ["llm_int8", "int4_g128_out10", "int8_channel_out5"]


BLOCKS.register("split")(Family(parse, names))
