"""Arrays of PEs on an FPGA device: what one PE takes, the largest array within all budgets, and what binds it.

The same PEs are priced on ASIC technologies; nothing in a PE knows of either.
"""

from __future__ import annotations

from hwsim.hardware.target.budget import ArrayFit, Budget, largest_array
from hwsim.hardware.target.pe_on_fabric import DSP_CHOICES, PeOnFabric, pe_on_fabric

__all__ = ["DSP_CHOICES", "ArrayFit", "Budget", "PeOnFabric", "largest_array", "pe_on_fabric"]
