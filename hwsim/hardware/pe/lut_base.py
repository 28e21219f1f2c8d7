"""What all units of look-up tables share: a tile of tables, beside integer or floating-point sums.

How they are built, and where the figures come from: :mod:`hwsim.hardware.pe.families.lut`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.hardware.circuits import FanOut, Mux, Part, Register, XorRow
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.lookup import entries, generator_adders, group_sizes, weight_planes

#: Variants whose tables hold half of the sums, the other half being their negatives.
SYMMETRIC = ("lut_tensor_core", "figlut")


@dataclass(frozen=True)
class Lut(PE):
    """One output of a tile of tables; ``lanes`` activations per step, ``k`` per table."""

    variant: str
    k: int
    tile_m: int
    tile_n: int
    weight_bits: int
    in_array: bool
    inverter: bool

    family: ClassVar[str] = "lut"

    @property
    def symmetric(self) -> bool:
        """Whether tables hold half of their sums, the others being negatives."""
        return self.variant in SYMMETRIC

    @property
    def plane_sums(self) -> int:
        """Accumulators: one per bit plane (FIGLUT), else one for all."""
        return self.weight_bits if self.variant == "figlut" else 1

    @property
    def groups(self) -> tuple[int, ...]:
        """Activations of each table of a step."""
        return group_sizes(self.lanes, self.k)

    def table_words(self, group: int) -> int:
        """Return the words of a table of ``group`` activations."""
        return entries(group, self.symmetric)

    def table_bits(self) -> int:
        """Return the table registers of a whole tile (Eq. 7)."""
        return 0 if self.variant == "add" else self.tile_m * sum(map(self.table_words, self.groups)) * self.entry_bits

    def weight_register_bits(self) -> int:
        """Return the weight registers of a whole tile (Eq. 8)."""
        return self.lanes * self.tile_n * self.weight_bits

    @property
    @abstractmethod
    def entry_bits(self) -> int:
        """Width of a table's word."""

    def supports(self, w: Format, a: Format) -> Reason | None:
        """Weights that fall into bit planes; the activations that tables are made for."""
        if weight_planes(w, self.symmetric) is None:
            return Reason(f"weights of {w.name} are not read bit by bit by tables of {self.variant}")
        if w.element.bits > self.weight_bits:
            return Reason(f"weights of {w.element.bits} bits are wider than the {self.weight_bits} that are held")
        return self._supports_activation(a)

    @abstractmethod
    def _supports_activation(self, a: Format) -> Reason | None:
        """Return None where tables are made for ``a``."""

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """One cycle per weight bit."""
        return int(w.element.bits)

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Group scales act on the sums of a group."""
        return "sum" if w.block_size or a.block_size else "none"

    def _key_parts(self) -> list[Part]:
        """Return weight registers, the choice of a bit plane, and the key's inverter."""
        found = [
            Part("weights", "register", Register(self.lanes * self.weight_bits), 1 / self.tile_m, self._held, False)
        ]
        if self.weight_bits > 1:
            found.append(Part("plane select", "decode", Mux(self.lanes, self.weight_bits), 1 / self.tile_m))
        if self.inverter:
            found += [Part("index inverter", "decode", XorRow(g - 1)) for g in self.groups if g > 1]
        return found

    @property
    def _held(self) -> float:
        """How often per cycle what a step holds is loaded."""
        return 1 / self.w_format.bits

    def _table_parts(self) -> list[Part]:
        """Return table registers, shared by the columns, and one reading multiplexer per table."""
        found = []
        for group in self.groups:
            words = self.table_words(group)
            table = Register(words * self.entry_bits)
            found.append(Part("table", "register", table, 1 / self.tile_n, self._held, False))
            lines = FanOut(words * self.entry_bits, self.tile_n)
            if lines.nodes():
                found.append(Part("table fan-out", "multiplier", lines, 1 / self.tile_n, self._held, False))
            if words > 1:
                found.append(Part("lookup", "multiplier", Mux(self.entry_bits, words), on_path=group == self.groups[0]))
        return found

    def _generator_parts(self) -> list[Part]:
        """Return what fills the tables in the array: activations and adders, shared by the columns."""
        if self.variant == "add":
            held = Register(self.lanes * self.a_format.bits)
            return [Part("activations", "register", held, 1 / self.tile_n, self._held, False)]
        if not self.in_array:
            return []
        found = [
            Part(
                "activations", "register", Register(self.lanes * self.a_format.bits), 1 / self.tile_n, self._held, False
            )
        ]
        for group in self.groups:
            adders = generator_adders(group, self.symmetric, self.variant != "figlut")
            for covered, count in sorted(adders.items()):
                found += self._adder_parts(covered, count / self.tile_n)
        return found

    @abstractmethod
    def _adder_parts(self, covered: int, count: float) -> list[Part]:
        """Return ``count`` adders of the generator whose sums cover ``covered`` activations."""

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return cleared sums: of the planes, of what is left over, and what both are divided by."""
        number = self._number
        dtype = np.dtype([("planes", number, (self.plane_sums,)), ("rest", number), ("divisor", np.int64)])
        acc = np.zeros(shape, dtype=dtype)
        acc["divisor"] = 1
        return acc

    _number: ClassVar[Any] = np.int64

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Add the entries of every table, bit plane by bit plane from the lowest."""
        assert scales is None
        planes = weight_planes(w, self.symmetric)
        assert planes is not None
        out = acc.copy()
        out["divisor"] = planes.divisor
        values = self._values(a, a_codes)
        spans = self._spans(values.shape[-1])
        for plane in range(planes.bits):
            slot = plane if self.plane_sums > 1 else 0
            digits = planes.digits(w_codes, plane)
            keys = 2 * digits - 1 if self.symmetric else digits
            for span in spans:
                term = self._entry(values[..., span], keys[..., span])
                place = 1 if self.plane_sums > 1 else planes.weight(plane)
                out["planes"][..., slot] = self._add(out["planes"][..., slot], place * term)
        if planes.constant:
            for span in spans:
                ones = np.ones(values[..., span].shape, dtype=np.int64)
                rest = self._entry(values[..., span], ones)
                out["rest"] = self._add(out["rest"], rest * planes.constant)
        return out

    def _spans(self, length: int) -> list[slice]:
        return [slice(at, min(at + self.k, length)) for at in range(0, length, self.k)]

    @abstractmethod
    def _values(self, a: Format, codes: NDArray[Any]) -> NDArray[Any]:
        """Return what generators take for activations."""

    @abstractmethod
    def _entry(self, values: NDArray[Any], keys: NDArray[np.int64]) -> NDArray[Any]:
        """Return the table entries of a group of ``values`` for ``keys`` of ±1, or of 0 and 1."""

    @abstractmethod
    def _add(self, total: NDArray[Any], term: NDArray[Any]) -> NDArray[Any]:
        """Return the accumulator after one addition."""

    def _joined(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of all accumulators and of what is left over, before the division."""
        total = acc["planes"][..., 0]
        for plane in range(1, self.plane_sums):
            total = self._add(total, acc["planes"][..., plane] * 2**plane)
        return self._add(total, acc["rest"])
