"""All three systolic dataflows against SCALE-Sim 3.0.0, figure by figure, exactly.

Rows of the tool's CALC and USER modes, GEMMs and convolutions; ``source`` says where from. Cycles are
the tool's compute cycles + 1 (it reports the index of the last cycle). Output-stationary rows are
compared with the paper's formula, since the tool leaves out the drain (its authors agree).
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import score
from hwsim.explore.score.scalesim import Case
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Extents
from hwsim.spec.errors import SpecError, UsageError

DATA = Path(__file__).parents[1] / "data"
TABLES = {"gemm": DATA / "scalesim_gemm.csv", "conv": DATA / "scalesim_conv.csv"}
ROWS = {name: list(csv.DictReader(path.open())) for name, path in TABLES.items()}
NAMES = {"ws": "weight_stationary", "os": "output_stationary", "is": "input_stationary"}
EXACT = {"folds", "mapping_eff_pct", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes", "compute_cycles",
         "compute_cycles, scalesim_os_cycles", "dram_ifmap_reads", "dram_filter_reads"}  # fmt: skip


def written(path, found):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return path


def totals(row):
    flow = get_dataflow(NAMES[row["dataflow"]])
    m, n, k = (int(row[d]) for d in "MNK")
    shape = ArrayShape(int(row["rows"]), int(row["cols"]), 1)
    return flow.totals(shape, Extents(m, m, 1), Extents(k, k, 1), Extents(n, n, 1))


@pytest.mark.parametrize("row", ROWS["gemm"], ids=[r["case"] for r in ROWS["gemm"]])
def test_closed_forms_of_a_whole_gemm(row):
    found, expected = totals(row), int(row["paper_formula_cycles"])
    assert found.compute_cycles == expected
    assert found.sram_a_read == int(row["sram_ifmap_reads"])
    assert found.sram_w_read == int(row["sram_filter_reads"])
    if row["dataflow"] != "os":
        assert expected == int(row["compute_cycles"]) + 1
        assert found.sram_psum_write == int(row["sram_ofmap_writes"])


@pytest.mark.parametrize("table", TABLES)
def test_every_figure_is_equal_through_the_whole_pipeline(table):
    found = score("scalesim", TABLES[table])
    assert found.frame["equal"].all()
    assert set(found.frame["figure"]) == EXACT | (set("MNK") if table == "conv" else set())
    assert {bar.limit for bar in found.bars} == {0.0}
    per_row = found.frame.groupby("case")["figure"].nunique()
    assert len(per_row) == len(ROWS[table])
    assert per_row.min() >= 6


def test_every_dataflow_mode_and_single_row_is_covered():
    for rows in ROWS.values():
        assert {r["dataflow"] for r in rows} == set(NAMES)
        assert {r["bw_mode"] for r in rows} == {"CALC", "USER"}
    assert len(ROWS["gemm"]) >= 120
    assert len(ROWS["conv"]) >= 30
    assert any(r["M"] == "1" for r in ROWS["gemm"])


@pytest.mark.parametrize(
    ("column", "figure"),
    [("compute_cycles", "compute_cycles"), ("folds", "folds"), ("sram_ifmap_reads", "sram_ifmap_reads"),
     ("sram_ofmap_writes", "sram_ofmap_writes"), ("dram_filter_reads", "dram_filter_reads"),
     ("mapping_eff_pct", "mapping_eff_pct")],
)  # fmt: skip
def test_one_figure_that_differs_by_little_is_missed_and_named(column, figure, tmp_path, capsys):
    row = next(r for r in ROWS["gemm"] if r["dataflow"] == "is" and Case.of(r).ideal and Case.of(r).compulsory("w"))
    wrong = {**row, column: str(float(row[column]) * (1 + 1e-9) if "." in row[column] else int(row[column]) + 1)}
    path = written(tmp_path / "wrong.csv", [row, {**wrong, "case": "wrong"}])
    assert run_command(["score", "scalesim", str(path)]) == 4
    shown = capsys.readouterr()
    assert f"{figure}: of 2, differing (wrong)" in shown.err
    assert "wrong" in shown.out


def test_without_the_switch_output_stationary_folds_have_their_drain(tmp_path):
    row = next(r for r in ROWS["gemm"] if r["dataflow"] == "os")
    case = Case.of(row)
    by_default, by_switch = case.simulated().spec.array, case.simulated(own_cycles=True).spec.array
    assert (by_default.scalesim_os_cycles, by_switch.scalesim_os_cycles) == (False, True)
    figures = {name: ours for name, _, ours in case.figures()}
    drains = figures["folds"] * int(row["rows"])
    assert figures["compute_cycles"] - figures["compute_cycles, scalesim_os_cycles"] == drains


def test_the_switch_is_refused_elsewhere(capsys):
    assert run_command(["run", "compat/scalesim_ws", "opt-125m", "--set", "array.scalesim_os_cycles=true"]) == 2
    assert "is about output_stationary" in capsys.readouterr().err


def test_distinct_inputs_of_a_convolution():
    sizes = dict.fromkeys(("rows", "cols", "ifmap_kB", "filter_kB"), "4")
    conv = dict(
        zip(("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filt", "stride"), "5612173", strict=True)
    )
    case = Case.of({**conv, **sizes, "dataflow": "ws", "bw_mode": "CALC"})
    # An output for every started stride: the last row and column of windows lie beyond 5 × 6 inputs.
    assert (case.gemm.m, case.gemm.k, case.gemm.n) == (3 * 3, 2, 7)
    touched = {(r * 3, c * 3 + t) for r in range(3) for c in range(3) for t in range(2)}
    assert case.inputs == 8 == len({(r, c) for r, c in touched if r < 5 and c < 6})


def test_half_of_a_buffer_is_counted_in_hundred_sets():
    base = next(r for r in ROWS["gemm"] if r["dataflow"] == "ws")
    # 1 KiB: sets of 10 words, flushed after 50 of them, 500 words; 49 % would be 501.
    for words, fits in ((499, True), (500, False), (502, False)):
        row = {**base, "M": "1", "K": str(words), "ifmap_kB": "1"}
        assert Case.of(row).compulsory("a") is fits


@pytest.mark.parametrize(
    ("change", "message"),
    [({"dataflow": "rs"}, "unknown dataflow 'rs'"), ({"M": "0"}, "M must be a positive integer"),
     ({"rows": "x"}, "rows must be a positive integer"), ({"folds": ""}, "could not convert")],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_named_by_line(change, message, tmp_path):
    path = written(tmp_path / "bad.csv", [ROWS["gemm"][0], {**ROWS["gemm"][1], **change}])
    with pytest.raises(SpecError, match=message) as error:
        score("scalesim", path)
    assert error.value.problems[0].line == 3


def test_tables_of_another_form_are_refused(tmp_path):
    some = [{k: v for k, v in ROWS["gemm"][0].items() if k != "folds"}]
    with pytest.raises(SpecError, match="lacks column folds"):
        score("scalesim", written(tmp_path / "other.csv", some))
    empty = written(tmp_path / "empty.csv", ROWS["gemm"][:1])
    empty.write_text(empty.read_text().splitlines()[0] + "\n")
    with pytest.raises(UsageError, match="no rows"):
        score("scalesim", empty)
