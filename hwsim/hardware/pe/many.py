"""The cost of many PEs at once: for sweeps over formats, widths, lanes and clocks.

What is found for a PE equals :func:`~hwsim.hardware.pe.pipeline.pipelined_price` of it alone, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.hardware.circuits import Widths, widths
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.pe.stack import spread
from hwsim.hardware.technology import Technology
from hwsim.spec.errors import UsageError


@dataclass(frozen=True)
class PePrices:
    """Costs of PEs with their stage registers, arrays of shape (designs,).

    Energy is of a cycle on random operands of the formats that each is built for, without the clock;
    ``delay_ps`` is the sum over all stages.
    """

    area_um2: NDArray[np.float64]
    energy_fj: NDArray[np.float64]
    clock_fj: NDArray[np.float64]
    leakage_nw: NDArray[np.float64]
    delay_ps: NDArray[np.float64]
    stages: NDArray[np.int64]


def price_many(pes: Sequence[PE], technology: Technology, clock_hz: ArrayLike) -> PePrices:
    """Return the costs of ``pes`` at a clock, or each at its own: ``clock_hz`` is a number or has shape (designs,).

    Raises
    ------
    UsageError
        If one register alone is slower than a clock, or there are not as many clocks as PEs.
    """
    clocks = np.asarray(clock_hz, dtype=np.float64)
    if clocks.ndim and clocks.shape != (len(pes),):
        raise UsageError(
            f"price_many: {len(pes)} PEs and clocks of shape {clocks.shape}; valid: one clock, or one each"
        )
    clocks = np.broadcast_to(clocks, (len(pes),))

    def law(pe: Any, places: NDArray[np.int64]) -> dict[str, Any]:
        price, stages = pipelined_price(pe, technology, widths(clocks[places]))
        return {f.name: stages if f.name == "stages" else getattr(price, f.name) for f in fields(PePrices)}

    found: dict[str, NDArray[Any]] = {f.name: np.zeros(len(pes)) for f in fields(PePrices)}
    found["stages"] = np.zeros(len(pes), dtype=np.int64)
    together = np.array([place for place, pe in enumerate(pes) if pe.stacks], dtype=np.int64)
    stacked = [pes[place] for place in together.tolist()]
    results = [(together[some], figures) for some, figures in spread(stacked, PE, lambda pe, of: law(pe, together[of]))]
    results += [(np.array([place]), law(pe, np.array([place]))) for place, pe in enumerate(pes) if not pe.stacks]
    for places, figures in results:
        for name, figure in figures.items():
            found[name][places] = figure.values if isinstance(figure, Widths) else figure
    return PePrices(**found)
