"""``hwsim score fpga``: synthesised units on FPGA fabric."""

from __future__ import annotations

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import SCORERS
from hwsim.spec.data import data_path


def test_all_bars_are_reached(capsys: pytest.CaptureFixture[str]) -> None:
    found = SCORERS.get("fpga")(data_path("fpga", "lut_rows.csv"))
    assert [bar.name for bar in found.bars] == [
        "LUT sites: median error",
        "LUT sites: 90th percentile",
        "exact MACs: largest error",
    ]
    assert all(bar.reached for bar in found.bars)
    assert run_command(["score", "fpga", str(data_path("fpga", "lut_rows.csv"))]) == 0


def test_a_wrong_table_misses_them(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "rows.csv"
    path.write_text("design,family,params,lut_sites_carry_aware\na,int_add,{w: 8},4\nb,novel,{w: 8},4\n")
    assert run_command(["score", "fpga", str(path)]) == 4
    out = capsys.readouterr()
    assert "novel" in out.out + out.err
