"""Rows that are cut: a trace has one row for all identical layers and all of a reduction; formats may differ in parts.

Layers: :func:`by_layers` gives each set of layers with the same overrides a row of its own; repeats add up.
Reduction: :func:`by_share` multiplies some features in other formats. The streamed operand is quantized, each
part is a product of its own, results of integer and block formats are dequantized, and the parts added:
the mixed-precision decomposition of LLM.int8() (arXiv 2208.07339).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hwsim.formats import parse_format
from hwsim.formats.element.integer import Integer
from hwsim.spec.errors import UsageError
from hwsim.workload.ops import Gemm, Op, VectorOp, bare_name
from hwsim.workload.overrides import ROUNDED, Override, overridden
from hwsim.workload.trace import Trace

#: Names of rows that stand for the first and for the last layers, where they do not stand for all.
_FIRST, _LAST = "mlp.", "moe."


def depth(trace: Trace) -> int:
    """Return how many identical layers the model has: the most that a product of attention stands for, else any row."""
    attention = [gemm.layers for gemm in trace.gemms if gemm.role in ("qkv", "attn_out")]
    return max(attention or [op.layers for op in trace.ops])


def by_layers(op: Op, overrides: Sequence[Override], layers: int) -> list[tuple[Op, list[Override]]]:
    """Return ``op`` in parts by layer, each with those of ``overrides`` that hold in it; ``op`` matches all of them.

    A row that stands for one layer of a deeper model is outside of its blocks (embedding, head): overrides for
    some layers do not hold.

    Raises
    ------
    UsageError
        If the row stands for some of the layers, and it is not known which.
    """
    placed = [o for o in overrides if o.by_layer]
    if not placed:
        return [(op, list(overrides))]
    if op.layers == 1 < layers and not bare_name(op.layer).startswith((_FIRST, _LAST)):
        return [(op, [o for o in overrides if not o.by_layer])]
    start = _first_layer(op, layers)
    groups: dict[tuple[int, ...], list[int]] = {}
    for layer in range(start, start + op.layers):
        held = tuple(i for i, o in enumerate(overrides) if o.holds_in(layer, layers))
        groups.setdefault(held, []).append(layer)
    if len(groups) == 1:
        return [(op, [overrides[i] for i in held]) for held in groups]
    return [
        (replace(op, repeat=op.passes * len(members), note=f"layers {_told(members)}"), [overrides[i] for i in held])
        for held, members in groups.items()
    ]


def _first_layer(op: Op, layers: int) -> int:
    """Return the number of the first layer of a row: experts are in the last layers where they are not in all.

    Raises
    ------
    UsageError
        If the row stands for some of the layers, and it is not known which.
    """
    name = bare_name(op.layer)
    if op.layers == layers or name.startswith(_FIRST):
        return 0
    if name.startswith(_LAST):
        return layers - op.layers
    raise UsageError(
        f"{op.layer}: stands for {op.layers} of {layers} layers, and the trace does not say which; "
        "leave it out of first, last and layers by match, or name it in an override of its own"
    )


def _told(layers: Sequence[int]) -> str:
    """Return ascending numbers as ranges: ``0-1 27-31``."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1][1:] = [layer]
        else:
            runs.append([layer])
    return " ".join("-".join(map(str, run)) for run in runs)


def cut_ends(op: Op, first: int, last: int, layers: int) -> tuple[Op | None, Op | None]:
    """Return ``op`` for the ``first`` and ``last`` of ``layers`` layers, and for those between; None if there are none.

    Raises
    ------
    UsageError
        If the row stands for some of the layers, and it is not known which.
    """
    if not first + last:
        return None, op
    ends = Override("*", "fp16", first=first, last=last)
    kept, between = None, None
    for part, held in by_layers(op, [ends], layers):
        kept, between = (part, between) if held else (kept, part)
    return kept, between


def fill(op: Op, formats: Mapping[str, str]) -> Op:
    """Return ``op`` with its open formats from ``formats``."""
    a, o = op.a_format or formats["a_format"], op.o_format or formats["o_format"]
    if isinstance(op, VectorOp):
        return replace(op, a_format=a, o_format=o)
    stationary = formats["w_format" if op.w_source == "dram" else "kv_format"]
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
    kept = "; ".join(override.rounding(gemm.k) for width, override in widths if not width)
    parts = [("", rest, kept, formats)]
    for number, (width, override) in enumerate(widths, start=1):
        if width:
            own = {name: value for name, value in overridden([override]).items() if value}
            suffix = ".outliers" if len(widths) == 1 else f".outliers{number}"
            parts.append((suffix, width, override.rounding(gemm.k), {**formats, **own}))
    if len(parts) == 1:
        yield fill(replace(gemm, note=_both(gemm.note, kept)), formats)
        return
    for suffix, width, note, chosen in parts:
        part = fill(replace(gemm, layer=gemm.layer + suffix, k=width, note=_both(gemm.note, note)), chosen)
        assert isinstance(part, Gemm)
        yield from _converted(part)
    for _ in parts[1:]:
        yield _vector(gemm, "sum", "add", gemm.n, formats["o_format"], formats["o_format"])


def _both(one: str, other: str) -> str:
    return "; ".join(note for note in (one, other) if note)


def share_notes(trace: Trace) -> tuple[str, ...]:
    """Return a line per share of a policy that was rounded up to a block or not cut off, with its layers."""
    found: dict[str, dict[str, None]] = {}
    for gemm in trace.gemms:
        for note in gemm.note.split("; "):
            if note.startswith(ROUNDED):
                found.setdefault(note, {})[gemm.layer.partition(".outliers")[0]] = None
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
