"""Published or synthesised figures of a whole PE, in the place of the sum of its modelled parts.

.. code-block:: yaml

    pe:
      family: bitmod
      figures: {basis: published, source: "BitMoD Table X", technology: 28nm, area_um2: 1517, energy_pj: 0.615}

They hold in the technology that they state and in no other. The whole is as stated; its parts keep
the shares that they have in the model, so that tables still sum up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from hwsim.hardware.technology import PartsPrice
from hwsim.spec.errors import UsageError, did_you_mean

Basis = Literal["published", "synthesised"]
BASES = ("published", "synthesised")
FIGURES = ("area_um2", "energy_pj", "leakage_nw")
KEYS = ("basis", "source", "technology", *FIGURES)


@dataclass(frozen=True)
class Stated:
    """What a source states of a PE: area, energy of one cycle with the clock, leakage; None where it does not."""

    basis: Basis
    source: str
    technology: str
    area_um2: float | None = None
    energy_pj: float | None = None
    leakage_nw: float | None = None

    def applied(self, price: PartsPrice, technology: str) -> PartsPrice:
        """Return ``price`` with its parts scaled so that they sum up to what is stated.

        Leakage goes with the area where only that is stated.

        Raises
        ------
        UsageError
            If the figures are of another technology.
        """
        if technology != self.technology:
            raise UsageError(f"pe.figures: those of {self.technology} say nothing about {technology}; leave them out")
        area = 1.0 if self.area_um2 is None else self.area_um2 / price.area_um2
        energy = 1.0 if self.energy_pj is None else self.energy_pj * 1e3 / (price.energy_fj + price.clock_fj)
        leakage = area if self.leakage_nw is None else self.leakage_nw / price.leakage_nw
        rows = tuple(
            row._replace(
                area_um2=row.area_um2 * area,
                energy_fj=row.energy_fj * energy,
                clock_fj=row.clock_fj * energy,
                leakage_nw=row.leakage_nw * leakage,
            )
            for row in price.rows
        )
        return replace(price, rows=rows, basis=self.basis)


def read_stated(figures: object) -> Stated:
    """Return what the option ``figures`` of a PE states.

    Raises
    ------
    UsageError
        If it is no mapping, a key is unknown or missing, or a figure is no number above 0.
    """
    if not isinstance(figures, Mapping):
        raise UsageError(f"pe.figures: must be a mapping of {', '.join(KEYS)}")
    for key in figures:
        if key not in KEYS:
            raise UsageError(f"pe.figures.{key}: no such figure; {did_you_mean(key, KEYS)}")
    for key in ("basis", "source", "technology"):
        if not isinstance(figures.get(key), str) or not figures[key]:
            raise UsageError(f"pe.figures: {key} is missing; a figure without its source is worth nothing")
    if figures["basis"] not in BASES:
        raise UsageError(f"pe.figures.basis: {figures['basis']!r}; {did_you_mean(figures['basis'], BASES)}")
    found = {key: _positive(key, figures[key]) for key in FIGURES if key in figures}
    if not found:
        raise UsageError(f"pe.figures: states nothing; valid: {', '.join(FIGURES)}")
    return Stated(cast(Basis, figures["basis"]), figures["source"], figures["technology"], **found)


def _positive(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise UsageError(f"pe.figures.{key}: must be a number above 0, not {value!r}")
    return float(value)
