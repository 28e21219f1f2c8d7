"""PEs that take integers apart: which operands fit, how they are sliced, how options are read."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Scaled
from hwsim.hardware.circuits import Adder, Part, Register
from hwsim.hardware.pe.base import Reason
from hwsim.hardware.pe.registry import take_formats
from hwsim.hardware.pe.summing import SummingPE, last_place
from hwsim.spec.errors import UsageError

#: Widest operands that are taken apart.
MAX_BITS = 16


@dataclass(frozen=True)
class IntegerPE(SummingPE):
    """Exact sums of integer products; a family says how it makes them and what of its datapath they need."""

    @abstractmethod
    def weight_size(self, element: Integer) -> int:
        """Return what weights need of the datapath: bits, digits or channels."""

    @abstractmethod
    def activation_size(self, element: Integer) -> int:
        """Return what activations need of the datapath."""

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Integers that need no more of the datapath than those that it is built for."""
        for role, fmt, built, size in (
            ("weights", w, self.w_format, self.weight_size),
            ("activations", a, self.a_format, self.activation_size),
        ):
            if not isinstance(fmt.element, Integer):
                return Reason(f"{role} of {fmt.name} are no integers")
            assert isinstance(built.element, Integer)
            if last_place(fmt) != last_place(built) or size(fmt.element) > size(built.element):
                return Reason(f"{role} of {fmt.name} do not fit into a datapath built for {built.name}")
        return None

    def closing_parts(self, activity: float = 1.0) -> tuple[Part, ...]:
        """Return adder and register of the accumulator; used in a share of cycles only, they are on no path."""
        bits, often = self.accumulator.bits, activity == 1
        return (
            Part("accumulator adder", "accumulator", Adder(bits), activity=activity, on_path=often, feeds_back=True),
            Part("accumulator", "register", Register(bits), activity=activity, on_path=often),
        )


def signed_bits(element: Integer) -> int:
    """Return the bits of two's complement that hold every value of ``element``."""
    return element.bits + (not element.signed)


def slices(values: NDArray[np.int64], bits: int, count: int) -> list[NDArray[np.int64]]:
    """Return ``count`` slices of ``bits`` bits, lowest first, none negative but the highest, which has the sign."""
    low = [values >> (bits * i) & ((1 << bits) - 1) for i in range(count - 1)]
    return [*low, values >> (bits * (count - 1))]


def take_integers(
    options: Mapping[str, Any], family: str, own: tuple[str, ...], widest_weight: int = MAX_BITS
) -> tuple[Format, Format, dict[str, Any]]:
    """Return weight format, activation format (INT8 unless given) and the family's own options.

    Raises
    ------
    UsageError
        If formats are no integers, or too wide, or activations have zero points.
    """
    given = dict(options) if "format" in options else {"w_format": "int8", "a_format": "int8", **options}
    w, a, rest = take_formats(given, family, own)
    for key, fmt, widest in (("w_format", w, widest_weight), ("a_format", a, MAX_BITS)):
        if not isinstance(fmt.element, Integer) or fmt.element.bits > widest:
            raise UsageError(f"pe.{key}: {family} takes no {fmt.name}; valid: int2 … int{widest}, int4_g128, …")
    if isinstance(a, Scaled) and a.asymmetric:
        raise UsageError(f"pe.a_format: {family} {a.name}: zero points of activations need int_mac; valid: int8, …")
    return w, a, rest


def read_label(label: str, prefix: str) -> dict[str, str] | None:
    """Return the formats of ``PREFIX_w4a8``, ``PREFIX_w4a8_g128`` and the like, or None."""
    match = re.fullmatch(rf"{prefix}_w(\d+)a(\d+)(_g\d+)?", label)
    return match and {"w_format": f"int{match[1]}{match[3] or ''}", "a_format": f"int{match[2]}"}
