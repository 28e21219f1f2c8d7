"""Bitlet: bits of one significance of many weights are taken together, zeros left out (MICRO 2021).

Weights are sign and magnitude. Each bit position has a channel that looks for ones among its bits of
``lanes`` weights and per cycle selects the activation that belongs to one of them; the activations of all channels,
placed by their significance, are added in one tree. The sign of a weight is put onto its activation
beforehand. A step ends with its slowest channel.

A channel sees ``window`` bits at once: it takes the first one, and goes on to the second one in its window or, if there
is none, by the whole window. 64 weights through a window of 8 are the public RTL of the authors
(github.com/Zhu-Zixuan/Bitlet-PE): at least 8 cycles per 64 products, at worst 64. With ``window`` as large as
``lanes`` a channel takes as many cycles as it has ones, the paper's idea without that limit.

What is expected follows from the share of ones at every position: exact for independent bits (those of one
weight are taken to be so). Activations go through 16 negations per cycle, a quarter of the lanes, as in that RTL.
Floating-point operands, which the paper aligns first, are not modelled: integers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer
from hwsim.formats.digits import digit_table
from hwsim.hardware.circuits import (
    Adder,
    FunnelShifter,
    LeadingZeroCounter,
    Mux,
    Negator,
    Part,
    Register,
    StaggeredTree,
)
from hwsim.hardware.pe.digit_cycles import code_patterns, code_shares, spread_patterns
from hwsim.hardware.pe.integers import IntegerPE, read_label, signed_bits, take_integers
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep, as_lockstep
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES
from hwsim.hardware.pe.summing import take_accumulator
from hwsim.spec.options import take_count

#: Cycles in which the activations of a step are negated: 64 of them, 16 at a time, in the public RTL.
LOADING = 4
#: Weights have a channel per bit.
MAX_WEIGHT = 8
#: Bits that a channel may see at once.
WINDOWS = range(2, 129)


@dataclass(frozen=True)
class Bitlet(IntegerPE):
    """``lanes`` weights, a channel per bit of their magnitudes that looks at ``window`` of them."""

    window: int

    family: ClassVar[str] = "bitlet"
    skips_zeros: ClassVar[tuple[bool, bool]] = (True, False)
    #: Estimated: activations gated by bits, and their sum, as the synthesised bit-serial rows are.
    integer_family: ClassVar[str] = "bit_serial"

    def weight_size(self, element: Integer) -> int:
        """Channels: bits of magnitudes."""
        return len(digit_table(element, "sign_magnitude").weights)

    def activation_size(self, element: Integer) -> int:
        """Bits with the sign."""
        return signed_bits(element)

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """At worst a position has a one in every lane."""
        return self.lanes

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Ones are those of the weights."""
        return self.lanes > 1

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return the expected cycles of the slowest channel of PEs in ``lockstep``, those of equal weights as one.

        ``digits``: weights of 0, 1, … ones per magnitude, taken to be at any position alike; without them those of
        codes of ``data``.
        """
        step = as_lockstep(lockstep)
        below = np.prod([np.cumsum(channel) for channel in self._channels(w, digits, data)], axis=0)
        above = 1.0 - np.clip(below, 0.0, 1.0) ** step.weight_vectors
        above[: step.least] = 1.0
        return float(above.sum()) + max(0, step.least - len(above))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the cycles of a channel, averaged over all."""
        cycles = np.arange(self.lanes + 1)
        return float(np.mean([channel @ cycles for channel in self._channels(w, None, data)]))

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the cycles of the slowest channel, every one searched through its window."""
        table = digit_table(w.element, "sign_magnitude").digits
        bits = (table[:, np.asarray(w_codes, dtype=np.int64)] != 0).reshape(
            len(table), len(w_codes), -1, w_codes.shape[-1]
        )
        return np.asarray(searched_cycles(bits, self.window).max(axis=(0, 2)), dtype=np.int64)

    def _channels(self, w: Format, digits: NDArray[Any] | None, data: Data) -> list[NDArray[np.float64]]:
        """Return the probabilities of 0 … ``lanes`` cycles, channel by channel."""
        assert isinstance(w.element, Integer)
        channels = self.weight_size(w.element)
        if digits is None:
            patterns = code_patterns(w.element, "sign_magnitude", code_shares(w, data[0]))
        else:
            patterns = spread_patterns(digits, channels)
        places = np.arange(len(patterns))
        ones = [float(patterns[places >> channel & 1 == 1].sum()) for channel in range(channels)]
        return [channel_cycles(p, self.lanes, self.window) for p in ones]

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return negation, channels, tree, accumulator and registers."""
        assert isinstance(self.w_format.element, Integer)
        assert isinstance(self.a_format.element, Integer)
        n, channels, wide = self.lanes, self.weight_size(self.w_format.element), signed_bits(self.a_format.element) + 1
        once = 1 / self.work_cycles_per_step(self.w_format, self.a_format)
        loaded = LOADING * once
        return (
            Part("weight sign", "decode", Negator(wide), n / LOADING, loaded, on_path=False),
            *self._channel(channels, wide),
            Part("channel tree", "accumulator", StaggeredTree(channels, wide)),
            *self.closing_parts(),
            Part("weights", "register", Register(n * channels), activity=once, on_path=False),
            Part("signed activations", "register", Register(n * wide), activity=once, on_path=False),
        )

    def _channel(self, channels: int, wide: int) -> list[Part]:
        """Return what finds the next one of a position and selects its activation, ``channels`` times.

        The search of the next cycle and the sum of this one lie between registers: the sum is the longer path.
        """
        n, window, place = self.lanes, min(self.window, self.lanes), max(1, (self.lanes - 1).bit_length())
        found = [
            Part("first and second one", "control", LeadingZeroCounter(max(2, window)), 2 * channels, on_path=False),
            Part("next place", "control", Adder(place + 1), channels, on_path=False),
            Part("places", "register", Register(2 * place + 1), channels, on_path=False),
            Part("selected activation", "register", Register(wide), channels, on_path=False),
        ]
        if n > 1:
            found.append(Part("activation select", "multiplier", Mux(wide, n), channels, on_path=False))
        else:
            found.append(Part("activation select", "multiplier", Mux(wide, 2), channels, on_path=False))
        if n > window:
            found.append(Part("window", "control", FunnelShifter(window, n), channels, on_path=False))
        return found

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the sums of selected activations, one per channel along the last axis."""
        assert isinstance(a.element, Integer)
        table, codes = digit_table(w.element, "sign_magnitude"), np.asarray(w_codes, dtype=np.int64)
        values = a.element.integers(a_codes)
        signed = np.where(table.negative[codes], -values, values)
        sums = [np.where(bits[codes] != 0, signed, 0).sum(axis=-1) for bits in table.digits]
        return np.stack(sums, axis=-1) * table.weights


@lru_cache(maxsize=256)
def channel_cycles(ones: float, lanes: int, window: int) -> NDArray[np.float64]:
    """Return the probability of 0 … ``lanes`` cycles of a channel whose bits are one with probability ``ones``.

    The window moves to its second one, of which nothing follows for the bits behind it, or past its end.
    """
    zeros = 1.0 - ones
    # Index: place, whether its bit is known to be one, cycles so far.
    reached = np.zeros((lanes + 1, 2, lanes + 1))
    reached[0, 0, 0] = 1.0
    for at in range(lanes):
        seen = min(window, lanes - at)
        gap = np.arange(1, seen)
        to_second = (gap * ones**2 * zeros ** (gap - 1), ones * zeros ** (gap - 1))
        for known in (0, 1):
            later = np.roll(reached[at, known], 1)
            reached[at + 1 : at + seen, 1] += np.multiply.outer(to_second[known], later)
            reached[at + seen, 0] += (1.0 - to_second[known].sum()) * later
    found = np.asarray(reached[lanes].sum(axis=0), dtype=np.float64)
    found.setflags(write=False)
    return found


def searched_cycles(bits: NDArray[np.bool_], window: int) -> NDArray[np.int64]:
    """Return the cycles in which channels go through ``bits``, shape (…, lanes) to (…)."""
    lanes = bits.shape[-1]
    ones = np.cumsum(bits, axis=-1)
    # Where the bits behind a place have so many ones: the place of the second one from there on, if any.
    at, cycles = np.zeros(bits.shape[:-1], dtype=np.int64), np.zeros(bits.shape[:-1], dtype=np.int64)
    while (at < lanes).any():
        before = np.where(at > 0, np.take_along_axis(ones, np.maximum(at - 1, 0)[..., None], -1)[..., 0], 0)
        # The first place at which two ones have come since: none, where the sum never reaches that.
        second = (ones < (before + 2)[..., None]).sum(axis=-1)
        cycles += at < lanes
        at = np.where(at < lanes, np.minimum(np.minimum(second, at + window), lanes), at)
    return cycles


@PES.register("bitlet")
def build(options: Mapping[str, Any]) -> Bitlet:
    """Build from ``{w_format: int8, a_format: int8, lanes: 64, window: 8, accumulator: int32}``."""
    w, a, rest = take_integers(options, "bitlet", ("accumulator", "lanes", "window"), MAX_WEIGHT)
    lanes, window = int(rest.get("lanes", 64)), take_count(rest, "window", 8, WINDOWS, "pe.")
    return Bitlet(w, a, lanes, take_accumulator(rest, "bitlet", a, w.bits + a.bits, lanes), window)


@PAIRINGS.register("bitlet")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``bitlet_w8a8``, ``bitlet_w4a8_g128`` and the like."""
    formats = read_label(label, "bitlet")
    return {"family": "bitlet", **formats} if formats else None
