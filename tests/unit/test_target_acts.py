"""What a target says acts or is refused: stages, cores, clocks, keys without effect, boards beside the architecture."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.explore.fit import FitRequest, fit
from hwsim.hardware.circuits import Mux
from hwsim.hardware.fpga import load_fabric
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.fpga.spec import TargetSpec
from hwsim.hardware.pe import make_pe
from hwsim.hardware.target import pe_on_fabric
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.on_device import placement_of
from hwsim.spec.errors import InfeasibleError, SpecError, UsageError
from tests.support.small import TRACE, array, small

README = Path(__file__).parents[2] / "README.md"
ZCU104 = load_device("zcu104")
ARCH = """name: small
technology: 45nm
clock: 200 MHz
array: {rows: 4, cols: 4}
pe: {family: int_mac, format: int8}
memories:
  weights: {size: 16 KiB}
  activations: {size: 16 KiB}
  outputs: {size: 16 KiB}
dram: {preset: ddr4_2400}
vector_unit: {lanes: 4}
target: TARGET
"""


def words(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return what was printed and what was reported, line breaks of the screen as spaces."""
    seen = capsys.readouterr()
    return (" ".join(seen.out.split()), " ".join(seen.err.split()))


# --- stages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_flip_flops_of_an_int8_pe_by_hand(stages: int) -> None:
    """Operands of 8 and 8 bits and a sum of 32 have registers; a cut has what is live on the way, on the mean.

    Live are, from start to end: 32 to 16 bits of partial products, two numbers of 32 bits that become one, and the 32
    of the sum's register; the ASIC model has 16.8, 13.8 and 2.3 levels of delay for them.
    """
    cut = round((16.8 * (32 + 16) / 2 + 13.8 * (64 + 32) / 2 + 2.3 * 32) / (16.8 + 13.8 + 2.3))
    pe = make_pe({"family": "int_mac", "format": "int8"})
    assert pe_on_fabric(pe, ZCU104, "never", stages=stages).sites.ff == 8 + 8 + 32 + (stages - 1) * cut
    assert cut == 35


@pytest.mark.parametrize(("options", "stages", "flip_flops"), [
    # INT8 in a DSP48E2: A, B and P registers hold operands and sum, M the first cut; a second one is on fabric.
    ({"family": "int_mac", "format": "int8"}, None, 0), ({"family": "int_mac", "format": "int8"}, 1, 0),
    ({"family": "int_mac", "format": "int8"}, 2, 0), ({"family": "int_mac", "format": "int8"}, 3, 35),
    # BF16 with an FP32 sum: 32 bits of operands, 32 of the sum; exponents (10 bits) pass the block's own cut.
    ({"family": "float_mac", "format": "bf16"}, 1, 64), ({"family": "float_mac", "format": "bf16"}, 2, 64 + 10),
])  # fmt: skip
def test_registers_of_a_block_are_free_where_it_absorbs_them(options: Any, stages: int | None, flip_flops: int) -> None:
    assert pe_on_fabric(make_pe(options), ZCU104, "always", stages=stages).sites.ff == flip_flops


FAMILIES = [
    ("int_mac", "int8"),
    ("int_mac", "int4"),
    ("exact_mac", "fp8_e4m3"),
    ("float_mac", "bf16"),
    ("lmul", "bf16"),
]


@given(st.sampled_from(FAMILIES), st.integers(1, 63), st.sampled_from(["never", "always"]))
def test_a_stage_more_is_a_register_more_and_no_lut(which: tuple[str, str], stages: int, use: Any) -> None:
    pe = make_pe({"family": which[0], "format": which[1]})
    try:
        fewer, more = (pe_on_fabric(pe, ZCU104, use, stages=count) for count in (stages, stages + 1))
    except UsageError:
        assert which[0] == "lmul"
        return
    step = more.sites.ff - fewer.sites.ff
    assert (more.sites.lut, more.dsp) == (fewer.sites.lut, fewer.dsp)
    assert step == pe.cut_bits or (use == "always" and stages == 1 and step < pe.cut_bits)


