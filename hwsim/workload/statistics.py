"""Statistics of a checkpoint's weights: histograms of codes, beside its trace, for hardware that depends on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, parse_format
from hwsim.formats.measured import check_measurable, measured_word, write_measured
from hwsim.spec.errors import UsageError
from hwsim.workload.checkpoints.measure import READABLE, code_histogram_of, float_histograms
from hwsim.workload.checkpoints.measure_gguf import UNPACK, block_histogram
from hwsim.workload.checkpoints.safetensors import INDEX_SUFFIX, SUFFIX
from hwsim.workload.checkpoints.safetensors import Entry as PlainEntry
from hwsim.workload.checkpoints.tensors import Tensor, Tensors, tensors_of
from hwsim.workload.importers.gguf import GgufWeights, read_gguf_weights
from hwsim.workload.importers.safetensors import Weights, read_weights
from hwsim.workload.notes import noted_layers
from hwsim.workload.ops import Gemm, Op, bare_name
from hwsim.workload.trace import Trace

Histogram = NDArray[np.int64]
#: Yields the histograms of a module of a checkpoint, in its own format or those that are asked for.
Measured = Callable[[str, Sequence[Format]], Iterator[tuple[Format, Histogram]]]


def measure(trace: Trace, source: Path, formats: Sequence[str], target: Path) -> Trace:
    """Return ``trace`` with statistics of its weights, which are written to ``target``.

    Weights in floating point are measured in each of ``formats`` and leave their own to the run's policy, or have the
    one that is given; where a policy has quantized them, also in its. Packed ones are measured in their own.

    Parameters
    ----------
    trace
        Read from ``source``.
    source
        A safetensors file or index, or a GGUF file, with its data.
    formats
        Names, of up to 8 bits.
    target
        Where the statistics go; ends on ``.stats.json``.

    Raises
    ------
    UsageError
        If ``source`` is of another kind, a format cannot be measured, or ``target`` cannot be written.
    SpecError
        If the file ends before its data do.
    """
    gguf = str(source).lower().endswith(".gguf")
    if not gguf and not str(source).lower().endswith((SUFFIX, INDEX_SUFFIX)):
        raise UsageError(f"--stats: {source}: statistics are measured from {SUFFIX} files, their index, and .gguf")
    wanted = [parse_format(name) for name in formats]
    check_measurable(wanted)
    tensors, measured = _read_gguf(source) if gguf else _read_safetensors(source)
    column = "gguf" if gguf else "hf"
    entries: dict[str, tuple[int, dict[Format, Histogram]]] = {}
    for gemm in trace.gemms:
        if gemm.w_source == "dram" and _key(gemm) not in entries:
            used = [one for one in tensors_of(tensors, gemm.layer, column) if _holds(one, gemm, trace)]
            entries[_key(gemm)] = (len(used), _sum(measured, used, _with_own(gemm, wanted, trace)))
    kept = {key: entry for key, entry in entries.items() if entry[1]}
    if not kept:
        listed = ", ".join(sorted({gemm.w_format or "no format" for gemm in trace.gemms if gemm.w_source == "dram"}))
        raise UsageError(f"--stats: {source}: none of its weights can be measured; the rows of the trace have {listed}")
    write_measured(target, str(source), kept)

    def named(op: Op) -> Op:
        if not isinstance(op, Gemm) or op.w_source != "dram" or _key(op) not in kept:
            return op
        found = kept[_key(op)][1]
        if "requantized" in trace.meta and parse_format(op.w_format) not in found:
            return op  # in a format of the policy that is too wide to be counted
        return _with_stats(op, found, wanted, measured_word(target.absolute(), _key(op)))

    return replace(trace.map(named), meta={**trace.meta, "weight_statistics": str(target)})


def _key(gemm: Gemm) -> str:
    """Return the name of the entry of a row: its layer and the format that it has."""
    return f"{bare_name(gemm.layer)}:{gemm.w_format}"


def _holds(tensor: Tensor, gemm: Gemm, trace: Trace) -> bool:
    """Whether ``tensor``, which is behind the layer of ``gemm``, is of this row: by its format, or by its block."""
    if "requantized" not in trace.meta:
        return tensor.format == gemm.w_format
    numbers = noted_layers(gemm.note)
    return not numbers or tensor.block in numbers


def _with_own(gemm: Gemm, wanted: Sequence[Format], trace: Trace) -> Sequence[Format]:
    """Return ``wanted`` and the format that a policy gives the row, if its codes can be counted."""
    if "requantized" not in trace.meta:
        return wanted
    own = parse_format(gemm.w_format)
    try:
        check_measurable([own])
    except UsageError:
        return wanted
    return wanted if own in wanted else [*wanted, own]


def _with_stats(gemm: Gemm, found: dict[Format, Histogram], wanted: Sequence[Format], word: str) -> Gemm:
    if parse_format(gemm.w_format) in found:
        return replace(gemm, w_stats=word)
    note = "; ".join(text for text in (gemm.note, f"stored in {gemm.w_format}") if text)
    return replace(gemm, w_stats=word, w_format=wanted[0].name if len(wanted) == 1 else "", note=note)


def _sum(measured: Measured, tensors: Iterable[Tensor], wanted: Sequence[Format]) -> dict[Format, Histogram]:
    """Return the histograms of all tensors together; empty if there are none to be had."""
    total: dict[Format, Histogram] = {}
    for tensor in tensors:
        for module in tensor.modules:
            for fmt, counts in measured(module, wanted):
                total[fmt] = total[fmt] + counts if fmt in total else counts
    return total


def _read_safetensors(source: Path) -> tuple[Tensors, Measured]:
    weights = read_weights(source)
    return weights.tensors, partial(_histograms, weights)


def _read_gguf(source: Path) -> tuple[Tensors, Measured]:
    weights = read_gguf_weights(source)
    return weights.tensors, partial(_of_gguf, weights)


def _histograms(weights: Weights, module: str, wanted: Sequence[Format]) -> Iterator[tuple[Format, Histogram]]:
    stored, entries = weights.stored[module], weights.checkpoint.tensors
    if stored.codes is not None:
        part = stored.codes.part
        entry = entries.get(f"{module}.{part}") or entries[f"{module}_{part}"]
        fmt = parse_format(stored.format)
        yield fmt, code_histogram_of(entry, stored.codes, fmt.element.bits)
        return
    plain = entries.get(f"{module}.weight") or entries.get(module)
    if plain is None or plain.dtype not in READABLE:
        return
    size = stored.rows * stored.columns
    if not stored.turned:
        shape = stored.experts * stored.rows, stored.columns
        yield from float_histograms(plain, shape, wanted).items()
        return
    for expert in range(stored.experts):
        one = replace(plain, begin=plain.begin + expert * size * READABLE[plain.dtype].itemsize)
        yield from float_histograms(one, (stored.rows, stored.columns), wanted, turned=True).items()


def _of_gguf(weights: GgufWeights, name: str, wanted: Sequence[Format]) -> Iterator[tuple[Format, Histogram]]:
    """Yield the histograms of a tensor: floats in the formats asked for, types that are unpacked in their own."""
    entry, file, begin = weights.places[name]
    kind = entry.type
    if kind.name in UNPACK:
        yield parse_format(kind.format), block_histogram(file, begin, entry.bytes, kind)
    elif kind.name in READABLE:
        columns = entry.sizes[0]
        plain = PlainEntry(kind.name, entry.sizes[::-1], file, begin, 8 * entry.bytes)
        yield from float_histograms(plain, (entry.elements // columns, columns), wanted).items()
