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
from collections.abc import Mapping
from typing import Any

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.sums import MAX_ACCUMULATOR
from hwsim.hardware.pe.families.lut_float import FloatLut
from hwsim.hardware.pe.families.lut_integer import IntLut
from hwsim.hardware.pe.lookup import weight_planes
from hwsim.hardware.pe.lut_base import SYMMETRIC, Lut
from hwsim.hardware.pe.pairing import PAIRINGS, known_format, known_pair
from hwsim.hardware.pe.registry import (
    LANES,
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


@PES.register("lut")
def build(options: Mapping[str, Any]) -> Lut:
    """Build from ``{w_format, a_format, variant: lut_tensor_core, k: 4, lanes: k, tile_m, tile_n, …}``.

    Further: ``weight_bits`` (held per weight; those of ``w_format``), ``table`` (format of entries: exact,
    int8, a float), ``accumulator`` (int32 or fp32), ``precompute`` (fused, array), ``index_inversion``
    (offline, array).
    """
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
    signed = isinstance(accumulator, Integer) and accumulator.signed
    if not signed or not table.bits <= accumulator.bits <= MAX_ACCUMULATOR:
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
