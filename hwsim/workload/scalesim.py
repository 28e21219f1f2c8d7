"""SCALE-Sim's layers as GEMMs: convolutions of unpadded images, matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Gemm, ceil_div


@dataclass(frozen=True)
class ScaleSimConv:
    """A convolution as a topology file states it; padding is part of the image's height and width.

    ``started_strides`` counts an output for every started stride, as the tool does: a 1 × 1 kernel with stride
    2 makes 29 × 29 outputs of 56 × 56 inputs. Without it, outputs are those whose window lies in the image.
    """

    height: int
    width: int
    tall: int
    wide: int
    channels: int
    filters: int
    stride: int
    started_strides: bool = field(default=False, kw_only=True)

    @property
    def outputs(self) -> tuple[int, int]:
        """Output pixels, down and across.

        Raises
        ------
        UsageError
            If the kernel is larger than the image.
        """
        return self._outputs(self.height, self.tall), self._outputs(self.width, self.wide)

    def _outputs(self, size: int, window: int) -> int:
        if window > size:
            raise UsageError(f"a kernel of {window} does not fit in {size} pixels; SCALE-Sim's images include padding")
        return ceil_div(size - window, self.stride) + 1 if self.started_strides else (size - window) // self.stride + 1

    @property
    def inputs(self) -> int:
        """Distinct elements of the image that some window covers."""
        down, across = self.outputs
        return (
            self._covered(self.height, self.tall, down) * self._covered(self.width, self.wide, across) * self.channels
        )

    def _covered(self, size: int, window: int, outputs: int) -> int:
        return len({out * self.stride + tap for out in range(outputs) for tap in range(window)} & set(range(size)))

    def gemm(self, layer: str, depthwise: bool = False, note: str = "") -> Gemm:
        """Return the im2col GEMM; ``depthwise`` gives every channel filters of its own."""
        down, across = self.outputs
        batch, depth = (self.channels, 1) if depthwise else (1, self.channels)
        k = self.tall * self.wide * depth
        return Gemm(layer, m=down * across, n=self.filters, k=k, batch=batch, role="conv", note=note)


def scalesim_gemm(layer: str, sizes: Sequence[int], note: str = "", w_stats: str = "") -> Gemm:
    """Return the GEMM of sizes M, N, K, in SCALE-Sim's order."""
    m, n, k = sizes
    return Gemm(layer, m=m, n=n, k=k, note=note, w_stats=w_stats)
