"""What stays on chip from operation to operation: fused attention, weights that are loaded once, outputs."""

from __future__ import annotations

from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.room import ALL_FREE, Room
from hwsim.simulate.residency.run import resident_rows

__all__ = ["ALL_FREE", "Fused", "Room", "resident_rows"]
