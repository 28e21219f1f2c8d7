"""BitMoD's published figures (arXiv 2411.11745, V-C, and the notebooks of its repository).

Three models answer. *compat* counts as the authors' simulator: its figures are the paper's up to their
digits. *physical* is the same designs with right attention, metadata of every group, PE power of Table X with the
encoder, drains, dequantizers, wires and leakage; what DRAM moves still follows the paper's rule of operands that
are resident or fetched again. *searched* is physical with tiles of our mapper, which fetches much less again: it
says what is left of the gains then.

A ratio is a mean of per-model ratios, as the authors' "Geo Mean" bars are; generation is a prefill and 20
decode steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Literal, NamedTuple

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.explore.score._bitmod_runs import paper_run
from hwsim.explore.score._tables import positive, read_rows
from hwsim.explore.score.bitmod import ENERGIES, totals
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.policies.bitmod_sim import REFETCH
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean

Mode = Literal["compat", "physical", "searched"]
MODES: tuple[Mode, ...] = ("compat", "physical", "searched")
Row = Mapping[str, str]
COLUMNS = ("work", "metric", "setting", "case", "value", "unit")
#: Our names of the paper's models.
MODELS = {
    "OPT-1.3B": "opt-1.3b", "Phi-2": "phi-2", "Yi-6B": "yi-6b", "Llama-2-7B": "llama-2-7b",
    "Llama-2-13B": "llama-2-13b", "Llama-3-8B": "llama-3-8b",
}  # fmt: skip
#: Decode steps of a generation (the repository's notebook).
STEPS = 20
#: The designs of headline ratios: the faster one, and what it is compared with.
PAIRS = {
    "speedup BitMoD-lossless (INT6) vs FP16": ("bitmod_lossless", "fp16"),
    "speedup BitMoD-lossy vs ANT": ("bitmod_lossy", "ant"),
    "speedup BitMoD-lossy vs OliVe": ("bitmod_lossy", "olive"),
    "speedup vs ANT": ("bitmod_lossy", "ant"),
    "speedup vs OliVe": ("bitmod_lossy", "olive"),
    "energy efficiency lossless vs FP16": ("bitmod_lossless", "fp16"),
    "energy efficiency lossy vs ANT": ("bitmod_lossy", "ant"),
    "energy efficiency lossy vs OliVe": ("bitmod_lossy", "olive"),
}
#: Tasks by the setting of a headline ratio.
TASKS = {"disc": ("disc",), "gen": ("gen",), "all": ("disc", "gen")}
#: Largest errors of headline ratios beyond the rounding of the printed figure: compat, and of physical the whole.
LIMITS = {"speed": (0.001, 0.06), "energy": (0.01, 0.08)}


#: Other figures by the first word of their metric: what is counted, and from where on it counts.
EXACT = {
    "cycles": ("not equal", 0.5),
    "on-chip": ("1 uJ apart or more", 1.0),
    "total": ("1 uJ apart or more", 1.0),
    "speedup": ("a last digit apart or more", 0.0001),
}


class Cost(NamedTuple):
    """What a run costs: cycles, energy on chip and in all in pJ."""

    cycles: int
    onchip_pj: float
    total_pj: float


class Answer(NamedTuple):
    """A published figure and ours in every mode."""

    row: Row
    reference: float
    compat: float
    physical: float
    searched: float

    @property
    def kind(self) -> str:
        """What is stated: ``headline``, or the first word of the metric."""
        return "headline" if self.row["metric"] in PAIRS else self.row["metric"].split(" ")[0]

    @property
    def name(self) -> str:
        """Metric and setting."""
        return f"{self.row['metric']}, {self.row['setting']}"

    @property
    def entry(self) -> dict[str, object]:
        """The row of the table of scores."""
        what = {key: self.row[key] for key in ("metric", "setting", "case", "unit")}
        ours = {"model": self.compat, "error": self.compat / self.reference - 1}
        beside = {"physical": self.physical, "searched": self.searched}
        return {"kind": self.kind, **what, "reference": self.reference, **ours, **beside}

    @property
    def beyond_rounding(self) -> float:
        """Relative error of compat, less half a unit of the last printed digit."""
        half = 0.5 * 10.0 ** -len(self.row["value"].partition(".")[2])
        return max(abs(self.compat - self.reference) - half, 0.0) / self.reference


@SCORERS.register("bitmod-paper")
def score(path: Path) -> Score:
    """Compare BitMoD's rows of a table of published figures; rows of other works are counted in the notes.

    Raises
    ------
    SpecError
        If a column is missing or a value is no number.
    UsageError
        If no row is BitMoD's.
    """
    import pandas as pd

    rows, others = _read(path)
    if not rows:
        raise UsageError(f"{path}: no row of BitMoD that is known here; {others} other row(s)")
    found = [_answer(row) for row in rows]
    notes = [f"{others} row(s) of other works or metrics are not compared", *_told(found)]
    return Score(pd.DataFrame([one.entry for one in found]), _bars(found), notes)


def _answer(row: Row) -> Answer:
    figure = _figure(row)
    return Answer(row, float(row["value"]), *(figure(mode) for mode in MODES))


def _figure(row: Row) -> Callable[[Mode], float]:
    """Return the figure that a row states, as a function of the model that answers."""
    metric, setting, case = row["metric"], row["setting"], row["case"]
    if metric in PAIRS:
        if setting not in TASKS:
            raise UsageError(f"setting: unknown {setting!r}; {did_you_mean(setting, TASKS)}")
        kinds = TASKS[setting]
        by = _cycles if metric.startswith("speedup") else _total
        return lambda mode: mean(
            _task(PAIRS[metric][1], k, m, mode, by) / _task(PAIRS[metric][0], k, m, mode, by)
            for k in kinds
            for m in MODELS.values()
        )
    words, model = metric.split(" "), MODELS[case]
    task = "gen" if setting.startswith("gen =") else "disc" if setting == "disc" else ""
    if bool(task) != (len(words) == 4 and words[0] == "speedup"):
        raise UsageError(
            f"{metric!r} of {setting!r} is not known; valid: speedup X vs Y of disc or gen = ..., cycles, on-chip or "
            "total energies of disc (...) or gen (...)"
        )
    if task:  # speedup X vs fp16
        return lambda mode: (
            _task(words[3], task, model, mode, _cycles) / _task(words[1], task, model, mode, _cycles)
        )  # fmt: skip
    phase = "prefill" if setting.startswith("disc") else "decode"
    design = words[-1]
    if words[0] == "cycles":
        return lambda mode: _cost(design, phase, model, mode).cycles
    onchip = metric.startswith("on-chip")
    return lambda mode: (
        1e-6 * (_cost(design, phase, model, mode).onchip_pj if onchip else _cost(design, phase, model, mode).total_pj)
    )


def _cycles(cost: Cost) -> float:
    return cost.cycles


def _total(cost: Cost) -> float:
    return cost.total_pj


def _task(design: str, kind: str, model: str, mode: Mode, by: Callable[[Cost], float]) -> float:
    """Return what a discriminative (a prefill) or generative task takes."""
    prefill = by(_cost(design, "prefill", model, mode))
    return prefill if kind == "disc" else prefill + STEPS * by(_cost(design, "decode", model, mode))


@cache
def _cost(design: str, phase: str, model: str, mode: Mode) -> Cost:
    if mode == "compat":
        run = paper_run(design, phase, model, version=1)
        found = totals(evaluate(run.compat(), run.trace(), "roofline"))
        total = sum(found[name] for name in ENERGIES)
        return Cost(int(found["cycles_total"]), total - found["E_dram_pJ"], total)
    run = paper_run(design, phase, model, version=2)
    machine, trace = run.physical(REFETCH if mode == "physical" else "search")
    result = evaluate(machine, trace, "roofline" if mode == "physical" else "fast")
    found, total = totals(result), sum(row["energy_pj"] for row in result.layer_rows)
    return Cost(int(found["cycles_total"]), total - found["E_dram_pJ"], total)


def _bars(found: Sequence[Answer]) -> list[Bar]:
    bars = []
    for kind, (what, room) in EXACT.items():
        rows = [one for one in found if one.kind == kind]
        if rows:
            apart = sum(abs(one.compat - one.reference) >= room for one in rows)
            bars.append(Bar(f"{kind}, compat: {what}, of {len(rows)}", apart, 0))
    for one in found:
        if one.kind == "headline":
            compat, physical = LIMITS["speed" if one.name.startswith("speedup") else "energy"]
            bars.append(Bar(f"{one.name}: compat, beyond rounding", one.beyond_rounding, compat))
            bars.append(Bar(f"{one.name}: physical", abs(one.physical / one.reference - 1), physical))
            bars.append(Bar(f"{one.name}: searched", abs(one.searched / one.reference - 1), None))
    return bars


def _told(found: Sequence[Answer]) -> Iterator[str]:
    """Yield the headline ratios of all three models."""
    for one in found:
        if one.kind == "headline":
            yield (
                f"{one.name}: paper {one.reference:g}, compat {one.compat:.3f}, physical {one.physical:.3f}, "
                f"searched {one.searched:.3f}"
            )
    yield (
        "searched tiles move less over DRAM than the paper's rule (resident, or fetched again per 512 KiB of the other "
        "operand), FP16 in a prefill about half: then prefills are bound by compute, and less energy is left to save"
    )


def _read(path: Path) -> tuple[list[Row], int]:
    rows: list[Row] = []
    others, problems = 0, []
    for line, row in read_rows(path, COLUMNS):
        known = row["metric"] in PAIRS or (row["case"] in MODELS and row["metric"].split(" ")[0] in EXACT)
        if row["work"] != "BitMoD" or not known:
            others += 1
            continue
        try:
            positive(row, "value")
            _figure(row)
        except UsageError as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
        rows.append(row)
    if problems:
        raise SpecError(problems)
    return rows, others
