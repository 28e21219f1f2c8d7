"""Lookup tables in place of multipliers: K activations share a table, weight bits choose from it.

LUT Tensor Core (arXiv 2408.06003): a tile of M × N outputs takes K activations of each of M rows and
K weights of each of N columns per step. Each row has a table (:mod:`hwsim.hardware.pe.lookup`);
every output reads it once per weight bit and adds what it finds, shifted by the bit's place, to its
accumulator. A step takes as many cycles as weights have bits. A PE is one output with its share of
the tile: 1/N of table registers (Eq. 7: M · 2^(K-1) · LUT_BIT), 1/M of weight registers (Eq. 8:
K · N · W_BIT). From the authors' RTL (repository T-MAC, branch LUTTensorCore_ISCA25): one adder per
output behind a multiplexer that loads a partial sum, the sign as an XOR, and the weight bits' place
added to a float's exponent.

===============  ============  ==============  ==========  ======================================
variant          table         index inverted  precompute  tile (M × N), K = 4
===============  ============  ==============  ==========  ======================================
lut_tensor_core  symmetric     offline         fused       2 × 64
figlut           symmetric     in the array    array       1 × 32; a sum per bit plane, no shifter
unpu             full          (none)          array       2 × 64; top plane negated
conventional     full          (none)          array       1 × 4 (the comparison's N = 4)
add              none          (none)          (none)      1 × 4; adders in place of a table
===============  ============  ==============  ==========  ======================================

``precompute: fused``: the preceding operator fills tables and is not priced here; ``array``: the
generator and its activations are, 1/N of them. FIGLUT (arXiv 2503.06862): the top bit of a key inverts
the others and the sign; 32 readers share a table; each bit plane is summed by itself and scaled
outside the PE (by powers of two here, since weights are integers). The paper's UNPU is a
reimplementation whose parts it does not list: full tables and their generator are estimated.

Symmetric tables need the sum of activations for what reading weights as odd numbers leaves over:
an adder and a register, 1/N of each, as the sum is an entry of the table. It is added when a sum
leaves the PE, through the accumulator's own adder (one cycle per output, not counted). Zero points of
asymmetric groups are the dequantizer's; its constant takes up what is left over.

Shares assume an array of whole tiles: give ``tile_m`` and ``tile_n`` where it is smaller. The fan-out
of a shared table is a tree of buffers; its wires are not priced.

Entries of integers are exact, or rounded to the width of ``table`` (static power-of-two scale;
saturating). Entries of floats are rounded to ``table`` by each adder of a tree; with ``int8`` they
share the exponent of the largest sum (estimated: the paper's scales are floats), and are normalised
before they are added. The partial sum rounds once per addition to the accumulator's format.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.hardware.circuits import FanOut, Mux, Part, Register, XorRow
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.lookup import entries, generator_adders, group_sizes, weight_planes
from hwsim.hardware.pe.pairing import PAIRINGS, known_format, known_pair
from hwsim.hardware.pe.registry import (
    LANES,
    MAX_ACCUMULATOR,
    PES,
    accumulator_widths,
    take_accumulator_format,
    take_choice,
    take_format,
    take_formats,
    take_minifloat,
)
from hwsim.spec.errors import UsageError
from hwsim.spec.options import take_count

VARIANTS = ("lut_tensor_core", "conventional", "unpu", "figlut", "add")
SYMMETRIC = ("lut_tensor_core", "figlut")
#: PEs along M and N that may share tables.
TILED = range(1, 1025)
#: Rows and columns of a tile.
TILES = {"lut_tensor_core": (2, 64), "figlut": (1, 32), "unpu": (2, 64), "conventional": (1, 4), "add": (1, 4)}
#: Activations per table; larger tables than 2^8 are taken for a mistake.
DEFAULT_K, MAX_K = 4, 8
#: Widest weights that are taken bit by bit.
MAX_WEIGHT_BITS = 16
OPTIONS = (
    "variant", "k", "lanes", "tile_m", "tile_n", "weight_bits", "table", "accumulator", "precompute",
    "index_inversion",
)  # fmt: skip


@dataclass(frozen=True)
class Lut(PE):
    """One output of a tile of tables; ``lanes`` activations per step, ``k`` per table."""

    variant: str
    k: int
    tile_m: int
    tile_n: int
    weight_bits: int
    in_array: bool
    inverter: bool

    family: ClassVar[str] = "lut"

    @property
    def symmetric(self) -> bool:
        """Whether tables hold half of their sums, the others being negatives."""
        return self.variant in SYMMETRIC

    @property
    def plane_sums(self) -> int:
        """Accumulators: one per bit plane (FIGLUT), else one for all."""
        return self.weight_bits if self.variant == "figlut" else 1

    @property
    def groups(self) -> tuple[int, ...]:
        """Activations of each table of a step."""
        return group_sizes(self.lanes, self.k)

    def table_words(self, group: int) -> int:
        """Return the words of a table of ``group`` activations."""
        return entries(group, self.symmetric)

    def table_bits(self) -> int:
        """Return the table registers of a whole tile (Eq. 7)."""
        return 0 if self.variant == "add" else self.tile_m * sum(map(self.table_words, self.groups)) * self.entry_bits

    def weight_register_bits(self) -> int:
        """Return the weight registers of a whole tile (Eq. 8)."""
        return self.lanes * self.tile_n * self.weight_bits

    @property
    @abstractmethod
    def entry_bits(self) -> int:
        """Width of a table's word."""

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Weights that fall into bit planes; the activations that tables are made for."""
        if weight_planes(w, self.symmetric) is None:
            return Reason(f"weights of {w.name} are not read bit by bit by tables of {self.variant}")
        if w.element.bits > self.weight_bits:
            return Reason(f"weights of {w.element.bits} bits are wider than the {self.weight_bits} that are held")
        return self._supports_activation(a)

    @abstractmethod
    def _supports_activation(self, a: Format) -> Reason | None:
        """Return None where tables are made for ``a``."""

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle per weight bit."""
        return int(w.element.bits)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Group scales act on the sums of a group."""
        return "sum" if w.block_size or a.block_size else "none"

    def _key_parts(self) -> list[Part]:
        """Return weight registers, the choice of a bit plane, and the key's inverter."""
        found = [
            Part("weights", "register", Register(self.lanes * self.weight_bits), 1 / self.tile_m, self._held, False)
        ]
        if self.weight_bits > 1:
            found.append(Part("plane select", "decode", Mux(self.lanes, self.weight_bits), 1 / self.tile_m))
        if self.inverter:
            found += [Part("index inverter", "decode", XorRow(g - 1)) for g in self.groups if g > 1]
        return found

    @property
    def _held(self) -> float:
        """How often per cycle what a step holds is loaded."""
        return 1 / self.w_format.bits

    def _table_parts(self) -> list[Part]:
        """Return table registers, shared by the columns, and one reading multiplexer per table."""
        found = []
        for group in self.groups:
            words = self.table_words(group)
            table = Register(words * self.entry_bits)
            found.append(Part("table", "register", table, 1 / self.tile_n, self._held, False))
            lines = FanOut(words * self.entry_bits, self.tile_n)
            if lines.nodes():
                found.append(Part("table fan-out", "multiplier", lines, 1 / self.tile_n, self._held, False))
            if words > 1:
                found.append(Part("lookup", "multiplier", Mux(self.entry_bits, words), on_path=group == self.groups[0]))
        return found

    def _generator_parts(self) -> list[Part]:
        """Return what fills the tables in the array: activations and adders, shared by the columns."""
        if self.variant == "add":
            held = Register(self.lanes * self.a_format.bits)
            return [Part("activations", "register", held, 1 / self.tile_n, self._held, False)]
        if not self.in_array:
            return []
        found = [
            Part(
                "activations", "register", Register(self.lanes * self.a_format.bits), 1 / self.tile_n, self._held, False
            )
        ]
        for group in self.groups:
            adders = generator_adders(group, self.symmetric, self.variant != "figlut")
            for covered, count in sorted(adders.items()):
                found += self._adder_parts(covered, count / self.tile_n)
        return found

    @abstractmethod
    def _adder_parts(self, covered: int, count: float) -> list[Part]:
        """Return ``count`` adders of the generator whose sums cover ``covered`` activations."""

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return cleared sums: of the planes, of what is left over, and what both are divided by."""
        number = self._number
        dtype = np.dtype([("planes", number, (self.plane_sums,)), ("rest", number), ("divisor", np.int64)])
        acc = np.zeros(shape, dtype=dtype)
        acc["divisor"] = 1
        return acc

    _number: ClassVar[Any] = np.int64

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the entries of every table, bit plane by bit plane from the lowest."""
        assert scales is None
        planes = weight_planes(w, self.symmetric)
        assert planes is not None
        out = acc.copy()
        out["divisor"] = planes.divisor
        values = self._values(a, a_codes)
        spans = self._spans(values.shape[-1])
        for plane in range(planes.bits):
            slot = plane if self.plane_sums > 1 else 0
            digits = planes.digits(w_codes, plane)
            keys = 2 * digits - 1 if self.symmetric else digits
            for span in spans:
                term = self._entry(values[..., span], keys[..., span])
                place = 1 if self.plane_sums > 1 else planes.weight(plane)
                out["planes"][..., slot] = self._add(out["planes"][..., slot], place * term)
        if planes.constant:
            for span in spans:
                ones = np.ones(values[..., span].shape, dtype=np.int64)
                rest = self._entry(values[..., span], ones)
                out["rest"] = self._add(out["rest"], rest * planes.constant)
        return out

    def _spans(self, length: int) -> list[slice]:
        return [slice(at, min(at + self.k, length)) for at in range(0, length, self.k)]

    @abstractmethod
    def _values(self, a: Format, codes: NDArray[Any]) -> NDArray[Any]:
        """Return what generators take for activations."""

    @abstractmethod
    def _entry(self, values: NDArray[Any], keys: NDArray[np.int64]) -> NDArray[Any]:
        """Return the table entries of a group of ``values`` for ``keys`` of ±1, or of 0 and 1."""

    @abstractmethod
    def _add(self, total: NDArray[Any], term: NDArray[Any]) -> NDArray[Any]:
        """Return the accumulator after one addition."""

    def _joined(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of all accumulators and of what is left over, before the division."""
        total = acc["planes"][..., 0]
        for plane in range(1, self.plane_sums):
            total = self._add(total, acc["planes"][..., plane] * 2**plane)
        return self._add(total, acc["rest"])


@PES.register("lut")
def build(options: Mapping[str, Any]) -> Lut:
    """Build from ``{w_format, a_format, variant: lut_tensor_core, k: 4, lanes: k, tile_m, tile_n, …}``.

    Further: ``weight_bits`` (held per weight; those of ``w_format``), ``table`` (format of entries: exact,
    int8, a float), ``accumulator`` (int32 or fp32), ``precompute`` (fused, array), ``index_inversion``
    (offline, array).
    """
    from hwsim.hardware.pe.families.lut_float import FloatLut
    from hwsim.hardware.pe.families.lut_integer import IntLut

    w, a, rest = take_formats(options, "lut", OPTIONS)
    variant = take_choice(rest, "lut", "variant", VARIANTS)
    k = take_count(rest, "k", DEFAULT_K, range(1, MAX_K + 1), "pe.")
    tile_m, tile_n = TILES[variant]
    common = (
        w, a, take_count(rest, "lanes", k, LANES, "pe."), variant, k,
        take_count(rest, "tile_m", tile_m, TILED, "pe."), take_count(rest, "tile_n", tile_n, TILED, "pe."),
        take_count(rest, "weight_bits", min(w.bits, MAX_WEIGHT_BITS), range(1, MAX_WEIGHT_BITS + 1), "pe."),
        _in_array(rest, variant), _inverter(rest, variant),
    )  # fmt: skip
    if isinstance(a.element, Integer):
        pe: Lut = IntLut(*common, *_integer_widths(rest, a, k))
    elif isinstance(a.element, Minifloat) and not isinstance(a, Scaled) and a.bits <= 16:
        pe = FloatLut(*common, *_float_formats(rest, a))
        if pe.quantized and pe.in_array:
            raise UsageError("pe.table: float tables become int8 in the preceding operator; valid: precompute: fused")
    else:
        raise UsageError(
            f"pe: lut activations of {a.name}; valid: integers, floats of up to 16 bits, no blocks of floats"
        )
    reason = pe.supports(w, a)
    if reason is not None:
        raise UsageError(f"pe: lut {w.name} × {a.name}: {reason}; valid: integers, ternary, and (symmetric) bipolar")
    return pe


def _in_array(rest: Mapping[str, Any], variant: str) -> bool:
    usual = "fused" if variant in ("lut_tensor_core", "add") else "array"
    found = take_choice({"precompute": usual, **rest}, "lut", "precompute", ("fused", "array"))
    if variant == "add" and found == "array":
        raise UsageError("pe.precompute: add has no table; valid: fused")
    return found == "array"


def _inverter(rest: Mapping[str, Any], variant: str) -> bool:
    usual = "array" if variant == "figlut" else "offline"
    found = take_choice({"index_inversion": usual, **rest}, "lut", "index_inversion", ("offline", "array"))
    if found == "array" and variant not in SYMMETRIC:
        raise UsageError(f"pe.index_inversion: {variant} has no symmetric table; valid: offline")
    return found == "array"


def _integer_widths(rest: Mapping[str, Any], a: Format, k: int) -> tuple[int, int]:
    """Return table and accumulator widths beside integer activations.

    Raises
    ------
    UsageError
        If they are no integers, or the accumulator is narrower than the table.
    """
    exact = a.bits + (k - 1).bit_length()
    found = rest.get("table", "exact")
    table = Integer(f"int{exact}", exact) if found == "exact" else take_format(rest, "table")
    accumulator = take_accumulator_format(rest, "int32")
    if not isinstance(table, Integer) or table.bits > exact:
        raise UsageError(f"pe.table: {table.name} beside {a.name}; valid: exact, int2 … int{exact}")
    if not isinstance(accumulator, Integer) or not table.bits <= accumulator.bits <= MAX_ACCUMULATOR:
        raise UsageError(f"pe.accumulator: {accumulator.name}; valid: {accumulator_widths(table.bits)}")
    return table.bits, accumulator.bits


def _float_formats(rest: Mapping[str, Any], a: Format) -> tuple[Minifloat, bool, Minifloat]:
    """Return the format of a table's sums, whether they become int8, and the accumulator's.

    Raises
    ------
    UsageError
        If they are no such formats.
    """
    accumulator = take_minifloat(rest, "lut", "accumulator", "fp32")
    if rest.get("table") == "int8":
        return take_minifloat({}, "lut", "table", "fp32"), True, accumulator
    usual = a.name if a.bits == 16 else "fp16"
    return take_minifloat(rest, "lut", "table", usual), False, accumulator


_LABEL = re.compile(r"(lut_conventional|lut_add|lut|figlut|unpu)_(.+)$")
_NAMES = {"lut": "lut_tensor_core", "lut_conventional": "conventional", "lut_add": "add"}


@PAIRINGS.register("lut")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``lut_w2a8``, ``figlut_w4a16_g128``, ``unpu_w2a8``, ``lut_ternary`` (INT8 activations) and the like.

    One-bit weights are ``binary``. Eight weight bits are held, so that an INT8 KV cache runs too.
    """
    match = _LABEL.match(label)
    if match is None:
        return None
    variant, what = (
        _NAMES.get(match[1], match[1]),
        match[2].replace("w1a", "w2a") if match[2].startswith("w1a") else match[2],
    )
    pair_of, fmt = known_pair(what), known_format(what)
    if pair_of is not None:
        w = "binary" if match[2].startswith("w1a") else pair_of[0].name
        a = pair_of[1].name
    elif fmt is not None:
        w, a = fmt.name, "int8"
    else:
        return None
    found = known_format(w)
    if found is None or weight_planes(found, variant in SYMMETRIC) is None or found.bits > 8:
        return None
    return {"family": "lut", "variant": variant, "w_format": w, "a_format": a, "weight_bits": 8}
