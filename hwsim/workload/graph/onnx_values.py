"""What is known of every value of an ONNX graph: shapes by the ``onnx`` library, node by node, and small constants.

Shapes of one node follow from those of its inputs and the data of its shape operands
(``onnx.shape_inference.infer_node_outputs``). Arithmetic on shapes is computed by ``onnx.reference``. One pass
in graph order is enough, whatever the depth of a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, shown
from hwsim.workload.graph.onnx_file import KEPT_DATA, import_onnx
from hwsim.workload.graph.tensor import Tensor, carry

#: Elements of a constant that is computed: shapes, axes, scales, positions of a short sequence.
MOST_ELEMENTS = KEPT_DATA
#: Extents beyond these are damaged files.
LARGEST_EXTENT = 1 << 48

#: Operations that are computed when all their inputs are small constants.
COMPUTED = frozenset(row["op"] for row in read_csv_rows("graphs", "onnx_vector_ops.csv") if row["computed"] == "yes")


@dataclass(frozen=True)
class Value:
    """One value: its element type, its tensor unless its shape is unknown, its data if small and constant.

    ``lost`` says which node left the shape open.
    """

    dtype: int = 0
    tensor: Tensor | None = None
    data: NDArray[Any] | None = None
    lost: str = ""


@dataclass
class Node:
    """One node as handlers see it."""

    proto: Any
    domain: str
    op: str
    #: Its name in messages.
    place: str
    #: The layer that it belongs to.
    layer: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any] = field(default_factory=dict)

    def given(self, index: int) -> bool:
        """Whether there is an input of that number."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        """Return an input; UsageError if there is none."""
        if not self.given(index):
            raise UsageError(f"{self.place}: lacks input {index}")
        value = self.inputs[index]
        assert value is not None
        return value

    def tensor(self, index: int) -> Tensor:
        """Return an input of known shape.

        Raises
        ------
        UsageError
            If its shape is unknown, with the node that left it open.
        """
        value = self.value(index)
        if value.tensor is None:
            raise UsageError(
                f"{self.place}: the shape of its input {self.proto.input[index]!r} is not known; "
                f"{value.lost} leaves it open"
            )
        return value.tensor

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """Return the shape of an output; UsageError if it is unknown."""
        tensor = self.outputs[index].tensor
        if tensor is None:
            raise UsageError(
                f"{self.place}: the shape of its output is not known; {self.outputs[index].lost} leaves it open"
            )
        return tensor.shape

    def whole(self, name: str, default: int | None = None) -> int:
        """Return an attribute that is a whole number; UsageError if it is absent and has no default."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise UsageError(f"{self.place}: lacks attribute {name!r}")
        return value

    @property
    def running(self) -> bool:
        """Whether any input depends on those of the graph."""
        known = [value for value in self.inputs if value is not None]
        return any(value.tensor is None or not value.tensor.constant for value in known)

    def set_output(self, tensor: Tensor, index: int = 0) -> None:
        """State what is known of an output."""
        self.outputs[index] = replace(self.outputs[index], tensor=tensor)


