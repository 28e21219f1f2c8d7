"""Layers of the simulators of ANT and MixPE, and ``hwsim score mixpe``.

``mixpe_layers.csv`` has every second row of runs of mixpe_simulator 7e0d42c and ANT-Quantization bc84067, whose
own per-layer tables are of older settings.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import score
from hwsim.explore.score.mixpe import DRAM, ENERGIES, SRAM
from hwsim.spec.errors import SpecError, UsageError
from tests.support.tables import rows_of, written

LAYERS = Path(__file__).parents[1] / "data" / "mixpe_layers.csv"


@pytest.fixture(scope="module")
def found():
    return score("mixpe", LAYERS)


@pytest.mark.parametrize("figure", ["cycles", "stall", *DRAM, *SRAM])
def test_counts_are_equal(found, figure):
    rows = found.frame[found.frame["figure"] == figure]
    assert len(rows) == len(rows_of(LAYERS))
    assert (rows["model"] == rows["reference"]).all()


@pytest.mark.parametrize("figure", ENERGIES)
def test_energies_are_those_of_the_published_constants(found, figure):
    rows = found.frame[found.frame["figure"] == figure]
    assert rows["error"].abs().max() < 2e-8  # constants have eight digits


def test_the_bars_are_those_that_were_asked_for(found):
    limits = {bar.name.split(":")[0]: bar.limit for bar in found.bars if bar.limit is not None}
    assert limits == {"cycles": 0.05, "rd_dram": 0.05, "wr_dram": 0.05}
    assert all(bar.reached for bar in found.bars)
    assert found.notes == []


def test_a_wrong_row_is_a_miss(tmp_path, capsys):
    rows = rows_of(LAYERS)[:2]
    rows[1]["rd_dram"] = str(int(rows[1]["rd_dram"]) * 2)
    assert run_command(["score", "mixpe", str(written(tmp_path / "layers.csv", rows))]) == 4
    assert f"not equal: {rows[1]['case_id']} rd_dram" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wprec": "2"}, "both have one width"),
        ({"iprec": "2", "wprec": "2"}, "2 bits on PEs of 4"),
        ({"pmax": "32"}, "valid: 6/6, 8/4, 16/8, 16/16"),
        ({"inp": "(64, 768, 3)"}, "is no shape"),
        ({"inp": "64 x 768"}, "invalid syntax"),
        ({"dataflow": "IS"}, "'IS'; valid: OS, WS"),
        ({"array": "32"}, "two whole numbers"),
        ({"cycles": "many"}, "many"),
        ({"rd_dram": "nan"}, "rd_dram must be at least 0, not nan"),
    ],
)
def test_rows_that_make_no_sense_are_refused_at_their_line(tmp_path, change, message):
    row = next(row for row in rows_of(LAYERS) if row["pmin"] == "4")
    with pytest.raises(SpecError, match=message) as caught:
        score("mixpe", written(tmp_path / "layers.csv", [row | change]))
    assert ":2" in str(caught.value)


def test_tables_without_rows_or_columns_are_refused(tmp_path):
    header = ",".join(rows_of(LAYERS)[0])
    (tmp_path / "empty.csv").write_text(header + "\n")
    with pytest.raises(UsageError, match="no rows"):
        score("mixpe", tmp_path / "empty.csv")
    (tmp_path / "less.csv").write_text(header.replace("array,", "") + "\n")
    with pytest.raises(SpecError, match="missing column array"):
        score("mixpe", tmp_path / "less.csv")
