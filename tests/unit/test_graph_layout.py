"""Repeats among a tensor's extents, against arrays that go through the same steps; contractions against NumPy's count."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.collect import Collector, merge_layers
from hwsim.workload.graph.layout import aligned, shape_of
from hwsim.workload.graph.products import contract, convolution, matmul, spread_rows, transposed_convolution
from hwsim.workload.graph.roles import role_of
from hwsim.workload.graph.tensor import Tensor, carry
from hwsim.workload.ops import Gemm, VectorOp

SIZES = (1, 2, 3, 4, 6)


def splits(total: int, parts: int):
    """Return a strategy of shapes with that many elements."""
    if parts == 1:
        return st.just((total,))
    divisors = [size for size in range(1, total + 1) if total % size == 0]
    return st.sampled_from(divisors).flatmap(
        lambda size: splits(total // size, parts - 1).map(lambda rest: (size, *rest))
    )


@st.composite
def journeys(draw):
    """A tensor and the array that is moved with it: expanded, reshaped and permuted a few times."""
    shape = tuple(draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3)))
    array, tensor = np.arange(prod(shape)).reshape(shape), Tensor(shape)
    for _ in range(draw(st.integers(0, 5))):
        step = draw(st.sampled_from(("expand", "reshape", "permute")))
        if step == "expand" and array.size <= 200:
            target = tuple(draw(st.sampled_from((2, 3))) if size == 1 else size for size in (1, *array.shape))
            array, tensor = np.broadcast_to(array, target), tensor.expand(target)
        elif step == "reshape":
            target = draw(splits(array.size, draw(st.integers(1, 4))))
            array, tensor = array.reshape(target), tensor.reshape(target)
        elif step == "permute":
            order = draw(st.permutations(range(array.ndim)))
            array, tensor = array.transpose(order), tensor.permute(order)
    return array, tensor


@given(journeys())
@settings(max_examples=300, deadline=None)
def test_what_is_called_repeated_is_repeated(journey):
    array, tensor = journey
    assert tensor.shape == shape_of(tensor.layout) == array.shape
    factors = [factor for dim in tensor.layout for factor in dim]
    cut = array.reshape([size for size, _ in factors])
    for axis, (size, repeated) in enumerate(factors):
        if repeated and size:
            assert (cut == cut.take([0], axis)).all()


def test_a_head_repeated_for_its_group_is_found():
    keys = Tensor((2, 3, 1, 7, 8)).expand((2, 3, 4, 7, 8)).reshape((2, 12, 7, 8)).permute((0, 1, 3, 2))
    found = matmul(Tensor((2, 12, 5, 8)), keys)
    assert (found.m, found.n, found.k, found.batch, found.shared) == (20, 7, 8, 6, 4)
    # and through a copy that folds batch and heads, as torch.bmm wants them
    folded = keys.reshape((24, 8, 7))
    found = matmul(Tensor((24, 5, 8)), folded)
    assert (found.m, found.batch) == (20, 6)


def test_repeats_that_cannot_be_followed_are_taken_as_different():
    odd = Tensor((2, 1, 6)).expand((2, 4, 6)).reshape((3, 16))
    assert odd.layout == Tensor((3, 16)).layout
    assert matmul(Tensor((5, 3)), odd).batch == 1


@given(journeys(), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_products_are_conserved_however_operands_repeat(journey, rows):
    _, tensor = journey
    if tensor.rank < 2:
        return
    a = Tensor((*tensor.shape[:-2], rows, tensor.shape[-2]))
    assert matmul(a, tensor).macs == rows * prod(tensor.shape)


LETTERS = "abcde"


@st.composite
def equations(draw):
    sizes = {letter: draw(st.sampled_from((1, 2, 3, 5))) for letter in LETTERS}
    left = draw(st.permutations(draw(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4, unique=True))))
    right = draw(st.permutations(draw(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4, unique=True))))
    both, alone = set(left) & set(right), set(left) ^ set(right)
    out = draw(st.permutations([letter for letter in sorted(both | alone) if letter in alone or draw(st.booleans())]))
    return f"{''.join(left)},{''.join(right)}->{''.join(out)}", sizes


@given(equations())
@settings(max_examples=200, deadline=None)
def test_contractions_multiply_as_often_as_numpy_says(case):
    equation, sizes = case
    left, right = equation.partition("->")[0].split(",")
    a, b = ([sizes[letter] for letter in labels] for labels in (left, right))
    found = contract(equation, Tensor(tuple(a)), Tensor(tuple(b)))
    assert found.macs == prod(sizes[letter] for letter in set(left + right))
    result = np.einsum(equation, np.ones(a), np.ones(b))
    assert found.m * found.n * found.batch == result.size
    assert (result == found.k).all()


@pytest.mark.parametrize("equation", ["ab,bc->ad", "ab,bc->a", "aab,bc->ac", "ab,bc,->ac"])
def test_contractions_that_make_no_sense(equation):
    with pytest.raises(UsageError):
        contract(equation, Tensor((2, 3)), Tensor((3, 4)))


def test_common_factors_of_two_dimensions():
    assert aligned(((12, False),), ((3, False), (4, True))) == [(3, False, False), (4, False, True)]
    twos = [(2, True, False), (2, False, False), (3, False, True)]
    assert aligned(((2, True), (6, False)), ((4, False), (3, True))) == twos
    assert aligned(((4, True), (3, False)), ((3, False), (4, True))) == [(12, False, False)]
    assert aligned(((1, False),), ((1, True),)) == []


def slow_convolution_macs(image, weights, groups, stride):
    """Count the multiplications of a direct loop over outputs, channels and taps."""
    batch, channels, *pixels = image
    filters, _, *kernel = weights
    outputs = [(size - tap) // stride + 1 for size, tap in zip(pixels, kernel, strict=True)]
    return sum(
        1 for _ in range(batch * filters * prod(outputs)) for _ in range(channels // groups * prod(kernel))
    ), outputs


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("pixels", "kernel", "stride"), [((9,), (3,), 2), ((5, 6), (2, 3), 1), ((4, 3, 5), (2, 1, 3), 1)]
)
def test_convolutions_multiply_as_often_as_a_loop(groups, pixels, kernel, stride):
    image, weights = (2, 4, *pixels), (8, 4 // groups, *kernel)
    macs, outputs = slow_convolution_macs(image, weights, groups, stride)
    assert convolution(Tensor(image), Tensor(weights), (2, 8, *outputs), groups).macs == macs
    back = transposed_convolution(Tensor(image), Tensor((4, 8 // groups, *kernel)), groups)
    assert back.macs == 2 * 4 * prod(pixels) * 8 // groups * prod(kernel)


def test_convolutions_whose_channels_do_not_fit():
    with pytest.raises(UsageError, match="do not fit"):
        convolution(Tensor((1, 3, 5)), Tensor((4, 2, 3)), (1, 4, 3), 1)
    with pytest.raises(UsageError, match="do not fit"):
        transposed_convolution(Tensor((1, 3, 5)), Tensor((4, 2, 3)), 1)


@given(st.integers(0, 100), st.integers(1, 20))
def test_rows_are_spread_evenly_and_none_is_lost(rows, experts):
    spread = spread_rows(rows, experts)
    assert sum(size * count for size, count in spread) == rows
    assert sum(count for _, count in spread) == min(rows, experts)
    assert len(spread) < 2 or spread[0][0] == spread[1][0] + 1


def test_only_what_runs_is_carried():
    product, mask = Tensor((2, 4, 4), origin=3), Tensor((4, 4), constant=True)
    assert carry([product, mask], (2, 4, 4)).origin == 3
    assert carry([mask, mask], (4, 4)).constant
    repeated = Tensor((2, 1, 4)).expand((2, 3, 4))
    assert carry([repeated, Tensor((), constant=True)], (2, 3, 4)).layout == repeated.layout
    assert carry([repeated, Tensor((2, 3, 4))], (2, 3, 4)).layout == Tensor((2, 3, 4)).layout


def test_layers_that_differ_in_more_than_a_number_stay_apart():
    gemms = [Gemm(f"h.{i}.fc", 2, 3, 4) for i in range(3)] + [Gemm("h.0.out", 2, 3, 4), Gemm("h.3.fc", 2, 3, 5)]
    merged = merge_layers([*gemms, VectorOp("h.1.fc", "relu", 2, 3)], {})
    assert [(op.layer, op.repeat) for op in merged] == [("h.*.fc", 3), ("h.0.out", 1), ("h.3.fc", 1), ("h.1.fc", 1)]


def test_products_beyond_any_machine_are_refused():
    with pytest.raises(UsageError, match="larger than any machine finishes"):
        Collector().product("x", matmul(Tensor((1 << 30, 1 << 20)), Tensor((1 << 20, 1 << 20))))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.layers.3.self_attn.q_proj", "qkv"), ("transformer.h.0.attn.c_attn", "qkv"), ("encoder.layer.1.attention.self.key", "qkv"),
        ("model.layers.0.self_attn.o_proj", "attn_out"), ("encoder.layer.0.attention.output.dense", "attn_out"),
        ("blocks.2.attn.proj", "attn_out"), ("model.decoder.layers.0.fc1", "ffn"), ("encoder.layer.0.output.dense", "ffn"),
        ("model.layers.0.mlp.experts.grouped_mm", "ffn"), ("transformer.h.0.mlp.c_proj", "ffn"), ("lm_head", "lm_head"),
        ("decoder.block.0.layer.1.EncDecAttention.o", "attn_out"), ("encoder.block.0.layer.1.DenseReluDense.wo", "ffn"),
        ("classifier", "other"), ("pooler.dense", "other"),
    ],
)  # fmt: skip
def test_roles_by_name(name, role):
    assert role_of(name) == role
