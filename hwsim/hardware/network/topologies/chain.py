"""Chains of neighbours, as in a systolic array: rows pass on what enters at their left end.

A node holds each bit in a register for a cycle, one pitch from the node before; the first hop
comes from the port of its row.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology


class Chain(Topology):
    """From neighbour to neighbour along a row, a register per hop; every row has a port of its own."""

    name: ClassVar[str] = "chain"
    summary: ClassVar[str] = "systolic: from neighbour to neighbour along each row, a register per hop"
    traffic: ClassVar[str] = "from the port of a row to one of its nodes"
    stop: ClassVar[str] = "register"

    def unicast(self, grid: Grid) -> Route:
        """Half of the row on average: (C + 1) / 2 hops."""
        hops = Fraction(grid.cols + 1, 2)
        return Route(hops, hops)

    def longest(self, grid: Grid) -> Route:
        """To the far end of a row."""
        return Route(Fraction(grid.cols), Fraction(grid.cols))

    def broadcast(self, grid: Grid) -> Route:
        """Through every node once."""
        return Route(Fraction(grid.nodes), Fraction(grid.nodes))


TOPOLOGIES.register("chain")(Chain())
