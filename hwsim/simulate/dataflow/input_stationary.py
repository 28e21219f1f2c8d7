"""Input-stationary systolic array: K on rows, M on columns, N streams; see ``held_operand``."""

from __future__ import annotations

from typing import ClassVar

from hwsim.simulate.dataflow.base import DATAFLOWS
from hwsim.simulate.dataflow.held_operand import HeldOperand


class InputStationary(HeldOperand):
    """Activations wait: a fold covers a part of K and M, and the weights of every output feature pass it."""

    name: ClassVar[str] = "input_stationary"
    summary: ClassVar[str] = "systolic; activations wait in the PEs, weights stream, partial sums flow down"
    stationary: ClassVar[str] = "a"
    stream_loop: ClassVar[str] = "n"


DATAFLOWS.register("input_stationary")(InputStationary())
