"""OLAccel's PE: many 4-bit multipliers, and a few wide ones for the products that have an outlier.

Both operands are integers of which most fit into ``normal_bits``. Such products are taken by their
lane's narrow multiplier. Where an operand is an outlier, the lane is gated and one of ``outlier_macs``
multipliers of the full widths takes the product, one lane per cycle: a step lasts until all outliers
are done. Sums are exact (OLAccel, ISCA 2018, whose abstract has 3 % outliers as an example; there
outliers are stored apart, here the high bits of each operand tell them).

In the worst case all lanes wait for the wide multipliers; what is expected follows from the share of
outliers (:meth:`OLAccel.expected_cycles_per_step`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, comb
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled
from hwsim.formats.statistics import expected_maximum
from hwsim.hardware.circuits import (
    Adder,
    AndRow,
    Equality,
    LeadingZeroCounter,
    Multiplier,
    OneHotMux,
    OrTree,
    Part,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.digit_cycles import code_shares
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep, as_lockstep, at_least
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_formats
from hwsim.hardware.pe.summing import SummingPE, last_place, take_accumulator
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

#: Share of an operand's values that are outliers, where no distribution is given (the abstract's example).
OUTLIER_SHARE = 0.03


@dataclass(frozen=True)
class OLAccel(SummingPE):
    """``lanes`` narrow multipliers and ``outlier_macs`` wide ones."""

    normal_bits: int
    outlier_macs: int

    family: ClassVar[str] = "olaccel"

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Signed integers that fit into the wide multipliers."""
        if not isinstance(w.element, Integer) or not w.element.signed or (isinstance(w, Scaled) and w.asymmetric):
            return Reason(f"weights of {w.name} are no signed integers")
        if w.bits > self.w_format.bits or last_place(w) != last_place(self.w_format):
            return Reason(f"weights of {w.name} do not fit into the {self.w_format.bits} bits of outliers")
        return self.takes_activation(a)

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """Return one cycle where neither operand can be an outlier, else those of outliers in every lane."""
        if max(w.bits, a.bits) <= self.normal_bits:
            return 1
        return ceil(self.lanes / self.outlier_macs)

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Outliers are those of the data, where an operand can have any."""
        return self.cycles_per_step(w, a) > 1

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return the expected cycles of PEs in ``lockstep``, which are taken to have no operand in common.

        ``digits`` is the distribution of narrow digits of an operand: weight of 0 and 1 (normal), of
        more (outlier); without it outliers are those of named distributions of ``data``, and where none is named
        :data:`OUTLIER_SHARE` of the operand.
        """
        step = as_lockstep(lockstep)
        found = self._cycle_distribution(self._outlier_products(w, a, digits, data))
        return float(expected_maximum(at_least(found, step.least), step.pes))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the expected cycles of the PE alone: its parts are priced with their share of them."""
        return self.expected_cycles_per_step(w, a, data=data)

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the cycles of the PE with the most outlier products."""
        assert isinstance(w.element, Integer)
        assert isinstance(a.element, Integer)
        ws, as_ = self.is_outlier(w.element.integers(w_codes)), self.is_outlier(a.element.integers(a_codes))
        either = ws[:, :, :, None] | as_[:, :, None]
        found = np.maximum(1, -(-either.sum(axis=-1) // self.outlier_macs))
        return np.asarray(found.max(axis=(1, 2, 3)), dtype=np.int64)

    def data_text(self, data: Data = UNSTATED) -> str:
        """Return the shares of outliers in words."""
        known = [
            f"those of {one.distribution_text} data" if one.distribution else f"{OUTLIER_SHARE:.0%} (assumed)"
            for one in data
        ]
        return f"outliers: of weights {known[0]}, of activations {known[1]}"

    def _outlier_products(
        self, w: Format, a: Format, digits: NDArray[Any] | None = None, data: Data = UNSTATED
    ) -> float:
        """Return the share of products with an outlier on either side, operands independent."""
        normal = 1.0
        for fmt, stats in zip((w, a), data, strict=True):
            if fmt.bits <= self.normal_bits:
                continue
            share = OUTLIER_SHARE
            if digits is not None:
                weights = np.asarray(digits, dtype=np.float64)
                share = float(weights[2:].sum() / weights.sum())
            elif stats.distribution is not None:
                assert isinstance(fmt.element, Integer)
                outliers = self.is_outlier(fmt.element.integers(np.arange(2**fmt.element.bits)))
                share = float(code_shares(fmt, stats)[outliers].sum())
            normal *= 1.0 - share
        return 1.0 - normal

    def _cycle_distribution(self, share: float) -> NDArray[np.float64]:
        """Return the probabilities of 0, 1, … cycles: outliers among the lanes are binomial."""
        n, wide = self.lanes, self.outlier_macs
        found = np.zeros(ceil(n / wide) + 1)
        for outliers in range(n + 1):
            found[max(1, ceil(outliers / wide))] += comb(n, outliers) * share**outliers * (1 - share) ** (n - outliers)
        return found

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return detection, narrow multipliers, selection, wide multipliers, and the sum.

        The wide part works as often as outliers are expected; the narrow one always.
        """
        n, narrow, wide = self.lanes, self.normal_bits, self.outlier_macs
        wb, ab = self.w_format.bits, self.a_format.bits
        found = [
            Part(f"{role} high bits", "decode", Equality(bits - narrow + 1), n, on_path=False)
            for role, bits in (("weight", wb), ("activation", ab))
            if bits > narrow
        ]
        found += [
            Part("lane gate", "multiplier", AndRow(2 * narrow), n),
            Part("narrow multiplier", "multiplier", Multiplier(narrow, narrow), n),
        ]
        outliers = [
            Part("next outlier", "control", LeadingZeroCounter(max(n, 2)), wide),
            Part("outliers left", "control", OrTree(max(n, 2)), wide, on_path=False),
            Part("outlier selection", "multiplier", OneHotMux(wb + ab, n), wide),
            Part("outlier multiplier", "multiplier", Multiplier(ab, wb), wide),
            Part("outlier adder", "accumulator", Adder(self.accumulator.bits), wide, in_series=wide, feeds_back=True),
        ]
        busy = self._busy()
        found += [replace(part, activity=busy, on_path=part.on_path) for part in outliers]
        return (*found, *self.sum_parts(2 * narrow))

    def _busy(self) -> float:
        """Return the share of cycles in which a wide multiplier has an outlier."""
        share = self._outlier_products(self.w_format, self.a_format)
        cycles = self.expected_cycles_per_step(self.w_format, self.a_format)
        return share * self.lanes / (self.outlier_macs * cycles)

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return what the narrow and the wide multipliers make, one beside the other along the last axis."""
        assert isinstance(w.element, Integer)
        assert isinstance(a.element, Integer)
        ws, as_ = w.element.integers(w_codes), a.element.integers(a_codes)
        outlier = self.is_outlier(ws) | self.is_outlier(as_)
        narrow = np.where(outlier, 0, ws) * np.where(outlier, 0, as_)
        return np.concatenate([narrow, np.where(outlier, ws * as_, 0)], axis=-1)

    def is_outlier(self, values: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which integers do not fit into the narrow multiplier."""
        half = 2 ** (self.normal_bits - 1)
        return np.asarray((values < -half) | (values >= half))


@PES.register("olaccel")
def build(options: Mapping[str, Any]) -> OLAccel:
    """Build from ``{w_format: int8, a_format: int16, lanes: 16, normal_bits: 4, outlier_macs: 1, accumulator}``."""
    given = dict(options) if "format" in options else {"w_format": "int8", "a_format": "int16", **options}
    w, a, rest = take_formats(given, "olaccel", ("accumulator", "lanes", "normal_bits", "outlier_macs"))
    for fmt in (w, a):
        good = isinstance(fmt.element, Integer) and fmt.element.signed and fmt.bits <= 16
        if not good or (isinstance(fmt, Scaled) and fmt.asymmetric):
            raise UsageError(f"pe: olaccel takes no {fmt.name}; valid: symmetric integers of up to 16 bits")
    lanes = int(rest.get("lanes", 16))
    normal = take_count(rest, "normal_bits", 4, range(2, max(w.bits, a.bits)), "pe.")
    wide = take_count(rest, "outlier_macs", 1, range(1, lanes + 1), "pe.")
    accumulator = take_accumulator(rest, "olaccel", a, w.bits + a.bits, lanes)
    return OLAccel(w, a, lanes, accumulator, normal, wide)


_LABEL = re.compile(r"olaccel_w(\d+)a(\d+)$")


@PAIRINGS.register("olaccel")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``olaccel_w8a16`` and the like: the widths of outliers; the rest has 4 bits."""
    match = _LABEL.match(label)
    if match is None:
        return None
    return {"family": "olaccel", "w_format": f"int{match[1]}", "a_format": f"int{match[2]}"}
