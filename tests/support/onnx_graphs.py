"""Small ONNX graphs, written by ONNX's own library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Sizes = Sequence[int | str]


def write_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, Sizes],
    stored: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    dtypes: Mapping[str, int] | None = None,
    contrib: bool = False,
) -> Path:
    """Write a graph with inputs by name and shape, stored tensors by name (arrays, protos, or shapes of float32)."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = dtypes or {}
    initializers = []
    for name, value in (stored or {}).items():
        if isinstance(value, TensorProto):
            value.name = name
            initializers.append(value)
        else:
            array = value if isinstance(value, np.ndarray) else np.zeros(value, np.float32)
            initializers.append(numpy_helper.from_array(array, name))
    graph = helper.make_graph(
        list(nodes),
        "test",
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        initializers,
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("com.microsoft", 1)] if contrib else [])
    path.write_bytes(helper.make_model(graph, opset_imports=imports).SerializeToString())
    return path


def packed(name: str, dtype: int, shape: Sequence[int]) -> Any:
    """Return a stored tensor of an element type that NumPy has not."""
    from onnx import helper

    return helper.make_tensor(name, dtype, shape, np.zeros(int(np.prod(shape))))
