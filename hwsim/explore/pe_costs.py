"""PEs without an accelerator: the cost of every combination of options and clocks, worked out together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any

from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.pe.many import price_many
from hwsim.hardware.technology import Technology, load_technology
from hwsim.spec.errors import HwsimError, UsageError
from hwsim.spec.units import FREQUENCY

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PeCosts:
    """Costs of PEs; ``frame`` has a row per PE and clock, in the order of the options.

    Columns: the options, ``technology``, ``clock_ghz``; then ``macs_per_cycle`` (at worst),
    ``area_um2``, ``energy_pj`` (of a cycle on random operands, clock included), ``leakage_uw``, ``delay_ns`` (over all
    stages), ``stages``; ``status`` is ok or infeasible, with the ``reason``.
    """

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        return str(self.frame.to_html())


def pe_costs(
    options: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    technology: str = "28nm",
    clock: str | float | Sequence[str | float] = "1 GHz",
) -> PeCosts:
    """Return the costs of every combination of ``options`` at every clock.

    Parameters
    ----------
    options
        What ``pe:`` of an architecture takes; a list stands for all its values, such as ``{"family": "int_mac",
        "w_format": ["int4", "int8"], "a_format": "int8", "lanes": [1, 2, 4]}``. Or a sequence of such mappings.
    technology
        One of ``hwsim list technology``.
    clock
        One or several, such as ``"800 MHz"``; plain numbers are Hz.

    Raises
    ------
    UsageError
        If a technology is unknown, a clock no frequency, or there is nothing to price. Combinations that do not
        exist, and clocks that are too fast, are rows that say why.
    """
    grids = [options] if isinstance(options, Mapping) else list(options)
    clocks = [clock] if isinstance(clock, str | float | int) else list(clock)
    clocks_hz = [float(FREQUENCY.parse(one)) for one in clocks]
    node = load_technology(technology)
    rows = [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*map(_values, grid.values()))]
    if not rows or not clocks_hz:
        raise UsageError("pe_costs: nothing to price; give options, such as {'family': 'int_mac', 'format': 'int8'}")
    built = [_build(row) for row in rows]
    pes = [pe for pe in built if isinstance(pe, PE)]
    if not pes:
        raise UsageError(str(built[0]))
    by_clock = [_figures(pes, node, hz) for hz in clocks_hz]
    found: list[dict[str, Any]] = []
    for row, pe in zip(rows, built, strict=True):
        for hz, figures in zip(clocks_hz, by_clock, strict=True):
            at = {**row, "technology": node.name, "clock_ghz": hz / 1e9}
            if isinstance(pe, str) or isinstance(figures, str):
                found.append({**at, "status": "infeasible", "reason": pe if isinstance(pe, str) else figures})
            else:
                found.append({**at, **_row(pe, *next(figures))})
    import pandas as pd

    return PeCosts(pd.DataFrame(found))


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple | range) else [value]


def _build(options: Mapping[str, Any]) -> PE | str:
    """Return the PE, or why there is none."""
    try:
        return make_pe(options)
    except HwsimError as error:
        return str(error)


def _figures(pes: Sequence[PE], node: Technology, clock_hz: float) -> Iterator[tuple[Any, ...]] | str:
    """Return the figures of each PE at a clock, or why there are none."""
    try:
        prices = price_many(pes, node, clock_hz)
    except UsageError as error:
        return str(error)
    return iter(zip(*(getattr(prices, figure.name).tolist() for figure in fields(prices)), strict=True))


def _row(
    pe: PE, area_um2: float, energy_fj: float, clock_fj: float, leakage_nw: float, delay_ps: float, stages: int
) -> dict[str, Any]:
    return {
        "macs_per_cycle": float(pe.macs_per_cycle(pe.w_format, pe.a_format)),
        "area_um2": area_um2,
        "energy_pj": (energy_fj + clock_fj) * 1e-3,
        "leakage_uw": leakage_nw * 1e-3,
        "delay_ns": delay_ps * 1e-3,
        "stages": stages,
        "status": "ok",
        "reason": "",
    }
