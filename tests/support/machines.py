"""Small machines for engine tests: an exact integer dot unit and hypothesis strategies."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Issue, Pads, Tables
from hwsim.simulate.engine import Context
from hwsim.simulate.mapping import Machine, Prices, build_schedule
from hwsim.simulate.schedule import LOOP_ORDERS, OperandBits, Schedule, Tiling
from hwsim.workload.ops import Gemm

DATAFLOW_NAMES = (
    "weight_stationary", "input_stationary", "output_stationary", "broadcast", "cube", "outer_product", "row_stationary",
    "lut_array", "simd",
)  # fmt: skip
#: Those that take PEs of any family.
ANY_PE = tuple(name for name in DATAFLOW_NAMES if get_dataflow(name).needs != "tables")


class IntegerUnit:
    """Adds products of unsigned codes exactly."""

    def initial(self, shape):
        return np.zeros(shape, dtype=np.int64)

    def accumulate(self, acc, w_codes, a_codes, w, a):
        return acc + (w_codes.astype(np.int64) * a_codes.astype(np.int64)).sum(axis=-1)

    def accumulate_along(self, acc, w_codes, a_codes, w, a):
        return self.accumulate(acc, w_codes, a_codes, w, a)

    def accumulate_many(self, acc, w_codes, a_codes, w, a):
        return acc + a_codes.astype(np.int64) @ w_codes.astype(np.int64)

    def finish(self, acc):
        return acc

    def dot(self, w_codes, a_codes, w, a):
        return int(w_codes.astype(np.int64) @ a_codes.astype(np.int64))


class Codes:
    """Sixteen codes that stand for themselves."""

    bits = 4

    def encode(self, values):
        return np.asarray(values, dtype=np.uint32)

    def code_values(self):
        return np.arange(16.0)


def gemm(m: int, n: int, k: int, batch: int = 1) -> Gemm:
    return Gemm(layer="test", m=m, n=n, k=k, batch=batch)


def machine(dataflow="weight_stationary", shape=None, capacities=(4096, 4096, 8192), bandwidth=Fraction(8), **more):
    return Machine(
        dataflow=get_dataflow(dataflow),
        shape=shape or ArrayShape(4, 4, 1, pads=Pads(4, 2, 2)),
        bits=more.pop("bits", OperandBits(8, 8, 16, 32)),
        capacity_w_bits=capacities[0],
        capacity_a_bits=capacities[1],
        capacity_o_bits=capacities[2],
        dram_bits_per_cycle=bandwidth,
        prices=more.pop("prices", Prices()),
        **more,
    )


def context(of: Machine) -> Context:
    return Context(of.dram_bits_per_cycle, of.dataflow, of.shape, IntegerUnit(), Codes(), Codes())


def honest_tiling(g: Gemm, m: Machine, tiles: tuple[int, int, int], order: str) -> Tiling | None:
    """Return the tiling with every operand held that fits, or None when a tile does not fit."""
    sizes = dict(zip("mkn", tiles, strict=True))
    extents = {"m": g.m, "k": g.k, "n": g.n}
    capacity = {"a": m.capacity_a_bits, "w": m.capacity_w_bits, "psum": m.capacity_o_bits}
    holds = {}
    for name, (first, second, over) in {"a": "mkn", "w": "knm", "psum": "mnk"}.items():
        if m.bits.move(sizes[first] * sizes[second], name) > capacity[name]:
            return None
        region = 1
        for loop in (first, second):
            region *= extents[loop] if order.index(loop) > order.index(over) else sizes[loop]
        holds[name] = m.bits.move(region, name) <= capacity[name]
    return Tiling(*tiles, order, hold_a=holds["a"], hold_w=holds["w"], hold_o=holds["psum"])


@st.composite
def schedules(draw) -> tuple[Schedule, Machine]:
    """Small GEMMs on small machines: ragged, M = 1, several lanes, slow ports, spills, batches."""
    lanes = draw(st.sampled_from([1, 1, 2, 4]))
    shape = ArrayShape(
        rows=draw(st.integers(1, 5)),
        cols=draw(st.integers(1, 5)),
        lanes=lanes,
        interval=draw(st.integers(1, 3)),
        load_interval=draw(st.integers(1, 2)),
        drain_interval=draw(st.integers(1, 2)),
        k_limit=draw(st.sampled_from([None, None, lanes, 3 * lanes])),
        pads=draw(st.sampled_from([None, Pads(6 * lanes, 2 * lanes, 3), Pads(12 * lanes, 3 * lanes, 5)])),
        feed_interval=draw(st.integers(1, 4)),
        tables=Tables(draw(st.integers(0, 3)), draw(st.booleans())),
        issue=draw(
            st.sampled_from([Issue(), Issue(2, 1, 2, 1, 2, 1, 1, 0, 0, 2, True), Issue(1, 2, 3, 2, 1, 1, 0, 1, 1)])
        ),
        **{option: draw(st.booleans()) for option in ("double_buffer", "fold_overlap", "used_only")},
    )
    of = machine(
        dataflow=draw(st.sampled_from(DATAFLOW_NAMES)),
        shape=shape,
        capacities=tuple(draw(st.integers(40, 1200)) for _ in range(3)),
        bandwidth=Fraction(draw(st.integers(1, 64)), draw(st.sampled_from([1, 3]))),
        bits=OperandBits(draw(st.sampled_from([9, 12, 24])), draw(st.sampled_from([15, 24])), 24, 96, 3),
        parts=draw(st.sampled_from([(2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 1, 1)])),
    )
    g = gemm(draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 10)), draw(st.integers(1, 2)))
    tiles = (draw(st.integers(1, g.m)), draw(st.integers(1, g.k)), draw(st.integers(1, g.n)))
    tiling = honest_tiling(g, of, tiles, draw(st.sampled_from(LOOP_ORDERS)))
    if tiling is None:
        tiling = honest_tiling(g, of, (1, 1, 1), "mnk")
    if tiling is None:
        of = machine(of.dataflow.name, shape, bandwidth=of.dram_bits_per_cycle, bits=of.bits, parts=of.parts)
        tiling = honest_tiling(g, of, (1, 1, 1), "mnk")
    assert tiling is not None
    return build_schedule(g, tiling, of), of
