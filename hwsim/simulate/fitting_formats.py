"""Formats of a workload against what an accelerator has hardware for, and the setting that gives it more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwsim.formats import Format, Integer, Minifloat, parse_format
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.accelerator_build import why_not_decoded
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.converted import Decoded, decoded_as
from hwsim.simulate.arch_spec import ArchSpec
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace

Pair = tuple[Format, Format]

#: An example of floats that ships with hwsim, for those whose PE multiplies integers.
FLOATS = "systolic_32x32_28nm"


def trace_pairs(trace: Trace) -> list[Pair]:
    """Return the pairs of formats of a filled trace, each once."""
    names = dict.fromkeys((op.w_format, op.a_format) for op in trace.ops if isinstance(op, Gemm))
    return [(parse_format(w), parse_format(a)) for w, a in names]


def refuse_unfit(spec: ArchSpec, acc: Accelerator, pairs: Sequence[Pair], hint: str = "") -> None:
    """Refuse ``pairs`` that the accelerator has no hardware for, naming the setting that gives it some.

    ``hint`` ends the message: what else helps.

    Raises
    ------
    UsageError
        With every such pair: those that no setting helps with their reason, else the keys that do.
    """
    unfit = [pair for pair in pairs if not _fits(acc, *pair)]
    if not unfit:
        return
    pe = acc.pe.inner if isinstance(acc.pe, Decoded) else acc.pe
    wanted: tuple[list[Format], list[Format]] = ([], [])
    lost = []
    for pair in unfit:
        named = _named(spec, pe, *pair)
        if named is None:
            lost.append(pair)
        for formats, fmt in zip(wanted, named or (), strict=False):
            formats += [fmt] if fmt is not None and fmt not in formats else []
    text = f"{spec.name}: {_what(acc.pe, lost or unfit)}"
    raise UsageError(f"{text}; {_no_way(spec, pe, lost) if lost else _way(spec, wanted)}{hint}")


def _fits(acc: Accelerator, w: Format, a: Format) -> bool:
    if acc.pe.supports(w, a) is not None:
        return False
    return acc.pe.scaling(w, a) != "sum" or acc.dequant_price is not None


def dequantize_notes(spec: ArchSpec, acc: Accelerator) -> tuple[str, ...]:
    """Return a line per buffer whose formats are decoded, and one for dequantizers of super-blocks."""
    roles = {"w": "weights", "a": "activations"}
    notes = [
        f"dequantize.{roles[key]}: {one.count} decoders from {', '.join(fmt.name for fmt in one.formats)} to "
        f"{one.to.name} between buffer and array, {one.area_um2 * 1e-6:.3g} mm² a core; estimated from their parts"
        for key, one in acc.decoders.items()
    ]
    if acc.dequant_price is not None and spec.dequantize.asked:
        notes.append(
            f"dequantize: {acc.dequantizers} dequantizers of group sums, the largest of its formats for all; estimated "
            "from their parts"
        )
    return tuple(notes)


def refuse_idle(spec: ArchSpec, acc: Accelerator, scaled: Iterable[Pair]) -> None:
    """Refuse formats of ``dequantize`` that the PE takes as they are; ``scaled`` are pairs with dequantizers.

    Raises
    ------
    UsageError
        With the first of them.
    """
    used = [acc.decoders[key].formats if key in acc.decoders else () for key in "wa"]
    for at, role in enumerate(("weights", "activations")):
        served = {*used[at], *(pair[at] for pair in scaled)}
        for name in getattr(spec.dequantize, role):
            if parse_format(name) not in served:
                raise UsageError(
                    f"dequantize.{role}: {name} needs no dequantizer: pe {acc.pe.family} takes it as it is, or "
                    "array.issue converts it; leave it out"
                )


def _what(pe: PE, pairs: Iterable[Pair]) -> str:
    """Return what is the matter with ``pairs``, those with one reason together."""
    found: dict[str, list[str]] = {}
    for w, a in pairs:
        reason = pe.supports(w, a)
        text = "" if reason is None else f"{reason}".replace(w.name, "{w}").replace(a.name, "{a}")
        found.setdefault(text, []).append(f"{w.name} × {a.name}")
    parts = []
    for text, names in found.items():
        if not text:
            parts.append(f"{', '.join(names)} needs a dequantizer, and none is priced for it")
            continue
        w_name, a_name = names[0].split(" × ")
        more = "" if len(names) == 1 else f" (and so on: {', '.join(names[1:])})"
        parts.append(f"pe {pe.family} cannot compute {names[0]}: {text.format(w=w_name, a=a_name)}{more}")
    return "; ".join(parts)


def _named(spec: ArchSpec, pe: PE, w: Format, a: Format) -> tuple[Format | None, Format | None] | None:
    """Return which formats of a pair ``dequantize`` must name, for weights and for activations; None if none help."""
    if spec.memories.levels:
        return None
    if pe.supports(w, a) is None:
        return (w, None) if w.block_size else (None, a)
    if spec.array.issue is not None or spec.device is not None or len(pe.modes) > 1:
        return None
    ways_w = [(w, None), *((to, w) for to in decoded_as(w, pe.w_format))]
    ways_a = [(a, None), *((to, a) for to in decoded_as(a, pe.a_format))]
    tried = sorted(
        ((one, other) for one in ways_w for other in ways_a), key=lambda two: sum(x[1] is not None for x in two)
    )
    return next(((one[1], other[1]) for one, other in tried if pe.supports(one[0], other[0]) is None), None)


def _way(spec: ArchSpec, wanted: tuple[list[Format], list[Format]]) -> str:
    """Return the keys that give the hardware, with what the file has of them already."""
    asked = spec.dequantize
    lists = {
        "weights": [*asked.weights, *(fmt.name for fmt in wanted[0])],
        "activations": [*asked.activations, *(fmt.name for fmt in wanted[1])],
    }
    given = {role: f"[{', '.join(dict.fromkeys(names))}]" for role, names in lists.items() if names}
    settings = " ".join(f"--set 'dequantize.{role}={names}'" for role, names in given.items())
    file = ", ".join(f"{role}: {names}" for role, names in given.items())
    return f"give it dequantizers or decoders: {settings}, in its file dequantize: {{{file}}}"


def _no_way(spec: ArchSpec, pe: PE, lost: Sequence[Pair]) -> str:
    """Return why nothing helps, and what would."""
    if spec.memories.levels:
        return "dequantizers and decoders are modelled with three buffers (weights, activations, outputs) alone"
    if spec.array.issue is not None:
        return "array.issue converts what PEs do not take; valid: convert_weights, convert_activations"
    if spec.device is not None:
        return f"decoders are not modelled on {spec.device}; valid: a PE of these formats (hwsim list pe)"
    reasons = []
    for w, a in lost:
        if isinstance(w.element, Integer) and isinstance(a.element, Integer):
            built = f"{{family: int_mac, w_format: {w.name}, a_format: {a.name}}}"
            reasons.append(f"valid: a PE that is built for them, such as --set 'pe={built}'")
            continue
        for fmt, own, alone in ((w, pe.w_format, (w, pe.a_format)), (a, pe.a_format, (pe.w_format, a))):
            if not decoded_as(fmt, own) and pe.supports(*alone):
                reasons.append(why_not_decoded(pe, fmt, own))
    text = "; ".join(dict.fromkeys(reasons)) or "no decoder makes them what it multiplies"
    if isinstance(pe.w_format.element, Minifloat):
        return text
    floats = [w for w, a in lost if not (isinstance(w.element, Integer) and isinstance(a.element, Integer))]
    blocks = ", ".join(dict.fromkeys(w.name for w in floats if decoded_as(w, parse_format("fp16"))))
    return f"{text}; there: --set 'dequantize.weights=[{blocks}]'" if blocks else text