class Inference:
    """Shapes and small constants, node by node."""

    def __init__(self, model: Any) -> None:
        self.onnx = import_onnx()
        self.opsets = {entry.domain: entry.version for entry in model.opset_import}
        self.opsets.setdefault("", self.opsets.get("ai.onnx", 0))
        self.imports = [self.onnx.helper.make_opsetid(*entry) for entry in self.opsets.items()]
        self.reference: Any = None

    def schema(self, node: Any) -> Any:
        """Return the definition of a node's operation, None if the library has none."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self.opsets.get(domain)
        if version is None or not self.onnx.defs.has(node.op_type, version, domain):
            return None
        return self.onnx.defs.get_schema(node.op_type, version, domain)

    def outputs(self, node: Any, inputs: list[Value | None], place: str) -> list[Value]:
        """Return what is known of a node's outputs."""
        names = [name for name in node.output if name]
        lost = next((value.lost for value in inputs if value is not None and value.tensor is None), place)
        unknown = [Value(lost=lost) for _ in node.output]
        schema = self.schema(node)
        if schema is None:  # of com.microsoft: results are of the first operand's type
            dtype = inputs[0].dtype if inputs and inputs[0] is not None else 0
            return [replace(value, dtype=dtype) for value in unknown]
        types, data = {}, {}
        for name, value in zip(node.input, inputs, strict=True):
            if value is not None:
                types[name] = self._type(value)
                if value.data is not None:
                    data[name] = self._proto(name, value)
        try:
            found = self.onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=self.imports)
        except Exception as error:  # the library's own kinds
            message = str(error).strip().splitlines()
            given = " and ".join(str(list(one.tensor.shape)) for one in inputs if one is not None and one.tensor)
            raise UsageError(
                f"{place}: its shapes {given} do not fit: {message[-1] if message else type(error).__name__}"
            ) from None
        known = {name: self._value(found[name], lost) for name in names if name in found}
        return [known.get(name, Value(lost=lost)) for name in node.output]

    def _type(self, value: Value) -> Any:
        helper = self.onnx.helper
        shape = None if value.tensor is None else list(value.tensor.shape)
        return helper.make_tensor_type_proto(value.dtype, shape)

    def _proto(self, name: str, value: Value) -> Any:
        assert value.data is not None
        return self.onnx.numpy_helper.from_array(np.asarray(value.data), name)

    def _value(self, proto: Any, lost: str) -> Value:
        if not proto.HasField("tensor_type"):
            return Value(lost=lost)
        kind = proto.tensor_type
        if not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
            return Value(kind.elem_type, lost=lost)
        return Value(kind.elem_type, Tensor(checked_shape(dim.dim_value for dim in kind.shape.dim)))

    def computed(self, node: Any, inputs: list[Value | None], outputs: list[Value]) -> list[Value]:
        """Return the outputs with data, where the node is arithmetic on small constants."""
        sizes = [output.tensor.elements if output.tensor is not None else MOST_ELEMENTS + 1 for output in outputs]
        foldable = (
            node.op_type in COMPUTED and node.domain in ("", "ai.onnx") and max(sizes, default=0) <= MOST_ELEMENTS
        )
        if not foldable or not all(value is None or value.data is not None for value in inputs):
            return outputs
        if self.reference is None:
            from onnx.reference import ReferenceEvaluator

            self.reference = ReferenceEvaluator
        feeds = {name: value.data for name, value in zip(node.input, inputs, strict=True) if value is not None}
        try:
            with np.errstate(all="ignore"):
                results = self.reference(node, opsets={"": self.opsets[""]}).run(None, feeds)
        except Exception:  # of any kind: the reference has gaps; what needs the data says so
            return outputs
        tensors = [value.tensor for value in inputs if value is not None and value.tensor is not None]
        return [
            replace(output, data=np.asarray(result), tensor=carry(tensors, np.shape(result)))
            for output, result in zip(outputs, results, strict=False)
        ]


def checked_shape(sizes: Any) -> tuple[int, ...]:
    """Return extents as a tuple.

    Raises
    ------
    UsageError
        If one is negative, or their product absurd.
    """
    shape = tuple(int(size) for size in sizes)
    if any(size < 0 for size in shape) or len(shape) > 64 or prod(shape) > LARGEST_EXTENT:
        raise UsageError(f"a shape of {shown(list(shape[:8]))} is no tensor's: {list(shape[:8])}")
    return shape


def stored_value(onnx: Any, proto: Any) -> Value:
    """Return an initializer: its data if they are small and in the file."""
    shape = checked_shape(proto.dims)
    tensor = Tensor(shape, constant=True, name=proto.name)
    data = None
    if tensor.elements <= MOST_ELEMENTS and not proto.external_data and _has_data(proto, tensor.elements):
        try:
            data = onnx.numpy_helper.to_array(proto)
        except Exception as error:  # ValueError, TypeError or the library's own
            raise UsageError(f"initializer {proto.name!r}: {error}") from None
    return Value(proto.data_type, tensor, data)


def _has_data(proto: Any, elements: int) -> bool:
    fields = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
    return not elements or any(len(getattr(proto, name)) for name in fields)
