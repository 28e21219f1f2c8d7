"""Counts × unit costs: the one place where hwsim computes energy.

:class:`UnitCosts` holds the price of each countable event on an accelerator for one pair of
formats; :func:`gemm_energy` and :func:`vector_energy` multiply. :func:`settle` rounds the parts
of a whole result to one common power-of-two quantum (2⁻⁴⁶ of the total), so that parts sum to
their totals exactly, in any order, in every table.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hwsim.simulate.nest.count import Moved
from hwsim.simulate.nest.hierarchy import READ, WRITE, Hierarchy
from hwsim.simulate.schedule import Cycles, Foreign, LevelRun, Schedule, Timing
from hwsim.spec.errors import ConservationError

#: The parts of a layer's energy, in the order of the layer table.
ENERGY_PARTS = (
    "energy_pe_pj",
    "energy_rf_pj",
    "energy_sram_pj",
    "energy_dram_pj",
    "energy_network_pj",
    "energy_vector_pj",
    "energy_leakage_pj",
)


#: What ``costs.leave_out`` may name.
Omissible = Literal["leakage", "network", "array_wires", "dequantization"]


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """Price of every event that a schedule counts, for one accelerator and pair of formats.

    SRAM prices are per bit through the buffer's port; ``wire_pj_per_step`` is the energy of
    operands and partial sums hopping between PEs, ``shift_pj_per_bit`` that of a stationary operand
    on its way through the rows to its PE or back, ``bus_pj_per_bit`` that of an operand on a bus across
    the array; ``network_pj_per_bit`` carries a bit between a
    buffer and the edge of the array or the DRAM port (taken to be as far). On a chip of several cores
    ``cores_pj_per_bit`` carries a bit from the port to a core or from core to core, ``multicast_pj_per_bit``
    one to all of them. With levels of memory, ``sram_*`` and ``rf_*`` are of their stores, each SRAM at a distance of
    its own, and ``axis_pj_per_bit`` is that of a bit along an axis of the array. ``pad_pj_per_bit`` is the energy of
    what a bit from a buffer does in scratchpads of PEs, ``table_pj_per_bit`` what the vector unit spends on making
    tables of a bit of activations, ``decode_pj_per_bit`` what decoders at the array's edge spend on a stored bit.
    """

    pe_pj_per_step: float
    pe_register_pj_per_step: float
    wire_pj_per_step: float
    shift_pj_per_bit: Mapping[str, float]
    bus_pj_per_bit: Mapping[str, float]
    array_clock_pj_per_cycle: float
    dequant_pj: float
    sram_read_pj_per_bit: Mapping[str, float]
    sram_write_pj_per_bit: Mapping[str, float]
    dram_read_pj_per_bit: float
    dram_write_pj_per_bit: float
    dram_background_mw: float
    network_pj_per_bit: float
    leakage_w: float
    period_ns: float
    cores_pj_per_bit: float = 0.0
    multicast_pj_per_bit: float = 0.0
    pad_pj_per_bit: Mapping[str, float] = field(default_factory=dict)
    table_pj_per_bit: float = 0.0
    decode_pj_per_bit: Mapping[str, float] = field(default_factory=dict)
    rf_read_pj_per_bit: Mapping[str, float] = field(default_factory=dict)
    rf_write_pj_per_bit: Mapping[str, float] = field(default_factory=dict)
    store_network_pj_per_bit: Mapping[str, float] = field(default_factory=dict)
    axis_pj_per_bit: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """Bits that a GEMM with its batch moves, by level; what energy and conservation work on.

    With levels of memory, SRAM is by store, and there are register files and wires of the array's axes.
    """

    dram_read_bits: int
    dram_write_bits: int
    sram_read_bits: Mapping[str, int]
    sram_write_bits: Mapping[str, int]
    rf_read_bits: Mapping[str, int] = field(default_factory=dict)
    rf_write_bits: Mapping[str, int] = field(default_factory=dict)
    axis_bits: Mapping[str, int] = field(default_factory=dict)


def gemm_counts(schedule: Schedule, load_bits: int, store_bits: int) -> Counts:
    """Return the bits moved by one GEMM with its batch.

    ``load_bits`` and ``store_bits`` are what the schedule's steps move over the DRAM port for one
    instance. Fills write what DRAM delivers; drains read what DRAM takes or the activation buffer keeps;
    spilled partial sums pass the output buffer both ways.
    """
    if schedule.levels is not None:
        return _level_counts(schedule.levels, schedule.gemm.batch, load_bits, store_bits)
    t, b, batch = schedule.traffic, schedule.bits, schedule.gemm.batch
    fills = {"w": b.move(t.dram_w, "w"), "a": b.move(t.dram_a, "a"), "o": b.move(t.dram_psum_read, "psum")}
    drains = b.move(max(t.dram_o, t.kept_o) + t.dram_psum_write, "psum")
    reads = {
        "w": b.move(t.sram_w_read, "w"),
        "a": b.move(t.sram_a_read, "a"),
        "o": b.move(t.sram_psum_read, "psum") + drains,
    }
    writes = {
        "w": fills["w"],
        "a": fills["a"] + b.move(t.kept_o, "o"),
        "o": b.move(t.sram_psum_write, "psum") + fills["o"],
    }
    own = schedule.foreign or Foreign("")
    read_bits, write_bits = own.dram_bits or (load_bits, store_bits)
    return Counts(
        dram_read_bits=read_bits * batch,
        dram_write_bits=write_bits * batch,
        sram_read_bits={k: v * batch for k, v in (own.sram_read_bits or reads).items()},
        sram_write_bits={k: v * batch for k, v in (own.sram_write_bits or writes).items()},
    )


def _level_counts(run: LevelRun, batch: int, load_bits: int, store_bits: int) -> Counts:
    """Return the bits moved by a loop nest: by store of SRAM and of registers, along the axes of the array."""
    below = list(enumerate(run.plan.hierarchy.levels))[1:]

    def of(sram: bool, direction: str) -> dict[str, int]:
        return {level.name: run.bits(at, direction) * batch for at, level in below if run.plan.sram[at] == sram}

    return Counts(
        load_bits * batch,
        store_bits * batch,
        of(True, READ),
        of(True, WRITE),
        of(False, READ),
        of(False, WRITE),
        {axis: run.plan.whole(bits) * batch for axis, bits in run.moved.wire_bits.items()},
    )


def sum_counts(found: Sequence[Counts]) -> Counts:
    """Return the bits that all of ``found`` move."""

    def by_buffer(all_bits: list[Mapping[str, int]]) -> dict[str, int]:
        return {
            key: sum(bits.get(key, 0) for bits in all_bits) for key in dict.fromkeys(k for b in all_bits for k in b)
        }

    return Counts(
        sum(counts.dram_read_bits for counts in found),
        sum(counts.dram_write_bits for counts in found),
        by_buffer([counts.sram_read_bits for counts in found]),
        by_buffer([counts.sram_write_bits for counts in found]),
        by_buffer([counts.rf_read_bits for counts in found]),
        by_buffer([counts.rf_write_bits for counts in found]),
        by_buffer([counts.axis_bits for counts in found]),
    )


def array_bits(schedule: Schedule) -> dict[str, int]:
    """Return the bits that the array takes from or gives to each buffer, for a GEMM with its batch."""
    t, b = schedule.traffic, schedule.bits
    bits = {
        "w": b.move(t.sram_w_read, "w"),
        "a": b.move(t.sram_a_read, "a"),
        "o": b.move(t.sram_psum_read + t.sram_psum_write, "psum"),
    }
    return {buffer: count * schedule.gemm.batch for buffer, count in bits.items()}


def moved_bytes(counts: Counts) -> dict[str, int]:
    """Return the byte columns of the layer table, each rounded up."""
    bits = {
        "dram_read_bytes": counts.dram_read_bits,
        "dram_write_bytes": counts.dram_write_bits,
        "sram_read_bytes": sum(counts.sram_read_bits.values()),
        "sram_write_bytes": sum(counts.sram_write_bits.values()),
    }
    return {name: -(-count // 8) for name, count in bits.items()}


def gemm_energy(
    schedule: Schedule, timing: Timing, counts: Counts, unit: UnitCosts, clocked_cycles: Cycles | None = None
) -> dict[str, float]:
    """Return the energy parts of one GEMM with its batch, in pJ; an array's clock is gated while it waits.

    ``clocked_cycles`` are those of all arrays that share the schedule; None for the compute cycles of one.
    """
    clocked = timing.compute_cycles if clocked_cycles is None else clocked_cycles
    steps = schedule.pe_steps * schedule.gemm.batch
    inside, network_pj = (_inside_array if schedule.levels is None else _inside_levels)(schedule, counts, unit)
    scaled = schedule.dequant_ops * schedule.gemm.batch * unit.dequant_pj
    if unit.decode_pj_per_bit:
        edge = array_bits(schedule)
        scaled += sum(edge[key] * pj for key, pj in unit.decode_pj_per_bit.items())
    return {
        "energy_pe_pj": steps * unit.pe_pj_per_step + scaled,
        "energy_rf_pj": steps * (unit.pe_register_pj_per_step + unit.wire_pj_per_step)
        + inside
        + float(clocked) * unit.array_clock_pj_per_cycle,
        "energy_sram_pj": sram_energy(counts.sram_read_bits, counts.sram_write_bits, unit),
        "energy_dram_pj": dram_energy(counts, timing.cycles, unit),
        "energy_network_pj": network_pj,
        "energy_vector_pj": 0.0 if schedule.levels else array_bits(schedule)["a"] * unit.table_pj_per_bit,
        "energy_leakage_pj": leakage_energy(timing.cycles, unit),
    }


def _inside_array(schedule: Schedule, counts: Counts, unit: UnitCosts) -> tuple[float, float]:
    """Return the energy in pJ of what goes through rows or on buses of an array, and between buffers and its edge."""
    moved = sum(counts.sram_read_bits.values()) + sum(counts.sram_write_bits.values())
    inside = {
        buffer: shifted + unit.bus_pj_per_bit[buffer] + unit.pad_pj_per_bit.get(buffer, 0.0)
        for buffer, shifted in unit.shift_pj_per_bit.items()
    }
    carried = sum(bits * inside[buffer] for buffer, bits in array_bits(schedule).items())
    return carried, moved * unit.network_pj_per_bit


def _inside_levels(schedule: Schedule, counts: Counts, unit: UnitCosts) -> tuple[float, float]:
    """Return the energy in pJ of register files and of the axes' wires, and of the ways to and from SRAM."""
    registers = sum(bits * unit.rf_read_pj_per_bit[store] for store, bits in counts.rf_read_bits.items())
    registers += sum(bits * unit.rf_write_pj_per_bit[store] for store, bits in counts.rf_write_bits.items())
    wires = sum(bits * unit.axis_pj_per_bit[axis] for axis, bits in counts.axis_bits.items())
    moved = [*counts.sram_read_bits.items(), *counts.sram_write_bits.items()]
    return registers + wires, sum((bits * unit.store_network_pj_per_bit[store] for store, bits in moved), 0.0)


