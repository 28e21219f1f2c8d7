"""Best mappings: the energy that our search finds against the best that AccelForge and ZigZag found.

A row names a case, whose first part is a shipped hierarchy, and a GEMM. The reference is the best energy that
either tool found, under AccelForge's way of counting; ours is under the same, on the same hierarchy.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._tables import compared, read_rows
from hwsim.explore.score.mapping import ENERGY_ERROR
from hwsim.simulate.nest.grid import Objective
from hwsim.simulate.nest.hierarchy import DIMS, Widths
from hwsim.simulate.nest.hierarchy_file import load_hierarchy
from hwsim.simulate.nest.search import search

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
BEST = "best_known_pJ_accelforge_accounting"
NEEDED = ("case", "M", "N", "K", BEST)
OBJECTIVES: tuple[Objective, ...] = ("energy", "latency", "edp")
#: Of both tools' tables: operands of 8 bits, sums and results of 32.
WIDTHS = Widths(8, 8, 32, 32)


@SCORERS.register("optimum")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare a table of best known energies with our search.

    Raises
    ------
    SpecError
        If a column is missing, or a row is wrong.
    """
    import pandas as pd

    frame = pd.DataFrame(compared(path, track(read_rows(path, NEEDED)), _compare))
    worse = frame[(frame["figure"] == "energy_pj") & (frame["error"] > ENERGY_ERROR)]
    notes = [f"{r.case}: {r.model:.12g} pJ, above the best known {r.reference:.12g}" for r in worse.itertuples()]
    partly = sorted(set(frame.loc[~frame["complete"], "case"]))
    if partly:
        notes.append(f"{', '.join(partly)}: tiles of some loop were cut evenly only")
    return Score(frame, _bars(frame), notes)


def _compare(row: Row) -> list[dict[str, object]]:
    """Return our best energy beside the best known, and cycles and energy-delay product beside AccelForge's."""
    hierarchy = load_hierarchy(row["case"].split("-")[0])
    dims = tuple(int(row[dim.upper()]) for dim in DIMS)
    by = {objective: search(hierarchy, dims, WIDTHS, objective) for objective in OBJECTIVES}  # type: ignore[arg-type]
    cycles = {objective: ceil(found.cycles) for objective, found in by.items()}
    rows = [("energy_pj", float(row[BEST]), by["energy"].energy_pj)]
    full = [row.get(f"accelforge_full_array_{unit}") for unit in ("pJ", "cycles")]
    if all(full):
        energy, least = (float(text or 0) for text in full)
        rows.append(("cycles", least, cycles["latency"]))
        rows.append(("edp_pj_cycles", energy * least, by["edp"].energy_pj * cycles["edp"]))
    complete = all(found.complete for found in by.values())
    return [
        {"case": row["case"], "figure": figure, "reference": reference, "model": model,
         "error": model / reference - 1 if reference else inf, "mappings": by["energy"].mappings, "complete": complete}
        for figure, reference, model in rows
    ]  # fmt: skip


def _bars(frame: pd.DataFrame) -> list[Bar]:
    energy = frame.loc[frame["figure"] == "energy_pj", "error"]
    bars = [
        Bar("energy above the best known: largest", float(energy.max()), ENERGY_ERROR),
        Bar(f"energy below the best known, cases of {len(energy)}", float((energy < -ENERGY_ERROR).sum()), None),
        Bar("energy below the best known: largest", float(-energy.min()), None),
    ]
    for figure in ("cycles", "edp_pj_cycles"):
        errors = frame.loc[frame["figure"] == figure, "error"]
        if len(errors):
            name = f"{figure} above those of AccelForge's least energy: largest"
            bars.append(Bar(name, float(errors.max()), None))
    return bars
