"""Scales that act after the GEMM: a product per result in the vector unit, where integer sums become floats."""

from __future__ import annotations

import pytest

from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import work
from hwsim.workload import Gemm, Trace
from tests.support.small import small

GEMM = {"m": 9, "n": 10, "k": 33, "batch": 2}


def row(label, o_format, lanes=4, **unit):
    machine = small(label, vector_unit={"lanes": lanes, **unit})
    trace = Trace("t", (Gemm("g", **GEMM, o_format=o_format),), {})
    return evaluate(machine, trace).layer_rows[0], machine


def test_integer_sums_are_scaled_once_per_result():
    (plain, machine), (scaled, _) = row("int8", "fp16"), row("int8", "fp16", dequantize=True)
    cycles, energy_pj = work(machine, vector_kind("dequantize"), 9 * 10 * 2)
    assert plain["energy_vector_pj"] == 0
    assert scaled["energy_vector_pj"] == pytest.approx(energy_pj)
    assert (cycles, scaled["cycles"]) == (45, plain["cycles"])  # hidden behind the array
    others = set(plain) - {"energy_vector_pj", "energy_pj"}
    assert {key: plain[key] for key in others} == {key: scaled[key] for key in others}


def test_a_slow_unit_holds_up_the_array():
    wide, narrow = (row("int8", "fp16", lanes, dequantize=True)[0] for lanes in (64, 1))
    assert narrow["cycles"] >= wide["cycles"]
    tall = Trace("t", (Gemm("g", m=64, n=64, k=1, o_format="fp16"),), {})
    slow, plain = (
        evaluate(small("int8", vector_unit={"lanes": 1, "dequantize": each}, dram={"preset": "hbm2"}), tall).layer_rows[
            0
        ]
        for each in (True, False)
    )
    assert slow["cycles"] == 64 * 64 > plain["cycles"]
    assert slow["bound"] == "vector"


@pytest.mark.parametrize(
    ("label", "o_format"), [("int8", "int8"), ("int4_g128", "fp16"), ("fp16", "fp16"), ("mxfp4", "bf16")]
)
def test_nothing_else_is_scaled_there(label, o_format):
    """Quantized results have their product in the quantizer, groups their dequantizers, floats no scale."""
    assert row(label, o_format)[0] == row(label, o_format, dequantize=True)[0]
