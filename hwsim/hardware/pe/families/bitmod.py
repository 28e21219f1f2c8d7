"""BitMoD's bit-serial PE: a dot product of weight terms and floating-point activations.

Per cycle, ``lanes`` one-bit-mantissa weight terms (:mod:`hwsim.formats.terms`) meet ``lanes``
activations (arXiv 2411.11745, IV-B, Figure 5): exponents are added and the largest is found;
products, one AND row each, are aligned to it with 3 further bits, rounded to nearest even and
added in a tree. A weight takes as many cycles as its format has terms: 2 for FP3 and FP4,
ceil(bits / 2) for integers.

The accumulator is a two's complement number with an exponent, 28 bits for FP16 as in the
synthesised units. It keeps the coarser grid of itself and of what is added (rounding to nearest
even), and a coarser one after an overflow. It is normalised when it leaves the PE.

A group's sum is multiplied by its 8-bit scale, one bit per cycle (the 11 of an FP16 scale take 11),
and the result is normalised and added to the output's FP32 sum by a unit that the PEs of a column
share. The term encoder is shared by the PEs that a weight is broadcast to. Both are priced per PE as
1/8: tiles are 8 × 8 (Table X).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import BitMod, Format, Minifloat, bit_serial_terms, minifloat, term_table
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    Comparator,
    Incrementer,
    LeadingZeroCounter,
    Mux,
    OrTree,
    Part,
    Register,
    Shifter,
    Subtractor,
    XorRow,
)
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.datapaths import float_accumulate, scale_has_exponent, scale_significand
from hwsim.hardware.pe.pairing import PAIRINGS, known_format
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.technology import factor
from hwsim.spec.errors import UsageError

#: Bits that the aligner keeps below the significand (IV-B).
EXTRA_BITS = 3
#: PEs that share a term encoder and an output adder: tiles are 8 × 8 (V-A).
SHARED_BY = 8
#: Exponent bits of a term (IV-A).
TERM_EXPONENT = 2
#: Bits of the accumulator beyond the activation's significand: 28 in all for FP16 (synthesis rows).
ACCUMULATOR_BITS = 17
#: An accumulator: its value and the exponent of its last place.
ACCUMULATOR = np.dtype([("value", np.float64), ("unit", np.int64)])
#: Exponent of the last place of an accumulator that holds nothing yet.
EMPTY = -(2**20)
FP32 = minifloat(8, 23, "fp32")


@dataclass(frozen=True)
class BitModPE(PE):
    """A bit-serial dot product of ``lanes`` weights and activations."""

    family: ClassVar[str] = "bitmod"
    glitch_family: ClassVar[str] = "bitmod"
    own_dequantizer: ClassVar[bool] = True

    @property
    def accumulator_bits(self) -> int:
        """Width of the accumulator's significand."""
        return cast(Minifloat, self.a_format).sig_bits + ACCUMULATOR_BITS

    @property
    def psum_bits(self) -> int:
        """Significand and exponent of the accumulator."""
        return self.accumulator_bits + cast(Minifloat, self.a_format).exponent_bits + 1

    @property
    def sum_format(self) -> Format:
        """A float of the accumulator's significand without its sign and of its exponent."""
        exponent_bits = cast(Minifloat, self.a_format).exponent_bits + 1
        mantissa_bits = self.accumulator_bits - 2
        return minifloat(exponent_bits, mantissa_bits, f"e{exponent_bits}m{mantissa_bits}")

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Weights with bit-serial terms; the activation format that it is built for."""
        try:
            bit_serial_terms(w)
        except ValueError as error:
            return Reason(str(error))
        if w.bits > max(8, self.w_format.bits):
            return Reason(f"weights of {w.bits} bits are wider than the encoder's 8")
        if a != self.a_format:
            return Reason(f"activations of {a.name} are not the {self.a_format.name} that it is built for")
        return None

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle per term of the weight format."""
        return bit_serial_terms(w)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Group scales act on the sum of a group."""
        return "sum" if w.block_size else "none"

    def dequant_cycles(self, w: Format, a: Format) -> int:
        """One cycle per significant bit of the scale: 8 of an integer share, 11 of an FP16."""
        return max(1, scale_significand(w))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return encoder, exponent path, products, aligners, tree, accumulator and registers."""
        act, n = cast(Minifloat, self.a_format), self.lanes
        exp, aligned = act.exponent_bits + 1, act.sig_bits + EXTRA_BITS
        depth = (n - 1).bit_length()
        largest = (
            Part("largest exponent", "exponent", Comparator(exp), n - 1, in_series=depth),
            Part("select exponent", "exponent", Mux(exp, 2), n - 1, in_series=depth),
        )
        tree = (Part("adder tree", "accumulator", AdderTree(n, aligned + 1)),)
        found = [
            *self._encoder(),
            Part("term exponent", "exponent", Adder(TERM_EXPONENT), n),
            Part("exponent carry", "exponent", Incrementer(exp - TERM_EXPONENT), n),
            *(largest if n > 1 else ()),
            Part("difference", "exponent", Subtractor(exp), n),
            Part("sign", "multiplier", XorRow(1), n, on_path=False),
            Part("1-bit product", "multiplier", AndRow(act.sig_bits), n),
            Part("align", "alignment", Shifter(aligned, aligned), n),
            Part("sticky", "alignment", OrTree(aligned), n, on_path=False),
            # -(m + r) is not(m) + 1 - r: rounding and sign are one carry, into an adder of the tree or of the sum
            Part("round", "alignment", AndRow(2), n),
            Part("round or negate carry", "accumulator", XorRow(1), n, on_path=False),
            Part("negate", "accumulator", XorRow(aligned), n, on_path=False),
            *(tree if n > 1 else ()),
            *self._accumulator(exp),
            Part("activations", "register", Register(n * act.bits), on_path=False),
            Part("terms", "register", Register(n * (TERM_EXPONENT + 2) + 3), on_path=False),
        ]
        active = factor("activity", "bitmod")
        return tuple(p if p.group == "register" else replace(p, activity=active) for p in found)

    def _accumulator(self, exponent: int) -> tuple[Part, ...]:
        """Return swap, aligner, adder and overflow shift of the accumulator, with its register."""
        bits = self.accumulator_bits
        loop = (
            Part("grid difference", "exponent", Subtractor(exponent)),
            Part("grid select", "exponent", Mux(exponent, 2), on_path=False),
            Part("swap", "alignment", Mux(bits, 2), 2, on_path=False),
            Part("align sum", "alignment", Shifter(bits, bits)),
            Part("sticky of sum", "alignment", OrTree(bits), on_path=False),
            Part("accumulator adder", "accumulator", Adder(bits)),
            Part("overflow shift", "accumulator", Mux(bits, 2)),
            Part("grid correction", "exponent", Incrementer(exponent), on_path=False),
        )
        register = Part("accumulator", "register", Register(self.psum_bits))
        return (*(replace(part, feeds_back=True) for part in loop), register)

    def _encoder(self) -> tuple[Part, ...]:
        """Return the encoder of ``lanes`` weights: fixed-point decode, leading ones, Booth recoding."""
        n = self.lanes / SHARED_BY
        return (
            Part("weight decode", "decode", Mux(5, 8), n, on_path=False),
            Part("leading ones", "decode", LeadingZeroCounter(4), 2 * n, on_path=False),
            Part("Booth recoding", "decode", Mux(3, 4), n, on_path=False),
            Part("encoder weights", "register", Register(8), n, on_path=False),
        )

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """Return the serial scale multiplier and this PE's share of normaliser and output adder."""
        bits, serial = self.accumulator_bits, self.dequant_cycles(w, a)
        shared: tuple[Part, ...] = (
            Part("leading zeros", "normalisation", LeadingZeroCounter(bits)),
            Part("normalise", "normalisation", Shifter(bits, bits)),
            *float_accumulate(FP32, FP32.sig_bits),
            Part("output", "register", Register(FP32.bits)),
        )
        if scale_has_exponent(w):
            shared = (*shared, Part("scale exponent", "normalisation", Adder(FP32.exponent_bits + 1)))
        return (
            Part("serial scale adder", "dequantization", Adder(bits), activity=serial),
            Part("scale and product", "dequantization", Register(bits + 2 * serial), activity=serial),
            *(replace(p, group="dequantization", count=p.count / SHARED_BY, on_path=False) for p in shared),
        )

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return empty accumulators (:data:`ACCUMULATOR`)."""
        acc = np.zeros(shape, dtype=ACCUMULATOR)
        acc["unit"] = EMPTY
        return acc

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the accumulators, float64."""
        return np.asarray(acc)["value"]

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add one term of every lane per cycle, as the module describes."""
        assert scales is None
        terms = term_table(w.element)
        values = a.element.decode(a_codes)
        codes = np.asarray(w_codes, dtype=np.int64)
        for slot, bsig in enumerate(terms.bsig):
            power = terms.exponent[slot][codes]
            weight = np.where(terms.sign[slot][codes] == 1, -1.0, 1.0) * terms.mantissa[slot][codes]
            total, unit = self._aligned_sum(weight * np.ldexp(values, power), power)
            acc = self._add(acc, np.ldexp(total, int(bsig)), unit + bsig)
        return acc

    def _aligned_sum(self, products: NDArray[Any], power: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Round products to the grid of the largest exponent; return their exact sum and the grid."""
        act = cast(Minifloat, self.a_format)
        exponent = np.frexp(np.abs(products))[1] - 1
        # A subnormal activation keeps the exponent of the smallest normal one.
        exponent = np.where(products != 0, np.maximum(exponent, act.min_exponent + power), EMPTY)
        unit = exponent.max(axis=-1) - act.mantissa_bits - EXTRA_BITS
        return _on_grid(products, unit[..., None]).sum(axis=-1), unit

    def _add(self, acc: NDArray[Any], total: NDArray[Any], unit: NDArray[Any]) -> NDArray[Any]:
        """Add ``total`` on the coarser of two grids; a sum that overflows moves to the next one."""
        unit = np.where(total != 0, np.maximum(acc["unit"], unit), acc["unit"])
        value = _on_grid(acc["value"], unit) + _on_grid(total, unit)
        limit = np.ldexp(1.0, np.maximum(unit, EMPTY // 1024) + self.accumulator_bits - 1)
        over = (value >= limit) | (value < -limit)
        out = np.empty(np.shape(value), dtype=ACCUMULATOR)
        out["unit"] = np.where(over, unit + 1, unit)
        out["value"] = np.where(over, _on_grid(value, unit + 1), value)
        return out


def _on_grid(values: NDArray[Any], unit: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``values`` rounded to nearest even multiples of 2^unit."""
    finite = np.maximum(unit, EMPTY // 1024)  # far below every product, and in float64's range
    rounded: NDArray[np.float64] = np.ldexp(np.rint(np.ldexp(values, -finite)), finite)
    return rounded


@PES.register("bitmod")
def build(options: Mapping[str, Any]) -> BitModPE:
    """Build from ``{w_format: bitmod4_g128, a_format: fp16, lanes: 4}``."""
    given = {"w_format": "bitmod4_g128", "a_format": "fp16", "lanes": 4, **options}
    w, a, rest = take_formats(given, "bitmod", ("lanes",))
    if not isinstance(a, Minifloat) or a.bits > 16:
        raise UsageError(f"pe: bitmod activations of {a.name}: valid: floats of up to 16 bits, such as fp16, bf16")
    pe = BitModPE(w, a, int(rest["lanes"]))
    reason = pe.supports(w, a)
    if reason is not None:
        raise UsageError(f"pe: bitmod weights: {reason}")
    return pe


@PAIRINGS.register("bitmod")
def pair(label: str) -> dict[str, Any] | None:
    """Claim BitMoD's formats: FP16 activations, and INT8 for the KV cache (IV-C)."""
    fmt = known_format(label)
    if isinstance(fmt, BitMod):
        return {"family": "bitmod", "w_format": label, "a_format": "fp16"}
    return None
