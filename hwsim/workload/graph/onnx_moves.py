"""What moving values leaves of them: the format that they are quantized in, and which part of a stored tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.tensor import UNKNOWN, Tensor

#: Inputs whose values are in the result; of operations that are not here, the first one's are.
_MOVED = {
    "Concat": slice(None),
    "Where": slice(1, None),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), slice(0, None, 2)),
    "TensorScatter": slice(2),
    **dict.fromkeys(("ConstantOfShape", "EyeLike", "OneHot", "Range"), slice(0)),
}


def keep_moved(node: Node) -> None:
    """Say of the outputs of a node, whose shapes are known, what they keep of the values that it moves."""
    moved = [value.tensor if value is not None else None for value in node.inputs[_MOVED.get(node.op, slice(1))]]
    sources = [tensor for tensor in moved if tensor is not None]
    if not sources or len(sources) < len(moved):
        return
    agree = len({(tensor.fmt, tensor.block) for tensor in sources}) == 1
    for index, output in enumerate(node.outputs):
        if output.tensor is None:
            continue
        found = output.tensor
        if agree and sources[0].fmt:
            found = replace(found, fmt=sources[0].fmt, block=_moved_blocks(node, sources[0], found.rank))
        if len(sources) == 1 and found.constant and found.part == UNKNOWN:
            found = replace(found, part=_part(node, sources[0], index))
        node.set_output(found, index)


def _moved_blocks(node: Node, source: Tensor, rank: int) -> Any:
    """Return where the blocks of a source are in a result of that rank, None if they are cut up."""
    if source.block is None:
        return None
    axis, *rest = source.block
    if node.op == "Gather":
        along = node.whole("axis", 0) % source.rank
        if axis == along and rank != source.rank:
            return None
        axis += rank - source.rank if axis > along else 0
    elif rank != source.rank:
        return None
    return (axis, *rest)


def _part(node: Node, source: Tensor, index: int) -> str:
    """Return what tells a part of a stored tensor from others: how it was cut out, :data:`UNKNOWN` if that is long."""
    how = [value.data for value in node.inputs[1:] if value is not None]
    if not source.identity or any(data is None for data in how):
        return UNKNOWN
    given = {name: value for name, value in sorted(node.attributes.items()) if isinstance(value, int | list | str)}
    return f"{source.part}[{node.op} {index} {given} {[data.tolist() for data in how if data is not None]}]"
