"""Given mappings: bits moved per level, operand and direction against AccelForge, energy, cycles.

A row names a shipped hierarchy, a GEMM, the temporal loops from the innermost outwards, and how many of
them lie inside the register level and inside the SRAM for each operand. Where the row says what ZigZag
and Timeloop counted, our rules for these tools are compared too, as statements without a bar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.explore.score._tables import compared, read_rows
from hwsim.simulate.cost import hierarchy_energy
from hwsim.simulate.nest.count import ACCELFORGE, TIMELOOP, ZIGZAG, Moved, Rules, count, lower_bound
from hwsim.simulate.nest.hierarchy import DIMS, READ, WRITE, Hierarchy, Widths
from hwsim.simulate.nest.hierarchy_file import load_hierarchy
from hwsim.simulate.nest.loops import Nest, check_nest, from_trips
from hwsim.spec.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
#: Our operands by the names of the table.
TENSORS = {"A": "a", "W": "w", "Z": "o"}
WAYS = {"rd": READ, "wr": WRITE}
SHAPE = ("case", "arch", "M", "N", "K", "bits_A", "bits_W", "bits_Z", "loops_inner_to_outer", "reg_tensor")
INSIDE = ("loops_inside_reg", "loops_inside_sram_A", "loops_inside_sram_W", "loops_inside_sram_Z")
#: Every counter of DRAM and SRAM.
COUNTERS = tuple(f"{level}_{x}_{way}_bits" for level in ("DRAM", "SRAM") for x in TENSORS for way in WAYS)
REGISTER = tuple(f"Reg_{way}_bits" for way in WAYS)
ENERGY, CYCLES, BOUND = "energy_pJ_from_counts", "compute_cycles", "cycles_lower_bound"
NEEDED = (*SHAPE, *INSIDE, *COUNTERS, *REGISTER, ENERGY, CYCLES, BOUND)
#: Largest relative error of the energy.
ENERGY_ERROR = 1e-6
#: ZigZag without the rounding to whole words.
BOTH = "ZigZag, words unrounded"
#: What the rules are called, by the tool of a row.
TOOLS = {
    BOTH: "ZigZag told by R1 (reads missing sums) and R2 (holds inputs)",
    "ZigZag": "ZigZag told by R1, R2 and R3 (whole words)",
    "Timeloop": "Timeloop told by R4 (free drain)",
}
_TIMELOOP = re.compile(r"SRAM_Z read differs \((\d+) words\)")


@dataclass(frozen=True)
class Case:
    """A given mapping on a hierarchy."""

    name: str
    hierarchy: Hierarchy
    nest: Nest
    widths: Widths
    register: str

    def moved(self, rules: Rules = ACCELFORGE) -> Moved:
        """Return what the mapping moves."""
        return count(self.hierarchy, self.nest, self.widths, rules)

    def counters(self, rules: Rules = ACCELFORGE) -> dict[str, int]:
        """Return every counter by its column, in bits."""
        moved = self.moved(rules)
        found = {}
        for name in ("DRAM", "SRAM"):
            level = self.hierarchy.level(name)
            for tensor, operand in TENSORS.items():
                for way, direction in WAYS.items():
                    found[f"{name}_{tensor}_{way}_bits"] = moved.at(level, operand, direction)
        for way, direction in WAYS.items():
            found[f"Reg_{way}_bits"] = moved.at(self.hierarchy.level("Reg"), self.register, direction)
        return found

    def energy_pj(self, rules: Rules = ACCELFORGE) -> float:
        """Return the energy of the mapping."""
        return sum(hierarchy_energy(self.hierarchy, self.moved(rules)).values())


@SCORERS.register("mapping")
def score(path: Path) -> Score:
    """Compare a table of given mappings with our counts.

    Raises
    ------
    SpecError
        If columns are missing, or a row is wrong.
    """
    import pandas as pd

    frame = pd.DataFrame(compared(path, read_rows(path, NEEDED), _compare))
    missed = frame[(frame["tool"] == "AccelForge") & (frame["error"].abs() > frame["allowed"])]
    notes = [f"{r.case}: {r.figure}: {r.model:.12g}, not {r.reference:.12g}" for r in missed.itertuples()]
    return Score(frame.drop(columns="allowed"), _bars(frame), notes)


def case_of(row: Row) -> Case:
    """Return the mapping of a row.

    Raises
    ------
    UsageError
        If it cannot be read or run.
    """
    hierarchy = load_hierarchy(row["arch"])
    tensor = row["reg_tensor"]
    if tensor not in TENSORS:
        raise UsageError(f"reg_tensor: {did_you_mean(tensor, TENSORS)}, not {tensor!r}")
    trips = [_trip(text) for text in row["loops_inner_to_outer"].split()]
    sram, reg = hierarchy.level("SRAM"), hierarchy.level("Reg")
    inside = {(sram, x): int(row[f"loops_inside_sram_{t}"]) for t, x in TENSORS.items()}
    inside[reg, TENSORS[tensor]] = int(row["loops_inside_reg"])
    nest = from_trips(
        tuple(int(row[dim.upper()]) for dim in DIMS),  # type: ignore[arg-type]
        trips,
        inside,
        [(axis.name, axis.dims[0], axis.size) for axis in hierarchy.axes],
        int(row["loops_inside_reg"]),
    )
    widths = Widths(int(row["bits_A"]), int(row["bits_W"]), int(row["bits_Z"]), int(row["bits_Z"]))
    check_nest(hierarchy, nest, widths)
    return Case(row["case"], hierarchy, nest, widths, TENSORS[tensor])


def _trip(text: str) -> tuple[str, int]:
    if text[:1] not in DIMS or not text[1:].isdigit() or int(text[1:]) < 1:
        raise UsageError(f"loops_inner_to_outer: a loop is m, k or n and its trips, such as k16, not {text!r}")
    return text[0], int(text[1:])


def _compare(row: Row) -> Iterator[dict[str, object]]:
    case = case_of(row)
    moved = case.moved()
    ours: dict[str, float] = {**case.counters(), CYCLES: moved.compute_cycles, ENERGY: case.energy_pj()}
    for figure, value in ours.items():
        allowed = ENERGY_ERROR if figure == ENERGY else 0.0
        yield _entry(case, "AccelForge", figure, float(row[figure]), value, allowed)
    cycles = ceil(lower_bound(case.hierarchy, moved).cycles)
    yield _entry(case, "AccelForge", BOUND, float(row[BOUND]), cycles, inf)
    yield from _zigzag(row, case)
    yield from _timeloop(row, case)


def _zigzag(row: Row, case: Case) -> Iterator[dict[str, object]]:
    """Whether our rules of ZigZag tell the counters that differ, one by one, and its energy."""
    if row.get("energy_pJ_zigzag"):
        yield _entry(case, "ZigZag", "energy", float(row["energy_pJ_zigzag"]), case.energy_pj(ZIGZAG), ENERGY_ERROR)
    if row.get("counters_differing") is None:
        return
    said = {text.strip() for text in row["counters_differing"].split(";") if text.strip()}
    plain, theirs, whole = case.counters(), case.counters(ZIGZAG), case.counters(replace(ZIGZAG, whole_words=False))
    reg = {"a": "A", "w": "W", "o": "Z"}[case.register]
    for column in plain:
        parts = column.split("_")
        tensor = reg if parts[0] == "Reg" else parts[1]
        name = f"{parts[0]}.{tensor}.{'read' if parts[-2] == 'rd' else 'write'}"
        for tool, found in ((BOTH, whole), ("ZigZag", theirs)):
            yield _entry(case, tool, f"{name} differs", float(name in said), float(plain[column] != found[column]), 0)


def _timeloop(row: Row, case: Case) -> Iterator[dict[str, object]]:
    """The counters of Timeloop where it could express the case: it names the one that differs."""
    match = _TIMELOOP.search(row.get("timeloop_checked") or "")
    if match is None:
        return
    ours = case.counters(TIMELOOP)
    words = ours["SRAM_Z_rd_bits"] / case.widths.psum
    yield _entry(case, "Timeloop", "SRAM_Z_rd words", float(match[1]), words, 0)
    for column in COUNTERS:
        if column not in ("SRAM_Z_rd_bits", "DRAM_Z_rd_bits", "DRAM_A_wr_bits", "DRAM_W_wr_bits"):
            yield _entry(case, "Timeloop", column, float(row[column]), ours[column], 0)


def _entry(case: Case, tool: str, figure: str, reference: float, model: float, allowed: float) -> dict[str, object]:
    error = 0.0 if model == reference else model / reference - 1 if reference else inf
    return {"case": case.name, "tool": tool, "figure": figure, "reference": reference, "model": model, "error": error,
            "allowed": allowed}  # fmt: skip


def _bars(frame: pd.DataFrame) -> list[Bar]:
    ours = frame[frame["tool"] == "AccelForge"]
    counters = ours[ours["figure"].isin([*COUNTERS, *REGISTER])]
    bound = ours[ours["figure"] == BOUND]
    bars = [
        Bar(f"counters that differ from AccelForge's, of {len(counters)}", float((counters["error"] != 0).sum()), 0),
        Bar("energy: largest relative error", _largest(ours, ENERGY), ENERGY_ERROR),
        Bar(
            f"compute cycles that differ, of {len(bound)}",
            float((ours.loc[ours["figure"] == CYCLES, "error"] != 0).sum()),
            0,
        ),
        Bar("cycles over the bound of the table: least", float((bound["model"] / bound["reference"]).min()), 1, True),
    ]
    for tool in (BOTH, "ZigZag", "Timeloop"):
        theirs = frame[(frame["tool"] == tool) & (frame["figure"] != "energy")]
        if len(theirs):
            same = float((theirs["error"] == 0).sum())
            bars.append(Bar(f"counters of {TOOLS[tool]}, of {len(theirs)}", same, None))
    if (frame["figure"] == "energy").any():
        bars.append(Bar("ZigZag: energy under its rules: largest relative error", _largest(frame, "energy"), None))
    return bars


def _largest(frame: pd.DataFrame, figure: str) -> float:
    return float(frame.loc[frame["figure"] == figure, "error"].abs().max())
