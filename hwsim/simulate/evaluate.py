"""``evaluate(simulated, trace) -> Result``: a whole trace on an accelerator, with all its costs.

Every unique GEMM is mapped and timed once. Layers run one after the other; vector operations
do not overlap with GEMMs. Each result is checked for conservation before anyone sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.formats import Format, parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.accuracy import DESIGN_SOURCE, design_sqnr_db
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.context import engine_context
from hwsim.simulate.cost import ENERGY_PARTS, Counts, moved_bytes, settle, sram_parts
from hwsim.simulate.data_notes import clock_notes, data_notes, foreign_notes, issue_notes
from hwsim.simulate.engine import ENGINES
from hwsim.simulate.figures import merit, refuse_broken, utilization
from hwsim.simulate.fitting_formats import dequantize_notes, refuse_unfit, trace_pairs
from hwsim.simulate.level_run import level_laws, level_notes, waiting_level
from hwsim.simulate.mapping import Machine, build_schedule, map_gemm, resident_tiling, tiling_fits
from hwsim.simulate.multichip import Message, chip_rows, chip_totals
from hwsim.simulate.multicore import Plan, Run, plans_of, run_plan
from hwsim.simulate.multicore.notes import core_notes
from hwsim.simulate.on_device import device_notes, on_device, unpriced_parts
from hwsim.simulate.residency import ALL_FREE, Fused, Room, resident_rows
from hwsim.simulate.residency.prefetch import Timed, prefetched, shorten
from hwsim.simulate.schedule import Schedule, Timing
from hwsim.simulate.sums import check_sums
from hwsim.simulate.vector_choice import fused_ops
from hwsim.simulate.vector_unit import requantization, table_cycles, vector_row
from hwsim.spec.errors import ConservationError
from hwsim.workload import Gemm, Trace, apply_policy
from hwsim.workload.cutting import share_notes
from hwsim.workload.ops import Op
from hwsim.workload.stated import plain_hint

if TYPE_CHECKING:
    import pandas as pd

LAYER_COLUMNS = (
    "design_id", "layer", "op", "m", "n", "k", "batch", "repeat", "w_format", "a_format", "o_format",
    "macs", "cycles", "compute_cycles", "stall_cycles", "time_us", "utilization", "bound",
    "dram_read_bytes", "dram_write_bytes", "sram_read_bytes", "sram_write_bytes", "energy_pj",
    *ENERGY_PARTS,
)  # fmt: skip

DESIGN_COLUMNS = (
    "area_mm2", "peak_tops", "latency_ms", "energy_mj", "edp_mj_ms", "avg_power_w", "tops_per_watt",
    "tops_per_mm2", "utilization", "sqnr_db", "accuracy_source", "pe_basis", "status", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a trace costs on an accelerator.

    ``layer_rows`` have the columns of :data:`LAYER_COLUMNS` (totals over batch × repeat),
    ``design_row`` those of :data:`DESIGN_COLUMNS`. ``notes`` say what is assumed of data where cycles
    depend on them. ``sram_pj`` are the reads' and the writes' part of each row's SRAM energy.
    """

    design_id: str
    trace_name: str
    engine: str
    layer_rows: tuple[dict[str, Any], ...]
    design_row: dict[str, Any]
    notes: tuple[str, ...] = ()
    sram_pj: tuple[tuple[float, float], ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The layer table."""
        import pandas as pd

        return pd.DataFrame(list(self.layer_rows), columns=list(LAYER_COLUMNS))

    def _repr_html_(self) -> str:
        shown = {k: v for k, v in self.design_row.items() if v is not None and not isinstance(v, str)}
        cells = "".join(f"<td>{k}</td><td>{v:.4g}</td>" for k, v in shown.items())
        return f"<b>{self.trace_name} on {self.design_id}</b><table><tr>{cells}</tr></table>"


def evaluate(simulated: Simulated, trace: Trace, engine: str = "fast") -> Result:
    """Return cycles, traffic and energy of ``trace`` on ``simulated``.

    Formats that the trace leaves open are filled by the architecture's policy.

    Raises
    ------
    InfeasibleError
        If a buffer cannot hold one tile.
    UsageError
        If the PE cannot compute a pair of formats, or the engine is unknown.
    ConservationError
        If the result breaks a conservation law.
    """
    ENGINES.get(engine)
    filled = apply_policy(trace, simulated.policy)
    refuse_unfit(simulated.spec, simulated.accelerator, trace_pairs(filled), plain_hint(trace))
    check_sums(simulated.accelerator.pe, filled)
    ops = fused_ops(simulated.spec.vector_unit, filled.ops)
    seen: dict[Any, dict[str, Any]] = {}

    def row_of(op: Op, room: Room = ALL_FREE) -> dict[str, Any]:
        key = (op.cost_key, room)
        if key not in seen:
            if isinstance(op, Gemm):
                seen[key] = _gemm_row(simulated, op, engine, room)
            else:
                seen[key] = vector_row(simulated, op, room.tensors)
        return seen[key]

    name, period_ns = simulated.spec.name, simulated.accelerator.period_ns
    pairs: Sequence[tuple[Op | Fused | Message, dict[str, Any]]]
    if simulated.spec.residency.asked:
        pairs, more_notes = resident_rows(simulated, replace(filled, ops=ops), row_of, engine)
    else:
        pairs, more_notes = chip_rows(simulated, ops, row_of)
    rows = [_with_repeat(row, op, name, period_ns) for op, row in pairs]
    if simulated.spec.residency.prefetch:
        saved, note = prefetched(simulated, pairs, engine)
        more_notes = (*more_notes, note)
        for row, cycles in zip(rows, saved, strict=True):
            shorten(simulated, row, cycles)
    settle(rows, unpriced_parts(simulated))
    sram_pj = tuple((row["sram_read_pj"], row["sram_write_pj"]) for row in rows)
    ordered = tuple({column: row[column] for column in LAYER_COLUMNS} for row in rows)
    design = _design_row(simulated, filled, ordered)
    splits = {row["layer"]: row["split"] for row in rows if row.get("split")}
    notes = (*_notes(simulated, filled), *core_notes(simulated, splits), *more_notes, *device_notes(simulated))
    ordered, design = on_device(simulated, ordered, design)
    return Result(simulated.spec.name, trace.name, engine, ordered, design, notes, sram_pj)


def _notes(simulated: Simulated, filled: Trace) -> tuple[str, ...]:
    """Return what a reader must know of formats, data, clocks and levels."""
    return (
        *([str(filled.meta["policy_note"])] if "policy_note" in filled.meta else []),
        *share_notes(filled),
        *data_notes(simulated, filled),
        *clock_notes(simulated),
        *issue_notes(simulated),
        *foreign_notes(simulated),
        *dequantize_notes(simulated.spec, simulated.accelerator),
        *level_notes(simulated),
    )


def _gemm_row(simulated: Simulated, gemm: Gemm, engine: str, room: Room = ALL_FREE) -> dict[str, Any]:
    """Cost of one instance of ``gemm`` (with its batch), by the best way of sharing it among the cores.

    ``room`` says what is on chip besides tiles.
    """
    w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
    operands = Operands(read_operand_stats(gemm.w_stats), read_operand_stats(gemm.a_stats))

    def machine_of(part: Gemm) -> Machine:
        return room.machine(simulated.machine(w, a, o, part, operands), part)

    machine = machine_of(gemm)
    context = engine_context(simulated, machine, (w, a), operands)
    spaces = machine.capacity_w_bits, machine.capacity_a_bits

    def row(plan: Plan) -> dict[str, Any]:
        found = _run_row(simulated, gemm, run_plan(simulated, plan, context, engine), (w, a), operands)
        return {**found, "timed": Timed(plan.schedules[0], context, found["quantize_cycles"], spaces)}

    rows = [row(plan) for plan in plans_of(simulated, gemm, machine_of)]
    if machine.resident_w or machine.resident_a or machine.results != "stored":
        same = resident_tiling(map_gemm(gemm, simulated.machine(w, a, o, gemm, operands)).tiling, machine)
        if tiling_fits(same, machine):
            rows.append(row(Plan(None, (build_schedule(gemm, same, machine),))))
        rows = _no_worse(rows, _gemm_row(simulated, gemm, engine))
    return min(rows, key=lambda found: merit(found, simulated.spec.mapper.objective))


def _no_worse(rows: list[dict[str, Any]], loading: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that take no longer and move no more than where nothing stays on chip.

    The objective alone might buy energy with time. The last row keeps that mapping and never is worse, but by what
    banks of DRAM do with other requests.
    """
    figures = ("cycles", "dram_read_bytes", "dram_write_bytes")
    return [row for row in rows if all(row[key] <= loading[key] for key in figures)] or rows[-1:]


def _run_row(
    simulated: Simulated, gemm: Gemm, run: Run, formats: tuple[Format, Format], operands: Operands
) -> dict[str, Any]:
    """Cost of one instance of ``gemm`` as the cores shared it."""
    w, a = formats
    plan, unit = run.plan, simulated.unit_costs(w, a, operands)
    # Results are quantized while the array works on the next tiles; a slow vector unit holds it up.
    quantize_cycles, quantize_pj = requantization(simulated, gemm, plan.cores)
    vector_cycles = quantize_cycles + table_cycles(simulated, plan.schedules)
    timing = Timing(max(run.timing.cycles, vector_cycles), run.timing.compute_cycles)
    counts = plan.counts()
    for schedule, core, moved in run.parts():
        _check_gemm(simulated, schedule, core, moved, w, a, plan.gang)
    _check_chip(simulated, gemm, run, timing, counts)
    macs, energy = gemm.m * gemm.n * gemm.k * gemm.batch, run.energy(timing, counts, unit)
    return {
        "macs": macs,
        "cycles": timing.cycles,
        "compute_cycles": timing.compute_cycles,
        "utilization": utilization(simulated, macs, timing.cycles, w, a, operands.data),
        "bound": _bound(timing, vector_cycles, plan),
        **moved_bytes(counts),
        **energy,
        **sram_parts(counts, unit),
        "energy_vector_pj": energy["energy_vector_pj"] + quantize_pj + run.vector_pj,
        "quantize_cycles": vector_cycles,
        "dram_bits": counts.dram_read_bits + counts.dram_write_bits,
        "split": "alone" if plan.split and plan.cores == 1 else plan.split,
    }


def _bound(timing: Timing, quantize_cycles: int, plan: Plan) -> str:
    if timing.cycles == quantize_cycles > timing.compute_cycles:
        return "vector"
    if timing.compute_cycles * 2 >= timing.cycles:
        return "compute"
    if plan.ring_cycles * 2 >= timing.stall_cycles:
        return "link"
    return waiting_level(plan.schedules[0], timing) or "dram"


_TOTALS = (
    "macs", "cycles", "compute_cycles", "dram_read_bytes", "dram_write_bytes", "sram_read_bytes",
    "sram_write_bytes", "sram_read_pj", "sram_write_pj", *ENERGY_PARTS,
)  # fmt: skip


def _with_repeat(row: dict[str, Any], op: Op | Fused | Message, design_id: str, period_ns: float) -> dict[str, Any]:
    """Return the layer-table row of ``op``: totals over its repeats."""
    out = dict(row)
    for column in _TOTALS:
        out[column] = row[column] * op.repeat
    product = isinstance(op, Gemm | Fused)
    out.update(
        design_id=design_id,
        layer=op.layer,
        op=op.op,
        m=op.m,
        n=op.n,
        k=op.k if isinstance(op, Gemm | Fused) else 0,
        batch=op.batch,
        repeat=op.repeat,
        w_format=op.w_format if isinstance(op, Gemm | Fused) else "",
        a_format=op.a_format,
        o_format=op.o_format,
        stall_cycles=out["cycles"] - out["compute_cycles"],
        time_us=out["cycles"] * period_ns * 1e-3,
    )
    assert product or out["macs"] == 0
    return out


def _check_gemm(
    simulated: Simulated, schedule: Schedule, timing: Timing, counts: Counts, w: Format, a: Format, cores: int
) -> None:
    """Refuse a result that breaks a conservation law; other simulators' counts need not keep those of operands.

    ``cores`` go through the schedule together.
    """
    gemm, traffic, tiling = schedule.gemm, schedule.traffic, schedule.tiling
    kept, outputs = tiling.results == "kept", gemm.m * gemm.n
    acc = simulated.accelerator
    fastest = acc.dram_peak_bits_per_cycle if acc.spec.dram.banks else acc.dram_bits_per_cycle
    dram_cycles = (counts.dram_read_bits + counts.dram_write_bits) / fastest
    macs = gemm.m * gemm.n * gemm.k * gemm.batch
    bits, pe = schedule.bits, simulated.accelerator.pe
    fewest = 1 if pe.data_dependent(w, a) else pe.cycles_per_step(w, a)  # data may be better than expected
    drops = schedule.foreign is not None and schedule.foreign.whole_dram_cycles
    loaded = ((traffic.dram_w, "w"), (traffic.dram_a, "a"), (traffic.dram_psum_read, "psum"))
    fills = sum(bits.move(elements, operand) for elements, operand in loaded) * gemm.batch
    laws = {
        "PE steps cover all MACs": schedule.pe_steps * gemm.batch * pe.lanes >= macs,
        "outputs <= DRAM writes, unless they stay": kept
        or bits.move(outputs, "o") * gemm.batch <= counts.dram_write_bits,
        "outputs that stay are written once": traffic.kept_o == (0 if tiling.results == "stored" else outputs)
        and bits.move(traffic.kept_o, "o") * gemm.batch <= counts.sram_write_bits.get("a", 0)
        and not (kept and traffic.dram_o),
        "cycles >= compute cycles": timing.cycles >= timing.compute_cycles,
        "cycles >= bits / bandwidth": timing.cycles >= (int(dram_cycles) if drops else dram_cycles),
        "utilization <= 100 %": macs * fewest <= timing.cycles * cores * acc.pes * pe.lanes,
    }
    if schedule.foreign is None:
        laws |= {
            "unique weights <= DRAM reads, unless resident": tiling.resident_w or gemm.k * gemm.n <= traffic.dram_w,
            "resident operands are not read from DRAM": not (tiling.resident_w and traffic.dram_w)
            and not (tiling.resident_a and traffic.dram_a),
            "unique weights, DRAM reads <= SRAM reads": max(gemm.k * gemm.n, traffic.dram_w) <= traffic.sram_w_read,
            "unique activations <= DRAM reads, unless resident": tiling.resident_a or gemm.m * gemm.k <= traffic.dram_a,
            "unique activations, DRAM reads <= SRAM reads": max(gemm.m * gemm.k, traffic.dram_a) <= traffic.sram_a_read,
            "what DRAM delivers is what the steps load": fills <= counts.dram_read_bits,
        }
    refuse_broken(simulated, gemm.layer, laws | level_laws(schedule, timing))


def _check_chip(simulated: Simulated, gemm: Gemm, run: Run, timing: Timing, counts: Counts) -> None:
    """Refuse what cores do that is not the whole of ``gemm``, or faster than the port that they share."""
    acc, schedules = simulated.accelerator, run.plan.schedules
    fastest = acc.dram_peak_bits_per_cycle if acc.spec.dram.banks else acc.dram_bits_per_cycle
    dram_cycles = (counts.dram_read_bits + counts.dram_write_bits) / fastest
    drops = any(s.foreign is not None and s.foreign.whole_dram_cycles for s in schedules)
    laws = {
        "MACs of all cores are those of the GEMM": sum(s.gemm.macs for s in schedules) == gemm.macs,
        "cycles >= those of every core": timing.cycles >= max(core.cycles for core in run.cores),
        "cycles >= bits of all cores / bandwidth": timing.cycles >= (int(dram_cycles) if drops else dram_cycles),
        "cores <= those of the chip": run.plan.cores <= acc.cores,
    }
    refuse_broken(simulated, gemm.layer, laws)


def _design_row(simulated: Simulated, trace: Trace, rows: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Totals of a run and the figures of merit."""
    acc = simulated.accelerator
    pe = acc.pe
    w, a = parse_format(simulated.policy.w_format), parse_format(simulated.policy.a_format)
    macs = sum(row["macs"] for row in rows)
    totals = chip_totals(simulated)
    if macs != totals.batches * sum(op.macs for op in trace.ops if isinstance(op, Gemm)):
        raise ConservationError(f"{trace.name}: MACs of the layer table differ from the trace's")
    latency_ms = sum(row["cycles"] for row in rows) / totals.at_once * acc.period_ns * 1e-6
    area_mm2 = totals.chips * acc.area_mm2
    energy_mj = sum(row["energy_pj"] for row in rows) * 1e-9
    busy = sum(row["cycles"] for row in rows)
    tops = 2 * macs / (latency_ms * 1e9) if latency_ms else 0.0
    power_w = energy_mj / latency_ms if latency_ms else 0.0
    return {
        "area_mm2": area_mm2,
        "peak_tops": 2 * totals.chips * acc.peak_macs_per_s(w, a) * 1e-12,
        "latency_ms": latency_ms,
        "energy_mj": energy_mj,
        "edp_mj_ms": energy_mj * latency_ms,
        "avg_power_w": power_w,
        "tops_per_watt": tops / power_w if power_w else 0.0,
        "tops_per_mm2": tops / area_mm2,
        "utilization": sum(row["utilization"] * row["cycles"] for row in rows) / busy if busy else 0.0,
        "sqnr_db": design_sqnr_db(pe, w, a),
        "accuracy_source": DESIGN_SOURCE,
        "pe_basis": simulated.accelerator.pe_price.basis,
        "status": "ok",
        "reason": "",
    }
