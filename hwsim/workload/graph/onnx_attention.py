"""Attention as one node: ONNX's own since opset 23, and those of com.microsoft.

All become a product of queries and keys, a softmax, and a product with values, per KV head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.onnx_quant import weight_format
from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.products import Product
from hwsim.workload.graph.tensor import Tensor


@dataclass(frozen=True)
class Attention:
    """Sizes of one attention: sequences, heads, queries that see so many keys, and the widths of keys and values."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    width: int
    value_width: int
    cached: bool = False

    def add(self, collector: Collector, layer: str, place: str) -> None:
        """Add scores, softmax and values; UsageError if heads do not split into groups."""
        if min(self.heads, self.kv_heads, self.width) < 1 or self.heads % self.kv_heads:
            raise UsageError(f"{place}: {self.heads} heads do not split into {self.kv_heads} KV heads")
        rows, instances = self.heads // self.kv_heads * self.queries, self.batch * self.kv_heads
        queries, other = Tensor((rows, self.width)), Tensor((self.width, self.keys), cached=self.cached)
        shape = (instances, rows, self.keys)
        score = Product(rows, self.keys, self.width, instances, queries, other)
        value = Product(rows, self.value_width, self.keys, instances, queries, other)
        collector.product(f"{layer}.scores", score, "score")
        collector.vector(f"{layer}.softmax", "softmax", shape)
        collector.product(f"{layer}.values", value, "value")


def _standard(node: Node, collector: Collector) -> None:
    """``ai.onnx`` Attention: (B, heads, S, d), or (B, S, heads · d) with the heads as attributes."""
    q, k, v = (node.tensor(index) for index in range(3))
    past = node.tensor(4).shape[2] if node.given(4) else 0
    if q.rank == 4:
        batch, heads, queries, width = q.shape
        kv_heads, keys, value_width = k.shape[1], k.shape[2], v.shape[3]
    else:
        heads, kv_heads = node.whole("q_num_heads"), node.whole("kv_num_heads")
        batch, queries, keys = q.shape[0], q.shape[1], k.shape[1]
        width, value_width = (t.shape[2] // max(kv_heads, 1) for t in (k, v))
    found = Attention(batch, heads, kv_heads, queries, past + keys, width, value_width, bool(past) or k.cached)
    found.add(collector, node.layer, node.place)
    for index, output in enumerate(node.outputs):
        if output.tensor is not None:
            node.set_output(Tensor(output.tensor.shape), index)


def _grouped(node: Node, collector: Collector) -> None:
    """GroupQueryAttention: query, key, value (or all packed in the query), past key and value."""
    q, heads, kv_heads = node.tensor(0), node.whole("num_heads"), node.whole("kv_num_heads")
    batch, queries, total = q.shape
    packed = not node.given(1)
    width = total // max(heads + 2 * kv_heads if packed else heads, 1)
    past = node.tensor(3).shape[2] if node.given(3) else 0
    keys = past + queries
    Attention(batch, heads, kv_heads, queries, keys, width, width, cached=True).add(collector, node.layer, node.place)
    node.set_output(Tensor((batch, queries, heads * width)))
    for index in (1, 2):
        if index < len(node.outputs):
            node.set_output(Tensor((batch, kv_heads, keys, width)), index)


def _multi_head(node: Node, collector: Collector) -> None:
    """MultiHeadAttention with query, key and value of rank 3, or key and value of rank 4 by head."""
    q, heads = node.tensor(0), node.whole("num_heads")
    if q.rank != 3 or not node.given(1) or not node.given(2):
        raise UsageError(f"{node.place}: packed query, key and value are not supported; export them apart")
    k, v = node.tensor(1), node.tensor(2)
    batch, queries, hidden = q.shape
    width = hidden // max(heads, 1)
    keys, value_width = (k.shape[2], v.shape[3]) if k.rank == 4 else (k.shape[1], v.shape[2] // max(heads, 1))
    past = node.tensor(6).shape[2] if node.given(6) else 0
    found = Attention(batch, heads, heads, queries, past + keys, width, value_width, bool(past))
    found.add(collector, node.layer, node.place)
    node.set_output(Tensor((batch, queries, heads * value_width)))
    for index, size in ((1, width), (2, value_width)):
        if index < len(node.outputs):
            node.set_output(Tensor((batch, heads, past + keys, size)), index)


def _with_projection(node: Node, collector: Collector) -> None:
    """Attention of com.microsoft: one weight for query, key and value, then attention among the inputs."""
    x, w, heads = node.tensor(0), node.tensor(1), node.whole("num_heads")
    batch, tokens, hidden = x.shape
    sizes = node.attributes.get("qkv_hidden_sizes") or [w.shape[1] // 3] * 3
    if len(w.shape) != 2 or w.shape[0] != hidden or sum(sizes) != w.shape[1]:
        raise UsageError(f"{node.place}: weights of shape {list(w.shape)} do not fit inputs of shape {list(x.shape)}")
    w = replace(w, fmt=weight_format(w, 0, node.place))
    collector.product(f"{node.layer}.qkv", Product(batch * tokens, w.shape[1], hidden, 1, x, w, k_axis=0), "qkv")
    past = node.tensor(4).shape[3] if node.given(4) else 0
    width, value_width = sizes[0] // max(heads, 1), sizes[2] // max(heads, 1)
    Attention(batch, heads, heads, tokens, past + tokens, width, value_width, bool(past)).add(
        collector, node.layer, node.place
    )
    node.set_output(Tensor((batch, tokens, sizes[2])))
    if len(node.outputs) > 1:
        node.set_output(Tensor((2, batch, heads, past + tokens, width)), 1)


def _dispatch(node: Node, collector: Collector) -> None:
    """``Attention`` is two operations, told apart by their domain."""
    (_with_projection if node.domain == "com.microsoft" else _standard)(node, collector)


READERS: dict[str, Callable[[Node, Collector], None]] = {
    "Attention": _dispatch,
    "GroupQueryAttention": _grouped,
    "MultiHeadAttention": _multi_head,
}
