"""ONNX operations without multiply-accumulates: what they cost on a vector unit, and what is part of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.spec.data import read_csv_rows
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.onnx_moves import keep_moved
from hwsim.workload.graph.onnx_quant import dequantized, element_format, quantized
from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.tensor import Tensor, carry

#: Operations of ``data/graphs/onnx_vector_ops.csv``: ``priced`` by a program of ours, ``moved`` (values are moved or
#: selected, or shapes computed), ``counted`` (no multiply-accumulates, and no program). Those with ``computed`` are
#: arithmetic on shapes where their inputs are small constants.
ROWS = {row["op"]: row for row in read_csv_rows("graphs", "onnx_vector_ops.csv")}


#: Operations of com.microsoft on quantized values: program, and operands with a scale and zero point each.
_QLINEAR = {
    "QLinearAdd": ("add", 2),
    "QLinearMul": ("mul", 2),
    "QLinearSigmoid": ("", 1),
    "QLinearLeakyRelu": ("relu", 1),
    "QLinearSoftmax": ("softmax", 1),
    "QLinearGlobalAveragePool": ("avgpool", 1),
    "QLinearConcat": ("", 1),
}


@dataclass
class Vectors:
    """Adds vector operations; knows which nodes are parts of a norm or an activation.

    ``readers`` lists the operations that read a value. ``parts`` holds values that only continue a norm or
    activation which is counted already, ``sigmoids`` the inputs of sigmoids by output.
    """

    collector: Collector
    readers: dict[str, list[str]]
    parts: set[str] = field(default_factory=set)
    squares: dict[str, str] = field(default_factory=dict)
    centred: set[str] = field(default_factory=set)
    sigmoids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_kind = {"priced": self._named, "moved": self._moved, "counted": self._counted}
        self._handlers: dict[str, Callable[[Node], None]] = {
            **{op: by_kind[row["kind"]] for op, row in ROWS.items()},
            **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Sum"), self._binary),
            **dict.fromkeys(("Gather", "GatherND"), self._gather),
            **dict.fromkeys(("Softmax", "LogSoftmax"), self._softmax),
            **dict.fromkeys(("QuantizeLinear", "DynamicQuantizeLinear"), self._quantize),
            **dict.fromkeys(("GlobalAveragePool", "AveragePool"), self._average),
            **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), self._skip_norm),
            **dict.fromkeys(_QLINEAR, self._qlinear),
            "EmbedLayerNormalization": self._embed_norm,
            "DequantizeLinear": self._dequantize,
            "BatchNormalization": self._batch_norm,
            "ReduceMean": self._mean,
            "Sigmoid": self._sigmoid,
            "Erf": self._erf,
            "Pow": self._power,
        }

    def handler(self, op: str) -> Callable[[Node], None] | None:
        """Return what reads an operation, None if it is none of these."""
        return self._handlers.get(op)

    def names(self) -> list[str]:
        """Return the operations that are read."""
        return list(self._handlers)

    def _emit(self, node: Node, op: str, shape: tuple[int, ...] | None = None) -> None:
        if node.running:
            self.collector.vector(node.layer, op, node.shape() if shape is None else shape)

    def _carry(self, node: Node) -> None:
        """Say of every output what its inputs leave."""
        inputs = [value.tensor for value in node.inputs if value is not None and value.tensor is not None]
        for index, output in enumerate(node.outputs):
            if output.tensor is not None and inputs:
                node.set_output(carry(inputs, output.tensor.shape), index)

    def _named(self, node: Node) -> None:
        if node.outputs[0].tensor is None and node.inputs[0] is not None and node.domain:
            node.set_output(Tensor(node.tensor(0).shape))
        self._carry(node)
        op = ROWS[node.op]["program"]
        shape = node.shape()
        self._emit(node, op, _by_pixel(shape) if op == "maxpool" else shape)

    def _softmax(self, node: Node) -> None:
        source = node.tensor(0)
        shape = node.shape()
        axis = node.whole("axis", -1) % max(len(shape), 1)
        self._emit(node, "softmax", (*shape[:axis], *shape[axis + 1 :], shape[axis]))
        if source.origin >= 0:
            self.collector.name_role(source.origin, "score")
        node.set_output(replace(carry([source], shape), softmax=True, origin=-1))

    def _gather(self, node: Node) -> None:
        """Rows of a stored table by running indices: an embedding, or matrices that the data choose."""
        table, indices = node.value(0).tensor, node.value(1).tensor
        self._moved(node)
        if table is None or indices is None or indices.constant or not table.constant or table.rank < 2:
            return
        rows = indices.shape[-1:] == (1,) if node.op == "GatherND" else node.whole("axis", 0) % table.rank == 0
        if not rows:
            return
        if table.rank == 2:
            self._emit(node, "embedding")
        else:
            moved = replace(table, shape=node.shape(), layout=(), constant=False, chosen=table.shape[0])
            found = node.outputs[0].tensor
            node.set_output(replace(moved, block=found.block if found else None))

    def _mean(self, node: Node) -> None:
        """Mean over the last axis of squares: a norm. Mean over pixels: average pooling."""
        source, names = node.tensor(0), list(node.proto.input)
        axes = _axes(node)
        self._carry(node)
        if axes == [source.rank - 1]:
            self.parts.add(node.proto.output[0])
            base = self.squares.get(names[0])
            if base is not None:
                self._emit(node, "layernorm" if base in self.centred else "rmsnorm", source.shape)
                return
            if "Sub" in self.readers.get(node.proto.output[0], ()):
                return  # the mean that a norm takes off first
        elif source.rank == 4 and axes == [2, 3]:
            self._emit(node, "avgpool", _by_pixel(source.shape))
            return
        self._count(node)

    def _average(self, node: Node) -> None:
        self._carry(node)
        self._emit(node, "avgpool", _by_pixel(node.tensor(0).shape))

    def _power(self, node: Node) -> None:
        self._square(node) if _is_two(node.value(1).data) else self._counted(node)

    def _square(self, node: Node) -> None:
        self._carry(node)
        if set(self.readers.get(node.proto.output[0], ())) == {"ReduceMean"}:
            self.squares[node.proto.output[0]] = node.proto.input[0]
        else:
            self._emit(node, "mul")

    def _sigmoid(self, node: Node) -> None:
        self._carry(node)
        self.sigmoids[node.proto.output[0]] = node.proto.input[0]
        if "Mul" not in self.readers.get(node.proto.output[0], ()):
            self._count(node)

    def _erf(self, node: Node) -> None:
        """The error function of GELU, whose product with x comes later."""
        self._carry(node)
        self._emit(node, "gelu")
        self.parts.add(node.proto.output[0])

    def _binary(self, node: Node) -> None:
        names = list(node.proto.input)
        if node.op == "Mul" and len(set(names)) == 1:
            self._square(node)
            return
        self._carry(node)
        output = node.proto.output[0]
        inside = [name for name in names if name in self.parts]
        constant = [
            value for value in node.inputs if value is None or (value.tensor is not None and value.tensor.constant)
        ]
        if node.op == "Sub" and inside:
            self.centred.add(output)
        elif constant and self._fused(node):
            self.parts.update([output] if inside else [])
        elif inside:
            pass  # x · rstd, x · (1 + erf): counted with the norm, the activation
        elif node.op == "Mul" and self._gates(*names):
            self._emit(node, "silu")
        elif node.op == "Div":
            self._count(node)
        else:
            self._emit(node, "mul" if node.op == "Mul" else "add")

    def _gates(self, a: str, b: str) -> bool:
        """Whether one is the sigmoid of the other."""
        return self.sigmoids.get(a) == b or self.sigmoids.get(b) == a

    def _fused(self, node: Node) -> bool:
        """Whether a constant operand is a bias, gain or scale, or a mask on a product: part of what made the other."""
        constants = [
            value.tensor for value in node.inputs if value is not None and value.tensor and value.tensor.constant
        ]
        row = node.shape()[-1] if node.shape() else 1
        if all(tensor.elements <= row for tensor in constants) or not node.running:
            return True
        return node.op in ("Add", "Sub") and any(
            value and value.tensor and value.tensor.origin >= 0 for value in node.inputs
        )

    def _batch_norm(self, node: Node) -> None:
        """Part of the convolution before it, else a gain and a bias."""
        source = node.tensor(0)
        self._carry(node)
        if source.origin < 0:
            self._emit(node, "mul", _by_pixel(node.shape()))
            self._emit(node, "add", _by_pixel(node.shape()))

    def _quantize(self, node: Node) -> None:
        self._carry(node)
        self._emit(node, "quantize", node.tensor(0).shape)
        quantized(node)

    def _dequantize(self, node: Node) -> None:
        self._carry(node)
        self._emit(node, "dequantize", node.tensor(0).shape)
        dequantized(node)

    def _skip_norm(self, node: Node) -> None:
        shape = node.tensor(0).shape
        self._emit(node, "add", shape)
        self._emit(node, ROWS[node.op]["program"], shape)
        for index in range(len(node.outputs)):
            node.set_output(Tensor(shape), index)

    def _qlinear(self, node: Node) -> None:
        """Operations of com.microsoft on quantized values: x, scale, zero point, perhaps those of z, those of y."""
        program, operands = _QLINEAR[node.op]
        if node.op == "QLinearConcat":  # scale and zero point of y, then three of each operand
            shapes = [node.tensor(index).shape for index in range(2, len(node.inputs), 3)]
            axis = node.whole("axis") % max(len(shapes[0]), 1)
            shape = tuple(
                sum(sizes[place] for sizes in shapes) if place == axis else size for place, size in enumerate(shapes[0])
            )
            dtype = node.value(2).dtype
        else:
            shape, dtype = node.tensor(0).shape, node.value(0).dtype
            for index in range(1, operands):
                shape = tuple(np.broadcast_shapes(shape, node.tensor(3 * index).shape))
        if program:
            self._emit(node, program, _by_pixel(shape) if program == "avgpool" else shape)
        if node.op == "QLinearGlobalAveragePool":
            shape = (*shape[:2], *(1 for _ in shape[2:]))
        source = node.tensor(2 if node.op == "QLinearConcat" else 0)
        node.outputs[0] = replace(node.outputs[0], dtype=dtype)
        carried = carry([value.tensor for value in node.inputs if value is not None and value.tensor], shape)
        if program == "softmax":
            if source.origin >= 0:
                self.collector.name_role(source.origin, "score")
            carried = replace(carried, softmax=True, origin=-1)
        node.set_output(replace(carried, fmt=element_format(dtype)))

    def _embed_norm(self, node: Node) -> None:
        """Token, position and segment embeddings, their sum and its norm (com.microsoft)."""
        shape = (*node.tensor(0).shape, node.tensor(2).shape[-1])
        self._emit(node, "embedding", shape)
        for index in (3, 4):
            if node.given(index):
                self._emit(node, "add", shape)
        self._emit(node, "layernorm", shape)
        dtype = node.value(2).dtype
        for index, size in ((0, shape), (1, shape[:1]), (2, shape)):
            if index < len(node.outputs):
                node.outputs[index] = replace(
                    node.outputs[index], dtype=6 if index == 1 else dtype, tensor=Tensor(size)
                )

    def _counted(self, node: Node) -> None:
        self._carry(node)
        # Square root and reciprocal of a norm's mean continue the norm.
        if any(name in self.parts for name in node.proto.input):
            self.parts.update(node.proto.output)
        else:
            self._count(node)

    def _count(self, node: Node) -> None:
        if node.running:
            self.collector.skip(node.op)

    def _moved(self, node: Node) -> None:
        """Keep what moving leaves: repeats, the stored tensor, the product that made the values."""
        source = next((value.tensor for value in node.inputs[:1] if value is not None), None)
        first = node.outputs[0].tensor if node.outputs else None
        if source is None or first is None:
            self._carry(node)
        elif node.op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
            node.set_output(source.reshape(first.shape))
        elif node.op == "Transpose":
            order = node.attributes.get("perm") or list(range(source.rank))[::-1]
            node.set_output(source.permute(order))
        elif node.op == "Expand":
            node.set_output(source.expand(first.shape))
        elif node.op in ("Identity", "Cast", "CastLike", "Dropout"):
            node.set_output(source)
        else:
            self._carry(node)
            keep_moved(node)
        if node.op in ("Cast", "CastLike", "Identity", "Dropout") and node.proto.input[0] in self.parts:
            self.parts.add(node.proto.output[0])


def _by_pixel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of images with channels last: one row per pixel."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape


def _is_two(data: object) -> bool:
    return isinstance(data, np.ndarray) and data.size == 1 and float(data.reshape(-1)[0]) == 2.0


def _axes(node: Node) -> list[int]:
    """Return the axes that a reduction sums, counted from the front."""
    rank = node.tensor(0).rank
    axes = node.attributes.get("axes")
    if axes is None and node.given(1) and node.value(1).data is not None:
        axes = node.value(1).data
    found = range(rank) if axes is None else (int(axis) for axis in axes)
    return sorted(axis % rank for axis in found) if rank else []
