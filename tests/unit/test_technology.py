"""Technologies: scaling, supply, operations, lanes, errors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Adder, Multiplier, Part, Register
from hwsim.hardware.technology import factor, load_technology, technology_names
from hwsim.hardware.technology.operations import operation_counts, operation_parts
from hwsim.spec.data import read_yaml
from hwsim.spec.errors import MissingFigureError, UsageError

FLOATS = ["fp8_e4m3", "bf16", "fp16", "fp32"]


@pytest.mark.parametrize("name", technology_names())
def test_every_constant_has_a_source(name):
    constants = load_technology(name).constants()
    assert len(constants) >= 18
    for constant in constants:
        assert len(constant.source) > 20, constant
        assert constant.value >= 0


def test_the_names_are_what_they_say():
    nodes = [3, 5, 7, 10, 12, 14, 16, 20, 22, 28, 32, 40, 45, 65, 90, 130, 180]
    assert technology_names() == sorted([*(f"{node}nm" for node in nodes), "gt2n", "sg13g2", "sky130"])
    assert all(load_technology(f"{node}nm").node_nm == node for node in nodes)
    for asked, near in (("28 nm", "28nm"), ("29nm", "28nm"), ("1nm", "3nm"), ("500nm", "180nm"), ("sky13", "sky130")):
        with pytest.raises(UsageError, match=rf"valid: 3nm, 5nm, .*180nm, gt2n.*did you mean '{near}'"):
            load_technology(asked)
    with pytest.raises(UsageError, match="unknown technology '0nm'"):
        load_technology("0nm")


@pytest.mark.parametrize("name", ["28nm", "45nm"])
def test_scaled_technologies_are_the_origin_times_one_factor_each(name):
    scale = {k: v["value"] for k, v in read_yaml("technology", f"{name}.yaml")["scale"].items()}
    base, scaled = load_technology("7nm"), load_technology(name)
    for circuit in (Adder(16), Multiplier(8, 8), Register(32)):
        one, other = base.price(circuit), scaled.price(circuit)
        assert other.area_um2 == pytest.approx(one.area_um2 * scale["area"])
        assert other.energy_fj == pytest.approx(one.energy_fj * scale["energy"])
        assert other.delay_ps == pytest.approx(one.delay_ps * scale["delay"])
        assert other.clock_fj == pytest.approx(one.clock_fj * scale["energy"])
    assert all(c.estimated for c in scaled.constants() if c.name.startswith("area"))


def test_nodes_are_ordered():
    prices = [load_technology(n).price(Multiplier(8, 8)) for n in ("7nm", "28nm", "45nm")]
    for figure in ("area_um2", "energy_fj", "delay_ps"):
        values = [getattr(p, figure) for p in prices]
        assert values == sorted(values)


@pytest.mark.parametrize("name", technology_names())
def test_less_supply_less_energy_more_delay(name):
    nominal = load_technology(name)
    for step in (0.95, 0.9):
        lower = load_technology(name, round(nominal.vdd_v * step, 4))
        assert lower.price(Adder(16)).energy_fj < nominal.price(Adder(16)).energy_fj
        assert lower.price(Adder(16)).delay_ps > nominal.price(Adder(16)).delay_ps
        assert lower.price(Adder(16)).leakage_nw < nominal.price(Adder(16)).leakage_nw
        assert lower.wire_fj_per_bit_mm < nominal.wire_fj_per_bit_mm
        assert lower.price(Adder(16)).area_um2 == nominal.price(Adder(16)).area_um2


def test_energy_follows_the_square_of_the_supply_roughly():
    # Dynamic energy is C V²; the fit stays within 15 % of it over a tenth of the supply.
    ratio = load_technology("45nm", 0.81).price(Adder(8)).energy_fj / load_technology("45nm").price(Adder(8)).energy_fj
    assert ratio == pytest.approx(0.81, rel=0.15)


def test_supply_out_of_range_is_refused():
    with pytest.raises(UsageError, match=r"valid: 0\.72 to 1\.08 V"):
        load_technology("45nm", 0.5)


def test_stage_registers_stop_glitches():
    tech = load_technology("7nm")
    parts = [Part("m", "multiplier", Multiplier(8, 8)), Part("r", "register", Register(16))]
    energies = [tech.price_parts(parts, "float_mac", "uniform", stages=s).energy_fj for s in (1, 2, 4, 10**6)]
    assert energies == sorted(energies, reverse=True)
    settled = sum(tech.price(p.circuit).energy_fj for p in parts)
    assert energies[-1] == pytest.approx(settled, rel=1e-4)
    one = tech.price_parts(parts, "float_mac", "uniform")
    assert one.glitch_factor == factor("glitch", "float_mac")
    assert tech.price_parts(parts, "float_mac", "uniform", stages=2).glitch_factor == pytest.approx(
        (1 + one.glitch_factor) / 2
    )


def test_unknown_glitch_family():
    with pytest.raises(MissingFigureError, match="float_mac"):
        load_technology("7nm").price_parts([], "float_mak")


def reciprocal(d, rounds):
    """Newton-Raphson as the module describes it; d in [0.5, 1)."""
    x = 48 / 17 - 32 / 17 * d
    for _ in range(rounds):
        x += x * (1 - d * x)
    return x


@pytest.mark.parametrize("name", [n for n in FLOATS if n != "fp32"] + ["fp32"])
@given(d=st.floats(0.5, 1, exclude_max=True))
def test_division_is_accurate_enough_for_the_format(name, d):
    fmt = parse_format(name)
    counts = operation_counts("div", fmt)
    rounds = (counts["mul"] - 2) // 2
    assert counts["add"] == 1 + 2 * rounds
    assert abs(reciprocal(d, rounds) * d - 1) < 2.0**-fmt.element.sig_bits


@pytest.mark.parametrize("name", FLOATS)
def test_exponential_is_accurate_enough_for_the_format(name):
    import numpy as np

    fmt = parse_format(name)
    degree = operation_counts("exp", fmt)["mul"] - 2
    r = np.linspace(-math.log(2) / 2, math.log(2) / 2, 2001)
    # Chebyshev interpolation is near-minimax: the degree that is priced must reach the precision.
    fitted = np.polynomial.chebyshev.Chebyshev.interpolate(np.exp, degree, domain=[r[0], r[-1]])
    assert np.max(np.abs(fitted(r) / np.exp(r) - 1)) < 2.0**-fmt.element.sig_bits


def test_operations_cost_what_they_are_made_of():
    tech, fmt = load_technology("28nm"), parse_format("fp16")
    add, mul = tech.op_energy_pj("add", fmt), tech.op_energy_pj("mul", fmt)
    counts = operation_counts("exp", fmt)
    assert tech.op_energy_pj("exp", fmt) == pytest.approx(counts["add"] * add + counts["mul"] * mul)
    assert tech.op_energy_pj("cmp", fmt) < add < tech.op_energy_pj("div", fmt)
    with pytest.raises(UsageError, match="exp"):
        tech.op_energy_pj("expp", fmt)


@pytest.mark.parametrize("op", ["add", "mul", "cmp"])
def test_wider_formats_cost_more(op):
    tech = load_technology("7nm")
    energies = [tech.datapath(op, parse_format(n)).area_um2 for n in FLOATS]
    assert energies[0] < energies[1] <= energies[3]
    assert energies[0] < energies[2] < energies[3]
    assert all(p.group for p in operation_parts(op, parse_format("fp16"))[0])


def test_a_lane_is_the_sum_of_its_units():
    tech, fmt = load_technology("28nm"), parse_format("fp32")
    lane = tech.vector_lane(fmt)
    units = sum(tech.datapath(op, fmt).area_um2 for op in ("add", "mul", "cmp"))
    assert lane.area_um2 == pytest.approx(units + tech.price(Register(128)).area_um2)


@given(st.sampled_from(FLOATS), st.sampled_from(["add", "mul", "cmp", "div", "exp"]))
def test_integer_and_float_operations_have_positive_energy(name, op):
    for technology in technology_names():
        assert load_technology(technology).op_energy_pj(op, parse_format(name)) > 0


def test_nodes_between_two_others_lie_between_them():
    technologies = [load_technology(name) for name in ("7nm", "12nm", "16nm", "28nm")]
    for figure in ("area_um2", "energy_fj", "delay_ps", "leakage_nw"):
        values = [getattr(t.price(Multiplier(8, 8)), figure) for t in technologies]
        assert values == sorted(values)
    assert all(c.estimated for c in technologies[1].constants())
