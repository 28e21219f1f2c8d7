"""Bit-weight engines of TPE (arXiv 2503.06342): an integer MAC taken apart along the weight of digits.

==========  =====================================================================================
``mac``     Booth multiplier with its final adder, adder tree over lanes, rippling accumulator
``opt1``    partial products and accumulator are compressed together: the accumulator is a sum and a
            carry word, and one carry-propagate adder resolves them after ``k_tile`` elements
``opt2``    digits of equal weight are reduced across ``lanes`` before they are shifted: a compressor
            tree and a narrow carry-save accumulator per digit; encoders shared by ``columns`` PEs
``opt3``    weights are encoded first; zero digits are skipped, one digit per cycle and lane meets
            a 3:2 compressor. The digits of one weight of ``slot`` operands share a slot
``opt4c``   as opt3, with encoder and zero skipping outside, shared by ``columns`` PEs; the
            activation is fetched by the index of the digit
``opt4e``   as opt4c, 4 lanes under one 6:2 compressor
==========  =====================================================================================

Encodings: ``mbe`` (radix-4 Booth) and ``ent`` (EN-T: digits -1 … 2 of the magnitude, sign apart), see
:mod:`hwsim.formats.digits`.

In opt2, opt3 and opt4 one accumulator belongs to one digit weight and needs the bits of a digit's
product plus log2(k_tile): 20 for INT8 and 1024 elements, as in the public sources. Shifting and
adding the digit sums, and the carry-propagate adders, are shared parts: priced by the share of a
PE that keeps them busy in turn. Estimated from flip-flops of public synthesis reports (60 per opt4c PE):
opt4 holds no window of activations, its buffer is read by index.

``array`` says which operand registers are shared: none in systolic arrays (weight-stationary
ones move the accumulator's words, as many bits), both operands' by ``columns`` PEs in a cube and a 2-D
matrix, the activations' in a multiplier-adder tree (estimated). Wires and fan-out of an array are not
modelled: gains of clock are those of PEs alone, above those reported of whole arrays.

Cycles: opt3 and opt4 take Σ over digit weights of max(1, non-zero digits of the slot) cycles per
``slot`` operands; at worst one per digit and operand. Lanes and columns wait for the slowest after every
``k_tile`` elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer
from hwsim.formats.digits import digit_table
from hwsim.formats.statistics import expected_maximum
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    BoothEncoder,
    BoothMultiplier,
    BoothSelector,
    Circuit,
    CompressorTree,
    EntEncoder,
    LeadingZeroCounter,
    Mux,
    OrTree,
    Part,
    Register,
)
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.digit_cycles import (
    code_patterns,
    code_shares,
    group_cycles,
    pass_cycles,
    spread_patterns,
    sum_distribution,
)
from hwsim.hardware.pe.integers import IntegerPE, signed_bits, take_integers
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep, as_lockstep
from hwsim.hardware.pe.pairing import PAIRINGS, known_format, known_pair
from hwsim.hardware.pe.registry import PES, take_choice
from hwsim.hardware.pe.summing import take_accumulator
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

ENGINES = ("mac", "opt1", "opt2", "opt3", "opt4c", "opt4e")
SERIAL = ("opt3", "opt4c", "opt4e")
ENCODINGS = {"mbe": "booth", "ent": "ent"}
#: Whether the registers of weights and of activations are shared by ``columns`` PEs.
ARRAYS = {
    "systolic_os": (False, False),
    "systolic_ws": (False, False),
    "cube": (True, True),
    "adder_tree": (False, True),
    "matrix": (True, True),
}
#: Lanes of an engine unless given: opt2 as in its public source, opt4e by definition.
LANES = {"opt2": 16, "opt4e": 4}
#: Weights are encoded by tables and encoders of up to so many bits.
MAX_WEIGHT = 8
#: Bits of a recoded digit (one, two, sign).
DIGIT = 3


@dataclass(frozen=True)
class BitWeight(IntegerPE):
    """A PE of one of the engines; :class:`Serial` has those that skip zero digits."""

    engine: str
    encoding: str
    k_tile: int
    columns: int
    slot: int
    array: str

    family: ClassVar[str] = "bit_weight"

    @property
    def digits(self) -> int:
        """Digits of a weight."""
        return self.digits_of(self.w_format)

    @property
    def digit_sum_bits(self) -> int:
        """Bits of an accumulator of one digit weight: ±2 times an activation, summed ``k_tile`` times."""
        return self.a_format.bits + 2 + (self.k_tile - 1).bit_length()

    def digits_of(self, w: Format) -> int:
        """Return the digits of weights of ``w`` in the PE's encoding."""
        return self.weight_size(cast(Integer, w.element))

    def weight_size(self, element: Integer) -> int:
        """Digits."""
        return len(digit_table(element, ENCODINGS[self.encoding]).weights)

    def activation_size(self, element: Integer) -> int:
        """Bits with the sign."""
        return signed_bits(element)

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Integers that have no more digits, and activations of no more bits, than it is built for."""
        if w.bits > MAX_WEIGHT:
            return Reason(f"weights of {w.name} are wider than the {MAX_WEIGHT} bits of encoders")
        return super().supports(w, a)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return multiplier, tree, accumulator and registers."""
        n, wb, ab = self.lanes, self.w_format.bits, self.a_format.bits
        found = [Part("multiplier", "multiplier", BoothMultiplier(ab, wb), n)]
        if self.encoding == "ent":  # beside the Booth encoder, which the price of the multiplier includes
            found.insert(0, Part("EN-T recoding", "decode", EntEncoder(wb), n))
        if n > 1:
            found.append(Part("adder tree", "accumulator", AdderTree(n, wb + ab)))
        return (
            *found,
            Part("accumulator adder", "accumulator", Adder(self.accumulator.bits), feeds_back=True),
            Part("accumulator", "register", Register(self.accumulator.bits)),
            *self.operand_registers(),
        )

    def operand_registers(self) -> tuple[Part, ...]:
        """Return the registers of both operands, by share where the array broadcasts."""
        shared = [1 / self.columns if yes else 1.0 for yes in ARRAYS[self.array]]
        return (
            Part("weights", "register", Register(self.lanes * self.w_format.bits), shared[0], on_path=False),
            Part("activations", "register", Register(self.lanes * self.a_format.bits), shared[1], on_path=False),
        )

    def encoder(self, count: float, on_path: bool) -> Part:
        """Return ``count`` recoders of a weight."""
        bits = self.w_format.bits
        circuit: Circuit = BoothEncoder(bits) if self.encoding == "mbe" else EntEncoder(bits)
        return Part("recoding", "decode", circuit, count, on_path=on_path)

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return digit times activation, shifted and added over the digits of each weight."""
        table, codes = digit_table(w.element, ENCODINGS[self.encoding]), np.asarray(w_codes, dtype=np.int64)
        values = cast(Integer, a.element).integers(a_codes)
        signed = np.where(table.negative[codes], -values, values)
        return np.tensordot(table.weights, table.digits[:, codes].astype(np.int64) * signed, axes=1)


@dataclass(frozen=True)
class Parallel(BitWeight):
    """opt1 and opt2: all digits at once, into carry-save accumulators."""

    integer_family: ClassVar[str] = "integer_multiply"

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return encoders, selectors, compressors, accumulators, the share of what resolves them, registers."""
        n, rows = self.lanes, self.lanes * self.digits
        own = self.engine == "opt1"
        return (
            self.encoder(n if own else n / self.columns, on_path=own),
            Part("partial products", "multiplier", BoothSelector(self.a_format.bits + 1), rows),
            *(self._opt1() if own else self._opt2()),
            *self.operand_registers(),
        )

    def _opt1(self) -> tuple[Part, ...]:
        """Return the tree of all partial products with the two words of the accumulator."""
        rows, acc = self.lanes * self.digits, self.accumulator.bits
        share = self.lanes / self.k_tile
        tree = (Part("compressor", "accumulator", CompressorTree(rows, self.a_format.bits + 2)),) if rows > 2 else ()
        return (
            *tree,
            Part(
                "carry-save add",
                "accumulator",
                CompressorTree(min(rows, 2) + 2, acc, "4:2" if rows > 1 else "3:2"),
                feeds_back=True,
            ),
            Part("accumulator", "register", Register(2 * acc)),
            Part("carry-propagate adder", "accumulator", Adder(acc), share, on_path=False),
        )

    def _opt2(self) -> tuple[Part, ...]:
        """Return a tree and two words per digit weight; a result resolves and adds all of them."""
        digits, bits, acc = self.digits, self.digit_sum_bits, self.accumulator.bits
        share = self.lanes / self.k_tile * digits
        return (
            Part("digit compressor", "accumulator", CompressorTree(self.lanes + 2, bits), digits, feeds_back=True),
            Part("accumulator", "register", Register(2 * bits), digits),
            Part("carry-propagate adder", "accumulator", Adder(bits), share, on_path=False),
            Part("digit sums adder", "accumulator", Adder(acc), share, on_path=False),
            # Selected digits of a weight are held between the shared encoder and the column.
            Part("digit", "register", Register(DIGIT * self.lanes * digits), 1 / self.columns, on_path=False),
        )


