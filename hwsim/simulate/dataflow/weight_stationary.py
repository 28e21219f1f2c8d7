"""Weight-stationary systolic array: K on rows, N on columns, M streams; see ``held_operand``."""

from __future__ import annotations

from typing import ClassVar

from hwsim.simulate.dataflow.base import DATAFLOWS
from hwsim.simulate.dataflow.held_operand import HeldOperand


class WeightStationary(HeldOperand):
    """Weights wait: a fold covers a part of K and N, and every row of activations passes it."""

    name: ClassVar[str] = "weight_stationary"
    summary: ClassVar[str] = "systolic; weights wait in the PEs, activations stream, partial sums flow down"
    stationary: ClassVar[str] = "w"
    stream_loop: ClassVar[str] = "m"


DATAFLOWS.register("weight_stationary")(WeightStationary())
