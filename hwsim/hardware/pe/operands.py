"""What operands do to the energy of a PE: zeros, slow bits, values that are held.

Without statistics operands are random, a new pair every step: every law below is then 1. They act
on settled-value energy, beside the glitch factor and the factor of Gaussian data.

* **Toggles.** τ of an operand is its toggling per step over that of random values. Logic between
  both operands takes E = H (τ_w + τ_a) + (1 - 2H) τ_w τ_a: 1 with both random, H with one at rest,
  nothing with both at rest (bilinear between measured corners; estimated in between). H is that of
  the family with a weight held for 64 steps (``factors.csv``, kind held), extrapolated to rest; the
  other operand at rest is taken to save as much.
* **Zeros.** A product of which a share p is not zero toggles p² + 2 p (1 - p) r of what random ones
  do: between two that are not zero as ever, to zero and back r of it (kind zero). With one operand
  held, that happens only while it is not zero. Measured on array multipliers with their accumulator
  adder; other datapaths are taken to be alike. Nothing is gated; datapaths that
  skip zeros (``PE.skips_zeros``) work fewer cycles instead, and their logic has no factor for these.
* **Registers.** Operand registers toggle as their operands; a value of zero share z toggles 1 - z² of
  random ones. Accumulators change only with products that are not zero. Clocks run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hwsim.formats import Format
from hwsim.formats.operand import RANDOM_TOGGLE, OperandStats, zero_share_of_codes
from hwsim.hardware.circuits import Part, Register
from hwsim.hardware.pe.base import PE
from hwsim.hardware.pe.lockstep import Data
from hwsim.hardware.technology import PartsPrice, factor

#: Steps for which the weight was held where the factors of kind held were measured.
MEASURED_HOLD = 64


@dataclass(frozen=True)
class Operands:
    """What is stated of the weights and activations of a PE."""

    w: OperandStats = field(default_factory=OperandStats)
    a: OperandStats = field(default_factory=OperandStats)

    @property
    def stated(self) -> bool:
        """Whether anything differs from random operands."""
        return self.w.stated or self.a.stated

    @property
    def data(self) -> Data:
        """Both, as cycles that depend on data take them."""
        return self.w, self.a


@dataclass(frozen=True)
class DataFactors:
    """Factors on settled-value energy: logic by ``toggles`` and ``zeros``, registers by what they hold."""

    toggles: float
    zeros: float
    w_register: float
    a_register: float
    accumulator: float


def data_factors(pe: PE, w: Format, a: Format, operands: Operands) -> DataFactors:
    """Return what ``operands`` in formats ``w`` and ``a`` do to the energy of ``pe``.

    Raises
    ------
    MissingFigureError
        If toggle rates or holds are given and nobody measured the family with a weight held.
    """
    pairs = ((operands.w, zero_share_of_codes(w)), (operands.a, zero_share_of_codes(a)))
    zeros = [
        base if stats.zeros is None or skipped else stats.zeros
        for (stats, base), skipped in zip(pairs, pe.skips_zeros, strict=True)
    ]
    usual = [base for _, base in pairs]
    holds = operands.w.held, operands.a.held
    return DataFactors(
        toggles=_toggles(pe, *(_rate(stats) for stats, _ in pairs)),
        zeros=_product_toggles(zeros, holds) / _product_toggles(usual, holds),
        w_register=bit_toggles(operands.w, w),
        a_register=bit_toggles(operands.a, a),
        accumulator=_not_zero(zeros) / _not_zero(usual),
    )


def bit_toggles(stats: OperandStats, fmt: Format) -> float:
    """Return the toggling bits per step of an operand over those of random values of its format."""
    if stats.zeros is None:
        return _rate(stats)
    return _rate(stats) * (1 - stats.zeros**2) / (1 - zero_share_of_codes(fmt) ** 2)


def _rate(stats: OperandStats) -> float:
    """Return τ without zeros: the stated rate over the random one, shared out over the steps of a hold."""
    return (1.0 if stats.toggle is None else stats.toggle / RANDOM_TOGGLE) / stats.held


def _toggles(pe: PE, w: float, a: float) -> float:
    if w == a == 1:
        return 1.0
    measured = factor("held", pe.glitch_family)
    rest = (measured - 1 / MEASURED_HOLD) / (1 - 1 / MEASURED_HOLD)
    return rest * (w + a) + (1 - 2 * rest) * w * a


def _not_zero(zeros: Sequence[float]) -> float:
    w, a = zeros
    return (1 - w) * (1 - a)


def _product_toggles(zeros: Sequence[float], holds: Sequence[float]) -> float:
    """Return the toggling of products over that of products that are never zero.

    Averaged over the steps in which both operands change, or one of them.
    """
    (w, a), (new_w, new_a) = zeros, (1 / hold for hold in holds)
    fresh, held = factor("zero", "fresh"), factor("zero", "held")
    cases = (
        (new_w * new_a, _between(_not_zero(zeros), fresh)),
        ((1 - new_w) * new_a, (1 - w) * _between(1 - a, held)),
        (new_w * (1 - new_a), (1 - a) * _between(1 - w, held)),
    )
    return sum(often * toggling for often, toggling in cases) / sum(often for often, _ in cases)


def _between(not_zero: float, to_zero: float) -> float:
    return not_zero**2 + 2 * not_zero * (1 - not_zero) * to_zero


def operands_applied(price: PartsPrice, w: Format, a: Format, found: DataFactors) -> PartsPrice:
    """Return ``price`` with the energy that operands leave each part; area, leakage and clock stay."""
    both = w.bits * found.w_register + a.bits * found.a_register
    registers = {
        "operands": both / (w.bits + a.bits),
        "accumulator": found.accumulator,
        "pipeline stage": found.zeros,
    }

    def left(part: Part) -> float:
        if isinstance(part.circuit, Register):
            return next((registers[role] for role in part.role.split(" / ") if role in registers), 1.0)
        return found.toggles * found.zeros

    rows = tuple(row._replace(energy_fj=row.energy_fj * left(row.part)) for row in price.rows)
    return replace(price, rows=rows)
