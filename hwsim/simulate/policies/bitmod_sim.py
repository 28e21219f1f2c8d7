"""The mapping rule of the simulator that BitMoD's authors published (arXiv 2411.11745; MIT licence), for comparison.

A layer is one step, operands whole: no tile, no first load, no drain, no dequantization. Its counts
are the simulator's, each of which differs from what array and buffers of ours do:

* every PE burns its energy in every cycle of ``ceil(K / lanes) · ceil(N / columns) · ceil(M / rows)`` steps,
  which take a PE's own cycles, whatever ports and dequantizers need;
* rows of operands are whole bytes in DRAM and whole 64-bit words in SRAM;
* an operand that its buffer holds (all of it, not a half) moves once; where neither is held, the one that
  costs less traffic moves again for every buffer's worth of the other, however often the array reads it;
* a step reads one word of the whole port from both buffers, also where a step takes several cycles;
* results are written to the activation buffer and go to DRAM from there, uncounted;
* the last DRAM cycle is dropped if it is used in part.

:class:`BitModGemm` says what else its layers have of their own. ``resident-or-refetch`` takes of all that the third
point alone: which operand moves how often.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.mapping import POLICIES, Machine, build_schedule
from hwsim.simulate.schedule import Foreign, Schedule, Step, Tiling, Traffic
from hwsim.workload.ops import Gemm

RULE = "bitmod-sim"
REFETCH = "resident-or-refetch"
BYTE = 8
#: Bits of a write to SRAM.
WORD = 64


@dataclass(frozen=True, slots=True)
class BitModGemm(Gemm):
    """A layer as the simulator sees it.

    Parameters
    ----------
    w_stored
        Bits per weight in DRAM, a mean with metadata; None for those of the format.
    w_written
        Bits per weight as writes to SRAM count them; None for ``w_stored``.
    a_columns
        Columns of A that move, where they are not K (attention of version 1); 0 for K.
    shares_w
        Whether all instances of the batch have one W.
    """

    w_stored: Fraction | None = None
    w_written: Fraction | None = None
    a_columns: int = 0
    shares_w: bool = False

    @property
    def cost_key(self) -> tuple[Hashable, ...]:
        """That of a GEMM, and what moves."""
        moved = (self.w_stored, self.w_written, self.a_columns, self.shares_w)
        return (*Gemm.cost_key.fget(self), *moved)  # type: ignore[attr-defined]


class Operand(NamedTuple):
    """Rows of an operand over the whole batch, its columns, bits per element in DRAM and as written to SRAM."""

    rows: int
    columns: int
    bits: Fraction
    sram_bits: Fraction

    @property
    def stored_bits(self) -> int:
        """Bits in DRAM, rows of whole bytes."""
        return self.rows * ceil(self.columns * self.bits / BYTE) * BYTE

    @property
    def written_bits(self) -> int:
        """Bits that are written to SRAM once, rows of whole words."""
        return self.rows * ceil(self.columns * self.sram_bits / WORD) * WORD


def operands(gemm: Gemm, machine: Machine) -> tuple[Operand, Operand, Operand]:
    """Return W, A and O of ``gemm``."""
    b, batch = machine.bits, gemm.batch
    w, a, o = (Fraction(bits, b.denominator) for bits in (b.w, b.a, b.o))
    written, a_columns, w_batch = w, gemm.k, batch
    if isinstance(gemm, BitModGemm):
        w = gemm.w_stored or w
        written = gemm.w_written or w
        a_columns = gemm.a_columns or gemm.k
        w_batch = 1 if gemm.shares_w else batch
    return (
        Operand(gemm.n * w_batch, gemm.k, w, written),
        Operand(gemm.m * batch, a_columns, a, a),
        Operand(gemm.m * batch, gemm.n, o, o),
    )


def fetches(w_bits: int, a_bits: int, machine: Machine) -> tuple[int, int]:
    """Return how often W and A move from DRAM: once where a buffer holds one of them."""
    w_room, a_room = machine.capacity_w_bits * machine.parts[0], machine.capacity_a_bits * machine.parts[1]
    if w_bits <= w_room or a_bits <= a_room:
        return 1, 1
    w_times, a_times = ceil_div(a_bits, a_room), ceil_div(w_bits, w_room)
    return (w_times, 1) if w_times * w_bits + a_bits < a_times * a_bits + w_bits else (1, a_times)


@POLICIES.register(RULE)
def bitmod_sim(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the schedule of ``gemm`` with its batch, as one instance."""
    shape = machine.shape
    w, a, o = operands(gemm, machine)
    w_times, a_times = fetches(w.stored_bits, a.stored_bits, machine)
    steps = gemm.batch * ceil_div(gemm.k, shape.lanes) * ceil_div(gemm.n, shape.cols) * ceil_div(gemm.m, shape.rows)
    cycles = steps * machine.step_cycles
    load = w.stored_bits * w_times + a.stored_bits * a_times
    w_port, a_port, _ = machine.port_bits
    foreign = Foreign(
        RULE,
        sram_read_bits={"w": steps * w_port, "a": steps * a_port, "o": 0},
        sram_write_bits={"w": w.written_bits * w_times, "a": a.written_bits * a_times + o.written_bits, "o": 0},
        whole_dram_cycles=True,
    )
    rows = gemm.m * gemm.batch
    return Schedule(
        gemm=Gemm(gemm.layer, rows, gemm.n, gemm.k, repeat=gemm.repeat),
        tiling=Tiling(rows, gemm.k, gemm.n, "mnk", hold_a=True, hold_w=True, hold_o=True),
        bits=machine.bits,
        body=(Step(load, cycles, o.stored_bits, opens=True, reloads=False),),
        traffic=Traffic(
            dram_w=w.rows * w.columns * w_times,
            dram_a=a.rows * a.columns * a_times,
            dram_psum_read=0,
            dram_psum_write=0,
            dram_o=o.rows * o.columns,
            sram_w_read=steps * shape.lanes * shape.cols,
            sram_a_read=steps * shape.lanes * shape.rows,
            sram_psum_read=0,
            sram_psum_write=o.rows * o.columns,
        ),
        compute_cycles=cycles,
        pe_steps=steps * shape.rows * shape.cols,
        dequant_ops=0,
        overlap=machine.overlap,
        foreign=foreign,
    )


@POLICIES.register(REFETCH)
def resident_or_refetch(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the schedule of ``gemm`` on an array that drains and dequantizes, its DRAM traffic by the rule above.

    Elements move as they are stored, and the last DRAM cycle counts.
    """
    b, batch = machine.bits, gemm.batch
    w_bits, a_bits = b.move(gemm.k * gemm.n, "w"), b.move(gemm.m * gemm.k, "a")
    w_times, a_times = fetches(w_bits * batch, a_bits * batch, machine)
    whole = build_schedule(gemm, Tiling(gemm.m, gemm.k, gemm.n, "mnk", True, True, True), machine)
    step = Step(
        w_bits * w_times + a_bits * a_times, whole.compute_cycles, b.move(gemm.m * gemm.n, "o"), True, False
    )  # fmt: skip
    traffic = replace(
        whole.traffic, dram_w=whole.traffic.dram_w * w_times, dram_a=whole.traffic.dram_a * a_times
    )  # fmt: skip
    return replace(whole, body=(step,), traffic=traffic, foreign=Foreign(REFETCH))
