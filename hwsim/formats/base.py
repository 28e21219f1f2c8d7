"""What every number format offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Format(ABC):
    """A number format: how wide it is and what becomes of a tensor stored in it.

    Attributes
    ----------
    name
        Canonical name, which :func:`hwsim.formats.parse_format` reads back.
    bits
        Bits of one element's code.
    block_size
        Elements along the reduction that share a scale; None where none is shared in blocks.
    """

    name: str
    bits: int
    block_size: int | None

    @property
    @abstractmethod
    def element(self) -> ElementFormat:
        """The format of one element's code."""

    @property
    @abstractmethod
    def bits_per_element(self) -> Fraction:
        """Storage per element with all metadata of full blocks shared out."""

    def storage_bits(self, rows: int, k: int) -> int:
        """Return the bits of a ``rows`` × ``k`` tensor with blocks along k, ragged ones included."""
        if self.block_size is None:
            return rows * k * self.bits
        metadata = (self.bits_per_element - self.bits) * self.block_size
        return rows * (k * self.bits + -(-k // self.block_size) * int(metadata))

    @abstractmethod
    def quantize(self, x: NDArray[Any], axis: int = -1) -> NDArray[np.float64]:
        """Return ``x`` after encoding and decoding; blocks run along ``axis``."""


class ElementFormat(Format):
    """A format in which every element stands for itself."""

    block_size: int | None = None

    @property
    def element(self) -> ElementFormat:
        """The format itself."""
        return self

    @property
    def bits_per_element(self) -> Fraction:
        """The width of a code."""
        return Fraction(self.bits)

    @property
    @abstractmethod
    def max_value(self) -> float:
        """Largest finite magnitude."""

    @abstractmethod
    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of unsigned ``codes``, exactly."""

    @abstractmethod
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the codes nearest to ``values``: ties to even, saturating.

        Raises
        ------
        ValueError
            If a value is NaN and the format has no code for it.
        """

    def code_values(self) -> NDArray[np.float64]:
        """Return the values of all codes, in code order (formats of up to 16 bits)."""
        if self.bits > 16:
            raise ValueError(f"{self.name} has too many codes to list")
        return self.decode(np.arange(2**self.bits, dtype=np.uint32))

    def quantize(self, x: NDArray[Any], axis: int = -1) -> NDArray[np.float64]:
        """Return the plain, saturating cast of ``x``."""
        return self.decode(self.encode(np.asarray(x)))


def split_blocks(x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Cut the last axis of ``x`` into blocks of ``size``, the last one filled up with zeros."""
    short = -x.shape[-1] % size
    padded = np.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, short)])
    return padded.reshape(*x.shape[:-1], -1, size)
