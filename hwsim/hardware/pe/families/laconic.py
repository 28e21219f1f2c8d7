"""Laconic: a product is the sum of signed powers of two, one pair of terms per cycle (ISCA 2019, arXiv 1805.04513).

Weights and activations are recoded into terms ± 2^e; a product of t terms by u takes t · u cycles, at least
one. Per cycle every lane adds two exponents; the lanes' results are not shifted but counted: per
exponent how many are positive and how many negative (a histogram); counts are added at their places. Lanes, and
PEs in lockstep, wait for the product with the most pairs of terms.

``encoding``: ``booth`` (radix-4 Booth, the paper's; a digit ±1 or ±2 is one term), ``naf`` (fewest terms),
``oneffset`` (ones of the magnitude). In the worst case INT8 has 4 × 4 pairs of terms with booth and naf, 49
oneffset; what is expected follows from the distributions of terms of both operands, taken to be independent of
lane to lane and, in lockstep, of PE to PE.

The encoders stand at the edge of the grid; priced is the share of a PE, 1/8 (estimated: the 128 weight wires of
the smallest configuration in the paper's abstract, read as 8 rows of 16 lanes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import ElementFormat, Format, Integer
from hwsim.formats.digits import digit_table
from hwsim.formats.statistics import digit_histogram, expected_maximum, mean_digits
from hwsim.hardware.circuits import (
    Adder,
    AdderTree,
    AndRow,
    BoothEncoder,
    Circuit,
    LeadingZeroCounter,
    Mux,
    Negator,
    Part,
    Popcount,
    Register,
    XorRow,
)
from hwsim.hardware.pe.digit_cycles import code_shares
from hwsim.hardware.pe.integers import IntegerPE, read_label, take_integers
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep, as_lockstep, at_least, largest_of
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES, take_choice
from hwsim.hardware.pe.summing import take_accumulator
from hwsim.spec.errors import UsageError

ENCODINGS = {"booth": "booth", "naf": "naf", "oneffset": "sign_magnitude"}
#: PEs that share an encoder.
SHARED_BY = 8


@dataclass(frozen=True)
class Laconic(IntegerPE):
    """``lanes`` pairs of terms per cycle into a histogram of exponents."""

    encoding: str

    family: ClassVar[str] = "laconic"
    skips_zeros: ClassVar[tuple[bool, bool]] = (True, True)
    #: Estimated: counters of bits and a sum, as the synthesised xnor rows are.
    integer_family: ClassVar[str] = "xnor"

    def weight_size(self, element: Integer) -> int:
        """Exponents of terms."""
        return len(power_terms(element, self.encoding))

    def activation_size(self, element: Integer) -> int:
        """Exponents of terms."""
        return self.weight_size(element)

    def most_terms(self, fmt: Format) -> int:
        """Return the most terms of a value."""
        return int(digit_table(fmt.element, ENCODINGS[self.encoding]).counts().max())

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """At worst every term of the largest weight meets every term of the largest activation."""
        return self.most_terms(w) * self.most_terms(a)

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Numbers of terms are those of the data."""
        return self.cycles_per_step(w, a) > 1

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return the expected cycles of the slowest lane of PEs in ``lockstep``.

        Where every weight of a lane meets every activation, the slowest product is that of the most terms
        of both. ``digits``: weights of 0, 1, … terms, for both operands, or in two rows for weights and
        activations; without them those of codes of ``data``.
        """
        step = as_lockstep(lockstep)
        w_terms, a_terms = self._terms(w, a, digits, data)
        found = pair_distribution(largest_of(w_terms, step.weights), largest_of(a_terms, step.activations))
        return float(expected_maximum(at_least(found, step.least), self.lanes * step.groups))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the mean pairs of terms of a product."""
        w_terms, a_terms = (float(mean_digits(terms)) for terms in self._terms(w, a, None, data))
        return w_terms * a_terms

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the most pairs of terms of a lane, at least one."""
        counts = [digit_table(fmt.element, ENCODINGS[self.encoding]).counts() for fmt in (w, a)]
        most = [of[codes].max(axis=2) for of, codes in zip(counts, (w_codes, a_codes), strict=True)]
        return np.asarray(np.maximum(most[0] * most[1], 1).max(axis=(1, 2)), dtype=np.int64)

    def _terms(self, w: Format, a: Format, digits: NDArray[Any] | None, data: Data) -> list[NDArray[np.float64]]:
        """Return the distributions of terms of both operands."""
        if digits is None:
            pairs = zip((w, a), data, strict=True)
            return [digit_histogram(code_shares(fmt, of), fmt, ENCODINGS[self.encoding]) for fmt, of in pairs]
        given = np.asarray(digits, dtype=np.float64)
        if given.ndim not in (1, 2) or (given.ndim == 2 and len(given) != 2):
            raise UsageError(f"digits: shape {given.shape}; valid: (terms,), or (2, terms) for weights, activations")
        return [given, given] if given.ndim == 1 else list(given)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return encoders, exponent adders, histogram, the sum of its counts, accumulator and registers."""
        n, sizes = self.lanes, [len(power_terms(fmt.element, self.encoding)) for fmt in (self.w_format, self.a_format)]
        fields = [max(1, (size - 1).bit_length()) for size in sizes]
        exponents, held = sum(sizes) - 1, sum(fields) + 4  # of each term a sign and whether there is one
        found = [part for fmt, size in zip((self.w_format, self.a_format), sizes, strict=True)
                 for part in self._encoder(fmt.bits, size)]  # fmt: skip
        found += [
            Part("exponent adder", "exponent", Adder(max(fields)), n),
            Part("sign", "multiplier", XorRow(1), n, on_path=False),
            Part("exponent line", "multiplier", AndRow(exponents), n),
            Part("counted sign", "multiplier", AndRow(exponents), n, on_path=False),
            *self._histogram(exponents),
        ]
        return (*found, *self.closing_parts(), Part("terms", "register", Register(n * held), on_path=False))

    def _histogram(self, exponents: int) -> list[Part]:
        """Return the counters, of positive and of negative terms, and the sum of all counts at their places.

        Counts of c bits that are c places apart do not overlap: c words are to be added, and as many subtracted.
        """
        count = self.lanes.bit_length()
        words, wide = min(count, exponents), exponents + count - 1
        found = [
            Part("minus", "accumulator", XorRow(wide), words),
            Part("counts in place", "accumulator", AdderTree(2 * words, wide)),
        ]
        if self.lanes > 1:
            found.insert(0, Part("terms of an exponent", "accumulator", Popcount(self.lanes), 2 * exponents))
        return found

    def _encoder(self, bits: int, size: int) -> list[Part]:
        """Return the recoding of an operand per lane, and what picks its next term."""
        recoders: dict[str, tuple[Circuit, ...]] = {
            "booth": (BoothEncoder(bits),),
            "naf": (Adder(bits), XorRow(bits)),  # digits of x are the bits in which x and 3 x differ (Prodinger)
            "oneffset": (Negator(bits),),
        }
        n = self.lanes / SHARED_BY
        recoding = [Part("recoding", "decode", circuit, n, on_path=False) for circuit in recoders[self.encoding]]
        return [
            *recoding,
            Part("next term", "control", LeadingZeroCounter(max(2, size)), n, on_path=False),
            Part("clear term", "control", AndRow(size), n, on_path=False),
            Part("next operand", "control", Mux(size, 2), n, on_path=False),
            Part("terms left", "register", Register(2 * size), n, on_path=False),
        ]

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the signed count of every exponent times its power of two."""
        ws = power_terms(w.element, self.encoding)[:, np.asarray(w_codes, dtype=np.int64)]
        as_ = power_terms(a.element, self.encoding)[:, np.asarray(a_codes, dtype=np.int64)]
        shape = np.broadcast_shapes(ws.shape[1:-1], as_.shape[1:-1])
        counts = np.zeros((*shape, len(ws) + len(as_) - 1), dtype=np.int64)
        for i, of_weights in enumerate(ws):
            for j, of_activations in enumerate(as_):
                counts[..., i + j] += (of_weights * of_activations).sum(axis=-1)
        return counts << np.arange(counts.shape[-1])


def pair_distribution(w_terms: NDArray[np.float64], a_terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, … cycles of a product, for those of terms of both operands."""
    pairs = np.multiply.outer(np.arange(len(w_terms)), np.arange(len(a_terms)))
    shares = np.multiply.outer(w_terms, a_terms)
    return np.asarray(np.bincount(np.maximum(pairs, 1).ravel(), weights=shares.ravel()), dtype=np.float64)


