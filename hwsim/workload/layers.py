"""Rows that stand for many layers, split where the formats of single layers differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from hwsim.workload.notes import with_layers
from hwsim.workload.ops import Gemm, Op, bare_name
from hwsim.workload.places import places
from hwsim.workload.trace import Trace, check_conserved


class Formats(NamedTuple):
    """Formats of one layer's weights and of their other operand; ``""`` leaves one open."""

    w: str = ""
    a: str = ""


#: Formats of the layers of one row, whose numbers are the given ones; the first one is the nth of the row's name.
LayerFormats = Callable[[Gemm, Sequence[int], int], Sequence[Formats]]


def split_layers(trace: Trace, formats: LayerFormats) -> Trace:
    """Return ``trace`` with the formats of every single layer's weights; layers with equal ones stay one row.

    Parameters
    ----------
    formats
        Takes a row, the numbers of its layers, and how many layers the rows of its name before it stand for; returns
        one entry per layer. What the row states already stays.

    Raises
    ------
    ConservationError
        Never, unless ``formats`` returns other than one entry per layer.
    """
    ops: list[Op] = []
    for op, numbers, first in numbered(trace):
        if not isinstance(op, Gemm) or op.w_source != "dram" or op.w_format:
            ops.append(op)
        else:
            ops.extend(_split(op, numbers, formats(op, numbers, first)))
    return check_conserved(trace, replace(trace, ops=tuple(ops)))


def numbered(trace: Trace) -> Iterator[tuple[Op, Sequence[int], int]]:
    """Yield every operation with the numbers of its layers, and how many its name has had before.

    Rows outside of all layers, and those of which the trace does not say it, count on from the rows of their name.
    """
    seen: dict[str, int] = {}
    for op, place in zip(trace.ops, places(trace), strict=True):
        # Experts with other numbers of rows are rows of their own, but of the same layers.
        first = 0 if shares_layers(bare_name(op.layer)) else seen.get(op.layer, 0)
        seen[op.layer] = first + op.layers
        yield op, place.layers or range(first, first + op.layers), first


def _split(gemm: Gemm, numbers: Sequence[int], found: Sequence[Formats]) -> Iterator[Gemm]:
    kinds = list(dict.fromkeys(found))
    for kind in kinds:
        layers = [number for number, own in zip(numbers, found, strict=True) if own == kind]
        yield replace(
            gemm,
            w_format=kind.w,
            a_format=gemm.a_format or kind.a,
            repeat=len(layers) * gemm.passes,
            note=gemm.note if len(kinds) == 1 else with_layers(gemm.note, layers),
        )


def shares_layers(layer: str) -> bool:
    """Whether rows of this name are experts of the same layers, not further layers."""
    return layer.startswith("moe.")
