"""Which number format each operand of each layer has.

A :class:`Policy` names the formats of weights, activations, the KV cache and outputs, with
overrides per layer or role. :func:`apply_policy` fills the formats that a trace leaves open and
never changes one that a trace states. :func:`memory_footprint` then counts bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from hwsim.formats.sums import parse_sum_format
from hwsim.spec.data import data_path
from hwsim.spec.document import load_document
from hwsim.spec.errors import ConservationError, UsageError, did_you_mean, shown
from hwsim.workload.cutting import by_layers, by_share, fill
from hwsim.workload.ggml import default_format, mix_formats, mixes
from hwsim.workload.matching import check_matches, check_open, override_tables
from hwsim.workload.ops import Gemm, Op
from hwsim.workload.overrides import (
    FORMAT_FIELDS,
    POLICY_FIELDS,
    Override,
    canonical,
    known_keys,
    overridden,
    read_overrides,
)
from hwsim.workload.places import places
from hwsim.workload.stated import PLAIN_FLOATS, formats_text, is_filled, source_name, stated_gemms
from hwsim.workload.stored import with_idle
from hwsim.workload.tables import fill_other, fill_tables, read_tied
from hwsim.workload.trace import Trace
from hwsim.workload.training.recipe import recipe_names

#: Names that users meet most; :meth:`Policy.parse` reads many more, and :func:`preset_policies` has those from papers.
PRESETS = (
    "fp32", "bf16", "fp16", "fp8_e4m3", "w8a8", "w8a16", "w4a16", "w4a16_g128", "w4a8", "w4a8_g128",
    "w3a16_g128", "w4a4", "w4a4kv4", "w4a8kv4", "w6a6", "mxfp4", "mxfp8_e4m3", "nvfp4",
)  # fmt: skip

#: Beginning of the names of llama.cpp's mixes.
MIX = "gguf:"

__all__ = [
    "FORMAT_FIELDS", "PRESETS", "Override", "Policy", "apply_overrides", "apply_policy", "policy_names",
    "preset_policies", "read_overrides",
]  # fmt: skip


@lru_cache(maxsize=1)
def preset_policies() -> dict[str, dict[str, Any]]:
    """Return the policies of the data file by name: fields of :class:`Policy`, and their ``source``."""
    return {name: dict(fields) for name, fields in load_document(data_path("policies", "presets.yaml")).data.items()}


def policy_names() -> list[str]:
    """Return the names of policies that users meet most: of the data file first, then those that are read."""
    return [*sorted(preset_policies()), *PRESETS, *(MIX + name for name in mixes())]


#: ``w4a16kv8_g128``: widths of weights, activations and KV cache, and the weights' group.
_PAIR = re.compile(r"w(?P<w>\d+)a(?P<a>\d+)(?:kv(?P<kv>\d+))?(?:_(?P<group>g\d+))?")


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
        Exceptions per layer or role, and for embedding tables.
    other_format
        What is stored but multiplied by no GEMM: norms, biases, position and embedding tables.
        GPTQ and AWQ checkpoints keep these in FP16.
    mix
        A mix of llama.cpp that gives weights their formats tensor by tensor, such as ``Q4_K_M``; overrides
        come before it, ``w_format`` is for what it does not name.
    accumulator
        Format whose every value the PE's sums must hold, such as ``fp32``; ``""`` leaves it to the PE.

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
    accumulator: str = ""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        for name in ("w_format", "a_format", "other_format"):
            if not getattr(self, name):
                raise UsageError(f"policy: {name} must name a format")
            set_field(self, name, canonical(getattr(self, name)))
        set_field(self, "kv_format", canonical(self.kv_format or self.a_format))
        set_field(self, "o_format", canonical(self.o_format or self.a_format))
        set_field(self, "accumulator", canonical(self.accumulator, parse_sum_format))
        set_field(self, "overrides", tuple(self.overrides))

    @classmethod
    def parse(cls, name: str) -> Policy:
        """Return the policy that a short name stands for.

        Names of ``data/policies/presets.yaml`` stand for what it says, such as ``llm_int8`` or ``comet``.
        ``gguf:Q4_K_M`` and the like are mixes of llama.cpp, activations in FP16.
        ``w4a16``, ``w4a8_g128``, ``w4a8kv4`` name widths: 16 is FP16, anything narrower a signed
        integer, ``_gG`` groups the weights by G elements of K. Any other name is a format for all
        operands; tables and norms have it too if it is a plain float. KV follows the activations unless ``kvN`` is
        given.

        Raises
        ------
        UsageError
            If ``name`` is neither.
        """
        try:
            return cls(**cls._named(name))
        except UsageError as error:
            if isinstance(name, str) and name not in preset_policies() and "unknown format" in str(error):
                near = did_you_mean(name, policy_names())
                raise UsageError(f"unknown policy {name!r}; {near}, or any format") from error
            raise

    @staticmethod
    def _named(name: str) -> dict[str, Any]:
        """Return the fields that a short name states; ``kv_format`` and ``o_format`` that it leaves out follow."""
        if not isinstance(name, str):
            raise UsageError(f"a policy is named by text, not {shown(name)}; {did_you_mean(name, policy_names())}")
        if name in preset_policies():
            given = {key: value for key, value in preset_policies()[name].items() if key != "source"}
            return {**given, "overrides": read_overrides(given["overrides"], lenient=True)}
        if name in recipe_names():
            raise UsageError(f"policy {name!r} is a recipe of training: name it as the policy of phase training")
        if name.startswith(MIX):
            mix = name.removeprefix(MIX)
            return {"w_format": default_format(mix), "a_format": "fp16", "mix": mix}
        pair = _PAIR.fullmatch(name)
        if pair is None:
            own = {"w_format": name, "a_format": name}
            return {**own, "other_format": name} if name in PLAIN_FLOATS else own
        if pair["group"] and pair["w"] == "16":
            raise UsageError(f"policy {name!r}: fp16 weights have no group; write w16a{pair['a']}")
        weights = _width(pair["w"]) + (f"_{pair['group']}" if pair["group"] else "")
        found = {"w_format": weights, "a_format": _width(pair["a"])}
        return {**found, "kv_format": _width(pair["kv"])} if pair["kv"] else found

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Policy:
        """Build a policy from YAML: its fields by name, or ``preset`` plus fields that differ.

        KV and outputs follow the activations, as in a policy written out, unless the preset states their own.

        Raises
        ------
        UsageError
            If a key or format is unknown, or a format is missing.
        """
        given = dict(mapping)
        preset = given.pop("preset", None)
        known_keys("policy", given, {field.name for field in fields(cls)})
        overrides: tuple[Override, ...] = read_overrides(given.pop("overrides", ()))
        if preset is not None:
            cls.parse(preset)
            base = cls._named(preset)
            _check_mix(preset, base, given)
            overrides = (*base.pop("overrides", ()), *overrides)
            given = {**base, **given}
        missing = [name for name in ("w_format", "a_format") if not given.get(name)]
        if missing:
            raise UsageError(f"policy: {' and '.join(missing)} missing; name a preset, for example preset: w4a16")
        return cls(**given, overrides=overrides)

    @property
    def formats(self) -> dict[str, str]:
        """The policy's own ``w_format``, ``a_format``, ``kv_format``, ``o_format`` and ``accumulator``."""
        return {name: str(getattr(self, name)) for name in POLICY_FIELDS}

    @property
    def text(self) -> str:
        """The policy in a few words."""
        weights = f"{MIX}{self.mix}" if self.mix else self.w_format
        own = f"{weights} × {self.a_format}, kv {self.kv_format}"
        return own + f", {len(self.overrides)} overrides" * bool(self.overrides)


