"""FPGA devices, DSP modes, memories in blocks, and the rules of FINN and hls4ml."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.fpga import blocks, finn
from hwsim.hardware.fpga.device import (
    RESOURCES,
    device_names,
    fastest_hz,
    load_device,
    shell_resources,
    utilisation_limits,
)
from hwsim.hardware.fpga.dsp import SHARED, best_mode, dsp_modes, refused_modes
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError

#: ``fpga/device_budgets.csv``: logic, FF, DSP of every row, and the Stratix 10 NX.
BUDGETS = {
    "pynq_z2": (53200, 106400, 220), "kv260": (117120, 234240, 1248), "zcu102": (274080, 548160, 2520),
    "zcu111": (425000, 850000, 4272), "vcu118": (1182240, 2364480, 6840), "u50": (742560, 1485120, 5352),
    "u200": (971520, 1943040, 5856), "u250": (1728000, 3456000, 12288), "u280": (1163520, 2327040, 8496),
    "u55c": (1131000, 2265000, 8304), "zcu104": (230400, 460800, 1728), "agi027": (912800, 3651200, 8528),
    "agi022": (748500, 2994000, 6250), "agi040": (1372000, 5488000, 12792), "d5005": (933120, 3732480, 5760),
    "ultra96": (70560, 141120, 360), "vck190": (899840, 1799680, 1968), "v80": (2574208, 5148416, 10848),
    "s10mx": (702720, 2810880, 3960), "s10nx": (702720, 2810880, 3960),
}  # fmt: skip


@pytest.mark.parametrize("name", device_names())
def test_every_device_states_budgets_and_a_source(name: str) -> None:
    device = load_device(name)
    assert BUDGETS[name] == (device.budget[device.logic], device.budget["ff"], device.budget["dsp"])
    assert set(device.budget) <= set(RESOURCES)
    assert all(count >= 0 for count in device.budget.values())
    assert device.source
    assert dsp_modes(device.dsp_primitive)
    assert load_device(device.part) == device
    for resource in ("lut6", "dsp", "uram"):
        assert sum(region[resource] for region in device.regions) <= device.budget.get(resource, 0)


def test_shells_and_reserves_leave_less() -> None:
    device = load_device("u250")
    shell = shell_resources({"ddr4_controller": 4, "ethernet_100g": 1})
    assert shell["lut6"] == 4 * 33256 + 35219
    left = device.usable(shell, 0.2)
    assert left["lut6"] == pytest.approx((1728000 - shell["lut6"]) * 0.8)
    assert device.crossings == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_device("zcu105"), "unknown FPGA device 'zcu105'.*zcu104"),
        (lambda: load_device("u50").usable(reserve=1.0), "reserve: must be from 0 to below 100 %"),
        (lambda: load_device("pynq_z2").usable(shell_resources({"ddr4_controller": 9})), "shell takes more lut6"),
        (lambda: shell_resources({"ddr5": 1}), "unknown interface 'ddr5'"),
        (lambda: shell_resources({"hbm_interface": -1}), "must be at least 0"),
        (lambda: dsp_modes("dsp48e3"), "unknown DSP block 'dsp48e3'.*dsp48e2"),
        (lambda: blocks.map_memory("bram18", 0, 4), "positive width and depth"),
        (lambda: blocks.shapes("bram"), "unknown memory primitive 'bram'"),
        (lambda: finn.Mvau(10, 10, 3, 1, 8, 8), "simd: 3 does not divide 10"),
        (lambda: finn.Mvau(10, 10, 1, 1, 0, 8), "w_bits must be at least 1"),
        (lambda: finn.Mvau(9, 9, 1, 1, 8, 8).dsp_rtl("agilex_dsp"), "no RTL unit for agilex_dsp"),
        (lambda: finn.dsp58_chain(0.5), "a DSP58 needs 0.741 ns"),
    ],
)
def test_mistakes_are_named(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message):
        call()


def test_clocks_are_those_of_data_sheets() -> None:
    assert fastest_hz("dsp48e2", "-2") == 775e6
    assert fastest_hz("dsp48e2", "-2", "no_registers") == 410e6
    assert fastest_hz("dsp58", "-2", "float") == 750e6
    assert fastest_hz("bufg", "-1", "clock") == 667e6
    with pytest.raises(MissingFigureError, match="no source gives the fastest clock of agilex_dsp"):
        fastest_hz("agilex_dsp", "-2")


def test_limits_are_shares() -> None:
    assert utilisation_limits()["lut6"] == 0.7
    assert all(0 < share <= 1 for share in utilisation_limits().values())


SHARING = st.frozensets(st.sampled_from(("w", "a", "sum", "kept")))


@pytest.mark.parametrize("primitive", sorted({load_device(name).dsp_primitive for name in device_names()} | {"dsp58"}))
@given(st.integers(1, 32), st.integers(1, 32), SHARING)
def test_packing_never_exceeds_what_is_shared(primitive: str, a: int, b: int, shared: frozenset[str]) -> None:
    mode = best_mode(primitive, a, b, shared)
    if mode is None:
        assert not any(m.takes(a, b, "int") and m.shares == "none" for m in dsp_modes(primitive))
        return
    assert mode.takes(a, b, "int")
    assert mode.legal(shared)
    wider = best_mode(primitive, a, b, shared | {"w", "a", "sum", "kept"})
    assert wider is not None
    assert wider.macs >= mode.macs
    assert bool(refused_modes(primitive, a, b, shared)) == (wider.macs > mode.macs)


def test_packing_is_a_constraint_not_a_gift() -> None:
    alone, one, both = (best_mode("dsp48e2", 8, 8, frozenset(s)) for s in ("", "w", "wa"))
    assert (alone.macs, one.macs, both.macs) == (1, 2, 2)  # type: ignore[union-attr]
    assert best_mode("dsp48e2", 4, 4, frozenset("wa")).macs == 4  # type: ignore[union-attr]
    assert best_mode("dsp48e2", 4, 4, frozenset("w")).name == "int4_lanes"  # type: ignore[union-attr]
    assert best_mode("dsp48e2", 4, 4).macs == 1  # type: ignore[union-attr]
    assert best_mode("dsp58", 4, 4, frozenset("w")).macs == 2  # type: ignore[union-attr]
    assert best_mode("dsp58", 8, 8, frozenset({"sum"})).macs == 3  # type: ignore[union-attr]
    assert best_mode("dsp58", 32, 32, arithmetic="float").macs == Fraction(1)  # type: ignore[union-attr]
    assert best_mode("dsp48e2", 32, 32) is None
    assert refused_modes("dsp48e2", 8, 8) == ["int8_x2 (2 products a block) needs a shared operand"]
    assert {mode.shares for name in ("dsp48e2", "dsp58") for mode in dsp_modes(name)} <= set(SHARED)


@given(st.integers(1, 600), st.integers(1, 40_000), st.sampled_from(("bram18", "uram", "lutram", "m20k")))
def test_a_memory_holds_its_words(width: int, depth: int, primitive: str) -> None:
    block = blocks.map_memory(primitive, width, depth)
    assert block.columns * block.width_bits >= width
    assert block.rows * block.depth >= depth
    assert 0 < block.efficiency(width, depth) <= 1
    assert block.count == min(-(-width // w) * -(-depth // d) for w, d in blocks.shapes(primitive))
    assert blocks.map_memory(primitive, width + 1, depth).count >= block.count
    assert blocks.map_memory(primitive, width, depth + 1).count >= block.count


@pytest.mark.parametrize(
    ("width", "depth", "count"), [(36, 512, 1), (18, 1024, 1), (9, 2048, 1), (1, 16384, 1), (72, 512, 2), (37, 513, 3)]
)
def test_block_ram_shapes(width: int, depth: int, count: int) -> None:
    assert blocks.map_memory("bram18", width, depth).count == count


def test_finn_rules_as_finn_states_them() -> None:
    unit = finn.Mvau(inputs=256, outputs=64, simd=8, pe=4, w_bits=4, a_bits=4)
    # alpha = log2 256 + 8 - 2 = 14: ceil(14 + log2(1 + 2^-14) + 1) = 16 bits.
    assert unit.accumulator_bits() == 16
    assert unit.accumulator_bits(12) == 12
    # 300 + 1.1 * 4 * (8 * 3 * 8 + 8 * 15 + 16), 512 words of weights are not distributed.
    assert unit.lut() == pytest.approx(300 + 1.1 * 4 * (192 + 120 + 16))
    assert unit.lut(dsp=True) == pytest.approx(300 + 1.1 * 4 * (120 + 16))
    assert unit.lut(distributed=True) == pytest.approx(unit.lut() + 4 * 8 * 4 * 8)
    assert unit.lut(levels=15) == pytest.approx(unit.lut() + 1.1 * 4 * 15 * 16 * 2)
    assert (unit.dsp_hls(), unit.dsp_rtl("dsp58"), unit.dsp_rtl("dsp48e2")) == (32, 12, 8)
    # 128 bits wide, 512 deep: not deeper than 512, so 36 bits a block.
    assert unit.bram18() == 4
    assert unit.uram() == 2
    assert unit.cycles(10) == 16 * 32 * 10


@pytest.mark.parametrize(
    ("width", "depth", "count"),
    [(1, 20000, 2), (2, 9000, 2), (4, 5000, 2), (9, 2048, 1), (18, 2000, 2), (40, 600, 3), (40, 512, 2)],
)
def test_finn_block_ram_ladder(width: int, depth: int, count: int) -> None:
    assert finn.Mvau(depth, 1, 1, 1, width, 8).bram18() == count


def test_hls4ml_and_others() -> None:
    assert finn.hls4ml_dsp(64, 32, 16, 8) == 0
    assert finn.hls4ml_dsp(64, 32, 16, 9) == 128
    assert finn.hls4ml_bram36(64, 32, 16, 8) == 29
    assert finn.hls4ml_bram36(64, 32, 1, 8) == 0
    assert finn.fifo_lut(64, 16) == 12 + 2 * 8
    assert finn.dsp58_chain(2.0) == 3


def test_every_figure_has_a_source() -> None:
    for name in (
        "shell",
        "utilisation",
        "dsp_fmax",
        "dsp_modes",
        "memory_primitives",
        "dsp_columns",
        "lut_rows",
        "component_rows",
    ):
        assert all(row["source"].strip() for row in read_csv_rows("fpga", f"{name}.csv"))
