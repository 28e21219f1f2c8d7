"""Every technology: it prices every part, says where each figure comes from, and names what it lacks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Adder, LeadingZeroCounter, Multiplier, Register, Shifter
from hwsim.hardware.pe import PES, make_pe
from hwsim.hardware.technology import load_technology, scaling_path, technology_names
from hwsim.hardware.technology.operations import OPERATIONS
from hwsim.hardware.technology.scaling import scaled_data
from hwsim.hardware.technology.spec import ConditionsSpec, open_technology
from hwsim.spec.bind import validate_mapping
from hwsim.spec.data import read_yaml
from hwsim.spec.errors import MissingFigureError, UsageError
from tests.support.small import small

NAMES = technology_names()
#: The general ladder of nodes; libraries apart.
LADDER = sorted((n for n in NAMES if n.endswith("nm") and n[:-2].isdigit()), key=lambda n: int(n[:-2]))
UNITS = (Adder(16), Multiplier(8, 8), Shifter(16, 16), Register(32), LeadingZeroCounter(24))
#: Memories begin and end here (hwsim/hardware/memory).
SRAM_NODES = (7, 90)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def usual(family):
    for options in ({"family": family}, {"family": family, "format": "fp16"}, {"family": family, "format": "int8"}):
        try:
            return make_pe(options)
        except UsageError:
            continue
    return None


def test_every_part_of_every_pe_has_a_price(name):
    technology = load_technology(name)
    pes = [pe for pe in map(usual, PES.names()) if pe is not None]
    assert len(pes) > 20
    for pe in pes:
        for part in pe.parts():
            price = technology.price(part.circuit)
            for figure in ("area_um2", "energy_fj", "clock_fj", "leakage_nw", "delay_ps"):
                value = getattr(price, figure)
                assert math.isfinite(value), (pe.family, part)
                assert value >= 0, (pe.family, part)


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_has_an_energy(name, op):
    for fmt in ("fp32", "bf16"):
        assert 0 < load_technology(name).op_energy_pj(op, parse_format(fmt)) < math.inf


def test_constants_say_their_source_and_scaled_ones_are_estimated(name):
    found = {c.name: c for c in load_technology(name).constants()}
    library = not scaling_path(name)
    for constant in found.values():
        assert len(constant.source) > 20
        assert constant.value >= 0
    for key in ("energy_fj_per_um2", "area_um2.fa"):
        assert found[key].estimated or library
    assert {"wire_fj_per_bit_mm", "wire_delay_ns_per_mm", "vdd_v"} <= set(found)


def test_the_path_leads_from_a_library_to_the_technology_and_its_factors_are_those_of_the_prices(name):
    data, steps = read_yaml("technology", f"{name}.yaml"), scaling_path(name)
    assert all(len(step.source) > 20 and step.factor > 0 for step in steps)
    if not steps:
        assert "scaled_from" not in data
        assert "between" not in data
        return
    assert "scaled_from" not in read_yaml("technology", f"{steps[0].origin}.yaml")
    last = [step for step in steps if step.target == name]
    assert {step.quantity for step in last} >= {"area", "energy", "delay"}
    fields = {"area": "area_um2", "energy": "energy_fj", "delay": "delay_ps", "leakage": "leakage_nw"}
    origin, here = load_technology(last[0].origin), load_technology(name)
    for step in last:
        one, other = (getattr(t.price(Multiplier(8, 8)), fields[step.quantity]) for t in (origin, here))
        if step.quantity == "leakage":  # per area
            other /= here.price(Multiplier(8, 8)).area_um2 / origin.price(Multiplier(8, 8)).area_um2
        assert other / one == pytest.approx(step.factor), step


def test_a_whole_accelerator_works_or_the_gap_is_named(name):
    node = load_technology(name).node_nm
    if SRAM_NODES[0] <= node <= SRAM_NODES[1]:
        assert small(technology=name, clock=1e8).accelerator.area_mm2 > 0
        return
    with pytest.raises(
        MissingFigureError, match=f"technology {name}: no memory figures at {node:g} nm; valid nodes: 7 to 90"
    ):
        small(technology=name, clock=1e8)


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_larger_nodes_are_larger_hungrier_and_slower(unit):
    prices = [load_technology(name).price(unit) for name in LADDER]
    for small_one, large in pairwise(prices):
        assert small_one.area_um2 < large.area_um2
        assert small_one.energy_fj < large.energy_fj or unit == Register(32)
        assert small_one.clock_fj <= large.clock_fj
        assert small_one.delay_ps <= large.delay_ps  # the foundry compares 7, 5 and 3 nm at one speed


def test_the_ladder_is_180_to_3_nm():
    assert [f"{n}nm" for n in (3, 5, 7, 10, 12, 14, 16, 20, 22, 28, 32, 40, 45, 65, 90, 130, 180)] == LADDER


@pytest.mark.parametrize("name", ["12nm", "16nm"])
def test_nodes_that_were_interpolated_by_hand_are_what_the_law_gives(name):
    """Their factors have four digits; the law has them all."""
    data = read_yaml("technology", f"{name}.yaml")
    low, high, here = (load_technology(n) for n in ("7nm", "28nm", name))
    share = math.log(data["node_nm"] / 7) / math.log(28 / 7)
    for field in ("area_um2", "energy_fj", "delay_ps"):
        ends = [getattr(t.price(Multiplier(8, 8)), field) for t in (low, high)]
        mean = ends[0] ** (1 - share) * ends[1] ** share
        assert getattr(here.price(Multiplier(8, 8)), field) == pytest.approx(mean, rel=1e-3)


def test_figures_between_two_technologies_are_their_geometric_mean():
    low, high, here = (scaled_data(n) for n in ("28nm", "45nm", "32nm"))
    share = math.log(32 / 28) / math.log(45 / 28)
    for key in ("delay_ps_per_level", "energy_fj_per_um2", "leakage_nw_per_um2", "register_clock_fj_per_bit"):
        wanted = (1 - share) * math.log(low[key]["value"]) + share * math.log(high[key]["value"])
        assert math.log(here[key]["value"]) == pytest.approx(wanted)
        assert here[key]["estimated"]
    assert here["vdd_v"]["value"] == 0.9


def test_conditions_of_a_file_reach_the_technology():
    asked = {"vdd": "0.95 V", "temperature": "85 degC", "delay_law": "alpha_power", "wires": {"style": "delay_optimal"}}
    technology = open_technology("28nm", validate_mapping(asked, ConditionsSpec))
    assert (technology.vdd_v, technology.temperature_k) == (0.95, 358.15)
    assert technology.wires.style == "delay_optimal"
    assert "alpha-power" in technology.supply.source
    plain = open_technology("28nm", ConditionsSpec())
    assert plain is load_technology("28nm", None, None, plain.wires, "auto")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"vdd": "0.5 V"}, r"valid: 0\.72 to 1\.08 V"),
        ({"temperature": "200 K"}, r"valid: 298\.15 to 380 K"),
        ({"temperature": "85"}, "has no unit"),
        ({"wires": {"style": "slack30"}}, "slack_30"),
        ({"delay_law": "cubic"}, "alpha_power"),
    ],
)
def test_conditions_out_of_range_are_refused(asked, words):
    with pytest.raises(UsageError, match=words):
        open_technology("28nm", validate_mapping(asked, ConditionsSpec))
