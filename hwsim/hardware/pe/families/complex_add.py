"""Weights of {1, i, -1, -i}: pass, swap and negate; two real additions per complex multiply-accumulate.

A lane holds one weight of two bits (iFairy, arXiv 2508.05571; code c stands for i^c) and a complex
activation, that is two numbers of the activation format. Bit 0 of the weight swaps both parts; the
real part is negated for i and -1, the imaginary one for -1 and -i. There are two sums, one per part,
so a layer of N inputs and M outputs has 2·N·M additions.

Activation codes are a complex array, the code of the real part + 1j · that of the imaginary one; an
array of plain codes is real, and its imaginary parts are 0. Results are complex128.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, parse_format
from hwsim.formats.sums import add_rounded, wrapped
from hwsim.hardware.circuits import (
    Mux,
    Negator,
    Part,
    Register,
    XorRow,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, check_operands, hidden_bit, take_accumulator

TURNS = parse_format("complex2").element


@dataclass(frozen=True)
class ComplexAdd(SummingPE):
    """``lanes`` complex multiply-accumulates by turns."""

    family: ClassVar[str] = "complex_add"
    integer_family: ClassVar[str] = "ternary"

    @property
    def psum_bits(self) -> int:
        """Both sums."""
        return 2 * self.accumulator.bits

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Quarter turns, beside the activations that it is built for."""
        if w.element != TURNS:
            return Reason(f"weights of {w.name} are no powers of i")
        return self.takes_activation(a)

    def additions(self, w_codes: NDArray[Any]) -> int:
        """Return the real additions that weights take: two each."""
        return 2 * int(np.size(w_codes))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return swap and negation of both parts, and two sums with their registers."""
        act, n = self.a_format.element, self.lanes
        found = [
            Part("negation decode", "decode", XorRow(1), n, on_path=False),
            Part("swap", "multiplier", Mux(act.bits, 2), 2 * n),
        ]
        if isinstance(act, Minifloat):
            found += [Part("sign", "multiplier", XorRow(1), 2 * n, on_path=False), hidden_bit(act, 2 * n)]
        else:
            found += [
                Part("negate", "multiplier", Negator(act.bits + 1), 2 * n),
            ]
        sums = self.sum_parts(act.sig_bits if isinstance(act, Minifloat) else act.bits + 1)
        found += [replace(part, count=2 * part.count) for part in sums if part.role != "operands"]
        found.append(Part("operands", "register", Register(n * (TURNS.bits + 2 * act.bits)), on_path=False))
        return tuple(found)

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros, complex128: the two accumulators."""
        return np.zeros(shape, dtype=np.complex128)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the turned activations to both sums: wrapping, or lane by lane with one rounding each."""
        assert scales is None
        turned = self.products(w_codes, a_codes, w, a)
        return np.asarray(self._sum(acc.real, turned.real) + 1j * self._sum(acc.imag, turned.imag))

    def _sum(self, acc: NDArray[Any], products: NDArray[Any]) -> NDArray[Any]:
        if self.whole:
            total = acc.astype(np.int64) + products.astype(np.int64).sum(axis=-1)
            return wrapped(total, self.accumulator.bits)
        for lane in range(products.shape[-1]):
            acc = add_rounded(self.accumulator, acc, products[..., lane])
        return acc

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the activations, swapped and negated, complex128."""
        re, im = (self._part(a, codes) for codes in _parts_of(a_codes))
        turn = np.asarray(w_codes, dtype=np.int64)
        swapped = turn % 2 == 1
        first, second = np.where(swapped, im, re), np.where(swapped, re, im)
        real = np.where((turn == 1) | (turn == 2), -first, first)
        return np.asarray(real + 1j * np.where(turn >= 2, -second, second))

    def _part(self, a: Format, codes: NDArray[Any] | None) -> NDArray[Any]:
        if codes is None:
            return np.zeros(1)
        return a.element.integers(codes) if isinstance(a.element, Integer) else a.element.decode(codes)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the accumulators, complex128."""
        return np.asarray(acc, dtype=np.complex128) * self.unit


def _parts_of(codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the codes of real and imaginary parts; None for numbers that are real."""
    given = np.asarray(codes)
    if given.dtype.kind != "c":
        return given, None
    return given.real.astype(np.int64), given.imag.astype(np.int64)


@PES.register("complex_add")
def build(options: Mapping[str, Any]) -> ComplexAdd:
    """Build from ``{w_format: complex2, a_format: int8 or fp16, lanes: 4, accumulator: int32 or fp32}``."""
    w, a, rest = take_formats(
        {"w_format": "complex2", "a_format": "int8", **options}, "complex_add", ("accumulator", "lanes")
    )
    check_operands("complex_add", w, a, "complex2", (TURNS,))
    lanes = int(rest.get("lanes", 4))
    return ComplexAdd(w, a, lanes, take_accumulator(rest, "complex_add", a, a.bits + 1, lanes))


@PAIRINGS.register("complex_add")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``complex2`` with INT8 parts of activations, ``complex2_a16`` with FP16 ones."""
    activations = {"complex2": "int8", "complex2_a16": "fp16"}
    if label not in activations:
        return None
    return {"family": "complex_add", "w_format": "complex2", "a_format": activations[label]}