def _check_mix(preset: str, base: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse formats of weights beside a mix, which names those of all tensors."""
    if "mix" in given:
        raise UsageError(f"policy: mix: has no meaning beside a preset; write preset: {MIX}{given['mix']}")
    for field in ("w_format", "other_format"):
        if "mix" in base and field in given:
            way = f"overrides: [{{match: '*', w_format: {given[field]}}}]" if field == "w_format" else "match: embed"
            raise UsageError(f"policy: {field}: {preset} names the formats of all tensors; valid: overrides, {way}")


def _width(bits: str) -> str:
    if bits in ("16", "32"):
        return f"fp{bits}"
    return f"int{bits}"


def apply_policy(trace: Trace, policy: Policy | str, overrides: Sequence[Override] = ()) -> Trace:
    """Return ``trace`` with every format filled; formats that the trace states stay.

    So does what the trace stores and does not read, tables and norms included; its ``meta`` says whose formats they
    are. W of a GEMM takes ``w_format`` if it comes from DRAM, else ``kv_format`` in attention and ``a_format`` in other
    products of activations. ``overrides`` come after the policy's own. Rows are cut where overrides hold for some
    layers or for a share of the reduction; multiply-accumulates are conserved.

    Raises
    ------
    UsageError
        If a format is unknown, an override changes nothing, or a row cannot be cut.
    """
    chosen = Policy.parse(policy) if isinstance(policy, str) else policy
    name = policy if isinstance(policy, str) else chosen.text
    told = formats_text(trace, name + f", {len(overrides)} overrides" * bool(overrides))
    if overrides:
        chosen = replace(chosen, overrides=(*chosen.overrides, *overrides))
    filled = fill_other(with_idle(trace, lambda whole: _filled(whole, chosen)), chosen.other_format)
    if filled == trace:
        return trace
    given = {"formats": told} | ({"kv_format": chosen.kv_format} if "kv_vectors" in trace.meta else {})
    return replace(filled, meta={**given, **filled.meta})


def _filled(trace: Trace, chosen: Policy) -> Trace:
    check_matches(trace, chosen.overrides)
    trace = override_tables(trace, chosen.overrides)
    kinds: Sequence[Sequence[str] | None] = [None] * len(trace.ops)
    if chosen.mix:
        kinds, trace = mix_formats(trace, chosen.mix)
    trace = fill_tables(trace, lambda _: chosen.other_format)
    sums = chosen.accumulator or any(override.accumulator for override in chosen.overrides)
    if not sums and is_filled(trace):
        return trace
    return read_tied(trace, _formatted(trace, chosen.formats, chosen.overrides, kinds))


def check_overrides(trace: Trace, overrides: Sequence[Override]) -> None:
    """Refuse overrides of a workload that change nothing, because of what they match or because its source states it.

    Raises
    ------
    UsageError
        With the first of them.
    """

    def checked(whole: Trace) -> Trace:
        check_matches(whole, overrides)
        check_open(whole, overrides)
        return whole

    if overrides:
        with_idle(trace, checked)


def apply_overrides(trace: Trace, overrides: Sequence[Override]) -> Trace:
    """Return ``trace`` with the formats that ``overrides`` name; others stay open for a policy.

    Raises
    ------
    UsageError
        If an override matches no operation, or nothing that is open, or a row cannot be cut.
    """
    if not overrides:
        return trace

    check_overrides(trace, overrides)

    def given(whole: Trace) -> Trace:
        whole = override_tables(whole, overrides)
        return _formatted(whole, dict.fromkeys(FORMAT_FIELDS, ""), overrides, [None] * len(whole.ops))

    made = with_idle(trace, given)
    source = f"{source_name(trace)} and overrides" if stated_gemms(trace)[0] else "overrides"
    return replace(made, meta={**made.meta, "formats_source": source})


def _formatted(
    trace: Trace, own: Mapping[str, str], overrides: Sequence[Override], kinds: Sequence[Sequence[str] | None]
) -> Trace:
    """Return ``trace`` with formats of its ``own``, of a mix in ``kinds`` per row and layer, and of ``overrides``."""
    ops: list[Op] = []
    for op, place, mixed in zip(trace.ops, places(trace), kinds, strict=True):
        for part in by_layers(op, place, [o for o in overrides if o.matches(op)], mixed):
            named = overridden(o for o in part.overrides if o.share is None)
            formats = {**own, **({"w_format": part.w_format} if part.w_format else {})}
            formats |= {field: name for field, name in named.items() if name}
            shares = [o for o in part.overrides if o.share is not None]
            one = part.op
            if shares and isinstance(one, Gemm) and not (one.w_format and one.a_format and one.o_format):
                ops.extend(by_share(one, shares, formats))
            else:
                ops.append(fill(one, formats))
    formatted = replace(trace, ops=tuple(ops))
    if formatted.macs != trace.macs:
        raise ConservationError(f"{trace.name}: {trace.macs:,} MACs became {formatted.macs:,} by cutting rows")
    return formatted
