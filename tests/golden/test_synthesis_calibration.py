"""The calibration on synthesised units: honest on unseen rows, the file what the fit gives, wrong tables refused."""

from __future__ import annotations

import csv

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import SCORERS
from hwsim.explore.score.synthesis import BARS
from hwsim.hardware.synthesis import FIGURES, UNITS, load_calibration, read_rows
from hwsim.hardware.synthesis.fit import cross_validate, fit, summary
from hwsim.hardware.synthesis.unit import STYLES, product
from hwsim.spec.data import data_path
from hwsim.spec.errors import MissingFigureError, SpecError

PATH = data_path("synthesis") / "rows.csv"


@pytest.fixture(scope="module")
def rows():
    return read_rows(PATH)


@pytest.fixture(scope="module")
def unseen_rows(rows):
    number = {id(row): place for place, row in enumerate(rows)}
    return cross_validate(rows, lambda row: number[id(row)], seed=7)


@pytest.mark.parametrize("figure", BARS)
def test_unseen_rows_are_within_the_bars(unseen_rows, figure):
    found, (median, p90, within) = summary(unseen_rows, figure), BARS[figure]
    assert found["median"] <= median
    assert p90 is None or found["p90"] <= p90
    assert within is None or found["within_15"] >= within


@pytest.fixture(scope="module")
def unseen_units(rows):
    # no library and no style of them was seen
    return cross_validate(rows, lambda row: row.unit, seed=7)


MISSED = pytest.mark.xfail(
    strict=True,
    reason="settled energy is at 1.05 of its bar, energy with glitches at 1.08: one table of cells for components and "
    "whole units fits area better and leaves energies a little further off",
)


@pytest.mark.parametrize(
    "figure",
    ["area_um2", "crit_ps", *(pytest.param(f, marks=MISSED) for f in ("E_rand_noglitch_fJ", "E_rand_fJ"))],
)
def test_unseen_units_keep_the_medians(unseen_units, figure):
    assert summary(unseen_units, figure)["median"] <= BARS[figure][0]


def test_unseen_units_have_longer_tails(unseen_units):
    # small multipliers, comparators
    assert summary(unseen_units, "area_um2")["within_15"] >= 0.85


def test_the_shipped_file_is_what_the_fit_gives(rows):
    found, shipped = fit(rows), load_calibration()
    for row in rows[::37]:
        for figure in FIGURES:
            # the file keeps five digits of each effect
            assert shipped.predict(row, figure) == pytest.approx(found.predict(row, figure), rel=1e-3)


def test_shipped_errors_are_those_of_cross_validation(unseen_rows):
    with (data_path("synthesis") / "errors.csv").open() as stream:
        shipped = {(r["left_out"], r["figure"]): r for r in csv.DictReader(stream)}
    for figure in FIGURES:
        # three other ways to cut the rows into fifths
        assert float(shipped["rows", figure]["median"]) == pytest.approx(
            summary(unseen_rows, figure)["median"], rel=0.1
        )


def test_every_class_has_rows_and_every_row_a_class(rows):
    assert {row.kind for row in rows} == set(UNITS.names())
    assert {row.style for row in rows} == set(STYLES)
    for row in rows:
        assert row.bill.levels > 0
        assert all(count >= 0 for count in row.bill.cells.values())


def test_booth_halves_the_rows_and_sign_extension_costs_adders():
    assert product(16, 16, "yosys_booth")["selector"] == 8 * 17
    assert product(8, 8, "yosys_booth", signed=False)["selector"] == 5 * 9
    assert product(3, 8, "yosys_booth") == product(3, 8, "structural")  # too narrow for recoding
    assert product(8, 8, "yosys_default", sum_bits=32)["sum_extension"] == 6 * 16 + 7
    assert "sum_extension" not in product(8, 8, "structural", sum_bits=32)


def test_a_library_that_was_not_calibrated_is_an_error(rows):
    from dataclasses import replace

    with pytest.raises(MissingFigureError, match="asap7 area"):
        load_calibration().predict(replace(rows[0], lib="asap8"), "area_um2")


def test_the_command_scores_any_table_and_says_what_it_missed(tmp_path, capsys):
    assert run_command(["score", "synthesis", str(PATH), "-o", str(tmp_path / "all.csv")]) == 0
    assert "share within 15 %" in capsys.readouterr().out
    assert (tmp_path / "all.csv").read_text().startswith("lib,mode,")
    with PATH.open() as stream:
        table = list(csv.DictReader(stream))[:40]
    for row in table:
        row["area_um2"] = str(2 * float(row["area_um2"]))
    with (tmp_path / "doubled.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, table[0])
        writer.writeheader()
        writer.writerows(table)
    assert run_command(["score", "synthesis", str(tmp_path / "doubled.csv")]) == 4
    assert "area_um2: median error" in capsys.readouterr().err
    assert len(SCORERS.get("synthesis")(tmp_path / "doubled.csv").bars) == 7


HEADER = "lib,mode,mult_style,name,class,params,area_um2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lib,mode\nasap7,area\n", "missing column mult_style, name, class, params"),
        (HEADER, "holds no rows"),
        (HEADER + 'asap7,area,structural,x,int_mull,"{""n"":4}",1\n', "did you mean 'int_mul'"),
        (HEADER + 'asap7,area,structural,x,int_mul,"{""n"":4}",1\n', "int_mul needs 'm'; found n"),
        (HEADER + "asap7,area,structural,x,int_mul,n=4,1\n", "no JSON mapping"),
        (HEADER + 'asap7,slow,structural,x,int_add,"{""n"":4}",1\n', "mode: 'slow'"),
        (HEADER + 'asap7,area,structural,x,int_add,"{""n"":4}",-1\n', "area_um2: '-1' is no number from 0"),
    ],
)
def test_wrong_tables_are_refused_at_the_line(tmp_path, text, said, capsys):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_rows(path)
    assert said in str(caught.value)
    assert run_command(["score", "synthesis", str(path)]) == 2


def test_unknown_kinds_of_scores_are_refused(capsys):
    assert run_command(["score", "synthesys", str(PATH)]) == 2
    assert "did you mean 'synthesis'" in capsys.readouterr().err


def test_explain_calibration_needs_no_name_and_others_do(capsys):
    assert run_command(["explain", "calibration"]) == 0
    assert "five-fold" in capsys.readouterr().out
    assert run_command(["explain", "pe"]) == 2
    assert "hwsim list pe" in capsys.readouterr().err
