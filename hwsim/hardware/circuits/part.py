"""A part: a circuit with its role in a datapath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.hardware.circuits.adders import CARRY_LEVELS
from hwsim.hardware.circuits.base import Circuit
from hwsim.hardware.circuits.widths import largest, least

GROUPS = (
    "decode", "multiplier", "exponent", "alignment", "accumulator", "normalisation", "dequantization",
    "register", "control",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """``count`` copies of a circuit, each doing ``activity`` operations per PE cycle.

    ``on_path`` parts lie in series on the critical path, ``in_series`` of their copies one after
    the other. ``clocked`` is the share of cycles in which the clock reaches its registers. ``beside_bits``
    pass by each copy while it works, such as the exponent beside a shifter: registers that cut the
    path there hold them too. Parts that ``feeds_back`` marks take a sum that they made a cycle before.
    """

    role: str
    group: str
    circuit: Circuit
    count: float = 1.0
    activity: float = 1.0
    on_path: bool = True
    in_series: int = 1
    clocked: float = 1.0
    beside_bits: float = 0.0
    feeds_back: bool = False

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"{self.role}: unknown group {self.group!r}")


#: Levels of the last bit of an adder that follows another one's carry: its own carry and sum.
FOLLOWING = 1 + CARRY_LEVELS


def path_levels(parts: Sequence[Part]) -> list[float]:
    """Return by how many levels each part makes the path through ``parts`` longer; 0 beside the path.

    Parts lie in series in the order of the list. An adder takes the lowest bits of another one as they
    come: it is done a bit after it, or when its own carry is, whatever is later. So does each copy of an adder
    that is in series with itself; neighbours with as many copies in series are a run that is repeated as a whole.
    """
    found, waiting = [], 0.0
    path = [part for part in parts if part.on_path]
    series = [0, *(part.in_series for part in path), 0]
    number = 0
    for part in parts:
        if not part.on_path:
            found.append(0.0)
            continue
        number += 1
        alone = part.in_series not in (series[number - 1], series[number + 1])
        one, ripple = part.circuit.levels(), part.circuit.ripple_levels()
        first = largest(one - waiting, least(one, FOLLOWING)) if part.circuit.takes_ripples else one
        later = largest(one - ripple, least(one, FOLLOWING)) if part.circuit.takes_ripples and alone else one
        found.append(first + later * (part.in_series - 1))
        waiting = waiting if part.circuit.passes_ripples else ripple
    return found
