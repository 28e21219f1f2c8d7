"""Second sources of devices, DSP58 and tensor blocks, devices of the user's own, and static power."""

from __future__ import annotations

import csv
import os
import re
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.explore.fit import FitRequest, fit
from hwsim.hardware.fpga.device import device_key, device_names, is_device, load_device
from hwsim.hardware.fpga.dsp import Mode, best_mode, dsp_modes, dsp_primitives, refused_modes
from hwsim.hardware.target.clocks import sharing
from hwsim.spec.errors import InfeasibleError, SpecError, UsageError
from tests.unit.test_on_device import run, small

ROWS = Path(__file__).parents[1] / "data" / "device_budgets.csv"
README = Path(__file__).parents[2] / "README.md"

OWN = """\
device: mine
part: xcvm1802
board: our carrier
family: Versal Prime
logic: {primitive: lut6, count: 60000}
ff: 120000
dsp: {primitive: DSP, count: 90}
bram18: 200
uram: 8
source: an invention of this test
"""


def own(folder: Path, dsp: str = "dsp58", old: str = "", new: str = "") -> str:
    path = folder / "mine.yaml"
    path.write_text(OWN.replace("DSP", dsp, 1).replace(old, new) if old else OWN.replace("DSP", dsp, 1))
    return str(path)


def rows() -> list[dict[str, str]]:
    with ROWS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# --- second sources --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["device"])
def test_every_row_of_the_budgets_ships_as_stated(row: dict[str, str]) -> None:
    device = load_device(row["device"])
    amd = device.logic == "lut6"
    stated = {
        device.logic: row["lut6"] if amd else row["alm"],
        "ff": row["ff"],
        "dsp": row["dsp"],
        "bram18" if amd else "m20k": row["bram18"] if amd else row["bram36_or_m20k"],
        "uram": row["uram"] if amd else "",
    }
    assert {name: int(count) for name, count in stated.items() if count}.items() <= device.budget.items()
    if amd:
        assert 2 * int(row["bram36_or_m20k"]) == device.budget["bram18"]


@pytest.mark.parametrize("row", [row for row in rows() if row["recalled"] == "yes"],
                         ids=lambda row: row["device"])  # fmt: skip
def test_recalled_counts_have_a_second_source(row: dict[str, str]) -> None:
    device = load_device(row["device"])
    assert {name for name, count in device.budget.items() if count} <= set(device.checked)


@pytest.mark.parametrize("name", device_names())
def test_a_memory_is_checked_or_left_out_with_the_reason(name: str) -> None:
    device = load_device(name)
    assert (device.memory is None) == ("memory" in device.missing)
    assert (device.memory is not None) == ("memory" in device.checked)
    assert all(text.strip() for text in (*device.checked.values(), *device.missing.values()))


def test_v80s_memory_is_two_stacks_at_the_data_sheets_rate() -> None:
    memory = load_device("v80").memory
    assert memory is not None
    assert memory.bandwidth_gb_s == 2 * 1024 * 3200 / 8000


def test_the_tensor_blocks_count_agrees_with_every_share_that_the_paper_states() -> None:
    budget = load_device("s10nx").budget
    for resource, used, percent in [
        ("alm", 82828, 12), ("alm", 132307, 19), ("dsp", 2541, 64), ("dsp", 3528, 89), ("m20k", 1050, 15),
        ("m20k", 1617, 24),
    ]:  # fmt: skip
        assert round(100 * used / budget[resource]) == percent
    peaks = {mode.name: round(2 * budget["dsp"] * mode.macs * 600 / 10**6) for mode in dsp_modes("ai_tensor_block")}
    assert set(peaks.values()) == {143, 285}  # the paper's 286 is twice its rounded 143


def test_explain_device_says_what_is_checked_and_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "device", "vck190"]) == 0
    out = capsys.readouterr().out
    assert "AM004 Table 1 (Device Resources): VC1902 1,968" in out
    assert "left out: memory: 8 GB DDR4 and 8 GB LPDDR4" in out


# --- DSP58 and tensor blocks -----------------------------------------------------------------------


def mode_of(primitive: str, name: str) -> Mode:
    return next(mode for mode in dsp_modes(primitive) if mode.name == name)


@given(st.integers(1, 200), st.sampled_from([(p, m.name) for p in dsp_primitives() for m in dsp_modes(p)]))
def test_blocks_hold_all_products_and_sums_do_not_mix(products: int, key: tuple[str, str]) -> None:
    mode = mode_of(*key)
    blocks = mode.blocks(products)
    assert blocks * mode.macs >= products
    per_sum = mode.macs / mode.columns
    if mode.shares in ("sum", "columns"):
        assert blocks == Fraction(ceil(Fraction(products) / per_sum), mode.columns)
    else:
        assert blocks == products / mode.macs


def test_dot_product_of_three_as_finn_counts_it() -> None:
    # FINN's RTL unit on a DSP58: ceil(SIMD / 3) blocks for each PE.
    for lanes, blocks in [(2, 1), (3, 1), (4, 2), (6, 2), (7, 3)]:
        found = fit(FitRequest("vck190", {"family": "int_mac", "format": "int8", "lanes": lanes}, dsp="always"))
        assert found.array.kinds["always"].dsp == blocks
        assert [mode.name for mode in found.array.kinds["always"].modes] == ["int8_dot3"]
        assert found.array.used["dsp"] == found.array.pes * blocks