@lru_cache(maxsize=64)
def power_terms(element: ElementFormat, encoding: str) -> NDArray[np.int64]:
    """Return the term -1, 0 or 1 of every exponent and code, int64 (exponents, codes)."""
    table = digit_table(element, ENCODINGS[encoding])
    most = int(table.weights[-1]).bit_length() + int(np.abs(table.digits[-1]).max() > 1)
    terms = np.zeros((most, table.digits.shape[1]), dtype=np.int64)
    signs = np.sign(table.digits).astype(np.int64) * np.where(table.negative, -1, 1)
    for digits, sign, weight in zip(table.digits, signs, table.weights, strict=True):
        place = int(weight).bit_length() - 1
        terms[place] += np.where(np.abs(digits) == 1, sign, 0)
        if (np.abs(digits) == 2).any():
            terms[place + 1] += np.where(np.abs(digits) == 2, sign, 0)
    terms.setflags(write=False)
    return terms


@PES.register("laconic")
def build(options: Mapping[str, Any]) -> Laconic:
    """Build from ``{w_format: int8, a_format: int8, encoding: booth, lanes: 16, accumulator: int32}``."""
    w, a, rest = take_integers(options, "laconic", ("accumulator", "lanes", "encoding"))
    encoding, lanes = take_choice(rest, "laconic", "encoding", tuple(ENCODINGS)), int(rest.get("lanes", 16))
    return Laconic(w, a, lanes, take_accumulator(rest, "laconic", a, w.bits + a.bits, lanes), encoding)


@PAIRINGS.register("laconic")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``laconic_w8a8``, ``laconic_naf_w4a8_g128`` and the like."""
    for prefix, options in {"laconic": {}, **{f"laconic_{name}": {"encoding": name} for name in ENCODINGS}}.items():
        if formats := read_label(label, prefix):
            return {"family": "laconic", **options, **formats}
    return None
