"""SRAM and register files against CACTI 7's own rows, and what is between them against rows left out."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest

from hwsim.hardware.memory import build_register_file, build_sram
from hwsim.hardware.memory.grid import shipped_grid
from hwsim.hardware.memory.nodes import leakage_corrections
from hwsim.hardware.memory.sram import Request, sram_of
from hwsim.hardware.memory.table import COLUMNS
from hwsim.spec.data import read_csv_rows

DATA = Path(__file__).parents[1] / "data"
SRAM = list(csv.DictReader((DATA / "sram_cacti7.csv").open()))
FILES = list(csv.DictReader((DATA / "rf_cacti7.csv").open()))
BANKED = [row for row in SRAM if row["banks"] != "1"]
SINGLE = [row for row in SRAM if row["banks"] == "1"]
ONE_BANK = shipped_grid().without(lambda key: key[-1] > 1)
READ, WRITE, LEAKAGE, AREA, ACCESS, CYCLE = range(6)

# CACTI 7, 64-bit words, 1 bank, hp, pJ: 8 KiB and 1 MiB, printed to three digits
READS = {90: (15.90, 259.6), 65: (8.81, 125.4), 45: (5.29, 67.7), 32: (2.91, 38.4), 28: (2.30, 31.7), 22: (1.50, 18.4)}
# The same of 32 KiB, hp and lstp: cells that the shipped table lacks
UNSEEN = {90: (43.31, 53.74), 65: (24.91, 30.10), 45: (14.92, 17.04), 32: (8.51, 8.26), 28: (5.38, 6.17), 22: (3.50, 3.79)}  # fmt: skip


def name(row):
    return "-".join(v for k, v in row.items() if k not in (*COLUMNS, "source"))


def expected(row):
    """CACTI's figures, its misprinted leakage corrected as ours is."""
    figures = [float(row[column]) for column in COLUMNS]
    figures[LEAKAGE] *= leakage_corrections().get((int(row["tech_nm"]), device(row)), (1.0, ""))[0]
    return figures


def device(row):
    return row["device"].removeprefix("itrs-")


def sram(row):
    return build_sram(*(int(row[k]) for k in ("size_bytes", "word_bits", "banks", "tech_nm")), device(row))


def by_factors(row):
    """The same from the rows of one bank alone."""
    shape = (int(row[k]) for k in ("size_bytes", "word_bits", "banks", "tech_nm"))
    return sram_of(ONE_BANK, Request(*shape, device(row)))


def deviations(row, model=sram):
    return [ours.value / theirs - 1 for ours, theirs in zip(model(row).rows(), expected(row), strict=True)]


def test_the_rows_are_spread():
    assert len(SRAM) >= 60
    assert {row["banks"] for row in SRAM} == {"1", "2", "4", "8"}
    assert {row["tech_nm"] for row in SRAM} == {"22", "28", "32", "45", "65", "90"}
    assert all(row["source"] for row in SRAM + FILES)


@pytest.mark.parametrize("row", SRAM, ids=name)
def test_rows_are_themselves_but_for_what_the_order_moves(row):
    found, moved = sram(row), 0
    for ours, theirs in zip(found.rows(), expected(row), strict=True):
        if "moved least" in ours.source:
            moved += 1
            # the most that any row moves: 2.4 times in cycle time, 1.5 times else
            assert (0.4 if ours.quantity == "cycle_ns" else 0.66) < ours.value / theirs < 2.4
            assert ours.value != pytest.approx(theirs, rel=1e-7)
            assert ours.estimated
        else:
            assert ours.value == pytest.approx(theirs, rel=1e-12)
    assert found.answered_by == ("table, put in order of size (estimated)" if moved else "table")


