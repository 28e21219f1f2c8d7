"""A PE at a clock: the stage registers that it needs, and what they keep of the glitches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.formats import Format
from hwsim.hardware.circuits import Part, Register, largest, least
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.cuts import cut_bits
from hwsim.hardware.pe.lockstep import UNSTATED, Data
from hwsim.hardware.pe.operands import Operands, data_factors, operands_applied
from hwsim.hardware.technology import PartsPrice, Technology, factor
from hwsim.spec.errors import UsageError

#: Dequantizers multiply and add in floating point, whatever the PE does.
DEQUANTIZER_FAMILY = "float_mac"
#: Width of a scaled sum (FP32).
SCALED_SUM_BITS = 32


def pipelined_price(
    pe: PE,
    technology: Technology,
    clock_hz: float,
    w: Format | None = None,
    a: Format | None = None,
    operands: Operands | None = None,
) -> tuple[PartsPrice, int]:
    """Return the cost of ``pe`` with its stage registers at ``clock_hz``, and the number of stages.

    Energy is that of a cycle on the pair ``w``, ``a``, by default the built one, and on random
    ``operands`` where nothing is stated of them. Figures that a source
    states of the PE are taken in the place of modelled ones. Of several modes, the slowest sets the
    stages of all; gates are sized as the hastiest mode alone needs them, and glitches are those of the
    mode alone, so that none is cheaper than a PE of its own.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock, or stated figures are of another technology.
    MissingFigureError
        If nobody measured what such operands do to this family.
    """
    w, a = w or pe.w_format, a or pe.a_format
    mode, single = pe.mode(w, a), len(pe.modes) == 1
    parts = pe.built if single and (w, a) == (pe.w_format, pe.a_format) else pe.parts(w, a)
    stages, hurry = staging(parts, technology, clock_hz)
    own = stages
    if not single:
        alone = {one: staging(one.built, technology, clock_hz) for one in pe.modes}
        stages = max(stages, *(found for found, _ in alone.values()))
        hurry = max(hurry, *(found for _, found in alone.values()))
        own, _ = alone[mode]
    cut = (*parts, *cut_register(max(one.cut_bits for one in pe.modes), stages))
    price = technology.price_parts(cut, mode.glitch_family, stages=own, hurry=hurry)
    if pe.stated:
        price = pe.stated.applied(price, technology.name)
    if operands is None or not operands.stated:
        return price, stages
    return operands_applied(price, w, a, data_factors(mode, w, a, operands)), stages


def step_energy_fj(pe: PE, price: PartsPrice, w: Format, a: Format, data: Data = UNSTATED) -> float:
    """Return the energy of a step of a PE that waits for no other, its clock included."""
    if not pe.data_dependent(w, a):
        return (price.energy_fj + price.clock_fj) * pe.cycles_per_step(w, a)
    clocked = pe.expected_cycles_per_step(w, a, data=data)
    return price.energy_fj * pe.work_cycles_per_step(w, a, data) + price.clock_fj * clocked


def dequantizer_price(pe: PE, w: Format, a: Format, technology: Technology, clock_hz: float) -> PartsPrice:
    """Return the cost of one dequantizer of the pair with its stage registers; energy is per group sum.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    return pipelined(pe.dequant_parts(w, a), DEQUANTIZER_FAMILY, SCALED_SUM_BITS, technology, clock_hz)[0]


def pipelined(
    parts: Sequence[Part], glitch_family: str, least_bits: int, technology: Technology, clock_hz: float
) -> tuple[PartsPrice, int]:
    """Return the cost of ``parts`` with stage registers of at least ``least_bits``, and the number of stages.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    stages, hurry = staging(parts, technology, clock_hz)
    cut = (*parts, *cut_register(cut_bits(parts, least_bits), stages))
    return technology.price_parts(cut, glitch_family, stages=stages, hurry=hurry), stages


def staging(parts: Sequence[Part], technology: Technology, clock_hz: float) -> tuple[int, float]:
    """Return the stages of ``parts`` at a clock, and how far (0 to 1) their gates are sized for speed.

    The logic is cut into as few stages as its gates can be sized for; each cut is one register, and every stage has
    the delay of one, from clock to output and set-up.
    Sized for speed, gates are as much faster, larger and hungrier as those of units synthesised for
    speed (factors ``speed`` of ``factors.csv``, measured at 7 nm and taken for all technologies); where
    less speed is needed, area and energy grow in proportion. Estimated: cuts are even.

    Raises
    ------
    UsageError
        If one register alone is slower than the clock.
    """
    usable_ps = 1e12 / clock_hz - technology.price(Register(1)).delay_ps
    if usable_ps <= 0:
        raise UsageError(f"clock: {clock_hz / 1e9:g} GHz is faster than one register of {technology.name}")
    delay_ps = technology.logic_ps(parts)
    fastest = factor("speed", "delay")
    stages = largest(1, math.ceil(delay_ps * fastest / usable_ps))
    needed = largest(0.0, 1 - stages * usable_ps / delay_ps) if delay_ps else 0.0
    return stages, least(1.0, needed / (1 - fastest))


def cut_register(bits: int, stages: int) -> tuple[Part, ...]:
    """Return the registers of ``bits`` between ``stages``."""
    return (Part("pipeline stage", "register", Register(bits), stages - 1, on_path=False),) if stages > 1 else ()
