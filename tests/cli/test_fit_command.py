"""``hwsim fit``: tables, files, throughput only at a clock that is given, and what is refused."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from hwsim.cli.main import run_command
from hwsim.explore.fit import FitRequest, fit
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.target.clocks import regions_needed, shared_operands
from hwsim.simulate.dataflow import get_dataflow
from hwsim.spec.errors import InfeasibleError, UsageError

INT8 = {"family": "int_mac", "format": "int8"}


def test_tables_and_files(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    arguments = ["fit", "zcu104", "int8", "--clock", "250MHz", "--reserve", "20%", "--power", "9.46W"]
    assert run_command([*arguments, "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "PEs on zcu104 (ZCU104)" in shown
    assert "GOPS at 250 MHz (as given)" in shown
    assert "GOPS/W at the power that is given" in shown
    assert "no source gives it" in shown
    written = pd.read_csv(tmp_path / "fit.csv")
    assert run_command([*arguments, "--format", "csv"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    pd.testing.assert_frame_equal(written, printed)
    assert {"fit.csv", "fit.png", "fit.svg"} == {path.name for path in tmp_path.iterdir()}
    assert (printed["used"] <= printed["usable"]).all()


def test_throughput_is_that_of_the_clock() -> None:
    without, found = (fit(FitRequest("zcu104", INT8, clock_hz=clock, power_w=2.0)) for clock in (None, 250e6))
    assert (without.gops, without.gops_per_watt) == (None, None)
    assert any("no clock is given" in note for note in without.notes)
    assert found.gops == 2 * found.array.pes * 0.25
    assert found.gops_per_watt == found.gops / 2


def test_packing_follows_the_dataflow() -> None:
    """Weight-stationary neighbours share activations, output-stationary ones both: two times two INT4 products need both."""
    int4 = {"family": "int_mac", "format": "int4"}
    assert shared_operands(get_dataflow("weight_stationary").stationary) == {"a"}
    assert shared_operands(get_dataflow("output_stationary").stationary) == {"w", "a"}
    two, four = (fit(FitRequest("zcu104", int4, flow, "always")) for flow in ("weight_stationary", "output_stationary"))
    lanes, square = (one.array.kinds["always"] for one in (two, four))
    assert [mode.name for mode in (*lanes.modes, *square.modes)] == ["int4_lanes", "int4_x4"]
    versal = fit(FitRequest("vck190", int4, "weight_stationary", "always"))
    assert float(versal.array.kinds["always"].dsp) == 0.5
    assert any("int4_x4 (4 products a block) needs both operands shared" in note for note in versal.notes)


def test_large_arrays_cross_regions() -> None:
    device = load_device("u250")
    found = fit(FitRequest("u250", INT8, dsp="never", clock_hz=250e6))
    assert regions_needed(device, found.array.used) == 4
    assert any("spans 4 super logic regions" in note for note in found.notes)
    assert regions_needed(device, {"lut6": 375000}) == 1
    assert regions_needed(device, {"lut6": 375001}) == 2
    assert regions_needed(load_device("zcu104"), {"lut6": 1e9}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zcu105", "int8"], "unknown FPGA device 'zcu105'"),
        (["zcu104", "int8", "--clock", "900MHz"], "900 MHz is beyond the 775 MHz of dsp48e2"),
        (["zcu104", "int8", "--reserve", "120%"], "reserve: must be from 0 to below 100 %"),
        (["zcu104", "int8", "--reserve", "much"], "expected a share such as 20%"),
        (["zcu104", "int8", "--dsp", "perhaps"], "dsp: unknown choice 'perhaps'"),
        (["zcu104", "int8", "--shell", "ddr4"], "expected ITEM=N"),
        (["zcu104", "int8", "--shell", "ddr4=1"], "unknown interface 'ddr4'"),
        (["zcu104", "int8", "--dataflow", "weight"], "unknown dataflow 'weight'"),
        (["agi027", "int8", "--shell", "ddr4_controller=1"], "shell: no source gives what interfaces take of agi027"),
        (["zcu104", "int8", "--rows", "4000", "--cols", "4000"], "does not hold 4000 × 4000 PEs"),
        (["zcu104", "nonsense"], "unknown pe 'nonsense'"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["fit", *arguments]) in (2, 3)
    assert message in capsys.readouterr().err


def test_errors_are_of_their_kinds() -> None:
    with pytest.raises(InfeasibleError):
        fit(FitRequest("pynq_z2", INT8, shell={}, rows=1000))
    with pytest.raises(UsageError, match="lmul has no product"):
        fit(FitRequest("zcu104", {"family": "lmul", "format": "fp8_e4m3"}, dsp="always"))


def test_a_speed_grade_that_no_device_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["fit", "zcu104", "int8", "--grade", "-7", "--clock", "5000MHz"]) == 2
    assert "unknown speed grade '-7'; valid: -1, -1L, -2, -2L, -3" in capsys.readouterr().err
