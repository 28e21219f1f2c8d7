"""Which number format each operand of each layer has.

A :class:`Policy` names the formats of weights, activations, the KV cache and outputs, with
overrides per layer or role. :func:`apply_policy` fills the formats that a trace leaves open and
never changes one that a trace states. :func:`memory_footprint` then counts bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError, did_you_mean, shown
from hwsim.workload.ggml import apply_mix, default_format
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.trace import Trace

FORMAT_FIELDS = ("w_format", "a_format", "kv_format", "o_format")

#: Names that users meet most; :meth:`Policy.parse` reads many more.
PRESETS = (
    "fp32", "bf16", "fp16", "fp8_e4m3", "w8a8", "w8a16", "w4a16", "w4a16_g128", "w4a8", "w4a8_g128",
    "w3a16_g128", "w4a4", "w4a8kv4", "mxfp4", "mxfp8_e4m3", "nvfp4",
)  # fmt: skip

#: Beginning of the names of llama.cpp's mixes.
MIX = "gguf:"
#: ``w4a16kv8_g128``: widths of weights, activations and KV cache, and the weights' group.
_PAIR = re.compile(r"w(?P<w>\d+)a(?P<a>\d+)(?:kv(?P<kv>\d+))?(?:_(?P<group>g\d+))?")


def _canonical(name: Any) -> str:
    if name and not isinstance(name, str):
        raise UsageError(f"a format is named by text, not {shown(name)}")
    return parse_format(name).name if name else ""


@dataclass(frozen=True)
class Override:
    """Formats for the layers or roles that ``match`` names, a glob such as ``mlp.*`` or ``lm_head``.

    ``""`` keeps the policy's own format. Of several overrides that match, the last one wins.
    """

    match: str
    w_format: str = ""
    a_format: str = ""
    kv_format: str = ""
    o_format: str = ""

    def __post_init__(self) -> None:
        if not self.match or not isinstance(self.match, str):
            raise UsageError(
                f"policy override: match must name a layer or role, for example mlp.*, not {shown(self.match)}"
            )
        for name in FORMAT_FIELDS:
            object.__setattr__(self, name, _canonical(getattr(self, name)))
        if not any(getattr(self, name) for name in FORMAT_FIELDS):
            raise UsageError(f"policy override {self.match!r}: names no format; valid: {', '.join(FORMAT_FIELDS)}")

    def matches(self, op: Op) -> bool:
        """Whether the glob names the layer or the role of ``op``."""
        role = op.role if isinstance(op, Gemm) else op.op
        return fnmatchcase(op.layer, self.match) or fnmatchcase(role, self.match)


@dataclass(frozen=True)
class Policy:
    """Formats of a run.

    Parameters
    ----------
    w_format
        Stored weights.
    a_format
        Streamed operand of every GEMM and input of every vector operation.
    kv_format
        K and V in attention, cached or not; ``None`` means ``a_format``.
    o_format
        Results; ``None`` means ``a_format``.
    overrides
        Exceptions per layer or role.
    other_format
        What is stored but multiplied by no GEMM: norms, biases, position and embedding tables.
        GPTQ and AWQ checkpoints keep these in FP16.
    mix
        A mix of llama.cpp that gives weights their formats tensor by tensor, such as ``Q4_K_M``; overrides
        come before it, ``w_format`` is for what it does not name.

    Raises
    ------
    UsageError
        If a format is unknown.
    """

    w_format: str
    a_format: str
    kv_format: str | None = None
    o_format: str | None = None
    overrides: tuple[Override, ...] = ()
    other_format: str = "fp16"
    mix: str = ""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        for name in ("w_format", "a_format", "other_format"):
            if not getattr(self, name):
                raise UsageError(f"policy: {name} must name a format")
            set_field(self, name, _canonical(getattr(self, name)))
        set_field(self, "kv_format", _canonical(self.kv_format or self.a_format))
        set_field(self, "o_format", _canonical(self.o_format or self.a_format))
        set_field(self, "overrides", tuple(self.overrides))

    @classmethod
    def parse(cls, name: str) -> Policy:
        """Return the policy that a short name stands for.

        ``gguf:Q4_K_M`` and the like are mixes of llama.cpp, activations in FP16.
        ``w4a16``, ``w4a8_g128``, ``w4a8kv4`` name widths: 16 is FP16, anything narrower a signed
        integer, ``_gG`` groups the weights by G elements of K. Any other name is a format for all
        operands. KV follows the activations unless ``kvN`` is given.

        Raises
        ------
        UsageError
            If ``name`` is neither.
        """
        if not isinstance(name, str):
            raise UsageError(f"a policy is named by text, not {shown(name)}; {did_you_mean(name, PRESETS)}")
        if name.startswith(MIX):
            mix = name.removeprefix(MIX)
            return cls(default_format(mix), "fp16", mix=mix)
        pair = _PAIR.fullmatch(name)
        if pair is None:
            try:
                return cls(name, name)
            except UsageError as error:
                raise UsageError(f"unknown policy {name!r}; {did_you_mean(name, PRESETS)}, or any format") from error
        if pair["group"] and pair["w"] == "16":
            raise UsageError(f"policy {name!r}: fp16 weights have no group; write w16a{pair['a']}")
        weights = _width(pair["w"]) + (f"_{pair['group']}" if pair["group"] else "")
        return cls(weights, _width(pair["a"]), _width(pair["kv"]) if pair["kv"] else None)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Policy:
        """Build a policy from YAML: its fields by name, or ``preset`` plus fields that differ.

        Raises
        ------
        UsageError
            If a key or format is unknown, or a format is missing.
        """
        given = dict(mapping)
        preset = given.pop("preset", None)
        _known_keys("policy", given, {field.name for field in fields(cls)})
        overrides = given.pop("overrides", ())
        if preset is not None:
            base = cls.parse(preset)
            start = {name: getattr(base, name) for name in FORMAT_FIELDS}
            given.setdefault("mix", base.mix)
            if "a_format" in given:  # KV and outputs follow the activations, as in a policy written out
                start = {name: start[name] for name in ("w_format", "a_format")}
            given = {**start, **given}
        missing = [name for name in ("w_format", "a_format") if not given.get(name)]
        if missing:
            raise UsageError(f"policy: {' and '.join(missing)} missing; name a preset, for example preset: w4a16")
        return cls(**given, overrides=read_overrides(overrides))

    def formats_for(self, op: Op) -> dict[str, str]:
        """Return ``w_format``, ``a_format``, ``kv_format`` and ``o_format`` for one operation."""
        own = {name: str(getattr(self, name)) for name in FORMAT_FIELDS}
        return own | {name: value for name, value in _overridden(op, self.overrides).items() if value}


def _width(bits: str) -> str:
    if bits in ("16", "32"):
        return f"fp{bits}"
    return f"int{bits}"


def _known_keys(owner: str, mapping: Mapping[str, Any], valid: set[str]) -> None:
    for key in mapping:
        if key not in valid:
            raise UsageError(f"{owner}: unknown key {key!r}; {did_you_mean(key, valid)}")


def read_overrides(entries: Sequence[Any]) -> tuple[Override, ...]:
    """Return overrides from YAML: ``{match: GLOB, w_format: …}``; ``layer`` and ``role`` mean ``match``.

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
        if len(named) != 1:
            raise UsageError(f"policy override {dict(entry)!r}: name exactly one of match, layer, role")
        _known_keys("policy override", given, set(FORMAT_FIELDS))
        made.append(Override(named[0], **given))
    return tuple(made)


