"""A PE at a clock: the stage registers that it needs, and what they keep of the glitches."""

from __future__ import annotations

import math

from hwsim.hardware.circuits import Part, Register
from hwsim.hardware.pe.base import PE
from hwsim.hardware.technology import PartsPrice, Technology
from hwsim.spec.errors import UsageError


def pipelined_price(pe: PE, technology: Technology, clock_hz: float) -> tuple[PartsPrice, int]:
    """Return the cost of ``pe`` with its stage registers at ``clock_hz``, and the number of stages.

    The datapath is cut into ``ceil(delay / usable period)`` stages; each cut is one register as
    wide as the partial sum. Estimated: cuts are even and at the width of the result.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    parts = pe.parts()
    usable_ps = 1e12 / clock_hz - technology.price(Register(1)).delay_ps
    if usable_ps <= 0:
        raise UsageError(f"clock: {clock_hz / 1e9:g} GHz is faster than one register of {technology.name}")
    delay_ps = technology.price_parts(parts, pe.glitch_family).delay_ps
    stages = max(1, math.ceil(delay_ps / usable_ps))
    if stages > 1:
        cut = Part("pipeline stage", "register", Register(pe.psum_bits), count=stages - 1, on_path=False)
        parts = (*parts, cut)
    return technology.price_parts(parts, pe.glitch_family, stages=stages), stages
