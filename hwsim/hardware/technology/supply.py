"""Supply voltage: energy and delay relative to the nominal supply, by Stillmaker and Baas' fits.

High-performance rows below 65 nm; nodes between two rows are interpolated in the logarithm of the
node. Below 7 nm the 7 nm row stands (estimated): it is a ratio within one node that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.hardware.technology.fits import DELAY_LAWS, DelayLaw, Fit, Flavour, ladder
from hwsim.hardware.technology.node_scaling import PAPER, SMALLEST_BULK_NM, neighbours
from hwsim.spec.errors import UsageError, did_you_mean

#: Half-width of the supply range that is accepted, as a share of the nominal supply. Beyond it
#: sub-threshold effects and overdrive leave the fits (estimated).
RANGE = 0.2


@dataclass(frozen=True, slots=True)
class SupplyFactors:
    """What a supply does to a technology's energy and delay, and by which law."""

    energy: float
    delay: float
    source: str


def supply_factors(node_nm: float, nominal_v: float, vdd_v: float, law: DelayLaw = "auto") -> SupplyFactors:
    """Return energy and delay at ``vdd_v`` over those at the nominal supply.

    A row whose delay fit has stopped falling at the nominal supply (32 hp at 0.9 V) is left to its neighbour
    in node, or to the next rows on both sides where the node is its own. More supply is never slower with the
    laws ``auto`` and ``alpha_power``; ``fit`` is the cubic as published and refuses supplies above its end.

    Raises
    ------
    UsageError
        If the supply is further than 20 % from the nominal one, or ``law`` is unknown or does not hold there.
    """
    if law not in DELAY_LAWS:
        raise UsageError(f"unknown delay law {law!r}; {did_you_mean(law, DELAY_LAWS)}")
    if vdd_v == nominal_v:
        return SupplyFactors(1.0, 1.0, "nominal supply")
    low, high = nominal_v * (1 - RANGE), nominal_v * (1 + RANGE)
    if not low * (1 - 1e-9) <= vdd_v <= high * (1 + 1e-9):  # 0.9 V less a fifth is 0.72 V
        raise UsageError(f"vdd {vdd_v:g} V at {node_nm:g} nm; valid: {low:.3g} to {high:.3g} V")
    flavour: Flavour = "bulk" if node_nm >= SMALLEST_BULK_NM else "hp"
    inside = max(node_nm, ladder("hp")[0].node_nm)
    below, above, share = neighbours(inside, flavour)
    energy = [row.energy_at(vdd_v) / row.energy_at(nominal_v) for row in (below, above)]
    rows, place = _delay_rows(inside, below, above, share, nominal_v)
    _check_fits(rows, node_nm, vdd_v, law)
    delay = [row.delay_at(vdd_v, law) / row.delay_at(nominal_v, law) for row in rows]
    return SupplyFactors(
        energy[0] ** (1 - share) * energy[1] ** share,
        delay[0] ** (1 - place) * delay[-1] ** place,
        _source((below, above), rows, nominal_v, vdd_v, law),
    )


def _delay_rows(node_nm: float, below: Fit, above: Fit, share: float, nominal_v: float) -> tuple[list[Fit], float]:
    """Return the rows whose delay fits fall up to the nominal supply, and the node's place between two of them."""
    around = [below, above] if share else [below]
    kept = [row for row in around if _falls(row, nominal_v)]
    if len(kept) == len(around):
        return kept, share
    if kept:
        return kept, 0.0
    sound = [row for row in ladder("hp") if _falls(row, nominal_v)]
    lower = max((row for row in sound if row.node_nm < node_nm), key=lambda row: row.node_nm)
    upper = min((row for row in sound if row.node_nm > node_nm), key=lambda row: row.node_nm)
    return [lower, upper], math.log(node_nm / lower.node_nm) / math.log(upper.node_nm / lower.node_nm)


def _falls(row: Fit, nominal_v: float) -> bool:
    return nominal_v <= row.bridge_v


def _check_fits(rows: Sequence[Fit], node_nm: float, vdd_v: float, law: DelayLaw) -> None:
    turned = [row for row in rows if vdd_v > row.end_v]
    if law == "fit" and turned:
        raise UsageError(
            f"vdd {vdd_v:g} V at {node_nm:g} nm: the delay fit of {turned[0].label} stops falling at "
            f"{turned[0].turn_v:.3g} V; use the delay law auto or alpha_power"
        )


def _source(rows: Sequence[Fit], delays: Sequence[Fit], nominal_v: float, vdd_v: float, law: DelayLaw) -> str:
    labels, slow = (" and ".join(dict.fromkeys(row.label for row in some)) for some in (rows, delays))
    text = f"{PAPER}: quadratic energy of {labels}, "
    if law == "alpha_power":
        text += f"delay by the alpha-power law derived from the fits of {slow}"
    else:
        text += f"cubic delay of {slow}"
    turned = [row for row in delays if vdd_v > row.end_v]
    if law == "auto" and turned:
        text += f" (alpha-power law above {' and '.join(f'{row.end_v:.3g} V of {row.label}' for row in turned)})"
    return f"{text}, {nominal_v:g} to {vdd_v:g} V"
