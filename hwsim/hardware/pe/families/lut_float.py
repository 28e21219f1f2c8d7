"""Tables of floating-point activations, in a float format or quantized to INT8; see :mod:`.lut`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Minifloat
from hwsim.formats.sums import add_rounded
from hwsim.hardware.circuits import Adder, AndRow, LeadingZeroCounter, Mux, Part, Register, Shifter, XorRow
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.datapaths import dequantizer, float_accumulate
from hwsim.hardware.pe.lookup import tree_sum
from hwsim.hardware.pe.lut_base import Lut
from hwsim.hardware.technology.operations import operation_parts

#: Entries of quantized tables, and the exponent that those of a table share.
QUANTIZED_BITS, SHARED_EXPONENT = 8, 8


@dataclass(frozen=True)
class FloatLut(Lut):
    """A reader of tables of ``table`` floats, or of INT8 under a shared exponent."""

    table: Minifloat
    quantized: bool
    accumulator: Minifloat

    glitch_family: ClassVar[str] = "float_add"
    _number: ClassVar[Any] = np.float64

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator.bits

    @property
    def entry_bits(self) -> int:
        """Bits of a table's word."""
        return QUANTIZED_BITS if self.quantized else self.table.bits

    def _supports_activation(self, a: Format) -> Reason | None:
        if a != self.a_format:
            return Reason(f"activations of {a.name} are not the {self.a_format.name} that tables are made for")
        return None

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """FP32 sum times the scales, added in FP32."""
        return dequantizer(w, a, None)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return keys, tables, lookups, floating-point accumulation and the shares of what a tile has once."""
        tables, share = len(self.groups), 1 / self.tile_n
        found = [*self._key_parts(), *self._generator_parts()]
        found += self._serial_adders() if self.variant == "add" else self._table_parts()
        found.append(Part("sign", "multiplier", XorRow(1), tables, on_path=False))
        if self.quantized:
            found += self._conversion(tables)
        if self.weight_bits > 1 and self.plane_sums == 1:
            found.append(Part("plane exponent", "exponent", Adder(self.accumulator.exponent_bits), tables))
        sig = QUANTIZED_BITS if self.quantized else self.table.sig_bits
        found += [
            *float_accumulate(self.accumulator, sig, tables),
            Part("load partial sum", "accumulator", Mux(self.accumulator.bits, 2), on_path=False),
            Part("accumulator", "register", Register(self.accumulator.bits)),
        ]
        if self.symmetric:
            found += [
                replace(p, role=f"activation sum: {p.role}", count=p.count * share, on_path=False,
                        activity=p.activity * self._held)
                for p in float_accumulate(self.accumulator, sig, 1)
            ]  # fmt: skip
            found.append(Part("activation sum", "register", Register(self.accumulator.bits), share, self._held, False))
        return tuple(found)

    def _conversion(self, tables: int) -> list[Part]:
        """Return what makes an INT8 entry a float: normalisation, and the table's exponent."""
        return [
            Part("entry leading zeros", "decode", LeadingZeroCounter(QUANTIZED_BITS), tables),
            Part("entry normalise", "decode", Shifter(QUANTIZED_BITS, QUANTIZED_BITS), tables),
            Part("entry exponent", "exponent", Adder(SHARED_EXPONENT), tables, on_path=False),
            Part("table exponent", "register", Register(SHARED_EXPONENT * tables), 1 / self.tile_n, self._held, False),
        ]

    def _serial_adders(self) -> list[Part]:
        """Return the AND rows and the adder trees that stand for a table."""
        found = [Part("bit products", "multiplier", AndRow(self.a_format.bits), self.lanes)]
        add, _ = operation_parts("add", self.table)
        adders, depth = self.lanes - len(self.groups), (max(self.groups) - 1).bit_length()
        if adders:
            found += [replace(p, role=f"group adders: {p.role}", count=p.count * adders, in_series=depth) for p in add]
        return found

    def _adder_parts(self, covered: int, count: float) -> list[Part]:
        add, _ = operation_parts("add", self.table)
        return [
            replace(p, role=f"table generator: {p.role}", group="decode", count=p.count * count, activity=self._held,
                    on_path=False)
            for p in add
        ]  # fmt: skip

    def _values(self, a: Format, codes: NDArray[Any]) -> NDArray[Any]:
        return a.element.decode(codes)

    def _entry(self, values: NDArray[Any], keys: NDArray[np.int64]) -> NDArray[Any]:
        total = tree_sum(values * keys, self._table_add)
        if values.shape[-1] == 1:
            total = self.table.quantize(total)
        return self._to_int8(total, values) if self.quantized else total

    def _table_add(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        return add_rounded(self.table, x, y)

    def _to_int8(self, total: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """Return sums as multiples of the smallest power of two under which 127 holds the table's largest."""
        kinds = (np.abs(values),) if self.symmetric else (np.maximum(values, 0.0), np.maximum(-values, 0.0))
        largest = np.max([tree_sum(kind, self._table_add) for kind in kinds], axis=0)
        fraction, exponent = np.frexp(largest)
        top = 2 ** (QUANTIZED_BITS - 1) - 1
        unit = exponent - QUANTIZED_BITS + 1 + (fraction > top / (top + 1))
        return np.asarray(np.ldexp(np.rint(np.ldexp(total, -unit)), unit))

    def _add(self, total: NDArray[Any], term: NDArray[Any]) -> NDArray[Any]:
        return add_rounded(self.accumulator, np.asarray(total, dtype=np.float64), term)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the sums, float64."""
        return np.asarray(self._joined(np.asarray(acc)) / acc["divisor"])
