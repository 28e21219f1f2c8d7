"""Programs of the vector unit: counts and passes against loops that count what they do, and their values."""

from __future__ import annotations

from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.functions import i_layernorm, integer_operations, rational_exp, shiftgelu, shiftmax
from hwsim.hardware.functions.i_vit import shift_exp, shift_exp_band
from hwsim.hardware.functions.integer import SOFTMAX
from hwsim.hardware.functions.rational import CUBIC, SCALE, ten_operations
from hwsim.hardware.technology.operations import RATIONAL_EXP, ROOT_SEED_ERROR, operation_counts
from hwsim.simulate.vector_ops import vector_kind, vector_kinds
from hwsim.spec.errors import UsageError
from tests.support import row_programs
from tests.support.counted import Counter, Num, Tensor, per_element_and_row, run

LOOPS = {
    **{SOFTMAX[name]: getattr(row_programs, name)
       for name in ("held", "three_pass_recompute", "three_pass_reload", "two_pass", "online")},
    "rmsnorm": row_programs.rmsnorm,
}  # fmt: skip
WHOLE = {"shiftmax": (row_programs.shiftmax, 0.05), "shiftgelu": (row_programs.shiftgelu, 0.05),
         "i_layernorm": (row_programs.i_layernorm,)}  # fmt: skip
CODES = st.lists(st.integers(-128, 127), min_size=1, max_size=40)


def stated(kind):
    return {**dict(kind.primitives), "reads": kind.reads, "writes": kind.writes}, dict(kind.row)


@pytest.mark.parametrize("op", LOOPS)
def test_counts_and_passes_are_those_of_the_loop(op):
    found = per_element_and_row(LOOPS[op], [0.5, -1.0, 2.0, 0.25])
    assert tuple(map(dict, found)) == stated(vector_kind(op))


def test_counts_and_passes_of_a_fused_softmax_are_those_of_the_loop():
    found = per_element_and_row(row_programs.fused, [0.5, -1.0, 2.0, 0.25], 100)
    assert tuple(map(dict, found)) == stated(vector_kind("softmax_fused"))


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-5, 5)), min_size=1, max_size=30), st.integers(1, 9))
def test_a_fused_softmax_rescaled_and_divided_is_the_product_with_softmax(pairs, block):
    x, values = map(list, zip(*pairs, strict=True))
    exact = np.exp(np.array(x) - max(x))
    tally = Counter()
    found = row_programs.fused(Tensor(x, tally), Tensor([0] * len(x), tally), block, values)
    assert found == pytest.approx(float(exact / exact.sum() @ np.array(values)), rel=1e-9, abs=1e-9)
    kind, blocks = vector_kind("softmax_fused"), -(-len(x) // block)
    for name, count in {**dict(kind.primitives), **dict(kind.row)}.items():
        assert tally[name] == dict(kind.primitives).get(name, 0) * len(x) + dict(kind.row).get(name, 0) * blocks, count


@pytest.mark.parametrize("op", WHOLE)
def test_counts_of_whole_numbers_are_those_of_the_loop(op):
    program, *more = WHOLE[op]
    element, row = per_element_and_row(program, [3, -10, 40, 7], *more)
    assert (dict(element), dict(row)) == stated(vector_kind(op))
    assert {k: v for k, v in integer_operations(op).items() if v} == {
        {"idiv": "div"}.get(k, k): v for k, v in element.items() if k not in ("reads", "writes")
    }


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=30))
def test_every_softmax_is_softmax(values):
    exact = np.exp(np.array(values) - max(values))
    exact /= exact.sum()
    for name in ("held", "three_pass_recompute", "three_pass_reload", "two_pass", "online"):
        found, _ = run(getattr(row_programs, name), values)
        assert found == pytest.approx(exact.tolist(), rel=1e-9, abs=1e-300)


