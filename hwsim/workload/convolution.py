"""Convolutions as matrix products (im2col).

``O[M,N] = A[M,K] · W[K,N]`` with M output pixels, K = input channels per group × kernel area,
N = output channels per group; ``batch`` counts groups. Images are rows of M.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Gemm, Op, VectorOp


@dataclass(frozen=True)
class Feature:
    """A feature map: channels, height and width."""

    channels: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Pixels per channel."""
        return self.height * self.width


@dataclass(frozen=True)
class Conv:
    """A 2-D convolution; ``groups = in_channels`` makes it depthwise.

    ``kernel`` and ``padding`` are those of the height; ``kernel_width`` and ``padding_width`` those of the
    width where it differs.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    kernel_width: int | None = None
    padding_width: int | None = None

    def __post_init__(self) -> None:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise UsageError(f"conv: {self.groups} groups divide neither {self.in_channels} nor {self.out_channels}")

    @property
    def area(self) -> int:
        """Pixels of the kernel."""
        return self.kernel * (self.kernel_width or self.kernel)

    @property
    def weights(self) -> int:
        """Weights, without bias."""
        return self.out_channels * self.in_channels // self.groups * self.area

    def output(self, source: Feature) -> Feature:
        """Return the output's shape: ``floor((size + 2·padding - kernel) / stride) + 1``.

        Raises
        ------
        UsageError
            If the input has other channels, or is smaller than the kernel.
        """
        if source.channels != self.in_channels:
            raise UsageError(f"conv: {source.channels} channels come in, {self.in_channels} are expected")
        across = self.padding if self.padding_width is None else self.padding_width
        height = output_size(source.height, self.kernel, self.stride, self.padding)
        width = output_size(source.width, self.kernel_width or self.kernel, self.stride, across)
        return Feature(self.out_channels, height, width)

    def gemm(self, layer: str, source: Feature, images: int = 1, role: str = "conv") -> Gemm:
        """Return the convolution of ``images`` feature maps as a GEMM."""
        out = self.output(source)
        kernel, padding = _pair(self.kernel, self.kernel_width), _pair(self.padding, self.padding_width)
        note = (
            f"im2col: {source.channels}x{source.height}x{source.width}, kernel {kernel}, "
            f"stride {self.stride}, padding {padding}"
        )
        return Gemm(
            layer,
            m=images * out.pixels,
            n=self.out_channels // self.groups,
            k=self.in_channels // self.groups * self.area,
            batch=self.groups,
            role=role,
            note=note,
        )


def _pair(first: int, second: int | None) -> str:
    return str(first) if second is None or second == first else f"{first}x{second}"


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return ``floor((size + 2·padding - kernel) / stride) + 1``.

    Raises
    ------
    UsageError
        If the padded input is smaller than the kernel.
    """
    if size + 2 * padding < kernel:
        raise UsageError(f"image: a kernel of {kernel} does not fit in {size} pixels with padding {padding}")
    return (size + 2 * padding - kernel) // stride + 1


@dataclass
class ConvNet:
    """Collects the operations and parameters of a network of convolutions, layer by layer.

    Batch norms are folded into the convolutions (no operation), but their gain and bias count as
    parameters, as published counts do.
    """

    feature: Feature
    images: int
    ops: list[Op]
    other_parameters: int = 0
    weights: int = 0
    made_by: str = ""  # the layer whose result the feature map is

    def conv(
        self,
        layer: str,
        conv: Conv,
        activation: str | None = None,
        source: Feature | None = None,
        bias: bool = False,
        norm: bool | None = None,
    ) -> Feature:
        """Add a convolution, with folded batch norm (``norm``, unless there is a ``bias``), and return its output.

        The output becomes the current feature map, unless ``source`` names another input (a shortcut).
        """
        start = source or self.feature
        out = conv.output(start)
        gemm = conv.gemm(layer, start, self.images)
        if self.made_by and self.ops[-1].layer != self.made_by:
            gemm = replace(gemm, note=f"{gemm.note}; reads {self.made_by}")
        self.ops.append(gemm)
        self.weights += conv.weights
        folded = not bias if norm is None else norm
        self.other_parameters += conv.out_channels * (bias + 2 * folded)
        before = self.made_by
        self.made_by = layer
        if activation:
            self.vector(f"{layer}.act", activation, out)
        if source is None:
            self.feature = out
        else:
            self.made_by = before
        return out

    def vector(self, layer: str, op: str, shape: Feature, other: str = "") -> None:
        """Add an element-wise operation on a feature map, one row per pixel; ``other`` made its second operand."""
        note = f"reads {other}" if other else ""
        self.ops.append(VectorOp(layer, op, self.images * shape.pixels, shape.channels, note=note))
        self.made_by = layer

    def maxpool(self, layer: str, kernel: int, stride: int, padding: int) -> None:
        """Add max pooling; its size is that of the output."""
        size = (output_size(edge, kernel, stride, padding) for edge in (self.feature.height, self.feature.width))
        self.feature = Feature(self.feature.channels, *size)
        self.vector(layer, "maxpool", self.feature)

    def classifier(self, classes: int) -> None:
        """Add global average pooling and a fully connected layer with bias."""
        self.vector("avgpool", "avgpool", self.feature)
        self.ops.append(Gemm("classifier", self.images, classes, self.feature.channels, role="other"))
        self.weights += classes * self.feature.channels
        self.other_parameters += classes
