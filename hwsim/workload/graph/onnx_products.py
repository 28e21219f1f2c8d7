"""ONNX operations with multiply-accumulates: matrix products, contractions, convolutions, recurrent cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwsim.spec.errors import UsageError
from hwsim.workload.graph import onnx_attention
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.onnx_quant import block_format, element_format, weight_format
from hwsim.workload.graph.onnx_recurrent import CELLS, read_recurrent
from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.products import Product, contract, convolution, im2col_note, matmul, transposed_convolution
from hwsim.workload.graph.tensor import Tensor


@dataclass
class Products:
    """Adds the products of nodes."""

    collector: Collector

    def __post_init__(self) -> None:
        self._handlers: dict[str, Callable[[Node], None]] = {
            "MatMul": self._matmul, "MatMulInteger": self._matmul_integer, "QLinearMatMul": self._qlinear_matmul,
            "FusedMatMul": self._fused_matmul, "MatMulNBits": self._matmul_bits, "Gemm": self._gemm,
            "FusedGemm": self._gemm, "Einsum": self._einsum, "Conv": self._conv, "FusedConv": self._conv,
            "ConvInteger": self._conv_integer, "QLinearConv": self._qlinear_conv, "ConvTranspose": self._conv_transpose,
            "QGemm": self._q_gemm,
            "MatMulIntegerToFloat": self._matmul_integer_to_float,
            "DynamicQuantizeMatMul": self._dynamic_matmul,
            "DeformConv": self._deformable,
            **{name: self._whole(read_recurrent) for name in CELLS},
            **{name: self._whole(read) for name, read in onnx_attention.READERS.items()},
        }  # fmt: skip

    def handler(self, op: str) -> Callable[[Node], None] | None:
        """Return what reads an operation, None if it is none of these."""
        return self._handlers.get(op)

    def names(self) -> list[str]:
        """Return the operations that are read."""
        return list(self._handlers)

    def _add(self, node: Node, product: Product, role: str = "", note: str = "", o_format: str = "") -> None:
        """Add a product whose result is the node's first output."""
        fmt = weight_format(product.w, product.k_axis, node.place)
        product = replace(product, w=replace(product.w, fmt=fmt))
        number = self.collector.product(node.layer, product, role, note, o_format=o_format)
        constant = product.a.constant and product.w.constant
        node.set_output(Tensor(node.shape(), constant=constant, origin=number))

    def _matmul(self, node: Node) -> None:
        self._add(node, matmul(node.tensor(0), node.tensor(1)))

    def _matmul_integer(self, node: Node) -> None:
        a, w = (_typed(node, index) for index in (0, 1))
        self._add(node, matmul(a, w), o_format="int32")

    def _qlinear_matmul(self, node: Node) -> None:
        # a, its scale and zero point, b, its scale and zero point, those of y.
        self._add(node, matmul(_typed(node, 0), _typed(node, 3)), o_format=element_format(node.value(7).dtype))

    def _q_gemm(self, node: Node) -> None:
        """Gemm of com.microsoft: a, scale and zero point, b, scale and zero point, c, those of y if it is quantized."""
        a, b = _typed(node, 0), _typed(node, 3)
        a, b = (_swapped(t) if node.whole(name, 0) else t for t, name in ((a, "transA"), (b, "transB")))
        dtype = node.value(8).dtype if node.given(8) else 1
        node.outputs[0] = replace(node.outputs[0], dtype=dtype, tensor=Tensor((a.shape[0], b.shape[1])))
        self._add(node, matmul(a, b), o_format=element_format(dtype))

    def _matmul_integer_to_float(self, node: Node) -> None:
        self._to_float(node, _typed(node, 0), _typed(node, 1), node.value(2).dtype)

    def _dynamic_matmul(self, node: Node) -> None:
        """A float operand, quantized to uint8 as it comes, by a stored integer one."""
        a = node.tensor(0)
        self.collector.vector(node.layer, "quantize", a.shape)
        self._to_float(node, replace(a, fmt="uint8"), _typed(node, 1), node.value(0).dtype)

    def _to_float(self, node: Node, a: Tensor, b: Tensor, dtype: int) -> None:
        shape = (*_broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        node.outputs[0] = replace(node.outputs[0], dtype=dtype, tensor=Tensor(shape))
        self._add(node, matmul(a, b))

    def _fused_matmul(self, node: Node) -> None:
        """MatMul of com.microsoft with transposed operands."""
        a, b = node.tensor(0), node.tensor(1)
        if node.whole("transBatchA", 0) or node.whole("transBatchB", 0):
            raise UsageError(f"{node.place}: batch dimensions at the end are not supported")
        a, b = (_swapped(t) if node.whole(name, 0) else t for t, name in ((a, "transA"), (b, "transB")))
        product = matmul(a, b)
        shape = (*_broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        node.set_output(Tensor(shape))
        self._add(node, product)

    def _matmul_bits(self, node: Node) -> None:
        """Weights of a few bits in blocks along K (com.microsoft)."""
        a, k, n = node.tensor(0), node.whole("K"), node.whole("N")
        bits, size = node.whole("bits", 4), node.whole("block_size", 32)
        if a.shape[-1:] != (k,):
            raise UsageError(f"{node.place}: K is {k}, but its input has the shape {list(a.shape)}")
        scale = {10: "fp16", 16: "bf16"}.get(node.value(2).dtype, "fp32")
        fmt = block_format(f"int{bits}", size, scale, zero_points=node.given(3) and bool(node.proto.input[3]))
        weights = Tensor((k, n), constant=True, name=node.tensor(1).name, fmt=fmt)
        node.set_output(Tensor((*a.shape[:-1], n)))
        self._add(node, matmul(a, weights))

    def _gemm(self, node: Node) -> None:
        a, b = node.tensor(0), node.tensor(1)
        a, b = (_swapped(t) if node.whole(name, 0) else t for t, name in ((a, "transA"), (b, "transB")))
        if node.domain:
            node.set_output(Tensor((a.shape[0], b.shape[1])))
        self._add(node, matmul(a, b))

    def _einsum(self, node: Node) -> None:
        equation = node.attributes.get("equation", "")
        operands = [node.tensor(index) for index in range(len(node.inputs))]
        if len(operands) == 1:
            node.set_output(Tensor(node.shape(), constant=operands[0].constant))
            return
        if len(operands) != 2:
            raise UsageError(f"{node.place}: an Einsum of {len(operands)} operands; split it into two at a time")
        self._add(node, contract(_explicit(equation, *operands), *operands))

    def _conv(self, node: Node) -> None:
        if node.domain:
            raise UsageError(f"{node.place}: fused convolutions of {node.domain} are not supported; export plain Conv")
        self._convolution(node, node.tensor(0), node.tensor(1))

    def _conv_integer(self, node: Node) -> None:
        self._convolution(node, _typed(node, 0), _typed(node, 1), o_format="int32")

    def _qlinear_conv(self, node: Node) -> None:
        self._convolution(node, _typed(node, 0), _typed(node, 3), o_format=element_format(node.value(7).dtype))

    def _deformable(self, node: Node) -> None:
        """Products of a convolution; where its pixels come from is moved data, not counted."""
        self._convolution(node, node.tensor(0), node.tensor(1), note=", deformable")

    def _convolution(self, node: Node, x: Tensor, w: Tensor, o_format: str = "", note: str = "") -> None:
        product = convolution(x, w, node.shape(), node.whole("group", 1))
        self._add(node, product, "conv", im2col_note(product, f"{_geometry(node)}{note}"), o_format)

    def _conv_transpose(self, node: Node) -> None:
        x, w = node.tensor(0), node.tensor(1)
        product = transposed_convolution(x, w, node.whole("group", 1))
        text = im2col_note(product, f"{_geometry(node)}, transposed; sums of overlaps not counted")
        self._add(node, product, "conv", text)

    def _whole(self, read: Callable[[Node, Collector], None]) -> Callable[[Node], None]:
        return lambda node: read(node, self.collector)


def _typed(node: Node, index: int) -> Tensor:
    """Return an input whose element type is its format."""
    return replace(node.tensor(index), fmt=element_format(node.value(index).dtype))


def _swapped(tensor: Tensor) -> Tensor:
    order = list(range(tensor.rank))
    if len(order) < 2:
        return tensor
    order[-2:] = order[:-3:-1]
    return tensor.permute(order)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    depth = max(len(a), len(b))
    pairs = zip((1,) * (depth - len(a)) + a, (1,) * (depth - len(b)) + b, strict=True)
    return tuple(max(pair) for pair in pairs)


def _geometry(node: Node) -> str:
    parts = (("strides", "stride"), ("pads", "padding"), ("dilations", "dilation"))
    told = ((word, node.attributes.get(name)) for name, word in parts)
    return "".join(
        f", {word} {'x'.join(map(str, value))}" for word, value in told if value and set(value) != {word[0] != "p"}
    )


def _explicit(equation: str, a: Tensor, b: Tensor) -> str:
    """Return an equation with a result and without dots."""
    equation = equation.replace(" ", "")
    inputs, arrow, out = equation.partition("->")
    parts = inputs.split(",")
    if len(parts) != 2:
        raise UsageError(f"{equation!r} does not name two operands")
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    depths = [tensor.rank - len(part.replace("...", "")) for part, tensor in zip(parts, (a, b), strict=True)]
    depth = max((d for part, d in zip(parts, depths, strict=True) if "..." in part), default=0)
    if not 0 <= depth <= len(free):
        raise UsageError(f"{equation!r} does not fit the shapes {list(a.shape)} and {list(b.shape)}")
    dots = "".join(free[:depth])
    named = [part.replace("...", dots[depth - d :] if d > 0 else "") for part, d in zip(parts, depths, strict=True)]
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        out = ("..." if "..." in inputs else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return f"{','.join(named)}->{out.replace('...', dots)}"