@pytest.mark.parametrize("row", BANKED, ids=name)
def test_banked_rows_by_the_factors_alone(row):
    # Without the banked rows. Nine in ten lie within 44 % (read), 22 % (write), 12 % (leakage), 20 %
    # (area) and 18 % (access); CACTI changes its array splits at a bank count of its own.
    found = deviations(row, by_factors)
    assert min(found[:CYCLE]) > -0.5
    assert found[READ] < 0.75
    assert found[WRITE] < 0.6
    assert abs(found[LEAKAGE]) < 0.35
    assert found[AREA] < 0.75
    assert abs(found[ACCESS]) < 0.35
    assert -0.75 < found[CYCLE] < 1.5  # jumps with the splits: 23 % on the mean
    assert "factor of" in by_factors(row).answered_by
    assert by_factors(row).estimated


def test_banked_rows_on_the_mean():
    # The fit's own means, each node and device left out in turn: 16, 10, 5, 8 and 8 %, cycle time 23 %
    # by the rows it was fitted to; this is a sample of 40 of 1270 rows, hence the margin of a third.
    found = [deviations(row, by_factors) for row in BANKED]
    means = [statistics.mean(map(abs, column)) for column in zip(*found, strict=True)]
    assert [m < bar for m, bar in zip(means, (0.21, 0.13, 0.07, 0.11, 0.11, 0.33), strict=True)] == [True] * 6
    medians = [statistics.median(column) for column in zip(*found, strict=True)]
    assert medians[:CYCLE] == pytest.approx([0] * 5, abs=0.05)  # no bias


@pytest.mark.parametrize("node", READS)
def test_read_energies_as_printed(node):
    found = [build_sram(size, 64, 1, node).read_pj for size in (2**13, 2**20)]
    assert found == pytest.approx(READS[node], rel=0.005)  # printed digits


@pytest.mark.parametrize("node", UNSEEN)
def test_cells_that_the_table_lacks(node):
    found = [build_sram(2**15, 64, 1, node, kind) for kind in ("hp", "lstp")]
    # Interpolated read energy: nine in ten within 18 % when left out of the table.
    assert [f.read_pj for f in found] == pytest.approx(UNSEEN[node], rel=0.185)
    assert {f.answered_by for f in found} == {"interpolation"}


def test_cells_that_the_table_lacks_on_the_mean():
    pairs = [(build_sram(2**15, 64, 1, n, d).read_pj, v) for n in UNSEEN for d, v in zip(("hp", "lstp"), UNSEEN[n], strict=True)]  # fmt: skip
    assert statistics.mean(abs(ours / theirs - 1) for ours, theirs in pairs) < 0.08


@pytest.mark.parametrize("row", FILES, ids=name)
def test_register_files_are_the_rows_themselves(row):
    size, width, shared, read, write = (
        int(row[k]) for k in ("size_bytes", "word_bits", "ports_rw", "ports_rd", "ports_wr")
    )
    found = build_register_file(size * 8 // width, width, read, write, int(row["tech_nm"]), device(row), shared)
    assert [r.value for r in found.rows()] == pytest.approx(expected(row), rel=1e-12)
    assert found.answered_by == "table"


def test_the_line_through_one_and_two_ports_finds_the_third():
    # What register files of more ports rest on: the means that the module states, and no more.
    groups = {}
    for row in read_csv_rows("memory", "rf_grid.csv"):
        key = tuple(row[k] for k in ("tech_nm", "device", "size_bytes", "word_bits"))
        ports = sum(int(row[f"ports_{kind}"]) for kind in ("rw", "rd", "wr"))
        groups.setdefault(key, {})[ports] = [float(row[c]) for c in COLUMNS]
    powers = [2 if column == "area_mm2" else 1 for column in COLUMNS]
    errors = [
        [(2 * b ** (1 / p) - a ** (1 / p)) ** p / c - 1 for a, b, c, p in zip(g[1], g[2], g[3], powers, strict=True)]
        for g in groups.values()
    ]
    means = [statistics.mean(map(abs, column)) for column in zip(*errors, strict=True)]
    assert means == pytest.approx([0.03, 0.03, 0.05, 0.03, 0.03, 0.03], abs=0.006)
    assert max(abs(e) for row in errors for e in row) < 0.46
