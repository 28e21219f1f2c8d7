"""MixPE: a narrow weight is applied by shifts and additions; scales act after the group.

One row of AND gates per weight bit, and one adder fewer than bits: rows are added one after the
other, already shifted (wiring). The row of the weight's sign bit is subtracted. Group scales act on
the group's sum, once, in a dequantizer that is not part of every product (arXiv 2411.16158: dequantize
after per-group multiplication).

* Integer activations (W4A8): two's complement rows, an adder tree, an integer accumulator.
* FP16 activations (W4A16): the weight's magnitude times the 11-bit significand by the same rows; the
  exact product is added in floating point. The paper's own W4A16 circuit was not reachable: this is
  the reading of it that loses nothing. Subnormal activations keep their exponent and need no
  normalisation before the rows, since the sum normalises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.hardware.circuits import (
    Adder,
    AndRow,
    Negator,
    Part,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, hidden_bit, last_place, take_accumulator
from hwsim.spec.errors import UsageError

#: Wider weights would need more rows than a multiplier's tree is worth.
MAX_WEIGHT = 8


@dataclass(frozen=True)
class MixPE(SummingPE):
    """``lanes`` shift-and-add products per step."""

    family: ClassVar[str] = "mixpe"
    integer_family: ClassVar[str] = "shift_add"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Signed integers up to the rows that are built, beside the activations that it is built for."""
        if not isinstance(w.element, Integer) or not w.element.signed or (isinstance(w, Scaled) and w.asymmetric):
            return Reason(f"weights of {w.name} are no signed integers")
        if w.bits > self.w_format.bits or last_place(w) != last_place(self.w_format):
            return Reason(f"weights of {w.name} do not fit into {self.w_format.bits} rows")
        return self.takes_activation(a)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return rows and adders per lane, then the sum."""
        act, rows, n = self.a_format.element, self.w_format.bits, self.lanes
        wide = act.sig_bits if isinstance(act, Minifloat) else act.bits
        found = [
            Part("rows", "multiplier", AndRow(wide), n * rows, in_series=1),
            Part("row adders", "multiplier", Adder(wide + 1), n * (rows - 1), in_series=rows - 1),
        ]
        if isinstance(act, Minifloat):
            found += [
                Part("weight magnitude", "decode", Negator(rows), n),
                Part("sign", "multiplier", XorRow(1), n, on_path=False),
                hidden_bit(act, n),
            ]
        else:
            found.append(Part("sign row", "multiplier", XorRow(wide + 1), n, on_path=False))
        return (*found, *self.sum_parts(wide + rows))

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the sums of shifted rows."""
        assert isinstance(w.element, Integer)
        if isinstance(a.element, Integer):
            return self._rows(np.asarray(w_codes, dtype=np.int64), a.element.integers(a_codes), w.bits)
        weight = w.element.integers(w_codes)
        rows = self._rows(np.abs(weight), a.element.decode(a_codes), w.bits + 1)
        return np.where(weight < 0, -rows, rows) * last_place(w)

    @staticmethod
    def _rows(weight: NDArray[np.int64], activation: NDArray[Any], bits: int) -> NDArray[Any]:
        """Return the sum of one shifted row per bit; the top row is subtracted."""
        signs = [1] * (bits - 1) + [-1]
        rows = [sign * (weight >> i & 1) * activation * (1 << i) for i, sign in enumerate(signs)]
        return np.asarray(sum(rows))


@PES.register("mixpe")
def build(options: Mapping[str, Any]) -> MixPE:
    """Build from ``{w_format: int4_g128, a_format: int8 or fp16, lanes: 1, accumulator: int32 or fp32}``."""
    given = dict(options) if "format" in options else {"w_format": "int4_g128", "a_format": "int8", **options}
    w, a, rest = take_formats(given, "mixpe", ("accumulator", "lanes"))
    good = isinstance(w.element, Integer) and w.element.signed and w.bits <= MAX_WEIGHT
    if not good or (isinstance(w, Scaled) and w.asymmetric):
        raise UsageError(f"pe.w_format: mixpe takes no {w.name}; valid: int2 … int{MAX_WEIGHT}, int4_g128, …")
    if not isinstance(a.element, (Integer, Minifloat)) or a.bits > 16 or (isinstance(a, Scaled) and a.asymmetric):
        raise UsageError(f"pe.a_format: mixpe takes no {a.name}; valid: symmetric integers, floats of up to 16 bits")
    lanes = int(rest.get("lanes", 1))
    return MixPE(w, a, lanes, take_accumulator(rest, "mixpe", a, w.bits + a.bits, lanes))


_LABEL = re.compile(r"mixpe_w(\d+)a(\d+)(_g\d+)?$")


@PAIRINGS.register("mixpe")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``mixpe_w4a8``, ``mixpe_w4a16_g128`` and the like; 16 bits of activations are FP16."""
    match = _LABEL.match(label)
    if match is None:
        return None
    activation = "fp16" if match[2] == "16" else f"int{match[2]}"
    return {"family": "mixpe", "w_format": f"int{match[1]}{match[3] or ''}", "a_format": activation}
