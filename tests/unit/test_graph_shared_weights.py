"""Weights that a graph reads more than once are moved at every read and stored, trained and optimized once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import SpecError
from hwsim.workload import Trace, load_workload
from hwsim.workload.footprint import memory_footprint
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.products import matmul
from hwsim.workload.graph.tensor import Tensor
from hwsim.workload.importers.csv import read_trace, write_trace
from tests.support.onnx_graphs import write_graph


def stored_bytes(trace: Trace, policy: str = "fp16") -> int:
    return memory_footprint(trace, policy)["gemm_weight_bytes"]


def moved_elements(trace: Trace) -> int:
    return sum(gemm.w_elements for gemm in trace.gemms if gemm.w_source == "dram")


#: Layers, tokens, and numbers of the tensors that they read.
READS = st.lists(
    st.tuples(st.sampled_from(["l.0.a", "l.1.a", "l.2.a", "b", "c"]), st.integers(2, 3), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)


@given(READS)
def test_whatever_the_order_of_reads_each_tensor_is_stored_once(reads):
    collector = Collector()
    for layer, tokens, number in reads:
        weights = Tensor((8, 4 + number), constant=True, name=f"w{number}")
        collector.product(layer, matmul(Tensor((tokens, 8)), weights))
    trace = collector.trace("x", {})
    assert stored_bytes(trace) == sum(2 * 8 * (4 + number) for number in {number for *_, number in reads})
    assert moved_elements(trace) == sum(8 * (4 + number) for *_, number in reads)
    assert all(gemm.repeat % gemm.passes == 0 for gemm in trace.gemms)


def test_parts_of_a_tensor_are_weights_of_their_own():
    collector = Collector()
    for part in ("[0:4]", "[4:8]", "[0:4]"):
        collector.product("a", matmul(Tensor((2, 8)), Tensor((8, 4), constant=True, name="w", part=part)))
    assert stored_bytes(collector.trace("x", {})) == 2 * 2 * 8 * 4


@pytest.fixture
def graph(tmp_path: Path):
    pytest.importorskip("onnx")
    from onnx.helper import make_node

    def read(nodes, inputs, stored, settings=None, phase=None, recompute=None, **options):
        made = [make_node(op, ins, outs, name=outs[0], **given) for op, ins, outs, given in nodes]
        path = write_graph(tmp_path / "g.onnx", made, inputs, stored, **options)
        given = {"source": str(path), "settings": settings or {}, "phase": phase, "recompute": recompute}
        return load_workload({key: value for key, value in given.items() if value is not None})

    return read


@pytest.mark.parametrize("steps", [1, 2, 100])
def test_the_state_of_a_recurrent_cell_multiplies_the_same_weights_every_step(graph, steps):
    node = ("LSTM", ["x", "w", "r"], ["y"], {"hidden_size": 20})
    trace = graph([node], {"x": ["T", 3, 12]}, {"w": (1, 80, 12), "r": (1, 80, 20)}, {"T": steps})
    assert stored_bytes(trace) == 2 * 80 * (12 + 20)
    assert moved_elements(trace) == 80 * (12 + steps * 20)
    assert [(gemm.repeat, gemm.passes) for gemm in trace.gemms] == [(1, 1), (steps, steps)]


def test_one_initializer_of_four_products_is_stored_and_trained_once(graph):
    nodes = [("MatMul", ["x" if i == 0 else f"h{i}", "w"], [f"h{i + 1}"], {}) for i in range(4)]
    trace = graph(nodes, {"x": [2, 64]}, {"w": (64, 64)}, outputs=["h4"])
    assert stored_bytes(trace) == 2 * 64 * 64
    assert trace.macs == 4 * 2 * 64 * 64
    training = graph(nodes, {"x": [2, 64]}, {"w": (64, 64)}, outputs=["h4"], phase="training")
    assert training.meta["trained_parameters"] == 64 * 64
    assert stored_bytes(training) == 2 * 64 * 64


@pytest.mark.parametrize("recompute", ["none", "all"])
def test_training_keeps_the_activations_of_every_read(graph, recompute):
    kept = []
    for names in (["w"] * 4, ["w0", "w1", "w2", "w3"]):
        nodes = []
        for at, name in enumerate(names):
            nodes.append(("MatMul", ["x" if at == 0 else f"h.{at}", name], [f"h.{at + 1}"], {}))
        phase = {"phase": "training", "recompute": recompute}
        trace = graph(nodes, {"x": [2, 64]}, dict.fromkeys(names, (64, 64)), outputs=["h.4"], **phase)
        kept.append(memory_footprint(trace, "fp16")["activation_kept_bytes"])
    assert kept[0] == kept[1]


def test_a_head_that_is_transposed_from_another_layer_is_stored_by_that_layer(graph):
    nodes = [("MatMul", ["x", "w"], ["h"], {}), ("Transpose", ["w"], ["t"], {}), ("MatMul", ["h", "t"], ["y"], {})]
    trace = graph(nodes, {"x": [5, 8]}, {"w": (8, 24)})
    assert [(gemm.layer, gemm.weights_of) for gemm in trace.gemms] == [("h", ""), ("y", "h")]
    assert stored_bytes(trace) == 2 * 8 * 24


def test_parts_of_an_initializer_are_stored_once_each(graph):
    import numpy as np

    nodes = [("Split", ["w"], ["q", "k", "v"], {"axis": 1, "num_outputs": 3})]
    nodes += [("Slice", ["w", "from", "to"], ["s"], {}), ("Slice", ["w", "from", "to"], ["s2"], {})]
    for at, part in enumerate(("q", "k", "v", "q", "k", "v")):
        nodes.append(("MatMul", ["x", part], [f"y{at}"], {}))
    whole = graph(nodes, {"x": [5, 64]}, {"w": (64, 96), "from": np.array([0, 0]), "to": np.array([64, 32])})
    assert stored_bytes(whole) == 2 * 64 * 96
    nodes = [*nodes[:3], ("MatMul", ["x", "s"], ["y"], {}), ("MatMul", ["x", "s2"], ["z"], {})]
    part = graph(nodes, {"x": [5, 64]}, {"w": (64, 96), "from": np.array([0, 0]), "to": np.array([64, 32])})
    assert stored_bytes(part) == 2 * 64 * 32


def test_constants_without_names_are_not_one(graph):
    from onnx.helper import make_tensor

    constants = [("Constant", [], [f"c{i}"], {"value": make_tensor("", 1, (8, 8), [float(i)] * 64)}) for i in range(2)]
    nodes = [*constants, ("MatMul", ["x", "c0"], ["h"], {}), ("MatMul", ["h", "c1"], ["y"], {})]
    assert stored_bytes(graph(nodes, {"x": [5, 8]}, {})) == 2 * 2 * 8 * 8


def test_rows_that_share_weights_survive_a_file(tmp_path):
    collector = Collector()
    for layer in ("a", "b"):
        collector.product(layer, matmul(Tensor((2, 8)), Tensor((8, 4), constant=True, name="w")))
    write_trace(collector.trace("x", {}), tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    assert stored_bytes(read_trace(tmp_path / "t.csv")) == 2 * 8 * 4
    (tmp_path / "t.csv").write_text(text.replace(",a,w=", ",aa,w="))
    with pytest.raises(SpecError, match="no row named 'aa' stores weights; valid: a"):
        read_trace(tmp_path / "t.csv")


MODULES = """
import torch
from torch import nn
import torch.nn.functional as F


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 32)
        self.body = nn.Linear(32, 32)
        self.head = nn.Linear(32, 100, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        x = self.table(tokens)
        for _ in range(5):
            x = self.body(x)
        return self.head(x)


class Levels(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.second.weight = self.first.weight
        self.qkv = nn.Linear(8, 24, bias=False)

    def forward(self, x, y):
        parts = [F.linear(x, w) for w in self.qkv.weight.chunk(3)] + [F.linear(y, w) for w in self.qkv.weight.split(8)]
        return self.second(self.first(x)), self.first(y), parts


def tied():
    return Tied(), torch.zeros(2, 6, dtype=torch.long)


def levels():
    return Levels(), (torch.zeros(3, 8), torch.zeros(5, 8))


def albert():
    from transformers import AlbertConfig

    return AlbertConfig(
        architectures=["AlbertModel"], hidden_size=64, embedding_size=32, intermediate_size=200, num_hidden_layers=6,
        num_attention_heads=4, vocab_size=150,
    )
"""


@pytest.fixture
def module(tmp_path: Path):
    pytest.importorskip("torch")
    path = tmp_path / "modules.py"
    path.write_text(MODULES)
    return lambda name, **options: load_workload(f"python:{path}:{name}", **options)


def test_a_layer_in_a_loop_and_a_head_tied_to_the_table(module):
    trace = module("tied")
    assert memory_footprint(trace, "fp16")["weight_bytes"] == 2 * trace.meta["parameters"]
    assert moved_elements(trace) == 5 * 32 * 32 + 32 * 100


def test_tied_layers_lengths_and_parts(module):
    trace = module("levels")
    assert memory_footprint(trace, "fp16")["weight_bytes"] == 2 * trace.meta["parameters"] == 2 * (8 * 8 + 8 * 24)
    assert moved_elements(trace) == 3 * 8 * 8 + 2 * 8 * 24


def test_layers_that_share_their_weights_are_stored_as_the_model_counts_them(module):
    pytest.importorskip("transformers")
    trace = module("albert", seq_len=16)
    assert trace.meta["parameters"] == 70_344
    assert memory_footprint(trace, "fp16")["weight_bytes"] == 2 * 70_344
