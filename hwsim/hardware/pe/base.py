"""What every processing element offers: a bill of parts and bit-exact behaviour."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat
from hwsim.formats.operand import DEFAULT_DISTRIBUTION
from hwsim.hardware.circuits import Part
from hwsim.hardware.pe.cuts import cut_bits
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep
from hwsim.hardware.pe.stated import Stated

#: Codes that a batch of steps works on at a time: what fits a cache.
BATCH = 1 << 15

#: Where block scales act: nowhere, on every product inside the PE, or on the sum of a group.
Scaling = Literal["none", "product", "sum"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a PE cannot compute a pair of formats."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PE(ABC):
    """A PE built for one pair of formats; it may run others that fit into its datapath.

    ``lanes`` elements along K are taken per step.
    """

    w_format: Format
    a_format: Format
    lanes: int
    #: Figures of the whole PE that a source states, in the place of modelled ones.
    stated: Stated | None = field(default=None, kw_only=True)

    family: ClassVar[str]
    glitch_family: ClassVar[str]
    latency_cycles: ClassVar[int] = 1
    #: Whether every PE has its own dequantizer; otherwise those of a column share as many as they keep busy.
    own_dequantizer: ClassVar[bool] = False
    #: Whether zeros of weights and of activations take no work: they are then in the cycles at work already.
    skips_zeros: ClassVar[tuple[bool, bool]] = (False, False)

    #: Whether its sums hold every sum of products that they are built for.
    lossless: ClassVar[bool] = False

    #: Whether its parts can be worked out for many PEs at once (:mod:`hwsim.hardware.pe.many`).
    stacks: ClassVar[bool] = True

    @property
    def modes(self) -> tuple[PE, ...]:
        """The datapaths that it holds, one of which works at a time: itself, where it is only one."""
        return (self,)

    def mode(self, w: Format, a: Format) -> PE:
        """Return the datapath of :attr:`modes` that computes this pair."""
        return self

    def arriving(self, w: Format, a: Format) -> tuple[Format, Format]:
        """Return the formats in which operands stored in ``w`` and ``a`` come over the array's wires."""
        return w, a

    @property
    @abstractmethod
    def psum_bits(self) -> int:
        """Width of a partial sum as it leaves the PE; of several :attr:`modes` the widest."""

    @property
    def sum_format(self) -> Format | None:
        """Format that sums have inside; None where the registry has none for it (fixed point beside an exponent)."""
        stated = getattr(self, "accumulator", None)
        if isinstance(stated, (Integer, Minifloat)):
            return stated
        whole = all(isinstance(fmt.element, Integer) for fmt in (self.w_format, self.a_format))
        return Integer(f"int{self.psum_bits}", self.psum_bits) if whole else None

    @abstractmethod
    def supports(self, w: Format, a: Format) -> Reason | None:
        """Return None when the PE computes this pair, else why not."""

    @abstractmethod
    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the whole datapath with its registers, as it works on a pair (by default the built one)."""

    @cached_property
    def built(self) -> tuple[Part, ...]:
        """The parts on the built pair, remembered."""
        return self.parts()

    @cached_property
    def cut_bits(self) -> int:
        """Bits of a register that cuts the built datapath into stages (:func:`hwsim.hardware.pe.cuts.cut_bits`)."""
        return cut_bits(self.built, self.psum_bits)

    @abstractmethod
    def cycles_per_step(self, w: Format, a: Format) -> int:
        """Return the cycles that one step on ``lanes`` elements takes, at worst."""

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Return whether the cycles of a step on this pair depend on its data."""
        return False

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return the expected cycles of a step in which the PEs of ``lockstep`` wait for the slowest.

        Digits are those of codes of ``data``, unless ``digits`` are given: weights of 0, 1, … of them.
        Where cycles do not depend on data: those of :meth:`cycles_per_step`.
        """
        return float(self.cycles_per_step(w, a))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the cycles of a step in which the datapath works, averaged over its lanes and over data.

        This times the energy of a cycle is the energy of a step: who waits toggles nothing but its clock.
        """
        return self.cycles_per_step(w, a)

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the cycles of successive steps on given codes, int64 (steps,), all PEs waiting for the slowest.

        ``w_codes`` have shape (steps, groups, weights, lanes), ``a_codes`` (steps, groups, activations, lanes);
        ``sum_steps`` successive steps of a PE go into one sum, by default all.
        """
        return np.full(len(w_codes), self.cycles_per_step(w, a), dtype=np.int64)

    def data_text(self, data: Data = UNSTATED) -> str:
        """Return what data the expected cycles are those of, in words."""
        words = []
        for role, one, skipped in zip(("weights", "activations"), data, self.skips_zeros, strict=True):
            if skipped:
                zeros = "" if one.zeros is None else f" with {one.zeros:.0%} zeros"
                words.append(f"{role} {one.distribution_text or f'{DEFAULT_DISTRIBUTION} (assumed)'}{zeros}")
        return f"digits of quantized data: {', '.join(words)}"

    def expected_macs_per_cycle(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return multiply-accumulates per cycle of a PE that waits for no other."""
        if not self.data_dependent(w, a):
            return float(self.macs_per_cycle(w, a))
        return self.lanes / self.expected_cycles_per_step(w, a, data=data)

    @abstractmethod
    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return cleared accumulators."""

    @abstractmethod
    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return ``acc`` after one step; codes carry one more axis of up to ``lanes`` elements.

        ``scales`` (float64, shape of the codes) are the products of both operands' block scales,
        for PEs that scale products; without them every scale is one.
        """

    def accumulate_along(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """Return ``acc`` after all steps along the last axis of the codes, lanes at a time, as :meth:`accumulate`."""
        for start in range(0, w_codes.shape[-1], self.lanes):
            span = slice(start, start + self.lanes)
            acc = self.accumulate(acc, w_codes[..., span], a_codes[..., span], w, a)
        return acc

    def accumulate_many(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format
    ) -> NDArray[Any]:
        """Return ``acc`` (m, n) after all steps along K, bit for bit those of :meth:`accumulate` one by one.

        ``w_codes`` are of shape (k, n), ``a_codes`` of shape (m, k); neither has scales.
        """
        out = acc.copy()
        rows = max(1, BATCH // (acc.shape[1] * self.lanes))
        for first in range(0, len(out), rows):
            block = out[first : first + rows]
            for start in range(0, len(w_codes), self.lanes):
                span = slice(start, start + self.lanes)
                block = self.accumulate(block, w_codes[span].T[None], a_codes[first : first + rows, None, span], w, a)
            out[first : first + rows] = block
        return out

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values that accumulators stand for."""
        return acc

    def macs_per_cycle(self, w: Format, a: Format) -> Fraction:
        """Return multiply-accumulates per cycle, at worst."""
        return Fraction(self.lanes, self.cycles_per_step(w, a))

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Return where block scales of this pair act; "none" for unscaled formats."""
        return "none"

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """Return one dequantizer of group sums, for pairs whose :meth:`scaling` is "sum"."""
        return ()

    def dequant_cycles(self, w: Format, a: Format) -> int:
        """Return the cycles that a dequantizer needs per group sum."""
        return 1

    def dot(
        self,
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> Any:
        """Return the PE's result for a whole dot product, codes of shape (K,), lanes at a time."""
        acc = self.initial(())
        for start in range(0, len(w_codes), self.lanes):
            span = slice(start, start + self.lanes)
            some = None if scales is None else scales[span]
            acc = self.accumulate(np.asarray(acc), w_codes[span], a_codes[span], w, a, some)
        return self.finish(np.asarray(acc))[()]
