"""The mapping of one layer: the chosen loop nest, what stays where, reuse, traffic and energy by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.formats import parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.hardware.pe.operands import Operands
from hwsim.report.explain import EXPLAINERS, Question, Section, table
from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.cost import ENERGY_PARTS, gemm_counts, hierarchy_energy
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.nest.count import bounds, loads
from hwsim.simulate.nest.from_schedule import nest_of
from hwsim.simulate.nest.hierarchy import OPERANDS, Hierarchy, Widths
from hwsim.simulate.nest.hierarchy_file import HierarchySpec, find_hierarchy, hierarchy_names, load_hierarchy_spec
from hwsim.simulate.nest.loops import Nest
from hwsim.simulate.nest.notation import NAMES, notation
from hwsim.simulate.nest.search import Found, search
from hwsim.simulate.schedule import LevelRun, Schedule, moved_bits
from hwsim.spec.data import example_names, find_example
from hwsim.spec.document import load_document
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.text import exists
from hwsim.workload import Gemm, Trace, apply_policy, load_workload


@EXPLAINERS.register("mapping")
def explain_mapping(name: str, question: Question) -> list[Section]:
    """Return the nest of a layer on an architecture, or the best one on a hierarchy of memories."""
    if len(question.others) != 1:
        raise UsageError("explain mapping: takes an architecture and a workload, such as edge_16x16_45nm opt-125m")
    is_hierarchy = name in hierarchy_names() or _is_hierarchy(name)
    trace = load_workload(question.others[0], **question.workload)
    gemm = _layer(trace, question.layer)
    if is_hierarchy:
        return _on_hierarchy(load_hierarchy_spec(find_hierarchy(name), question.settings), gemm)
    simulated = open_arch(find_example("arch_configs", name), question.settings)
    with simulated.blame():
        return _on_arch(simulated, trace, gemm)


def _is_hierarchy(name: str) -> bool:
    """Whether a file, or an example, is a hierarchy; a name that is neither is refused with all names."""
    known = [*example_names("arch_configs"), *hierarchy_names()]
    path = Path(name)
    if not path.suffix and name not in known and not exists(path):
        raise UsageError(f"unknown architecture or hierarchy {name!r}; {did_you_mean(name, known)}")
    return "levels" in load_document(find_example("arch_configs", name), inherit=False).data


def _layer(trace: Trace, layer: str) -> Gemm:
    """Return a GEMM of the trace by its name.

    Raises
    ------
    UsageError
        If there is none, or no name where there are several.
    """
    gemms = {gemm.layer: gemm for gemm in trace.gemms}
    if not layer and len(gemms) == 1:
        return next(iter(gemms.values()))
    if layer not in gemms:
        what = f"unknown layer {layer!r}" if layer else "--layer is missing"
        raise UsageError(f"explain mapping: {trace.name}: {what}; {did_you_mean(layer, gemms, ordered=True)}")
    return gemms[layer]


def _title(gemm: Gemm, where: str) -> str:
    return f"{gemm.layer} on {where}: O[{gemm.m}×{gemm.n}] = A[{gemm.m}×{gemm.k}] · W[{gemm.k}×{gemm.n}]"


def _nest_section(title: str, hierarchy: Hierarchy, nest: Nest, notes: list[str]) -> Section:
    lines = notation(hierarchy, nest)
    width = max(len(text) for text, _ in lines)
    rows = [{"loop nest, outermost loop first": text.ljust(width), "size": size} for text, size in lines]
    return Section(title, table(rows), notes)


def _on_hierarchy(spec: HierarchySpec, gemm: Gemm) -> list[Section]:
    hierarchy = spec.build()
    widths = Widths(**spec.widths.model_dump())
    found = search(hierarchy, (gemm.m, gemm.k, gemm.n), widths, spec.mapper.objective, spec.mapper.bypass)
    how = f"the best by {spec.mapper.objective} of {found.mappings:,} mappings"
    how += "" if found.complete else "; tiles of some loop were cut evenly only"
    notes = [how, f"source: {spec.source}"]
    if gemm.batch > 1:
        notes.append(f"figures are of one of {gemm.batch} instances")
    energy = hierarchy_energy(hierarchy, found.moved)
    total = sum(energy.values())
    shares = [{"part": part, "energy_pj": pj, "share": pj / total if total else 0.0} for part, pj in energy.items()]
    shares.append({"part": "total", "energy_pj": total, "share": 1.0})
    limits = [{"of": bound.what, "cycles": float(bound.cycles)} for bound in bounds(hierarchy, found.moved)]
    return [
        _nest_section(_title(gemm, spec.name), hierarchy, found.nest, notes),
        Section("traffic by level and operand", _traffic(hierarchy, found), [REUSE]),
        Section("energy", table(shares)),
        Section("least cycles of the array and of each port", table(limits), ["transfers overlap with computation"]),
    ]


#: What the column says.
REUSE = "MACs per element: of an element that comes into the level, or of a result or partial sum that leaves it"


def _traffic(hierarchy: Hierarchy, found: Found) -> Any:
    moved, entering = found.moved, loads(hierarchy, found.nest)
    rows = []
    for level, operand in hierarchy.held:
        if not any(kept.level == level and kept.operand == operand for kept in found.nest.kept):
            continue
        prices = hierarchy.levels[level]
        read, written = moved.at(level, operand, "read"), moved.at(level, operand, "write")
        count = entering.get((level, operand))
        rows.append({
            "level": prices.name, "operand": NAMES[operand], "read_bits": read, "write_bits": written,
            "macs_per_element": "" if count is None else f"{moved.macs / count:.6g}",
            "energy_pj": read * prices.read_pj_per_bit + written * prices.write_pj_per_bit,
        })  # fmt: skip
    return table(rows)


def _on_arch(simulated: Simulated, trace: Trace, gemm: Gemm) -> list[Section]:
    cores = simulated.accelerator.cores
    if cores > 1:
        raise UsageError(
            f"explain mapping: {simulated.spec.name} shares a layer among {cores} cores; the nest of one that has it "
            "all is shown with --set cores.count=1"
        )
    for option, operand in (("weights", "weights"), ("outputs", "activations")):
        if getattr(simulated.spec.residency, option):
            raise UsageError(
                f"explain mapping: shows a layer whose {operand} come from DRAM; valid: --set residency.{option}=false"
            )
    one = replace(trace, ops=(gemm,))
    filled = apply_policy(one, simulated.policy).gemms[0]
    w, a, o = (parse_format(text) for text in (filled.w_format, filled.a_format, filled.o_format))
    operands = Operands(read_operand_stats(filled.w_stats), read_operand_stats(filled.a_stats))
    machine = simulated.machine(w, a, o, filled, operands)
    schedule = map_gemm(filled, machine)
    row = evaluate(simulated, one).layer_rows[0]
    if schedule.levels is not None:
        hierarchy, nest = schedule.levels.plan.hierarchy, schedule.levels.nest
        traffic, where = _level_traffic(schedule, schedule.levels), _how_found(schedule.levels)
        title = "traffic by level and operand, energy with the way to SRAM and without wires of the axes"
    else:
        hierarchy, nest = nest_of(schedule, machine.dataflow, machine.shape)
        traffic, where = _arch_traffic(schedule, hierarchy, nest), "each operand has a buffer of its own"
        title = "traffic by level and operand"
    notes = [
        f"{simulated.dataflow.name}, w {filled.w_format}, a {filled.a_format}; mapper: {machine.policy} by "
        f"{machine.objective}",
        f"loops of one iteration are left out; {where}",
    ]
    times = filled.batch * filled.repeat
    if times > 1:
        notes.append(f"the nest is of one of {times} instances, traffic and energy are of all")
    parts = [{"part": p.removeprefix("energy_").removesuffix("_pj"), "energy_pj": row[p],
              "share": row[p] / row["energy_pj"] if row["energy_pj"] else 0.0} for p in ENERGY_PARTS]  # fmt: skip
    parts.append({"part": "total", "energy_pj": row["energy_pj"], "share": 1.0})
    timing = ("cycles", "compute_cycles", "stall_cycles", "utilization", "bound")
    return [
        _nest_section(_title(filled, simulated.spec.name), hierarchy, nest, notes),
        Section(title, traffic, [REUSE]),
        *([] if simulated.spec.device else [Section("energy", table(parts))]),
        Section("cycles", table([{"figure": key, "value": row[key]} for key in timing])),
    ]


def _how_found(run: LevelRun) -> str:
    """Return among how many mappings a nest is the best, and what an element along K is."""
    how = f"the best of {run.mappings:,} mappings"
    how += "" if run.complete else ", of more, whose tiles or orders were too many to try all"
    return how + (f"; an element along k is a step of {run.plan.lanes} lanes" if run.plan.lanes > 1 else "")


def _level_traffic(schedule: Schedule, run: LevelRun) -> Any:
    """Return what a nest moves at every level in bits, and its energy there, of all instances, batch and repeats."""
    plan, moved, times = run.plan, run.moved, schedule.gemm.batch * schedule.gemm.repeat
    entering, rows = loads(plan.hierarchy, run.nest), []
    for level, operand in plan.hierarchy.held:
        at = plan.hierarchy.levels[level]
        read, written = moved.at(level, operand, "read"), moved.at(level, operand, "write")
        count = entering.get((level, operand))
        rows.append({
            **_bits(at.name, NAMES[operand], plan.whole(read), plan.whole(written), times),
            "macs_per_element": "" if count is None else f"{moved.macs / count:.6g}",
            "energy_pj": (read * at.read_pj_per_bit + written * at.write_pj_per_bit) * times,
        })  # fmt: skip
    exact = (sum(row[way] for row in rows[:3]) for way in ("read_bits", "write_bits"))
    rounded = [bits * times - plain for bits, plain in zip(moved_bits(schedule.body), exact, strict=True)]
    if any(rounded):
        rows.insert(3, {**_bits("DRAM", "tiles end in whole bits", *rounded), "energy_pj": 0.0})
    return table(rows)


def _arch_traffic(schedule: Schedule, hierarchy: Hierarchy, nest: Nest) -> Any:
    """Return what the schedule moves, as the layer table counts it: batch and repeats included."""
    counts = gemm_counts(schedule, *moved_bits(schedule.body))
    t, b, gemm = schedule.traffic, schedule.bits, schedule.gemm
    times = gemm.batch * gemm.repeat
    leaving = {"a": t.dram_a, "w": t.dram_w, "o": t.dram_o + t.dram_psum_write}
    macs = gemm.m * gemm.k * gemm.n
    dram = (counts.dram_read_bits * gemm.repeat, counts.dram_write_bits * gemm.repeat)
    rows: list[Mapping[str, Any]] = []
    if schedule.foreign is None or schedule.foreign.dram_bits is None:
        parts = {
            "A": (b.move(t.dram_a, "a"), 0),
            "W": (b.move(t.dram_w, "w"), 0),
            "O": (b.move(t.dram_psum_read, "psum"), b.move(t.dram_o, "o") + b.move(t.dram_psum_write, "psum")),
        }
        rows += [_bits("DRAM", name, read * times, write * times) for name, (read, write) in parts.items()]
        rounded = [
            total - sum(row[key] for row in rows) for total, key in zip(dram, ("read_bits", "write_bits"), strict=True)
        ]
        if any(rounded):
            rows.append(_bits("DRAM", "tiles end in whole bits", *rounded))
    else:
        rows.append(_bits("DRAM", f"all, as {schedule.foreign.rule} counts", *dram))
    rows += [
        {
            **_bits(f"{BUFFERS[x]} buffer", NAMES[x], counts.sram_read_bits[x], counts.sram_write_bits[x], gemm.repeat),
            "macs_per_element": f"{macs / leaving[x]:.6g}",
        }
        for x in OPERANDS
    ]
    waiting = next(kept.operand for kept in nest.kept if kept.level == 2)
    entering = loads(hierarchy, nest)[2, waiting]
    rows.append({"level": "PEs", "operand": NAMES[waiting], "read_bits": "", "write_bits": "",
                 "macs_per_element": f"{macs / entering:.6g}"})  # fmt: skip
    return table(rows)


def _bits(level: str, operand: str, read: int, written: int, times: int = 1) -> dict[str, Any]:
    return {"level": level, "operand": operand, "read_bits": read * times, "write_bits": written * times,
            "macs_per_element": ""}  # fmt: skip
