"""2-D mesh: a router per node, links to the neighbours, one dimension after the other.

The mean distance of two of n points in a line, themselves included, is (n² - 1) / 3n; over distinct
pairs of nodes that is multiplied by N / (N - 1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology


class Mesh(Topology):
    """Links of one pitch between neighbours; a broadcast is a tree of N - 1 hops, forked in the routers."""

    name: ClassVar[str] = "mesh"
    summary: ClassVar[str] = "2-D mesh of routers, dimension-ordered"
    traffic: ClassVar[str] = "from any node to any other one, all pairs alike"
    stop: ClassVar[str] = "router"
    #: Pitches of a link.
    link: ClassVar[int] = 1

    def mean_distance(self, nodes: int) -> Fraction:
        """Return the mean hops between two of ``nodes`` in a line, themselves included."""
        return Fraction(nodes * nodes - 1, 3 * nodes)

    def most_distance(self, nodes: int) -> int:
        """Return the most hops between two of ``nodes`` in a line."""
        return nodes - 1

    def unicast(self, grid: Grid) -> Route:
        """Mean over distinct pairs; 0 for a single node."""
        if grid.nodes == 1:
            return Route(Fraction(0), Fraction(0))
        both = self.mean_distance(grid.rows) + self.mean_distance(grid.cols)
        return self._route(both * Fraction(grid.nodes, grid.nodes - 1))

    def longest(self, grid: Grid) -> Route:
        """Between the two nodes that are furthest apart."""
        return self._route(Fraction(self.most_distance(grid.rows) + self.most_distance(grid.cols)))

    def broadcast(self, grid: Grid) -> Route:
        """One hop per node that is reached."""
        return self._route(Fraction(grid.nodes - 1))

    def _route(self, hops: Fraction) -> Route:
        return Route(hops, hops * self.link)


TOPOLOGIES.register("mesh")(Mesh())
