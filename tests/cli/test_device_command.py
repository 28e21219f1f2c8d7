"""FPGA devices on the command line: run, explain, validate, sweep and pareto."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim.cli.main import run_command

ARCH = """name: small
technology: 28nm
clock: 200 MHz
array: {rows: 8, cols: 8, dataflow: weight_stationary}
pe: {family: int_mac, format: int8}
memories:
  weights: {size: 16 KiB}
  activations: {size: 16 KiB}
  outputs: {size: 16 KiB}
dram: {preset: ddr4_2400}
vector_unit: {lanes: 4}
"""

TRACE = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\none,gemm,24,40,56,1,3,,,\nact,gelu,24,40,,1,1,,,\n"

SWEEP = """name: targets
base: small.yaml
workloads: [{trace: trace.csv}]
grid:
  target: [{device: zcu104}, {device: pynq_z2}, {device: zcu104, fill: true}]
  array.rows: [8, 64]
tie: {array.cols: array.rows}
constraints: [lut6 <= 210000, dsp <= 2000]
objectives: {lut6: min, gops: max}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(ARCH)
    (tmp_path / "device.yaml").write_text(ARCH.replace("technology: 28nm", "technology: zcu104"))
    (tmp_path / "trace.csv").write_text(TRACE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_line_of_yaml_moves_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["run", "small.yaml", "trace.csv", "-o", "asic"]) == 0
    assert run_command(["run", "device.yaml", "trace.csv", "-o", "fpga"]) == 0
    text = capsys.readouterr().out
    assert "resources of zcu104" in text
    assert "no source gives area, power or energy" in text
    asic, fpga = (pd.read_csv(folder / name / "designs.csv") for name in ("asic", "fpga"))
    assert asic["energy_mj"].notna().all()
    assert fpga["energy_mj"].isna().all()
    assert fpga["lut6"].iloc[0] > 0
    layers = pd.read_csv(folder / "fpga" / "layers.csv")
    assert layers["energy_pj"].isna().all()
    resources = pd.read_csv(folder / "fpga" / "resources.csv").set_index("resource")
    assert list(resources.index) == ["lut6", "ff", "dsp", "bram18", "uram"]
    assert (resources["used"] <= resources["usable"]).all()
    assert resources["used"]["lut6"] == fpga["lut6"].iloc[0]
    assert (folder / "fpga" / "resources.png").stat().st_size > 1000


def test_a_setting_moves_it_too_and_equals_the_file(folder: Path) -> None:
    assert run_command(["run", "small.yaml", "trace.csv", "--set", "technology=zcu104", "-o", "set"]) == 0
    assert run_command(["run", "device.yaml", "trace.csv", "-o", "file"]) == 0
    for name in ("designs.csv", "layers.csv", "resources.csv"):
        assert (folder / "set" / name).read_bytes() == (folder / "file" / name).read_bytes()


def test_a_design_that_does_not_fit_is_refused_at_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    code = run_command(["run", "device.yaml", "trace.csv", "--set", "array.rows=4096", "--set", "array.cols=4096"])
    assert code == 2
    text = capsys.readouterr().err
    assert "device.yaml:7:3: memories: zcu104 does not hold them: weights" in text
    assert "Traceback" not in text


def test_explain_and_validate_know_devices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    assert run_command(["validate", "device.yaml", "sweep.yaml"]) == 0
    assert run_command(["explain", "arch", "device.yaml"]) == 0
    text = capsys.readouterr().out
    for words in ("resources by block", "vector_unit", "PEs with products in DSP blocks", "bits_in_use"):
        assert words in text
    assert run_command(["explain", "mapping", "device.yaml", "trace.csv", "--layer", "one"]) == 0
    assert "energy_pj" not in capsys.readouterr().out.replace("traffic", "")


def test_formats_are_not_compared_by_energies_that_nobody_gives(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    assert run_command(["compare-formats", "device.yaml", "trace.csv", "--formats", "int8,int4"]) == 2
    assert "shows energies, which no source gives on zcu104" in capsys.readouterr().err.replace("\n  ", " ")


def test_sweeps_aim_at_resources_and_keep_what_does_not_fit_with_its_reason(folder: Path) -> None:
    assert run_command(["sweep", "sweep.yaml", "-o", "out"]) == 3
    frame = pd.read_csv(folder / "out" / "designs.csv")
    assert len(frame) == 6
    lost = frame[frame["status"] == "infeasible"]
    assert len(lost) == 1
    assert "pynq_z2: lut6 does not hold 64 × 64 PEs" in lost["reason"].iloc[0]
    kept = frame[frame["status"] == "ok"]
    assert (kept["lut6"] <= 210000).all()
    assert kept["area_mm2"].isna().all()
    assert run_command(["pareto", "out", "-x", "lut6", "-y", "gops", "-o", "front"]) == 0
    front = pd.read_csv(folder / "front" / "pareto.csv")
    assert 1 <= len(front) <= len(kept)
    assert front["gops"].max() == kept["gops"].max()
    assert front["lut6"].min() == kept["lut6"].min()


def test_a_wrong_device_is_reported_at_its_place_in_the_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.yaml").write_text(SWEEP.replace("pynq_z2", "pynq_z3"))
    assert run_command(["sweep", "wrong.yaml", "-o", "out"]) == 2
    text = capsys.readouterr().err
    assert "wrong.yaml:5" in text
    assert "did you mean 'pynq_z2'" in text