def test_stages_of_a_run_reach_pes_and_dequantizers_and_are_said() -> None:
    plain, cut = (
        small("int4_g128", technology="zcu104", target={"dsp": "never", **more}) for more in ({}, {"stages": 3})
    )
    one, three = placement_of(plain), placement_of(cut)
    assert one is not None
    assert three is not None
    assert three.blocks["array"]["ff"] - one.blocks["array"]["ff"] == 16 * 2 * cut.accelerator.pe.cut_bits
    assert three.blocks["dequantizers"]["ff"] > one.blocks["dequantizers"]["ff"]
    assert three.blocks["vector_unit"] == one.blocks["vector_unit"]
    notes = [" ".join(evaluate(machine, TRACE).notes) for machine in (plain, cut)]
    assert "target.stages is not stated" in notes[0]
    assert "registers of 3 stages of every PE" in notes[1]


def test_a_sum_that_is_shifted_first_is_none_of_the_block() -> None:
    one = pe_on_fabric(make_pe({"family": "exact_mac", "format": "fp8_e4m3"}), ZCU104, "always")
    by_role = {part.role: sites for part, sites, _ in one.rows}
    assert by_role["accumulator adder"].lut > 0
    assert by_role["accumulator"].ff > 0


# --- cores -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("label", ["int8", "int4_g128"])
def test_cores_take_so_many_times_what_one_takes_and_a_multiplexer(count: int, label: str) -> None:
    target = {"memory": "bram18"}
    machine = small(label, technology="zcu104", target=target, cores={"count": count})
    one, several = placement_of(small(label, technology="zcu104", target=target)), placement_of(machine)
    assert one is not None
    assert several is not None
    port = ceil(machine.accelerator.dram.bandwidth_gb_s * 1e9 * 8 / 5e8)
    bus = load_fabric().price(Mux(port, count)).lut
    for name, used in several.used.items():
        assert used == pytest.approx(count * one.used[name] + (bus if name == "lut6" else 0))
    assert several.array.pes == count * one.array.pes
    assert set(several.blocks) - set(one.blocks) == {"cores_bus"}


@pytest.mark.parametrize("engine", ["fast", "event"])
def test_cores_run_on_a_device_as_on_an_asic(engine: str) -> None:
    cores = {"count": 4, "split": "m"}
    asic, fpga = (
        evaluate(small(technology=name, cores=cores, mapper={"objective": "latency"}), TRACE, engine)
        for name in ("28nm", "zcu104")
    )
    assert [row["cycles"] for row in fpga.layer_rows] == [row["cycles"] for row in asic.layer_rows]
    assert fpga.design_row["pes"] == 4 * 16
    assert fpga.design_row["energy_mj"] is None
    assert any("its arbiter has no law" in note for note in fpga.notes)
    assert any(note.startswith("4 cores share the DRAM port") for note in fpga.notes)


def test_cores_that_do_not_fit_are_refused_and_fill_fits_them() -> None:
    sizes = {name: {"size": 4096} for name in ("weights", "activations", "outputs")}
    with pytest.raises(InfeasibleError, match="zcu104"):
        small(technology="zcu104", cores={"count": 8}, array=array(rows=64, cols=64), memories=sizes)
    machine = small(technology="zcu104", cores={"count": 3}, target={"fill": True}, memories=sizes)
    side, found = machine.accelerator.rows, placement_of(machine)
    assert found is not None
    assert found.array.pes == 3 * side * side
    with pytest.raises(InfeasibleError):
        small(technology="zcu104", cores={"count": 3}, array=array(rows=side + 1, cols=side + 1), memories=sizes)


def test_cores_in_regions_are_stated() -> None:
    def notes(side: int) -> str:
        machine = small(technology="u250", cores={"count": 4}, array=array(rows=side, cols=side),
                        target={"dsp": "never", "memory": "bram18"})  # fmt: skip
        return " ".join(evaluate(machine, TRACE).notes)

    assert "all of them fit whole into super logic regions" in notes(8)
    assert "crossing(s)" in notes(48)