def left_out(costs: UnitCosts, parts: Collection[str]) -> UnitCosts:
    """Return ``costs`` without what other simulators leave out, some of :data:`Omissible`."""
    nothing = dict.fromkeys(costs.shift_pj_per_bit, 0.0)
    no_way, no_axis = (dict.fromkeys(of, 0.0) for of in (costs.store_network_pj_per_bit, costs.axis_pj_per_bit))
    free: dict[str, dict[str, Any]] = {
        "leakage": {"leakage_w": 0.0},
        "network": {
            "network_pj_per_bit": 0.0,
            "cores_pj_per_bit": 0.0,
            "multicast_pj_per_bit": 0.0,
            "store_network_pj_per_bit": no_way,
        },
        "array_wires": {
            "wire_pj_per_step": 0.0,
            "shift_pj_per_bit": nothing,
            "bus_pj_per_bit": nothing,
            "axis_pj_per_bit": no_axis,
        },
        "dequantization": {"dequant_pj": 0.0, "decode_pj_per_bit": {}},
    }
    return replace(costs, **{field: value for part in parts for field, value in free[part].items()})


def sram_energy(reads: Mapping[str, int], writes: Mapping[str, int], unit: UnitCosts) -> float:
    """Return the energy in pJ of SRAM reads and writes, bits by buffer."""
    return sum(bits * unit.sram_read_pj_per_bit[buffer] for buffer, bits in reads.items()) + sum(
        bits * unit.sram_write_pj_per_bit[buffer] for buffer, bits in writes.items()
    )


