"""Operations that onnxruntime's quantizer and optimizer write (com.microsoft)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.workload import Trace, load_workload
from tests.support.onnx_graphs import packed, write_graph

onnx = pytest.importorskip("onnx")
from onnx import TensorProto as T  # noqa: E402
from onnx.helper import make_node  # noqa: E402

ONE, ZERO = np.array(1, np.float32), np.array(0, np.uint8)


@pytest.fixture
def graph(tmp_path: Path):
    def read(nodes, inputs, stored=None, **options) -> Trace:
        return load_workload(str(write_graph(tmp_path / "g.onnx", nodes, inputs, stored, contrib=True, **options)))

    return read


def contrib(op: str, inputs, outputs, **attributes):
    return make_node(op, inputs, outputs, domain="com.microsoft", **attributes)


def products(trace: Trace) -> list[tuple[object, ...]]:
    return [(g.m, g.n, g.k, g.batch, g.w_format, g.a_format, g.o_format, g.w_source) for g in trace.gemms]


def vectors(trace: Trace) -> list[tuple[str, int, int]]:
    return [(op.op, op.m, op.n) for op in trace.vector_ops]


def test_a_constant_beside_running_values_does_not_make_the_rest_constant(graph):
    """A class token, joined to quantized patches: what follows runs all the same."""
    nodes = [
        contrib("QLinearConcat", ["s", "z", "token", "s", "z", "x", "s", "z"], ["t"], axis=1),
        contrib("QLinearAdd", ["positions", "s", "z", "t", "s", "z", "s", "z"], ["p"]),
        make_node("QLinearMatMul", ["p", "s", "z", "w", "s", "zw", "s", "z"], ["y"]),
    ]
    stored = {
        "s": ONE, "z": ZERO, "zw": np.array(0, np.int8), "token": np.zeros((1, 1, 8), np.uint8),
        "positions": np.zeros((1, 6, 8), np.uint8), "w": np.zeros((8, 3), np.int8),
    }  # fmt: skip
    trace = graph(nodes, {"x": [1, 5, 8]}, stored, dtypes={"x": T.UINT8})
    assert products(trace) == [(6, 3, 8, 1, "int8", "uint8", "uint8", "dram")]
    assert vectors(trace) == [("add", 6, 8)]


def test_quantized_attention_is_told_apart(graph):
    nodes = [
        make_node("QLinearMatMul", ["q", "s", "z", "k", "s", "z", "s", "z"], ["a"]),
        contrib("QLinearSoftmax", ["a", "s", "z", "s", "z"], ["p"], axis=-1),
        make_node("QLinearMatMul", ["p", "s", "z", "v", "s", "z", "s", "z"], ["y"]),
    ]
    inputs = {"q": [2, 5, 8], "k": [2, 8, 7], "v": [2, 7, 8]}
    trace = graph(nodes, inputs, {"s": ONE, "z": ZERO}, dtypes=dict.fromkeys(inputs, T.UINT8))
    assert [gemm.role for gemm in trace.gemms] == ["score", "value"]
    assert vectors(trace) == [("softmax", 10, 7)]


@pytest.mark.parametrize(("quantized", "o_format"), [(True, "uint8"), (False, "")])
def test_quantized_gemm(graph, quantized, o_format):
    names = ["x", "s", "z", "w", "s", "zw", "c", *(["s", "z"] if quantized else [])]
    stored = {
        "s": ONE,
        "z": ZERO,
        "zw": np.array(0, np.int8),
        "w": np.zeros((6, 8), np.int8),
        "c": np.zeros(6, np.int32),
    }
    trace = graph([contrib("QGemm", names, ["y"], transB=1)], {"x": [5, 8]}, stored, dtypes={"x": T.UINT8})
    assert products(trace) == [(5, 6, 8, 1, "int8", "uint8", o_format, "dram")]


def test_integer_products_with_float_results(graph):
    stored = {"w": np.zeros((8, 6), np.int8), "s": ONE}
    trace = graph(
        [contrib("MatMulIntegerToFloat", ["x", "w", "s", "s"], ["y"])], {"x": [2, 5, 8]}, stored, dtypes={"x": T.UINT8}
    )
    assert products(trace) == [(10, 6, 8, 1, "int8", "uint8", "", "dram")]
    trace = graph([contrib("DynamicQuantizeMatMul", ["x", "w", "s"], ["y"])], {"x": [2, 5, 8]}, stored)
    assert products(trace) == [(10, 6, 8, 1, "int8", "uint8", "", "dram")]
    assert vectors(trace) == [("quantize", 10, 8)]


def test_fused_products(graph):
    trace = graph([contrib("FusedMatMul", ["q", "k"], ["y"], transB=1, alpha=0.25)], {"q": [2, 5, 8], "k": [2, 7, 8]})
    assert products(trace) == [(5, 7, 8, 2, "", "", "", "activation")]
    trace = graph([contrib("FusedGemm", ["x", "w"], ["y"], transB=1, activation="Relu")], {"x": [5, 8]}, {"w": (6, 8)})
    assert products(trace) == [(5, 6, 8, 1, "", "", "", "dram")]


def test_what_follows_a_fused_operation_has_a_type_and_a_shape(graph):
    nodes = [
        contrib(
            "EmbedLayerNormalization", ["ids", "segments", "words", "places", "kinds", "gain", "bias"], ["e", "mask"]
        ),
        contrib("SkipLayerNormalization", ["e", "e", "gain", "bias"], ["n"]),
        contrib("BiasGelu", ["n", "bias"], ["g"]),
        make_node("MatMul", ["g", "w"], ["y"]),
    ]
    stored = {"words": (100, 8), "places": (16, 8), "kinds": (2, 8), "gain": (8,), "bias": (8,), "w": (8, 3)}
    trace = graph(nodes, {"ids": [2, 5], "segments": [2, 5]}, stored, dtypes={"ids": T.INT32, "segments": T.INT32})
    assert [(op.op, op.repeat) for op in trace.vector_ops] == [
        ("embedding", 1), ("add", 2), ("layernorm", 1), ("add", 1), ("layernorm", 1), ("gelu", 1),
    ]  # fmt: skip
    assert products(trace) == [(10, 3, 8, 1, "", "", "", "dram")]


def test_blocks_of_the_projection_in_an_attention(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=32),
        contrib("Attention", ["x", "d", "b"], ["y"], num_heads=4),
    ]
    stored = {"w": packed("w", T.INT4, (64, 96)), "s": np.ones((2, 96), np.float32), "b": (96,)}
    assert graph(nodes, {"x": [2, 6, 64]}, stored).gemms[0].w_format == "int4_g32_fp32"
