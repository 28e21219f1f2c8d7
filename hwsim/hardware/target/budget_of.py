"""What an array may use of a device, and how many PEs of one kind that holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from hwsim.hardware.target.pe_on_fabric import PeOnFabric


@dataclass(frozen=True)
class Budget:
    """What an array may use: counts by resource, the rest of the design and the reserve taken off already."""

    counts: Mapping[str, float]

    def exact(self, name: str) -> Fraction:
        """Return what there is of a resource; 0 of one that is not there."""
        return Fraction(self.counts.get(name, 0))

    def pes(self, one: PeOnFabric) -> dict[str, int]:
        """Return how many such PEs each resource holds; resources that they do not take are left out."""
        return {name: int(self.exact(name) / take) for name, take in taken(one).items() if take}

    def less(self, one: PeOnFabric, count: int) -> Budget:
        """Return what is left beside ``count`` such PEs."""
        left = dict(self.counts)
        for name, take in taken(one).items():
            left[name] = left.get(name, 0) - float(count * take)
        return Budget(left)


def taken(one: PeOnFabric) -> dict[str, Fraction]:
    """Return what a PE takes of each resource."""
    return {one.logic: Fraction(one.sites.lut), "ff": Fraction(one.sites.ff), "dsp": one.dsp}