def sram_parts(counts: Counts, unit: UnitCosts) -> dict[str, float]:
    """Return the energy in pJ of SRAM reads and of writes, which together are that of the layer table."""
    return {
        "sram_read_pj": sram_energy(counts.sram_read_bits, {}, unit),
        "sram_write_pj": sram_energy({}, counts.sram_write_bits, unit),
    }


def dram_energy(counts: Counts, cycles: Cycles, unit: UnitCosts) -> float:
    """Return the energy in pJ of what DRAM moves, and of standby and refresh over ``cycles`` (1 mW · 1 ns = 1 pJ)."""
    moved = counts.dram_read_bits * unit.dram_read_pj_per_bit + counts.dram_write_bits * unit.dram_write_pj_per_bit
    return moved + cycles * unit.period_ns * unit.dram_background_mw


def leakage_energy(cycles: Cycles, unit: UnitCosts) -> float:
    """Return the leakage energy in pJ over ``cycles`` (1 W · 1 ns = 1000 pJ)."""
    return cycles * unit.period_ns * unit.leakage_w * 1e3


def hierarchy_energy(hierarchy: Hierarchy, moved: Moved) -> dict[str, float]:
    """Return the energy in pJ of a loop nest, of each level by its name, of the axes' wires if priced, of the MACs."""
    energy = {level.name: 0.0 for level in hierarchy.levels}
    if hierarchy.wire_pj_per_bit:
        price = dict(zip((axis.name for axis in hierarchy.axes), hierarchy.wire_pj_per_bit, strict=True))
        energy["wires"] = sum(bits * price[name] for name, bits in moved.wire_bits.items())
    for (at, _, direction), bits in moved.bits.items():
        level = hierarchy.levels[at]
        energy[level.name] += bits * (level.read_pj_per_bit if direction == READ else level.write_pj_per_bit)
    return {**energy, "MAC": moved.macs * hierarchy.mac_pj}


def settle(rows: Sequence[dict[str, float]], unpriced: Collection[str] = ()) -> None:
    """Round the energy parts of all ``rows`` in place to one quantum and add each row's total.

    Parts that nobody can price, and then the total, are NaN.

    With the quantum at 2⁻⁴⁶ of the sum of everything, every sum over parts and rows is a multiple
    of the quantum below 2⁵³ quanta, so floating-point addition is exact in any order.

    Raises
    ------
    ConservationError
        If a part is negative or not finite.
    """
    priced = [part for part in ENERGY_PARTS if part not in unpriced]
    values = [row[part] for row in rows for part in priced]
    if any(not math.isfinite(v) or v < 0 for v in values):
        raise ConservationError("an energy part is negative or not finite")
    total = math.fsum(values)
    quantum = 2.0 ** (math.frexp(total)[1] - 46) if total else 1.0
    for row in rows:
        for part in priced:
            row[part] = round(row[part] / quantum) * quantum
        row.update(dict.fromkeys(unpriced, math.nan))
        row["energy_pj"] = sum(row[part] for part in ENERGY_PARTS)
