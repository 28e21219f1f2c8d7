"""What the mapper needs to know of an accelerator, for one pair of formats."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hwsim.simulate.dataflow import ArrayShape, Dataflow
from hwsim.simulate.schedule import LevelPlan, OperandBits, Results

#: What a mapping is chosen by.
Objective = Literal["edp", "latency", "energy"]


@dataclass(frozen=True, slots=True)
class Prices:
    """Energy per event as the mapper weighs candidates; the cost model prices the winner anew.

    ``sram_*_pj_per_bit`` are of buffers alone (weights, activations, outputs), the three before them with wires.
    """

    dram_pj_per_bit: float = 1.0
    sram_w_pj_per_bit: float = 0.0
    sram_a_pj_per_bit: float = 0.0
    sram_o_pj_per_bit: float = 0.0
    mac_pj: float = 0.0
    static_pj_per_cycle: float = 0.0
    clock_pj_per_cycle: float = 0.0
    sram_read_pj_per_bit: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sram_write_pj_per_bit: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the mapper needs to know of an accelerator, for one pair of formats.

    Capacities are the usable bits of each buffer for one tile or held region: one of its ``parts``
    (weights, activations, outputs), half of a buffer whose other half is being filled. One buffer
    that is not divided stops all overlap (pessimistic where only one is). ``step_cycles`` are those of a PE
    that neither port nor dequantizer holds up; ``port_bits`` are the buffers' widths. With ``resident_w`` or
    ``resident_a`` the whole W or A lies in its buffer before the GEMM begins: it bounds no tile and is not loaded.
    ``results`` says whether those are stored. With ``levels`` there are no such buffers, and the policy is that of
    loop nests.
    """

    dataflow: Dataflow
    shape: ArrayShape
    bits: OperandBits
    capacity_w_bits: int
    capacity_a_bits: int
    capacity_o_bits: int
    dram_bits_per_cycle: Fraction
    group_k: int | None = None
    objective: Objective = "edp"
    prices: Prices = Prices()
    parts: tuple[int, int, int] = (2, 2, 2)
    policy: str = "search"
    resident_w: bool = False
    resident_a: bool = False
    results: Results = "stored"
    step_cycles: int = 1
    port_bits: tuple[int, int, int] = (0, 0, 0)
    levels: LevelPlan | None = None

    @property
    def overlap(self) -> bool:
        """Whether transfers of one tile overlap with the computation of another."""
        return min(self.parts) > 1
