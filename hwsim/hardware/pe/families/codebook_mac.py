"""Floating-point MAC behind decoding tables: codebooks such as NF4, posits, and formats of your own.

A code looks up its value in a small table of constants (one per lane and operand); what follows is
the datapath of :mod:`hwsim.hardware.pe.families.float_mac`. The table holds floats of the format
``decoded``, FP16 unless stated: values that it does not have are rounded to it, and the design's SQNR
is measured with what the table holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import ElementFormat, Format, Integer, Minifloat, Scaled
from hwsim.formats.element.codebook import Tabulated
from hwsim.hardware.circuits import Part, Rom
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.families.float_mac import FloatMac, significand
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_flag, take_formats, take_minifloat
from hwsim.spec.errors import UsageError

#: Codes wider than this would need tables of more than 256 words per lane.
TABLE_BITS = 8


def tabulated(fmt: Format) -> bool:
    """Return whether operands of ``fmt`` are decoded by a table: one real number per code, scaled or not."""
    if not isinstance(fmt, (ElementFormat, Scaled)) or fmt.element.complex_valued:
        return False
    return isinstance(fmt.element, Tabulated) and fmt.element.bits <= TABLE_BITS


@dataclass(frozen=True)
class CodebookMac(FloatMac):
    """A float MAC whose operands may be codes of a table."""

    decoded: Minifloat

    family: ClassVar[str] = "codebook_mac"

    def operand_bits(self, fmt: Format) -> tuple[int, int]:
        """Those of the table's words for codes of a table, else those of the format."""
        return significand(self.decoded if tabulated(fmt) else fmt)

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Codes of the built tables, and whatever fits behind them."""
        for role, fmt, built in (("weights", w, self.w_format), ("activations", a, self.a_format)):
            if tabulated(fmt) and fmt.element != built.element:
                return Reason(f"{role} of {fmt.name} need a table of their own; this one is of {built.element.name}")
        plain = [self._behind_table(fmt) for fmt in (w, a)]
        return super().supports(*plain)

    def _behind_table(self, fmt: Format) -> Format:
        return self.decoded if tabulated(fmt) else fmt

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the tables and the float MAC behind them."""
        tables = [
            Part(f"{role} table", "decode", Rom(2**fmt.bits, self.decoded.bits), count=self.lanes)
            for role, fmt in (("weight", self.w_format), ("activation", self.a_format))
            if tabulated(fmt)
        ]
        return (*tables, *super().parts(w, a))

    def keeps_subnormals(self, fmt: Format) -> bool:
        """As a float MAC on what the table holds."""
        return super().keeps_subnormals(self._behind_table(fmt))

    def _operand(self, fmt: Format, codes: NDArray[Any]) -> NDArray[np.float64]:
        if not tabulated(fmt):
            return super()._operand(fmt, codes)
        words = self.decoded.encode(fmt.element.code_values())
        return super()._operand(self.decoded, words[np.asarray(codes, dtype=np.int64)])


@PES.register("codebook_mac")
def build(options: Mapping[str, Any]) -> CodebookMac:
    """Build from ``{w_format, a_format: fp16, decoded: fp16, accumulator: fp32, lanes, subnormals: auto}``."""
    given = dict(options) if "format" in options else {"a_format": "fp16", **options}
    w, a, rest = take_formats(given, "codebook_mac", ("accumulator", "decoded", "lanes", "subnormals"))
    if not (tabulated(w) or tabulated(a)):
        raise UsageError(
            f"pe: codebook_mac {w.name} × {a.name}: neither is decoded by a table of up to {TABLE_BITS} bits; "
            "valid: nf4_g64, posit8_es1, ternary, formats of your own; float_mac takes floats"
        )
    for fmt in (w, a):
        if not tabulated(fmt) and not isinstance(fmt.element, (Minifloat, Integer)):
            raise UsageError(f"pe: codebook_mac takes no {fmt.name}; valid: tables, floats, integers")
        if isinstance(fmt, Scaled) and fmt.asymmetric:
            raise UsageError(f"pe: codebook_mac {fmt.name}: zero points need int_mac")
    decoded = take_minifloat(rest, "codebook_mac", "decoded", "fp16")
    accumulator = take_minifloat(rest, "codebook_mac", "accumulator", "fp32")
    flag = take_flag(rest, "codebook_mac", "subnormals")
    return CodebookMac(w, a, int(rest.get("lanes", 1)), accumulator, flag, decoded)


@PAIRINGS.register("codebook_mac")
def pair(label: str) -> dict[str, Any] | None:
    """Claim weights that are codes of a table, beside FP16 activations."""
    fmt = known_format(label)
    if fmt is not None and tabulated(fmt):
        return {"family": "codebook_mac", "w_format": fmt.name, "a_format": "fp16", "accumulator": "fp32"}
    return None
