"""Array options of an architecture file: they reach the folds, all engines agree, and registers have their price."""

from __future__ import annotations

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.circuits import Register
from hwsim.simulate.dataflow import DATAFLOWS
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.errors import SpecError
from hwsim.workload import Gemm, Trace
from tests.support.small import array, small

OPTIONS = {"weight_double_buffer": True, "fold_overlap": True, "ragged": "used"}
INT8 = parse_format("int8")
TRACE = Trace("t", (Gemm("g", m=9, n=11, k=21, batch=2), Gemm("one", m=1, n=16, k=40)))


#: Dataflows whose stationary operand has a second register, and not a second scratchpad.
REGISTERED = [
    name for name in DATAFLOWS.names()
    if DATAFLOWS.get(name).needs != "scratchpads" and "weight_double_buffer" not in DATAFLOWS.get(name).without_effect
]  # fmt: skip


def of(flow, **options):
    return small("int8", array={**array(flow, 4, 3), **options})


def cycles(machine, engine="fast"):
    return [row["compute_cycles"] for row in evaluate(machine, TRACE, engine).layer_rows]


def test_a_file_without_options_is_as_ever():
    shape = of("weight_stationary").machine(INT8, INT8, INT8).shape
    assert shape.plain
    assert of("weight_stationary").accelerator.second_register is None


@pytest.mark.parametrize("flow", DATAFLOWS.names())
@pytest.mark.parametrize("chosen", [[], *[[name] for name in OPTIONS], list(OPTIONS)])
def test_engines_agree_with_every_option(flow, chosen):
    chosen = [name for name in chosen if name not in DATAFLOWS.get(flow).without_effect]
    machine = of(flow, **{name: OPTIONS[name] for name in chosen})
    fast, event, stepped = (evaluate(machine, TRACE, engine) for engine in ("fast", "event", "pe"))
    assert fast.layer_rows == event.layer_rows == stepped.layer_rows
    assert all(new <= old for new, old in zip(cycles(machine), cycles(of(flow)), strict=True))


@pytest.mark.parametrize("flow", REGISTERED)
def test_second_registers_have_their_price(flow):
    plain, double = of(flow), of(flow, weight_double_buffer=True)
    bits = {"w": 8, "a": 8, "o": plain.accelerator.pe.psum_bits}[plain.dataflow.stationary]
    one = plain.accelerator.technology.price(Register(bits))
    acc, before = double.accelerator, plain.accelerator
    assert acc.area_breakdown_mm2["second_registers"] == pytest.approx(12 * one.area_um2 * 1e-6)
    assert acc.area_mm2 == pytest.approx(before.area_mm2 + 12 * one.area_um2 * 1e-6)
    assert acc.leakage_w == pytest.approx(before.leakage_w + 12 * one.leakage_nw * 1e-9)
    assert acc.array_clock_pj_per_cycle == pytest.approx(before.array_clock_pj_per_cycle + 12 * one.clock_fj * 1e-3)
    new, old = (m.unit_costs(INT8, INT8).shift_pj_per_bit for m in (double, plain))
    moved = plain.dataflow.stationary
    assert new[moved] > old[moved]
    assert {k: v for k, v in new.items() if k != moved} == {k: v for k, v in old.items() if k != moved}


@pytest.mark.parametrize(
    ("flow", "options", "message"),
    [("weight_stationary", {"scalesim_os_cycles": True}, "is about output_stationary"),
     ("output_stationary", {"scalesim_os_cycles": True, "fold_overlap": True}, "takes no other option"),
     ("output_stationary", {"ragged": "full"}, "padded"),
     ("cube", {"ragged": "used"}, "has no effect on a cube array: a face takes as long")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(flow, options, message):
    with pytest.raises((SpecError, ValueError), match=message):
        of(flow, **options)
