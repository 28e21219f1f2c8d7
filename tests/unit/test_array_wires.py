"""Wires inside and around the array: from the pitch of the PE, by hand, and growing with the array."""

from __future__ import annotations

import math

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import find_example
from hwsim.spec.errors import MissingFigureError, SpecError, UsageError
from hwsim.workload import Gemm, Trace
from tests.support.small import TRACE, array, small

INT8 = parse_format("int8")

#: CACTI 7 conservative high-performance wires with 30 % slack: fJ at 22 nm and 0.8 V, at 32 nm and 0.9 V.
AT_22, AT_32 = 150.77 / 0.8**2, 198.46 / 0.9**2
SHARE = math.log(28 / 22) / math.log(32 / 22)
WIRE_FJ = AT_22 ** (1 - SHARE) * AT_32**SHARE * 0.9**2


def run(machine, m, n, k):
    return evaluate(machine, Trace("t", (Gemm("g", m=m, n=n, k=k),), {})).layer_rows[0]


def moved_on_wires(machine, row):
    """Energy of the array's wires in pJ: what is left of a row without registers and clock."""
    acc, price = machine.accelerator, machine.accelerator.pe_price
    registers = sum(r.energy_fj for r in price.rows if r.part.group == "register") * 1e-3
    held = acc.technology.price(Register(1)).energy_fj * 1e-3
    drained = row["m"] * row["n"] * 32 * (acc.rows + 1) / 2 * held
    clock = row["compute_cycles"] * acc.array_clock_pj_per_cycle
    return row["energy_rf_pj"] - row["macs"] * registers - drained - clock