@dataclass(frozen=True)
class Serial(BitWeight):
    """opt3 and opt4: one non-zero digit per cycle and lane."""

    integer_family: ClassVar[str] = "booth_digit"
    skips_zeros: ClassVar[tuple[bool, bool]] = (True, False)

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """At worst a cycle per digit."""
        return self.digits_of(w)

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Digits that are not zero are those of the weights."""
        return self.digits_of(w) > 1

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return mean cycles per operand of the slowest weights in ``lockstep`` and their lanes.

        They wait for each other after every ``k_tile`` elements, or at the end of a sum. ``digits``: weights of
        0, 1, … non-zero digits, taken to be at any place alike; without them the digits of codes of ``data``.
        """
        patterns = self.patterns(w, data) if digits is None else spread_patterns(digits, self.digits_of(w))
        return self.expected_cycles(patterns, lockstep)

    def expected_cycles(self, patterns: NDArray[np.float64], lockstep: int | Lockstep = 1) -> float:
        """Return mean cycles per operand for probabilities of digit patterns (``digit_cycles``)."""
        step = as_lockstep(lockstep)
        slot, slots = self._slots(step.sum_steps)
        one = _slot_cycles(tuple(patterns.tolist()), slot)
        slowest = float(expected_maximum(sum_distribution(one, slots), step.weight_vectors * self.lanes))
        return max(float(step.least), slowest / (slots * slot))

    def _slots(self, sum_steps: int | None) -> tuple[int, int]:
        """Return the operands that share a slot, and the slots after which all wait.

        Only operands of one sum share slots: where each step of a PE goes into another sum none do, and the
        worst case is the rule.
        """
        most = self.k_tile // self.lanes if sum_steps is None else min(sum_steps, self.k_tile // self.lanes)
        slot = min(self.slot, most)
        return slot, max(1, most // slot)

    def patterns(self, w: Format, data: Data) -> NDArray[np.float64]:
        """Return the probabilities of digit patterns of codes of ``data``."""
        return code_patterns(w.element, ENCODINGS[self.encoding], code_shares(w, data[0]))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the mean non-zero digits of a weight."""
        patterns = self.patterns(w, data)
        return float(sum(share * place.bit_count() for place, share in enumerate(patterns.tolist())))

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the steps' shares of the cycles of the slowest lane and weights."""
        digits = digit_table(w.element, ENCODINGS[self.encoding]).digits
        return pass_cycles(digits[:, w_codes] != 0, *self._slots(sum_steps or len(w_codes)))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return encoder and zero skipping, selectors, one compressor, accumulator, registers."""
        n, bits, ab = self.lanes, self.digit_sum_bits, self.a_format.bits
        shared = 1.0 if self.engine == "opt3" else 1 / self.columns
        kind = "6:2" if n == 4 else "3:2"
        outside = [*self._encoder(), *self._skip()]
        found = [replace(p, count=p.count * shared, on_path=False) for p in outside]
        if self.engine == "opt3" and self.slot > 1:
            found.append(Part("activation of the digit", "decode", Mux(ab, self.slot), n))
        held = self.slot if self.engine == "opt3" else 1
        share = self.slot * n / self.k_tile  # one sum per pass over k_tile elements, in its shortest time
        return (
            *found,
            Part("partial product", "multiplier", BoothSelector(ab + 1), n),
            Part("carry-save add", "accumulator", CompressorTree(n + 2, bits, kind), feeds_back=True),
            Part("accumulator", "register", Register(2 * bits)),
            Part("activations", "register", Register(held * ab), n, on_path=False),
            Part("digit", "register", Register(DIGIT + 1), n, on_path=False),
            Part("carry-propagate adder", "accumulator", Adder(bits), share, on_path=False),
            Part("digit sum shift", "alignment", Mux(self.accumulator.bits, max(2, self.digits)), share, on_path=False),
            Part("digit sums adder", "accumulator", Adder(self.accumulator.bits), share, on_path=False),
        )

    def _encoder(self) -> list[Part]:
        """Return recoding of a slot of weights and the choice of one digit of each."""
        operands = self.slot * self.lanes
        found = [self.encoder(operands, on_path=False)]
        if self.digits > 1:
            found.append(Part("digit weight select", "decode", Mux(DIGIT, self.digits), operands))
        return [*found, Part("weights", "register", Register(self.w_format.bits), operands)]

    def _skip(self) -> list[Part]:
        """Return what finds the next non-zero digit of a slot: zero tests, priority, pending digits."""
        n, slot = self.lanes, self.slot
        found = [Part("zero test", "decode", OrTree(2), n * slot)]
        if slot > 1:
            found += [
                Part("next digit", "control", LeadingZeroCounter(slot), n),
                Part("clear digit", "control", AndRow(slot), n),
                Part("digit select", "decode", Mux(DIGIT, slot), n),
            ]
        return [*found, Part("pending digits", "register", Register(slot), n)]


@lru_cache(maxsize=64)
def _slot_cycles(patterns: tuple[float, ...], slot: int) -> NDArray[np.float64]:
    """Return the distribution of Σ over digit weights of max(1, non-zero digits of the slot)."""
    return group_cycles(np.array(patterns), slot, lambda counts: np.maximum(counts, 1).sum(axis=0))


def _class(engine: str) -> type[BitWeight]:
    return Serial if engine in SERIAL else BitWeight if engine == "mac" else Parallel


@PES.register("bit_weight")
def build(options: Mapping[str, Any]) -> BitWeight:
    """Build from ``{engine, format: int8, encoding, accumulator: int32, lanes, k_tile, columns, slot, array}``."""
    own = ("engine", "encoding", "accumulator", "lanes", "k_tile", "columns", "slot", "array")
    engine = take_choice(options, "bit_weight", "engine", ENGINES)
    w, a, rest = take_integers({"lanes": LANES.get(engine, 1), **options}, "bit_weight", own, MAX_WEIGHT)
    array = take_choice(rest, "bit_weight", "array", tuple(ARRAYS) if engine not in SERIAL else ("systolic_os",))
    lanes, slot = int(rest["lanes"]), take_count(rest, "slot", 4, range(1, 9), "pe.")
    k_tile = take_count(rest, "k_tile", 1024, range(1, 65537), "pe.")
    if k_tile < lanes * slot:
        raise UsageError(f"pe.k_tile: {k_tile} elements are fewer than lanes times slot; valid: from {lanes * slot}")
    accumulator = take_accumulator(rest, "bit_weight", a, w.bits + a.bits, lanes)
    encoding = take_choice(rest, "bit_weight", "encoding", tuple(ENCODINGS))
    columns = take_count(rest, "columns", 32, range(1, 1025), "pe.")
    return _class(engine)(w, a, lanes, accumulator, engine, encoding, k_tile, columns, slot, array)


@PAIRINGS.register("bit_weight")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``tpe_mac``, ``tpe_opt1`` … ``tpe_opt4e`` (INT8), ``tpe_opt4c_w4a8`` and ``tpe_opt1_int4`` and the like."""
    if not label.startswith("tpe_"):
        return None
    engine, _, name = label.removeprefix("tpe_").partition("_")
    if engine not in ENGINES:
        return None
    pair_of, fmt = known_pair(name), known_format(name or "int8")
    if pair_of is not None:
        return {"family": "bit_weight", "engine": engine, "w_format": pair_of[0].name, "a_format": pair_of[1].name}
    return None if fmt is None else {"family": "bit_weight", "engine": engine, "format": fmt.name}
