"""A PE at a clock: the stage registers that it needs, and what they keep of the glitches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.formats import Format
from hwsim.hardware.circuits import Part, Register
from hwsim.hardware.pe.base import PE
from hwsim.hardware.technology import PartsPrice, Technology, factor
from hwsim.spec.errors import UsageError

#: Dequantizers multiply and add in floating point, whatever the PE does.
DEQUANTIZER_FAMILY = "float_mac"
#: Width of a scaled sum (FP32).
SCALED_SUM_BITS = 32


def pipelined_price(pe: PE, technology: Technology, clock_hz: float) -> tuple[PartsPrice, int]:
    """Return the cost of ``pe`` with its stage registers at ``clock_hz``, and the number of stages.

    Figures that a source states of the PE are taken in the place of modelled ones.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock, or stated figures are of another technology.
    """
    price, stages = pipelined(pe.parts(), pe.glitch_family, pe.psum_bits, technology, clock_hz)
    return (pe.stated.applied(price, technology.name) if pe.stated else price), stages


def dequantizer_price(pe: PE, w: Format, a: Format, technology: Technology, clock_hz: float) -> PartsPrice:
    """Return the cost of one dequantizer of the pair with its stage registers; energy is per group sum.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    return pipelined(pe.dequant_parts(w, a), DEQUANTIZER_FAMILY, SCALED_SUM_BITS, technology, clock_hz)[0]


def pipelined(
    parts: Sequence[Part], glitch_family: str, cut_bits: int, technology: Technology, clock_hz: float
) -> tuple[PartsPrice, int]:
    """Return the cost of ``parts`` with stage registers of ``cut_bits``, and the number of stages.

    The datapath is cut into as few stages as its gates can be sized for; each cut is one register.
    Sized for speed, gates are as much faster, larger and hungrier as those of units synthesised for
    speed (factors ``speed`` of ``factors.csv``, measured at 7 nm and taken for all technologies); where
    less speed is needed, area and energy grow in proportion. Estimated: cuts are even and at the width
    of the result.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    usable_ps = 1e12 / clock_hz - technology.price(Register(1)).delay_ps
    if usable_ps <= 0:
        raise UsageError(f"clock: {clock_hz / 1e9:g} GHz is faster than one register of {technology.name}")
    delay_ps = technology.delay_ps(parts)
    fastest = factor("speed", "delay")
    stages = max(1, math.ceil(delay_ps * fastest / usable_ps))
    needed = max(0.0, 1 - stages * usable_ps / delay_ps) if delay_ps else 0.0
    if stages > 1:
        cut = Part("pipeline stage", "register", Register(cut_bits), count=stages - 1, on_path=False)
        parts = (*parts, cut)
    hurry = min(1.0, needed / (1 - fastest))
    return technology.price_parts(parts, glitch_family, stages=stages, hurry=hurry), stages
