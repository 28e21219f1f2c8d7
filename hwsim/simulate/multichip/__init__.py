"""Several chips: layers cut for all of them, or handed on from one to the next, and the traffic between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.multichip.links import Message
from hwsim.simulate.multichip.pipeline import pipeline_of, pipeline_rows, stage_note
from hwsim.simulate.multichip.tensor import RowOf, Rows, tensor_rows
from hwsim.workload.ops import Op

__all__ = ["Message", "Totals", "chip_rows", "chip_totals"]


class Totals(NamedTuple):
    """How rows add up: chips, of which rows count the cycles of ``at_once`` one by one, and batches of the trace."""

    chips: int
    at_once: int
    batches: int


def chip_rows(simulated: Simulated, ops: Sequence[Op], row_of: RowOf) -> tuple[Rows, tuple[str, ...]]:
    """Return every operation and message with its row, and how to read them.

    ``row_of`` gives the row of an operation on one chip.
    """
    asked = simulated.spec.chips
    if asked is None or asked.count == 1:
        if chip_totals(simulated).batches == 1:
            return [(op, row_of(op)) for op in ops], ()
        return pipeline_rows(simulated, pipeline_of(simulated, ops, row_of), ops, row_of), ()
    links = f"links of {asked.link_bandwidth / 1e9:g} GB/s and {asked.link_energy:g} pJ/bit"
    if asked.parallel == "tensor":
        reading = (
            f"{asked.count} chips, tensor parallel, in a ring of {links}: rows are of all chips at once; messages do "
            "not overlap with work, and operations on whole results are repeated on every chip"
        )
        return tensor_rows(simulated, ops, row_of), (reading, _UNPRICED)
    stages = pipeline_of(simulated, ops, row_of)
    reading = (
        f"{asked.count} chips in a pipeline over {links}, {asked.micro_batches} micro-batches of the workload: rows "
        f"count the cycles of the chip that works, the bubble's those of all that wait; the latency of all "
        f"micro-batches is the sum over {asked.count}; {stage_note(stages)}"
    )
    return pipeline_rows(simulated, stages, ops, row_of), (reading, _UNPRICED)


#: No published figure of a link's area is at hand that fits any link.
_UNPRICED = "chips: the area and the leakage of links (PHYs, controllers) are not in area_mm2 and the energies"


def chip_totals(simulated: Simulated) -> Totals:
    """Return how the rows of a run add up."""
    asked = simulated.spec.chips
    if asked is None:
        return Totals(1, 1, 1)
    return Totals(asked.count, asked.count if asked.parallel == "pipeline" else 1, asked.micro_batches)
