"""What stays on chip from operation to operation: fused attention, weights that are loaded once."""

from __future__ import annotations

from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.run import resident_rows
from hwsim.simulate.residency.weights import ALL_FREE, Room

__all__ = ["ALL_FREE", "Fused", "Room", "resident_rows"]
