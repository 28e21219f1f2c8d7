"""Tensor parallel: every layer is cut for all chips, which meet where its results belong together.

How products are cut says :mod:`hwsim.simulate.multichip.cuts`, which message follows
:mod:`hwsim.simulate.multichip.layouts`. Vector operations are cut like the results that they follow; where those are
whole on every chip, every chip works on all of them. One that needs whole rows of which each chip has some columns
adds up figures of rows across chips (a sum of squares, a maximum) and goes on with its part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.multichip.cuts import Cut, Cuts
from hwsim.simulate.multichip.layouts import WHOLE, Part, message_between
from hwsim.simulate.multichip.links import Message, bubble_row, chips_of, message_row, sum_bits
from hwsim.simulate.multicore.cut import cut
from hwsim.simulate.vector_choice import program_name
from hwsim.simulate.vector_ops import vector_kind
from hwsim.workload.ops import Gemm, Op, VectorOp

RowOf = Callable[[Op], dict[str, Any]]
Rows = list[tuple[Op | Message, dict[str, Any]]]

#: Columns of a row that add up over chips.
_ADDED = (
    "macs", "dram_read_bytes", "dram_write_bytes", "sram_read_bytes", "sram_write_bytes", "sram_read_pj",
    "sram_write_pj", *ENERGY_PARTS,
)  # fmt: skip

#: Figures per row that chips add up where each has some of its columns: a sum of squares, with LayerNorm also
#: that of the elements; a maximum; of softmax a maximum and the sum below it.
STATISTICS = {"rmsnorm": 1, "layernorm": 2, "i_layernorm": 2, "shiftgelu": 1, "shiftmax": 2}

#: Transforms over blocks of so many elements: rows are not coupled beyond.
BLOCKS = {"hadamard": 16, "hadamard_32": 32}


def tensor_rows(simulated: Simulated, ops: Sequence[Op], row_of: RowOf) -> Rows:
    """Return a row per operation, of all chips, and one per message; cycles are those of the slowest chip."""
    chips = chips_of(simulated).count
    cuts, number = Cuts(ops, chips), 0
    rows: Rows = []
    lies, held = WHOLE, 0  # where the last results are, and the columns of a row that lie together
    for op in ops:
        if isinstance(op, Gemm):
            found = cuts.of(number)
            number += 1
            rows.append((op, _together(simulated, _gemm_pieces(simulated, op, found), row_of)))
            sent, lies = list(_sent_after(op, found)), found.needed[0].part
            held = max(found.sizes) if found.loop == "n" else op.n
        else:
            before, pieces = _vector_pieces(simulated, op, lies, held)
            sent = [before] if before else []
            lies = WHOLE if before and before.op == "all_gather" else lies
            rows.append((op, _together(simulated, pieces, row_of)))
        rows += [(message, message_row(simulated, message)) for message in sent]
    return rows


def _gemm_pieces(simulated: Simulated, gemm: Gemm, found: Cut) -> list[Op]:
    """Return what each chip gets; sums of several chips are stored as wide as they travel."""
    wide = {"o_format": sum_format(sum_bits(simulated))} if found.loop == "k" and len(found.sizes) > 1 else {}
    changes: list[dict[str, Any]] = [{found.loop: size, **wide} for size in found.sizes]
    return [replace(gemm, **change) for change in changes]


def _sent_after(gemm: Gemm, found: Cut) -> Iterator[Message]:
    """Yield the messages that bring the result of a product to where it is needed."""
    for needed in found.needed:
        kind = message_between(found.has, needed.part)
        if kind:
            yield Message(
                f"{gemm.layer}.{kind}", kind, gemm.m, needed.columns, gemm.batch, gemm.repeat, gemm.o_format,
                gemm.o_format, found.has, needed.part,
            )  # fmt: skip


def sum_format(bits: int) -> str:
    """Return a format in which partial sums of ``bits`` are stored: a float, which nothing has to scale."""
    exponent = 8 if bits > 9 else 4
    return f"fp{bits}_e{exponent}m{bits - 1 - exponent}"


def _vector_pieces(simulated: Simulated, op: VectorOp, lies: Part, held: int) -> tuple[Message | None, list[Op]]:
    """Return the message that a vector operation needs, and what each chip does of it."""
    chips = chips_of(simulated).count
    if lies.layout == "whole":
        return None, [op] * chips
    if lies.layout == "rows":
        return None, _pieces(op, "m", lies)
    if op.batch > 1:
        return None, _pieces(op, "batch", lies)
    if op.n <= held:  # a row per head
        return None, _pieces(op, "m", lies)
    message = _across(simulated, op, lies, held)
    return message, [op] * chips if message and message.op == "all_gather" else _pieces(op, "n", lies)


def _across(simulated: Simulated, op: VectorOp, lies: Part, held: int) -> Message | None:
    """Return the message about rows of which each chip has some columns, where the operation couples them."""
    unit = simulated.spec.vector_unit
    name = program_name(unit, op.op)
    if len(lies.sizes) == 1 or not vector_kind(name).rows_coupled or held % BLOCKS.get(name, held + 1) == 0:
        return None
    if name in STATISTICS or name.startswith("softmax"):
        count = STATISTICS.get(name, 2)
        return Message(
            f"{op.layer}.all_reduce", "all_reduce", op.m, count, 1, op.repeat, unit.format, unit.format,
            Part("sums", (1,) * len(lies.sizes)), WHOLE,
        )  # fmt: skip
    return Message(
        f"{op.layer}.all_gather", "all_gather", op.m, op.n, 1, op.repeat, op.a_format, op.a_format, lies, WHOLE
    )


def _pieces(op: VectorOp, loop: str, lies: Part) -> list[Op]:
    """Return the parts of ``op`` along ``loop``: as its operand lies, evenly where that is not in whole elements."""
    extent, whole = getattr(op, loop), sum(lies.sizes)
    sizes = tuple(extent * size // whole for size in lies.sizes)
    if sum(sizes) != extent or 0 in sizes:
        sizes = cut(extent, 1, len(lies.sizes))
    changes: list[dict[str, Any]] = [{loop: size} for size in sizes]
    return [replace(op, **change) for change in changes]


def _together(simulated: Simulated, pieces: Sequence[Op], row_of: RowOf) -> dict[str, Any]:
    """Return the row of all chips at once: those that are done, or have nothing to do, stand and wait."""
    chips = chips_of(simulated).count
    each = [(row_of(piece), count) for piece, count in Counter(pieces).items()]
    slowest = max((row for row, _ in each), key=lambda row: int(row["cycles"]))
    cycles = slowest["cycles"]
    waiting = [(cycles - row["cycles"], count) for row, count in each]
    waiting.append((cycles, chips - len(pieces)))
    each += [(bubble_row(simulated, idle), count) for idle, count in waiting]
    busy = sum(count * row["utilization"] * row["cycles"] for row, count in each)
    return {
        **slowest,
        **{column: sum(count * row[column] for row, count in each) for column in _ADDED},
        "compute_cycles": max(row["compute_cycles"] for row, _ in each),
        "utilization": busy / (chips * cycles) if cycles else 0.0,
    }
