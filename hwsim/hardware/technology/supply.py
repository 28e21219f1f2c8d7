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

    With the law ``auto``, a delay fit that does not fall between the two supplies is left to its neighbour in
    node; where none falls, the alpha-power law answers. ``fit`` refuses then, ``alpha_power`` is that law alone.

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
    below, above, share = neighbours(max(node_nm, ladder("hp")[0].node_nm), _flavour(node_nm))
    rows = (below, above)
    energy = [row.energy_at(vdd_v) / row.energy_at(nominal_v) for row in rows]
    delay, how = _delays(rows, node_nm, nominal_v, vdd_v, law)
    labels = " and ".join(dict.fromkeys(row.label for row in rows))
    source = f"{PAPER}: quadratic energy and delay ({how}) of {labels}, {nominal_v:g} to {vdd_v:g} V"
    return SupplyFactors(
        energy[0] ** (1 - share) * energy[1] ** share, delay[0] ** (1 - share) * delay[1] ** share, source
    )


def _flavour(node_nm: float) -> Flavour:
    return "bulk" if node_nm >= SMALLEST_BULK_NM else "hp"


def _delays(
    rows: tuple[Fit, Fit], node_nm: float, nominal_v: float, vdd_v: float, law: DelayLaw
) -> tuple[list[float], str]:
    """Return the ratio of delays by row, and how it was found."""
    if law != "alpha_power":
        ratios = [row.delay_at(vdd_v) / row.delay_at(nominal_v) for row in rows]
        falls = [(ratio < 1) == (vdd_v > nominal_v) for ratio in ratios]
        if all(falls):
            return ratios, "cubic fits"
        if any(falls):
            kept = falls.index(True)
            return [ratios[kept]] * 2, f"cubic fit of {rows[kept].label}, the other one does not fall here"
        if law == "fit":
            raise UsageError(
                f"vdd {vdd_v:g} V at {node_nm:g} nm: the delay fits do not hold there; use {nominal_v:g} V or the law "
                "alpha_power"
            )
    ratios = [row.delay_at(vdd_v, "alpha_power") / row.delay_at(nominal_v, "alpha_power") for row in rows]
    return ratios, "alpha-power law, derived from the falling part of the cubic fits"
