"""Memories in block RAM, UltraRAM, M20K and LUTs: how many primitives a buffer of some width and depth takes.

A primitive has several shapes. A memory of ``width_bits`` × ``depth`` is cut into columns and rows of one shape, the
shape that needs the fewest primitives, and cascades of rows are a multiplexer in LUTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Block:
    """So many primitives of one shape, side by side and in cascade."""

    primitive: str
    width_bits: int
    depth: int
    columns: int
    rows: int

    @property
    def count(self) -> int:
        """Primitives in all."""
        return self.columns * self.rows

    def efficiency(self, width_bits: int, depth: int) -> float:
        """Return the share of its bits that a memory of this width and depth uses."""
        return width_bits * depth / (self.count * self.width_bits * self.depth)


@cache
def shapes(primitive: str) -> tuple[tuple[int, int], ...]:
    """Return the shapes (width in bits, depth) of a primitive.

    Raises
    ------
    UsageError
        If it is unknown.
    """
    rows = read_csv_rows("fpga", "memory_primitives.csv")
    known = sorted({row["primitive"] for row in rows})
    if primitive not in known:
        raise UsageError(f"unknown memory primitive {primitive!r}; {did_you_mean(primitive, known)}")
    return tuple((int(row["width_bits"]), int(row["depth"])) for row in rows if row["primitive"] == primitive)


def map_memory(primitive: str, width_bits: int, depth: int) -> Block:
    """Return the fewest primitives that hold ``depth`` words of ``width_bits``; of equals the widest shape.

    Raises
    ------
    UsageError
        If width or depth are not positive, or the primitive is unknown.
    """
    if width_bits < 1 or depth < 1:
        raise UsageError(f"a memory needs a positive width and depth, not {width_bits} × {depth}")
    found = [
        Block(primitive, width, deep, -(-width_bits // width), -(-depth // deep)) for width, deep in shapes(primitive)
    ]
    return min(found, key=lambda block: (block.count, -block.width_bits))
