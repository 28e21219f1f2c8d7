"""Broadcast array: M on rows, N on columns, K in place, operands on buses instead of hops.

The arrangement of BitMoD's tiles (arXiv 2411.11745 IV-C: weight terms broadcast down columns,
inputs along rows, outputs stay) and of NVDLA-like adder-tree arrays. A fold takes
``ceil(K / lanes) · interval`` cycles, without skew, and ``R · drain_interval`` to move the
results out. Folds do not overlap, ragged folds cost a full one.

Wires: an operand from a buffer drives the whole bus of its row or column once, ``C`` or ``R`` pitches. In a
fold that uses the whole array that is one pitch per operand and PE, as between neighbours; a
ragged fold shares the same bus among fewer PEs. Results go down PE by PE.

Lockstep: all PEs take the next operands from their buses together, when the slowest one is done; a
column has one stream of weights for all rows, a row one stream of activations.
"""

from __future__ import annotations

from typing import ClassVar

from hwsim.hardware.network.topologies.bus import line_pitches
from hwsim.simulate.dataflow.base import DATAFLOWS, ArrayShape
from hwsim.simulate.dataflow.output_stationary import OutputStationary


class Broadcast(OutputStationary):
    """Output-stationary without skew: every PE of a row or column sees its operand at once."""

    name: ClassVar[str] = "broadcast"
    summary: ClassVar[str] = "operands on row and column buses, each PE accumulates one output"

    skewed: ClassVar[bool] = False

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Nothing hops from PE to PE while the array computes."""
        return {}

    def bus_mm(self, shape: ArrayShape, pitch_mm: float) -> dict[str, float]:
        """Activations drive a row of the array, weights a column."""
        return {"a": line_pitches(shape.cols) * pitch_mm, "w": line_pitches(shape.rows) * pitch_mm}


DATAFLOWS.register("broadcast")(Broadcast())
