"""AWQ: 4-bit integers in groups along K with an FP16 scale and a 4-bit zero point.

Tensors (AutoAWQ, ``gemm`` layout): ``qweight`` int32 [K, N·bits/32], ``qzeros`` int32 [K/g, N·bits/32], ``scales``
[K/g, N].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.workload.quantization.base import METHODS, Parts, Refuse, Scheme, Settings, Stored
from hwsim.workload.quantization.methods.gptq import WORD, expect, grouped, matrix, packed


@dataclass(frozen=True)
class Awq(Scheme):
    """``group`` is None for one group per output."""

    bits: int = 4
    group: int | None = 128

    name: ClassVar[str] = "awq"

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return the format of a group, activations open."""
        return grouped(self.bits, self.group or columns), ""

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what ``qweight``, ``qzeros`` and ``scales`` hold."""
        if "qweight" not in parts:
            return None
        columns, words = matrix(parts["qweight"], f"{module}.qweight", refuse)
        rows = words * WORD // self.bits
        groups = -(-columns // (self.group or columns))
        scales = expect(parts, "scales", (groups, rows), module, refuse)
        zeros = expect(parts, "qzeros", (groups, words), module, refuse)
        bits = parts["qweight"].bits + scales.bits + zeros.bits
        codes = packed("qweight", self.bits)
        return Stored(rows, columns, grouped(self.bits, self.group or columns), bits, codes=codes)


@METHODS.register("awq")
def read(settings: Settings) -> Awq:
    """Read ``bits`` and ``group_size`` (or AutoAWQ's ``w_bit`` and ``q_group_size``)."""
    values = settings.values
    settings.choice("version", ("gemm", "GEMM"), "gemm")
    bits = settings.part({"bits": values.get("bits", values.get("w_bit", 4))}).integer("bits", 4, 2, 8)
    if WORD % bits:
        raise settings.refuse(f"bits {bits} is not supported; valid: 2, 4, 8")
    size = values.get("group_size", values.get("q_group_size", 128))
    group = None if size == -1 else settings.part({"group_size": size}).integer("group_size")
    return Awq(settings.patterns("modules_to_not_convert"), bits, group)