# --- keys without effect ---------------------------------------------------------------------------

GIVEN: dict[str, Any] = {
    "dsp": "never", "memory": "uram", "fill": True, "reserve": "20%", "shell": {"ddr4_controller": 1}, "stages": 2,
    "grade": "-1", "board_bandwidth": True, "power": "3 W", "power_source": "a", "static_power": "1 W",
    "static_power_source": "a",
}  # fmt: skip


def test_every_key_of_a_target_is_in_this_test() -> None:
    assert set(GIVEN) == set(TargetSpec.model_fields) - {"device"}


@pytest.mark.parametrize("key", GIVEN)
def test_keys_of_a_device_are_refused_on_an_asic(key: str) -> None:
    base = key.removesuffix("_source")
    target = {name: GIVEN[name] for name in (base, f"{base}_source") if name in GIVEN}
    with pytest.raises(SpecError, match=rf"target.{base}: has no effect on 28nm, which is no FPGA device"):
        small(target=target)
    assert TargetSpec.model_validate(target)


def test_what_says_nothing_is_no_mistake() -> None:
    assert small(target={"fill": False, "dsp": "auto"}).spec.device is None


# --- mistakes all at once, and boards beside the architecture --------------------------------------

BOARD = """device: mine
part: xcvm1802
board: our carrier
family: Versal Prime
logic: {primitive: lut6, count: 200000}
ff: 400000
dsp: {primitive: dsp58, count: 900}
bram18: 400
uram: 80
source: an invention of this test
"""


def test_mistakes_of_a_target_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = "{ddr4_contoller: 1, ethernet_100g: -1}"
    target = f'{{dsp: alway, memory: bram, reserve: 120%, shell: {shell}, grade: "-9", power: 3 W}}'
    (tmp_path / "a.yaml").write_text(ARCH.replace("TARGET", target))
    assert run_command(["validate", str(tmp_path / "a.yaml")]) == 2
    text = words(capsys)[1]
    for found in (
        "target.dsp: must be 'auto', 'never' or 'always', not 'alway' (did you mean 'always'?)",
        "target.memory: must be 'auto', 'bram18', 'uram' or 'm20k', not 'bram'", "target.reserve: must be < 1.0, not 1.2",
        "unknown interface 'ddr4_contoller'", "did you mean 'ddr4_controller'", "target.shell.ethernet_100g: must be at",
        "target.grade: unknown speed grade '-9'; valid: -1, -1L, -2, -2L, -3", "power_source: is missing beside power",
    ):  # fmt: skip
        assert found in text
    assert text.count("a.yaml:12:") == 7


def test_mistakes_of_a_board_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = tmp_path / "mine.yaml"
    regions = "slrs: [{lut6: 300000, ff: 1, bram18: 0, uram: 9, dsp: 2}]"
    text = BOARD.replace("bram18: 400", "m20k: 2").replace("dsp58", "dsp48").replace("uram: 80", regions)
    board.write_text(text)
    assert run_command(["validate", str(board)]) == 2
    text = words(capsys)[1]
    for found in ("7:18: dsp.primitive: unknown 'dsp48'", "did you mean 'dsp48e", "bram18: is missing beside",
                  "8:7: m20k: there is none beside logic.primitive: lut6", "9:7: slrs: have 9 uram together",
                  "300,000 lut6 together, the device 200,000", "slr_source: is missing beside slrs"):  # fmt: skip
        assert found in text
    board.write_text(BOARD.replace("uram: 80", "slrs: [{lut6: 3, ff: 1, bram18: 0, uram: 0, dsp: 2}]"))
    assert run_command(["validate", str(board)]) == 2
    assert "slr_source: is missing beside slrs" in words(capsys)[1]


