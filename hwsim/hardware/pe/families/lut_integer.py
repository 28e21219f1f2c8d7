"""Tables of integer activations: exact sums, or sums rounded to the table's width; see :mod:`.lut`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer
from hwsim.formats.sums import wrapped
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    FunnelShifter,
    Mux,
    Part,
    Register,
    SumDifference,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import dequantizer
from hwsim.hardware.pe.lut_base import Lut


@dataclass(frozen=True)
class IntLut(Lut):
    """A reader of integer tables of ``table_width`` bits with an accumulator that wraps."""

    table_width: int
    accumulator_bits: int

    glitch_family: ClassVar[str] = "lut"
    _number: ClassVar[Any] = np.int64

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator_bits

    @property
    def entry_bits(self) -> int:
        """Bits of a table's word, at most those of a sum of all its activations."""
        return min(self.table_width, self.a_format.bits + (max(self.groups) - 1).bit_length())

    @property
    def dropped(self) -> int:
        """Low bits of an exact sum of ``k`` activations that tables do not hold."""
        return max(0, self.a_format.bits + (self.k - 1).bit_length() - self.table_width)

    def _supports_activation(self, a: Format) -> Reason | None:
        if type(a.element) is not Integer:
            return Reason(f"activations of {a.name} are no integers")
        if not a.element.signed or a.element.bits > self.a_format.bits:
            return Reason(f"activations of {a.name} do not fit into tables of signed {self.a_format.bits}-bit integers")
        return None

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """Integer to float, times the scales, added in FP32."""
        return dequantizer(w, a, self.accumulator_bits)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return keys, tables, lookups, shifter, accumulator and the shares of what a tile has once."""
        acc, tables = self.accumulator_bits, len(self.groups)
        width = self.entry_bits + (tables - 1).bit_length()
        found = [*self._key_parts(), *self._generator_parts()]
        if self.variant == "add":
            found.append(Part("bit products", "multiplier", AndRow(self.a_format.bits), self.lanes))
            trees = [g for g in self.groups if g > 1]
            found += [Part("group adders", "accumulator", AdderTree(g, self.a_format.bits)) for g in trees[:1]]
            found += [
                Part("further adders", "accumulator", AdderTree(g, self.a_format.bits), on_path=False)
                for g in trees[1:]
            ]
        else:
            found += self._table_parts()
        # The sign of a symmetric entry, or of the top plane of two's complement; the carry enters the adder.
        found.append(Part("negate", "multiplier", XorRow(self.entry_bits), tables))
        if tables > 1:
            found.append(Part("table adders", "accumulator", AdderTree(tables, self.entry_bits)))
        if self.weight_bits > 1 and self.plane_sums == 1:
            found.append(Part("plane shift", "alignment", FunnelShifter(width, self.weight_bits)))
        found += [
            Part("accumulator adder", "accumulator", Adder(acc), feeds_back=True),
            Part("load partial sum", "accumulator", Mux(acc, 2), on_path=False),
            Part("accumulator", "register", Register(acc)),
        ]
        if self.symmetric:
            share = 1 / self.tile_n
            found.append(Part("activation sum", "accumulator", Adder(acc), share, self._held, False))
            found.append(Part("activation sum", "register", Register(acc), share, self._held, False))
        return tuple(found)

    def _adder_parts(self, covered: int, count: float) -> list[Part]:
        width = self.a_format.bits + (covered - 1).bit_length()
        if count * self.tile_n % 2 or not self.symmetric:  # sums of subsets: no differences
            return [Part("table generator", "decode", Adder(width), count, self._held, False)]
        return [Part("table generator", "decode", SumDifference(width), count / 2, self._held, False)]

    def _values(self, a: Format, codes: NDArray[Any]) -> NDArray[Any]:
        element = a.element
        assert isinstance(element, Integer)
        return element.integers(codes)

    def _entry(self, values: NDArray[Any], keys: NDArray[np.int64]) -> NDArray[Any]:
        """Return sums in units of 2^dropped, rounded to nearest even and saturated where bits are dropped."""
        total: NDArray[Any] = (values * keys).sum(axis=-1)
        if not self.dropped:
            return total
        top = 2 ** (self.table_width - 1) - 1
        return np.clip(np.rint(np.ldexp(total.astype(np.float64), -self.dropped)), -top, top).astype(np.int64)

    def _add(self, total: NDArray[Any], term: NDArray[Any]) -> NDArray[Any]:
        return wrapped(total + term, self.accumulator_bits)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the sums; whole numbers unless tables dropped bits."""
        total = self._joined(np.asarray(acc))
        if not self.dropped:
            return np.asarray(total // acc["divisor"])
        return np.asarray(np.ldexp(total / acc["divisor"], self.dropped))
