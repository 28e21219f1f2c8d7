"""Special-function units: bit for bit against a scalar twin, errors, costs, published figures."""

from __future__ import annotations

from itertools import pairwise
from math import floor

import numpy as np
import pytest

from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.functions import (
    FUNCTIONS,
    METHODS,
    integer_operations,
    make_function,
    softmax_traffic,
)
from hwsim.hardware.functions.methods.shift import shift_exp
from hwsim.hardware.functions.segmented import nonadjacent_digits
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

SEGMENTED = [(f, m) for f in FUNCTIONS for m in ("table", "piecewise", "polynomial")]
ALL = [*SEGMENTED, *((f, "shift") for f in ("exp", "gelu", "silu"))]


@pytest.mark.parametrize(("function", "method"), ALL)
def test_units_are_whole_and_have_a_price(function, method):
    unit = make_function({"function": function, "method": method})
    parts = unit.parts()
    assert {p.group for p in parts} <= set(GROUPS)
    assert any(p.group == "register" for p in parts)
    assert all(p.count > 0 and sum(p.circuit.cells().values()) > 0 for p in parts)
    assert unit.price(load_technology("7nm")).area_um2 > 0
    assert unit.latency_cycles >= unit.cycles >= 1
    assert set(unit.operations()) <= {"add", "mul", "shift", "cmp", "lookup", "div"}


#: Bounds on |error| with 12 fraction bits: the interpolation's remainder on a segment of width h, in units
#: max |f^(d+1)| h^(d+1) / (2^(2d+1) (d+1)!) (Chebyshev nodes), and 1.5 units of 2^-12 for cutting and rounding.
REMAINDERS = {
    "exp": [0.6931 * 2, 0.4805 * 2, 0.3330 * 2], "reciprocal": [1, 2, 6], "rsqrt": [0.5 * 4, 0.75 * 4, 1.875 * 4],
    "gelu": [0.63, 0.80, 2.4], "silu": [0.55, 0.5, 0.5],
}  # fmt: skip


@pytest.mark.parametrize(("function", "method"), SEGMENTED)
def test_errors_stay_below_the_remainder_of_interpolation(function, method):
    unit = make_function({"function": function, "method": method})
    d = unit.degree
    h = unit.function.width / unit.segments
    factorial = [1, 2, 6][d]
    # rsqrt below 1 is multiplied by up to 4
    bound = REMAINDERS[function][d] * h ** (d + 1) / (2 ** (2 * d + 1) * factorial)
    assert unit.max_error().absolute <= bound + (6 if function == "rsqrt" else 2) * 2.0**-12


@pytest.mark.parametrize(("function", "method"), [(f, m) for f, m in SEGMENTED if m != "table"])
def test_more_segments_cost_more_and_err_less(function, method):
    units = [
        make_function({"function": function, "method": method, "segments": s, "fraction": 16}) for s in (4, 16, 64)
    ]
    x = np.linspace(units[0].function.low, units[0].function.high, 5001)
    errors = [unit.max_error(x).absolute for unit in units]
    assert errors[0] > errors[1] >= errors[2]  # the last may be down to the grid's own error
    for few, many in pairwise(units):
        assert len(many.table) > len(few.table)


