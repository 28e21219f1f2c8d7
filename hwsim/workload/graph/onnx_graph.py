"""An ONNX graph as a trace: nodes in order, each read by what knows its operation."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwsim.spec.errors import UsageError, did_you_mean, printable
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.onnx_file import DEEPEST, import_onnx
from hwsim.workload.graph.onnx_products import Products
from hwsim.workload.graph.onnx_symbols import input_shapes
from hwsim.workload.graph.onnx_values import Inference, Node, Value, stored_value
from hwsim.workload.graph.onnx_vectors import Vectors
from hwsim.workload.graph.tensor import Tensor

#: Operations that run a graph of their own so many times as data say.
CONTROL = ("If", "Loop", "Scan", "SequenceMap")
#: Inputs and outputs of a graph that are a KV cache.
_CACHE = re.compile(r"(?i)(^|[._/])(past|present|kv_?cache|past_key_values?)([._/\d]|_key|_value|$)")
#: Where torch.onnx says which module a node comes from.
_SCOPES = "pkg.torch.onnx.name_scopes"
_DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass
class GraphReader:
    """Walks a graph and collects its operations; ``values`` holds what is known of every value so far."""

    model: Any
    collector: Collector = field(default_factory=Collector)
    values: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.onnx = import_onnx()
        graph = self.model.graph
        _check_text(*(entry.domain for entry in self.model.opset_import), *(output.name for output in graph.output))
        self.inference = Inference(self.model)
        readers: dict[str, list[str]] = {}
        for node in graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node.op_type)
        self.vectors = Vectors(self.collector, readers)
        self.products = Products(self.collector)
        self.cached = {output.name for output in graph.output if _CACHE.search(output.name)}

    def read(self, settings: Mapping[str, int]) -> Collector:
        """Read the whole graph; ``settings`` give the extents of its inputs that are names.

        Raises
        ------
        UsageError
            If a name has no value, a node is not understood, or shapes do not fit.
        """
        graph = self.model.graph
        for proto in (*graph.initializer, *graph.input):
            _check_text(proto.name)
        for proto in graph.initializer:
            self.values[proto.name] = stored_value(self.onnx, proto)
        inputs = [(entry.name, entry.type) for entry in graph.input if entry.name not in self.values]
        shapes = input_shapes(inputs, settings)
        for name, kind in inputs:
            shape = shapes[name]
            tensor = None if shape is None else Tensor(shape, cached=bool(_CACHE.search(name)))
            self.values[name] = Value(kind.tensor_type.elem_type, tensor, lost=f"input {name!r}")
        self._nodes(graph.node, 0)
        return self.collector

    def _nodes(self, nodes: Any, depth: int) -> None:
        for index, proto in enumerate(nodes):
            _check_text(proto.op_type, proto.name, proto.domain, *proto.input, *proto.output)
            place = f"node {printable(proto.name or str(index))!r} ({printable(proto.op_type)})"
            for name in proto.input:
                if name and name not in self.values:
                    raise UsageError(f"{place}: its input {name!r} is made by no node before it")
            inputs = [self.values[name] if name else None for name in proto.input]
            if proto.op_type == "If" and inputs and inputs[0] is not None and inputs[0].data is not None:
                self._branch(proto, bool(np.any(inputs[0].data)), depth, place)
                continue
            self._node(proto, inputs, place)

    def _branch(self, proto: Any, condition: bool, depth: int, place: str) -> None:
        """Read the branch that a constant condition takes, in the place of the node."""
        graphs = [entry.g for entry in proto.attribute if entry.name == ("then_branch" if condition else "else_branch")]
        if len(graphs) != 1 or depth > DEEPEST or len(graphs[0].output) != len(proto.output):
            raise UsageError(f"{place}: lacks the branch that its condition takes")
        for entry in graphs[0].initializer:
            self.values[entry.name] = stored_value(self.onnx, entry)
        self._nodes(graphs[0].node, depth + 1)
        for outer, inner in zip(proto.output, graphs[0].output, strict=True):
            if inner.name not in self.values:
                raise UsageError(f"{place}: {inner.name!r} is made by no node of its branch")
            self.values[outer] = self.values[inner.name]

    def _node(self, proto: Any, inputs: list[Value | None], place: str) -> None:
        if proto.op_type in CONTROL:
            raise UsageError(
                f"{place}: control flow is not read; export the model without it, or with fixed trip counts"
            )
        outputs = self.inference.outputs(proto, inputs, place)
        outputs = self.inference.computed(proto, inputs, outputs)
        _check_text(*(entry.name for entry in proto.attribute))
        attributes = {entry.name: self._attribute(entry) for entry in proto.attribute}
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        node = Node(proto, domain, proto.op_type, place, self._layer(proto, inputs, place), inputs, outputs, attributes)
        if proto.op_type in ("Constant", "Shape", "Size"):
            self._known(node)
        elif any(output.data is None for output in outputs) or not outputs:
            self._handle(node)
        for name, value in zip(proto.output, node.outputs, strict=True):
            value = _as_running(node, value)
            if name in self.cached and value.tensor is not None:
                value = replace(value, tensor=replace(value.tensor, cached=True))
            if name:
                self.values[name] = value if value.tensor is None else replace(value, tensor=value.tensor.told(name))

    def _handle(self, node: Node) -> None:
        handler = self.products.handler(node.op) or self.vectors.handler(node.op) if node.domain in _DOMAINS else None
        if handler is None:
            known = [*self.products.names(), *self.vectors.names()]
            where = f" of {printable(node.domain)}" if node.domain else ""
            raise UsageError(
                f"{node.place}: operation {printable(node.op)!r}{where} is not understood, and may hold "
                f"multiply-accumulates; {did_you_mean(node.op, known)}"
            )
        open_input = any(value is not None and value.tensor is None for value in node.inputs)
        if open_input and node.op not in self.products.names() and not any(output.tensor for output in node.outputs):
            return  # the shape depends on data; only a product that needs it is an error
        try:
            handler(node)
        except UsageError as error:
            raise error if str(error).startswith(node.place) else UsageError(f"{node.place}: {error}") from None
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            shapes = [list(value.tensor.shape) for value in node.inputs if value is not None and value.tensor]
            raise UsageError(f"{node.place}: operands of shapes {shapes} do not fit ({error})") from None

    def _known(self, node: Node) -> None:
        """Values of Constant, Shape and Size, which are known before the run."""
        output = node.outputs[0]
        if node.op == "Constant":
            value = next((self._attribute(entry) for entry in node.proto.attribute), None)
            if isinstance(value, Value):
                node.outputs[0] = value
                return
            data = np.asarray(value, dtype=None if not isinstance(value, float) else np.float32)
            if isinstance(value, list) and value and isinstance(value[0], float):
                data = data.astype(np.float32)
            node.outputs[0] = replace(output, tensor=Tensor(data.shape, constant=True), data=data)
            return
        source = node.value(0)
        if source.tensor is None:
            node.outputs[0] = replace(output, lost=source.lost)
            return
        shape = source.tensor.shape
        data = np.asarray(shape[_bound(node, "start", 0) : _bound(node, "end", len(shape))], dtype=np.int64)
        if node.op == "Size":
            data = np.asarray(source.tensor.elements, dtype=np.int64)
        node.outputs[0] = Value(7, Tensor(data.shape, constant=True), data)

    def _attribute(self, entry: Any) -> Any:
        """Return an attribute as a Python value; tensors become values, graphs are left out."""
        kind = self.onnx.AttributeProto
        if entry.type == kind.TENSOR:
            return stored_value(self.onnx, entry.t)
        plain = {kind.FLOAT: "f", kind.INT: "i"}
        lists = {kind.FLOATS: "floats", kind.INTS: "ints"}
        if entry.type in plain:
            return getattr(entry, plain[entry.type])
        if entry.type in lists:
            return list(getattr(entry, lists[entry.type]))
        if entry.type == kind.STRINGS:
            return [text.decode(errors="replace") for text in entry.strings]
        return entry.s.decode(errors="replace") if entry.type == kind.STRING else None

    def _layer(self, proto: Any, inputs: list[Value | None], place: str) -> str:
        """Return the name of the layer: its module, its weight's name, or the node's own path."""
        scopes = next((entry.value for entry in proto.metadata_props if entry.key == _SCOPES), "")
        if scopes:
            try:
                names = [str(name) for name in ast.literal_eval(scopes)]
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                names = []
            if len(names) > 1 and names[-2]:
                own = re.sub(r"_\d+$", "", names[-1])
                return printable(names[-2] if own in ("linear", "conv2d", "conv1d") else f"{names[-2]}.{own}")
        if proto.op_type in self.products.names():
            stored = (value.tensor.name for value in inputs if value is not None and value.tensor is not None)
            weight = next((name for name in stored if name.endswith(".weight")), "")
            if weight:
                return printable(weight.removesuffix(".weight"))
        path = (proto.name or (proto.output[0] if proto.output else "") or place).strip("/").split("/")
        parts = (
            path[:-1]
            if len(path) > 1 and path[-1].split("_")[0] == proto.op_type in ("MatMul", "Gemm", "Conv")
            else path
        )
        return printable(".".join(part for part in parts if part)) or proto.op_type


def _as_running(node: Node, value: Value) -> Value:
    """Return an output of a node with running inputs as running, whatever its handler says."""
    tensor = value.tensor
    if tensor is None or not tensor.constant or node.op in ("Shape", "Size") or not node.running:
        return value
    return replace(value, tensor=replace(tensor, constant=False))


def _check_text(*names: Any) -> None:
    """Refuse names that the library returns as bytes: they are no UTF-8 text.

    Raises
    ------
    UsageError
        With the first of them.
    """
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"a name {printable(repr(name))} is no UTF-8 text: the file is damaged")


def _bound(node: Node, name: str, default: int) -> int:
    return node.whole(name, default) if node.op == "Shape" else default
