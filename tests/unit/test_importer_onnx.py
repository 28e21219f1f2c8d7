"""ONNX graphs: every operation with products, formats of quantized operands, symbols, what is refused and how."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hwsim.cli.main import run_command
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Trace, load_workload
from tests.support.onnx_graphs import packed, write_graph

onnx = pytest.importorskip("onnx")
from onnx import TensorProto as T  # noqa: E402
from onnx.helper import make_graph, make_node, make_tensor_value_info  # noqa: E402


@pytest.fixture
def graph(tmp_path: Path):
    """Write a graph of the given nodes and return its trace."""

    def read(nodes, inputs, stored=None, settings=None, **options) -> Trace:
        path = write_graph(tmp_path / "g.onnx", nodes, inputs, stored, **options)
        return load_workload({"source": str(path), "settings": settings or {}})

    return read


def shapes(trace: Trace) -> list[tuple[int, ...]]:
    return [(g.m, g.n, g.k, g.batch) for g in trace.gemms]


# Products


def test_a_matrix_that_multiplies_a_batch_is_one_product(graph):
    trace = graph([make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 5, 8]}, {"w": (8, 6)})
    assert shapes(trace) == [(10, 6, 8, 1)]
    assert trace.gemms[0].w_source == "dram"


def test_a_weight_on_the_left_is_still_w(graph):
    trace = graph([make_node("MatMul", ["w", "x"], ["y"])], {"x": [8, 5]}, {"w": (6, 8)})
    assert shapes(trace) == [(5, 6, 8, 1)]
    assert trace.gemms[0].w_source == "dram"


def test_two_activations_are_instances(graph):
    trace = graph([make_node("MatMul", ["x", "z"], ["y"])], {"x": [2, 3, 5, 8], "z": [2, 3, 8, 4]})
    assert shapes(trace) == [(5, 4, 8, 6)]
    assert trace.gemms[0].w_source == "activation"


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm_with_transposed_operands(graph, trans_a, trans_b):
    node = make_node("Gemm", ["x", "w", "b"], ["y"], transA=trans_a, transB=trans_b)
    trace = graph([node], {"x": [8, 5] if trans_a else [5, 8]}, {"w": (6, 8) if trans_b else (8, 6), "b": (6,)})
    assert shapes(trace) == [(5, 6, 8, 1)]


@pytest.mark.parametrize(
    ("image", "weights", "options", "expected"),
    [
        ((2, 3, 10), (4, 3, 3), {}, (2 * 8, 4, 9, 1)),
        ((1, 3, 9, 7), (4, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}, (5 * 4, 4, 27, 1)),
        ((1, 4, 9, 9), (8, 2, 3, 3), {"group": 2}, (49, 4, 18, 2)),
        ((1, 6, 9, 9), (6, 1, 3, 3), {"group": 6, "dilations": [2, 2]}, (25, 1, 9, 6)),
        ((1, 2, 6, 6, 6), (3, 2, 2, 3, 1), {"strides": [2, 1, 3]}, (3 * 4 * 2, 3, 12, 1)),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [3, 3]}, (9, 4, 27, 1)),
    ],
)
def test_convolutions_of_any_dimension(graph, image, weights, options, expected):
    trace = graph([make_node("Conv", ["x", "w"], ["y"], **options)], {"x": image}, {"w": weights})
    assert shapes(trace) == [expected]
    assert trace.gemms[0].role == "conv"


@pytest.mark.parametrize(("groups", "expected"), [(1, (35, 4 * 6, 8, 1)), (2, (35, 2 * 6, 4, 2))])
def test_transposed_convolution_multiplies_every_input_pixel_with_the_kernel(graph, groups, expected):
    node = make_node("ConvTranspose", ["x", "w"], ["y"], group=groups, strides=[2, 2])
    assert shapes(graph([node], {"x": (1, 8, 5, 7)}, {"w": (8, 4 // groups, 2, 3)})) == [expected]


@pytest.mark.parametrize(
    ("equation", "x", "z", "expected"),
    [
        ("bhqd,bhkd->bhqk", (2, 3, 5, 8), (2, 3, 7, 8), (5, 7, 8, 6)),
        ("bij,jk->bik", (2, 5, 8), (8, 4), (10, 4, 8, 1)),
        ("...ij,...jk->...ik", (2, 3, 5, 8), (2, 3, 8, 4), (5, 4, 8, 6)),
        ("bi, bi -> b", (6, 8), (6, 8), (1, 1, 8, 6)),
        ("ij,jk", (5, 8), (8, 4), (5, 4, 8, 1)),
        ("abc,cda->bd", (2, 5, 8), (8, 4, 2), (5, 4, 16, 1)),
    ],
)
def test_einsum_of_two_operands(graph, equation, x, z, expected):
    trace = graph([make_node("Einsum", ["x", "z"], ["y"], equation=equation)], {"x": x, "z": z})
    assert shapes(trace) == [expected]


def test_recurrent_cells_run_step_by_step(graph):
    trace = graph(
        [make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6)], {"x": [9, 2, 5]}, {"w": (1, 24, 5), "r": (1, 24, 6)}
    )
    assert shapes(trace) == [(18, 24, 5, 1), (2, 24, 6, 1)]
    assert [gemm.repeat for gemm in trace.gemms] == [1, 9]


def test_a_product_without_a_sum_is_a_vector_operation(graph):
    trace = graph([make_node("MatMul", ["x", "z"], ["y"])], {"x": [2, 5, 1], "z": [2, 1, 4]})
    assert not trace.gemms
    assert [(op.op, op.m, op.n) for op in trace.vector_ops] == [("mul", 10, 4)]


@pytest.mark.parametrize(
    ("op", "gates", "options", "expected", "unpriced"),
    [
        ("RNN", 1, {}, {"tanh": 1, "add": 1}, ""),
        ("GRU", 3, {}, {"tanh": 1, "add": 5, "mul": 3}, "Sigmoid 18"),
        ("LSTM", 4, {}, {"tanh": 2, "add": 5, "mul": 3}, "Sigmoid 27"),
        (
            "LSTM",
            4,
            {"activations": ["relu", "Tanh", "Affine"]},
            {"relu": 3, "tanh": 1, "add": 5, "mul": 3},
            "Affine 9",
        ),
    ],
)
def test_what_recurrent_cells_do_between_products(graph, op, gates, options, expected, unpriced):
    """Per step, by the definitions: LSTM C = f·C + i·c, H = o·h(C); GRU H = (1 - z)·h + z·H, h of r·H."""
    node = make_node(op, ["x", "w", "r"], ["y"], hidden_size=6, **options)
    trace = graph([node], {"x": [9, 2, 5]}, {"w": (1, gates * 6, 5), "r": (1, gates * 6, 6)})
    assert {(v.op, v.m, v.n, v.repeat) for v in trace.vector_ops} == {(o, 2, 6, 9 * n) for o, n in expected.items()}
    assert trace.meta.get("unpriced", "") == unpriced


def test_both_directions_and_peepholes(graph):
    node = make_node("LSTM", ["x", "w", "r", "", "", "", "", "p"], ["y"], hidden_size=6, direction="bidirectional")
    trace = graph([node], {"x": [9, 2, 5]}, {"w": (2, 24, 5), "r": (2, 24, 6), "p": (2, 18)})
    assert {v.op: v.repeat for v in trace.vector_ops} == {"tanh": 2 * 18, "add": 8 * 18, "mul": 6 * 18}
    node = make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6, direction="bidirectional", activations=["Tanh"] * 3)
    with pytest.raises(SpecError, match="3 activations; valid: 3 of each direction"):
        graph([node], {"x": [9, 2, 5]}, {"w": (2, 24, 5), "r": (2, 24, 6)})


def test_a_product_with_weights_of_one_input_is_a_product(graph):
    trace = graph([make_node("MatMul", ["x", "w"], ["y"])], {"x": [100, 1]}, {"w": (1, 4096)})
    assert shapes(trace) == [(100, 4096, 1, 1)]
    trace = graph(
        [make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=8)], {"x": [9, 3, 1]}, {"w": (1, 32, 1), "r": (1, 32, 8)}
    )
    assert shapes(trace) == [(27, 32, 1, 1), (3, 32, 8, 1)]


def test_blocks_of_recurrent_weights(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["wd"], axis=2, block_size=32),
        make_node("DequantizeLinear", ["r", "s"], ["rd"], axis=2, block_size=32),
        make_node("GRU", ["x", "wd", "rd"], ["y"], hidden_size=64),
    ]
    stored = {name: packed(name, T.INT4, (1, 192, 64)) for name in ("w", "r")} | {"s": np.ones((1, 192, 2), np.float32)}
    assert {gemm.w_format for gemm in graph(nodes, {"x": [5, 2, 64]}, stored).gemms} == {"int4_g32_fp32"}


def test_what_only_weights_and_shapes_decide_does_not_run(graph):
    nodes = [make_node("MatMul", ["v", "w"], ["u"]), make_node("MatMul", ["x", "u"], ["y"])]
    trace = graph(nodes, {"x": [3, 4]}, {"v": (4, 5), "w": (5, 6)})
    assert shapes(trace) == [(3, 6, 4, 1)]
    assert trace.gemms[0].w_source == "dram"
    assert trace.meta["folded"] == "1 products of constants"


def repeat_kv(kv_heads: int, groups: int):
    target = np.array([2, kv_heads, groups, 7, 8])
    return [
        make_node("Unsqueeze", ["k", "two"], ["k5"]),
        make_node("Expand", ["k5", "expanded"], ["ke"]),
        make_node("Reshape", ["ke", "heads"], ["kh"]),
        make_node("Transpose", ["kh"], ["kt"], perm=[0, 1, 3, 2]),
        make_node("MatMul", ["q", "kt"], ["y"]),
    ], {"two": np.array([2]), "expanded": target, "heads": np.array([2, kv_heads * groups, 7, 8])}


def test_repeated_kv_heads_are_read_once(graph):
    nodes, stored = repeat_kv(3, 4)
    trace = graph(nodes, {"q": [2, 12, 5, 8], "k": [2, 3, 7, 8]}, stored)
    assert shapes(trace) == [(4 * 5, 7, 8, 6)]


def test_heads_tiled_the_other_way_round_are_shared_too(graph):
    nodes = [make_node("Tile", ["k", "times"], ["kh"]), make_node("MatMul", ["q", "kh"], ["y"])]
    trace = graph(nodes, {"q": [2, 6, 5, 8], "k": [2, 3, 8, 7]}, {"times": np.array([1, 2, 1, 1])})
    assert trace.macs == 2 * 6 * 5 * 7 * 8


def test_scores_and_values_are_told_apart_by_the_softmax(graph):
    nodes = [
        make_node("MatMul", ["q", "k"], ["s"], name="/attn/MatMul"),
        make_node("Div", ["s", "root"], ["d"]),
        make_node("Add", ["d", "mask"], ["m"]),
        make_node("Softmax", ["m"], ["p"], name="/attn/Softmax"),
        make_node("MatMul", ["p", "v"], ["y"], name="/attn/MatMul_1"),
    ]
    inputs = {"q": [2, 5, 8], "k": [2, 8, 7], "v": [2, 7, 8], "mask": [1, 1, 7]}
    trace = graph(nodes, inputs, {"root": np.array(2.8, np.float32)})
    assert [(gemm.layer, gemm.role) for gemm in trace.gemms] == [("attn.scores", "score"), ("attn.values", "value")]


# Attention as one node


def test_attention_of_the_standard(graph):
    node = make_node("Attention", ["q", "k", "v"], ["y"])
    trace = graph([node], {"q": [2, 6, 5, 8], "k": [2, 3, 7, 8], "v": [2, 3, 7, 4]}, opset=23)
    assert shapes(trace) == [(10, 7, 8, 6), (10, 4, 7, 6)]
    assert [op.op for op in trace.vector_ops] == ["softmax"]


def test_grouped_query_attention_with_a_cache(graph):
    names = ["q", "k", "v", "past_k", "past_v", "a", "b"]
    node = make_node(
        "GroupQueryAttention",
        names,
        ["y", "present_k", "present_v"],
        domain="com.microsoft",
        num_heads=6,
        kv_num_heads=3,
    )
    inputs = {
        "q": [2, 1, 48],
        "k": [2, 1, 24],
        "v": [2, 1, 24],
        "past_k": [2, 3, 9, 8],
        "past_v": [2, 3, 9, 8],
        "a": [2],
        "b": [1],
    }
    trace = graph([node], inputs, contrib=True)
    assert shapes(trace) == [(2, 10, 8, 6), (2, 8, 10, 6)]
    assert {gemm.w_source for gemm in trace.gemms} == {"kv"}


def test_multi_head_attention_and_attention_with_projection(graph):
    node = make_node("MultiHeadAttention", ["q", "k", "v"], ["y"], domain="com.microsoft", num_heads=4)
    trace = graph([node], {"q": [2, 5, 32], "k": [2, 7, 32], "v": [2, 7, 32]}, contrib=True)
    assert shapes(trace) == [(5, 7, 8, 8), (5, 8, 7, 8)]
    node = make_node("Attention", ["x", "w", "b"], ["y"], domain="com.microsoft", num_heads=4)
    trace = graph([node], {"x": [2, 5, 32]}, {"w": (32, 96), "b": (96,)}, contrib=True)
    assert shapes(trace) == [(10, 96, 32, 1), (5, 5, 8, 8), (5, 8, 5, 8)]


# Formats


def formats(trace: Trace) -> tuple[str, str, str]:
    gemm = trace.gemms[0]
    return gemm.w_format, gemm.a_format, gemm.o_format


def test_integer_products_have_their_types(graph):
    node = make_node("MatMulInteger", ["x", "w"], ["y"])
    trace = graph([node], {"x": [5, 8]}, {"w": np.zeros((8, 6), np.int8)}, dtypes={"x": T.UINT8})
    assert formats(trace) == ("int8", "uint8", "int32")
    node = make_node("ConvInteger", ["x", "w"], ["y"])
    trace = graph([node], {"x": [1, 2, 5, 5]}, {"w": np.zeros((3, 2, 3, 3), np.uint8)}, dtypes={"x": T.INT8})
    assert formats(trace) == ("uint8", "int8", "int32")


@pytest.mark.parametrize("op", ["QLinearMatMul", "QLinearConv"])
def test_quantized_products_have_their_types(graph, op):
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    weights = np.zeros((8, 6) if op == "QLinearMatMul" else (3, 2, 3, 3), np.int8)
    names = ["x", "s", "z", "w", "s", "zw", "s", "z"]
    stored = {"s": one, "z": zero, "w": weights, "zw": np.array(0, np.int8)}
    image = [5, 8] if op == "QLinearMatMul" else [1, 2, 5, 5]
    trace = graph([make_node(op, names, ["y"])], {"x": image}, stored, dtypes={"x": T.UINT8})
    assert formats(trace) == ("int8", "uint8", "uint8")


@pytest.mark.parametrize(
    ("dtype", "scales", "scale_type", "zero_points", "expected"),
    [
        (T.INT8, (), T.FLOAT, False, "int8"),
        (T.INT8, (6,), T.FLOAT, False, "int8"),
        (T.FLOAT8E4M3FN, (), T.FLOAT, False, "fp8_e4m3"),
        (T.FLOAT8E5M2, (), T.FLOAT, False, "fp8_e5m2"),
        (T.INT4, (2, 6), T.FLOAT, False, "int4_g32_fp32"),
        (T.INT4, (2, 6), T.FLOAT16, False, "int4_g32"),
        (T.UINT4, (2, 6), T.FLOAT16, True, "int4_asym_g32"),
    ],
)
def test_dequantized_weights_keep_the_format_that_is_stored(graph, dtype, scales, scale_type, zero_points, expected):
    blocked = len(scales) == 2
    names = ["w", "s", *(["z"] if zero_points else [])]
    options = {"axis": 0, "block_size": 32} if blocked else {"axis": 1}
    nodes = [make_node("DequantizeLinear", names, ["d"], **options), make_node("MatMul", ["x", "d"], ["y"])]
    stored = {"w": packed("w", dtype, (64, 6)), "s": packed("s", scale_type, scales)}
    if zero_points:
        stored["z"] = onnx.helper.make_tensor("z", dtype, scales, np.full(12, 8))
    trace = graph(nodes, {"x": [5, 64]}, stored, dtypes={"x": scale_type})
    assert formats(trace)[0] == expected
    assert not [op for op in trace.vector_ops if op.op == "dequantize"]


def test_blocks_with_scales_of_powers_of_two_and_of_two_levels(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=32),
        make_node("MatMul", ["x", "d"], ["y"]),
    ]
    stored = {"w": packed("w", T.FLOAT4E2M1, (64, 6)), "s": packed("s", T.FLOAT8E8M0, (2, 6))}
    try:
        trace = graph(nodes, {"x": [5, 64]}, stored, opset=25)
    except SpecError as error:  # libraries before ONNX 1.19 have no scales of this type
        assert "do not fit" in str(error)
    else:
        assert formats(trace)[0] == "mxfp4"
    nodes = [
        make_node("DequantizeLinear", ["s8", "top"], ["s"]),
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=16),
        make_node("MatMul", ["x", "d"], ["y"]),
    ]
    stored = {
        "w": packed("w", T.FLOAT4E2M1, (64, 6)),
        "s8": packed("s8", T.FLOAT8E4M3FN, (4, 6)),
        "top": np.array(1, np.float32),
    }
    assert formats(graph(nodes, {"x": [5, 64]}, stored, opset=23))[0] == "nvfp4"


def test_blocks_along_another_axis_are_refused(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=1, block_size=32),
        make_node("MatMul", ["x", "d"], ["y"]),
    ]
    stored = {"w": packed("w", T.INT4, (6, 64)), "s": packed("s", T.FLOAT16, (6, 2))}
    with pytest.raises(SpecError, match="blocks of 32 weights run along axis 1, not along the reduction"):
        graph(nodes, {"x": [5, 6]}, stored, dtypes={"x": T.FLOAT16})


def test_a_transposed_weight_keeps_its_blocks(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=1, block_size=32),
        make_node("Transpose", ["d"], ["t"]),
        make_node("MatMul", ["x", "t"], ["y"]),
    ]
    stored = {"w": packed("w", T.INT4, (6, 64)), "s": packed("s", T.FLOAT16, (6, 2))}
    assert formats(graph(nodes, {"x": [5, 64]}, stored, dtypes={"x": T.FLOAT16}))[0] == "int4_g32"


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("cut", ["Split", "Slice", "Gather", "Pad"])
def test_parts_of_a_quantized_weight_keep_its_format(graph, cut, blocks):
    options = {"axis": 0, "block_size": 32} if blocks else {"axis": 1}
    stored = {
        "w": packed("w", T.INT8, (64, 96)), "s": np.ones((2, 96) if blocks else (96,), np.float32),
        "from": np.array([0, 0]), "to": np.array([64, 32]), "which": np.arange(32), "pads": np.array([0, 0, 0, 1]),
    }  # fmt: skip
    cuts = {
        "Split": make_node("Split", ["d"], ["p", "p2", "p3"], axis=1, num_outputs=3),
        "Slice": make_node("Slice", ["d", "from", "to"], ["p"]),
        "Gather": make_node("Gather", ["d", "which"], ["p"], axis=1),
        "Pad": make_node("Pad", ["d", "pads"], ["p"]),
    }
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], **options),
        cuts[cut],
        make_node("MatMul", ["x", "p"], ["y"]),
    ]
    assert formats(graph(nodes, {"x": [5, 64]}, stored))[0] == ("int8_g32_fp32" if blocks else "int8")


def test_one_of_several_matrices_keeps_its_blocks(graph):
    nodes = [
        make_node("DequantizeLinear", ["w", "s"], ["d"], axis=1, block_size=32),
        make_node("Gather", ["d", "i"], ["p"]), make_node("MatMul", ["x", "p"], ["y"]),
    ]  # fmt: skip
    stored = {"w": packed("w", T.INT8, (4, 64, 6)), "s": np.ones((4, 2, 6), np.float32), "i": np.array(2)}
    assert formats(graph(nodes, {"x": [5, 64]}, stored))[0] == "int8_g32_fp32"


@pytest.mark.parametrize(("second", "expected"), [("q", "uint8"), ("x", "")])
def test_quantized_values_that_are_joined_and_cut_keep_the_format_they_agree_in(graph, second, expected):
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    nodes = [
        make_node("QuantizeLinear", ["x", "s", "z"], ["u"]), make_node("DequantizeLinear", ["u", "s", "z"], ["q"]),
        make_node("Concat", ["q", second], ["c"], axis=1), make_node("Split", ["c"], ["a", "b"], axis=0, num_outputs=2),
        make_node("MatMul", ["a", "w"], ["y"]),
    ]  # fmt: skip
    trace = graph(nodes, {"x": [4, 8]}, {"s": one, "z": zero, "w": (16, 6)})
    assert formats(trace) == ("", expected, "")


def test_quantized_activations_are_the_operands_format(graph):
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    nodes = [
        make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        make_node("MatMul", ["d", "w"], ["y"]),
    ]
    trace = graph(nodes, {"x": [5, 8]}, {"s": one, "z": zero, "w": (8, 6)})
    assert formats(trace) == ("", "uint8", "")
    assert [op.op for op in trace.vector_ops] == ["quantize", "dequantize"]


def test_weights_of_few_bits_in_one_node(graph):
    node = make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=64, N=6, bits=4, block_size=32)
    stored = {"w": np.zeros((6, 2, 16), np.uint8), "s": np.zeros((12,), np.float16)}
    trace = graph([node], {"x": [2, 5, 64]}, stored, contrib=True, dtypes={"x": T.FLOAT16})
    assert shapes(trace) == [(10, 6, 64, 1)]
    assert formats(trace)[0] == "int4_g32"


# Vector operations


def test_a_norm_in_pieces_is_one_operation(graph):
    nodes = [
        make_node("Pow", ["x", "two"], ["p"]),
        make_node("ReduceMean", ["p", "last"], ["m"]),
        make_node("Add", ["m", "eps"], ["e"]),
        make_node("Sqrt", ["e"], ["r"]),
        make_node("Div", ["x", "r"], ["n"]),
        make_node("Mul", ["n", "gain"], ["y"]),
    ]
    stored = {"two": np.array(2, np.float32), "last": np.array([-1]), "eps": np.array(1e-5, np.float32), "gain": (8,)}
    trace = graph(nodes, {"x": [3, 8]}, stored)
    assert [(op.op, op.m, op.n) for op in trace.vector_ops] == [("rmsnorm", 3, 8)]


def test_layer_norm_gelu_and_silu_in_pieces(graph):
    scalars = {
        name: np.array(value, np.float32)
        for name, value in (("two", 2), ("eps", 1e-5), ("one", 1), ("root", 1.414), ("half", 0.5))
    }
    norm = [
        make_node("ReduceMean", ["x", "last"], ["mean"]), make_node("Sub", ["x", "mean"], ["c"]),
        make_node("Pow", ["c", "two"], ["p"]), make_node("ReduceMean", ["p", "last"], ["v"]),
        make_node("Add", ["v", "eps"], ["e"]), make_node("Sqrt", ["e"], ["r"]), make_node("Div", ["c", "r"], ["n"]),
    ]  # fmt: skip
    gelu = [
        make_node("Div", ["n", "root"], ["g"]), make_node("Erf", ["g"], ["f"]), make_node("Add", ["f", "one"], ["h"]),
        make_node("Mul", ["n", "h"], ["i"]), make_node("Mul", ["i", "half"], ["j"]),
    ]  # fmt: skip
    silu = [make_node("Sigmoid", ["j"], ["k"]), make_node("Mul", ["j", "k"], ["y"])]
    trace = graph([*norm, *gelu, *silu], {"x": [3, 8]}, {**scalars, "last": np.array([-1])})
    assert [op.op for op in trace.vector_ops] == ["layernorm", "gelu", "silu"]


def test_operations_without_a_program_are_counted(graph):
    trace = graph(
        [make_node("MatMul", ["x", "w"], ["u"]), make_node("Sin", ["u"], ["y"])], {"x": [3, 8]}, {"w": (8, 8)}
    )
    assert trace.meta["unpriced"] == "Sin 1"


# Shapes


def test_shapes_follow_through_arithmetic_on_shapes(graph):
    nodes = [
        make_node("Shape", ["x"], ["s"]),
        make_node("Gather", ["s", "zero"], ["b"], axis=0),
        make_node("Unsqueeze", ["b", "zeros"], ["b1"]),
        make_node("Concat", ["b1", "minus"], ["target"], axis=0),
        make_node("Reshape", ["x", "target"], ["flat"]),
        make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    stored = {"zero": np.array(0), "zeros": np.array([0]), "minus": np.array([-1]), "w": (24, 5)}
    trace = graph(nodes, {"x": ["batch", 4, 6]}, stored, {"batch": 3})
    assert shapes(trace) == [(3, 5, 24, 1)]


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        (
            ["batch", 8],
            {},
            "settings: batch is free; give sizes: hwsim trace … --set batch=1, or settings: {batch: 1} in a",
        ),
        (
            ["batch", "seq", 8],
            {},
            "settings: batch, seq are free; give sizes: hwsim trace … --set batch=1 --set seq=1, or settings: {batch: 1, seq",
        ),
        ([None, 8], {}, "settings: x.0 is free"),
        (["batch", 8], {"batch": 1, "bacth": 2}, "no extent called 'bacth'; valid: batch (did you mean 'batch'?)"),
        ([2, 8], {"batch": 2}, "no extent called 'batch'; all extents of this graph are fixed"),
        (["batch", 8], {"batch": "many"}, "settings: batch must be a whole number from 0 to 2^48, not 'many'"),
    ],
)
def test_names_of_extents_need_values(graph, sizes, settings, message):
    with pytest.raises((UsageError, SpecError)) as caught:
        graph([make_node("MatMul", ["x", "w"], ["y"])], {"x": sizes}, {"w": (8, 6)}, settings)
    assert message in str(caught.value)


def test_an_extent_may_be_a_sum_of_names(graph):
    nodes = [make_node("MatMul", ["q", "k"], ["y"])]
    inputs = {"q": [1, "seq", 8], "k": [1, 8, "past + seq"]}
    assert shapes(graph(nodes, inputs, settings={"past": 9, "seq": 2})) == [(2, 11, 8, 1)]


def test_a_shape_that_data_decide_is_named_where_it_matters(graph):
    nodes = [
        make_node("NonZero", ["x"], ["i"], name="find"),
        make_node("Cast", ["i"], ["f"], to=T.FLOAT),
        make_node("MatMul", ["w", "f"], ["y"]),
    ]
    with pytest.raises(
        SpecError, match=r"node '2' \(MatMul\): the shape of its input 'f' is not known; node 'find' \(NonZero\) leaves"
    ):
        graph(nodes, {"x": [3, 4]}, {"w": (5, 2)})


# What is refused


def test_an_unknown_operation_is_named(graph):
    node = make_node("MoE", ["x", "w"], ["y"], name="experts", domain="com.microsoft")
    with pytest.raises(SpecError, match=r"node 'experts' \(MoE\): operation 'MoE' of com.microsoft is not understood"):
        graph([node], {"x": [3, 8]}, {"w": (8, 8)}, contrib=True)
    node = make_node("DFT", ["x"], ["y"])
    with pytest.raises(SpecError, match="'DFT' is not understood, and may hold multiply-accumulates"):
        graph([node], {"x": [1, 8, 1]}, opset=20)


def branches(condition: bool):
    then, other = (
        make_graph(
            [make_node("MatMul", ["x", w], [f"{w}_out"])], w, [], [make_tensor_value_info(f"{w}_out", T.FLOAT, None)]
        )
        for w in ("v", "w")
    )
    return [make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)], {
        "c": np.array(condition),
        "v": (8, 3),
        "w": (8, 5),
    }


@pytest.mark.parametrize(("condition", "n"), [(True, 3), (False, 5)])
def test_a_branch_with_a_constant_condition_is_taken(graph, condition, n):
    nodes, stored = branches(condition)
    assert shapes(graph(nodes, {"x": [2, 8]}, stored)) == [(2, n, 8, 1)]


def test_control_flow_that_data_decide_is_refused(graph):
    nodes, stored = branches(True)
    del stored["c"]
    with pytest.raises(SpecError, match=r"\(If\): control flow is not read"):
        graph(nodes, {"x": [2, 8], "c": []}, stored, dtypes={"c": T.BOOL})


def test_nodes_out_of_order_and_shapes_that_do_not_fit(graph):
    with pytest.raises(SpecError, match="its input 'u' is made by no node before it"):
        graph([make_node("Relu", ["u"], ["y"])], {"x": [2, 8]})
    with pytest.raises(SpecError, match=r"\(MatMul\): its shapes \[2, 8\] and \[7, 3\] do not fit"):
        graph([make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, {"w": (7, 3)})


def test_functions_are_inlined_and_circles_refused(tmp_path):
    from onnx import helper

    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    double = helper.make_function("own", "Twice", ["a", "b"], ["c"], [
        make_node("MatMul", ["a", "b"], ["d"]), make_node("MatMul", ["d", "b"], ["c"]),
    ], imports)  # fmt: skip
    path = write_graph(
        tmp_path / "f.onnx", [make_node("Twice", ["x", "w"], ["y"], domain="own")], {"x": [2, 8]}, {"w": (8, 8)}
    )
    model = onnx.load(path)
    model.opset_import.append(imports[1])
    model.functions.append(double)
    path.write_bytes(model.SerializeToString())
    assert shapes(load_workload(str(path))) == [(2, 8, 8, 1)] * 2
    model.functions[0].node.append(make_node("Twice", ["c", "b"], ["e"], domain="own"))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SpecError, match="function 'Twice' calls itself"):
        load_workload(str(path))


def test_weights_outside_the_file_are_not_looked_for(tmp_path):
    path = write_graph(tmp_path / "e.onnx", [make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, {"w": (8, 6)})
    model = onnx.load(path)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = T.EXTERNAL
    weights.external_data.add(key="location", value="../../nowhere.bin")
    path.write_bytes(model.SerializeToString())
    assert shapes(load_workload(str(path))) == [(2, 6, 8, 1)]


def test_layers_that_are_alike_are_one_row(graph):
    nodes = [make_node("MatMul", [f"h{i}", f"layers.{i}.fc.weight"], [f"h{i + 1}"]) for i in range(3)]
    stored = {f"layers.{i}.fc.weight": (8, 8) for i in range(3)}
    trace = graph([*nodes, make_node("Relu", ["h3"], ["y"])], {"h0": [2, 8]}, stored)
    assert [(gemm.layer, gemm.repeat) for gemm in trace.gemms] == [("layers.*.fc", 3)]


def test_without_the_library_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    path = write_graph(tmp_path / "g.onnx", [make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, {"w": (8, 6)})
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run_command(["trace", str(path)]) == 2
    assert "pip install 'hwsim[onnx]'" in " ".join(capsys.readouterr().err.split())


def test_from_the_command_line(tmp_path, capsys):
    path = write_graph(
        tmp_path / "g.onnx", [make_node("MatMul", ["x", "w"], ["y"])], {"x": ["batch", 8]}, {"w": (8, 6)}
    )
    assert run_command(["trace", str(path), "--set", "batch=4"]) == 0
    assert "gemm,4,6,8,1,1" in capsys.readouterr().out
    assert run_command(["trace", str(path)]) == 2
    assert "--set batch=1" in capsys.readouterr().err


@pytest.mark.parametrize("op", ["Gather", "GatherND"])
def test_matrices_that_data_choose_are_experts(graph, op):
    """Each row is multiplied with the matrix of its expert: so many rows over so many stored matrices."""
    nodes = [
        make_node("Unsqueeze", ["which", "last"], ["i"])
        if op == "GatherND"
        else make_node("Identity", ["which"], ["i"]),
        make_node(op, ["experts", "i"], ["w"]),
        make_node("Unsqueeze", ["x", "middle"], ["rows"]),
        make_node("MatMul", ["rows", "w"], ["y"]),
    ]
    stored = {"experts": (4, 8, 6), "last": np.array([1]), "middle": np.array([1])}
    trace = graph(nodes, {"x": [10, 8], "which": [10]}, stored, dtypes={"which": T.INT64})
    assert shapes(trace) == [(3, 6, 8, 2), (2, 6, 8, 2)]
    assert {gemm.w_source for gemm in trace.gemms} == {"dram"}
    assert "10 rows over 4 experts: uniform" in trace.gemms[0].note


def test_tables_that_data_choose_run_when_they_meet(graph):
    nodes = [
        make_node("Gather", ["a", "i"], ["u"]), make_node("Gather", ["b", "i"], ["v"]), make_node("Neg", ["v"], ["n"]),
        make_node("MatMul", ["u", "n"], ["y"]),
    ]  # fmt: skip
    trace = graph(nodes, {"i": [3]}, {"a": (9, 5, 8), "b": (9, 8, 6)}, dtypes={"i": T.INT64})
    assert trace.macs == 3 * 5 * 8 * 6
