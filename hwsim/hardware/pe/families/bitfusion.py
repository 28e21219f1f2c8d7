"""Bit Fusion: 2-bit bricks fuse into products of 2, 4, 8 or 16 bits (ISCA 2018, arXiv 1712.01507).

A fusion unit has (max_bits / 2)² bricks, 16 for INT8. A brick multiplies two bits by two, each signed
or not: a 3-bit signed multiplier. A product of m × n bits takes m/2 · n/2 of them, widths rounded up to a
power of two; the rest of the unit works on further products at the same time: 16 of 2 × 2 bits, 4 of
4 × 4 or 2 × 8, one of 8 × 8. This is INT2/4/8 by decomposition as well.

``lanes`` are bricks: a step takes as many elements along K as there are bricks, in as many cycles as a
product has bricks. Operands that need more bricks than there are take theirs one after the other.

The bricks' products meet in a tree of adders; a multiplexer before each places one of both by what is
fused below: by 2 bits, by 4 where 2 × 8 bits are fused, or not at all. Operand bits reach the
bricks through a multiplexer per arrangement of fused bricks (estimated; the paper lays data out for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer
from hwsim.hardware.circuits import Adder, AndRow, Multiplier, Mux, Part, Register
from hwsim.hardware.pe.integers import IntegerPE, read_label, slices, take_integers
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.registry import PES
from hwsim.hardware.pe.summing import take_accumulator
from hwsim.spec.errors import UsageError

#: Bits of an operand that a brick takes.
BRICK = 2
WIDTHS = (2, 4, 8, 16)


@dataclass(frozen=True)
class BitFusion(IntegerPE):
    """A fusion unit of ``lanes`` bricks for operands of up to ``max_bits``."""

    max_bits: int

    family: ClassVar[str] = "bitfusion"

    def weight_size(self, element: Integer) -> int:
        """Bricks along an operand beyond those that fuse."""
        return max(0, bricks_of(element.bits) - bricks_of(self.max_bits))

    def activation_size(self, element: Integer) -> int:
        """As for weights."""
        return self.weight_size(element)

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """Return the bricks of a product."""
        return bricks_of(w.bits) * bricks_of(a.bits)

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return bricks with their signs, the fusing tree, accumulator and registers."""
        n, ways = self.lanes, bricks_of(self.max_bits).bit_length()
        found = [
            Part("brick signs", "decode", AndRow(2), n),
            Part("brick", "multiplier", Multiplier(BRICK + 1, BRICK + 1), n),
        ]
        if ways > 1:
            found.append(Part("operand bits", "decode", Mux(BRICK, ways), 2 * n))
        return (
            *found,
            *self._tree(),
            *self.closing_parts(),
            Part("operands", "register", Register(2 * BRICK * n), on_path=False),
        )

    def _tree(self) -> list[Part]:
        """Return placement and adder of every node, level by level."""
        found, left, level = [], self.lanes, 0
        while left > 1:
            level, nodes = level + 1, left // 2
            width = self.fused_bits(level)
            if 1 << level <= bricks_of(self.max_bits) ** 2:
                # Above two bricks the second level places by 2 or by 4 bits, all others in one way or not at all.
                ways = 3 if level == 2 and self.max_bits > 2 * BRICK else 2
                found.append(Part(f"placement {level}", "alignment", Mux(width, ways), nodes))
            # Carries of one level run with those of the next: a bit more per level (as in AdderTree).
            found.append(Part(f"fusing adder {level}", "accumulator", Adder(width), nodes, on_path=left == nodes + 1))
            left -= nodes
        return found

    def fused_bits(self, level: int) -> int:
        """Return the bits of the widest sum that ``2^level`` bricks make."""
        most = bricks_of(self.max_bits)
        bricks = min(1 << level, most * most)
        along = min(bricks, most)
        free = level - (bricks.bit_length() - 1)  # levels that add whole products
        return BRICK * (along + bricks // along) + 2 + free

    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return what every brick makes, shifted to its place, one beside the other along the last axis."""
        assert isinstance(w.element, Integer)
        assert isinstance(a.element, Integer)
        ws = slices(w.element.integers(w_codes), BRICK, bricks_of(w.bits))
        as_ = slices(a.element.integers(a_codes), BRICK, bricks_of(a.bits))
        made = [x * y << BRICK * (i + j) for i, x in enumerate(ws) for j, y in enumerate(as_)]
        return np.concatenate(made, axis=-1)


def bricks_of(bits: int) -> int:
    """Return the bricks along an operand of so many bits: half as many, rounded up to a power of two."""
    return 1 << (-(-bits // BRICK) - 1).bit_length()


@PES.register("bitfusion")
def build(options: Mapping[str, Any]) -> BitFusion:
    """Build from ``{w_format: int8, a_format: int8, max_bits: 8, lanes: 16 bricks, accumulator: int32}``."""
    w, a, rest = take_integers(options, "bitfusion", ("accumulator", "lanes", "max_bits"))
    needed = max(8, BRICK * bricks_of(w.bits), BRICK * bricks_of(a.bits))
    most = rest.get("max_bits", needed)
    valid = [width for width in WIDTHS if width >= max(w.bits, a.bits)]
    if most not in valid or isinstance(most, bool):
        raise UsageError(f"pe.max_bits: bitfusion {w.name} × {a.name}: {most!r}; valid: {', '.join(map(str, valid))}")
    lanes = int(rest.get("lanes", bricks_of(most) ** 2))
    return BitFusion(w, a, lanes, take_accumulator(rest, "bitfusion", a, w.bits + a.bits, lanes), most)


@PAIRINGS.register("bitfusion")
def pair(label: str) -> dict[str, Any] | None:
    """Claim ``bitfusion_w8a8``, ``bitfusion_w4a8_g128`` and the like, on a unit for INT8 (INT16 if needed)."""
    formats = read_label(label, "bitfusion")
    return {"family": "bitfusion", **formats} if formats else None
