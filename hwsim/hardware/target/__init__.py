"""Arrays of PEs on an FPGA device: what one PE takes, the largest array within all budgets, and what binds it.

The same PEs are priced on ASIC technologies; nothing in a PE knows of either.
"""

from __future__ import annotations

from hwsim.hardware.fpga.dsp import DSP_CHOICES, DspChoice
from hwsim.hardware.target.budget import ArrayFit, largest_array
from hwsim.hardware.target.budget_of import Budget
from hwsim.hardware.target.buffers import BufferPlace, place_buffers
from hwsim.hardware.target.pe_on_fabric import PeOnFabric, pe_on_fabric
from hwsim.hardware.target.placement import Placement, Wanted, place

__all__ = ["DSP_CHOICES", "ArrayFit", "Budget", "BufferPlace", "DspChoice", "PeOnFabric", "Placement", "Wanted",
           "largest_array", "pe_on_fabric", "place", "place_buffers"]  # fmt: skip
