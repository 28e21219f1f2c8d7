"""Systolic arrays: our pipeline against rows of SCALE-Sim 3.0.0, GEMMs and convolutions, figure by figure.

Each row is an architecture (``arch_configs/compat/scalesim_*.yaml`` with the row's array and buffers) and
a GEMM, mapped and evaluated as any other; the policy ``scalesim`` only orders the folds. Every figure
must be equal. What the tool counts in its own way is undone here and nowhere else:

* its cycles are the index of the last one, one short per layer;
* its output-stationary folds leave out the drain (its authors agree): the row's ``paper_formula_cycles``
  are what we compare with, its own cycles with ``array.scalesim_os_cycles``;
* it adds rows and columns of the array to the writes of an output-stationary fold;
* convolutions have an output for every started stride, whose inputs beyond the edge are read from SRAM
  and not from DRAM, where every input counts once, however many windows read it.

DRAM reads are compared in CALC mode, for operands below 49 % of their SRAM: beyond, the tool flushes
half-full buffers at once. Its stalls and DRAM counts in USER mode are known to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._tables import compared, read_form
from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.schedule import Schedule
from hwsim.spec.data import example_path
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload import Gemm, Trace
from hwsim.workload.scalesim import ScaleSimConv, scalesim_gemm

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
Figures = Iterator[tuple[str, float, float]]

DATAFLOWS = ("ws", "os", "is")
#: What every row must have.
COLUMNS = (
    "rows", "cols", "dataflow", "ifmap_kB", "filter_kB", "ofmap_kB", "bw_mode", "folds", "compute_cycles",
    "mapping_eff_pct", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes", "dram_ifmap_reads",
    "dram_filter_reads", "paper_formula_cycles",
)  # fmt: skip
GEMM = ("M", "N", "K")
CONV = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filt", "stride")
#: The tool's percentages are means over folds in floating point.
ROUNDING = 1e-12
NOTES = (
    "not compared: stalls and DRAM counts in USER mode, DRAM writes of outputs, compute utilization: SCALE-Sim 3.0.0 "
    "counts stalls twice, rotates its buffers where nothing has to be fetched, never reads partial sums back",
)
#: A buffer narrower than its port cannot be built; SCALE-Sim has neither area nor energy, and none is compared.
UNPRICED = {
    "source": "stand-ins, none of them is compared: SCALE-Sim has no area, energy or time of SRAM",
    "read_energy": "1 pJ", "write_energy": "1 pJ", "leakage": "1 mW", "area": "1 mm2", "access_time": "1 ns",
    "cycle_time": "1 ns",
}  # fmt: skip


@SCORERS.register("scalesim")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare a table of GEMMs or convolutions with our pipeline; every figure must be equal.

    Raises
    ------
    SpecError
        If the header is of neither form, or a row cannot be read.
    UsageError
        If the table has no rows.
    """
    import pandas as pd

    skipped = 0

    def entries(row: Mapping[str, str]) -> list[dict[str, object]]:
        nonlocal skipped
        case = Case.of(row)
        what = {"case": row.get("case", ""), "run": str(case)}
        found = [_entry(what, *figure) for figure in case.figures()]
        skipped += sum(not case.compulsory(operand) for operand in ("a", "w")) if case.ideal else 0
        return found

    _, rows = read_form(path, {"GEMMs": (*GEMM, *COLUMNS), "convolutions": (*CONV, *COLUMNS)})
    found = compared(path, track(rows), entries)
    notes = [f"DRAM reads of {skipped} operand(s) of 49 % of their SRAM or more: not compared"] if skipped else []
    frame = pd.DataFrame(found)
    return Score(frame, _bars(frame), [*notes, *NOTES])


