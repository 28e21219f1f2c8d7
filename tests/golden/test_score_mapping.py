"""Given mappings: our counters against AccelForge 1.0.467, ZigZag 3.9.1 and Timeloop 4cf6d4c on the same nests."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import score
from hwsim.spec.errors import SpecError

ROWS = Path(__file__).parents[1] / "data" / "mapping_counters.csv"


def changed(tmp_path: Path, **fields: str) -> Path:
    """Return a copy of the table whose first row has other values."""
    with ROWS.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[0].update(fields)
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_every_counter_energy_and_bound():
    found = score("mapping", ROWS)
    assert [bar.name for bar in found.bars if not bar.reached] == []
    assert found.notes == []
    ours = found.frame[found.frame["tool"] == "AccelForge"]
    assert len(ours) == 25 * (14 + 3)
    assert (ours.loc[ours["figure"].str.endswith("bits"), "error"] == 0).all()


def test_the_other_tools_count_as_their_rules_say():
    """Every counter that differs between the tools is told by R1 to R4, and ZigZag's energies to their last digit."""
    frame = score("mapping", ROWS).frame
    others = frame[(frame["tool"] != "AccelForge") & (frame["figure"] != "energy")]
    assert set(others["tool"]) == {"ZigZag", "ZigZag, words unrounded", "Timeloop"}
    assert set(others.loc[others["error"] != 0, "tool"]) == {"ZigZag, words unrounded"}
    # R3 shows where a tile is no whole number of words of 4,096 bits.
    rounded = others[others["error"] != 0]
    assert set(rounded["case"]) == {"ws128-g08", "ws128-g10"}
    assert set(rounded["figure"]) == {"SRAM.A.write differs"}
    energies = frame[frame["figure"] == "energy"]
    assert ((energies["reference"] - energies["model"]).abs() <= 0.051).all()  # printed to 0.1 pJ


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"SRAM_W_rd_bits": "134217729"}, "counters that differ"),
        ({"energy_pJ_from_counts": "1391260000"}, "energy"),
        ({"compute_cycles": "1048577"}, "compute cycles"),
        ({"cycles_lower_bound": "2099713.0"}, "cycles over the bound"),
    ],
)
def test_a_figure_that_is_off_misses_its_bar(tmp_path, capsys, fields, named):
    assert run_command(["score", "mapping", str(changed(tmp_path, **fields))]) == 4
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arch": "os15"}, "unknown hierarchy 'os15'.*did you mean 'os16'"),
        ({"reg_tensor": "Y"}, "reg_tensor"),
        ({"loops_inner_to_outer": "k16 k16 x2"}, "not 'x2'"),
        ({"loops_inner_to_outer": "k16 k16 k16 n16 n4 n2"}, "do not cover the GEMM: n: 2048 of 4096"),
        ({"loops_inside_sram_W": "6"}, "need .* bits; it has 2097152"),
    ],
)
def test_rows_that_cannot_be_run_are_named(tmp_path, fields, message):
    with pytest.raises(SpecError, match=message):
        score("mapping", changed(tmp_path, **fields))


def test_missing_columns_are_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("case,arch\n")
    with pytest.raises(SpecError, match="missing column M, N, K"):
        score("mapping", path)