@given(CODES, st.floats(0.01, 0.2))
def test_shiftmax_and_shiftgelu_are_the_loop_bit_for_bit(codes, step):
    rows = np.array([codes, codes[::-1]])
    for ours, loop in ((shiftmax, row_programs.shiftmax), (shiftgelu, row_programs.shiftgelu)):
        assert ours(rows, step).tolist() == [_python_loop(loop, row, step) for row in rows.tolist()]


def _python_loop(loop, row, step):
    """The loop in unbounded whole numbers, with the sums cut to 31 bits as the published code does."""
    if loop is row_programs.shiftgelu and max(row) < 0:
        tally = Counter()
        top = max(row)
        zero = row_programs.shift_exp(Num(-top, tally), step * 1.702, 23).value
        own = [row_programs.shift_exp(Num(v - top, tally), step * 1.702, 23).value for v in row]
        largest = row_programs.LARGEST
        return [v * ((e * (largest // min(e + zero, largest))) >> 24) for v, e in zip(row, own, strict=True)]
    return run(loop, row, step)[0]


@given(CODES, st.integers(0, 3))
def test_i_layernorm_is_the_loop_bit_for_bit(codes, scale):
    row = [v * 10**scale for v in codes]
    assert i_layernorm(np.array(row)).tolist() == run(row_programs.i_layernorm, row)[0]


def test_shiftmax_is_near_softmax_and_i_layernorm_near_layernorm():
    rng = np.random.default_rng(7)
    x = np.rint(rng.normal(0, 30, (50, 64))).astype(np.int64)
    e = np.exp((x - x.max(axis=1, keepdims=True)) * 0.03)
    shares = e / e.sum(axis=1, keepdims=True)
    assert np.abs(shiftmax(x, 0.03, bits=16) / 2**15 - shares).max() < 0.15 * shares.max()  # ShiftExp's own error
    big = x * 1000  # roots of at least 64
    exact = (big - big.mean(axis=1, keepdims=True)) / big.std(axis=1, keepdims=True)
    assert np.abs(i_layernorm(big) * 8.0 / 2**30 - exact).max() < 2e-3  # 31 bits by a root of some 2^18


def test_shiftgelu_is_near_gelu():
    x = np.arange(-100, 101)
    from hwsim.hardware.functions import FUNCTIONS

    found = shiftgelu(x, 0.04) * 0.04 / 2**7
    assert np.abs(found - FUNCTIONS["gelu"].exact(x * 0.04)).max() < 0.25


@pytest.mark.parametrize(("step", "published"), [(0.01, 0.083), (0.1, 0.134)])
def test_shift_exp_errs_as_published_at_both_ends(step, published):
    assert _shift_exp_error(step) == pytest.approx(published, abs=0.002)  # three digits are published


@pytest.mark.parametrize("step", [0.01, 0.02, 0.04, 0.05, 0.1])
def test_shift_exp_errs_within_the_published_band_where_steps_divide_one(step):
    assert 0.083 - 0.002 <= _shift_exp_error(step) <= 0.134 + 0.002


def test_shift_exp_errs_far_more_where_x0_is_rounded():
    # floor(-1/step) is 11 for 10.0018: a tenth of the exponent goes missing
    assert _shift_exp_error(0.099982) > 0.8


@settings(max_examples=300, deadline=None)
@given(st.floats(2.0**-10, 0.25) | st.integers(4, 1000).map(lambda whole: 1 / whole))
def test_shift_exp_errs_within_its_band_at_every_step(step):
    codes = -np.arange(0, floor(5 / step) + 1)
    errors = shift_exp(codes, step, 15) * step / 2.0**15 / np.exp(codes * step) - 1
    low, high = shift_exp_band(step)
    assert low - 1e-12 <= errors.min()  # 1e-12: rounding of the exponentials in float64
    assert errors.max() <= high + 1e-12
    # The band is no wider than the steps are coarse: what bits cut off and arguments miss of its worst case.
    assert (1 + high) / (1 + errors.max()) <= 1 + 6 * step


def _shift_exp_error(step):
    codes = -np.arange(0, round(5 / step))
    return np.abs(shift_exp(codes, step, 15) * step / 2.0**15 / np.exp(codes * step) - 1).max()


@pytest.mark.parametrize(("call", "said"), [
    (lambda: shiftmax(np.array([0.5]), 0.1), "whole numbers"), (lambda: shiftmax(np.array([1]), 0.0), "step"),
    (lambda: shiftgelu(np.array([1]), 2.0), "step"), (lambda: i_layernorm(np.zeros((2, 0), int)), "whole numbers"),
])  # fmt: skip
def test_what_is_no_row_of_codes_is_refused(call, said):
    with pytest.raises(UsageError, match=said):
        call()


@pytest.mark.parametrize(
    ("op", "block"), [("hadamard", 16), ("hadamard_32", 32), *(("hadamard_full", 2**k) for k in (1, 4, 8))]
)
def test_a_hadamard_transform_adds_log2_of_its_block_times(op, block):
    values, tally = run(row_programs.hadamard, [float(i % 5) for i in range(block)])
    assert tally["add"] == block * dict(vector_kind(op, block).primitives)["add"]
    matrix = np.array([[1]])
    while len(matrix) < block:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    assert values == (matrix @ [float(i % 5) for i in range(block)]).tolist()


def test_a_full_transform_needs_a_power_of_two():
    with pytest.raises(UsageError, match="power of two, not 4,095"):
        vector_kind("hadamard_full", 4095)


def test_ten_operations_are_ten_and_right_to_14_figures():
    from decimal import Decimal, getcontext

    getcontext().prec = 40
    tally = Counter()

    class Exact(Num):
        def _do(self, name, value):
            self.tally[name] += 1
            return Exact(value, self.tally)

        def __truediv__(self, other):
            return self._do("div", self.value / other.value)

    worst, ln2 = Decimal(0), Decimal(2).ln()
    cubic = tuple(map(Decimal, CUBIC))
    for i in range(-100, 101):
        f = Decimal(i) / 200
        g = Exact(f * Decimal(SCALE), tally)
        u = g * g
        q = ((u + cubic[0]) * u + cubic[1]) * u + cubic[2]
        s = (q + g) / (q - g)
        worst = max(worst, abs((s * s).value / (f * ln2).exp() - 1))
    assert dict(tally) == {k: v * 201 for k, v in RATIONAL_EXP.items()}
    assert sum(RATIONAL_EXP.values()) == 10
    assert worst < Decimal("5e-15")
    x = np.linspace(-50, 50, 40_001)
    assert np.abs(rational_exp(x) / np.exp(x) - 1).max() < 5e-15 * 4  # x log2 e is rounded once more in float64
    assert ten_operations(0.0) == 1


def test_the_rational_program_pays_where_a_unit_divides():
    fp32 = parse_format("fp32")
    counts, div = operation_counts("exp_rational", fp32), operation_counts("div", fp32)
    assert dict(counts) == {"mul": 6 + div["mul"], "add": 7 + div["add"]}


def test_a_reciprocal_root_reaches_the_format():
    fmt = parse_format("fp32")
    counts = operation_counts("rsqrt", fmt)
    rounds = counts["add"] - 1
    assert counts["mul"] == 2 + 3 * rounds
    b = -(1 - ROOT_SEED_ERROR) / 6
    for m in np.linspace(1, 4, 1001):
        y = -7 * b + b * m
        assert abs(y * m**0.5 - 1) <= ROOT_SEED_ERROR + 1e-12
        for _ in range(rounds):
            y = y * (1.5 - 0.5 * m * y * y)
        assert abs(y * m**0.5 - 1) < 2.0**-24
    with pytest.raises(UsageError, match="no idiv for fp32"):
        operation_counts("idiv", fmt)
    assert operation_counts("idiv", parse_format("int32")) == {"add": 32}


def test_every_row_states_its_derivation():
    for kind in vector_kinds().values():
        assert kind.source.startswith("derived")
        assert not kind.row or kind.row_source.startswith("derived")
