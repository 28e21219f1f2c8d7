"""Rows that are cut: a trace has one row for all identical layers and all of a reduction; formats may differ in parts.

Layers: :func:`by_layers` gives each set of layers with the same overrides a row of its own; repeats add up.
Reduction: :func:`by_share` multiplies some features in other formats. The streamed operand is quantized, each
part is a product of its own, results of integer and block formats are dequantized, and the parts added:
the mixed-precision decomposition of LLM.int8() (arXiv 2208.07339).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hwsim.formats import parse_format
from hwsim.formats.element.integer import Integer
from hwsim.spec.errors import UsageError
from hwsim.workload.notes import SEPARATOR, joined, with_layers
from hwsim.workload.ops import Gemm, Op, VectorOp, bare_name
from hwsim.workload.overrides import ROUNDED, Override, overridden
from hwsim.workload.places import Place
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import WGRAD

#: Ends the name of a product of a share of the reduction.
OUTLIERS = ".outliers"


@dataclass(frozen=True)
class Part:
    """Some layers of a row, the overrides that hold in them, and the format that their weights have by a mix."""

    op: Op
    overrides: tuple[Override, ...]
    w_format: str = ""


def by_layers(op: Op, place: Place, overrides: Sequence[Override], kinds: Sequence[str] | None = None) -> list[Part]:
    """Return ``op`` in parts of layers that have the same of ``overrides``, which match it, and of ``kinds``.

    Overrides for some layers do not hold outside of these (embedding, head); those that name no format of ``op`` are
    left out. ``kinds`` are formats of weights, one per layer.

    Raises
    ------
    UsageError
        If an override for some layers is for a row of which the trace does not say its layers.
    """
    meant = [o for o in overrides if any(getattr(o, field) for field in fields_of(op))]
    if place.layers is None and any(o.by_layer for o in meant):
        raise UsageError(
            f"{bare_name(op.layer)}: stands for {op.layers} of {place.depth} layers, and the trace does not say which; "
            "leave it out of first, last and layers by match, or name it in an override of its own"
        )
    numbers = place.layers or (None,) * op.layers
    groups: dict[tuple[tuple[Override, ...], str], list[int]] = {}
    for at, number in enumerate(numbers):
        held = tuple(o for o in meant if not o.by_layer or (number is not None and o.holds_in(number, place.depth)))
        groups.setdefault((held, kinds[at] if kinds else ""), []).append(at)
    return [
        Part(_layers(op, [numbers[at] for at in members]) if len(groups) > 1 else op, held, kind)
        for (held, kind), members in groups.items()
    ]


def _layers(op: Op, numbers: Sequence[int | None]) -> Op:
    known = [number for number in numbers if number is not None]
    return replace(op, repeat=op.passes * len(numbers), note=with_layers(op.note, known) if known else op.note)


def cut_ends(op: Op, place: Place, first: int, last: int) -> tuple[Op | None, Op | None]:
    """Return ``op`` for the ``first`` and ``last`` layers, and for those between; None if there are none.

    Raises
    ------
    UsageError
        If the row stands for some of the layers, and it is not known which.
    """
    if not first + last:
        return None, op
    ends = Override("*", "fp16", "fp16", "fp16", first=first, last=last)
    kept, between = None, None
    for part in by_layers(op, place, [ends]):
        kept, between = (part.op, between) if part.overrides else (kept, part.op)
    return kept, between


def stationary_field(gemm: Gemm) -> str:
    """Return which format of a policy the stationary operand has: of weights, of K and V, or of other activations.

    That of a ``wgrad`` is the gradient of a result, also in attention.
    """
    if gemm.w_source == "dram":
        return "w_format"
    keys = gemm.role in ("score", "value") and not gemm.layer.startswith(WGRAD)
    return "kv_format" if gemm.w_source == "kv" or keys else "a_format"


def fields_of(op: Op) -> tuple[str, ...]:
    """Return the fields of a policy that say something of ``op``."""
    if isinstance(op, Gemm):
        return stationary_field(op), "a_format", "o_format", "accumulator"
    return "a_format", "o_format"


def fill(op: Op, formats: Mapping[str, str]) -> Op:
    """Return ``op`` with its open formats from ``formats``."""
    a, o = op.a_format or formats["a_format"], op.o_format or formats["o_format"]
    if isinstance(op, VectorOp):
        return replace(op, a_format=a, o_format=o)
    stationary = formats[stationary_field(op)]
    sums = op.accumulator or formats.get("accumulator", "")
    return replace(op, w_format=op.w_format or stationary, a_format=a, o_format=o, accumulator=sums)


def by_share(gemm: Gemm, shares: Sequence[Override], formats: Mapping[str, str]) -> Iterator[Op]:
    """Yield ``gemm`` in parts of its reduction: the rest in ``formats``, each share in its own, then their sum.

    The notes of rows say where a share was less than a block (:meth:`Override.rounding`).

    Raises
    ------
    UsageError
        If the shares leave nothing for the rest.
    """
    widths = [(override.features(gemm.k), override) for override in shares]
    rest = gemm.k - sum(width for width, _ in widths)
    if rest < 1:
        raise UsageError(f"{gemm.layer}: shares of {gemm.k} features leave none in the policy's own formats")
    kept = joined(*(override.rounding(gemm.k) for width, override in widths if not width))
    parts = [("", rest, kept, formats)]
    for number, (width, override) in enumerate(widths, start=1):
        if width:
            own = {name: value for name, value in overridden([override]).items() if value}
            suffix = OUTLIERS if len(widths) == 1 else f"{OUTLIERS}{number}"
            parts.append((suffix, width, override.rounding(gemm.k), {**formats, **own}))
    if len(parts) == 1:
        yield fill(replace(gemm, note=joined(gemm.note, kept)), formats)
        return
    for suffix, width, note, chosen in parts:
        part = fill(replace(gemm, layer=gemm.layer + suffix, k=width, note=joined(gemm.note, note)), chosen)
        assert isinstance(part, Gemm)
        yield from _converted(part)
    for _ in parts[1:]:
        yield _vector(gemm, "sum", "add", gemm.n, formats["o_format"], formats["o_format"])


def share_notes(trace: Trace) -> tuple[str, ...]:
    """Return a line per share of a policy that was rounded up to a block or not cut off, with its layers."""
    found: dict[str, dict[str, None]] = {}
    for gemm in trace.gemms:
        for note in gemm.note.split(SEPARATOR):
            if note.startswith(ROUNDED):
                found.setdefault(note, {})[gemm.layer.partition(OUTLIERS)[0]] = None
    return tuple(f"policy: {note} ({_few(list(layers))})" for note, layers in found.items())


def _few(names: Sequence[str], most: int = 6) -> str:
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def _converted(part: Gemm) -> Iterator[Op]:
    """Yield a product with its conversions: of the streamed operand before it, of the result after it."""
    converts = bool(part.a_format) and _has_scale(part.a_format) and part.a_format != part.o_format
    if converts:
        yield _vector(part, "quantize", "quantize", part.k, part.o_format, part.a_format)
    yield part
    if converts:
        yield _vector(part, "dequantize", "dequantize", part.n, part.o_format, part.o_format)


def _has_scale(name: str) -> bool:
    fmt = parse_format(name)
    return fmt.block_size is not None or isinstance(fmt.element, Integer)


def _vector(gemm: Gemm, suffix: str, op: str, columns: int, a_format: str, o_format: str) -> VectorOp:
    return VectorOp(
        f"{gemm.layer}.{suffix}", op, gemm.m, columns, gemm.batch, gemm.repeat, a_format, o_format, passes=gemm.passes
    )
