"""Pipeline parallel: each chip has some of the layers and hands its results on to the next.

Runs of operations with the same repeats are a block, and its repeats follow each other. Blocks (and
operations without repeats) are cut into as many contiguous stages as there are chips, so that the longest
stage is as short as can be. A stage works on one micro-batch at a time, sends what it has to the next chip,
and goes on with the next micro-batch. With B of them and stages that take t (work and message) all is done
after the sum of all t and B - 1 times the longest: with P equal stages, chips stand for (P - 1) / (B + P - 1)
of the time, the bubble of Huang et al., "GPipe" (arXiv 1811.06965), section 2.3.

Rows count the cycles of the chip that works, over all micro-batches; the bubble's row those of all chips
that wait, so that the sum of all rows is the number of chips times the latency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.multichip.links import Message, bubble_row, chips_of, message_row
from hwsim.simulate.multichip.tensor import RowOf, Rows
from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Op


@dataclass(frozen=True)
class Block:
    """Operations that stay on one chip, and the cycles of one micro-batch; ``last`` makes what goes on."""

    last: Op
    cycles: int


def blocks_of(ops: Sequence[Op], row_of: RowOf) -> Iterator[Block]:
    """Yield the blocks of a trace in order, every repeat on its own."""
    for repeat, run in groupby(ops, key=lambda op: op.repeat):
        members = list(run)
        if repeat == 1:
            yield from (Block(op, row_of(op)["cycles"]) for op in members)
        else:
            yield from [Block(members[-1], sum(row_of(op)["cycles"] for op in members))] * repeat


def stages_of(blocks: Sequence[Block], chips: int) -> list[list[Block]]:
    """Return up to ``chips`` contiguous stages whose longest is as short as can be."""

    def filled(room: int) -> list[list[Block]]:
        stages: list[list[Block]] = [[]]
        used = 0
        for block in blocks:
            if stages[-1] and used + block.cycles > room:
                stages.append([])
                used = 0
            stages[-1].append(block)
            used += block.cycles
        return stages

    low, high = max(block.cycles for block in blocks), sum(block.cycles for block in blocks)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(filled(middle)) <= chips else (middle + 1, high)
    return filled(low)


def pipeline_rows(simulated: Simulated, ops: Sequence[Op], row_of: RowOf) -> Rows:
    """Return a row per operation, one per message between stages, and that of the bubble.

    Raises
    ------
    UsageError
        If a row stands for several passes over the layers: which of them overlap is not in a trace.
    """
    asked = chips_of(simulated)
    again = next((op for op in ops if op.passes > 1), None)
    if again is not None:
        raise UsageError(
            f"{again.layer}: {again.passes} passes: a pipeline of chips takes one; run a single prefill or decode step"
        )
    stages = stages_of(list(blocks_of(ops, row_of)), asked.count)
    rows: Rows = [(replace(op, repeat=op.repeat * asked.micro_batches), row_of(op)) for op in ops]
    periods = [sum(block.cycles for block in stage) for stage in stages]
    for at, stage in enumerate(stages[:-1]):
        made = stage[-1].last
        sent = Message(
            f"stage {at + 1} to {at + 2}", "send", made.m, made.n, made.batch, asked.micro_batches,
            made.o_format, made.o_format,
        )  # fmt: skip
        row = message_row(simulated, sent)
        periods[at] += row["cycles"]
        rows.append((sent, row))
    latency = sum(periods) + (asked.micro_batches - 1) * max(periods)
    bubble = asked.count * latency - asked.micro_batches * sum(periods)
    waiting: dict[str, Any] = bubble_row(simulated, bubble)
    if bubble:
        rows.append((Message("pipeline", "bubble", 1, 1), waiting))
    return rows
