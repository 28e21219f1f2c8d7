"""A PE: every part with its price, the whole beside its multiplier, and where the figures come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwsim.formats import Minifloat
from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.claims import BASELINES, saving
from hwsim.hardware.pe import PE, make_pe, pe_options
from hwsim.hardware.pe.clocking import Clocking, clocking
from hwsim.hardware.pe.lockstep import Data
from hwsim.hardware.pe.operands import Operands, data_factors
from hwsim.hardware.pe.pipeline import DEQUANTIZER_FAMILY, dequantizer_price, pipelined_price, step_energy_fj
from hwsim.hardware.technology import PartsPrice, Technology, load_technology
from hwsim.report.explain import EXPLAINERS, Question, Section, constants_section, table
from hwsim.report.explain.calibration import expected_error
from hwsim.report.explain.gate_model import gate_section
from hwsim.report.explain.pe_compare import compare_pes, groups_of
from hwsim.report.explain.pe_data import data_section, expected_lines
from hwsim.report.explain.pe_modes import modes_section
from hwsim.report.explain.pe_operands import operands_of, operands_section, operands_text
from hwsim.report.explain.pe_target import refuse_operands, target_sections

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE = "the multiplier alone is not the PE: compare whole rows"


@EXPLAINERS.register("pe")
def explain_pe(name: str, question: Question) -> list[Section]:
    """Return the parts of a PE, named by its family or by the format that it is built for."""
    if question.others:
        names = (name, *question.others)
        return compare_pes([(one, make_pe(pe_options(one, question.settings))) for one in names], question)
    options = pe_options(name, question.settings)
    target = question.on_device
    if target:
        refuse_operands(question, target)
        return target_sections(make_pe(options), target, question.target_clock_hz, question.stages)
    pe, technology = make_pe(options), load_technology(question.technology)
    operands = operands_of(question, pe.data_dependent(pe.w_format, pe.a_format))
    price, stages = pipelined_price(pe, technology, question.clock_hz, operands=operands)
    clocks = clocking(pe, technology, question.clock_hz)
    shown = f"{pe.family} {pe.w_format.name} × {pe.a_format.name}"
    where = f"{technology.name}, {question.clock_hz / 1e9:g} GHz"
    sections = [
        Section(f"{shown} in {where}: parts", _parts(price), _notes(pe, price, stages, operands, clocks)),
        Section("by group", _groups(price), [WHOLE], _draw(shown, price)),
    ]
    sections += data_section(pe, operands.data)
    sections += operands_section(pe.mode(pe.w_format, pe.a_format), pe.w_format, pe.a_format, operands)
    sections += modes_section(pe, technology, question.clock_hz, operands)
    if pe.scaling(pe.w_format, pe.a_format) == "sum":
        scaler = dequantizer_price(pe, pe.w_format, pe.a_format, technology, question.clock_hz)
        note = (
            f"one per PE or per column, as the dataflow says; energy per group sum; glitch family {DEQUANTIZER_FAMILY}"
        )
        sections.append(Section("dequantizer of group sums", _parts(scaler), [note]))
    sections += _against_exact(pe, technology, question.clock_hz)
    sections += gate_section(pe, technology)
    if pe.family == "lmul":
        sections.append(_claims())
    sections.append(constants_section(technology, "constants behind these figures"))
    return sections


def _parts(price: PartsPrice) -> Any:
    rows = [
        {
            "part": row.part.role,
            "group": row.part.group,
            "circuit": _circuit(row.part.circuit),
            "count": row.part.count,
            "area_um2": row.area_um2,
            "energy_fj": row.energy_fj,
            "clock_fj": row.clock_fj,
            "leakage_nw": row.leakage_nw,
            "delay_ps": row.delay_ps if row.part.on_path else None,
        }
        for row in price.rows
    ]
    total = {"part": "total", "group": "", "circuit": "", "count": None}
    sums = {k: getattr(price, k) for k in ("area_um2", "energy_fj", "clock_fj", "leakage_nw", "delay_ps")}
    return table([*rows, {**total, **sums}])


def _circuit(circuit: Any) -> str:
    widths = ", ".join(f"{k.removesuffix('_bits')}={v}" for k, v in vars(circuit).items() if not isinstance(v, bool))
    return f"{type(circuit).__name__}({widths})"


def _groups(price: PartsPrice) -> Any:
    areas, energies = groups_of(price, "area_um2"), groups_of(price, "energy_fj")
    total = price.energy_fj + price.clock_fj
    return table([
        {"group": group, "area_um2": areas[group], "area_share": areas[group] / price.area_um2,
         "energy_fj": energies[group], "energy_share": energies[group] / total}
        for group in areas
    ])  # fmt: skip


def _draw(name: str, price: PartsPrice) -> Callable[[], Figure]:
    def draw() -> Figure:
        from hwsim.report.plot.part_bars import part_bars_figure

        panels = {
            "area (µm²)": {name: groups_of(price, "area_um2")},
            "energy per cycle (fJ)": {name: groups_of(price, "energy_fj")},
        }
        return part_bars_figure("What a PE is made of", panels)

    return draw


def _notes(pe: PE, price: PartsPrice, stages: int, operands: Operands, clocks: Clocking) -> list[str]:
    w, a = pe.w_format, pe.a_format
    per_mac = step_energy_fj(pe, price, w, a, operands.data) / pe.lanes
    stated = ""
    if operands.stated:
        found = data_factors(pe.mode(w, a), w, a, operands)
        stated = f" × toggles {found.toggles:.3g} × zeros {found.zeros:.3g} of the stated operands"
    return [
        f"{pe.lanes} lane(s), {_cycles(pe, operands.data)} cycle(s) per step: {per_mac:.4g} fJ per "
        f"multiply-accumulate; {stages} stage(s)",
        _clock_text(stages, clocks),
        f"energy = settled-value energy (× {price.settled_factor:.3g}, that of the family over its area's) "
        f"× glitch factor {price.glitch_factor:.3g} × data factor "
        f"{price.regime_factor:.3g} (Gaussian data){stated}, registers without glitches; basis: {price.basis}",
        *([expected_error()] if price.basis == "modelled" else []),
        operands_text(operands),
        *([f"stated: {pe.stated.source}; parts keep their modelled shares"] if pe.stated else []),
        *expected_lines(pe, operands.data),
    ]


def _clock_text(stages: int, clocks: Clocking) -> str:
    """Return the fastest clocks, and how long a sum takes to come back to its adder."""
    ghz = [f"{hz / 1e9:.3g} GHz" for hz in (clocks.unpipelined_hz, clocks.fastest_hz, clocks.loop_hz)]
    text = f"fastest clock, gates sized for speed: {ghz[0]} without stage registers"
    text += f", {ghz[1]} in {stages} stages" if stages > 1 else ""
    if clocks.loop_cycles == 1:
        return f"{text}; a sum is back at its adder after one cycle"
    return (
        f"{text}; a sum is back at its adder after {clocks.loop_cycles} cycles (one up to {ghz[2]}): where it stays in "
        f"the PE, {clocks.loop_cycles} sums take turns"
    )


def _cycles(pe: PE, data: Data) -> str:
    """Return the cycles of a step: one number, or those at work where they depend on data."""
    w, a = pe.w_format, pe.a_format
    if not pe.data_dependent(w, a):
        return str(pe.cycles_per_step(w, a))
    return f"{pe.work_cycles_per_step(w, a, data):.3g} at work of {pe.expected_cycles_per_step(w, a, data=data):.3g}"


def _against_exact(pe: PE, technology: Technology, clock_hz: float) -> list[Section]:
    """Compare with a float MAC of the same formats: the multiplier alone, and everything."""
    w, a = pe.w_format, pe.a_format
    if (
        pe.family == "float_mac"
        or len(pe.modes) > 1
        or not (isinstance(w.element, Minifloat) and isinstance(a.element, Minifloat))
    ):
        return []
    exact = make_pe({"family": "float_mac", "w_format": w.name, "a_format": a.name})
    prices = [pipelined_price(one, technology, clock_hz)[0] for one in (pe, exact)]
    lanes = [one.lanes / one.cycles_per_step(one.w_format, one.a_format) for one in (pe, exact)]
    rows = []
    for what, groups in (("multiplier alone", ("multiplier",)), ("whole PE", GROUPS)):
        for figure in ("area_um2", "energy_fj"):
            ours, theirs = (_sum(p, groups, figure) / per_cycle for p, per_cycle in zip(prices, lanes, strict=True))
            saving = 1 - ours / theirs if theirs else None
            rows.append({"of": what, "figure": f"{figure} per MAC and cycle", pe.family: ours, "float_mac": theirs,
                         "saving": saving})  # fmt: skip
    title = f"against an exact float MAC of {w.name} × {a.name}"
    return [Section(title, table(rows), ["a saving of the multiplier is not a saving of the PE"])]


def _claims() -> Section:
    """Return what savings of L-Mul come to by published energies of operations, per baseline."""
    rows = [
        {"node": f"{b.node_nm} nm", "multiplication": b.multiply, "replaced by addition": b.replaced_by,
         "accumulation that stays": b.accumulate or "none", "saving": saving(b)}
        for b in BASELINES
    ]  # fmt: skip
    note = "the published 95 % and 80 % are the first and the third row; operations alone, without any datapath"
    return Section("savings by published energies of operations", table(rows), [note])


def _sum(price: PartsPrice, groups: tuple[str, ...], figure: str) -> float:
    rows = [row for row in price.rows if row.part.group in groups]
    return sum(row.area_um2 if figure == "area_um2" else row.energy_fj + row.clock_fj for row in rows)
