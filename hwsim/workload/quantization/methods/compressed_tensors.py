"""compressed-tensors (LLM Compressor, vLLM): groups of modules, each with weights and activations of their own.

Tensors: ``weight`` (INT8, FP8) or ``weight_packed`` (int32 [N, K·bits/32], or uint8 [N, K/2] of FP4 pairs),
``weight_scale`` per output, group, tile or tensor, ``weight_zero_point``, ``weight_shape``, ``weight_global_scale``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwsim.spec.errors import shown
from hwsim.workload.quantization.base import METHODS, Codes, Parts, Refuse, Scheme, Settings, Stored, matches
from hwsim.workload.quantization.methods.gptq import WORD, expect, matrix

STRATEGIES = ("tensor", "channel", "group", "tensor_group", "block", "token")


@dataclass(frozen=True)
class Quantization:
    """How weights or activations are quantized; ``size`` is of a group, ``tile`` of a block."""

    bits: int
    kind: str
    strategy: str
    size: int | None
    tile: tuple[int, int]
    symmetric: bool

    def format(self, columns: int, wide: bool = False) -> str:
        """Return our name; ``wide`` scales are FP32, else of 16 bits."""
        element = f"int{self.bits}" if self.kind == "int" else {8: "fp8_e4m3", 4: "fp4_e2m1"}[self.bits]
        if element == "fp4_e2m1":
            return "nvfp4" if self.strategy == "tensor_group" else "mxfp4"
        if self.kind == "int" and not self.symmetric and self.strategy in ("group", "channel"):
            group = self.size if self.strategy == "group" and self.size else columns
            return f"int{self.bits}_asym_g{group}" + (f"_z{self.bits}" if self.bits < 8 else "")
        where = {"group": f"g{self.size}", "block": f"t{self.tile[0]}x{self.tile[1]}", "token": "channel"}
        return f"{element}_{where.get(self.strategy, self.strategy)}" + ("_fp32" if wide else "")

    def order(self, packed: bool) -> tuple[int, ...]:
        """Return our code of each stored one: integers are packed with half their range added, else as they are.

        Ours are two's complement of symmetric integers, and unsigned beside a zero point.
        """
        if self.kind == "float" or packed != self.symmetric:
            return ()
        half = 2 ** (self.bits - 1)
        return tuple((code + half) % (2 * half) for code in range(2 * half))

    @property
    def activations(self) -> str:
        """Our name for activations: scales per token or tensor are those that a plain element has."""
        if self.strategy in ("token", "tensor", "channel"):
            return f"int{self.bits}" if self.kind == "int" else "fp8_e4m3"
        return self.format(self.size or 1, wide=self.kind == "float" and self.bits == 8)


@dataclass(frozen=True)
class Group:
    """Modules by name or class, and what becomes of them."""

    targets: tuple[str, ...]
    weights: Quantization
    activations: str

    def names(self, module: str) -> bool:
        """Whether one of the targets is ``module``; classes such as ``Linear`` name all."""
        return any((target[:1].isupper() and "." not in target) or matches(target, module) for target in self.targets)


@dataclass(frozen=True)
class CompressedTensors(Scheme):
    """Groups in the order of the file; the first that names a module counts."""

    groups: tuple[Group, ...] = ()

    name: ClassVar[str] = "compressed-tensors"
    keeps_head: ClassVar[bool] = False

    def quantizes(self, module: str) -> bool:
        """Whether a group names the module and ``ignore`` does not."""
        return super().quantizes(module) and self._group(module) is not None

    def _group(self, module: str) -> Group | None:
        return next((group for group in self.groups if group.names(module)), None)

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return the formats of the group."""
        group = self._group(module)
        return (group.weights.format(columns), group.activations) if group else ("", "")

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what the tensors of a module hold."""
        group, scale = self._group(module), parts.get("weight_scale")
        if group is None or scale is None:
            return None
        weight, packed = group.weights, parts.get("weight_packed")
        held = packed or parts.get("weight")
        if held is None:
            return None
        rows, columns = matrix(held, f"{module}.weight", refuse)
        if packed is not None:
            columns = self._unpacked(weight, columns, 2 if packed.dtype == "U8" else WORD // weight.bits, scale.shape)
        bits = rows * columns * weight.bits
        other = held.bits - bits + sum(parts[name].bits for name in OTHERS if name in parts)
        if weight.strategy == "tensor":
            other += scale.bits
        else:
            shape = self._scales(weight, rows, columns, scale.shape)
            bits += expect(parts, "weight_scale", shape, module, refuse).bits
        if "weight_zero_point" in parts:
            bits += parts["weight_zero_point"].bits
        codes = None
        if 8 % weight.bits == 0:
            codes = Codes("weight" if packed is None else "weight_packed", weight.order(packed is not None))
        return Stored(rows, columns, weight.format(columns, scale.dtype == "F32"), bits, other, codes=codes)

    @staticmethod
    def _unpacked(weight: Quantization, words: int, per_word: int, scales: tuple[int, ...]) -> int:
        """Return the columns in so many words of a row, the last maybe filled up: whole groups, if they fit."""
        most = words * per_word
        grouped = scales[1] * weight.size if weight.size and len(scales) == 2 else most
        return grouped if most - per_word < grouped <= most else most

    @staticmethod
    def _scales(weight: Quantization, rows: int, columns: int, found: tuple[int, ...]) -> tuple[int, ...]:
        if weight.strategy == "block":
            return -(-rows // weight.tile[0]), -(-columns // weight.tile[1])
        if weight.strategy == "channel":
            return found if found == (rows,) else (rows, 1)
        return rows, -(-columns // (weight.size or columns))


#: Tensors that no format counts.
OTHERS = ("weight_shape", "weight_global_scale", "input_global_scale", "input_scale", "weight_g_idx")


@METHODS.register("compressed-tensors")
def read(settings: Settings) -> CompressedTensors:
    """Read ``config_groups`` and ``ignore``."""
    given = settings.values.get("config_groups")
    if not isinstance(given, Mapping) or not given:
        raise settings.refuse(f"config_groups must name groups of modules, not {shown(given)}")
    groups = tuple(_read_group(settings, str(name), group) for name, group in given.items())
    return CompressedTensors(settings.patterns("ignore"), groups)


def _read_group(settings: Settings, name: str, given: Any) -> Group:
    where = f"config_groups.{name}"
    if not isinstance(given, Mapping) or not isinstance(given.get("weights"), Mapping):
        raise settings.refuse(f"{where} must have weights with num_bits, type and strategy")
    targets = settings.part({"targets": given.get("targets", ["Linear"])}).patterns("targets")
    weights = _read_one(settings, f"{where}.weights", given["weights"])
    other = given.get("input_activations")
    if other is not None and not isinstance(other, Mapping):
        raise settings.refuse(f"{where}.input_activations must be a mapping, not {shown(other)}")
    activations = _read_one(settings, f"{where}.input_activations", other).activations if other else ""
    return Group(targets, weights, activations)


def _read_one(settings: Settings, where: str, given: Mapping[str, Any]) -> Quantization:
    one = settings.part(given, f"{where}: ")
    bits, kind = one.integer("num_bits", None, 2, 8), one.choice("type", ("int", "float"), "int")
    if kind == "float" and bits not in (4, 8):
        raise settings.refuse(f"{where}: floats of {bits} bits are not supported; valid: 4, 8")
    size = given.get("group_size")
    size = None if size in (None, -1) else one.integer("group_size")
    usual = "group" if size else "channel" if given.get("strategy") is None else "tensor"
    strategy = one.choice("strategy", STRATEGIES, usual) if given.get("strategy") is not None else usual
    if strategy in ("group", "tensor_group") and size is None:
        raise settings.refuse(f"{where}: strategy {strategy} needs a group_size")
    tile = given.get("block_structure") or [128, 128]
    if not isinstance(tile, list) or len(tile) != 2:
        raise settings.refuse(f"{where}: block_structure must be two sizes such as [128, 128], not {shown(tile)}")
    high, wide = (settings.part({"block_structure": side}).integer("block_structure") for side in tile)
    return Quantization(bits, kind, strategy, size, (high, wide), one.flag("symmetric", True))
