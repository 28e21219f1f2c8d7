"""Supply voltage: energy and delay relative to the nominal supply, by Stillmaker and Baas' fits.

High-performance rows below 65 nm; nodes between two rows are interpolated in the logarithm of the
node. Below 7 nm the 7 nm row stands (estimated): it is a ratio within one node that is asked for.
"""

from __future__ import annotations

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

    With the law ``auto``, more supply is never slower (:mod:`~hwsim.hardware.technology.fits`); ``fit`` is the
    cubic as published and refuses supplies above its end, ``alpha_power`` is that law alone.

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
    if not low <= vdd_v <= high:
        raise UsageError(f"vdd {vdd_v:g} V at {node_nm:g} nm; valid: {low:.3g} to {high:.3g} V")
    flavour: Flavour = "bulk" if node_nm >= SMALLEST_BULK_NM else "hp"
    below, above, share = neighbours(max(node_nm, ladder("hp")[0].node_nm), flavour)
    rows = (below, above)
    turned = [row for row in dict.fromkeys(rows) if max(vdd_v, nominal_v) > row.end_v]
    if law == "fit" and turned:
        raise UsageError(
            f"vdd {vdd_v:g} V at {node_nm:g} nm: the delay fit of {turned[0].label} stops falling at "
            f"{turned[0].turn_v:.3g} V; use the delay law auto or alpha_power"
        )
    energy = [row.energy_at(vdd_v) / row.energy_at(nominal_v) for row in rows]
    delay = [row.delay_at(vdd_v, law) / row.delay_at(nominal_v, law) for row in rows]
    return SupplyFactors(
        energy[0] ** (1 - share) * energy[1] ** share,
        delay[0] ** (1 - share) * delay[1] ** share,
        _source(rows, turned, nominal_v, vdd_v, law),
    )


def _source(rows: tuple[Fit, Fit], turned: list[Fit], nominal_v: float, vdd_v: float, law: DelayLaw) -> str:
    labels = " and ".join(dict.fromkeys(row.label for row in rows))
    delay = "delay by the alpha-power law derived from the fits" if law == "alpha_power" else "cubic delay"
    cut = [row for row in dict.fromkeys(rows) if row.turn_v < row.nominal_v]
    text = f"{PAPER}: quadratic energy, {delay}, of {labels}, {nominal_v:g} to {vdd_v:g} V"
    if law == "auto" and cut:
        text += f"; {' and '.join(row.label for row in cut)} made to fall up to the nominal supply"
    if law == "auto" and turned:
        text += f"; above {' and '.join(f'{row.end_v:.3g} V of {row.label}' for row in turned)} the alpha-power law"
    return text
