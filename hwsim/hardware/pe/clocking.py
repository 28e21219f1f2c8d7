"""How fast a PE can be clocked, and whether its sum is ready when the next one wants it.

Stage registers may cut a path anywhere, a loop only with a consequence: where a sum takes L cycles to come
back to its own adder, steps of one sum may enter every L cycles, and the PE is busy only if L sums take turns. Arrays
through which partial sums move have no such loop; where sums stay in the PE, dataflows here take L successive
steps to belong to different sums (said in the notes of a run).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.hardware.circuits import Register
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
    stages = max(staging(mode.built, technology, clock_hz)[0] for mode in pe.modes)
    found = [_of_mode(mode, technology, clock_hz, stages) for mode in pe.modes]
    return Clocking(
        min(one.unpipelined_hz for one in found),
        min(one.fastest_hz for one in found),
        min(one.loop_hz for one in found),
        max(one.loop_cycles for one in found),
    )


def _of_mode(pe: PE, technology: Technology, clock_hz: float, stages: int) -> Clocking:
    held_ps, quickest = technology.price(Register(1)).delay_ps, factor("speed", "delay")
    all_ps = technology.logic_ps(pe.built) * quickest
    # By itself: the old sum is there at once, so its adder gains nothing from products whose low bits come first.
    loop_ps = technology.logic_ps([part for part in pe.built if part.feeds_back]) * quickest
    return Clocking(
        unpipelined_hz=1e12 / (all_ps + held_ps),
        fastest_hz=1e12 / (all_ps / stages + held_ps),
        loop_hz=1e12 / (loop_ps + held_ps),
        # A path that fills its stages exactly is not one cycle longer for a rounding error.
        loop_cycles=max(1, math.ceil(loop_ps / (1e12 / clock_hz - held_ps) - 1e-9)),
    )
