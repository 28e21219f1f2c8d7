"""What every quantization method offers, and how names of modules are matched."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from hwsim.spec.errors import SpecError, UsageError, did_you_mean, shown
from hwsim.spec.registry import Registry

#: Names of floating-point types in torch, in safetensors files, and ours.
PLAIN = {
    "float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "F16": "fp16", "BF16": "bf16", "F32": "fp32",
    "F8_E4M3": "fp8_e4m3", "F8_E5M2": "fp8_e5m2",
}  # fmt: skip
#: Longest pattern and most wildcards in it: a hostile one must not keep a matcher busy.
LONGEST_PATTERN, MOST_WILDCARDS = 200, 6
REGEX = "re:"
#: Keys of a ``config.json`` that hold the configuration.
CONFIG_KEYS = ("quantization_config", "compression_config")

Refuse = Callable[[str], SpecError]


@dataclass(frozen=True)
class Part:
    """A stored tensor of a module: type as safetensors names it, shape, bits."""

    dtype: str
    shape: tuple[int, ...]
    bits: int


Parts = Mapping[str, Part]


@dataclass(frozen=True)
class Codes:
    """The part that holds packed codes; ``order`` is our code of each stored one, empty where they are the same."""

    part: str
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stored:
    """What the tensors of one quantized module hold.

    ``rows`` outputs by ``columns`` inputs, times ``experts``, in ``format``; ``bits`` are those of codes and of what
    blocks share, ``other_bits`` those that no format counts: orders of columns, shapes, scales of whole tensors.
    ``codes`` are where the codes are, None where they run across words. ``turned`` matrices have inputs as rows.
    """

    rows: int
    columns: int
    format: str
    bits: int
    other_bits: int = 0
    experts: int = 1
    codes: Codes | None = None
    turned: bool = False


@dataclass(frozen=True)
class Scheme(ABC):
    """A method with its settings.

    ``skipped`` are patterns of modules that are not quantized: words of dotted names, which may hold ``*``, or
    regular expressions after ``re:``.
    """

    skipped: tuple[str, ...] = ()

    #: What messages call it.
    name: ClassVar[str] = ""
    #: Whether the LM head and routers are left as they are unless the configuration says other.
    keeps_head: ClassVar[bool] = True

    def quantizes(self, module: str) -> bool:
        """Whether a linear module is quantized; ``module`` is its dotted name without ``.weight``."""
        last = module.rpartition(".")[2]
        if self.keeps_head and (last in ("lm_head", "embed_tokens", "wte") or is_router(module)):
            return False
        return not any(matches(pattern, module) for pattern in self.skipped)

    @abstractmethod
    def formats(self, module: str, columns: int) -> tuple[str, str]:
        """Return the formats of weights and activations of a quantized module; ``""`` leaves activations open."""

    @abstractmethod
    def stored(self, module: str, parts: Parts, refuse: Refuse) -> Stored | None:
        """Return what the tensors of a module hold; None if they are not of this method.

        Raises
        ------
        SpecError
            If shapes do not fit one another.
        """


#: A method reads its configuration into a scheme.
METHODS: Registry[Callable[[Settings], Scheme]] = Registry("quantization method", "hwsim.workload.quantization.methods")


class Settings:
    """The ``quantization_config`` of a checkpoint, key by key with checks."""

    def __init__(self, values: Mapping[str, Any], refuse: Refuse, where: str = "") -> None:
        self.values, self._refuse, self._where = values, refuse, where

    def refuse(self, message: str) -> SpecError:
        """Return the error of this file."""
        return self._refuse(f"'quantization_config' {self._where}{message}")

    def part(self, values: Mapping[str, Any], where: str = "") -> Settings:
        """Return settings made of this configuration; messages about them begin with ``where``."""
        return Settings(values, self._refuse, self._where + where)

    def integer(self, key: str, default: int | None = None, low: int = 1, high: int = 1 << 16) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(f"{key} must be a whole number from {low} to {high:,}, not {shown(value)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false; null is the default."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(f"{key} must be true or false, not {shown(value)}")
        return value

    def choice(self, key: str, valid: Sequence[str], default: str) -> str:
        """Return one of ``valid``."""
        value = self.values.get(key, default)
        if value not in valid:
            raise self.refuse(f"{key} {shown(value)} is not supported; {did_you_mean(value, valid)}")
        return str(value)

    def patterns(self, *keys: str) -> tuple[str, ...]:
        """Return the patterns of modules that lists under ``keys`` hold; null counts as none."""
        found: list[str] = []
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise self.refuse(f"{key} must be a list of names, not {shown(value)}")
            for pattern in value:
                try:
                    matches(pattern, "")
                except UsageError as error:
                    raise self.refuse(f"{key}: {error}") from None
            found += value
        return tuple(found)


def read_scheme(config: Mapping[str, Any], refuse: Refuse) -> Scheme | None:
    """Return the scheme of the ``quantization_config`` in a ``config.json``; None where there is none.

    Raises
    ------
    SpecError
        If the method is missing or unknown, or a setting is wrong.
    """
    given = next((config[key] for key in CONFIG_KEYS if config.get(key) is not None), None)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise refuse(f"'quantization_config' must be a mapping, not {shown(given)}")
    settings = Settings(given, refuse)
    method = given.get("quant_method")
    if method is None and (given.get("load_in_4bit") or given.get("load_in_8bit")):
        method = "bitsandbytes"
    if method not in METHODS:
        raise settings.refuse(f"quant_method {shown(method)} is not supported; {did_you_mean(method, METHODS.names())}")
    return METHODS.get(str(method))(settings)


def plain_format(config: Mapping[str, Any]) -> str:
    """Return the format of what is not quantized, ``""`` if the ``config.json`` names none."""
    return PLAIN.get(str(config.get("dtype", config.get("torch_dtype"))), "")


def is_router(module: str) -> bool:
    """Whether a module sends tokens to experts; such are kept in full precision."""
    return module.endswith((".gate", ".router", ".shared_expert_gate"))


@lru_cache(maxsize=4096)
def matches(pattern: str, module: str) -> bool:
    """Whether ``pattern`` names ``module`` or a part of its dotted name that begins and ends at dots.

    Raises
    ------
    UsageError
        If it is too long, has too many wildcards, or is no regular expression after ``re:``.
    """
    regex = pattern.startswith(REGEX)
    # transformers takes names as regular expressions too: model.layers.*.self_attn
    text = pattern.removeprefix(REGEX) if regex else r"(?:^|.*\.)" + _glob(pattern) + r"(?:\..*|$)"
    if len(pattern) > LONGEST_PATTERN or len(re.findall(r"[*+?{]", pattern)) > MOST_WILDCARDS:
        raise UsageError(f"pattern {shown(pattern)} is too long or has more than {MOST_WILDCARDS} wildcards")
    if regex and re.search(r"\)\s*[*+{]", pattern):
        raise UsageError(f"pattern {shown(pattern)} repeats a group, which is not supported")
    try:
        return re.match(text, module) is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"pattern {shown(pattern)} is no regular expression: {error}") from None


def _glob(pattern: str) -> str:
    return ".*".join(re.escape(piece) for piece in re.split(r"\.\*|\*", pattern.strip("^$")))
