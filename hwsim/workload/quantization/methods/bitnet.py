"""BitNet: ternary weights, four to a byte, with one scale per tensor; activations are 8-bit integers.

Tensors: ``weight`` uint8 [N/4, K], ``weight_scale``, one number (transformers ``integrations/bitnet.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.workload.quantization.base import METHODS, Codes, Parts, Refuse, Scheme, Settings, Stored
from hwsim.workload.quantization.methods.gptq import matrix

PER_BYTE = 4
#: Stored are -1, 0 and 1 plus one; our codes of them are 3, 0 and 1 (2 is unused).
ORDER = (3, 0, 1, 2)


@dataclass(frozen=True)
class BitNet(Scheme):
    """All linear layers of the blocks."""

    name: ClassVar[str] = "bitnet"

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return ternary weights and 8-bit activations."""
        return "ternary_tensor", "int8"

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what packed weights hold."""
        weight = parts.get("weight")
        if weight is None or weight.dtype != "U8":
            return None
        packed, columns = matrix(weight, f"{module}.weight", refuse)
        scale = parts["weight_scale"].bits if "weight_scale" in parts else 0
        return Stored(packed * PER_BYTE, columns, "ternary_tensor", weight.bits, scale, codes=Codes("weight", ORDER))


@METHODS.register("bitnet")
def read(settings: Settings) -> BitNet:
    """Read ``modules_to_not_convert``."""
    return BitNet(settings.patterns("modules_to_not_convert"))
