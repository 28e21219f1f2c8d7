"""Supply voltage: energy and delay relative to the nominal supply, by Stillmaker and Baas' fits.

Energy is quadratic, delay cubic in VDD, per node (Integration 58, 2017; ``vdd_fits.csv``). Nodes
between two rows are interpolated in the logarithm of the node.
"""

from __future__ import annotations

import math
from functools import lru_cache

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError

#: Half-width of the supply range that is accepted, as a share of the nominal supply. Beyond it
#: sub-threshold effects and overdrive leave the fits (estimated).
RANGE = 0.2


@lru_cache(maxsize=1)
def _fits() -> dict[float, dict[str, float]]:
    return {
        float(row["node_nm"]): {k: float(v) for k, v in row.items() if k not in ("node_nm", "source")}
        for row in read_csv_rows("technology", "vdd_fits.csv")
    }


def energy_at(fit: dict[str, float], vdd_v: float) -> float:
    """Return the relative energy of a node's fit."""
    return fit["e2"] * vdd_v**2 + fit["e1"] * vdd_v + fit["e0"]


def delay_at(fit: dict[str, float], vdd_v: float) -> float:
    """Return the relative delay of a node's fit."""
    return fit["d3"] * vdd_v**3 + fit["d2"] * vdd_v**2 + fit["d1"] * vdd_v + fit["d0"]


def _neighbours(node_nm: float) -> tuple[float, float, float]:
    """Return the rows around a node and its place between them, in log(node)."""
    nodes = sorted(_fits())
    below = max((n for n in nodes if n <= node_nm), default=nodes[0])
    above = min((n for n in nodes if n >= node_nm), default=nodes[-1])
    return below, above, 0.0 if below == above else math.log(node_nm / below) / math.log(above / below)


def supply_factors(node_nm: float, nominal_v: float, vdd_v: float) -> tuple[float, float]:
    """Return energy and delay at ``vdd_v`` over those at the nominal supply.

    The published coefficients of a delay fit have four digits and cancel, so some fits rise again
    near the nominal supply (32HP below 0.95 V). Such a fit is left to its neighbour.

    Raises
    ------
    UsageError
        If the supply is further than 20 % from the nominal one, or no delay fit falls with the supply there.
    """
    if vdd_v == nominal_v:
        return 1.0, 1.0
    low, high = nominal_v * (1 - RANGE), nominal_v * (1 + RANGE)
    if not low <= vdd_v <= high:
        raise UsageError(f"vdd {vdd_v:g} V at {node_nm:g} nm; valid: {low:.3g} to {high:.3g} V")
    below, above, share = _neighbours(node_nm)
    energy = [energy_at(_fits()[n], vdd_v) / energy_at(_fits()[n], nominal_v) for n in (below, above)]
    delay = [delay_at(_fits()[n], vdd_v) / delay_at(_fits()[n], nominal_v) for n in (below, above)]
    falls = [(ratio < 1) == (vdd_v > nominal_v) for ratio in delay]
    if not any(falls):
        raise UsageError(f"vdd {vdd_v:g} V at {node_nm:g} nm: the delay fits do not hold there; use {nominal_v:g} V")
    if not all(falls):
        delay = [delay[falls.index(True)]] * 2
    return energy[0] ** (1 - share) * energy[1] ** share, delay[0] ** (1 - share) * delay[1] ** share
