from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload import prefill
from hwsim.workload.convolution import Conv, ConvNet, Feature, output_size
from hwsim.workload.importers.hf_config import build_trace


@given(st.integers(1, 40), st.integers(1, 11), st.integers(1, 4), st.integers(0, 5))
def test_output_size_counts_window_places(size: int, kernel: int, stride: int, padding: int) -> None:
    places = len(range(0, size + 2 * padding - kernel + 1, stride))
    if places == 0:
        with pytest.raises(UsageError, match="does not fit"):
            output_size(size, kernel, stride, padding)
    else:
        assert output_size(size, kernel, stride, padding) == places


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(4, 7)
)  # fmt: skip
def test_macs_equal_a_convolution_done_by_hand(
    per_group: int, groups: int, kernel: int, stride: int, padding: int, size: int
) -> None:
    conv = Conv(per_group * groups, 2 * groups, kernel, stride, padding, groups)
    source = Feature(conv.in_channels, size, size + 1)
    padded = np.zeros((conv.in_channels, size + 2 * padding, size + 1 + 2 * padding))
    macs = 0
    for y in range(0, padded.shape[1] - kernel + 1, stride):
        for x in range(0, padded.shape[2] - kernel + 1, stride):
            macs += 2 * groups * padded[:per_group, y : y + kernel, x : x + kernel].size
    gemm = conv.gemm("c", source, images=3)
    assert gemm.macs == 3 * macs
    assert gemm.w_elements == conv.weights
    assert gemm.o_elements == 3 * conv.output(source).pixels * conv.out_channels
    assert gemm.batch == groups


def test_the_note_says_what_im2col_unrolled() -> None:
    gemm = Conv(3, 64, 7, 2, 3).gemm("stem", Feature(3, 224, 224))
    assert (gemm.m, gemm.k, gemm.n) == (112 * 112, 147, 64)
    assert gemm.note == "im2col: 3x224x224, kernel 7, stride 2, padding 3"


def test_shape_mistakes() -> None:
    with pytest.raises(UsageError, match="3 channels come in, 4 are expected"):
        Conv(4, 8, 1).output(Feature(3, 8, 8))
    with pytest.raises(UsageError, match="groups"):
        Conv(4, 8, 1, groups=3)


def test_parameters_with_norm_and_with_bias() -> None:
    for bias, extra in ((False, 16), (True, 8)):
        net = ConvNet(Feature(3, 8, 8), 1, [])
        net.conv("c", Conv(3, 8, 3), bias=bias)
        assert (net.weights, net.other_parameters) == (3 * 8 * 9, extra)


def test_a_shortcut_leaves_the_feature_map() -> None:
    net = ConvNet(Feature(4, 8, 8), 2, [])
    start = net.feature
    net.conv("main", Conv(4, 8, 3, 2, 1), "relu")
    out = net.conv("short", Conv(4, 8, 1, 2), source=start)
    assert out == net.feature == Feature(8, 4, 4)
    assert [op.layer for op in net.ops] == ["main", "main.act", "short"]
    assert net.ops[0].m == 2 * 16


def cnn(*layers: Any, **keys: Any) -> dict[str, Any]:
    return {"model_type": "cnn", "image_size": 8, "num_channels": 3, "layers": list(layers), **keys}


def test_every_layer_type() -> None:
    trace = build_trace(
        cnn(
            {"type": "conv", "out": 6, "kernel": 3, "padding": 1, "act": "relu", "repeat": 2},
            {"type": "maxpool", "kernel": 2, "stride": 2},
            {"type": "residual", "layers": [{"type": "conv", "out": 6, "kernel": 3, "padding": 1, "groups": -1}]},
            {"type": "residual", "layers": [{"type": "conv", "out": 8, "kernel": 1, "groups": 2}]},
            {"type": "avgpool", "size": 2},
            {"type": "flatten"},
            {"type": "linear", "out": 5, "act": "relu"},
        ),
        prefill(batch=2),
    )
    assert [(op.layer, op.op, op.m, op.n) for op in trace.ops] == [
        ("0.conv.0", "gemm", 128, 6),
        ("0.conv.0.act", "relu", 128, 6),
        ("0.conv.1", "gemm", 128, 6),
        ("0.conv.1.act", "relu", 128, 6),
        ("1.maxpool", "maxpool", 32, 6),
        ("2.0.conv", "gemm", 32, 1),
        ("2.residual", "add", 32, 6),
        ("3.0.conv", "gemm", 32, 4),  # the shape changes: no addition
        ("4.avgpool", "avgpool", 32, 8),
        ("6.linear", "gemm", 2, 5),
        ("6.linear.act", "relu", 2, 5),
    ]
    convs = (3 * 6 * 9) + (6 * 6 * 9) + 6 * 9 + 8 * 3
    assert trace.meta["parameters"] == convs + 2 * (6 + 6 + 6 + 8) + 32 * 5 + 5


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "cnov"}, "layers.1: unknown layer type 'cnov'.*did you mean 'conv'"),
        ("conv", "unknown layer type 'conv'"),
        ({"type": "conv", "out": 4, "kernel": 3, "strides": 2}, "unknown key 'strides'.*did you mean 'stride'"),
        ({"type": "conv", "kernel": 3}, "'out' must be a whole number"),
        ({"type": "conv", "out": 4, "kernel": 3, "groups": 0}, "groups not 0"),
        ({"type": "conv", "out": 4, "kernel": 3, "norm": "layer"}, "norm must be one of batch, bias, batch.bias"),
        ({"type": "conv", "out": 4, "kernel": 3, "act": "rellu"}, "did you mean 'relu'"),
        ({"type": "conv", "out": 4, "kernel": 9}, "does not fit"),
        ({"type": "linear", "out": 4}, "linear needs one pixel, not 64"),
        ({"type": "avgpool", "size": 3}, "do not divide"),
    ],
)
def test_layer_mistakes_name_their_place(layer: Any, message: str) -> None:
    first = {"type": "conv", "out": 4, "kernel": 1}
    with pytest.raises(UsageError, match=message):
        build_trace(cnn(first, layer), prefill())


def test_layers_must_be_a_list() -> None:
    with pytest.raises(UsageError, match="'layers' must be a list"):
        build_trace(cnn(), prefill())
