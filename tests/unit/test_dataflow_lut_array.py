"""LUT arrays by hand: when tables are made, who makes them, and that nothing is priced twice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.hardware.pe.lookup import generator_adders
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.dataflow import ArrayShape, get_dataflow
from hwsim.simulate.dataflow.base import Tables, TileOperands
from hwsim.simulate.dataflow.lut_array import LutArray
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import example_path
from hwsim.spec.errors import ConservationError, SpecError, UsageError
from hwsim.workload import Gemm, Trace
from tests.contract.test_dataflow_contract import run_stepped, shapes
from tests.support.machines import IntegerUnit
from tests.support.small import array, small

LUT = get_dataflow("lut_array")
INT2, INT8 = parse_format("int2"), parse_format("int8")
GEMM = Gemm("g", m=8, n=16, k=32, w_format="int2", a_format="int8")


def pe(**more):
    return {"family": "lut", "w_format": "int2", "a_format": "int8", "tile_m": 2, "tile_n": 8, "weight_bits": 8, **more}


def lut(tables="between", cols=8, lanes=16, **options):
    return small(
        pe=pe(**options), array={**array("lut_array", 4, cols), "tables": tables}, vector_unit={"lanes": lanes}
    )


def test_figures_by_hand():
    # Ten steps of two weight bits; results of four rows leave in four cycles.
    plain = ArrayShape(4, 8, 4, interval=2)
    assert LUT.tile_cycles(plain, 4, 40, 8, True) == 10 * 2 + 4
    for made, between, ahead in ((1, 30, 1 + 9 * 2 + 2), (2, 40, 2 + 9 * 2 + 2), (5, 70, 5 + 9 * 5 + 2)):
        waits, hidden = (replace(plain, tables=Tables(made, early)) for early in (False, True))
        assert LUT.tile_cycles(waits, 4, 40, 8, True) == between + 4
        assert LUT.tile_cycles(hidden, 4, 40, 8, True) == ahead + 4
        assert LUT.tile_cycles(hidden, 8, 40, 16, True) == 4 * (ahead + 4)  # every fold waits for its first tables


@settings(max_examples=60)
@given(shapes, st.tuples(*[st.integers(1, 40)] * 3), st.booleans())
def test_without_tables_it_is_a_broadcast_array_and_made_ahead_it_is_no_slower(shape, dims, first_k):
    bare, broadcast = replace(shape, tables=Tables()), get_dataflow("broadcast")
    assert LUT.tile_cycles(bare, *dims, first_k) == broadcast.tile_cycles(bare, *dims, first_k)
    early, late = (replace(shape, tables=replace(shape.tables, ahead=ahead)) for ahead in (True, False))
    fastest = LUT.tile_cycles(bare, *dims, first_k)
    assert fastest <= LUT.tile_cycles(early, *dims, first_k) <= LUT.tile_cycles(late, *dims, first_k)


class Hasty(LutArray):
    """Takes a step a cycle before its tables can be there, from one step on."""

    name = "hasty"

    def __init__(self, step):
        self.early = step

    def _program(self, *given):
        return [
            replace(fold, marked=fold.marked._replace(ends=fold.marked.ends - (np.arange(len(fold.marked.ends)) >= self.early)))
            for fold in super()._program(*given)
        ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.booleans(), st.integers(2, 6), st.data())
def test_no_step_could_begin_a_cycle_earlier(interval, made, ahead, steps, data):
    shape = ArrayShape(2, 2, 1, interval=interval, tables=Tables(made, ahead))
    a, w = np.ones((2, steps), np.uint32), np.ones((steps, 2), np.uint32)
    operands = TileOperands(a, w, None, None, None)
    step = data.draw(st.integers(0, steps - 1))
    with pytest.raises(ConservationError, match="stepped array"):
        run_stepped(Hasty(step).stepped(shape, IntegerUnit(), operands))
    assert run_stepped(LUT.stepped(shape, IntegerUnit(), operands))[1].tolist() == [[steps] * 2] * 2


def test_who_makes_tables_follows_the_pe():
    fused, own = lut(), lut(precompute="array")
    adders = sum(generator_adders(4, True).values())
    shape = fused.machine(INT2, INT8, INT8).shape
    assert (shape.interval, shape.tables.cycles) == (2, -(-4 * adders // 16))
    assert own.machine(INT2, INT8, INT8).shape.tables.cycles == 1  # an adder for every sum
    # Eight sums of up to four INT8 activations, ten bits each, for 32 bits of activations.
    assert shape.tables.expansion == Fraction(8 * 10, 4 * 8)
    assert lut(k=2, lanes=8).machine(INT2, INT8, INT8).shape.tables.cycles >= 1


def test_the_vector_unit_is_paid_for_its_additions_and_a_generator_once():
    fused, own = lut(), lut(precompute="array")
    rows = [evaluate(machine, Trace("t", (GEMM,), {})).layer_rows[0] for machine in (fused, own)]
    acc = fused.accelerator
    lane_pj = acc.technology.op_energy_pj("add", acc.vector_format) + acc.vector_lane.clock_fj * 1e-3
    additions = 8 * (32 // 4) * 2 * sum(generator_adders(4, True).values())  # 8 rows, 8 steps, 2 folds of N
    assert rows[0]["energy_vector_pj"] - rows[1]["energy_vector_pj"] == pytest.approx(additions * lane_pj)
    # Generators are among the PE's parts; the array adds nothing to them.
    assert set(own.accelerator.area_breakdown_mm2) == set(fused.accelerator.area_breakdown_mm2)
    assert "table_registers" not in own.accelerator.area_breakdown_mm2
    roles = {row.part.role for row in own.accelerator.pe_price.rows}
    assert "table generator" in roles
    assert "table generator" not in {row.part.role for row in acc.pe_price.rows}


def test_a_second_register_per_row_and_tile_has_its_price():
    one, two = lut(cols=16), lut("ahead", cols=16)
    bits = 8 * 10
    register = one.accelerator.technology.price(Register(bits))
    count = 4 * 2  # rows, tiles of eight columns side by side
    assert two.accelerator.area_breakdown_mm2["table_registers"] == pytest.approx(count * register.area_um2 * 1e-6)
    more = two.accelerator.array_clock_pj_per_cycle - one.accelerator.array_clock_pj_per_cycle
    assert more == pytest.approx(count * register.clock_fj * 1e-3)
    steps = [machine.unit_costs(INT2, INT8).pe_register_pj_per_step for machine in (one, two)]
    assert steps[1] - steps[0] == pytest.approx(register.energy_fj * 1e-3 / 8)  # shared by eight columns
    assert two.accelerator.leakage_w - one.accelerator.leakage_w == pytest.approx(count * register.leakage_nw * 1e-9)


def test_a_slow_vector_unit_holds_everything_up():
    slow, fast = (evaluate(lut("ahead", lanes=lanes), Trace("t", (GEMM,), {})).layer_rows[0] for lanes in (1, 64))
    assert slow["compute_cycles"] > fast["compute_cycles"]
    assert slow["cycles"] >= 8 * 8 * 2 * 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"pe": {"family": "int_mac", "format": "int8"}}, "array.tables: a PE of family int_mac reads no tables"),
     ({"pe": pe(variant="add")}, "variant add reads no tables"),
     ({"pe": pe(tile_n=3)}, "array.cols: 8 are no whole tiles of 3.*pe.tile_n: 8"),
     ({"pe": pe(tile_m=3)}, "array.rows: 4 are no whole tiles of 3.*pe.tile_m: 4"),
     ({"array": {"rows": 4, "cols": 8, "dataflow": "lut_array"}}, "array.tables: is missing"),
     ({"array": {"rows": 4, "cols": 8, "dataflow": "broadcast", "tables": "ahead"}}, "no meaning for a broadcast")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changed, message):
    with pytest.raises((UsageError, SpecError, ValueError), match=message):
        small(**{"pe": pe(), "array": {"rows": 4, "cols": 8, "dataflow": "lut_array", "tables": "ahead"}, **changed})


@pytest.mark.parametrize(
    "options", [{}, {"variant": "unpu"}, {"variant": "figlut", "tile_m": 1}, {"variant": "conventional"}]
)
@pytest.mark.parametrize("tables", ["ahead", "between"])
def test_engines_agree(options, tables):
    machine = lut(tables, **options)
    trace = Trace("t", (GEMM, replace(GEMM, layer="h", m=1, n=13, k=27)), {})
    fast, event, stepped = (evaluate(machine, trace, engine).layer_rows for engine in ("fast", "event", "pe"))
    assert fast == event == stepped


def test_the_example_takes_a_cycle_per_weight_bit_and_group_of_four():
    machine = open_arch(example_path("arch_configs", "lut_tensor_core_28nm"))
    row = evaluate(machine, Trace("t", (Gemm("g", m=64, n=512, k=1024),), {})).layer_rows[0]
    bits, m, n, k = 2, 64 // 16, 512 // 128, 1024 // 4
    # The paper's count, W_BIT · ceil(M'/M) · ceil(N'/N) · ceil(K'/K), then first tables and results of every fold.
    assert row["compute_cycles"] >= bits * m * n * k
    assert row["compute_cycles"] <= bits * m * n * k * 1.1
