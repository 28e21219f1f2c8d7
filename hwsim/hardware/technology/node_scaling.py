"""From one node, flavour and supply to another: what a gate's energy, delay, power or area is multiplied by.

``scale_factor("energy", Point(65, "bulk", 1.3), Point(32, "hp", 0.9))`` is 0.1756, the paper's own
example. Factors are ratios of one level per point, so that A → B → C is A → C. A node without a row is
interpolated in log(node) between its neighbours of the same flavour, and marked; outside of 7 to 180 nm
nothing is sourced and the call is refused. Logic only: SRAM, wires and DRAM have scales of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from hwsim.hardware.technology.fits import DELAY_LAWS, FLAVOURS, DelayLaw, Fit, Flavour, ladder, node_areas
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

Quantity = Literal["energy", "delay", "power", "area"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

#: Nodes from here up have bulk rows only; below, a flavour must be said.
SMALLEST_BULK_NM = 65.0
PAPER = "Stillmaker and Baas, Integration 58 (2017)"


@dataclass(frozen=True, slots=True)
class Point:
    """A node in nm, its flavour (``bulk`` from 65 nm up, ``hp`` or ``lp`` below) and a supply in V.

    Raises
    ------
    UsageError
        If the flavour does not exist at the node or a number is not positive.
    """

    node_nm: float
    flavour: Flavour
    vdd_v: float

    def __post_init__(self) -> None:
        for name, value in (("node", self.node_nm), ("supply", self.vdd_v)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be positive, not {value!r}")
        if self.flavour not in FLAVOURS:
            raise UsageError(f"unknown flavour {self.flavour!r}; {did_you_mean(self.flavour, FLAVOURS)}")
        if (self.flavour == "bulk") != (self.node_nm >= SMALLEST_BULK_NM):
            valid = "bulk" if self.node_nm >= SMALLEST_BULK_NM else "hp, lp"
            raise UsageError(f"no {self.flavour} rows at {self.node_nm:g} nm; valid: {valid}")

    def __str__(self) -> str:
        flavour = "" if self.flavour == "bulk" else f" {self.flavour.upper()}"
        return f"{self.node_nm:g} nm{flavour} at {self.vdd_v:g} V"


@dataclass(frozen=True, slots=True)
class Scaling:
    """A factor with where it comes from; ``estimated`` if a node was interpolated or a law substituted."""

    quantity: Quantity
    value: float
    source: str
    estimated: bool


def scale_factor(quantity: Quantity, origin: Point, target: Point, law: DelayLaw = "auto") -> Scaling:
    """Return what ``quantity`` at ``origin`` is multiplied by to have it at ``target``.

    ``law`` says how delays follow from the supply (:data:`~hwsim.hardware.technology.fits.DelayLaw`).

    Raises
    ------
    MissingFigureError
        If a node lies outside of the paper's.
    UsageError
        If a supply is out of range, a name is unknown, or ``law`` is ``fit`` where a delay fit does not fall.
    """
    if quantity not in QUANTITIES:
        raise UsageError(f"unknown quantity {quantity!r}; {did_you_mean(quantity, QUANTITIES)}")
    if law not in DELAY_LAWS:
        raise UsageError(f"unknown delay law {law!r}; {did_you_mean(law, DELAY_LAWS)}")
    levels = [_level(quantity, point, law) for point in (origin, target)]
    notes = [note for _, found in levels for note in found]
    source = f"{PAPER}, {quantity}: {origin} to {target}"
    if notes:
        source += f" ({'; '.join(dict.fromkeys(notes))})"
    return Scaling(quantity, levels[1][0] / levels[0][0], source, bool(notes))


def neighbours(node_nm: float, flavour: Flavour) -> tuple[Fit, Fit, float]:
    """Return the rows around a node and its place between them in log(node).

    Raises
    ------
    MissingFigureError
        If the node lies outside of the rows.
    """
    rows = ladder(flavour)
    low, high = (ladder("hp")[end].node_nm for end in (0, -1))
    if not low <= node_nm <= high:
        raise MissingFigureError(
            f"no scaling equations at {node_nm:g} nm; valid nodes: {low:g} to {high:g} nm ({PAPER})"
        )
    below = max((r for r in rows if r.node_nm <= node_nm), key=lambda r: r.node_nm)
    above = min((r for r in rows if r.node_nm >= node_nm), key=lambda r: r.node_nm)
    same = below.node_nm == above.node_nm
    return below, above, 0.0 if same else math.log(node_nm / below.node_nm) / math.log(above.node_nm / below.node_nm)


def _level(quantity: Quantity, point: Point, law: DelayLaw) -> tuple[float, list[str]]:
    """Return the relative figure at a point, and what was done beyond reading a row."""
    below, above, share = neighbours(point.node_nm, point.flavour)
    notes = []
    if share:
        notes.append(f"{point.node_nm:g} nm interpolated in log(node) between {below.label} and {above.label}")
    if quantity == "area":
        areas = node_areas()
        return areas[below.node_nm] ** (1 - share) * areas[above.node_nm] ** share, notes
    rows = (below, above) if share else (below,)
    lows, highs = zip(*(row.range_v for row in rows), strict=True)
    low, high = max(lows), min(highs)
    if not low <= point.vdd_v <= high:
        raise UsageError(f"{point.vdd_v:g} V at {point.node_nm:g} nm; valid: {low:g} to {high:g} V")
    values = []
    for row in rows:
        if quantity == "delay":
            values.append(_delay(row, point.vdd_v, law, notes))
        else:
            values.append(row.energy_at(point.vdd_v) if quantity == "energy" else row.power_at(point.vdd_v))
    return values[0] ** (1 - share) * values[-1] ** share, notes


def _delay(row: Fit, vdd_v: float, law: DelayLaw, notes: list[str]) -> float:
    if law == "fit" and vdd_v > row.end_v:
        raise UsageError(
            f"the delay fit of {row.label} stops falling at {row.turn_v:.3g} V, {vdd_v:g} V asked; use the law "
            "auto or alpha_power"
        )
    if law == "alpha_power" or vdd_v > row.end_v:
        notes.append(f"{row.label}: alpha-power law, alpha {row.alpha:g}, Vth {row.vth_v:g} V, derived from its fit")
    elif law == "auto" and row.bridge_v < vdd_v < row.nominal_v:
        notes.append(f"{row.label}: the cubic made to fall from {row.bridge_v:.3g} V to the nominal supply")
    return row.delay_at(vdd_v, law)
