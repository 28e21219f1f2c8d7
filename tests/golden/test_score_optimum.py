"""The search against the best that AccelForge 1.0.467 and ZigZag 3.9.1 found, and against their mappings."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import score
from hwsim.explore.score.mapping import case_of
from hwsim.simulate.nest.count import lower_bound
from hwsim.simulate.nest.search import search
from hwsim.spec.errors import SpecError

DATA = Path(__file__).parents[1] / "data"
ROWS = DATA / "mapping_optimum.csv"
with (DATA / "mapping_counters.csv").open(newline="") as stream:
    MAPPINGS = list(csv.DictReader(stream))


def test_no_case_is_above_the_best_known():
    found = score("optimum", ROWS)
    assert [bar.name for bar in found.bars if not bar.reached] == []
    assert found.notes == []
    assert found.frame["complete"].all()
    energy = found.frame[found.frame["figure"] == "energy_pj"].set_index("case")["error"]
    assert len(energy) == 25
    # Uneven tiles: neither tool cut a loop into pieces that do not divide it.
    assert set(energy.index[energy < -0.01]) == {
        "ws32-g03",
        "ws32-g04",
        "edge8-g02",
        "edge8-g03",
        "edge8-g05",
        "edge8-g09",
    }


@pytest.mark.parametrize("row", MAPPINGS, ids=[row["case"] for row in MAPPINGS])
def test_no_given_mapping_is_better(row):
    """ZigZag's mapping of each case under our count is never below what the search finds."""
    case = case_of(row)
    dims = (case.nest.m, case.nest.k, case.nest.n)
    energy = case.energy_pj()
    cycles = float(lower_bound(case.hierarchy, case.moved()).cycles)
    found = {goal: search(case.hierarchy, dims, case.widths, goal) for goal in ("energy", "latency", "edp")}
    assert found["energy"].energy_pj <= energy * (1 + 1e-12)
    assert found["latency"].cycles <= cycles
    assert found["edp"].energy_pj * found["edp"].cycles <= energy * cycles * (1 + 1e-12)


def test_a_better_reference_misses_the_bar(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("case,M,N,K,best_known_pJ_accelforge_accounting\nos16-g10,1,512,128,5607000\n")
    assert run_command(["score", "optimum", str(path)]) == 4
    printed = capsys.readouterr().err
    assert "energy above the best known" in printed
    assert "os16-g10: 5607168 pJ, above the best known 5607000" in printed


@pytest.mark.parametrize(
    ("case", "m", "message"), [("os17-g01", "1", "unknown hierarchy 'os17'"), ("os16", "x", "'x'")]
)
def test_rows_that_cannot_be_run_are_named(tmp_path, case, m, message):
    path = tmp_path / "rows.csv"
    path.write_text(f"case,M,N,K,best_known_pJ_accelforge_accounting\n{case},{m},512,128,5607000\n")
    with pytest.raises(SpecError, match=f"rows.csv:2: .*{message}"):
        score("optimum", path)