@pytest.mark.parametrize(("m", "n", "k"), [(8, 8, 16), (3, 5, 16), (20, 9, 7)])
@pytest.mark.parametrize(("rows", "cols"), [(8, 8), (4, 16)])
def test_broadcast_wires_by_hand(rows, cols, m, n, k):
    machine = small("int8", array=array("broadcast", rows, cols))
    pitch_mm = math.sqrt(machine.accelerator.pe_price.area_um2) / 1000
    # Every activation crosses the array once per fold along N, every weight once per fold along M.
    activations = m * k * math.ceil(n / cols) * 8 * cols * pitch_mm
    weights = k * n * math.ceil(m / rows) * 8 * rows * pitch_mm
    results = m * n * 32 * (rows + 1) / 2 * pitch_mm
    wanted = (activations + weights + results) * WIRE_FJ * 0.5 * 1e-3  # half of random bits toggle
    assert moved_on_wires(machine, run(machine, m, n, k)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("edge", [4, 64])
def test_systolic_hops_are_one_pitch_whatever_the_array(dataflow, edge):
    machine = small("int8", array=array(dataflow, edge, edge))
    unit = machine.unit_costs(INT8, INT8)
    pitch_mm = math.sqrt(machine.accelerator.pe_price.area_um2) / 1000
    bits = 8 + (32 if dataflow == "weight_stationary" else 8)
    assert unit.wire_pj_per_step == pytest.approx(bits * pitch_mm * WIRE_FJ * 0.5e-3)
    assert set(unit.bus_pj_per_bit.values()) == {0.0}


def test_a_full_bus_is_as_long_as_the_hops_that_it_replaces():
    rows = {}
    for dataflow in ("broadcast", "output_stationary"):
        machine = small("int8", array=array(dataflow, 8, 8))
        rows[dataflow] = moved_on_wires(machine, run(machine, 16, 24, 32))
    assert rows["broadcast"] == pytest.approx(rows["output_stationary"])


def test_energy_per_mac_on_the_wires_rises_with_a_broadcast_array():
    per_mac = []
    for edge in (4, 8, 16, 32, 64, 128, 256):
        machine = small("int8", array=array("broadcast", edge, edge), memories=BUFFERS, mapper={"objective": "energy"})
        row = run(machine, 64, 64, 64)
        per_mac.append(moved_on_wires(machine, row) / row["macs"])
    assert per_mac == sorted(per_mac)
    assert len(set(per_mac)) == len(per_mac)
    # Results go down half of the rows; beyond the GEMM's size, buses drive PEs that have nothing to do.
    assert per_mac[-1] > 4 * per_mac[0]


BUFFERS = {k: {"size": 65536} for k in ("weights", "activations", "outputs")}


def test_larger_pes_have_longer_wires():
    price, pitch = {}, {}
    for label in ("int4", "int8", "fp16"):
        machine = small(label, array=array("broadcast", 8, 8))
        fmt = machine.accelerator.pe.w_format
        price[label] = machine.unit_costs(fmt, machine.accelerator.pe.a_format).bus_pj_per_bit["w"]
        pitch[label] = machine.accelerator.pe_price.area_um2**0.5
    assert price["int4"] < price["int8"] < price["fp16"]
    assert price["fp16"] / price["int8"] == pytest.approx(pitch["fp16"] / pitch["int8"])


def test_what_is_scaled_in_the_array_widens_its_pitch():
    edge = small("int4_g128").accelerator
    assert edge.pe_pitch_mm == pytest.approx(math.sqrt(edge.pe_price.area_um2) * 1e-3)
    place = small("int4_g128", array=array("output_stationary")).accelerator
    shared = place.area_breakdown_mm2["dequantizers"] / place.pes
    assert place.pe_pitch_mm == pytest.approx(math.sqrt(place.pe_price.area_um2 * 1e-6 + shared))


@pytest.mark.parametrize("shape", [ArrayShape(4, 16, 1), ArrayShape(3, 5, 4)])
def test_buses_are_as_long_as_the_array(shape):
    assert get_dataflow("broadcast").bus_mm(shape, 0.5) == {"a": shape.cols * 0.5, "w": shape.rows * 0.5}
    for name in ("weight_stationary", "output_stationary"):
        assert get_dataflow(name).bus_mm(shape, 0.5) == {}


def test_half_the_toggles_are_half_the_energy_on_a_bus():
    machine = small("int8", array=array("broadcast"))
    ops = [Gemm("g", m=4, n=4, k=64, a_stats=stats) for stats in ("", "toggle=0.25")]
    whole, half = (evaluate(machine, Trace("t", (op,), {})).layer_rows[0] for op in ops)
    activations = 4 * 64 * 8 * machine.unit_costs(INT8, INT8).bus_pj_per_bit["a"]
    from hwsim.formats.operand import read_operand_stats
    from hwsim.hardware.pe.operands import Operands

    stated = Operands(read_operand_stats(""), read_operand_stats("toggle=0.25"))
    assert machine.unit_costs(INT8, INT8, stated).bus_pj_per_bit["a"] * 4 * 64 * 8 == pytest.approx(activations / 2)
    assert half["energy_rf_pj"] < whole["energy_rf_pj"]


MESH = {"topology": "mesh", "rows": 4, "cols": 4, "router_energy": "0.2 pJ/bit"}


@pytest.mark.parametrize(
    "network",
    [
        MESH,
        {**MESH, "topology": "torus"},
        {"topology": "h_tree", "rows": 4, "cols": 2},
        {"topology": "bus", "rows": 1, "cols": 3},
    ],
)
def test_a_network_over_the_chip_carries_what_the_buffers_move(network):
    plain, machine = small(), small(network=network)
    acc = machine.accelerator
    route = acc.network.topology.unicast(acc.network.grid)
    pitch_mm = math.sqrt(acc.area_mm2 / (network["rows"] * network["cols"]))
    bit_pj = float(route.pitches) * pitch_mm * WIRE_FJ * 0.5e-3 + float(route.hops) * (
        0.2 if "router_energy" in network else 0
    )
    assert acc.network_pj_per_bit == pytest.approx(bit_pj)
    for row, before in zip(evaluate(machine, TRACE).layer_rows, evaluate(plain, TRACE).layer_rows, strict=True):
        moved = 8 * (row["sram_read_bytes"] + row["sram_write_bytes"])
        assert row["energy_network_pj"] == pytest.approx(moved * bit_pj, rel=0.01)  # bytes are rounded up
        assert row["energy_pj"] == sum(row[part] for part in ENERGY_PARTS)
        assert row["cycles"] == before["cycles"]
    assert acc.area_mm2 == plain.accelerator.area_mm2
    assert any(note.startswith("network: the area") for note in evaluate(machine, TRACE).notes)
    assert plain.accelerator.network is None


def test_a_network_is_refused_where_it_cannot_be_built():
    with pytest.raises(MissingFigureError, match="network: mesh: no energy of its routers"):
        small(network={"topology": "mesh", "rows": 2, "cols": 2})
    with pytest.raises(UsageError, match="power of two"):
        small(network={"topology": "h_tree", "rows": 3, "cols": 2})
    arch = find_example("arch_configs", "systolic_32x32_28nm")
    with pytest.raises(SpecError, match="did you mean 'mesh'"):
        open_arch(arch, {"network": "{topology: mseh, rows: 2, cols: 2}"})