@dataclass(frozen=True)
class Case:
    """One row: a GEMM on an array; ``inputs`` are the distinct elements of A, fewer than M · K in convolutions."""

    row: Row
    gemm: Gemm
    inputs: int

    @classmethod
    def of(cls, row: Row) -> Case:
        """Read a row of either form.

        Raises
        ------
        UsageError
            If a size is no positive integer, or the dataflow unknown.
        """
        if row["dataflow"] not in DATAFLOWS:
            raise UsageError(f"unknown dataflow {row['dataflow']!r}; {did_you_mean(row['dataflow'], DATAFLOWS)}")
        if CONV[0] in row:
            conv = ScaleSimConv(*(_whole(row, name) for name in CONV), started_strides=True)
            return cls(row, conv.gemm("layer"), conv.inputs)
        gemm = scalesim_gemm("layer", [_whole(row, name) for name in GEMM])
        return cls(row, gemm, gemm.a_elements)

    def __str__(self) -> str:
        row, g = self.row, self.gemm
        return f"{g.m}×{g.n}×{g.k} {row['dataflow']} on {row['rows']}×{row['cols']}, {row['bw_mode']}"

    @property
    def ideal(self) -> bool:
        """Whether the bandwidth is unbounded: CALC mode."""
        return self.row["bw_mode"] == "CALC"

    def compulsory(self, operand: str) -> bool:
        """Whether the tool loads every element of an operand once: half a buffer, in hundred sets, is not reached."""
        words, kilobytes = {
            "a": (self.inputs, self.row["ifmap_kB"]),
            "w": (self.gemm.k * self.gemm.n, self.row["filter_kB"]),
        }[operand]
        capacity = int(kilobytes) * 1024
        return words * 100 < capacity * 49 and words < 50 * (capacity // 100)

    def simulated(self, own_cycles: bool = False) -> Simulated:
        """Return the row's machine; ``own_cycles`` with output-stationary cycles as the tool counts them."""
        row = self.row
        settings: dict[str, Any] = {f"array.{edge}": _whole(row, edge) for edge in ("rows", "cols")}
        for buffer, column in (("weights", "filter_kB"), ("activations", "ifmap_kB"), ("outputs", "ofmap_kB")):
            settings[f"memories.{buffer}"] = {"size": f"{_whole(row, column)} KiB", "figures": UNPRICED}
        if own_cycles:
            settings["array.scalesim_os_cycles"] = True
        return open_arch(example_path("arch_configs", f"compat/scalesim_{row['dataflow']}"), settings)

    def figures(self) -> Figures:
        """Yield every figure: its name, the tool's, ours."""
        row, gemm = self.row, self.gemm
        machine = self.simulated()
        schedule, cycles = _run(machine, gemm)
        rows, cols = machine.accelerator.rows, machine.accelerator.cols
        folds = _folds(schedule)
        output_stationary = row["dataflow"] == "os"
        if CONV[0] in row:
            yield from (
                (name, float(row[name]), size) for name, size in zip(GEMM, (gemm.m, gemm.n, gemm.k), strict=True)
            )
        yield "folds", float(row["folds"]), folds
        held = {"ws": gemm.k * gemm.n, "os": gemm.m * gemm.n, "is": gemm.m * gemm.k}[row["dataflow"]]
        yield "mapping_eff_pct", float(row["mapping_eff_pct"]), 100 * held / (folds * rows * cols)
        traffic = schedule.traffic
        yield "sram_ifmap_reads", float(row["sram_ifmap_reads"]), traffic.sram_a_read
        yield "sram_filter_reads", float(row["sram_filter_reads"]), traffic.sram_w_read
        counted_on_top = folds * (rows + cols) if output_stationary else 0
        yield "sram_ofmap_writes", float(row["sram_ofmap_writes"]), traffic.sram_psum_write + counted_on_top
        own = float(row["compute_cycles"]) + 1
        yield "compute_cycles", float(row["paper_formula_cycles"]) if output_stationary else own, cycles
        if output_stationary:
            yield "compute_cycles, scalesim_os_cycles", own, _run(self.simulated(own_cycles=True), gemm)[1]
        if self.ideal and self.compulsory("a"):
            # Every input of a convolution counts once, and is copied into its windows on chip.
            read = self.inputs if CONV[0] in row else traffic.dram_a
            yield "dram_ifmap_reads", float(row["dram_ifmap_reads"]), read
        if self.ideal and self.compulsory("w"):
            yield "dram_filter_reads", float(row["dram_filter_reads"]), traffic.dram_w


def _run(machine: Simulated, gemm: Gemm) -> tuple[Schedule, int]:
    """Return the schedule of ``gemm`` and its compute cycles in the layer table."""
    layer = evaluate(machine, Trace("scalesim", (gemm,))).layer_rows[0]
    w, a, o = (parse_format(layer[name]) for name in ("w_format", "a_format", "o_format"))
    return map_gemm(gemm, machine.machine(w, a, o)), layer["compute_cycles"]


def _folds(schedule: Schedule) -> int:
    gemm, tiling = schedule.gemm, schedule.tiling
    trips = (-(-size // tiling.tile(loop)) for loop, size in (("m", gemm.m), ("k", gemm.k), ("n", gemm.n)))
    return next(trips) * next(trips) * next(trips)


def _whole(row: Row, column: str) -> int:
    value = row[column]
    if not value.isdecimal() or int(value) < 1:
        raise UsageError(f"{column} must be a positive integer, not {value!r}")
    return int(value)


def _entry(what: Mapping[str, str], figure: str, reference: float, ours: float) -> dict[str, object]:
    same = ours == reference or (figure.endswith("_pct") and abs(ours - reference) <= ROUNDING * reference)
    error = 0.0 if same else ours / reference - 1 if reference else float("inf")
    return {**what, "figure": figure, "reference": reference, "model": ours, "error": error, "equal": same}


def _bars(frame: pd.DataFrame) -> list[Bar]:
    """Return, for every figure, the rows that differ; none may."""
    bars = []
    for figure, rows in frame.groupby("figure", sort=False):
        differ = rows.loc[~rows["equal"], "case"]
        named = f" ({', '.join(differ.head(5))})" if len(differ) else ""
        bars.append(Bar(f"{figure}: of {len(rows)}, differing{named}", float(len(differ)), 0.0))
    return bars
