"""GPTQ: integers in groups along K with an FP16 scale and a zero point as wide as the elements.

Tensors (AutoGPTQ, GPTQModel): ``qweight`` int32 [K·bits/32, N], ``qzeros`` int32 [K/g, N·bits/32], ``scales``
[K/g, N], ``g_idx`` int32 [K], the group of every row of K, which no format counts. ``sym`` zero points are stored too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hwsim.spec.errors import shown
from hwsim.workload.quantization.base import METHODS, Codes, Part, Parts, Refuse, Scheme, Settings, Stored, matches

WORD = 32


def grouped(bits: int, group: int) -> str:
    """Return the name of the format of elements with a zero point of the same width."""
    return f"int{bits}_asym_g{group}" + (f"_z{bits}" if bits < 8 else "")


def expect(parts: Parts, name: str, shape: tuple[int, ...], module: str, refuse: Refuse) -> Part:
    """Return a part, which must have ``shape``.

    Raises
    ------
    SpecError
        If it is missing or of another shape.
    """
    part = parts.get(name)
    if part is None:
        raise refuse(f"{module}.{name} is missing; expected shape {list(shape)}")
    if part.shape != shape:
        raise refuse(f"{module}.{name} has shape {list(part.shape)}; expected {list(shape)}")
    return part


def packed(part: str, bits: int, order: tuple[int, ...] = ()) -> Codes | None:
    """Return where codes are; None if they run across bytes."""
    return Codes(part, order) if 8 % bits == 0 else None


def matrix(part: Part, what: str, refuse: Refuse, dims: int = 2) -> tuple[int, ...]:
    """Return the shape of a part that must have so many sizes."""
    if len(part.shape) != dims:
        raise refuse(f"{what} has shape {list(part.shape)}; expected {dims} sizes")
    return part.shape


@dataclass(frozen=True)
class Gptq(Scheme):
    """``group`` is None for one group per output."""

    bits: int = 4
    group: int | None = 128
    head: bool = False
    #: Patterns with other widths and groups, the first that matches counts (GPTQModel's ``dynamic``).
    dynamic: tuple[tuple[str, int, int | None], ...] = ()
    only: tuple[str, ...] = ()

    name: ClassVar[str] = "gptq"

    def quantizes(self, module: str) -> bool:
        """Whether a module is quantized: the LM head by ``lm_head``, others unless they are left out."""
        if module.endswith("lm_head"):
            return self.head and not any(matches(pattern, module) for pattern in self.skipped)
        if self.only and not any(module.endswith(one) for one in self.only):
            return False
        return super().quantizes(module)

    def _settings(self, module: str, columns: int) -> tuple[int, int]:
        found = next(((bits, group) for pattern, bits, group in self.dynamic if matches(pattern, module)), None)
        bits, group = found or (self.bits, self.group)
        return bits, group or columns

    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return the format of a group, activations open."""
        return grouped(*self._settings(module, columns)), ""

    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what ``qweight``, ``qzeros`` and ``scales`` hold."""
        if "qweight" not in parts:
            return None
        words, rows = matrix(parts["qweight"], f"{module}.qweight", refuse)
        bits, _ = self._settings(module, 1)
        if words * WORD % bits:
            raise refuse(f"{module}.qweight has {words} rows of words, no whole number of {bits}-bit weights")
        columns = words * WORD // bits
        _, group = self._settings(module, columns)
        groups = -(-columns // group)
        scales = expect(parts, "scales", (groups, rows), module, refuse)
        zeros = expect(parts, "qzeros", (groups, rows * bits // WORD), module, refuse)
        order = parts["g_idx"].bits if "g_idx" in parts else 0
        held = parts["qweight"].bits + scales.bits + zeros.bits
        return Stored(rows, columns, grouped(bits, group), held, order, codes=packed("qweight", bits))


@METHODS.register("gptq")
def read(settings: Settings) -> Gptq:
    """Read ``bits``, ``group_size``, ``lm_head``, ``modules_in_block_to_quantize`` and ``dynamic``."""
    bits, group = _bits(settings), _group(settings, settings.values.get("group_size", 128))
    skipped, dynamic = [], []
    given = settings.values.get("dynamic") or {}
    if not isinstance(given, Mapping):
        raise settings.refuse(f"dynamic must be a mapping of patterns, not {shown(given)}")
    for pattern, own in given.items():
        named = settings.part({"pattern": [f"re:{str(pattern)[2:]}"]}).patterns("pattern")[0]
        if str(pattern).startswith("-:"):
            skipped.append(named)
        else:
            if not isinstance(own, Mapping):
                raise settings.refuse(f"dynamic: {shown(pattern)} must have a mapping of settings, not {shown(own)}")
            changed = settings.part({**settings.values, **own})
            dynamic.append((named, _bits(changed), _group(changed, own.get("group_size", group or -1))))
    return Gptq(
        (*settings.patterns("modules_to_not_convert"), *skipped),
        bits,
        group,
        settings.flag("lm_head", False),
        tuple(dynamic),
        _only(settings),
    )


def _bits(settings: Settings) -> int:
    bits = settings.integer("bits", 4, 2, 8)
    if bits not in (2, 3, 4, 8):
        raise settings.refuse(f"bits {bits} is not supported; valid: 2, 3, 4, 8")
    return bits


def _group(settings: Settings, value: Any) -> int | None:
    """Return the size of a group, None for -1: a whole row."""
    if value == -1:
        return None
    return settings.part({"group_size": value}).integer("group_size")


def _only(settings: Settings) -> tuple[str, ...]:
    value = settings.values.get("modules_in_block_to_quantize")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, list) for one in value):
        raise settings.refuse(f"modules_in_block_to_quantize must be a list of lists of names, not {shown(value)}")
    return tuple(str(name) for names in value for name in names)
