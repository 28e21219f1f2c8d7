"""PEs that differ in their products only: the sum is a wrapping integer or a rounding float.

An integer accumulator counts units, the product of what both operands' last places are worth; it
wraps as two's complement does. A float accumulator takes exact products lane by lane, with one
rounding each.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, Minifloat, Scaled
from hwsim.formats.digits import whole_numbers
from hwsim.formats.sums import MAX_ACCUMULATOR, add_in_turn, wrapped
from hwsim.hardware.circuits import Adder, AdderTree, Multiplier, OrTree, Part, Register, Shifter
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.datapaths import dequantizer, float_accumulate
from hwsim.hardware.pe.registry import accumulator_widths, take_accumulator_format
from hwsim.spec.errors import UsageError


@dataclass(frozen=True)
class SummingPE(PE):
    """``lanes`` products per step into one accumulator, ``accumulator`` an integer or a float."""

    accumulator: Integer | Minifloat

    integer_family: ClassVar[str] = "integer_mac"
    float_family: ClassVar[str] = "float_mac"

    @property
    def glitch_family(self) -> str:  # type: ignore[override]
        """That of integer or of floating-point sums."""
        return self.integer_family if self.whole else self.float_family

    @property
    def whole(self) -> bool:
        """Whether sums are integers."""
        return isinstance(self.accumulator, Integer)

    @property
    def psum_bits(self) -> int:
        """The accumulator's width."""
        return self.accumulator.bits

    @property
    def unit(self) -> float:
        """What one count of an integer accumulator is worth."""
        return last_place(self.w_format) * last_place(self.a_format) if self.whole else 1.0

    @abstractmethod
    def products(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format) -> NDArray[Any]:
        """Return the products of codes: int64 in units for integer sums, float64 for floats.

        A datapath that adds the lanes of a step before it rounds returns their one sum.
        """

    def takes_activation(self, a: Format) -> Reason | None:
        """Return None for activations that fit into the built ones: narrower integers, or the same float."""
        built = self.a_format.element
        if not self.whole:
            if a.element != built:
                return Reason(f"activations of {a.name} are not the {self.a_format.name} that it is built for")
            return None
        if not isinstance(a.element, Integer) or last_place(a) != last_place(self.a_format):
            return Reason(f"activations of {a.name} are no integers as {self.a_format.name} is")
        if a.bits > built.bits or (isinstance(built, Integer) and a.element.signed != built.signed):
            return Reason(f"activations of {a.name} do not fit into the datapath's {self.a_format.name}")
        return None

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle."""
        return 1

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Block scales act on the sums of a group."""
        return "sum" if w.block_size or a.block_size else "none"

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """To float where sums are integers, times the scales, added in FP32."""
        return dequantizer(w, a, self.accumulator.bits if self.whole else None)

    def sum_parts(self, product_bits: int) -> tuple[Part, ...]:
        """Return what adds ``lanes`` products of so many bits, with the registers of sum and operands."""
        n = self.lanes
        held = (
            Part("accumulator", "register", Register(self.accumulator.bits)),
            Part("operands", "register", Register(n * (self.w_format.bits + self.a_format.bits)), on_path=False),
        )
        if isinstance(self.accumulator, Minifloat):
            return (*float_accumulate(self.accumulator, product_bits, n), *held)
        tree = (Part("adder tree", "accumulator", AdderTree(n, product_bits)),) if n > 1 else ()
        return (*tree, Part("accumulator adder", "accumulator", Adder(self.accumulator.bits), feeds_back=True), *held)

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return zeros, int64 or float64."""
        return np.zeros(shape, dtype=np.int64 if self.whole else np.float64)

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the products, times their scales for floats: wrapping, or lane by lane with one rounding each."""
        products = self.products(w_codes, a_codes, w, a)
        if scales is not None:
            assert not self.whole, "integers are scaled as sums"
            products = products * scales
        if self.whole:
            return wrapped(acc + products.sum(axis=-1), self.accumulator.bits)
        return add_in_turn(self.accumulator, acc, products)

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the accumulators, float64."""
        return np.asarray(acc, dtype=np.float64) * self.unit


def shifted_product(bases: tuple[int, int], shifts: tuple[int, int], lanes: int) -> tuple[Part, ...]:
    """Return ``lanes`` products of numbers base · 2^shift: signed bases multiply, shifts add, one shifter.

    ``bases`` are the widths of both with sign, ``shifts`` the largest shifts of both.
    """
    product, most = sum(bases), sum(shifts)
    found = [Part("base multiplier", "multiplier", Multiplier(max(bases), min(bases)), lanes)]
    if all(shifts):
        width = max(shifts).bit_length()
        found.append(Part("shift adder", "exponent", Adder(width), lanes, on_path=False))
    if most:
        found.append(Part("product shift", "alignment", Shifter(product + most, most + 1), lanes))
    return tuple(found)


def hidden_bit(fmt: Minifloat, lanes: int) -> Part:
    """Return what finds the hidden bit of ``lanes`` floats: 0 for an exponent field of zeros."""
    return Part("hidden bit", "decode", OrTree(max(fmt.exponent_bits, 2)), lanes, on_path=False)


def last_place(fmt: Format) -> float:
    """Return what one unit of the whole numbers behind ``fmt`` is worth; 1 where there are none.

    Whole numbers are those of :func:`hwsim.formats.digits.whole_numbers`; posits and floats have none.
    """
    element = fmt.element
    if isinstance(element, Integer):
        return element.last_place
    if isinstance(element, Minifloat) or element.complex_valued or element.bits > 16:
        return 1.0
    found, values = whole_numbers(element), element.code_values()
    if found is None:
        return 1.0
    at = int(np.argmax(np.abs(found.values)))
    return float(np.nan_to_num(values)[at] / found.values[at])


def take_accumulator(
    options: Mapping[str, Any], family: str, a: Format, product_bits: int, lanes: int
) -> Integer | Minifloat:
    """Return the accumulator of ``options``: int32 beside integer activations, else FP32.

    Raises
    ------
    UsageError
        If it is of the other kind, or an integer that does not hold one step's products.
    """
    whole = isinstance(a.element, Integer) or not isinstance(a.element, Minifloat)
    found = take_accumulator_format(options, "int32" if whole else "fp32")
    if isinstance(found, Minifloat) and not whole:
        return found
    needed = product_bits + (lanes - 1).bit_length()
    if whole and isinstance(found, Integer) and found.signed and needed <= found.bits <= MAX_ACCUMULATOR:
        return found
    valid = accumulator_widths(needed) if whole else "a float such as fp32, bf16"
    raise UsageError(f"pe.accumulator: {family} {a.name} cannot be summed in {found.name}; valid: {valid}")


def check_operands(family: str, w: Format, a: Format, valid: str, elements: tuple[Format, ...]) -> None:
    """Refuse weights of other elements, activations that are no numbers to add, and zero points.

    Raises
    ------
    UsageError
        With the valid choices.
    """
    if w.element not in elements:
        raise UsageError(f"pe.w_format: {family} takes no {w.name}; valid: {valid}, or groups such as {valid}_g128")
    if not isinstance(a.element, (Integer, Minifloat)) or a.bits > 16:
        raise UsageError(f"pe.a_format: {family} takes no {a.name}; valid: integers and floats of up to 16 bits")
    if isinstance(a, Scaled) and a.asymmetric:
        raise UsageError(f"pe.a_format: {family} {a.name}: zero points need int_mac")
