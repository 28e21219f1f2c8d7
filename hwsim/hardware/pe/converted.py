"""A PE behind instructions that convert its operands: what it cannot take it gets in the formats that it is built for.

A GPU's tensor cores multiply FP16; weights of 4 bits are made FP16 by other lanes first, with their scales. The PE then
is as if weights had come so: its parts, its cycles, its rounding. The conversion's instructions are the array's matter,
its arithmetic one decoding and encoding. Scales of converted operands act in the conversion.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.base import ElementFormat
from hwsim.formats.block.split import Split, SplitElement
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.element.codebook import Codebook
from hwsim.hardware.circuits import Part
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep

#: Elements that a decoder makes floats of.
MINIFLOAT_SOURCES = (Minifloat, Integer, Codebook)


@dataclass(frozen=True)
class Converted(PE):
    """``inner`` with converted ``weights`` or ``activations``, where it does not take them as they are."""

    inner: PE
    weights: bool
    activations: bool

    @property
    def family(self) -> str:  # type: ignore[override]
        """That of the PE."""
        return self.inner.family

    @property
    def glitch_family(self) -> str:  # type: ignore[override]
        """That of the PE."""
        return self.inner.glitch_family

    @property
    def latency_cycles(self) -> int:  # type: ignore[override]
        """That of the PE."""
        return self.inner.latency_cycles

    @property
    def own_dequantizer(self) -> bool:  # type: ignore[override]
        """As the PE."""
        return self.inner.own_dequantizer

    @property
    def psum_bits(self) -> int:
        """As the PE."""
        return self.inner.psum_bits

    @property
    def sum_format(self) -> Format | None:
        """As the PE."""
        return self.inner.sum_format

    @property
    def lossless(self) -> bool:  # type: ignore[override]
        """As the PE."""
        return self.inner.lossless

    def multiplied(self, w: Format, a: Format) -> tuple[Format, Format]:
        """Return the formats that reach the PE: the operands' own wherever it takes them."""
        if self.inner.supports(w, a) is None:
            return w, a
        return self.w_format if self.weights else w, self.a_format if self.activations else a

    def supports(self, w: Format, a: Format) -> Reason | None:
        """As the PE, of what reaches it."""
        return self.inner.supports(*self.multiplied(w, a))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """As the PE, of what reaches it."""
        return self.inner.parts() if w is None or a is None else self.inner.parts(*self.multiplied(w, a))

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """As the PE, of what reaches it."""
        return self.inner.cycles_per_step(*self.multiplied(w, a))

    def data_dependent(self, w: Format, a: Format) -> bool:
        """As the PE, of what reaches it."""
        return self.inner.data_dependent(*self.multiplied(w, a))

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """As the PE, of what reaches it."""
        return self.inner.expected_cycles_per_step(*self.multiplied(w, a), digits, lockstep, data)

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """As the PE, of what reaches it."""
        return self.inner.work_cycles_per_step(*self.multiplied(w, a), data)

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """As the PE."""
        return self.inner.initial(shape)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Convert what needs it, then as the PE."""
        w_to, a_to = self.multiplied(w, a)
        if w_to != w:
            w_codes = w_to.element.encode(w.element.decode(w_codes))
        if a_to != a:
            a_codes = a_to.element.encode(a.element.decode(a_codes))
        return self.inner.accumulate(acc, w_codes, a_codes, w_to, a_to, scales)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """As the PE."""
        return self.inner.finish(acc)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """As the PE, of what reaches it."""
        return self.inner.scaling(*self.multiplied(w, a))

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """As the PE, of what reaches it."""
        return self.inner.dequant_parts(*self.multiplied(w, a))

    def dequant_cycles(self, w: Format, a: Format) -> int:
        """As the PE, of what reaches it."""
        return self.inner.dequant_cycles(*self.multiplied(w, a))


@dataclass(frozen=True)
class Decoded(Converted):
    """A PE behind decoders at the array's edge, which hand on operands of some formats as it takes them.

    ``decoded_w`` and ``decoded_a`` are what decoders of weights and of activations read. An operand that the PE takes
    as it is is not decoded.
    """

    decoded_w: tuple[Format, ...] = field(default=(), kw_only=True)
    decoded_a: tuple[Format, ...] = field(default=(), kw_only=True)

    def multiplied(self, w: Format, a: Format) -> tuple[Format, Format]:
        """Return the formats that reach the PE: as few of them decoded as it takes."""
        ways_w = (w, *(decoded_as(w, self.inner.w_format) if w in self.decoded_w else ()))
        ways_a = (a, *(decoded_as(a, self.inner.a_format) if a in self.decoded_a else ()))
        pairs = ((ways_w[0], ways_a[0]), (ways_w[-1], ways_a[0]), (ways_w[0], ways_a[-1]), (ways_w[-1], ways_a[-1]))
        return next((pair for pair in pairs if self.inner.supports(*pair) is None), (w, a))

    def arriving(self, w: Format, a: Format) -> tuple[Format, Format]:
        """Return what decoders hand on."""
        return self.multiplied(w, a)


def decoded_as(fmt: Format, built: Format) -> tuple[Format, ...]:
    """Return what a decoder makes of ``fmt`` in front of an operand built as ``built``; nothing where there is none.

    For floats it multiplies by the block's scale, subtracts zero point or minimum, and rounds to ``built``. For
    integers it only looks elements up in a table of integers (IQ4_NL, ternary, binary): scales still act on sums.
    """
    if isinstance(built.element, Minifloat):
        element = fmt.element.code if isinstance(fmt.element, SplitElement) else fmt.element
        readable = isinstance(fmt, Scaled | ElementFormat | Split) and isinstance(element, MINIFLOAT_SOURCES)
        return () if not readable or built.block_size or (isinstance(fmt, SuperBlock) and fmt.lattice) else (built,)
    code = whole_code(fmt.element)
    if code is None or not isinstance(built.element, Integer):
        return ()
    if not isinstance(fmt, Scaled):
        return (code,)
    return () if isinstance(fmt, SuperBlock) and fmt.lattice else (replace(fmt, code=code),)


def whole_code(element: ElementFormat) -> Integer | None:
    """Return the signed integers that hold every value of a codebook of whole numbers, None for any other element."""
    if not isinstance(element, Codebook):
        return None
    values = element.values()
    if (values != np.rint(values)).any():
        return None
    bits = max(int(max(values.max(), -values.min() - 1)).bit_length() + 1, 2)
    return Integer(f"int{bits}", bits)
