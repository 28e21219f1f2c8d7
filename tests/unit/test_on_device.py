"""Whole runs on FPGA devices: one line of YAML, budgets that hold, blanks for what no source gives."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.hardware.circuits import Circuit, Mux, Part
from hwsim.hardware.fpga import load_fabric
from hwsim.hardware.fpga.blocks import map_memory
from hwsim.hardware.fpga.device import load_device, shell_resources
from hwsim.hardware.fpga.spec import TargetSpec, read_share
from hwsim.hardware.pe import make_pe
from hwsim.hardware.target import Wanted, pe_on_fabric, place
from hwsim.hardware.target.buffers import BufferWanted, place_buffers
from hwsim.hardware.target.placement import sites_of
from hwsim.hardware.technology import load_technology
from hwsim.simulate.cost import ENERGY_PARTS, settle
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.on_device import placement_of, resource_frame
from hwsim.spec.errors import ConservationError, InfeasibleError, MissingFigureError, SpecError, UsageError
from tests.support.small import TRACE, array, small

FABRIC_PARTS = [part for part in ENERGY_PARTS if part != "energy_dram_pj"]


def run(**fields: Any) -> Any:
    return evaluate(small(**fields), TRACE)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary"])
@pytest.mark.parametrize("label", ["int8", "fp8_e4m3", "int4_g128", "lmul_e4m3"])
def test_one_line_moves_it_and_cycles_and_traffic_stay(dataflow: str, label: str) -> None:
    both = [
        evaluate(small(label, technology=name, array=array(dataflow), mapper={"objective": "latency"}), TRACE)
        for name in ("28nm", "zcu104")
    ]
    asic, fpga = (result.layer_rows for result in both)
    for one, other in zip(asic, fpga, strict=True):
        assert one["cycles"] == other["cycles"]
        assert one["macs"] == other["macs"]
    assert sum(r["dram_read_bytes"] for r in fpga) <= sum(r["dram_read_bytes"] for r in asic)


def test_what_no_source_gives_is_blank_and_never_zero() -> None:
    result = run(technology="zcu104")
    for row in result.layer_rows:
        assert all(row[part] is None for part in (*FABRIC_PARTS, "energy_pj"))
    design = result.design_row
    blank = ("area_mm2", "energy_mj", "edp_mj_ms", "avg_power_w", "tops_per_watt", "tops_per_mm2")
    assert all(design[name] is None for name in blank)
    assert design["latency_ms"] > 0
    assert design["gops"] == pytest.approx(2 * sum(r["macs"] for r in result.layer_rows) / design["latency_ms"] / 1e6)
    assert any("no source gives" in note for note in result.notes)
    assert result.frame["energy_pj"].isna().all()


def test_dram_energy_is_that_of_its_preset() -> None:
    simulated = small(technology="zcu104")
    dram = simulated.accelerator.dram
    for row in evaluate(simulated, TRACE).layer_rows:
        # DRAM's bytes are rounded up to whole ones, per instance and repeat.
        bits = 8 * (row["dram_read_bytes"] + row["dram_write_bytes"])
        standby = row["time_us"] * 1e3 * dram.background_mw
        assert row["energy_dram_pj"] == pytest.approx(bits * dram.read_pj_per_bit + standby, rel=0.01)


def test_an_asic_has_no_device_columns() -> None:
    result = run()
    assert "lut6" not in result.design_row
    assert placement_of(small()) is None
    assert resource_frame(small()) is None


@pytest.mark.parametrize("engine", ["fast", "event", "pe", "roofline"])
def test_every_engine_runs_there(engine: str) -> None:
    assert evaluate(small(technology="zcu104"), TRACE, engine).design_row["lut6"] > 0


def test_blocks_sum_to_what_is_used() -> None:
    placement = placement_of(small("int4_g128", technology="zcu104", array=array(rows=8, cols=6)))
    assert placement is not None
    assert {"array", "vector_unit", "dequantizers", "weights", "activations", "outputs"} == set(placement.blocks)
    for name, used in placement.used.items():
        assert used == pytest.approx(sum(block.get(name, 0.0) for block in placement.blocks.values()))
    one = pe_on_fabric(placement.array.kinds["never"] and small("int4_g128").accelerator.pe, placement.device, "never")
    assert one.sites == placement.array.kinds["never"].sites


def test_an_array_in_luts_takes_its_pes() -> None:
    simulated = small(technology="zcu104", target={"dsp": "never"}, array=array(rows=8, cols=4))
    placement = placement_of(simulated)
    assert placement is not None
    one = pe_on_fabric(make_pe({"family": "int_mac", "format": "int8"}), load_device("zcu104"), "never")
    assert placement.blocks["array"]["lut6"] == pytest.approx(32 * one.sites.lut)
    assert placement.blocks["array"]["dsp"] == 0
    figures = evaluate(simulated, TRACE).design_row
    assert (figures["pe_lut6"], figures["device"]) == (one.sites.lut, "zcu104")


OPTIONS = st.fixed_dictionaries({
    "device": st.sampled_from(["zcu104", "pynq_z2", "ultra96", "u280"]),
    "dsp": st.sampled_from(["auto", "never", "always"]),
    "memory": st.sampled_from(["auto", "bram18"]),
    "reserve": st.sampled_from([0, 0.2, 0.5]),
})  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    target=OPTIONS,
    rows=st.integers(1, 80),
    cols=st.integers(1, 80),
    label=st.sampled_from(["int8", "int4", "exact_e2m1", "fp8_e4m3", "bf16"]),
    size=st.sampled_from([8192, 65536, 1 << 20]),
)
def test_no_budget_is_ever_exceeded(target: dict[str, Any], rows: int, cols: int, label: str, size: int) -> None:
    sizes = {name: {"size": size} for name in ("weights", "activations", "outputs")}
    try:
        machine = small(label, target=target, array=array(rows=rows, cols=cols), memories=sizes)
    except InfeasibleError as error:
        assert target["device"] in str(error)
        return
    placement = placement_of(machine)
    assert placement is not None
    total = placement.device.budget
    for name, used in placement.used.items():
        assert 0 <= used <= placement.usable[name] <= total[name] * (1 - target["reserve"]) + 1e-9
    assert placement.array.in_dsp + placement.array.in_lut == rows * cols
    others = {name: share for name, share in placement.shares.items() if name != "dsp"}
    assert max(others.values()) <= placement.binding_share == placement.shares[placement.binding] <= 1
    assert placement.binding_share > 0


def test_one_row_more_than_fits_is_refused() -> None:
    def build(rows: int) -> Any:
        return small("int8", technology="zcu104", target={"dsp": "never"}, array=array(rows=rows, cols=64))

    low, high = 1, 256
    while high - low > 1:
        middle = (low + high) // 2
        try:
            build(middle)
            low = middle
        except InfeasibleError:
            high = middle
    used = placement_of(build(low))
    assert used is not None
    assert used.binding == "lut6"
    assert used.used["lut6"] + used.used["lut6"] / low > used.usable["lut6"] * 0.99
    with pytest.raises(InfeasibleError, match=rf"array: zcu104: lut6 does not hold {high} × 64 PEs; a PE takes"):
        build(high)


@pytest.mark.parametrize("device", ["zcu104", "ultra96", "pynq_z2"])
@pytest.mark.parametrize("label", ["int8", "fp8_e4m3", "lmul_e4m3"])
def test_a_filled_device_holds_no_larger_square(device: str, label: str) -> None:
    sizes = {name: {"size": 65536} for name in ("weights", "activations", "outputs")}
    machine = small(label, target={"device": device, "fill": True, "reserve": 0.2}, memories=sizes)
    side, found = machine.accelerator.rows, placement_of(machine)
    assert found is not None
    assert side == machine.accelerator.cols == machine.spec.array.cols
    assert evaluate(machine, TRACE).design_row["pes"] == side**2 == found.array.pes
    with pytest.raises(InfeasibleError):
        small(label, target={"device": device, "reserve": 0.2}, array=array(rows=side + 1, cols=side + 1),
              memories=sizes)  # fmt: skip


def test_nothing_fills_a_device_that_is_too_small() -> None:
    with pytest.raises(InfeasibleError, match="clock: 800 MHz is beyond"):
        small(technology="zcu104", target={"fill": True}, clock=8e8)
    sizes = {name: {"size": 1 << 22} for name in ("weights", "activations", "outputs")}
    with pytest.raises(InfeasibleError, match="memories: pynq_z2 does not hold them"):
        small(technology="pynq_z2", target={"fill": True}, memories=sizes)


def test_dsp_blocks_do_not_bind_where_luts_may_take_products() -> None:
    fields: dict[str, Any] = {"technology": "ultra96", "array": array(rows=24, cols=24)}
    auto, always = (placement_of(small(**fields, target={"dsp": use})) for use in ("auto", "always"))
    assert auto is not None
    assert always is not None
    assert always.used["dsp"] == 288
    assert (auto.binding, always.binding) == ("lut6", "dsp")


def test_shell_and_reserve_come_off_first() -> None:
    placement = placement_of(small(technology="zcu104", target={"shell": {"ddr4_controller": 1}, "reserve": "20%"}))
    assert placement is not None
    shell = shell_resources({"ddr4_controller": 1})
    for name, usable in placement.usable.items():
        assert usable == pytest.approx((load_device("zcu104").budget[name] - shell.get(name, 0)) * 0.8)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("banks", [1, 4])
def test_both_halves_and_every_bank_are_memories(buffered: bool, banks: int) -> None:
    buffer = {"size": 65536, "port_bits": 64, "double_buffered": buffered, "banks": banks}
    sizes = {"weights": buffer, "activations": {"size": 8192}, "outputs": {"size": 8192}}
    placement = placement_of(small(technology="zcu104", target={"memory": "bram18"}, memories=sizes))
    assert placement is not None
    parts = 2 if buffered else 1
    depth = 65536 * 8 // 64 // parts // banks
    block = map_memory("bram18", 64, depth)
    assert placement.blocks["weights"]["bram18"] == parts * banks * block.count
    mux = load_fabric().price(Mux(64, block.rows)).lut if block.rows > 1 else 0.0
    assert placement.blocks["weights"]["lut6"] == pytest.approx(parts * banks * mux)


WIDTHS, DEPTHS = st.integers(1, 600), st.integers(1, 20000)


@given(
    wanted=st.lists(st.builds(BufferWanted, WIDTHS, DEPTHS, st.sampled_from([1, 2, 4])), min_size=1, max_size=3),
    device=st.sampled_from(["zcu104", "u280", "kv260"]),
)
def test_no_other_choice_of_memories_has_a_smaller_larger_share(wanted: list[BufferWanted], device: str) -> None:
    found, budget = load_device(device), load_device(device).budget
    named = {str(number): one for number, one in enumerate(wanted)}

    def worst(kinds: tuple[str, ...]) -> float:
        counts = {"bram18": 0, "uram": 0}
        for kind, one in zip(kinds, wanted, strict=True):
            counts[kind] += one.copies * map_memory(kind, one.width_bits, one.depth).count
        return max(counts[kind] / budget[kind] for kind in counts)

    best = min(worst(kinds) for kinds in product(("bram18", "uram"), repeat=len(wanted)))
    try:
        places = place_buffers(named, found, budget)
    except InfeasibleError:
        assert best > 1
        return
    assert worst(tuple(places[name].block.primitive for name in named)) == best <= 1


def test_a_device_without_ultra_ram_refuses_it() -> None:
    with pytest.raises(UsageError, match=r"target.memory: pynq_z2 has no uram; valid: bram18"):
        small(technology="pynq_z2", target={"memory": "uram"})


def test_power_needs_its_source_and_gives_energy() -> None:
    with pytest.raises(SpecError, match="power_source: is missing beside power"):
        small(technology="zcu104", target={"power": "8 W"})
    result = run(technology="zcu104", target={"power": "8 W", "power_source": "a meter"})
    design = result.design_row
    assert design["energy_mj"] == 8 * design["latency_ms"]
    assert design["avg_power_w"] == 8
    assert design["tops_per_watt"] == pytest.approx(design["gops"] / 8000)
    assert sum(row["energy_pj"] for row in result.layer_rows) * 1e-9 == pytest.approx(design["energy_mj"])
    assert all(row[part] is None for row in result.layer_rows for part in FABRIC_PARTS)
    assert any("a meter" in note for note in result.notes)


@pytest.mark.parametrize("objective", ["edp", "energy"])
def test_objectives_that_need_energies_are_refused(objective: str) -> None:
    with pytest.raises(UsageError, match=f"mapper.objective: {objective} needs energies, which no source gives on zcu"):
        small(technology="zcu104", mapper={"objective": objective})


def test_without_an_objective_it_is_latency_and_said() -> None:
    machine = small(technology="zcu104")
    assert machine.spec.mapper.objective == "latency"
    assert any(note.startswith("mapper.objective: latency") for note in evaluate(machine, TRACE).notes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clock": 8e8}, "clock: 800 MHz is beyond the 775 MHz"),
        ({"clock": 7e8, "target": {"grade": "-1"}}, "clock: 700 MHz is beyond the 645 MHz of dsp48e2 in grade -1"),
        ({"network": {"topology": "mesh", "rows": 2, "cols": 2}}, "network: no source gives wires of zcu104"),
        (
            {"chips": {"count": 2, "parallel": "tensor", "link_bandwidth": "10 GB/s", "link_energy": "1 pJ/bit"}},
            "chips.count: one is modelled on zcu104",
        ),
        (
            {"cores": {"count": 2, "network": {"topology": "mesh", "router_energy": "1 pJ/bit"}}},
            "cores.network.topology: no law gives the LUTs of mesh",
        ),
        (
            {"cores": {"count": 2, "reduce": "network", "link_bits": 64, "split": "k"}},
            "cores.reduce: no law gives the adders",
        ),
        (
            {"cores": {"count": 2, "network": {"topology": "bus", "router_energy": "1 pJ/bit"}}},
            "cores.network.router_energy: has no effect on zcu104",
        ),
        ({"clock": 6e8, "target": {"stages": 1}}, "beyond the 544 MHz of dsp48e2 in grade -2 .no_mreg"),
        ({"technology": "agi027", "target": {"shell": {"ddr4_controller": 1}}}, "shell: no source gives what interfaces take"),
        ({"technology": "agi027", "target": {"memory": "uram"}}, "target.memory: agi027 has no uram; valid: m20k"),
        ({"target": {"board_bandwidth": True}}, "target.board_bandwidth: no source gives the memory of zcu104"),
        (
            {"pe": {"family": "int_mac", "format": "int8", "figures": {"basis": "published", "source": "a",
                    "technology": "28nm", "area_um2": 100}}},
            "pe.figures: those of 28nm say nothing about zcu104",
        ),
        (
            {"memories": {"weights": {"size": 8192, "figures": {"source": "a", "area": "1 mm2"}},
                          "activations": {"size": 8192}, "outputs": {"size": 8192}}},
            "memories.weights.figures: those of a macro say nothing about zcu104",
        ),
    ],
)  # fmt: skip
def test_refused_with_the_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(**{"technology": "zcu104", **fields})


def test_a_clock_is_refused_as_infeasible() -> None:
    with pytest.raises(InfeasibleError):
        small(technology="zcu104", clock=8e8)


def test_conditions_of_a_technology_are_refused_on_a_device() -> None:
    with pytest.raises(SpecError, match="vdd: zcu104 has its own"):
        small(technology={"name": "zcu104", "vdd": 0.8})


def test_an_unknown_name_suggests_a_device_or_a_technology() -> None:
    with pytest.raises(SpecError, match="did you mean 'zcu104'"):
        small(technology="zcu14")
    with pytest.raises(SpecError, match="did you mean '28nm'"):
        small(technology="29nm")


def test_target_goes_before_technology_and_parts_name_devices() -> None:
    assert small(target={"device": "zcu104"}).spec.device == "zcu104"
    assert small(technology="xczu7ev").spec.device == "zcu104"
    by_target, by_technology = (
        run(**fields).design_row for fields in ({"target": {"device": "zcu104"}}, {"technology": "zcu104"})
    )
    assert by_target == by_technology


def test_the_boards_memory_may_replace_the_bandwidth() -> None:
    own, board = (
        run(technology="u280", target={"board_bandwidth": asked}).design_row["latency_ms"] for asked in (False, True)
    )
    assert board < own
    machine = small(technology="u280", target={"board_bandwidth": True})
    assert machine.accelerator.dram.bandwidth_gb_s == 460
    assert any("peaks at 460 GB/s" in note for note in run(technology="u280").notes)


def test_weights_may_stay_on_chip() -> None:
    sizes = {"weights": {"size": 65536}, "activations": {"size": 8192}, "outputs": {"size": 8192}}
    loaded, stays = (run(technology="zcu104", memories=sizes, residency={"weights": asked}) for asked in (False, True))
    moved = [sum(row["dram_read_bytes"] for row in result.layer_rows) for result in (loaded, stays)]
    assert moved[1] < moved[0]
    assert not any("nan" in note.split() for note in stays.notes)
    assert any("which no row includes" in note for note in stays.notes)


def test_a_part_without_a_price_is_named() -> None:
    fields = {"technology": "zcu104", "vector_unit": {"lanes": 2, "functions": {"exp": "table"}}}
    try:
        placement = placement_of(small(**fields))
    except MissingFigureError as error:
        assert "vector_unit.functions.exp: part" in str(error)
    else:
        assert placement is not None
        assert placement.blocks["vector_functions"]["lut6"] > 0


class Foreign(Circuit):
    """A circuit without a law on fabric."""

    def cells(self) -> dict[str, float]:
        return {"xor": 1.0}

    def levels(self) -> float:
        return 1.0

    def live_bits(self, progress: float) -> float:
        return 1.0


def test_a_pe_that_a_device_cannot_price_is_refused_with_the_parts_name() -> None:
    pe = make_pe({"family": "int_mac", "format": "int8"})
    pe.__dict__["built"] = (*pe.built, Part("odd decoder", "decode", Foreign()))
    wanted = Wanted(pe, 2, 2, {}, {"weights": BufferWanted(64, 64, 2)}, frozenset(), "weight_stationary", 1e8)
    with pytest.raises(
        MissingFigureError, match="pe: int_mac: part 'odd decoder': no law for a Foreign on FPGA fabric"
    ):
        place(TargetSpec(), "zcu104", wanted)


def test_a_block_beside_the_array_is_refused_with_the_parts_name() -> None:
    with pytest.raises(MissingFigureError, match="vector_unit: part 'odd': no law for a Foreign"):
        sites_of([Part("odd", "decode", Foreign())], "vector_unit", "lut6")


def test_a_device_is_no_technology_where_areas_are_asked_for() -> None:
    with pytest.raises(UsageError, match="zcu104 is an FPGA device, no technology"):
        load_technology("zcu104")


@pytest.mark.parametrize(("text", "share"), [("20%", 0.2), ("0.2", 0.2), (0.5, 0.5), (" 7.5 % ", 0.075)])
def test_shares(text: Any, share: float) -> None:
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("value", ["100%", 1, -0.1, "much", "nan"])
def test_no_shares(value: Any) -> None:
    with pytest.raises(SpecError, match="reserve"):
        small(technology="zcu104", target={"reserve": value})


def test_settled_rows_keep_unpriced_parts_unknown() -> None:
    rows = [dict.fromkeys(ENERGY_PARTS, math.nan) | {"energy_dram_pj": 2.0}]
    settle(rows, FABRIC_PARTS)
    assert rows[0]["energy_dram_pj"] == 2.0
    assert math.isnan(rows[0]["energy_pj"])
    with pytest.raises(ConservationError):
        settle([dict.fromkeys(ENERGY_PARTS, math.nan)], FABRIC_PARTS)
