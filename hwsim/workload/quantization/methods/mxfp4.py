"""MXFP4 as in gpt-oss: experts in blocks of 32 FP4 values under an E8M0 scale, everything else as it is.

Tensors: ``gate_up_proj_blocks`` uint8 [E, N, K/32, 16] and ``gate_up_proj_scales`` uint8 [E, N, K/32]; the same for
``down_proj``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.workload.quantization.base import METHODS, Codes, Parts, Refuse, Scheme, Settings, Stored
from hwsim.workload.quantization.methods.gptq import expect, matrix

BLOCK = 32


@dataclass(frozen=True)
class Mxfp4(Scheme):
    """Experts alone are quantized."""

    name: ClassVar[str] = "mxfp4"

    def quantizes(self, module: str) -> bool:
        """Whether a module is an expert that is not left out."""
        return "experts." in module and super().quantizes(module)

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return MXFP4, activations open."""
        return "mxfp4", ""

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what blocks and scales hold."""
        if "blocks" not in parts:
            return None
        experts, rows, blocks, size = matrix(parts["blocks"], f"{module}_blocks", refuse, 4)
        if size * 2 != BLOCK:
            raise refuse(f"{module}_blocks has blocks of {size} bytes; expected {BLOCK // 2}")
        scales = expect(parts, "scales", (experts, rows, blocks), module, refuse)
        bits = parts["blocks"].bits + scales.bits
        return Stored(rows, BLOCK * blocks, "mxfp4", bits, experts=experts, codes=Codes("blocks"))


@METHODS.register("mxfp4")
def read(settings: Settings) -> Mxfp4:
    """Read ``modules_to_not_convert``."""
    return Mxfp4(settings.patterns("modules_to_not_convert"))
