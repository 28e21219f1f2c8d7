"""Steps of a nest: summed over all of them, everything is what the closed form and the walk count."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate.nest.count import count, lower_bound
from hwsim.simulate.nest.loops import check_nest
from hwsim.simulate.nest.steps import Steps
from hwsim.simulate.nest.walk import walk
from hwsim.simulate.schedule import expand, moved_bits, step_cycles
from tests.unit.test_nest_count import WIDTHS, cases


def plain(case):
    """Whether no dimension lies on two axes; the search gives no others."""
    dims = [loop.dim for loop in case[1].loops if loop.axis is not None]
    return len(set(dims)) == len(dims)


@settings(max_examples=300, deadline=None)
@given(cases().filter(plain))
def test_steps_sum_to_the_walk(case):
    hierarchy, nest = case
    check_nest(hierarchy, nest, WIDTHS)
    steps = Steps(hierarchy, nest, WIDTHS)
    total: Counter = Counter()
    cycles = 0
    for times, region in steps.regions():
        cycles += times * steps.compute_cycles(region)
        for key, bits in steps.bits(region).items():
            total[key] += times * bits
    bits, walked = walk(hierarchy, nest, WIDTHS)
    assert {key: value for key, value in total.items() if value} == bits
    assert cycles == walked


@settings(max_examples=100, deadline=None)
@given(cases().filter(plain), st.integers(1, 3))
def test_the_body_moves_what_crosses_the_outermost_port(case, interval):
    hierarchy, nest = case
    moved = count(hierarchy, nest, WIDTHS)
    body = Steps(hierarchy, nest, WIDTHS, interval).body()
    reads = sum(moved.at(0, x, "read") for x in "awo")
    assert moved_bits(body) == (reads, moved.at(0, "o", "write"))
    inner = [port for level in hierarchy.levels[1:] for port in level.ports]
    if inner:
        assert step_cycles(body) >= moved.compute_cycles * interval
    opened = [step for step in expand(body) if step.opens]
    assert sum(step.store_bits > 0 for step in expand(body)) >= 1
    assert opened
    assert expand(body)[0].opens
    assert not expand(body)[0].reloads


@settings(max_examples=100, deadline=None)
@given(cases().filter(plain))
def test_steps_last_as_long_as_the_busiest_port_inside(case):
    hierarchy, nest = case
    moved = count(hierarchy, nest, WIDTHS)
    steps = Steps(hierarchy, nest, WIDTHS)
    inside = [
        sum(moved.at(i, x, d) for x in port.operands for d in port.directions)
        / port.bits_per_cycle
        / moved.instances[i]
        for i, level in enumerate(hierarchy.levels[1:], start=1)
        for port in level.ports
    ]
    assert step_cycles(steps.body()) >= max([moved.compute_cycles, *inside])
    assert lower_bound(hierarchy, moved).cycles >= moved.compute_cycles
