"""The vector unit: softmax, norms and activations, and the quantization of what the array delivers.

A lane has an adder, a multiplier and a comparator and issues one operation per cycle; divisions, roots
and exponentials are short programs (:mod:`hwsim.hardware.technology.operations`). Which program an operation
is, an architecture chooses (:mod:`hwsim.simulate.vector_choice`). A tensor that
fits in one part of the activation buffer (half of a double-buffered one) is worked on in place; a
larger one streams from and to DRAM.

Lanes may have special-function units beside (``vector_unit: {functions: {exp: table}}``): exp, GELU and
SiLU are then one operation of the unit, as long as its cycles, a division is a reciprocal and a product,
a reciprocal root one operation of its unit. What a row does once (its division or root) is spread over the
lanes as elements are: rows do not wait for one another. Arguments
are taken to be in the units' fixed point and range; units that do not work are clock-gated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Any

from hwsim.formats import Format, Integer, parse_format
from hwsim.hardware.functions import FunctionUnit
from hwsim.hardware.technology import Technology
from hwsim.hardware.technology.operations import EXP_PROGRAMS, operation_counts
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, dram_energy, leakage_energy, moved_bytes, sram_energy, sram_parts
from hwsim.simulate.schedule import Schedule
from hwsim.simulate.vector_choice import chosen_kind, quantization_kind, row_count, scale_rows
from hwsim.simulate.vector_ops import VectorKind, vector_kind
from hwsim.workload import Gemm, VectorOp
from hwsim.workload.ops import ceil_div


@lru_cache(maxsize=4096)
def element_cost(
    technology: Technology,
    fmt: Format,
    kind: VectorKind,
    units: tuple[FunctionUnit, ...] = (),
    exp: str = "polynomial",
) -> tuple[int, float]:
    """Return the lane cycles (a copy takes one) and the energy in pJ of one element in arithmetic of ``fmt``.

    ``units`` are the special-function units of a lane, ``exp`` the program for exponentials without one.
    """
    by_name = {unit.name: unit for unit in units}
    if kind.name in by_name:
        return unit_cost(technology, by_name[kind.name])
    slots, energy_pj = _program_cost(technology, fmt, kind.primitives, by_name, exp)
    return max(1, slots), energy_pj


@lru_cache(maxsize=4096)
def row_cost(
    technology: Technology,
    fmt: Format,
    kind: VectorKind,
    units: tuple[FunctionUnit, ...] = (),
    exp: str = "polynomial",
) -> tuple[int, float]:
    """Return the lane cycles and the energy in pJ of what a row does once; arguments as :func:`element_cost`."""
    return _program_cost(technology, fmt, kind.row, {unit.name: unit for unit in units}, exp)


def _program_cost(
    technology: Technology,
    fmt: Format,
    program: tuple[tuple[str, int], ...],
    units: dict[str, FunctionUnit],
    exp: str,
) -> tuple[int, float]:
    costs = [(count, _primitive_cost(technology, fmt, p, units, exp)) for p, count in program]
    return sum(count * cost[0] for count, cost in costs), sum((count * cost[1] for count, cost in costs), 0.0)


def _primitive_cost(
    technology: Technology, fmt: Format, name: str, units: dict[str, FunctionUnit], exp: str
) -> tuple[int, float]:
    """Return the lane cycles and the energy in pJ of a primitive operation."""
    if name in ("exp", "rsqrt") and name in units:
        return unit_cost(technology, units[name])
    if name == "div" and "reciprocal" in units:
        cycles, energy_pj = unit_cost(technology, units["reciprocal"])
        return cycles + 1, energy_pj + technology.op_energy_pj("mul", fmt)
    if name == "exp":
        name = EXP_PROGRAMS[exp]
    return sum(operation_counts(name, fmt).values()), technology.op_energy_pj(name, fmt)


@lru_cache(maxsize=256)
def unit_cost(technology: Technology, unit: FunctionUnit) -> tuple[int, float]:
    """Return the cycles between results and the energy in pJ of one result, its clock included."""
    price = unit.price(technology)
    return unit.cycles, (price.energy_fj + price.clock_fj) * unit.cycles * 1e-3


def work(simulated: Simulated, kind: VectorKind, elements: int, cores: int = 1, rows: int = 0) -> tuple[int, float]:
    """Return the cycles and the energy in pJ of ``elements`` elements in ``rows`` on the units of ``cores``.

    Both are evenly shared; memory and leakage are not included.
    """
    accelerator = simulated.accelerator
    lanes = accelerator.spec.vector_unit.lanes * cores
    slots, element_pj, row_slots, row_pj = lane_costs(simulated, kind)
    cycles = -(-(elements * slots + rows * row_slots) // lanes)
    clock_pj = cycles * lanes * accelerator.vector_lane.clock_fj * 1e-3
    return cycles, elements * element_pj + rows * row_pj + clock_pj


def lane_costs(simulated: Simulated, kind: VectorKind) -> tuple[int, float, int, float]:
    """Return lane cycles and energy in pJ of an element, then those of what a row does once."""
    acc = simulated.accelerator
    units = tuple(acc.vector_functions.values())
    given = (acc.technology, acc.vector_format, kind, units, acc.spec.vector_unit.exp)
    return (*element_cost(*given), *row_cost(*given))


def quantization(simulated: Simulated, o_format: str, elements: int, n: int, cores: int = 1) -> tuple[int, float]:
    """Return the cycles and the energy in pJ of quantizing ``elements`` results, rows of ``n``, on ``cores``.

    Integers and block formats need a scale, found from the results as they come: per element the largest
    magnitude, a product, a clamp; once per row or block the factor, a division, or a sum of exponents where scales
    are powers of two, as explicit ``quantize`` operations count it. Floats are only rounded on their way out,
    which is not counted.
    """
    fmt = parse_format(o_format)
    if not elements or (not fmt.block_size and not isinstance(fmt.element, Integer)):
        return 0, 0.0
    kind = quantization_kind(fmt, vector_kind("quantize"))
    return work(simulated, kind, elements, cores, scale_rows(fmt, ceil_div(elements, n), min(n, elements)))


def requantization(simulated: Simulated, gemm: Gemm, cores: int = 1) -> tuple[int, float]:
    """Return the cycles and the energy in pJ of quantizing the results of ``gemm`` (with its batch) on ``cores``.

    With ``vector_unit.dequantize``, of multiplying integer sums by their scale where results are floats.
    """
    elements = gemm.m * gemm.n * gemm.batch
    if simulated.spec.vector_unit.dequantize and _leaves_unscaled(simulated, gemm):
        return work(simulated, vector_kind("dequantize"), elements, cores)
    return quantization(simulated, gemm.o_format, elements, gemm.n, cores)


def _leaves_unscaled(simulated: Simulated, gemm: Gemm) -> bool:
    """Whether results are floats of sums of integers that no scale has acted on; quantizing brings its own product."""
    w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
    integers = isinstance(w.element, Integer) and isinstance(a.element, Integer)
    scaled = simulated.accelerator.pe.scaling(w, a) != "none"
    return integers and not scaled and not o.block_size and not isinstance(o.element, Integer)


def table_cycles(simulated: Simulated, schedules: Sequence[Schedule]) -> int:
    """Return the cycles that the vector unit of a core makes tables, of the core that needs most."""
    acc, making = simulated.accelerator, simulated.accelerator.table_making
    if making is None or not making.additions:
        return 0
    steps = max(-(-schedule.traffic.sram_a_read // acc.pe.lanes) * schedule.gemm.batch for schedule in schedules)
    return -(-steps * making.additions // acc.spec.vector_unit.lanes)


def vector_row(simulated: Simulated, op: VectorOp, dram: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return the cost of one instance of a vector operation (with its batch), as layer-table columns.

    Elements are spread evenly over the vector units of all cores. ``dram`` are the tensors that it reads and writes
    there, where it works on one that stays on chip; None: as it fits.
    """
    acc = simulated.accelerator
    kind = chosen_kind(acc.spec.vector_unit, op)
    elements = op.m * op.n * op.batch
    counts = _counts(simulated, op, kind) if dram is None else _kept_counts(op, kind, *dram)
    lane_cycles, vector_pj = work(simulated, kind, elements, acc.cores, row_count(acc.spec.vector_unit, op, kind))
    dram_bits = counts.dram_read_bits + counts.dram_write_bits
    port = acc.dram_bits_per_cycle
    dram_cycles = -(-dram_bits * port.denominator // port.numerator)
    cycles = max(lane_cycles, dram_cycles)
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    moved = sum(counts.sram_read_bits.values()) + sum(counts.sram_write_bits.values())
    return {
        "macs": 0,
        "cycles": cycles,
        "compute_cycles": lane_cycles,
        "utilization": 0.0,
        "bound": "vector" if lane_cycles >= dram_cycles else "dram",
        **moved_bytes(counts),
        "port_cycles": dram_cycles,
        "dram_bits": dram_bits,
        "energy_pe_pj": 0.0,
        "energy_rf_pj": 0.0,
        "energy_sram_pj": sram_energy(counts.sram_read_bits, counts.sram_write_bits, unit),
        **sram_parts(counts, unit),
        "energy_dram_pj": dram_energy(counts, cycles, unit),
        "energy_network_pj": moved * unit.network_pj_per_bit + dram_bits * unit.cores_pj_per_bit,
        "energy_vector_pj": vector_pj,
        "energy_leakage_pj": leakage_energy(cycles, unit),
    }


def _counts(simulated: Simulated, op: VectorOp, kind: VectorKind) -> Counts:
    """Return the bits moved. The unit is the activation buffer's client: DRAM fills and drains pass it too.

    An operation that couples the elements of a row (softmax, norms) reads it again for its second
    pass; from DRAM only if a row does not fit on chip. What it stores between passes goes the same way.
    """
    a, o = parse_format(op.a_format), parse_format(op.o_format)
    elements = op.m * op.n * op.batch
    store, room_bits = simulated.accelerator.activation_room
    read_bits = ceil(elements * kind.reads * a.bits_per_element)
    write_bits = ceil(elements * kind.writes * o.bits_per_element)
    row_bits = op.n * max(a.bits_per_element, o.bits_per_element)
    streams = op.m * row_bits > room_bits * simulated.accelerator.cores
    once = kind.rows_coupled and row_bits <= room_bits
    from_dram = ceil(elements * a.bits_per_element) if once else read_bits
    to_dram = ceil(elements * min(kind.writes, 1) * o.bits_per_element) if once else write_bits
    dram_read = from_dram if streams or op.op == "embedding" else 0
    dram_write = to_dram if streams else 0
    if not store:  # nothing but registers of PEs: straight from and to DRAM
        return Counts(dram_read, dram_write, {}, {})
    return Counts(dram_read, dram_write, {store: read_bits + dram_write}, {store: write_bits + dram_read})


def _kept_counts(op: VectorOp, kind: VectorKind, operands: int, results: int) -> Counts:
    """Return the bits moved by an operation on a tensor on chip, of which others and results pass the DRAM port."""
    a, o = parse_format(op.a_format), parse_format(op.o_format)
    elements = op.m * op.n * op.batch
    dram_read, dram_write = (
        ceil(operands * elements * a.bits_per_element),
        ceil(results * elements * o.bits_per_element),
    )
    read_bits = ceil(elements * kind.reads * a.bits_per_element)
    write_bits = ceil(elements * kind.writes * o.bits_per_element)
    return Counts(dram_read, dram_write, {"a": read_bits + dram_write}, {"a": write_bits + dram_read})
