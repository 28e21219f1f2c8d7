"""Broadcast bus: a spine along the rows and one wire across each row, all driven at every transfer."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology


def line_pitches(nodes: int) -> int:
    """Return the length in pitches of a wire that passes ``nodes`` nodes in a line, from the edge to the far edge."""
    return nodes


class Bus(Topology):
    """Every node listens to one wire; a transfer drives all of it, whoever it is for."""

    name: ClassVar[str] = "bus"
    summary: ClassVar[str] = "one wire past every node, driven whole at every transfer"
    traffic: ClassVar[str] = "from a port at the corner"
    stop: ClassVar[str] = "wire"

    def unicast(self, grid: Grid) -> Route:
        """As a broadcast: nothing divides the wire."""
        return self.broadcast(grid)

    def longest(self, grid: Grid) -> Route:
        """Along the spine and across the last row."""
        spine = line_pitches(grid.rows) if grid.rows > 1 else 0
        return Route(Fraction(1), Fraction(spine + line_pitches(grid.cols)))

    def broadcast(self, grid: Grid) -> Route:
        """The spine, where there is more than one row, and a wire across each row."""
        spine = line_pitches(grid.rows) if grid.rows > 1 else 0
        return Route(Fraction(1), Fraction(spine + grid.rows * line_pitches(grid.cols)))


TOPOLOGIES.register("bus")(Bus())
