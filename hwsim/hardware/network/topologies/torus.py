"""2-D torus: a mesh whose rows and columns are rings, folded so that no link is longer than two pitches.

The mean distance of two of n points in a ring, themselves included, is floor(n² / 4) / n.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hwsim.hardware.network.base import TOPOLOGIES
from hwsim.hardware.network.topologies.mesh import Mesh


class Torus(Mesh):
    """Rings in both directions; fewer hops than a mesh, each over two pitches (all links taken as that long)."""

    name: ClassVar[str] = "torus"
    summary: ClassVar[str] = "2-D torus of routers, dimension-ordered, folded"
    link: ClassVar[int] = 2

    def mean_distance(self, nodes: int) -> Fraction:
        """Mean over the ring."""
        return Fraction(nodes * nodes // 4, nodes)

    def most_distance(self, nodes: int) -> int:
        """Half of the ring."""
        return nodes // 2


TOPOLOGIES.register("torus")(Torus())