@pytest.mark.parametrize("fields", [{"target": "{device: ./mine.yaml}"}, {"technology": "mine.yaml", "target": "{}"}])
def test_a_board_lies_beside_the_architecture(
    tmp_path: Path, fields: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """From wherever the command is given; a path that is not there is a mistake at its place."""
    text = ARCH.replace("TARGET", fields["target"]).replace("45nm", fields.get("technology", "45nm"))
    (tmp_path / "arch.yaml").write_text(text)
    (tmp_path / "mine.yaml").write_text(BOARD)
    (tmp_path / "trace.csv").write_text(
        "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\none,gemm,8,8,8,1,1,,,\n"
    )
    (tmp_path / "sweep.yaml").write_text(
        "name: boards\nbase: arch.yaml\nworkloads: [{trace: trace.csv}]\n"
        "grid: {target.device: [zcu104, mine.yaml]}\nobjectives: {lut6: min}\n"
    )
    arch = str(tmp_path / "arch.yaml")
    assert run_command(["validate", arch]) == 0
    assert run_command(["run", arch, str(tmp_path / "trace.csv")]) == 0
    assert "resources of mine" in words(capsys)[0]
    assert run_command(["sweep", str(tmp_path / "sweep.yaml"), "-o", str(tmp_path / "out")]) == 0
    designs = (tmp_path / "out" / "designs.csv").read_text()
    assert "mine" in designs
    assert "zcu104" in designs
    (tmp_path / "mine.yaml").unlink()
    assert run_command(["validate", arch]) == 2


# --- explain, clocks -------------------------------------------------------------------------------


def test_a_technology_beside_a_target_is_a_contradiction(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "pe", "lmul", "--target", "zcu104", "--technology", "7nm"]) == 2
    assert "--technology 7nm and --target zcu104 contradict each other" in words(capsys)[1]
    assert run_command(["explain", "pe", "lmul", "--target", "zcu104", "--technology", "zcu104"]) == 0


def test_a_clock_is_held_against_data_sheets(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", "pe", "int8", "--target", "zcu104"]
    assert run_command([*command, "--clock", "700MHz"]) == 0
    assert "700 MHz is as given; data sheets allow it in grade -2: dsp48e2 (all_registers) 775 MHz" in words(capsys)[0]
    assert run_command([*command, "--clock", "700MHz", "--stages", "1"]) == 0
    assert "infeasible: clock: 700 MHz is beyond the 544 MHz of dsp48e2 in grade -2 (no_mreg)" in words(capsys)[0]
    assert run_command([*command, "--clock", "900MHz"]) == 2
    assert "clock: 900 MHz is beyond the 775 MHz of" in words(capsys)[1]
    assert run_command(command) == 0
    assert "no clock is given" in words(capsys)[0]


@pytest.mark.parametrize(("options", "message"), [
    (["--target", "zcu104", "--w-stats", "zeros=0.5"], "--w-stats has no effect on zcu104"),
    (["--stages", "2"], "--stages is for one PE on an FPGA"),
])  # fmt: skip
def test_options_without_effect_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["explain", "pe", "int8", *options]) == 2
    assert message in words(capsys)[1]


def test_a_run_without_clock_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(ARCH.replace("TARGET", "{device: zcu104}").replace("clock: 200 MHz\n", ""))
    assert run_command(["validate", str(tmp_path / "a.yaml")]) == 2
    text = words(capsys)[1]
    assert "missing field 'clock'" in text
    assert "on an FPGA no source tells it: state it, hwsim explain device shows what data sheets allow" in text


def test_no_clock_is_ever_worked_out() -> None:
    for clock in (1e8, 2.5e8):
        found = evaluate(small(technology="zcu104", clock=clock), TRACE)
        assert any(f"clock: {clock / 1e6:g} MHz is as given" in note for note in found.notes)
    assert fit(FitRequest("zcu104", {"family": "int_mac", "format": "int8"})).gops is None


def test_readme_says_so() -> None:
    text = " ".join(README.read_text().split())
    for said in ("target: {device: ./my_board.yaml}", "`target.stages`", "on a bus to one DRAM port"):
        assert said in text
