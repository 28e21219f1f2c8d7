"""Tensor parallel: every layer is cut for all chips, which meet where its results belong together.

The cut is that of Shoeybi et al., "Megatron-LM" (arXiv 1909.08053), section 3: projections to queries, keys
and values and the first products of an MLP are cut along N, so that each chip has the heads and features
that it goes on with; scores and values are cut by heads; the products that lead back to the hidden size
(attention's output, an MLP's last one, which narrows: N < K) are cut along K, and an all-reduce adds what
chips have and gives all of them the sum. Any other product is cut along N, and an all-gather gives all of
them its columns. Vector operations are cut like the results that they follow; where those are whole on
every chip, every chip works on all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import lcm
from typing import Any, Literal

from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.multichip.links import Message, bubble_row, chips_of, message_row, sum_bits
from hwsim.simulate.multicore.cut import cut
from hwsim.workload.ops import Gemm, Op

RowOf = Callable[[Op], dict[str, Any]]
Rows = list[tuple[Op | Message, dict[str, Any]]]

#: What operations are cut along.
Loop = Literal["m", "n", "k", "batch"]

#: What a product is cut along, and what follows: nothing where the next operations go on with a chip's part.
Cut = tuple[Loop, Literal["all_reduce", "all_gather", ""]]

#: Columns of a row that add up over chips.
_ADDED = (
    "macs", "dram_read_bytes", "dram_write_bytes", "sram_read_bytes", "sram_write_bytes", "sram_read_pj",
    "sram_write_pj", *ENERGY_PARTS,
)  # fmt: skip


def cut_of(gemm: Gemm, narrows_later: bool) -> Cut:
    """Return how ``gemm`` is cut; ``narrows_later`` if a product of its MLP follows that narrows."""
    if gemm.role in ("score", "value"):
        return ("batch" if gemm.batch > 1 else "m"), ""
    if gemm.role == "attn_out" or (gemm.role == "ffn" and gemm.n < gemm.k):
        return "k", "all_reduce"
    if gemm.role == "qkv" or (gemm.role == "ffn" and narrows_later):
        return "n", ""
    return "n", "all_gather"


def tensor_rows(simulated: Simulated, ops: Sequence[Op], row_of: RowOf) -> Rows:
    """Return a row per operation, of all chips, and one per message; cycles are those of the slowest chip."""
    rows: Rows = []
    apart: Loop | None = None  # along what the last results are cut, if each chip has a part of them
    for at, op in enumerate(ops):
        if not isinstance(op, Gemm):
            rows.append((op, _together(simulated, _vector_pieces(op, apart, chips_of(simulated).count), row_of)))
            continue
        later = (o for o in ops[at + 1 :] if isinstance(o, Gemm) and o.role == "ffn")
        loop, message = cut_of(op, any(o.n < o.k for o in later))
        sizes = cut(getattr(op, loop), _unit(op) if loop == "k" else 1, chips_of(simulated).count)
        changes: list[dict[str, Any]] = [{loop: size} for size in sizes]
        if message == "all_reduce" and len(sizes) > 1:
            changes = [{**change, "o_format": sum_format(sum_bits(simulated))} for change in changes]
        rows.append((op, _together(simulated, [replace(op, **change) for change in changes], row_of)))
        apart = None if message else loop
        if message and chips_of(simulated).count > 1:
            sent = Message(f"{op.layer}.{message}", message, op.m, op.n, op.batch, op.repeat, op.o_format, op.o_format)
            rows.append((sent, message_row(simulated, sent)))
    return rows


def sum_format(bits: int) -> str:
    """Return a format in which partial sums of ``bits`` are stored: a float, which nothing has to scale."""
    exponent = 8 if bits > 9 else 4
    return f"fp{bits}_e{exponent}m{bits - 1 - exponent}"


def _unit(gemm: Gemm) -> int:
    """Return the elements along K that are not cut apart: those that share a scale."""
    blocks = (parse_format(name).block_size for name in (gemm.w_format, gemm.a_format))
    return lcm(*(block or 1 for block in blocks))


def _vector_pieces(op: Op, apart: Loop | None, chips: int) -> list[Op]:
    if apart is None:
        return [op] * chips
    loop = "n" if apart == "batch" and op.batch == 1 else apart
    changes: list[dict[str, Any]] = [{loop: size} for size in cut(getattr(op, loop), 1, chips)]
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
