"""BitMoD's simulator: cycles and energies of whole models, and cycles and bytes of their layers.

Rows are runs of either version (:mod:`hwsim.explore.score._bitmod_runs`). Cycles must be equal, energies equal up
to the digits of the table. Beside every run stands the same design in hwsim's own terms, as a statement.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._bitmod_runs import LAYERS, Run, model_name
from hwsim.explore.score._tables import not_negative, positive, read_rows
from hwsim.simulate.evaluate import Result, evaluate
from hwsim.spec.errors import HwsimError, Problem, SpecError, UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
VERSIONS = {"bitmod-sim-v1": 1, "bitmod-sim-v2": 2}
#: Columns that say what a run is of; version 2 also has ``batch_size`` and ``kv_prec``.
INPUTS = (
    "run_id", "sim", "model_name", "is_generation", "context_length", "i_prec", "w_prec", "is_bit_serial",
    "pe_dp_size", "pe_array_dim", "pe_energy_pJ_per_cycle", "pe_area_um2",
)  # fmt: skip
CYCLES = ("cycles_compute", "cycles_total")
ENERGIES = ("E_compute_pJ", "E_sram_rd_pJ", "E_sram_wr_pJ", "E_dram_pJ")
#: Largest relative error of an energy: the tables have ten digits, buffers' costs six.
ENERGY = 1e-6
#: Mismatches that are named.
SHOWN = 20
BUFFER = ("sram_rcost_pJ", "sram_wcost64_pJ", "sram_area_mm2")
LAYER_INPUTS = (
    "run_id",
    "layer",
    "n",
    "cyc_compute",
    "cyc_dram",
    "fetch_w",
    "fetch_i",
    "w_bytes",
    "i_bytes",
    "o_bytes",
)


class Case(NamedTuple):
    """A row: what it is called, its run, its figures."""

    name: str
    run: Run
    figures: Mapping[str, float]


@SCORERS.register("bitmod")
def score(path: Path, layers: Path | None = None, track: Track = untracked) -> Score:
    """Compare runs of BitMoD's simulator, and with ``layers`` also their layers, joined on ``run_id``.

    Raises
    ------
    SpecError
        If a column is missing or a value makes no sense.
    UsageError
        If no row can be compared.
    """
    import pandas as pd

    cases, by_run = _read(path), _read_layers(layers) if layers else {}
    found: list[dict[str, object]] = []
    refused, unphysical, ratios = Counter[str](), Counter[str](), defaultdict[str, list[float]](list)
    for case in track(cases):
        try:
            compat = evaluate(case.run.compat(), case.run.trace(), "roofline")
            entries = [*_compare(case, compat), *_compare_layers(case, compat, by_run.get(case.name, ()))]
        except HwsimError as error:
            refused[str(error)] += 1
            continue
        found += entries
        try:
            machine, trace = case.run.physical()
            _beside(entries, evaluate(machine, trace), ratios)
        except HwsimError as error:
            unphysical[str(error)] += 1
    notes = [f"refused: {count} row(s): {what}" for what, count in refused.items()]
    notes += [f"no physical mode: {count} row(s): {what}" for what, count in unphysical.items()]
    if not found:
        raise UsageError(f"{path}: nothing to compare; {'; '.join(notes) or 'the table has no rows'}")
    frame = pd.DataFrame(found)
    lost = set(by_run) - {case.name for case in cases}
    bars = _bars(frame, sum(refused.values()), sum(len(by_run[name]) for name in lost))
    return Score(frame, bars, [*notes, *_mismatches(frame), *_ratios(ratios)])


def totals(result: Result) -> dict[str, float]:
    """Return the figures of a run by the names of the table."""
    rows = result.layer_rows
    reads, writes = (sum(pair[i] for pair in result.sram_pj) for i in (0, 1))
    return {
        "cycles_compute": sum(row["compute_cycles"] for row in rows),
        "cycles_total": sum(row["cycles"] for row in rows),
        "E_compute_pJ": sum(row["energy_pe_pj"] + row["energy_rf_pj"] for row in rows),
        "E_sram_rd_pJ": reads,
        "E_sram_wr_pJ": writes,
        "E_dram_pJ": sum(row["energy_dram_pj"] for row in rows),
    }


def _compare(case: Case, compat: Result) -> Iterator[dict[str, object]]:
    ours = totals(compat)
    for figure in (*CYCLES, *ENERGIES):
        yield _entry({"run_id": case.name, "layer": "", "figure": figure}, case.figures[figure], ours[figure])


def _compare_layers(case: Case, compat: Result, rows: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Yield the figures of layers; each is of one of ``n`` layers that are alike."""
    ours = {row["layer"]: row for row in compat.layer_rows}
    for row in rows:
        found = ours.get(LAYERS[row["layer"]])
        if found is None:
            raise UsageError(f"{case.run.model} has no layer {row['layer']}")
        what = {"run_id": case.name, "layer": row["layer"]}
        compute, dram = int(row["cyc_compute"]), int(row["cyc_dram"])
        read = float(row["w_bytes"]) * int(row["fetch_w"]) + float(row["i_bytes"]) * int(row["fetch_i"])
        figures = {
            "layers": (float(row["n"]), found["repeat"], 1),
            "layer_cycles_compute": (compute, found["compute_cycles"], found["repeat"]),
            "layer_cycles": (max(compute, dram), found["cycles"], found["repeat"]),
            "layer_dram_read_bytes": (read, found["dram_read_bytes"], found["repeat"]),
            "layer_dram_write_bytes": (float(row["o_bytes"]), found["dram_write_bytes"], found["repeat"]),
        }
        for figure, (reference, total, repeat) in figures.items():
            yield _entry({**what, "figure": figure}, reference, total / repeat)


