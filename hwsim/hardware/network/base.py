"""What every topology answers: hops and wire of a transfer, from counts of nodes alone.

A network connects ``rows`` × ``cols`` nodes (PEs, tiles or cores) that lie in a grid of one pitch. A
topology says how many hops and how many pitches of wire a bit takes to one node and to all of them;
:mod:`energy` multiplies with what a hop and a mm cost. All counts are exact fractions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

#: Most nodes along an edge.
MAX_EDGE = 65_536


@dataclass(frozen=True, slots=True)
class Grid:
    """Nodes of a network.

    Raises
    ------
    UsageError
        If a count is not between 1 and 65536.
    """

    rows: int
    cols: int

    def __post_init__(self) -> None:
        for name, count in (("rows", self.rows), ("cols", self.cols)):
            if not 1 <= count <= MAX_EDGE:
                raise UsageError(f"network {name} must be between 1 and {MAX_EDGE}, not {count}")

    @property
    def nodes(self) -> int:
        """Nodes in the grid."""
        return self.rows * self.cols


@dataclass(frozen=True, slots=True)
class Route:
    """Hops of a transfer and its wire in pitches: what moves one bit costs."""

    hops: Fraction
    pitches: Fraction


class Topology(ABC):
    """One way to connect the nodes of a grid; stateless."""

    name: ClassVar[str]
    summary: ClassVar[str]
    #: From where to where :meth:`unicast` averages.
    traffic: ClassVar[str]
    #: What stands at a hop: a ``router`` whose energy must be given, a ``register``, or nothing but wire.
    stop: ClassVar[str]

    @abstractmethod
    def unicast(self, grid: Grid) -> Route:
        """Return the mean transfer to one node."""

    @abstractmethod
    def longest(self, grid: Grid) -> Route:
        """Return the transfer with the most wire to one node: it sets the latency."""

    @abstractmethod
    def broadcast(self, grid: Grid) -> Route:
        """Return all hops and all wire that bring one bit to every node."""


TOPOLOGIES: Registry[Topology] = Registry("network", "hwsim.hardware.network.topologies")
