"""GEMMs and designs timed together, pair by pair equal to the ordinary way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.simulate import pairs
from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.dataflow.base import Issue, Pads, Tables
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.pairs import time_pairs
from hwsim.simulate.schedule import OperandBits, moved_bits
from hwsim.spec.errors import UsageError
from tests.support.machines import DATAFLOW_NAMES, gemm, machine

machines = st.builds(
    lambda edges, intervals, capacities, bandwidth: lambda flow, bits, lanes, own=None: machine(
        flow, ArrayShape(*edges, lanes, *intervals, feed_interval=intervals[0] + 1, **(own or {})), capacities, Fraction(*bandwidth), bits=bits, policy="scalesim"
    ),
    st.tuples(st.integers(1, 8), st.integers(1, 8)), st.tuples(*[st.integers(1, 3)] * 3),
    st.tuples(*[st.integers(8, 6000)] * 3), st.tuples(st.integers(1, 300), st.sampled_from([1, 3])),
)  # fmt: skip
gemms = st.builds(gemm, st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 3))


def one_by_one(asked, designs):
    found = []
    for g in asked:
        for of in designs:
            schedule = map_gemm(g, of)
            timing = recur(schedule, of.dram_bits_per_cycle)
            load, store = moved_bits(schedule.body)
            found.append((timing.cycles, timing.compute_cycles, load * g.batch, store * g.batch))
    return np.array(found).T.reshape(4, len(asked), len(designs))


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(DATAFLOW_NAMES), st.lists(machines, min_size=1, max_size=4), st.lists(gemms, min_size=1, max_size=4),
    st.sampled_from([OperandBits(8, 8, 16, 32), OperandBits(9, 24, 24, 96, 3)]), st.sampled_from([1, 4]),
    st.sampled_from([{}, {"pads": Pads(16, 8, 3), "tables": Tables(2, True), "issue": Issue(2, 2, 3, 1, 2, 1, 1)}]),
)  # fmt: skip
def test_pairs_are_timed_as_alone(flow, designs, asked, bits, lanes, own):
    of = [build(flow, bits, lanes, own) for build in designs]
    found = time_pairs(asked, of)
    together = np.array([found.cycles, found.compute_cycles, found.load_bits, found.store_bits])
    assert np.array_equal(together, one_by_one(asked, of))


def test_pairs_that_do_not_settle_go_the_ordinary_way(monkeypatch):
    monkeypatch.setattr(pairs, "ROUNDS", 1)
    of = [machine(shape=ArrayShape(3, 4, 1), bandwidth=Fraction(b), policy="scalesim") for b in (1, 7, 1000)]
    found = time_pairs([gemm(30, 40, 50), gemm(1, 2, 3)], of)
    assert not found.settled.all()
    assert found.settled.any()
    assert np.array_equal(found.cycles, one_by_one([gemm(30, 40, 50), gemm(1, 2, 3)], of)[0])


@pytest.mark.parametrize(
    "other",
    [{"policy": "search"}, {"parts": (1, 2, 2)}, {"bits": OperandBits(4, 8, 16, 32)},
     {"shape": ArrayShape(4, 4, 1, fold_overlap=True)}, {"shape": ArrayShape(4, 4, 1, k_limit=8)}],
)  # fmt: skip
def test_what_cannot_be_timed_together_is_refused(other):
    plain = machine(policy="scalesim")
    with pytest.raises(UsageError, match="time_pairs"):
        time_pairs([gemm(3, 4, 5)], [plain, replace(plain, **other)])
