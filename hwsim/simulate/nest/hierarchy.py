"""The memory hierarchy as data: levels from DRAM to the PE's registers, with what is spatial between them.

Level 0 is the outermost; below the last one stand the MACs. A :class:`Store` is a part of a level
with a capacity of its own: one for all operands is shared, one per operand split. A :class:`Port`
moves so many bits per cycle for some operands and directions. An :class:`Axis` is a dimension of the
array below a level: its instances get an operand that does not depend on its loop at once
(multicast), and partial sums over K are added on their way up.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from hwsim.spec.errors import UsageError

OPERANDS = ("a", "w", "o")
DIMS = ("m", "k", "n")

#: The loop that an operand does not depend on: A[M,K], W[K,N], O[M,N].
FREE = {"a": "n", "w": "m", "o": "k"}

#: The loops that an operand depends on.
NEEDS = {operand: tuple(d for d in DIMS if d != free) for operand, free in FREE.items()}

READ, WRITE = "read", "write"
DIRECTIONS = (READ, WRITE)


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits per element: both inputs, partial sums, and results where they are kept as such."""

    a: int = 8
    w: int = 8
    psum: int = 32
    result: int = 32

    def kept(self, operand: str) -> int:
        """Return the bits per element of an operand on chip."""
        return {"a": self.a, "w": self.w, "o": self.psum}[operand]


@dataclass(frozen=True, slots=True)
class Store:
    """A part of a level: what it holds, its bits (None: without limit), how often it keeps a tile.

    ``copies`` is 2 where one half is filled while the other is in use.
    """

    holds: tuple[str, ...]
    capacity_bits: int | None
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Port:
    """Bits per cycle that all transfers of ``operands`` in ``directions`` share."""

    operands: tuple[str, ...]
    directions: tuple[str, ...]
    bits_per_cycle: Fraction


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its parts, its ports, its energy per bit. An operand that no part holds passes it by."""

    name: str
    stores: tuple[Store, ...]
    ports: tuple[Port, ...]
    read_pj_per_bit: float
    write_pj_per_bit: float

    @property
    def holds(self) -> tuple[str, ...]:
        """The operands that this level holds."""
        return tuple(x for x in OPERANDS if any(x in s.holds for s in self.stores))


@dataclass(frozen=True, slots=True)
class Axis:
    """Instances side by side below level ``below``, over one of the loops ``dims``.

    With ``shared``, what all instances need leaves the level once; otherwise each reads its own.
    """

    name: str
    dims: tuple[str, ...]
    size: int
    below: int
    shared: bool = True


@dataclass(frozen=True)
class Hierarchy:
    """Levels from the outermost to the innermost, the array's axes, and the energy of one MAC.

    ``result_level`` is the innermost level that keeps results in their own width; below it they are
    as wide as partial sums. ``wire_pj_per_bit`` is the energy of a bit along the whole wire of each axis, which
    is free where there is none.
    """

    name: str
    levels: tuple[Level, ...]
    axes: tuple[Axis, ...]
    mac_pj: float
    result_level: int = 0
    wire_pj_per_bit: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.levels or set(self.levels[0].holds) != set(OPERANDS):
            raise UsageError(f"{self.name}: the outermost level must hold a, w and o")
        for level in self.levels:
            held = [x for s in level.stores for x in s.holds]
            if len(held) != len(set(held)):
                raise UsageError(f"{self.name}: level {level.name}: an operand is in two of its stores")
        names = [level.name for level in self.levels] + [axis.name for axis in self.axes]
        if len(names) != len(set(names)):
            raise UsageError(f"{self.name}: two levels or axes have the same name")
        for axis in self.axes:
            if "k" in axis.dims and not axis.shared:
                raise UsageError(f"{self.name}: axis {axis.name}: sums over k are added, so it must be shared")
            if "k" in axis.dims and axis.below < self.result_level:
                raise UsageError(f"{self.name}: axis {axis.name} adds sums above the level that keeps results")

    @cached_property
    def holds(self) -> tuple[tuple[str, ...], ...]:
        """The operands that each level holds."""
        return tuple(level.holds for level in self.levels)

    @cached_property
    def held(self) -> tuple[tuple[int, str], ...]:
        """Every (level, operand) that is held, from the outermost level inwards."""
        return tuple((i, x) for i, holds in enumerate(self.holds) for x in holds)

    def level(self, name: str) -> int:
        """Return the index of a level by its name."""
        return next(i for i, level in enumerate(self.levels) if level.name == name)

    @cached_property
    def _axes(self) -> dict[str, Axis]:
        return {axis.name: axis for axis in self.axes}

    def axis(self, name: str) -> Axis:
        """Return an axis by its name."""
        return self._axes[name]

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.levels, self.axes, self.mac_pj, self.result_level, self.wire_pj_per_bit))

    def __hash__(self) -> int:
        return self._hash
