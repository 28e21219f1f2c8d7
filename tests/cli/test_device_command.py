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


def test_formats_are_compared_by_what_they_take_of_a_device(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "int8,int4,fp8_e4m3"
    assert run_command(["compare-formats", "device.yaml", "trace.csv", "--formats", names, "-o", "out"]) == 0
    written = ["compare.csv", "compare.html", "compare.png", "compare.svg", "totals.csv"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == written
    text = capsys.readouterr().out
    for words in ("time per layer kind", "lut_share", "energy: blank: no source gives energies on zcu104", "estimated"):
        assert words in text
    totals = pd.read_csv(folder / "out" / "totals.csv").set_index("format")
    assert list(totals.index) == names.split(",")
    assert totals["energy_mj"].isna().all()
    page = (folder / "out" / "compare.html").read_text()
    assert "Flip-flops" in page
    assert "no source gives energies" in page
    for name in totals.index:  # each as hwsim run has it, with the PE that is built for the format
        family = totals["pe"][name]
        setting = f"pe={{family: {family}, format: {name}}}"
        assert run_command(["run", "device.yaml", "trace.csv", "--set", setting, "-o", f"alone_{name}"]) == 0
        alone = pd.read_csv(folder / f"alone_{name}" / "designs.csv").iloc[0]
        for figure in ("pe_lut6", "lut6", "ff", "dsp", "bram36", "lut_share", "latency_ms", "gops", "sqnr_db"):
            assert totals[figure][name] == pytest.approx(alone[figure], rel=1e-12), figure


def test_with_a_stated_power_formats_have_an_energy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = "target={power: 8 W, power_source: a meter}"
    command = ["compare-formats", "device.yaml", "trace.csv", "--formats", "int8,int4", "--set", setting, "-o", "out"]
    assert run_command(command) == 0
    assert "the power that is given, 8 W" in capsys.readouterr().out
    totals = pd.read_csv(folder / "out" / "totals.csv")
    assert (totals["energy_mj"] - 8 * totals["latency_ms"]).abs().max() < 1e-12


def test_a_format_that_does_not_fit_is_left_out_with_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = ["--set", "technology=pynq_z2", "--set", "array.rows=20", "--set", "array.cols=20", "-o", "out"]
    command = ["compare-formats", "small.yaml", "trace.csv", *device, "--formats"]
    assert run_command([*command, "int4,fp16"]) == 3
    assert "fp16: infeasible: array: pynq_z2: lut6 does not hold 20 × 20 PEs" in capsys.readouterr().err
    totals = pd.read_csv(folder / "out" / "totals.csv").set_index("format")
    assert list(totals["status"]) == ["ok", "infeasible"]
    assert pd.isna(totals["lut6"]["fp16"])
    assert (folder / "out" / "compare.png").stat().st_size > 1000
    assert run_command([*command, "fp16"]) == 2
    assert run_command([*command, "int4,fp17"]) == 2  # a wrong name is a mistake, whatever fits


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


def test_a_blank_objective_is_an_error_and_a_partly_blank_one_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = SWEEP.replace(
        "  target: [{device: zcu104}, {device: pynq_z2}, {device: zcu104, fill: true}]", "  technology: [28nm, zcu104]"
    )
    (folder / "mixed.yaml").write_text(mixed.replace("[8, 64]", "[8]"))
    assert run_command(["sweep", "mixed.yaml", "-o", "mixed"]) == 3
    told = capsys.readouterr().out
    assert "1 ok, 1 excluded, 1 of the excluded lack a metric" in told
    assert "excluded,no lut6: only designs on an FPGA device have it" in (folder / "mixed" / "designs.csv").read_text()
    asked = SWEEP.replace("{lut6: min, gops: max}", "{lut6: min, energy_mj: min}")
    (folder / "blank.yaml").write_text(asked)
    assert run_command(["sweep", "blank.yaml", "-o", "blank"]) == 2
    assert "objectives.energy_mj: no design of this sweep has it" in capsys.readouterr().err
    assert not (folder / "blank").exists()
    (folder / "usual.yaml").write_text(
        mixed.replace("[8, 64]", "[8]")
        .replace("objectives: {lut6: min, gops: max}", "")
        .replace("constraints: [lut6 <= 210000, dsp <= 2000]", "")
    )
    assert run_command(["sweep", "usual.yaml", "-o", "usual"]) == 0
    capsys.readouterr()
    assert run_command(["pareto", "usual", "-x", "lut6", "-y", "latency_ms", "-o", "front"]) == 3
    assert "excluded, without a value of lut6: 8x8 28nm" in capsys.readouterr().err
    assert run_command(["sweep", "sweep.yaml", "-o", "out"]) == 3
    for arguments in (["-y", "energy_mj"], ["-y", "gops", "--where", "area_mm2 <= 3"]):
        capsys.readouterr()
        assert run_command(["pareto", "out", "-x", "lut6", *arguments, "-o", "front"]) == 2
        text = " ".join(capsys.readouterr().err.split())
        assert "no design has a value: no source gives" in text
        assert "on pynq_z2, zcu104" in text
        assert "valid: peak_tops, latency_ms" in text


def test_a_wrong_device_is_reported_at_its_place_in_the_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.yaml").write_text(SWEEP.replace("pynq_z2", "pynq_z3"))
    assert run_command(["sweep", "wrong.yaml", "-o", "out"]) == 2
    text = capsys.readouterr().err
    assert "wrong.yaml:5" in text
    assert "did you mean 'pynq_z2'" in text
