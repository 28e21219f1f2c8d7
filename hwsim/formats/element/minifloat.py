"""Binary floating point of any width: fp32, bf16, fp16, FP8, FP6, FP4 and every ``fpB_eXmY``.

Widths above 8 bits follow IEEE 754: the top exponent holds infinities and NaN. ``fp8_e5m2`` and
``fp8_e3m4`` do so too, ``fp8_e4m3`` has no infinity and one NaN per sign (OCP OFP8), and every other
format of up to 8 bits has finite codes only, as OCP MX defines FP6 and FP4. With one exponent bit the
bias is 0, so that ``fp4_e1m2`` reaches 3.5 in steps of 0.5 (tables with 1.75 count the same grid in
halves). What else names can say is in :mod:`hwsim.formats.element.float_names`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.base import ElementFormat, encoded_in_pieces, round_in_chunks
from hwsim.formats.rounding import End, Neighbours

Special = Literal["ieee", "nan_only", "finite", "fnuz"]

#: Unsigned twin, mantissa bits and smallest normal exponent of numpy's floats.
_MACHINE: dict[Any, tuple[Any, int, int]] = {
    np.dtype(np.float32): (np.uint32, 23, -126),
    np.dtype(np.float64): (np.uint64, 52, -1022),
}


@dataclass(frozen=True)
class Minifloat(ElementFormat):
    """Sign, ``exponent_bits``, ``mantissa_bits``; value (-1)^s · 2^(e-bias) · 1.m, subnormals 0.m.

    ``exponent_bias`` replaces the usual 2^(exponent_bits-1) - 1. Without ``subnormals`` exponent
    field 0 is a normal exponent like the others, and there is no zero: powers of two (``ue8m0``).
    ``stored_bits`` is what a code takes in memory where that is more than its own width.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    special: Special
    exponent_bias: int | None = None
    signed: bool = True
    subnormals: bool = True
    stored_bits: int | None = None

    @property
    def bits_per_element(self) -> Fraction:
        """What a code takes in memory."""
        return Fraction(self.stored_bits or self.bits)

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Width of a code."""
        return int(self.signed) + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        """Exponent bias, 2^(exponent_bits-1) - 1 unless stated; one higher for ``fnuz``."""
        if self.exponent_bias is not None:
            return self.exponent_bias
        return int(2 ** (self.exponent_bits - 1)) - (0 if self.special == "fnuz" else 1)

    @property
    def sig_bits(self) -> int:
        """Significand bits with the hidden one."""
        return self.mantissa_bits + 1

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number."""
        return int(self.subnormals) - self.bias

    @cached_property
    def max_code(self) -> int:
        """Magnitude code of the largest finite number."""
        top = int(2 ** (self.exponent_bits + self.mantissa_bits)) - 1
        if self.special == "ieee":
            return top - int(2**self.mantissa_bits)
        return top - 1 if self.special == "nan_only" else top

    @cached_property
    def max_value(self) -> float:
        """Largest finite magnitude."""
        return float(self.decode(np.array([self.max_code], dtype=np.uint32))[0])

    @property
    def _magnitude_bits(self) -> int:
        return self.exponent_bits + self.mantissa_bits

    @property
    def nan_code(self) -> int | None:  # type: ignore[override]
        """The code of NaN that encoding gives, None where there is none."""
        if self.special == "finite":
            return None
        return int(2**self._magnitude_bits) - (0 if self.special == "fnuz" else 1)

    def fields(self, codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return sign, exponent field and mantissa field of ``codes`` as int64 arrays."""
        codes = np.asarray(codes, dtype=np.int64)
        mantissa = codes & (2**self.mantissa_bits - 1)
        exponent = (codes >> self.mantissa_bits) & (2**self.exponent_bits - 1)
        return codes >> self._magnitude_bits, exponent, mantissa

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of ``codes``; NaN and infinities as the format defines them."""
        sign, exponent, mantissa = self.fields(codes)
        hidden = (exponent > 0) | (not self.subnormals)
        significand = mantissa + np.where(hidden, 2**self.mantissa_bits, 0)
        power = np.maximum(exponent, int(self.subnormals)) - self.bias - self.mantissa_bits
        values = np.ldexp(significand.astype(np.float64), power)
        magnitude = np.asarray(codes, dtype=np.int64) & (2**self._magnitude_bits - 1)
        over = magnitude > self.max_code
        if self.special == "fnuz":
            over = np.asarray(codes, dtype=np.int64) == self.nan_code
        if over.any():
            infinite = (mantissa == 0) & (self.special == "ieee")
            values = np.where(over, np.where(infinite, np.inf, np.nan), values)
        signed: NDArray[np.float64] = np.where(sign == 1, -values, values)
        return signed

    def flush_subnormals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` with those below the smallest normal number as zeros."""
        flushed: NDArray[np.float64] = np.where(np.abs(values) < 2.0**self.min_exponent, 0.0, values)
        return flushed

    @cached_property
    def listed_normal(self) -> NDArray[np.float64]:
        """The values of all codes, subnormal ones as zeros; read-only."""
        values = self.flush_subnormals(self.listed)
        values.setflags(write=False)
        return values

    @encoded_in_pieces
    def encode(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Round to nearest even and saturate at the largest finite number.

        Unsigned formats take negative numbers as the smallest number that they have.
        """
        x = np.asarray(values, dtype=np.float64)
        missing = np.isnan(x)
        self._check_nan(bool(missing.any()))
        rounded = self._nearest(np.where(missing, 1.0, x))
        magnitude = np.abs(rounded)
        exponent = np.where(magnitude > 0, np.frexp(magnitude)[1] - 1, self.min_exponent)
        power = np.maximum(exponent, self.min_exponent)
        steps = np.ldexp(magnitude, self.mantissa_bits - power).astype(np.int64)
        codes = steps + (power - self.min_exponent) * 2**self.mantissa_bits
        if not self.subnormals:
            codes -= 2**self.mantissa_bits
        negative = np.signbit(rounded) & ((codes > 0) | (self.special != "fnuz"))
        codes = np.where(negative, codes + 2**self._magnitude_bits, codes)
        coded: NDArray[np.uint32] = np.where(missing, self.nan_code or 0, codes).astype(np.uint32)
        return coded

    def _check_nan(self, found: bool) -> None:
        if found and self.nan_code is None:
            raise ValueError(f"{self.name} has no code for NaN")

    def _nearest(self, x: NDArray[Any]) -> NDArray[Any]:
        """Round to nearest even in the dtype of ``x``, a chunk at a time."""
        return round_in_chunks(x, self.round_chunk)

    def round_chunk(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round to nearest even; see :meth:`ElementFormat.round_chunk`."""
        with np.errstate(over="ignore"):  # values that the dtype of x does not reach
            self._round(x, out, spare)

    def _round(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        _, mantissa, least = _MACHINE[x.dtype]
        if not self.subnormals:
            out[...] = self._nearest_power(x)
        elif self.mantissa_bits == 0:
            self._even_power(x, out, spare)
        elif self.min_exponent == least and self.signed and self.mantissa_bits < mantissa:
            if self._within(x):
                self._cut(x, out, spare)
            else:
                out[...] = self._rounded(x)
        elif self.min_exponent - self.mantissa_bits >= least:
            self._stepped(x, out, spare)
        else:
            out[...] = self._rounded(x)

    def _nearest_power(self, x: NDArray[Any]) -> NDArray[Any]:
        """Round to a power of two, a tie to the larger one, as ml_dtypes does for E8M0.

        But for float32 between 2^-127 and 1.5 · 2^-127, subnormal ones, which ml_dtypes rounds up to 2^-126.
        """
        size = np.abs(x.astype(np.float64))
        self._check_nan(bool(np.isnan(size).any()))
        lowest, highest = np.ldexp(1.0, self.min_exponent), self.max_value
        fraction, exponent = np.frexp(np.clip(size, lowest, highest))
        powers = np.ldexp(1.0, exponent - (fraction < 0.75))
        bounded = np.where(np.signbit(x), lowest, np.clip(powers, lowest, highest))
        return np.asarray(np.where(np.isnan(size), np.nan, bounded).astype(x.dtype))

    def _even_power(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round to zero or a power of two, a tie to the even code: without mantissa the exponent's parity."""
        word, mantissa, least = _MACHINE[x.dtype]
        if self.min_exponent < least:
            wide = x.astype(np.float64)
            self._even_power(wide, wide, np.empty_like(wide))
            out[...] = wide
            return
        top, smallest = x.dtype.type(self.max_value), x.dtype.type(2.0**self.min_exponent)
        sign = word(1 << (8 * x.itemsize - 1))
        np.clip(x, -top if self.signed else x.dtype.type(0), top, out=out)
        missing = np.isnan(out) if np.isnan(out.max(initial=0)) else None
        self._check_nan(missing is not None)
        bits, size = out.view(word), spare.view(word)
        np.bitwise_and(bits, ~sign, out=size)
        nonzero = size > (smallest / 2).view(word)
        np.maximum(size, smallest.view(word), out=size)
        carry = np.right_shift(size, word(mantissa))
        carry += word((self.min_exponent - least) % 2)  # odd where the code of the power of two below is odd
        carry &= word(1)
        carry += word((1 << (mantissa - 1)) - 1)
        size += carry
        size &= ~word((1 << mantissa) - 1)
        size *= nonzero
        bits &= sign
        bits |= size
        if not self.signed or self.special == "fnuz":
            out += x.dtype.type(0)  # no -0
        if missing is not None:
            out[missing] = np.nan

    def _stepped(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round to whole multiples of the step at each of ``x``, which is a power of two.

        The step is that of the exponent of ``x``, or of the smallest normal number if that is more.
        ``rint`` keeps the sign of zero. Dividing by and multiplying with a power of two is exact.
        """
        word, mantissa, least = _MACHINE[x.dtype]
        infinity, top = np.array(np.inf, x.dtype).view(word)[()], x.dtype.type(self.max_value)
        np.clip(x, -top if self.signed else x.dtype.type(0), top, out=out)
        self._check_nan(bool(np.isnan(out.max(initial=0))))
        step = spare.view(word)
        np.bitwise_and(out.view(word), infinity, out=step)  # the exponent alone: a power of two
        np.clip(step, word((self.min_exponent + 1 - least) << mantissa), infinity, out=step)
        step -= word(self.mantissa_bits << mantissa)
        out /= spare
        np.rint(out, out=out)
        out *= spare
        if not self.signed or self.special == "fnuz":
            out += x.dtype.type(0)  # no -0

    def _within(self, x: NDArray[Any]) -> bool:
        """Return whether no ``x`` is beyond the largest value, infinite or NaN."""
        word, _, _ = _MACHINE[x.dtype]
        bits, limit = x.view(word), int(np.array(self.max_value, x.dtype).view(word))
        # As integers, positive numbers are in order; as unsigned ones, the most negative number is the largest.
        signed = bits.view(f"i{x.itemsize}")
        return int(signed.max(initial=0)) <= limit and int(bits.max(initial=0)) <= limit | 1 << (8 * x.itemsize - 1)

    def _cut(self, x: NDArray[Any], out: NDArray[Any], spare: NDArray[Any]) -> None:
        """Round by adding to the bits and masking, where exponents and subnormals are the machine's own."""
        word, mantissa, _ = _MACHINE[x.dtype]
        shift, bits, parity = mantissa - self.mantissa_bits, x.view(word), spare.view(word)
        np.right_shift(bits, word(shift), out=parity)
        parity &= word(1)
        parity += word((1 << (shift - 1)) - 1)
        parity += bits
        np.bitwise_and(parity, ~word((1 << shift) - 1), out=out.view(word))

    def _rounded(self, x: NDArray[Any]) -> NDArray[Any]:
        word, mantissa, _ = _MACHINE[x.dtype]
        sign_bit = word(1 << (8 * x.itemsize - 1))
        bits = x.view(word)
        size = bits & ~sign_bit
        infinity = np.array(np.inf, dtype=x.dtype).view(word)
        missing = size > infinity
        has_nan = bool(missing.any())
        self._check_nan(has_nan)
        shift = mantissa - self.mantissa_bits
        if shift > 0:
            one, drop = word(1), word(shift)
            odd = (size >> drop) & one
            rounded = (size + (odd + word((1 << (shift - 1)) - 1))) & ~word((1 << shift) - 1)
        else:
            rounded = size
        rounded = self._near_zero(x.dtype.type, size, rounded, word)
        rounded = np.minimum(rounded, np.array(self.max_value, dtype=x.dtype).view(word))
        sign = bits & sign_bit
        if not self.signed:
            rounded = np.where(sign > 0, word(0), rounded)
        elif self.special == "fnuz":
            rounded = np.where(rounded > 0, rounded | sign, rounded)
        else:
            rounded = rounded | sign
        done: NDArray[Any] = rounded.view(x.dtype)
        return np.where(missing, x.dtype.type(np.nan), done) if has_nan else done

    def _near_zero(self, kind: Any, size: NDArray[Any], rounded: NDArray[Any], word: Any) -> NDArray[Any]:
        """Replace what lies below the smallest normal number by multiples of the smallest step."""
        self._check_reach(kind)
        smallest = kind(2.0**self.min_exponent)
        below = size < np.array(smallest).view(word)
        if not below.any():
            return rounded
        _, mantissa, least = _MACHINE[np.dtype(kind)]
        place = self.min_exponent - self.mantissa_bits + mantissa
        if place < least + mantissa:  # the machine's own subnormals are as fine: nothing to round
            return np.where(below, size, rounded) if place <= least else self._fine(kind, size, rounded, below, word)
        anchor = kind(2.0**place)  # its last place is the format's smallest step
        steps = (size.view(np.dtype(kind)) + anchor) - anchor
        return np.where(below, steps.view(word), rounded)

    def _check_reach(self, kind: Any) -> None:
        smallest = kind(2.0**self.min_exponent)
        if smallest == 0 or not np.isfinite(smallest):
            raise ValueError(f"{self.name} reaches below what {np.dtype(kind)} can hold; give float64")

    def _fine(
        self, kind: Any, size: NDArray[Any], rounded: NDArray[Any], below: NDArray[Any], word: Any
    ) -> NDArray[Any]:
        """Round where both the format's and the machine's numbers are subnormal."""
        step = self.min_exponent - self.mantissa_bits
        values = size.view(np.dtype(kind)).astype(np.float64)
        steps = np.ldexp(np.rint(np.ldexp(values, -step)), step).astype(kind)
        return np.where(below, steps.view(word), rounded)

    @property
    def _has_negative_zero(self) -> bool:
        return self.signed and self.subnormals and self.special != "fnuz"

    def _neighbours(self, x: NDArray[Any]) -> Neighbours:
        """Return the multiples of the step at each of ``x`` around it; as exact as float64 is."""
        self._check_reach(x.dtype.type)
        low, high = self._ends
        inside = np.clip(x.astype(np.float64), low.value, high.value)
        exponent = np.frexp(inside)[1] - 1
        power = np.maximum(exponent, self.min_exponent) - self.mantissa_bits
        steps = np.ldexp(inside, -power)
        below, above = np.ldexp(np.floor(steps), power), np.ldexp(np.ceil(steps), power)
        return Neighbours(below, above, (below + above) / 2)

    @cached_property
    def _ends(self) -> tuple[End, End]:
        infinity = math.inf if self.special == "ieee" else self.max_value if self.nan_code is None else math.nan
        high = float_end(self.max_code, self.max_value, self.mantissa_bits, self.min_exponent, infinity)
        if self.signed:
            return mirrored(high), high
        return self._unsigned_end(), high

    def _unsigned_end(self) -> End:
        """Return what is below the smallest number of an unsigned format: nothing that it has a code for but NaN."""
        if not self.subnormals:
            smallest = 2.0**self.min_exponent
            return End(smallest, 0.0, False, smallest if self.nan_code is None else math.nan)
        half = 2.0 ** (self.min_exponent - self.mantissa_bits - 1)
        return End(0.0, -half, True, 0.0 if self.nan_code is None else math.nan)

    def decode_scalar(self, code: int) -> Fraction | None:
        """Return the exact value of one code from the definition, None for NaN and infinities."""
        sign, rest = divmod(code, 2**self._magnitude_bits)
        exponent, mantissa = divmod(rest, 2**self.mantissa_bits)
        if (rest > self.max_code and self.special != "fnuz") or (self.special == "fnuz" and code == self.nan_code):
            return None
        hidden = int(exponent > 0 or not self.subnormals)
        power = max(exponent, int(self.subnormals)) - self.bias
        scale = Fraction(1 << power) if power >= 0 else Fraction(1, 1 << -power)
        value = (Fraction(mantissa, 2**self.mantissa_bits) + hidden) * scale
        return -value if sign else value


def float_end(top: int, largest: float, mantissa_bits: int, min_exponent: int, beyond: float) -> End:
    """Return the upper end of a float whose ``largest`` number has the magnitude code ``top``.

    The step beyond it is that of its exponent, also where a longer mantissa goes on; a tie stays where
    the code is even.
    """
    exponent = max(int(np.frexp(largest)[1]) - 1, min_exponent)
    return End(largest, largest + 2.0 ** (exponent - mantissa_bits - 1), top % 2 == 0, beyond)


def mirrored(end: End) -> End:
    """Return the lower end of a format with a sign."""
    return End(-end.value, -end.halfway, end.tie_stays, -end.beyond)


#: Formats of up to 8 bits that have more than finite codes: the FP8 of OCP, and the one with infinities of ml_dtypes.
_FP8: dict[tuple[int, int], Special] = {(5, 2): "ieee", (4, 3): "nan_only", (3, 4): "ieee"}


def minifloat(exponent_bits: int, mantissa_bits: int, name: str = "") -> Minifloat:
    """Return the format of these widths with the specials described in the module."""
    bits = 1 + exponent_bits + mantissa_bits
    special = _FP8.get((exponent_bits, mantissa_bits), "ieee" if bits > 8 else "finite")
    return Minifloat(name or f"fp{bits}_e{exponent_bits}m{mantissa_bits}", exponent_bits, mantissa_bits, special)


#: Unsigned formats of scales. NVFP4 keeps ``ue4m3`` as an E4M3 whose sign is 0.
SCALES = {
    "ue8m0": Minifloat("ue8m0", 8, 0, "nan_only", signed=False, subnormals=False, exponent_bias=127),
    "ue4m3": Minifloat("ue4m3", 4, 3, "nan_only", signed=False, stored_bits=8),
    "ue5m3": Minifloat("ue5m3", 5, 3, "nan_only", signed=False),
}
