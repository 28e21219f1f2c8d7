"""Walsh-Hadamard transform of a group: log2 g stages of radix-2 butterflies, g log2 g additions.

Sylvester's order, not normalised: every stage adds a bit. A group that is transformed twice comes
back times g; a factor 1/sqrt(g) belongs to the scale of the quantizer that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.hardware.circuits import Adder, Part, Register, Subtractor
from hwsim.hardware.units.base import UNITS, Unit, check
from hwsim.spec.errors import UsageError


@UNITS.register("hadamard")
@dataclass(frozen=True)
class Hadamard(Unit):
    """Transforms ``group`` integers of ``bits`` bits per cycle, a register behind every stage."""

    group: int = 32
    bits: int = 16

    glitch_family: ClassVar[str] = "integer_add"

    def __post_init__(self) -> None:
        check("bits", self.bits, 2, 32)
        if self.group & (self.group - 1) or not 2 <= self.group <= 4096:
            raise UsageError(f"group: {self.group}; valid: powers of two, 2 to 4096")

    @property
    def stages(self) -> int:
        """Butterfly stages, which are also the cycles from input to result."""
        return self.group.bit_length() - 1

    def transform(self, x: NDArray[Any]) -> NDArray[np.int64]:
        """Return the transform of groups along the last axis, whole numbers, exact."""
        out = np.asarray(x, dtype=np.int64)
        for stage in range(self.stages):
            pairs = out.reshape(*out.shape[:-1], -1, 2, 1 << stage)
            top, bottom = pairs[..., 0, :], pairs[..., 1, :]
            out = np.stack([top + bottom, top - bottom], axis=-2).reshape(out.shape)
        return out

    def parts(self) -> tuple[Part, ...]:
        """Return half as many adders and subtractors as numbers, per stage, each stage a bit wider."""
        half, found = self.group // 2, []
        for stage in range(self.stages):
            width = self.bits + stage + 1
            found.append(Part(f"sums {stage}", "accumulator", Adder(width), half, on_path=False))
            found.append(Part(f"differences {stage}", "accumulator", Subtractor(width), half))
            found.append(Part(f"stage {stage}", "register", Register(width), self.group, on_path=False))
        return tuple(found)

    def operations(self) -> Mapping[str, int]:
        """Return g log2 g additions and subtractions per group."""
        return {"add": self.group * self.stages}