def test_a_single_product_is_no_dot_product() -> None:
    found = fit(FitRequest("vck190", {"family": "int_mac", "format": "int8"}, dsp="always"))
    assert [mode.name for mode in found.array.kinds["always"].modes] == ["int8_x2"]
    assert found.array.used["dsp"] == pytest.approx(found.array.pes / 2)
    assert any(note.startswith("int8_dot3 (3 products a block) needs products of one sum") for note in found.notes)
    assert any(note.startswith("clocks: DS957 (AI Core) could not be read") for note in found.notes)


@pytest.mark.parametrize(("fmt", "most_mhz"), [("int8", 1070), ("fp32", 750), ("fp16", 750)])
def test_integer_and_float_blocks_have_clocks_of_their_own(fmt: str, most_mhz: int) -> None:
    family = "int_mac" if fmt == "int8" else "float_mac"
    request = FitRequest("vck190", {"family": family, "format": fmt}, dsp="always", clock_hz=most_mhz * 1e6, rows=1)
    assert fit(request).array.pes == (2 if fmt == "int8" else 1) * 1968
    with pytest.raises(InfeasibleError, match=f"beyond the {most_mhz} MHz of dsp58 in grade -2"):
        fit(FitRequest("vck190", request.pe, dsp="always", clock_hz=(most_mhz + 1) * 1e6))


def test_a_float_block_does_the_whole_multiply_and_add() -> None:
    one = fit(FitRequest("vck190", {"family": "float_mac", "format": "fp32"}, dsp="always")).array.kinds["always"]
    assert (one.dsp, one.sites.lut, one.sites.ff) == (1, 0, 0)


def test_modes_of_a_dsp58() -> None:
    plain, complex_ = best_mode("dsp58", 27, 24), best_mode("dsp58", 18, 18, arithmetic="complex")
    assert plain is not None
    assert plain.name == "plain"
    assert best_mode("dsp58", 28, 24) is None
    assert complex_ is not None
    assert complex_.blocks(1) == 2
    assert best_mode("dsp58", 9, 8, frozenset({"sum"})).macs == 3  # type: ignore[union-attr]
    assert best_mode("dsp58", 9, 9, frozenset({"sum"})).macs == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("dataflow", "lanes", "legal"),
    [("w", 10, True), ("a", 10, True), ("o", 10, False), ("w", 1, False)],
)
def test_a_tensor_block_needs_one_operand_kept_and_one_shared(dataflow: str, lanes: int, legal: bool) -> None:
    shared = sharing(dataflow) | ({"sum"} if lanes > 1 else set())
    mode = best_mode("ai_tensor_block", 8, 8, shared)
    assert (mode is not None) == legal
    assert bool(refused_modes("ai_tensor_block", 8, 8, shared)) == (not legal)


def test_three_pes_share_a_tensor_block(tmp_path: Path) -> None:
    device = own(tmp_path, "ai_tensor_block")
    for lanes, blocks in [(8, Fraction(1, 3)), (10, Fraction(1, 3)), (11, Fraction(2, 3)), (20, Fraction(2, 3))]:
        pe = {"family": "int_mac", "format": "int8", "lanes": lanes}
        assert fit(FitRequest(device, pe, dsp="always")).array.kinds["always"].dsp == blocks
    four = fit(FitRequest(device, {"family": "int_mac", "format": "int4", "lanes": 20}, dsp="always"))
    assert four.array.kinds["always"].dsp == Fraction(1, 3)
    with pytest.raises(
        UsageError, match="one operand that waits in the PEs and one that they share; valid: dsp: never"
    ):
        fit(FitRequest(device, pe, dataflow="output_stationary", dsp="always"))
    auto = fit(FitRequest(device, pe, dataflow="output_stationary"))
    assert auto.array.in_dsp == 0
    assert any("this PE under output_stationary does not give" in note for note in auto.notes)


# --- a device of one's own -------------------------------------------------------------------------


def test_a_device_of_ones_own_fits_and_runs(tmp_path: Path) -> None:
    path = own(tmp_path)
    found = fit(FitRequest(path, {"family": "int_mac", "format": "int8", "lanes": 3}, rows=8))
    assert found.device.name == "mine"
    assert found.array.in_dsp == 90
    for fields in ({"technology": path}, {"target": {"device": path}}):
        design = run(**fields).design_row
        assert (design["device"], design["energy_mj"]) == ("mine", None)
        assert 0 < design["lut6"] <= 60000


