"""What stands for a technology on an FPGA device: circuits have LUT sites there, and no area, energy or delay.

No source gives these figures, so they are NaN (not a number): whatever is worked out from one of them is NaN, too,
and leaves as a blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import nan

from hwsim.formats import Format
from hwsim.hardware.circuits import Circuit, Part
from hwsim.hardware.memory import Sram
from hwsim.hardware.memory.figures import Story
from hwsim.hardware.technology import PartsPrice, Price, Technology
from hwsim.hardware.technology.asic import PartPrice, Regime

NO_PRICE = Price(nan, nan, nan, nan, nan)
NO_SOURCE = "no source gives it on an FPGA"


class UnpricedTechnology(Technology):
    """A device in the place of a technology; every figure that a technology has is NaN."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.node_nm = self.nominal_v = self.vdd_v = nan
        self.temperature_k = None

    @property
    def wire_fj_per_bit_mm(self) -> float:
        """NaN."""
        return nan

    def price(self, circuit: Circuit) -> Price:
        """Return NaN for all that a circuit costs."""
        return NO_PRICE

    def price_parts(
        self,
        parts: Sequence[Part],
        glitch_family: str,
        regime: Regime = "gaussian",
        stages: int = 1,
        hurry: float = 0.0,
    ) -> PartsPrice:
        """Return NaN for all that parts cost."""
        return PartsPrice(tuple(PartPrice(part, nan, nan, nan, nan, nan) for part in parts), nan, nan, nan)

    def op_energy_pj(self, op: str, fmt: Format) -> float:
        """Return NaN."""
        return nan


@cache
def unpriced(name: str) -> UnpricedTechnology:
    """Return what stands for a technology on the device of that name; always the same object."""
    return UnpricedTechnology(name)


def unpriced_sram(size_bytes: int, width_bits: int, banks: int) -> Sram:
    """Return a buffer whose energies, area and times are NaN."""
    return Sram(width_bits, nan, "hp", nan, nan, nan, nan, nan, nan, lambda: Story.of(NO_SOURCE, NO_SOURCE, True),
                size_bytes, banks)  # fmt: skip
