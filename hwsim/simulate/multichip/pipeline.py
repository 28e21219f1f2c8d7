"""Pipeline parallel: each chip has some of the layers and hands its results on to the next.

Runs of operations with the same repeats are a block, and its repeats follow each other. Blocks (and
operations without repeats) are cut into as many contiguous stages as there are chips, so that the longest
stage, by the cycles of its rows, is as short as can be. A stage works on one micro-batch at a time, sends
what it has to the next chip, and goes on with the next micro-batch. A message takes the time of both chips:
one reads its DRAM, the other writes its own, and neither port is free for work. A stage therefore takes what
it receives, works and sends; with B micro-batches all is done after all work, every message once, and B - 1
times the longest stage. (A message waits for the next chip, so that the times are the longest path over
messages: forward past the work of a stage, back to the one before for the next micro-batch. Every step back is
followed by one forward past the same stage, so that each of the B - 1 costs a whole stage, at most the longest.)
With P equal stages and short messages, chips stand for (P - 1) / (B + P - 1) of the time, the bubble of Huang
et al., "GPipe" (arXiv 1811.06965), section 2.3.

Rows count the cycles of the chip that works, over all micro-batches (a message has a row for either chip);
the bubble's row those of all chips that wait, so that the sum of all rows is the number of chips times the latency.
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


@dataclass(frozen=True)
class Stages:
    """A pipeline: cycles of each stage for a micro-batch, work and messages, and the messages with their rows."""

    work: tuple[int, ...]
    messages: tuple[tuple[Message, dict[str, Any], Message, dict[str, Any]], ...]

    @property
    def periods(self) -> tuple[int, ...]:
        """Cycles from micro-batch to micro-batch of each stage alone: what it receives, works and sends."""
        sends = [row["cycles"] for _, row, _, _ in self.messages]
        return tuple(a + b + c for a, b, c in zip((0, *sends), self.work, (*sends, 0), strict=True))

    def latency(self, micro_batches: int) -> int:
        """Return the cycles until the last stage is done with the last micro-batch."""
        once: int = sum(self.work) + sum(row["cycles"] for _, row, _, _ in self.messages)
        return once + (micro_batches - 1) * max(self.periods)


def pipeline_of(simulated: Simulated, ops: Sequence[Op], row_of: RowOf) -> Stages:
    """Return the stages of ``ops`` on the chips of an architecture.

    Raises
    ------
    UsageError
        If a row stands for several passes over the layers: which of them overlap is not in a trace.
    """
    again = next((op for op in ops if op.passes > 1), None)
    if again is not None:
        raise UsageError(
            f"{again.layer}: {again.passes} passes: a pipeline of chips takes one; run a single prefill or decode step"
        )
    stages = stages_of(list(blocks_of(ops, row_of)), chips_of(simulated).count)
    work = tuple(sum(block.cycles for block in stage) for stage in stages)
    return Stages(work, tuple(_handed_on(simulated, stage[-1].last, at) for at, stage in enumerate(stages[:-1], 1)))


def _handed_on(simulated: Simulated, made: Op, stage: int) -> tuple[Message, dict[str, Any], Message, dict[str, Any]]:
    """Return the message that ``stage`` (from 1) sends when it has ``made`` its last result, as both chips see it."""
    sent = Message(
        f"stage {stage} to {stage + 1}", "send", made.m, made.n, made.batch, chips_of(simulated).micro_batches,
        made.o_format, made.o_format,
    )  # fmt: skip
    got = replace(sent, layer=f"stage {stage + 1} from {stage}", op="receive")
    return sent, message_row(simulated, sent), got, message_row(simulated, got)


def pipeline_rows(simulated: Simulated, stages: Stages, ops: Sequence[Op], row_of: RowOf) -> Rows:
    """Return a row per operation, two per message between stages, and that of the bubble."""
    asked = chips_of(simulated)
    rows: Rows = [(replace(op, repeat=op.repeat * asked.micro_batches), row_of(op)) for op in ops]
    for sent, sending, got, getting in stages.messages:
        rows += [(sent, sending), (got, getting)]
    bubble = asked.count * stages.latency(asked.micro_batches) - asked.micro_batches * sum(stages.periods)
    waiting: dict[str, Any] = bubble_row(simulated, bubble)
    if bubble:
        rows.append((Message("pipeline", "bubble", 1, 1), waiting))
    return rows


def stage_note(stages: Stages) -> str:
    """Return how many stages there are and the cycles of each for a micro-batch, in order."""
    alike = [(len(list(run)), pair) for pair, run in groupby(zip(stages.periods, stages.work, strict=True))]
    each = ", ".join(f"{'' if n == 1 else f'{n} × '}{period:,} ({work:,} of work)" for n, (period, work) in alike)
    return (
        f"{len(stages.work)} stages, cut so that the one with the most cycles has as few as can be; cycles of each "
        f"per micro-batch, messages received and sent included: {each}"
    )
