"""H-tree: a balanced binary tree from the centre, whose wires halve the grid again and again.

A block of width W (in pitches) splits along its longer edge into two, whose centres lie W/4 to either
side. Leaves are the nodes, all equally far from the root. Branches that lead nowhere are switched off.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology
from hwsim.spec.errors import UsageError


class HTree(Topology):
    """Equal wires from the centre to every node."""

    name: ClassVar[str] = "h_tree"
    summary: ClassVar[str] = "balanced tree from the centre, equally long to every node"
    traffic: ClassVar[str] = "from the root in the centre"
    stop: ClassVar[str] = "wire"

    def _branches(self, grid: Grid) -> Iterator[Fraction]:
        """Yield the length of a branch in pitches, level by level from the root.

        Raises
        ------
        UsageError
            If rows or columns are no powers of two.
        """
        for name, count in (("rows", grid.rows), ("cols", grid.cols)):
            if count & (count - 1):
                near = 1 << (count.bit_length() - 1)
                raise UsageError(f"h_tree: {name} must be a power of two, not {count}; nearest: {near} or {2 * near}")
        width, height = grid.cols, grid.rows
        while width * height > 1:
            if width >= height:
                yield Fraction(width, 4)
                width //= 2
            else:
                yield Fraction(height, 4)
                height //= 2

    def unicast(self, grid: Grid) -> Route:
        """One branch per level."""
        lengths = list(self._branches(grid))
        return Route(Fraction(len(lengths)), sum(lengths, Fraction(0)))

    def longest(self, grid: Grid) -> Route:
        """Every node is equally far."""
        return self.unicast(grid)

    def broadcast(self, grid: Grid) -> Route:
        """All branches: 2, 4, 8 … by level."""
        lengths = list(self._branches(grid))
        pitches = sum((2 ** (level + 1) * length for level, length in enumerate(lengths)), Fraction(0))
        return Route(Fraction(2 * (grid.nodes - 1)), pitches)


TOPOLOGIES.register("h_tree")(HTree())