def test_names_parts_and_paths(tmp_path: Path) -> None:
    assert load_device("XCV80").name == device_key("xcv80") == "v80"
    assert [is_device(name) for name in ("v80", "a/b.yaml", "28nm")] == [True, True, False]
    with pytest.raises(UsageError, match=r"unknown FPGA device 'xcv81'.*YAML file of your own \(hwsim schema device\)"):
        load_device("xcv81")
    with pytest.raises(UsageError, match="nowhere.yaml"):
        small(technology=str(tmp_path / "nowhere.yaml"))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = Path(own(tmp_path))
    assert load_device(str(path)).budget["dsp"] == 90
    own(tmp_path, old="count: 90", new="count: 91")
    stamp = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(stamp, stamp))
    assert load_device(str(path)).budget["dsp"] == 91


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp58", "dsp59", r"mine.yaml:7:.*unknown 'dsp59'.*dsp58"),
        ("bram18: 200\n", "", "bram18: is missing beside logic.primitive: lut6"),
        ("uram: 8", "m20k: 8", "m20k: there is none beside logic.primitive: lut6"),
        ("primitive: lut6", "primitive: alm", "m20k: is missing beside logic.primitive: alm"),
        ("count: 60000", "count: 0", "greater than or equal to 1|at least 1"),
        ("uram: 8", "uram: 8\nslrs: [{lut6: 1, ff: 1, bram18: 1, uram: 9, dsp: 1}]", "slr_source: is missing"),
        (
            "uram: 8", "uram: 8\nslr_source: a\nslrs: [{lut6: 1, ff: 1, bram18: 1, uram: 9, dsp: 1}]",
            "slrs: have 9 uram together, the device 8",
        ),
        ("source: an invention of this test\n", "", "source"),
        ("uram: 8", "uram: 8\nchecked: {luts: a}", "luts"),
        ("device: mine", "device: My Device", "device"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file_are_at_their_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_device(own(tmp_path, old=old, new=new))


def test_validate_and_schema_know_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own(tmp_path)
    assert run_command(["validate", path]) == 0
    assert capsys.readouterr().out == f"{path}: valid device\n"
    assert run_command(["fit", path, "int8", "--set", "lanes=3"]) == 0
    assert "mine (our carrier)" in capsys.readouterr().out


def test_the_board_of_the_readme_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```yaml\n(# boards/mine.yaml:.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    monkeypatch.chdir(tmp_path)
    Path("boards").mkdir()
    Path("boards/mine.yaml").write_text(blocks[0])
    assert run_command(["validate", "boards/mine.yaml"]) == 0
    assert run_command(["fit", "boards/mine.yaml", "int8", "--set", "lanes=3"]) == 0
    assert small(technology="boards/mine.yaml").spec.device == "boards/mine.yaml"


def test_a_sweep_runs_again_when_the_device_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.explore.identity import Identity

    monkeypatch.chdir(tmp_path)
    identity = Identity.__new__(Identity)
    identity._files, identity._own = {}, {}
    own(tmp_path)
    before = identity._contents({"target": {"device": "mine.yaml"}}, tmp_path / "elsewhere")
    assert list(before) == ["mine.yaml"]
    identity._files = {}
    own(tmp_path, old="count: 90", new="count: 91")
    assert identity._contents({"target": {"device": "mine.yaml"}}, tmp_path / "elsewhere") != before


# --- static power ----------------------------------------------------------------------------------


def test_static_power_is_the_energy_of_leakage() -> None:
    target = {"static_power": "3 W", "static_power_source": "a meter, clock stopped"}
    result = run(technology="zcu104", target=target)
    for row in result.layer_rows:
        assert row["energy_leakage_pj"] == 3 * row["time_us"] * 1e6
        assert row["energy_pj"] is None
    assert result.design_row["energy_mj"] is None
    assert any("a meter, clock stopped" in note and "there is no sum" in note for note in result.notes)


def test_static_power_is_a_part_of_power() -> None:
    target: dict[str, Any] = {"static_power": "3 W", "static_power_source": "a", "power": "8 W", "power_source": "b"}
    result = run(technology="zcu104", target=target)
    assert result.design_row["avg_power_w"] == 8
    assert all(row["energy_leakage_pj"] == pytest.approx(3 / 8 * row["energy_pj"]) for row in result.layer_rows)
    with pytest.raises(SpecError, match="static_power: 9 W is more than power, 8 W"):
        small(technology="zcu104", target={**target, "static_power": "9 W"})
    with pytest.raises(SpecError, match="static_power_source: is missing beside static_power"):
        small(technology="zcu104", target={"static_power": "3 W"})


def test_static_power_bounds_operations_per_watt(capsys: pytest.CaptureFixture[str]) -> None:
    pe = {"family": "int_mac", "format": "int8"}
    found = fit(FitRequest("zcu104", pe, clock_hz=250e6, power_w=8.0, static_power_w=3.0))
    assert found.gops is not None
    assert found.gops_per_watt == found.gops / 8
    assert found.most_gops_per_watt == found.gops / 3
    assert fit(FitRequest("zcu104", pe, static_power_w=3.0)).most_gops_per_watt is None
    with pytest.raises(UsageError, match="static power: 9 W is more than the 8 W"):
        fit(FitRequest("zcu104", pe, power_w=8.0, static_power_w=9.0))
    assert run_command(["fit", "zcu104", "int8", "--clock", "250MHz", "--static-power", "3W"]) == 0
    assert "GOPS/W: the static power that is given, nothing switching" in capsys.readouterr().out
