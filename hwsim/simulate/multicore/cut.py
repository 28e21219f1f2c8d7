"""Even cuts of a GEMM in whole folds of the array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.hardware.network.cores import Split
from hwsim.simulate.dataflow.base import ceil_div
from hwsim.workload.ops import Gemm


def share_of(extent: Any, unit: int, parts: int, part: int) -> Any:
    """Return what number ``part`` of ``parts`` gets of ``extent`` (integer or array), in whole units but for the last.

    Parts differ by one unit at most, the first ones have more, and the last ones may get nothing.
    """
    units = ceil_div(extent, unit)
    each, extra = units // parts, units % parts
    smaller: Callable[[Any, Any], Any] = min if isinstance(extent, int) else np.minimum
    start = (part * each + smaller(part, extra)) * unit
    size = (each + (part < extra)) * unit
    return smaller(start + size, extent) - smaller(start, extent)


def cut(extent: int, unit: int, parts: int) -> tuple[int, ...]:
    """Return the shares of up to ``parts`` parts, those that get something."""
    sizes = (int(share_of(extent, unit, parts, part)) for part in range(parts))
    return tuple(size for size in sizes if size)


def pieces(gemm: Gemm, split: Split, unit: int, parts: int) -> tuple[Gemm, ...]:
    """Return what each core gets of ``gemm``: pieces of every instance, or whole instances."""
    changes: list[dict[str, Any]] = [{split: size} for size in cut(getattr(gemm, split), unit, parts)]
    return tuple(replace(gemm, **change) for change in changes)