def apply_policy(trace: Trace, policy: Policy | str) -> Trace:
    """Return ``trace`` with every format filled; formats that the trace states stay.

    W of a GEMM takes ``w_format`` if it comes from DRAM, else ``kv_format``.

    Raises
    ------
    UsageError
        If a format is unknown, or an override matches no operation.
    """
    chosen = Policy.parse(policy) if isinstance(policy, str) else policy
    _check_matches(trace, chosen.overrides)
    if chosen.mix:
        trace = apply_mix(apply_overrides(trace, chosen.overrides), chosen.mix)
    if all(_is_filled(op) for op in trace.ops):
        return trace
    return trace.map(lambda op: _fill(op, chosen.formats_for(op)))


def _is_filled(op: Op) -> bool:
    return bool(op.a_format and op.o_format and (isinstance(op, VectorOp) or op.w_format))


def apply_overrides(trace: Trace, overrides: Sequence[Override]) -> Trace:
    """Return ``trace`` with the formats that ``overrides`` name; others stay open for a policy.

    Raises
    ------
    UsageError
        If an override matches no operation.
    """
    _check_matches(trace, overrides)
    return trace.map(lambda op: _fill(op, _overridden(op, overrides)))


def _overridden(op: Op, overrides: Sequence[Override]) -> dict[str, str]:
    chosen = dict.fromkeys(FORMAT_FIELDS, "")
    for override in overrides:
        if override.matches(op):
            chosen.update({name: value for name in FORMAT_FIELDS if (value := getattr(override, name))})
    return chosen


def _check_matches(trace: Trace, overrides: Sequence[Override]) -> None:
    names = {op.layer for op in trace.ops} | {g.role for g in trace.gemms} | {v.op for v in trace.vector_ops}
    for override in overrides:
        if not any(override.matches(op) for op in trace.ops):
            near = did_you_mean(override.match, names)
            raise UsageError(f"policy override {override.match!r} matches nothing in {trace.name}; {near}")


def _fill(op: Op, formats: Mapping[str, str]) -> Op:
    a, o = op.a_format or formats["a_format"], op.o_format or formats["o_format"]
    if isinstance(op, VectorOp):
        return replace(op, a_format=a, o_format=o)
    stationary = formats["w_format" if op.w_source == "dram" else "kv_format"]
    return replace(op, w_format=op.w_format or stationary, a_format=a, o_format=o)
