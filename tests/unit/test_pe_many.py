"""Many PEs at once: every figure is that of the PE alone, to the last bit."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import hwsim
from hwsim.hardware.circuits import DivergenceError, Widths, largest, least, widths
from hwsim.hardware.circuits.base import log2_ceil
from hwsim.hardware.pe import PE, make_pe, pairing
from hwsim.hardware.pe.many import PePrices, price_many
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.pe.registry import PES
from hwsim.hardware.pe.stack import Stack, spread
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError
from tests.contract.test_pe_contract import LABELS

FIGURES = [field.name for field in fields(PePrices)]


def alone(pe, technology, clock_hz):
    price, stages = pipelined_price(pe, technology, float(clock_hz))
    return {name: stages if name == "stages" else getattr(price, name) for name in FIGURES}


def check(pes, clocks, technology="28nm"):
    node = load_technology(technology)
    found = price_many(pes, node, clocks)
    for place, pe in enumerate(pes):
        expected = alone(pe, node, clocks[place])
        assert {name: getattr(found, name)[place] for name in FIGURES} == expected, pe


def family_designs():
    """Return, by family, PEs of every label of the contract tests and of several lanes."""
    found = defaultdict(list)
    for label in LABELS:
        spec = pairing(label).pe_spec
        for lanes in (None, 2, 3, 4, 8, 16, 32):
            try:
                found[spec["family"]].append(make_pe(spec if lanes is None else {**spec, "lanes": lanes}))
            except UsageError:
                assert lanes is not None, label  # the family has no such lanes
    return found


DESIGNS = family_designs()


@pytest.mark.parametrize("family", PES.names())
@pytest.mark.parametrize("technology", ["7nm", "28nm"])
def test_every_family_costs_what_it_costs_alone(family, technology):
    pes = DESIGNS[family]
    clocks = [(4e8, 1e9, 1.7e9)[place % 3] for place in range(len(pes))]
    check(pes, clocks, technology)


def test_families_mix():
    pes = [pe for designs in DESIGNS.values() for pe in designs[:3]]
    check(pes, [1e9] * len(pes))


integers = st.builds(
    lambda w, a, lanes: make_pe({"family": "int_mac", "w_format": f"int{w}", "a_format": f"int{a}", "lanes": lanes}),
    st.integers(2, 12), st.integers(2, 12), st.integers(1, 64),
)  # fmt: skip
floats = st.builds(
    lambda e, m, n, lanes: make_pe(
        {"family": "float_mac", "w_format": f"fp{1 + e + m}_e{e}m{m}", "a_format": f"fp{6 + n}_e5m{n}", "lanes": lanes}
    ),
    st.integers(2, 8), st.integers(1, 10), st.integers(2, 10), st.integers(1, 8),
)  # fmt: skip


@given(st.lists(st.one_of(integers, floats), min_size=1, max_size=12), st.floats(2e8, 2.5e9))
def test_any_widths_cost_what_they_cost_alone(pes, clock_hz):
    check(pes, [clock_hz] * len(pes))


def test_designs_go_together():
    pes = [make_pe({"family": "int_mac", "w_format": f"int{w}", "a_format": "int8"}) for w in range(8, 17)] * 50
    groups = spread(pes, PE, lambda pe, _: type(pe) is Stack and pipelined_price(pe, load_technology("28nm"), 1e9))
    assert len(groups) <= 2
    assert sorted(np.concatenate([places for places, _ in groups]).tolist()) == list(range(len(pes)))


def test_the_same_pe_at_many_clocks():
    check([make_pe(pairing("fp16").pe_spec)] * 40, np.linspace(1e8, 2.4e9, 40).tolist())


def test_clocks_are_one_or_one_each():
    pes, node = DESIGNS["int_mac"][:3], load_technology("28nm")
    with pytest.raises(UsageError, match=r"clocks of shape \(2,\)"):
        price_many(pes, node, [1e9, 2e9])
    with pytest.raises(UsageError, match="faster than one register"):
        price_many(pes, node, [1e9, 1e9, 1e13])
    assert price_many([], node, 1e9).area_um2.shape == (0,)


numbers = hnp.arrays(np.int64, st.integers(2, 6), elements=st.integers(1, 1000))


@given(numbers, st.integers(1, 40))
def test_arithmetic_is_that_of_plain_numbers(values, other):
    laws = [
        lambda x: x + other, lambda x: other - x, lambda x: x * 0.1, lambda x: other / x, lambda x: -(-x // other),
        lambda x: x % other, lambda x: 1 << (x % 60), lambda x: x >> 1, lambda x: log2_ceil(x), lambda x: math.ceil(x / 7),
        lambda x: math.floor(x / 7), lambda x: round(x / 2), lambda x: 2.0 ** (-x % 9), lambda x: x**0.5,
        lambda x: largest(x, other), lambda x: least(x / 3, 7.0), lambda x: (x > other) + (x == other),
    ]  # fmt: skip
    for law in laws:
        found, expected = law(widths(values)), [law(value) for value in values.tolist()]
        assert (found.values.tolist() if isinstance(found, Widths) else [found] * len(values)) == expected


@given(numbers, st.integers(1, 1000))
def test_branches_part_designs_and_equal_ones_do_not(values, limit):
    try:
        side = bool(widths(values) > limit)
    except DivergenceError as parting:
        groups = parting.groups()
        assert len(groups) == 2
        assert [len({value > limit for value in values[group].tolist()}) for group in groups] == [1, 1]
    else:
        assert {value > limit for value in values.tolist()} == {side}


@pytest.mark.parametrize(
    "plain",
    [int, float, hash, str, operator.index, "{:d}".format, lambda x: x * (1,), abs, operator.pos, math.trunc,
     lambda x: divmod(x, 2), lambda x: x & 1, lambda x: 1 | x, lambda x: x ^ 1, lambda x: x**x, lambda x: 2 ** (x**x)],
)  # fmt: skip
def test_what_needs_a_plain_number_parts_designs(plain):
    with pytest.raises(DivergenceError) as parting:
        plain(Widths(np.array([3, 1, 3])))
    assert sorted(group.tolist() for group in parting.value.groups()) == [[0, 2], [1]]


def test_costs_of_a_grid_are_a_table():
    options = {"family": "int_mac", "w_format": ["int4", "int8"], "a_format": "int8", "lanes": [1, 4]}
    frame = hwsim.pe_costs(options, technology="7nm", clock=["500 MHz", 1e9]).frame
    assert frame[["w_format", "lanes", "clock_ghz"]].to_numpy().tolist()[:3] == [
        ["int4", 1, 0.5], ["int4", 1, 1.0], ["int4", 4, 0.5]
    ]  # fmt: skip
    assert len(frame) == 8
    assert (frame["status"] == "ok").all()
    last = alone(
        make_pe({"family": "int_mac", "w_format": "int8", "a_format": "int8", "lanes": 4}), load_technology("7nm"), 1e9
    )
    assert frame.iloc[-1]["area_um2"] == last["area_um2"]
    assert frame.iloc[-1]["energy_pj"] == (last["energy_fj"] + last["clock_fj"]) * 1e-3
    assert frame.iloc[-1]["macs_per_cycle"] == 4


def test_combinations_that_do_not_exist_say_why():
    frame = hwsim.pe_costs({"family": "int_mac", "format": ["int8", "fp16"]}).frame
    assert frame["status"].tolist() == ["ok", "infeasible"]
    assert "fp16" in frame["reason"][1]
    fast = hwsim.pe_costs({"family": "int_mac", "format": ["int8", "fp16"]}, clock=["1 GHz", "20 GHz"]).frame
    assert fast["status"].tolist() == ["ok", "infeasible", "infeasible", "infeasible"]
    assert "faster than one register" in fast["reason"][1]
    assert "fp16" in fast["reason"][3]
    with pytest.raises(UsageError, match="unknown 'int_mack'"):
        hwsim.pe_costs({"family": "int_mack", "format": "int8"})
    with pytest.raises(UsageError, match="nothing to price"):
        hwsim.pe_costs([])
    with pytest.raises(UsageError, match="28nm"):
        hwsim.pe_costs({"family": "int_mac", "format": "int8"}, technology="27nm")
