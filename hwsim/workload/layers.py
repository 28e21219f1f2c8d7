"""Rows that stand for many layers, split where the formats of single layers differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from hwsim.workload.ops import Gemm, Op
from hwsim.workload.trace import Trace, check_conserved


class Formats(NamedTuple):
    """Formats of one layer's weights and of their other operand; ``""`` leaves one open."""

    w: str = ""
    a: str = ""


#: Formats of the layers of one row, whose first layer is the given one.
LayerFormats = Callable[[Gemm, int], Sequence[Formats]]


def split_layers(trace: Trace, formats: LayerFormats) -> Trace:
    """Return ``trace`` with the formats of every single layer's weights; layers with equal ones stay one row.

    Parameters
    ----------
    formats
        Takes a row and the number of its first layer among those of the same name; returns one entry per layer.
        What the row states already stays.

    Raises
    ------
    ConservationError
        Never, unless ``formats`` returns other than one entry per layer.
    """
    seen: dict[str, int] = {}
    ops: list[Op] = []
    for op in trace.ops:
        if not isinstance(op, Gemm) or op.w_source != "dram" or op.w_format:
            ops.append(op)
            continue
        # Experts with other numbers of rows are rows of their own, but of the same layers.
        first = 0 if shares_layers(own_layer(op.layer)) else seen.get(op.layer, 0)
        seen[op.layer] = first + op.layers
        ops.extend(_split(op, first, formats(op, first)))
    return check_conserved(trace, replace(trace, ops=tuple(ops)))


def _split(gemm: Gemm, first: int, found: Sequence[Formats]) -> Iterator[Gemm]:
    kinds = list(dict.fromkeys(found))
    for kind in kinds:
        layers = [first + at for at, own in enumerate(found) if own == kind]
        note = "" if len(kinds) == 1 else f"layers {ranges(layers)}"
        yield replace(
            gemm,
            w_format=kind.w,
            a_format=gemm.a_format or kind.a,
            repeat=len(layers) * gemm.passes,
            note="; ".join(text for text in (gemm.note, note) if text),
        )


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending ``numbers`` as ``0-3 8 12-15``."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def own_layer(layer: str) -> str:
    """Return the name of a layer without the stage of a run that it may begin with."""
    return layer.rpartition("/")[2]


def shares_layers(layer: str) -> bool:
    """Whether rows of this name are experts of the same layers, not further layers."""
    return layer.startswith("moe.")
