"""Number formats of ONNX: element types, and what QuantizeLinear and DequantizeLinear say of a tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError
from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.tensor import Tensor

#: Formats by onnx.TensorProto.DataType; floats of 16 bits and more are left to the run's policy.
FORMATS = {
    2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 17: "fp8_e4m3", 18: "fp8_e4m3fnuz", 19: "fp8_e5m2",
    20: "fp8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "fp4_e2m1", 24: "ue8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
#: Scales that block formats name; the short name has FP16 ones.
_SCALES = {1: "fp32", 10: "fp16", 16: "bf16", 24: "ue8m0", 17: "e4m3"}


def element_format(dtype: int) -> str:
    """Return the format of a quantized element type, ``""`` for others."""
    return FORMATS.get(dtype, "")


def quantized(node: Node) -> None:
    """Say of the output of QuantizeLinear that it is quantized."""
    tensor = node.tensor(0)
    dtype = node.outputs[0].dtype or (node.value(2).dtype if node.given(2) else 2)
    node.set_output(replace(tensor, fmt=element_format(dtype), block=None))


def dequantized(node: Node) -> None:
    """Say of the output of DequantizeLinear which format its values are in."""
    tensor, dtype = node.tensor(0), node.value(0).dtype
    fmt = element_format(dtype) if dtype != 6 else ""
    scale = node.value(1)
    size = node.whole("block_size", 0)
    axis = node.whole("axis", 1) % max(tensor.rank, 1)
    if size and tensor.constant:
        scale_type = _SCALES.get(scale.dtype, "fp32")
        if scale.tensor is not None and scale.tensor.fmt == "fp8_e4m3":
            scale_type = "e4m3"
        node.set_output(replace(tensor, fmt=fmt, block=(axis, size, scale_type, _has_zero_point(node))))
        return
    per_channel = scale.tensor is not None and scale.tensor.elements > 1
    block = (axis, 0, "fp32", _has_zero_point(node)) if per_channel else None
    node.set_output(replace(tensor, fmt=fmt, block=block))


def _has_zero_point(node: Node) -> bool:
    """Whether there are zero points other than 0."""
    if not node.given(2):
        return False
    data: Any = node.value(2).data
    return data is None or bool((data != 0).any())


def weight_format(weights: Tensor, k_axis: int, place: str) -> str:
    """Return the format of a product's weights, blocks along K (axis ``k_axis``).

    Zero points of blocks are in the format's name where there is one with them; scales then are FP16.

    Raises
    ------
    UsageError
        If blocks run along another axis, or there is no format of such blocks.
    """
    if weights.block is None or not weights.fmt:
        return weights.fmt
    axis, size, scale, zero_points = weights.block
    if not size:
        return weights.fmt
    if axis != k_axis % weights.rank:
        raise UsageError(
            f"{place}: blocks of {size} weights run along axis {axis}, not along the reduction: not supported"
        )
    return block_format(weights.fmt, size, scale, zero_points)


def block_format(element: str, size: int, scale: str, zero_points: bool) -> str:
    """Return the name of a block format; UsageError if there is none."""
    if (element, size, scale) == ("fp4_e2m1", 32, "ue8m0"):
        return "mxfp4"
    if (element, size, scale) == ("fp4_e2m1", 16, "e4m3"):
        return "nvfp4"
    if scale == "ue8m0" and size == 32 and element.startswith("fp8"):
        return {"fp8_e4m3": "mxfp8_e4m3", "fp8_e5m2": "mxfp8_e5m2"}[element]
    if zero_points or element.startswith("uint"):
        # Codes of unsigned weights are those of signed ones, moved by the zero point.
        element = element.removeprefix("u") + ("_asym" if zero_points else "")
    suffix = "" if zero_points or scale == "fp16" else f"_{scale}"
    return parse_format(f"{element}_g{size}{suffix}").name
