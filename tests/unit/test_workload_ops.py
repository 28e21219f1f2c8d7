from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError
from hwsim.workload.ops import ROLES, W_SOURCES, Gemm, VectorOp, vector_op_names

sizes = st.integers(1, 10**6)


@given(m=sizes, n=sizes, k=sizes, batch=sizes, repeat=sizes)
def test_counts_are_exact_products(m: int, n: int, k: int, batch: int, repeat: int) -> None:
    gemm = Gemm("x", m, n, k, batch, repeat)
    assert gemm.instances == batch * repeat
    assert gemm.macs == m * n * k * batch * repeat
    assert gemm.macs**2 * gemm.instances == gemm.w_elements * gemm.a_elements * gemm.o_elements
    vector = VectorOp("x", "add", m, n, batch, repeat)
    assert vector.elements == gemm.o_elements
    assert vector.macs == 0


@pytest.mark.parametrize("field", ["m", "n", "k", "batch", "repeat"])
@pytest.mark.parametrize("value", [0, -1, 1.0, "4", None, True])
def test_gemm_sizes_are_positive_integers(field: str, value: object) -> None:
    good: dict[str, object] = {"layer": "attn.q_proj", "m": 1, "n": 1, "k": 1}
    with pytest.raises(UsageError, match=rf"gemm 'attn.q_proj': {field} must be a whole number .* not {value!r}"):
        Gemm(**{**good, field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["m", "n", "batch", "repeat"])
@pytest.mark.parametrize("value", [0, -3, 2.5])
def test_vector_sizes_are_positive_integers(field: str, value: object) -> None:
    good: dict[str, object] = {"layer": "s", "op": "softmax", "m": 1, "n": 1}
    with pytest.raises(UsageError, match=field):
        VectorOp(**{**good, field: value})  # type: ignore[arg-type]


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown w_source 'dramm'.*did you mean 'dram'"):
        Gemm("x", 1, 1, 1, w_source="dramm")
    with pytest.raises(UsageError, match="unknown a_source 'kv'"):
        Gemm("x", 1, 1, 1, a_source="kv")
    with pytest.raises(UsageError, match="unknown role 'scores'.*did you mean 'score'"):
        Gemm("x", 1, 1, 1, role="scores")
    with pytest.raises(UsageError, match="unknown op 'softmx'.*did you mean 'softmax'"):
        VectorOp("x", "softmx", 1, 1)


def test_ops_are_values() -> None:
    gemm = Gemm("x", 2, 3, 4)
    assert gemm == Gemm("x", 2, 3, 4)
    assert hash(gemm) == hash(Gemm("x", 2, 3, 4))
    assert pickle.loads(pickle.dumps(gemm)) == gemm
    with pytest.raises(dataclasses.FrozenInstanceError):
        gemm.m = 5  # type: ignore[misc]


def test_op_names() -> None:
    assert Gemm("x", 1, 1, 1).op == "gemm"
    assert "gemm" not in vector_op_names()
    assert {"softmax", "layernorm", "rmsnorm", "gelu", "silu", "relu", "rope", "add", "mul"} <= set(vector_op_names())
    assert {"quantize", "dequantize", "hadamard", "embedding", "tanh"} <= set(vector_op_names())


def test_kind_follows_role_and_source() -> None:
    assert Gemm("x", 1, 1, 1).kind == "linear"
    assert Gemm("x", 1, 1, 1, role="conv").kind == "conv"
    for source in W_SOURCES[1:]:
        assert Gemm("x", 1, 1, 1, w_source=source, role="score").kind == "attention"
    assert all(Gemm("x", 1, 1, 1, role=role).role == role for role in ROLES)


def test_bits_carry_the_metadata_of_each_instance() -> None:
    gemm = Gemm("x", m=3, n=5, k=200, batch=2, repeat=7)
    fp16, grouped = parse_format("fp16"), parse_format("int4_g128")
    assert gemm.w_bits(fp16) == 16 * gemm.w_elements
    assert gemm.a_bits(fp16) == 16 * gemm.a_elements
    assert gemm.o_bits(fp16) == 16 * gemm.o_elements
    assert gemm.w_bits(grouped) == grouped.storage_bits(5, 200) * 14
    # 200 elements of K are one full and one partial block, each with a scale of its own
    assert gemm.w_bits(grouped) - 4 * gemm.w_elements == 14 * 5 * 2 * 16


@pytest.mark.parametrize("name", ["fp16", "int8", "int4_g128", "int4_asym_g128", "mxfp4", "nvfp4", "bitmod3_g128"])
@given(rows=st.integers(1, 1000), blocks=st.integers(1, 50))
def test_whole_blocks_cost_bits_per_element(name: str, rows: int, blocks: int) -> None:
    fmt = parse_format(name)
    k = blocks * (fmt.block_size or 1)
    assert fmt.storage_bits(rows, k) == rows * k * fmt.bits_per_element


@given(k=st.integers(1, 5000))
def test_partial_blocks_have_a_scale_of_their_own(k: int) -> None:
    fmt = parse_format("mxfp4")
    assert fmt.storage_bits(1, k) == 4 * k + 8 * -(-k // 32)