def twin(unit, x):
    """One argument in Python's whole numbers, as the modules describe it."""
    f, fraction = unit.function, unit.fraction
    whole = round(max(f.low, min(f.high, x)) * 2**fraction)
    guard = 2 ** (fraction + 2)

    def kernel(reduced, variant=0):
        bits = unit.local_bits
        row = unit.table[reduced // 2**bits + variant * unit.segments]
        total, t = int(row[0]), reduced % 2**bits
        for c in row[1:]:
            total = total * t // 2**bits + int(c)
        return total

    def rounded(v):
        return (v + 2) // 4

    if f.reduction == "exponential":
        t = whole * round(np.log2(np.e) * guard) // guard
        k = floor(t / 2**fraction)
        return rounded(kernel(t - k * 2**fraction) // 2**-k) / 2**fraction
    if f.reduction == "tail":
        u = abs(whole)
        tail = rounded(kernel(u)) if u < f.width * 2**fraction else 0
        return (max(whole, 0) - tail) / 2**fraction
    e = whole.bit_length() - 1 - fraction
    m = whole * 2**-e if e < 0 else whole // 2**e
    shift, variant = (e // 2, e % 2) if f.reduction == "root" else (e, 0)
    found = kernel(m - 2**fraction, variant)
    return rounded(found * 2**-shift if shift < 0 else found // 2**shift) / 2**fraction


@pytest.mark.parametrize(("function", "method"), SEGMENTED)
def test_values_are_those_of_the_scalar_twin(function, method):
    unit = make_function({"function": function, "method": method, "fraction": 10, "segments": 16})
    x = np.random.default_rng(5).uniform(unit.function.low - 1, unit.function.high + 1, 300)
    assert unit.value(x).tolist() == [twin(unit, v) for v in x]


@pytest.mark.parametrize(("step", "published"), [(0.01, 0.083), (0.1, 0.134)])
def test_shift_exp_errs_as_published(step, published):
    # the table of the formula itself, x in (-5, 0]; tolerance .002: the table's own rounding and grid
    unit = make_function({"function": "exp", "method": "shift", "step": step})
    x = -np.arange(0, round(5 / step)) * step
    relative = np.abs(unit.value(x) / np.exp(x) - 1).max()
    assert relative == pytest.approx(published, abs=0.002)


def test_shift_exp_is_its_definition():
    for step in (0.02, 0.25):
        for n in (15, 23):
            whole = np.arange(-400, 1)
            x0 = floor(-1 / step)
            for i, found in zip(whole.tolist(), shift_exp(whole, step, n).tolist(), strict=True):
                x = max(i + i // 2 - i // 16, n * x0)
                q = x // x0
                assert found == floor(((x - q * x0) / 2 - x0) * 2 ** (n - q))


def test_shift_gelu_is_close_to_gelu():
    unit = make_function({"function": "gelu", "method": "shift", "step": 0.05})
    for reach in (1, 2, 8):
        # floor(2^31 / sum) is 12 of 12.8 at this step: up to 1/12.8 of x; the sigmoid form itself errs by .02
        assert unit.max_error(np.linspace(-reach, reach, 999)).absolute < reach / 12.8 + 0.02 + 0.05


def test_published_counts_of_operations():
    assert dict(integer_operations("shiftmax")) == {"shift": 5, "add": 7, "mul": 2, "div": 1, "cmp": 2}
    assert dict(integer_operations("shiftgelu")) == {"shift": 5, "add": 7, "mul": 3, "div": 2, "cmp": 2}
    assert dict(integer_operations("i_layernorm")) == {"shift": 1, "add": 4, "mul": 2, "div": 0, "cmp": 0}
    assert integer_operations("i_layernorm", "row") == {"shift": 10, "add": 10, "mul": 0, "div": 12, "cmp": 0}
    assert integer_operations("shiftmax", "row")["div"] == 1


def test_softmax_traffic_and_its_bound():
    two, recompute, reload = (softmax_traffic(n) for n in ("two_pass", "three_pass_recompute", "three_pass_reload"))
    assert [(t.reads, t.writes) for t in (recompute, reload, two)] == [(3, 1), (3, 2), (2, 1)]
    assert two.speedup_bound(recompute) == 4 / 3 > 1.28  # measured with AVX-512 (arXiv 2001.04438)


def test_nonadjacent_digits():
    assert [nonadjacent_digits(n) for n in (1, 3, 7, 11, 0b10101)] == [1, 2, 2, 3, 3]


@pytest.mark.parametrize(("options", "message"), [
    ({"function": "sin"}, "exp"), ({"function": "exp", "method": "cordic"}, "table"),
    ({"function": "exp", "segments": 12}, "powers of two"), ({"function": "exp", "degree": 2}, "no such option"),
    ({"function": "rsqrt", "method": "shift"}, "exp, gelu, silu"), ({"function": "exp", "fraction": 40}, "4 to 20"),
    ({"function": "exp", "method": "shift", "step": 2}, "0.25"),
    ({"function": "gelu", "method": "shift", "step": 0.001}, "0.015625 to 0.25"),
])  # fmt: skip
def test_unknown_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_function(options)


def test_every_method_is_tested():
    assert {m for _, m in ALL} == set(METHODS.names())
    for call in (lambda: integer_operations("x"), lambda: softmax_traffic("one_pass")):
        with pytest.raises(UsageError):
            call()


def test_explain_shows_methods_and_units():
    from hwsim.report.explain import Question
    from hwsim.report.explain.function import explain_function
    from hwsim.report.explain.unit import explain_unit

    assert list(explain_function("exp", Question())[0].frame["method"]) == METHODS.names()
    assert "shift" not in list(explain_function("rsqrt", Question())[0].frame["method"])
    assert len(explain_function("exp", Question({"method": "table"}))) == 2
    frame = explain_unit("hadamard", Question({"group": 8}))[0].frame
    assert frame["area_um2"].iloc[-1] == pytest.approx(frame["area_um2"].iloc[:-1].sum())
    for explain in (explain_function, explain_unit):
        with pytest.raises(UsageError, match="unknown"):
            explain("nothing", Question())
