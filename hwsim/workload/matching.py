"""What overrides hold for in a trace: operations, layers and tables; and the refusal of those that change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.cutting import fields_of, stationary_field
from hwsim.workload.ops import DRAFT, Gemm, Op, VectorOp, bare_name
from hwsim.workload.overrides import POLICY_FIELDS, Override
from hwsim.workload.places import Place, places
from hwsim.workload.stated import plain_hint, source_name
from hwsim.workload.tables import LOOKUP, fill_tables, is_tied, lookup, open_tables
from hwsim.workload.trace import Trace


def override_tables(trace: Trace, overrides: Sequence[Override]) -> Trace:
    """Return ``trace`` with the open tables that overrides name in their ``w_format``; the last override wins."""

    def format_of(table: VectorOp) -> str:
        named = [o.w_format for o in overrides if o.w_format and not o.by_layer and o.matches(table)]
        return named[-1] if named else ""

    return fill_tables(trace, format_of)


def check_matches(trace: Trace, overrides: Iterable[Override]) -> None:
    """Refuse overrides, but lenient ones, that change nothing in ``trace``.

    That is, those that name no operation, none of the layers that it stands for, or a format of an operand that
    nothing they match has.

    Raises
    ------
    UsageError
        With the nearest name, or the field that is meant.
    """
    names = {bare_name(op.layer) for op in trace.ops} | {g.role for g in trace.gemms} | {v.op for v in trace.vector_ops}
    tables = [lookup(name, *size) for name, size in trace.meta.get("tables", {}).items()]
    placed = list(zip(trace.ops, places(trace), strict=True))
    for override in overrides:
        if override.lenient:
            continue
        matched = [op for op in trace.ops if override.matches(op)]
        stored = [table for table in tables if override.w_format and not override.by_layer and override.matches(table)]
        if not matched and not stored:
            if override.share is not None and any(replace(override, share=None).matches(op) for op in trace.ops):
                raise UsageError(f"policy override {override.match!r}: share: only GEMMs have a reduction to be cut")
            near = did_you_mean(override.match, names)
            raise UsageError(f"policy override {override.match!r} matches nothing in {trace.name}; {near}")
        _check_operands(trace, override, matched, bool(stored))
        if override.by_layer:
            _check_layers(trace, override, [place for op, place in placed if override.matches(op)])


def check_open(trace: Trace, overrides: Iterable[Override]) -> None:
    """Refuse overrides with a format that the source of ``trace`` states already wherever they match.

    Raises
    ------
    UsageError
        With the source.
    """
    tables = [lookup(name, *size) for name, size in open_tables(trace.meta).items()]
    for override in overrides:
        matched = [op for op in trace.ops if override.matches(op)]
        free = {field for op in matched for field in _open_fields(op)}
        free |= {"w_format"} if any(override.matches(table) for table in tables) else set()
        for field in POLICY_FIELDS:
            if not getattr(override, field) or field in free:
                continue
            held = f"{source_name(trace)} states {field} of {_told([op for op in matched if field in fields_of(op)])}"
            raise UsageError(f"override {override.match!r}: {held}, and what a source states stays{plain_hint(trace)}")


def _open_fields(op: Op) -> list[str]:
    fields = [field for field in ("a_format", "o_format") if not getattr(op, field)]
    if isinstance(op, Gemm):
        fields += [] if op.w_format else [stationary_field(op)]
        fields += [] if op.accumulator else ["accumulator"]
    return fields


def _check_layers(trace: Trace, override: Override, found: Sequence[Place]) -> None:
    """Refuse an override for some layers that holds in none of the ``found`` places; unknown ones are refused later."""
    if any(place.layers is None for place in found):
        return
    if not any(override.holds_in(layer, place.depth) for place in found for layer in place.layers or ()):
        inside = [place for place in found if place.layers]
        deep = max((place.depth for place in inside), default=0)
        valid = (
            f"{trace.name} has layers 0 to {deep - 1} there" if inside else "what it matches is outside of all layers"
        )
        selected = f"layers {override.layers}" if override.layers else f"first {override.first}, last {override.last}"
        raise UsageError(f"policy override {override.match!r}: {selected} are none; {valid}")


def _check_operands(trace: Trace, override: Override, matched: Sequence[Op], stored: bool) -> None:
    has = {field for op in matched for field in fields_of(op)} | ({"w_format"} if stored else set())
    for field in POLICY_FIELDS:
        if getattr(override, field) and field not in has:
            what = f"policy override {override.match!r}: {field} has no meaning for {_told(matched)}"
            raise UsageError(f"{what}; {_meant(trace, override, field, matched)}")


def _told(matched: Sequence[Op]) -> str:
    """Return some of the layers that an override matches."""
    names = list(dict.fromkeys(bare_name(op.layer) for op in matched))
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _meant(trace: Trace, override: Override, field: str, matched: Sequence[Op]) -> str:
    """Return what to write in the place of a field that means nothing for ``matched``."""
    if any(isinstance(op, Gemm) for op in matched):
        return "K and V of attention are in kv_format" if field == "w_format" else "their W is in w_format"
    if field == "accumulator":
        return "valid for GEMMs: vector operations have no such sums"
    lookups = [op for op in matched if isinstance(op, VectorOp) and op.op == LOOKUP]
    if not lookups:
        return "what norms and biases store is in the policy's other_format, what they read in a_format"
    if field == "kv_format":
        return "the format of a table is its w_format"
    if is_tied(trace, lookups[0]):
        head = "draft.lm_head" if lookups[0].layer.startswith(DRAFT) else "lm_head"
        return f"the table is tied to the LM head: name {head}"
    tables = list(trace.meta.get("tables", {}))
    if tables and override.by_layer:
        return "a table is of no layer: leave out first, last and layers"
    return f"name {', '.join(tables)}" if tables else "what this table stores is in the policy's other_format"
