"""Published figures of vector programs: I-ViT (arXiv 2207.01405), two-pass softmax (2001.04438), exp (2312.08472)."""

from __future__ import annotations

import pytest

from hwsim.hardware.functions import softmax_traffic
from hwsim.hardware.technology.operations import RATIONAL_EXP
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.vector_ops import vector_kind
from hwsim.workload import Trace, VectorOp
from tests.support.small import small

#: Counted in I-ViT's TVM code: per element shift, add, mul, whole division, comparison; divisions per row.
PUBLISHED = {
    "shiftmax": ((5, 7, 2, 1, 2), 1),
    "shiftgelu": ((5, 7, 3, 2, 2), 1),  # one further exponential, of minus the maximum, and its division
    "i_layernorm": ((1, 4, 2, 0, 0), 12),  # the mean, ten rounds of the root, the factor
}

#: Reads and writes per element.
TRAFFIC = {"three_pass_recompute": (3, 1), "three_pass_reload": (3, 2), "two_pass": (2, 1)}

#: Two passes over three with recomputation, measured with AVX-512 and AVX2; the limit of the bandwidth is 4/3.
MEASURED = (1.28, 1.18)


@pytest.mark.parametrize("op", PUBLISHED)
def test_counts_of_i_vit(op):
    kind = vector_kind(op)
    counts, once = dict(kind.primitives), dict(kind.row)
    assert tuple(counts.get(name, 0) for name in ("shift", "add", "mul", "idiv", "cmp")) == PUBLISHED[op][0]
    assert once["idiv"] == PUBLISHED[op][1]


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_of_softmax(name):
    assert softmax_traffic(name)[1:3] == TRAFFIC[name]


def test_two_passes_are_bound_by_four_thirds_which_no_measurement_exceeds():
    bound = softmax_traffic("two_pass").speedup_bound(softmax_traffic("three_pass_recompute"))
    cycles = {}
    for name in ("two_pass", "three_pass_recompute"):
        machine = small(vector_unit={"lanes": 65_536, "softmax": name})
        trace = Trace("t", (VectorOp("v", "softmax", 1000, 30_000, a_format="fp32", o_format="fp32"),), {})
        cycles[name] = evaluate(machine, trace).layer_rows[0]["cycles"]
    modelled = cycles["three_pass_recompute"] / cycles["two_pass"]
    assert bound == 4 / 3
    assert modelled == pytest.approx(bound, rel=1e-6)  # whole cycles
    assert all(measured < bound for measured in MEASURED)


def test_an_exponential_of_ten_operations():
    assert sum(RATIONAL_EXP.values()) == 10
