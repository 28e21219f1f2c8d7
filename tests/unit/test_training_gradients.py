"""Gradients of operations: shapes against matrix algebra, counts and values against counted programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.simulate.vector_ops import vector_kind
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Policy, Trace, VectorOp, apply_policy
from hwsim.workload.training.backward import SELF_ADJOINT, dgrad, forward_gemm, vector_gradient, wgrad
from tests.support import gradient_programs as programs
from tests.support.counted import Num

X = [0.7, -1.3, 2.1, 0.2]
G = [0.3, -0.8, 1.1, 0.5]
WEIGHT = [1.2, 0.9, -0.4, 0.3]


def numbers(values: Sequence[float], tally: Counter[str]) -> list[Num]:
    return [Num(v, tally) for v in values]


def counted(program: Callable[..., Any], *rows: Sequence[float], **options: Any) -> tuple[Counter[str], list[float]]:
    tally: Counter[str] = Counter()
    found = program(*(numbers(row, tally) for row in rows), **options)
    flat = [n for part in found for n in (part if isinstance(part, list) else [part])]
    return tally, [n.value for n in flat]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum())


def numeric(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the gradient of sum(G · function(x)) at X by central differences."""
    x, step = np.array(X), 1e-6
    sides = [[float(np.dot(G, function(x + sign * step * unit))) for sign in (1, -1)] for unit in np.eye(len(X))]
    return np.array([(up - down) / (2 * step) for up, down in sides])


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(programs.GELU_C * (x + programs.GELU_A * x**3)))


def rms(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.sqrt((x**2).mean()) * WEIGHT)


def layer(x: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean()) / x.std() * WEIGHT)


def norm_options(kind: str, tally: Counter[str]) -> dict[str, Any]:
    x = np.array(X)
    zeros = lambda: [Num(0.0, tally) for _ in X]  # noqa: E731
    if kind == "rmsnorm":
        return {"weight": WEIGHT, "rstd": float((x**2).mean() ** -0.5), "grad_weight": zeros()}
    return {
        "weight": WEIGHT, "rstd": float(1 / x.std()), "center": float(x.mean()),
        "grad_weight": zeros(), "grad_bias": zeros(),
    }  # fmt: skip


def per_element_and_row(tally: Counter[str], op: str) -> None:
    """The counts of one row of four elements are four times an element's and once a row's."""
    kind = vector_kind(op)
    expected = Counter({name: len(X) * count for name, count in kind.primitives})
    expected.update(dict(kind.row))
    assert tally == expected


ELEMENTWISE = {
    "silu": lambda x: x / (1 + np.exp(-x)), "gelu": gelu, "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
}  # fmt: skip


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_gradients_of_activations(op: str) -> None:
    tally, found = counted(getattr(programs, f"{op}_backward"), X, G)
    assert found == pytest.approx(numeric(ELEMENTWISE[op]), abs=1e-8)  # central differences err by 1e-9
    per_element_and_row(tally, f"{op}_backward")


