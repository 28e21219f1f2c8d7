"""What a design is built on decides which metrics it has; a sweep asks for none that no design has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.grounds import ON_ALMS, ON_ASIC, ON_BOTH, ON_LUTS, Ground, ground_of
from hwsim.explore.metrics import ALL_METRICS, DEVICE_METRICS, METRICS
from hwsim.explore.sweep import run_sweep
from hwsim.simulate.architecture import ArchSpec, simulate_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.bind import bind
from hwsim.spec.document import Document
from hwsim.spec.errors import SpecError
from hwsim.workload import read_trace

ARCH = """name: small
technology: 28nm
clock: 200 MHz
array: {rows: 4, cols: 4, dataflow: weight_stationary}
pe: {family: int_mac, format: int8}
memories:
  weights: {size: 16 KiB}
  activations: {size: 16 KiB}
  outputs: {size: 16 KiB}
dram: {preset: ddr4_2400}
vector_unit: {lanes: 4}
"""
TRACE = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\none,gemm,24,40,56,1,3,,,\n"
POWERED = "{device: zcu104, power: 8 W, power_source: a meter}"


def opened(folder: Path, text: str, arch: str = ARCH) -> Any:
    (folder / "small.yaml").write_text(arch)
    (folder / "trace.csv").write_text(TRACE)
    path = folder / "sweep.yaml"
    path.write_text(f"name: s\nbase: small.yaml\nworkloads: [{{trace: trace.csv}}]\n{text}\n")
    return open_sweep(path)


def problems(folder: Path, text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(SpecError) as caught:
        opened(folder, text)
    return [(problem.path, problem.line, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "ground"),
    [
        ({"technology": "28nm"}, Ground()),
        ({"technology": {"name": "28nm"}, "target": {"reserve": 0.2}}, Ground()),
        ({"technology": "zcu104"}, Ground("zcu104")),
        ({"technology": "d5005"}, Ground("d5005", logic="alm")),
        ({"technology": {"name": "xczu7ev"}}, Ground("zcu104")),
        ({"technology": "28nm", "target": {"device": "u250", "power": 8, "power_source": "a"}}, Ground("u250", True)),
        ({}, Ground()),
    ],
)
def test_what_the_fields_say(fields: dict[str, Any], ground: Ground) -> None:
    assert ground_of(fields) == ground


@pytest.mark.parametrize("target", ["{}", "{device: zcu104}", POWERED])
def test_metrics_are_those_that_a_run_gives(tmp_path: Path, target: str) -> None:
    (tmp_path / "trace.csv").write_text(TRACE)
    sweep = opened(tmp_path, f"grid: {{target: [{target}]}}")
    document: Document = sweep.resolved(sweep.space[0])
    row = evaluate(simulate_arch(bind(document, ArchSpec)), read_trace(tmp_path / "trace.csv")).design_row
    ground = ground_of(document.data)
    assert [name for name in ALL_METRICS if ground.why_not(name) is None] == [
        name for name in ALL_METRICS if row.get(name) is not None
    ]


@pytest.mark.parametrize(
    ("axes", "usual"),
    [
        ("grid: {array.rows: [2, 4]}", ON_ASIC),
        ("grid: {technology: [zcu104, u250]}", ON_LUTS),
        ("grid: {technology: [d5005, agi027]}", ON_ALMS),
        ("grid: {technology: [d5005, zcu104]}", ON_BOTH),
        ("grid: {technology: [zcu104, 28nm]}", ON_BOTH),
        ("grid: {technology: [zcu104, 28nm]}\nconstraints: [technology == '28nm']", ON_ASIC),
        ("zip: {technology: [28nm, 7nm], array.rows: [2, 4]}", ON_ASIC),
    ],
)
def test_without_objectives_a_sweep_aims_at_what_its_designs_have(tmp_path: Path, axes: str, usual: Any) -> None:
    sweep = opened(tmp_path, axes)
    assert sweep.objectives == usual
    result = run_sweep(sweep, PointEvaluator(sweep))
    assert result.exit_code == 0
    assert result.counts["ok"] == len(result.rows) > 0
    assert len(result.front()) > 0


def test_an_objective_that_no_design_has_is_an_error_at_its_place(tmp_path: Path) -> None:
    text = "grid: {technology: [zcu104, u250]}\nobjectives: {lut6: min, energy_mj: min, area_mm2: min}"
    (energy, area) = problems(tmp_path, text)
    assert energy[:2] == ("objectives.energy_mj", 5)
    assert "no source gives energies on u250, zcu104; target.power" in energy[2]
    assert "valid: peak_tops, latency_ms" in energy[2]
    assert "tops_per_watt" not in energy[2]
    assert area[0] == "objectives.area_mm2"
    assert "no source gives areas on u250, zcu104" in area[2]


def test_a_constraint_on_a_metric_that_no_design_has_is_one_too(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "grid: {array.rows: [2]}\nconstraints: [area_mm2 < 9, lut6 < 9]")
    assert found[0] == "constraints.1"
    assert found[2].startswith("lut6: no design of this sweep has it: only designs on an FPGA device have it; valid:")


def test_objectives_that_no_design_has_together_are_an_error(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "grid: {technology: [zcu104, 28nm]}\nobjectives: {lut6: min, area_mm2: min}")
    assert found[0] == "objectives"
    assert "no design of this sweep has all of lut6, area_mm2: area_mm2: no source gives areas on zcu104" in found[2]


def test_a_stated_power_gives_energies(tmp_path: Path) -> None:
    sweep = opened(tmp_path, f"grid: {{target: [{POWERED}]}}\nobjectives: {{energy_mj: min, gops_per_watt: max}}")
    result = run_sweep(sweep, PointEvaluator(sweep))
    (row,) = result.front().to_dict("records")
    assert row["energy_mj"] == pytest.approx(8 * row["latency_ms"])
    assert row["gops_per_watt"] == pytest.approx(row["gops"] / 8) == pytest.approx(1e3 * row["tops_per_watt"])


@pytest.mark.parametrize("axes", ["technology: [zcu104, 28nm]", f"target: [{{device: u250}}, {POWERED}]"])
def test_designs_without_a_metric_that_others_have_are_excluded_with_the_reason(tmp_path: Path, axes: str) -> None:
    sweep = opened(tmp_path, f"grid: {{{axes}}}\nobjectives: {{energy_mj: min, latency_ms: min}}")
    result = run_sweep(sweep, PointEvaluator(sweep))
    assert (result.counts["ok"], result.counts["excluded"], result.lacking, result.exit_code) == (1, 1, 1, 3)
    reason = result.frame.loc[result.frame["status"] == "excluded", "reason"].iloc[0]
    assert reason.startswith("no energy_mj: no source gives energies on ")
    assert len(result.front()) == 1


def test_a_constraint_that_another_metric_decides_excludes_nobody(tmp_path: Path) -> None:
    sweep = opened(
        tmp_path,
        "grid: {technology: [zcu104, 28nm]}\nconstraints: [area_mm2 < 9 or lut6 < 90000]\nobjectives: {latency_ms: min}",
    )
    result = run_sweep(sweep, PointEvaluator(sweep))
    assert (result.counts["ok"], result.lacking, result.exit_code) == (2, 0, 0)


def test_a_constraint_that_is_not_met_is_a_choice_and_no_lack(tmp_path: Path) -> None:
    sweep = opened(tmp_path, "grid: {technology: [zcu104]}\nconstraints: [lut6 < 1]")
    result = run_sweep(sweep, PointEvaluator(sweep))
    assert (result.counts["excluded"], result.lacking, result.exit_code) == (1, 0, 0)


def test_a_single_objective_has_a_picture_and_a_page(tmp_path: Path) -> None:
    from hwsim.cli.sweep import write_results

    sweep = opened(tmp_path, "grid: {technology: [zcu104]}\nobjectives: {latency_ms: min}")
    (tmp_path / "out").mkdir()
    for path in write_results(run_sweep(sweep, PointEvaluator(sweep)), tmp_path / "out"):
        assert path.stat().st_size > 100


def test_what_a_device_is_used_for_may_be_swept_and_budgets_choose_the_array(tmp_path: Path) -> None:
    axes = "grid: {target.dsp: [auto, never, always], target.reserve: [0%, 40%], target.fill: [false, true]}"
    text = f"{axes}\nconstraints: [lut_share <= 1, bram36 <= 312]\nobjectives: {{gops: max}}"
    sweep = opened(tmp_path, text, ARCH.replace("28nm", "zcu104"))
    frame = run_sweep(sweep, PointEvaluator(sweep)).frame.set_index(["target.dsp", "target.reserve", "target.fill"])
    assert (frame["status"] == "ok").all()
    assert (frame["bram36"] == frame["bram18"] / 2).all()
    for (dsp, reserve, fill), row in frame.iterrows():
        assert row["binding_share"] == max(row[f"{n}_share"] for n in ("lut", "ff", "dsp", "bram", "uram") if n != "dsp" or dsp == "always")  # fmt: skip
        assert (row["dsp"] == 0) == (dsp == "never")
        assert row["pes"] == 16 if not fill else row["pes"] > 1000
        if fill:
            document = sweep.arch.with_overrides({"target": {"dsp": dsp, "reserve": reserve, "fill": True}})
            assert simulate_arch(bind(document, ArchSpec)).accelerator.rows ** 2 == row["pes"]
    for dsp in ("auto", "never", "always"):
        assert frame.loc[(dsp, "0%", True), "pes"] > frame.loc[(dsp, "40%", True), "pes"]
    assert frame.loc[("auto", "0%", True), "pes"] >= frame.loc[("always", "0%", True), "pes"]


def test_no_metric_is_of_both_kinds() -> None:
    assert not METRICS.keys() & DEVICE_METRICS.keys()
