"""bitsandbytes: NF4 or FP4 in blocks of 64 of the flattened tensor, or LLM.int8().

Tensors: 4 bits: ``weight`` uint8 [N·K/2, 1], ``weight.absmax`` F32 [N·K/64], or with double quantization uint8 with
``weight.nested_absmax`` F32 per 256 of them, the scales ``dq8`` here; 8 bits: ``weight`` I8 [N, K], ``SCB`` F32 [N].
Tables of codes and the offset of nested scales, some kilobytes per tensor, are ``other_bits``. Blocks run over the
flattened tensor there and along rows here: where K is no multiple of 64, up to a scale per row is counted too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.formats import parse_format
from hwsim.formats.block.scales import RUN
from hwsim.workload.quantization.base import METHODS, Codes, Parts, Refuse, Scheme, Settings, Stored
from hwsim.workload.quantization.methods.gptq import expect, matrix

BLOCK = 64


@dataclass(frozen=True)
class BitsAndBytes(Scheme):
    """``code`` is the element of 4-bit weights, ``""`` for LLM.int8()."""

    code: str = ""
    double: bool = False

    name: ClassVar[str] = "bitsandbytes"

    @property
    def _weights(self) -> str:
        return f"{self.code}_g{BLOCK}_{'dq8' if self.double else 'fp32'}" if self.code else "int8_channel_fp32"

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return weights, and activations with FP16 outliers of LLM.int8()."""
        return self._weights, "" if self.code else "llm_int8"

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what ``weight`` holds; the shape of 4-bit weights is not in the file and stays 0."""
        weight = parts.get("weight")
        # Packed codes may stand in words of any type: bnb_4bit_quant_storage.
        if weight is None or not ("weight.absmax" in parts if self.code else weight.dtype in ("U8", "I8")):
            return None
        if not self.code:
            rows, columns = matrix(weight, f"{module}.weight", refuse)
            held = weight.bits + expect(parts, "SCB", (rows,), module, refuse).bits
            return Stored(rows, columns, self._weights, held, codes=Codes("weight"))
        elements = weight.bits // 4
        scales = expect(parts, "weight.absmax", (-(-elements // BLOCK),), module, refuse)
        held = weight.bits + scales.bits
        if self.double:
            levels = -(-scales.shape[0] // RUN)
            held += expect(parts, "weight.nested_absmax", (levels,), module, refuse).bits
        other = sum(part.bits for name, part in parts.items() if name.startswith("weight")) - held
        return Stored(0, elements, self._weights, held, other, codes=Codes("weight"))


@METHODS.register("bitsandbytes")
def read(settings: Settings) -> BitsAndBytes:
    """Read ``load_in_8bit``, ``load_in_4bit``, ``bnb_4bit_quant_type`` and ``bnb_4bit_use_double_quant``."""
    skipped = settings.patterns("llm_int8_skip_modules")
    eight, four = settings.flag("load_in_8bit", False), settings.flag("load_in_4bit", False)
    if eight and four:
        raise settings.refuse("of bitsandbytes says both load_in_4bit and load_in_8bit: true; valid: one of them")
    if eight:
        return BitsAndBytes(skipped)
    if not four:
        raise settings.refuse("of bitsandbytes must say load_in_4bit or load_in_8bit: true")
    kind = settings.choice("bnb_4bit_quant_type", ("fp4", "nf4"), "fp4")
    code = {"fp4": "bnb_fp4", "nf4": "nf4"}[kind]
    parse_format(f"{code}_g{BLOCK}")
    return BitsAndBytes(skipped, code, settings.flag("bnb_4bit_use_double_quant", False))
