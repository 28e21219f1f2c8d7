"""How fast a PE can be clocked, and whether its sum is ready when the next one wants it.

Stage registers may cut a path anywhere, a loop only with a consequence: where a sum takes L cycles to come
back to its own adder, steps of one sum may enter every L cycles, and the PE is busy only if L sums take turns. Arrays
through which partial sums move have no such loop; where sums stay in the PE, dataflows here take L successive
steps to belong to different sums (said in the notes of a run).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.hardware.circuits import Register, path_levels
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.pipeline import staging
from hwsim.hardware.technology import Technology, factor


@dataclass(frozen=True)
class Clocking:
    """Clocks of a PE, gates sized for speed.

    ``unpipelined_hz`` is the fastest without stage registers, ``fastest_hz`` with those that it has;
    ``loop_cycles`` are the cycles from an addition to the next one to the same sum, and ``loop_hz`` is the fastest
    clock at which that is one.
    """

    unpipelined_hz: float
    fastest_hz: float
    loop_hz: float
    loop_cycles: int


def clocking(pe: PE, technology: Technology, clock_hz: float) -> Clocking:
    """Return how fast ``pe`` can be clocked when it is cut into stages for ``clock_hz``; of several modes the slowest.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    found = [_of_mode(mode, technology, clock_hz) for mode in pe.modes]
    return Clocking(
        min(one.unpipelined_hz for one in found),
        min(one.fastest_hz for one in found),
        min(one.loop_hz for one in found),
        max(one.loop_cycles for one in found),
    )


def _of_mode(pe: PE, technology: Technology, clock_hz: float) -> Clocking:
    held_ps, quickest = technology.price(Register(1)).delay_ps, factor("speed", "delay")
    stages, hurry = staging(pe.built, technology, clock_hz)
    levels = path_levels(pe.built)
    all_ps = technology.delay_ps(pe.built)
    share = sum(own for own, part in zip(levels, pe.built, strict=True) if part.feeds_back) / sum(levels)
    loop_ps = all_ps * share
    sized_ps = loop_ps * (1 + hurry * (quickest - 1))
    return Clocking(
        unpipelined_hz=1e12 / (all_ps * quickest + held_ps),
        fastest_hz=1e12 / (all_ps * quickest / stages + held_ps),
        loop_hz=1e12 / (loop_ps * quickest + held_ps),
        # A path that was sized to fill its stages exactly is not one cycle longer for a rounding error.
        loop_cycles=max(1, math.ceil(sized_ps / (1e12 / clock_hz - held_ps) - 1e-9)),
    )
