"""Stillmaker and Baas' fits of a gate over its supply, per node and flavour (Integration 58, 2017).

Energy and power are quadratic, delay is cubic in VDD (``vdd_fits.csv``); all rows share one unit, so
that any two are comparable. 180 to 65 nm are bulk, 45 and 32 nm planar and 20 to 7 nm FinFETs, each
high-performance (hp) and low-power (lp). Areas are one per node (``node_areas.csv``).

The published coefficients of a delay have four digits and cancel, so some fits rise again above a
supply: 45 hp above 0.95 V and 32 hp above 0.845 V, short of their nominal supplies. There the law
``auto`` goes straight (in log(delay)) from where the fit is 0.5 % above its nominal value to that
value, so that it is the published one at the nominal supply and never rises: 3 % (45 hp) and 11 %
(32 hp) off the dip of the cubic between.
Above, the alpha-power law of the row goes on (``alpha_power.csv``, derived from the fit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from hwsim.spec.data import read_csv_rows

#: Transistors of a row.
Flavour = Literal["bulk", "hp", "lp"]
FLAVOURS: tuple[Flavour, ...] = ("bulk", "hp", "lp")
#: How a delay follows from the supply: the cubic as published, up to the nominal supply or as far as it
#: falls; the alpha-power law; or the cubic made to fall and the alpha-power law above.
DelayLaw = Literal["auto", "fit", "alpha_power"]
DELAY_LAWS: tuple[DelayLaw, ...] = ("auto", "fit", "alpha_power")
#: How far above its nominal value a fit that rises before is left for the straight piece.
BRIDGE = 1.005


@dataclass(frozen=True)
class Fit:
    """One row: coefficients from the highest power of VDD down, and the alpha-power law."""

    node_nm: float
    flavour: str
    delay: tuple[float, ...]
    energy: tuple[float, ...]
    power: tuple[float, ...]
    nominal_v: float
    alpha: float
    vth_v: float
    source: str

    @property
    def label(self) -> str:
        """The row's name as the paper has it, such as ``45HP``."""
        return f"{self.node_nm:g}{'' if self.flavour == 'bulk' else self.flavour.upper()}"

    @cached_property
    def turn_v(self) -> float:
        """Supply at which the delay fit stops falling; infinite if it never does."""
        d3, d2, d1, _ = self.delay
        if d3 == 0:
            return -d1 / (2 * d2)
        inner = d2 * d2 - 3 * d3 * d1
        return math.inf if inner < 0 else min((-d2 - sign * math.sqrt(inner)) / (3 * d3) for sign in (1, -1))

    @property
    def end_v(self) -> float:
        """Supply up to which the cubic is used: the nominal one, or as far as it falls within the range.

        Beyond, a cubic that still falls may fall to nothing (130 nm at 2.16 V).
        """
        return min(max(self.turn_v, self.nominal_v), self.range_v[1])

    @cached_property
    def bridge_v(self) -> float:
        """Supply from which a straight piece leads to the nominal one; :attr:`end_v` where the cubic falls that far."""
        if self.turn_v >= self.nominal_v:
            return self.end_v
        wanted, low, high = BRIDGE * self.delay_at(self.nominal_v), 0.6 * self.nominal_v, self.turn_v
        for _ in range(60):  # bisection: the cubic falls from low to high
            middle = (low + high) / 2
            low, high = (middle, high) if self.delay_at(middle) > wanted else (low, middle)
        return high

    @cached_property
    def range_v(self) -> tuple[float, float]:
        """Supplies that are accepted (chosen): 0.6, where the alpha-power law begins, to 1.5 of the nominal one.

        The lower end is higher where energy, or power, would fall with the supply or be negative (180 nm).
        """
        least = max(0.6 * self.nominal_v, *(_least(fit) for fit in (self.energy, self.power)))
        return math.ceil(least * 1000) / 1000, round(1.5 * self.nominal_v, 6)

    def energy_at(self, vdd_v: float) -> float:
        """Return the relative energy of a gate."""
        return _polynomial(self.energy, vdd_v)

    def power_at(self, vdd_v: float) -> float:
        """Return the relative power of a gate at full speed."""
        return _polynomial(self.power, vdd_v)

    def delay_at(self, vdd_v: float, law: DelayLaw = "fit") -> float:
        """Return the relative delay of a gate; the alpha-power law alone meets the fit at the nominal supply."""
        if law == "alpha_power":
            return self._continued(vdd_v, self.nominal_v)
        if law == "fit" or vdd_v <= self.bridge_v:
            return _polynomial(self.delay, vdd_v)
        if vdd_v > self.end_v:
            return self._continued(vdd_v, self.end_v)
        place = (vdd_v - self.bridge_v) / (self.nominal_v - self.bridge_v)
        return float(_polynomial(self.delay, self.nominal_v) * BRIDGE ** (1 - place))

    def _continued(self, vdd_v: float, from_v: float) -> float:
        return _polynomial(self.delay, from_v) * self._alpha_power(vdd_v) / self._alpha_power(from_v)

    def _alpha_power(self, vdd_v: float) -> float:
        return float(vdd_v / (vdd_v - self.vth_v) ** self.alpha)


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    # Powers are added from the highest down, not by Horner's rule: figures scaled before stay the same.
    highest = len(coefficients) - 1
    return sum(c * x ** (highest - i) for i, c in enumerate(coefficients))


def _least(quadratic: tuple[float, ...]) -> float:
    """Return the supply above which a quadratic is positive and rises."""
    a, b, c = quadratic
    if a == 0:
        return -c / b
    inner = b * b - 4 * a * c
    return (-b + math.sqrt(max(inner, 0.0))) / (2 * a)


@lru_cache(maxsize=1)
def fits() -> dict[tuple[float, str], Fit]:
    """Return every row by node in nm and flavour."""
    laws = {(r["node_nm"], r["flavour"]): r for r in read_csv_rows("technology", "alpha_power.csv")}
    found = {}
    for row in read_csv_rows("technology", "vdd_fits.csv"):
        law = laws[row["node_nm"], row["flavour"]]
        fit = Fit(
            node_nm=float(row["node_nm"]),
            flavour=row["flavour"],
            delay=tuple(float(row[k]) for k in ("d3", "d2", "d1", "d0")),
            energy=tuple(float(row[k]) for k in ("e2", "e1", "e0")),
            power=tuple(float(row[k]) for k in ("p2", "p1", "p0")),
            nominal_v=float(law["nominal_v"]),
            alpha=float(law["alpha"]),
            vth_v=float(law["vth_v"]),
            source=row["source"],
        )
        found[fit.node_nm, fit.flavour] = fit
    return found


@lru_cache(maxsize=1)
def node_areas() -> dict[float, float]:
    """Return the area of a gate over that at 7 nm, by node in nm."""
    return {float(r["node_nm"]): float(r["area"]) for r in read_csv_rows("technology", "node_areas.csv")}


@lru_cache(maxsize=4)
def ladder(flavour: str) -> tuple[Fit, ...]:
    """Return the rows between which a flavour is interpolated, smallest node first: its own, and the bulk ones.

    High-performance and low-power rows never meet in one ladder.
    """
    rows = [fit for (_, kind), fit in fits().items() if kind in (flavour, "bulk")]
    return tuple(sorted(rows, key=lambda fit: fit.node_nm))
