"""Formats of some layers: by name or role, by place among identical layers, or for a share of the reduction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from math import floor
from typing import Any

from hwsim.formats import Format, parse_format
from hwsim.formats.sums import parse_sum_format
from hwsim.spec.errors import UsageError, did_you_mean, shown
from hwsim.workload.latent import weights_of
from hwsim.workload.ops import Gemm, Op, VectorOp, bare_name

#: Formats of operands.
FORMAT_FIELDS = ("w_format", "a_format", "kv_format", "o_format")

#: Formats that policies and overrides name: those of operands, and the one that sums need at least.
POLICY_FIELDS = (*FORMAT_FIELDS, "accumulator")

#: Begins the note of a row whose share of the reduction is not the one that was asked for.
ROUNDED = "share "

#: Begins a pattern that names vector operations alone: ``vector:*`` are all of them.
VECTOR = "vector:"

#: Rules that select layers by their number and how many there are.
LAYER_RULES: dict[str, Callable[[int, int], bool]] = {
    # llama.cpp, use_more_bits(i, n): what its mixes *_M store in a wider format
    "use_more_bits": lambda i, n: i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2,
}

#: A decimal, maybe with an exponent, or a quotient; other texts that Fraction takes would keep it busy for hours.
_SHARE = re.compile(r"\d{1,20}(\.\d{0,20})?(e-?\d{1,3})?|\.\d{1,20}|\d{1,20}/\d{1,20}", re.ASCII)
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def canonical(name: Any, parse: Callable[[str], Format] = parse_format) -> str:
    """Return the name of a format as the registry spells it; ``""`` stays. ``parse`` knows those of sums, too.

    Raises
    ------
    UsageError
        If it is no text, or unknown.
    """
    if name and not isinstance(name, str):
        raise UsageError(f"a format is named by text, not {shown(name)}")
    return parse(name).name if name else ""


@dataclass(frozen=True)
class Override:
    """Formats for the layers or roles that ``match`` names, a glob such as ``mlp.*``, ``lm_head`` or ``vector:*``.

    ``""`` keeps the policy's own format. Of several overrides that match, the last one wins.

    Parameters
    ----------
    match
        Layer, with or without its stage, role of a GEMM, or operation of a vector operation; needed unless
        layers are selected.
    first, last
        Only these of the identical layers of the model; rows are cut where it begins or ends. What stands
        outside of them (embedding, head) is not touched.
    layers
        Only these layers: ``0-3,28-31``, or a rule of :data:`LAYER_RULES`.
    share, block
        Only this share of the reduction, rounded to whole blocks of so many features, to one block at least: the
        product is cut in two whose results are added. A reduction of one block or less is not cut.
    lenient
        Whether it may match nothing: those of presets name layers that not every model has.

    Raises
    ------
    UsageError
        If nothing is selected, no format is named, or a value is out of range.
    """

    match: str = ""
    w_format: str = ""
    a_format: str = ""
    kv_format: str = ""
    o_format: str = ""
    accumulator: str = ""
    first: int = 0
    last: int = 0
    layers: str = ""
    share: Fraction | None = None
    block: int = 1
    lenient: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", _layers_text(self.layers, self.match))
        if not self.match and self.by_layer:
            object.__setattr__(self, "match", "*")
        if not self.match or not isinstance(self.match, str):
            raise UsageError(
                f"policy override: match must name a layer or role, for example mlp.*, not {shown(self.match)}"
            )
        for name in FORMAT_FIELDS:
            object.__setattr__(self, name, canonical(getattr(self, name)))
        object.__setattr__(self, "accumulator", canonical(self.accumulator, parse_sum_format))
        if not any(getattr(self, name) for name in POLICY_FIELDS):
            raise UsageError(f"policy override {self.match!r}: names no format; valid: {', '.join(POLICY_FIELDS)}")
        self._check_selection()

    def _check_selection(self) -> None:
        owner = f"policy override {self.match!r}"
        for name, least in (("first", 0), ("last", 0), ("block", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{owner}: {name} must be a whole number of at least {least}, not {shown(value)}")
        if self.layers and (self.first or self.last):
            raise UsageError(f"{owner}: name either layers or first and last")
        _ranges(self.layers, owner)
        if self.share is not None:
            object.__setattr__(self, "share", _share(self.share, owner))

    @property
    def by_layer(self) -> bool:
        """Whether only some of the identical layers are meant."""
        return bool(self.first or self.last or self.layers)

    def matches(self, op: Op) -> bool:
        """Whether the glob names the layer of ``op``, with or without its stage, its role, or the layer of its W."""
        bare = bare_name(op.layer)
        names = (op.layer, bare, op.role if isinstance(op, Gemm) else op.op, weights_of(bare))
        pattern = self.match
        if pattern.startswith(VECTOR):
            if isinstance(op, Gemm):
                return False
            pattern = pattern.removeprefix(VECTOR)
        if self.share is not None and isinstance(op, VectorOp):
            return False
        return any(fnmatchcase(name, pattern) for name in names)

    def holds_in(self, layer: int, layers: int) -> bool:
        """Whether layer number ``layer`` of ``layers`` is meant."""
        if not self.by_layer:
            return True
        if self.layers in LAYER_RULES:
            return LAYER_RULES[self.layers](layer, layers)
        if self.layers:
            return any(low <= layer <= high for low, high in _ranges(self.layers, ""))
        return layer < self.first or layer >= layers - self.last

    def features(self, k: int) -> int:
        """Return how many of ``k`` features are in :attr:`share`: whole blocks, rounded half up, from one to all.

        0 where ``k`` is no more than a block, of which nothing can be cut off.
        """
        if k <= self.block:
            return 0
        return min(k, max(1, self._nearest(k)) * self.block)

    def _nearest(self, k: int) -> int:
        return floor(Fraction(k, self.block) * (self.share or 0) + Fraction(1, 2))

    def rounding(self, k: int) -> str:
        """Return what rounding made of :attr:`share` where it would have been no block, else ``""``."""
        if k <= self.block:
            return f"{ROUNDED}{self.share} of k = {k} is not cut off: blocks are of {self.block}"
        if self._nearest(k):
            return ""
        return f"{ROUNDED}{self.share} of k = {k} is rounded up to a block of {self.block}"


def _share(value: Any, owner: str) -> Fraction:
    text = "" if isinstance(value, bool) else str(value)
    try:
        share = Fraction(text) if _SHARE.fullmatch(text) else Fraction(-1)
    except ZeroDivisionError:
        share = Fraction(-1)
    if not 0 < share < 1:
        raise UsageError(f"{owner}: share must be between 0 and 1, such as 0.001 or 16/100, not {shown(value)}")
    return share


def _layers_text(layers: Any, match: str) -> str:
    """Return numbers of layers, one or a list, as the text that stands for them."""
    listed = layers if isinstance(layers, list | tuple) else [layers]
    if isinstance(layers, str):
        return layers
    if not listed or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in listed):
        valid = f"valid: numbers and ranges such as 0-3,28-31, or {', '.join(LAYER_RULES)}"
        raise UsageError(f"policy override {match!r}: layers {shown(layers)}; {valid}")
    return ",".join(map(str, listed))


def _ranges(text: str, owner: str) -> list[tuple[int, int]]:
    if not text or text in LAYER_RULES:
        return []
    found = []
    for part in str(text).replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            valid = f"valid: numbers and ranges such as 0-3,28-31, or {', '.join(LAYER_RULES)}"
            raise UsageError(f"{owner}: layers {shown(part)}; {valid}")
        found.append((int(match[1]), int(match[2] or match[1])))
    return found


def known_keys(owner: str, mapping: Mapping[str, Any], valid: set[str]) -> None:
    """Refuse keys that are not among ``valid``.

    Raises
    ------
    UsageError
        With the nearest valid name.
    """
    for key in mapping:
        if key not in valid:
            raise UsageError(f"{owner}: unknown key {key!r}; {did_you_mean(key, valid)}")


def read_overrides(entries: Sequence[Any], lenient: bool = False) -> tuple[Override, ...]:
    """Return overrides from YAML: ``{match: GLOB, w_format: …}``; ``layer`` and ``role`` mean ``match``.

    ``lenient`` as of :class:`Override`.

    Raises
    ------
    UsageError
        If an entry has no or several names, no format, or an unknown key or format.
    """
    if not isinstance(entries, (list, tuple)):
        raise UsageError(f"overrides must be a list of mappings, not {shown(entries)}")
    made = []
    for entry in entries:
        if isinstance(entry, Override):
            made.append(entry)
            continue
        if not isinstance(entry, Mapping):
            raise UsageError(
                f"policy override {shown(entry)}: must be a mapping, for example {{match: lm_head, w_format: int8}}"
            )
        given = dict(entry)
        named = [given.pop(key) for key in ("match", "layer", "role") if key in given]
        placed = {"first", "last", "layers"} & set(given)
        if len(named) != 1 and (named or not placed):
            raise UsageError(f"policy override {dict(entry)!r}: name exactly one of match, layer, role")
        known_keys("policy override", given, {*POLICY_FIELDS, "first", "last", "layers", "share", "block"})
        made.append(replace(Override(*named, **given), lenient=lenient))
    return tuple(made)


def overridden(overrides: Iterable[Override]) -> dict[str, str]:
    """Return the formats that ``overrides``, which all apply, name together; the last one wins."""
    chosen = dict.fromkeys(POLICY_FIELDS, "")
    for override in overrides:
        chosen.update({name: value for name in POLICY_FIELDS if (value := getattr(override, name))})
    return chosen
