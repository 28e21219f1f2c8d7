"""FP8 as in DeepSeek-V3: E4M3 with an FP32 scale per tile of 128 × 128, or per tensor.

Tensors: ``weight`` F8_E4M3 [N, K], ``weight_scale_inv`` F32 [N/128, K/128]; per tensor ``weight_scale``, one number.
Activations are quantized along K in groups as wide as a tile (DeepSeek-V3, arXiv 2412.19437 3.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.spec.errors import shown
from hwsim.workload.quantization.base import METHODS, Codes, Parts, Refuse, Scheme, Settings, Stored
from hwsim.workload.quantization.methods.gptq import expect, matrix


@dataclass(frozen=True)
class Fp8(Scheme):
    """``tile`` is (rows, columns) under one scale, None for one per tensor."""

    tile: tuple[int, int] | None = None
    activations: bool = True

    name: ClassVar[str] = "fp8"

    @property
    def _weights(self) -> str:
        return "fp8_e4m3_t{}x{}_fp32".format(*self.tile) if self.tile else "fp8_e4m3_tensor_fp32"

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return weights and activations, both E4M3."""
        a = f"fp8_e4m3_g{self.tile[1]}_fp32" if self.tile else "fp8_e4m3"
        return self._weights, a if self.activations else ""

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what ``weight`` and its scales hold."""
        weight = parts.get("weight")
        if weight is None or weight.dtype != "F8_E4M3":
            return None
        rows, columns = matrix(weight, f"{module}.weight", refuse)
        if self.tile is None:
            scales = sum(part.bits for name, part in parts.items() if "scale" in name)
            return Stored(rows, columns, self._weights, weight.bits, scales, codes=Codes("weight"))
        high, wide = self.tile
        scale = expect(parts, "weight_scale_inv", (-(-rows // high), -(-columns // wide)), module, refuse)
        return Stored(rows, columns, self._weights, weight.bits + scale.bits, codes=Codes("weight"))


@METHODS.register("fp8")
def read(settings: Settings) -> Fp8:
    """Read ``weight_block_size``, ``activation_scheme``, ``modules_to_not_convert``."""
    settings.choice("fmt", ("e4m3", "float8_e4m3"), "e4m3")
    settings.choice("activation_scheme", ("dynamic", "static"), "dynamic")
    skipped = settings.patterns("modules_to_not_convert", "ignored_layers")
    size = settings.values.get("weight_block_size")
    if size is None:
        return Fp8(skipped)
    if not isinstance(size, list) or len(size) != 2:
        raise settings.refuse(f"weight_block_size must be two sizes such as [128, 128], not {shown(size)}")
    high, wide = (settings.part({"weight_block_size": one}).integer("weight_block_size") for one in size)
    return Fp8(skipped, (high, wide))
