"""A part: a circuit with its role in a datapath."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.hardware.circuits.base import Circuit

GROUPS = (
    "decode", "multiplier", "exponent", "alignment", "accumulator", "normalisation", "dequantization",
    "register", "control",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """``count`` copies of a circuit, each doing ``activity`` operations per PE cycle.

    ``on_path`` parts lie in series on the critical path, ``in_series`` of their copies one after
    the other. ``clocked`` is the share of cycles in which the clock reaches its registers.
    """

    role: str
    group: str
    circuit: Circuit
    count: float = 1.0
    activity: float = 1.0
    on_path: bool = True
    in_series: int = 1
    clocked: float = 1.0

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"{self.role}: unknown group {self.group!r}")