def _entry(what: Mapping[str, str], reference: float, ours: float) -> dict[str, object]:
    return {**what, "reference": reference, "model": ours, "error": ours / reference - 1 if reference else inf,
            "physical": float("nan")}  # fmt: skip


def _beside(entries: Sequence[dict[str, object]], physical: Result, ratios: Mapping[str, list[float]]) -> None:
    """Put the physical design's figures of a run beside the simulator's."""
    ours = totals(physical)
    for entry in entries:
        figure, reference = str(entry["figure"]), entry["reference"]
        if not entry["layer"] and isinstance(reference, (int, float)):
            entry["physical"] = ours[figure]
            ratios[figure].append(ours[figure] / reference)


def _ratios(ratios: Mapping[str, list[float]]) -> list[str]:
    """Return what the physical design costs of what the simulator says, in words."""
    if not ratios:
        return []
    shares = ", ".join(f"{figure} {median(found):.3g}" for figure, found in ratios.items())
    return [
        "physical mode (searched tiles, drain, dequantization, right attention; PE of Table X) over the simulator's "
        f"figures, medians: {shares}"
    ]


def _mismatches(frame: pd.DataFrame) -> list[str]:
    exact = ~frame["figure"].isin(ENERGIES)
    missed = frame[(exact & (frame["error"] != 0)) | (~exact & (frame["error"].abs() > ENERGY))]
    rows = missed.head(SHOWN).to_dict("records")
    return [
        f"mismatch: {row['run_id']} {row['layer'] or 'total'} {row['figure']}: {row['reference']:.10g}, "
        f"ours {row['model']:.10g}"
        for row in rows
    ]


def _bars(frame: pd.DataFrame, refused: int, lost: int) -> list[Bar]:
    bars = [Bar("rows that were refused", refused, 0)]
    for figure in frame["figure"].unique():
        error = frame.loc[frame["figure"] == figure, "error"]
        if figure in ENERGIES:
            bars.append(Bar(f"{figure}: largest error of {len(error)}", float(error.abs().max()), ENERGY))
        else:
            bars.append(Bar(f"{figure}: not equal, of {len(error)}", int((error != 0).sum()), 0))
    return [*bars, Bar("layers of no run in the table", lost, None)]


def _read(path: Path) -> list[Case]:
    rows = read_rows(path, (*INPUTS, *CYCLES, *ENERGIES))
    cases, problems = [], []
    for line, row in rows:
        try:
            cases.append(Case(row["run_id"], _run(row), {name: positive(row, name) for name in (*CYCLES, *ENERGIES)}))
        except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    return cases


def _run(row: Row) -> Run:
    """Return the run that a row is of."""
    if row["sim"] not in VERSIONS:
        raise UsageError(f"sim: unknown {row['sim']!r}; {did_you_mean(row['sim'], VERSIONS)}")
    cols, rows = array_edges(row["pe_array_dim"])
    costs = {key: [row.get(f"{name}_{what}") or "" for what in BUFFER] for key, name in (("w", "w"), ("a", "i"))}
    buffers = None
    if all(all(found) for found in costs.values()):
        buffers = {key: (float(found[0]), float(found[1]), float(found[2])) for key, found in costs.items()}
    a_bits = _whole(row["i_prec"])
    return Run(
        version=VERSIONS[row["sim"]],
        model=model_name(row["model_name"]),
        decode=_flag(row["is_generation"]),
        context=_whole(row["context_length"]),
        batch=_whole(row.get("batch_size") or "1"),
        w_bits=Fraction(row["w_prec"]),
        kv_bits=Fraction(row.get("kv_prec") or a_bits),
        a_bits=a_bits,
        serial=_flag(row["is_bit_serial"]),
        lanes=_whole(row["pe_dp_size"]),
        rows=rows,
        cols=cols,
        pe_pj=float(row["pe_energy_pJ_per_cycle"]),
        pe_um2=float(row["pe_area_um2"]),
        buffers=buffers,
    )


def array_edges(text: str) -> tuple[int, int]:
    """Return both edges of an array, written as ``32x24``.

    Raises
    ------
    UsageError
        If the text is of another form.
    """
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise UsageError(f"{text!r} is no array; valid: two whole numbers such as 32x24")
    return int(found[1]), int(found[2])


def _whole(text: str) -> int:
    value = Fraction(text)
    if value.denominator != 1 or value < 1:
        raise UsageError(f"{text!r} is no whole number of at least 1")
    return int(value)


def _flag(text: str) -> bool:
    found = ast.literal_eval(text) if text in ("True", "False") else None
    if found is None:
        raise UsageError(f"{text!r} is neither True nor False")
    return bool(found)


def _check_layer(row: Row) -> None:
    """Refuse a layer whose figures are no numbers, or no whole ones where they count."""
    for column in LAYER_INPUTS[2:]:
        not_negative(row, column)
        if not (column.endswith("_bytes") or row[column].isdecimal()):
            raise UsageError(f"{column} must be a whole number, not {row[column]}")


def _read_layers(path: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    problems = []
    for line, row in read_rows(path, LAYER_INPUTS):
        if row["layer"] not in LAYERS:
            text = f"layer: unknown {row['layer']!r}; {did_you_mean(row['layer'], LAYERS)}"
            problems.append(Problem(str(path), line, 0, "", text))
        try:
            _check_layer(row)
        except UsageError as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
        found[row["run_id"]].append(row)
    if problems:
        raise SpecError(problems)
    return dict(found)
