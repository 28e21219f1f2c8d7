"""Buffers in block RAM, UltraRAM and M20K: how many primitives each takes, and of which kind it is made.

A double-buffered memory is two, each with its own ports: one is filled or drained while the array works on the other.
Banks share a memory's depth. All buffers together are made so that the larger of the shares of block RAM and
UltraRAM is least. Rows of block RAM and M20K are joined by multiplexers in LUTs; UltraRAM has its own cascade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from hwsim.hardware.circuits import Mux
from hwsim.hardware.fpga import load_fabric
from hwsim.hardware.fpga.blocks import Block, map_memory
from hwsim.hardware.fpga.device import Device
from hwsim.spec.errors import InfeasibleError, UsageError

#: Primitives that buffers are made of.
KINDS = ("bram18", "uram", "m20k")


@dataclass(frozen=True)
class BufferWanted:
    """A buffer behind a port of ``width_bits``, check bits included: ``copies`` memories of ``depth`` words."""

    width_bits: int
    depth: int
    copies: int


@dataclass(frozen=True)
class BufferPlace:
    """A buffer as it is made: every copy of one ``block``."""

    wanted: BufferWanted
    block: Block
    logic: str

    @property
    def primitives(self) -> int:
        """Primitives of all copies."""
        return self.wanted.copies * self.block.count

    @property
    def lut(self) -> float:
        """LUT sites, or ALMs, of the multiplexers that join rows of block RAM."""
        if self.block.primitive == "uram" or self.block.rows == 1:
            return 0.0
        return self.wanted.copies * load_fabric(self.logic).price(Mux(self.wanted.width_bits, self.block.rows)).lut

    @property
    def taken(self) -> dict[str, float]:
        """What it takes, by resource."""
        return {self.block.primitive: float(self.primitives), self.logic: self.lut}

    @property
    def efficiency(self) -> float:
        """Share of the primitives' bits that are in use."""
        return self.block.efficiency(self.wanted.width_bits, self.wanted.depth)


def place_buffers(
    wanted: Mapping[str, BufferWanted], device: Device, usable: Mapping[str, float], kind: str = "auto"
) -> dict[str, BufferPlace]:
    """Return what every buffer is made of: ``kind``, or with ``auto`` the best for all together.

    Raises
    ------
    InfeasibleError
        If block RAM, UltraRAM and M20K do not hold them.
    UsageError
        If the device has no primitive of that kind.
    """
    kinds = [name for name in (KINDS if kind == "auto" else (kind,)) if device.budget.get(name)]
    if not kinds and kind == "auto":
        raise UsageError(f"memories: {device.name} has no block RAM, UltraRAM or M20K to hold buffers")
    if not kinds:
        known = ", ".join(name for name in KINDS if device.budget.get(name)) or "none"
        raise UsageError(f"target.memory: {device.name} has no {kind}; valid: {known}")
    each = {
        name: [BufferPlace(one, map_memory(k, one.width_bits, one.depth), device.logic) for k in kinds]
        for name, one in wanted.items()
    }
    best = min(product(*each.values()), key=lambda places: _shares(places, usable))
    found = dict(zip(each, best, strict=True))
    total = _total(best)
    short = [name for name in kinds if total.get(name, 0) > usable[name]]
    if short:
        takes = ", ".join(f"{name} {place.primitives} {place.block.primitive}" for name, place in found.items())
        holds = ", ".join(f"{usable[name]:.0f} {name}" for name in kinds)
        raise InfeasibleError(f"memories: {device.name} does not hold them: {takes}; usable: {holds}")
    return found


def _total(places: Sequence[BufferPlace]) -> dict[str, int]:
    total: dict[str, int] = {}
    for place in places:
        total[place.block.primitive] = total.get(place.block.primitive, 0) + place.primitives
    return total


def _shares(places: Sequence[BufferPlace], usable: Mapping[str, float]) -> tuple[float, float]:
    """Return the larger of the shares of both budgets, and their sum, which decides between equals."""
    shares = [count / usable[name] if usable[name] else float("inf") for name, count in _total(places).items()]
    return (max(shares, default=0.0), sum(shares))