@pytest.mark.parametrize(("op", "function"), [("tanh", np.tanh), ("softmax", softmax)])
def test_gradients_from_results(op: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    tally, found = counted(getattr(programs, f"{op}_backward"), list(function(np.array(X))), G)
    assert found == pytest.approx(numeric(function), abs=1e-8)
    per_element_and_row(tally, f"{op}_backward")


@pytest.mark.parametrize(("op", "function"), [("rmsnorm", rms), ("layernorm", layer)])
def test_gradients_of_norms(op: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    tally: Counter[str] = Counter()
    options = norm_options(op, tally)
    program = getattr(programs, f"{op}_backward")
    found = [n.value for n in program(numbers(X, tally), numbers(G, tally), **options)]
    assert found == pytest.approx(numeric(function), abs=1e-8)
    plain = function(np.array(X)) / WEIGHT
    assert [n.value for n in options["grad_weight"]] == pytest.approx(plain * G)
    per_element_and_row(tally, f"{op}_backward")


def test_gradients_of_a_product() -> None:
    tally, found = counted(programs.mul_backward, X, WEIGHT, G)
    assert found == pytest.approx([*np.multiply(WEIGHT, G), *np.multiply(X, G)])
    per_element_and_row(tally, "mul_backward")


def test_adam_is_adam() -> None:
    """One step from known moments against the formulas of the paper, bias corrections in the step size."""
    m, v, step = [0.1, -0.2, 0.3, 0.0], [0.5, 0.25, 1.0, 2.0], 0.01
    tally, found = counted(programs.adam, X, G, m, v, step=step)
    m1, v1 = 0.9 * np.array(m) + 0.1 * np.array(G), 0.999 * np.array(v) + 0.001 * np.array(G) ** 2
    assert found == pytest.approx(np.array(X) - step * m1 / (np.sqrt(v1) + programs.EPSILON))
    per_element_and_row(tally, "adam")


def test_momentum_and_plain_descent() -> None:
    tally, found = counted(programs.sgd_momentum, X, G, [0.5] * 4, step=0.1)
    assert found == pytest.approx(np.array(X) - 0.1 * (0.9 * 0.5 + np.array(G)))
    per_element_and_row(tally, "sgd_momentum")
    tally, found = counted(programs.sgd, X, G, step=0.1)
    assert found == pytest.approx(np.array(X) - 0.1 * np.array(G))
    per_element_and_row(tally, "sgd")


@given(*[st.integers(1, 9)] * 3)
def test_shapes_are_those_of_the_gradients(m: int, n: int, k: int) -> None:
    gemm = Gemm("l", m, n, k, batch=2, repeat=6, role="ffn", passes=3)
    a, w, g = np.ones((m, k)), np.ones((k, n)), np.ones((m, n))
    for made, streamed, stationary in ((dgrad(gemm), g, w.T), (wgrad(gemm), a.T, g)):
        assert (made.m, made.k) == streamed.shape
        assert (made.k, made.n) == stationary.shape
        assert made.macs == gemm.macs
        assert (made.kind, made.batch, made.repeat, made.passes) == ("linear", 2, 6, 3)
    assert (dgrad(gemm).w_source, wgrad(gemm).w_source) == ("dram", "activation")
    assert (dgrad(gemm).layer, wgrad(gemm).layer) == ("dgrad/l", "wgrad/l")


@pytest.mark.parametrize(("role", "source"), [("ffn", "dram"), ("conv", "dram"), ("score", "kv"), ("value", "kv")])
def test_stated_formats_stay_with_their_tensors(role: str, source: str) -> None:
    """O = A·W: dgrad is G·Wᵀ, wgrad AᵀG; G and both results are gradients, whose formats nobody stated."""
    own = {
        "w_format": "int4_g8",
        "a_format": "int8",
        "o_format": "fp16",
        "w_stats": "zeros=0.5",
        "a_stats": "zeros=0.1",
    }
    gemm = Gemm("l", 4, 8, 16, role=role, w_source=source, **own)
    back = [(g.w_format, g.a_format, g.o_format, g.w_stats, g.a_stats) for g in (dgrad(gemm), wgrad(gemm))]
    assert back == [("int4_g8", "", "", "zeros=0.5", ""), ("", "int8", "", "", "zeros=0.1")]
    made = vector_gradient(VectorOp("v", "silu", 4, 8, a_format="int8", o_format="int8"))
    assert made is not None
    assert (made.a_format, made.o_format) == ("", "")


@pytest.mark.parametrize("role", ["score", "value"])
def test_a_gradient_is_no_key_and_no_value(role: str) -> None:
    gemm, policy = Gemm("l", 4, 8, 16, role=role, w_source="kv"), Policy("int4", "bf16", "int8")
    filled = apply_policy(Trace("t", (forward_gemm(gemm), dgrad(gemm), wgrad(gemm))), policy)
    assert [g.w_format for g in filled.gemms] == ["int8", "int8", "bf16"]


def test_kinds_stay_what_they_were() -> None:
    for role, source, kind in (("score", "kv", "attention"), ("conv", "dram", "conv"), ("other", "dram", "linear")):
        gemm = Gemm("l", 2, 3, 4, role=role, w_source=source)
        assert {forward_gemm(gemm).kind, dgrad(gemm).kind, wgrad(gemm).kind} == {kind}
    assert forward_gemm(Gemm("l", 2, 3, 4, role="score", w_source="kv")).w_source == "activation"


def test_vector_operations() -> None:
    assert vector_gradient(VectorOp("a", "rope", 2, 4)) == VectorOp("dgrad/a", "rope", 2, 4)
    assert vector_gradient(VectorOp("a", "silu", 2, 4)) == VectorOp("dgrad/a", "silu_backward", 2, 4)
    assert vector_gradient(VectorOp("a", "quantize", 2, 4)) is None
    with pytest.raises(UsageError, match=r"a: the gradient of 'shiftmax' has no cost; known: .*silu"):
        vector_gradient(VectorOp("a", "shiftmax", 2, 4))
    assert all(not math.isnan(vector_kind(name).reads) for name in SELF_ADJOINT)
