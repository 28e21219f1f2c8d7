"""The largest array of PEs within all budgets of a device, and which of them binds.

Of an array without stated sides, rows and columns are as equal as possible: the largest square, or a rectangle one
row longer. With ``auto`` as many PEs have their products in DSP blocks as there are blocks for, the others in LUTs;
so an array never is smaller than with ``always`` or ``never``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

from hwsim.hardware.fpga.device import Device
from hwsim.hardware.fpga.dsp import DSP_CHOICES, DspChoice
from hwsim.hardware.pe import PE
from hwsim.hardware.target.pe_on_fabric import PeOnFabric, pe_on_fabric, refusals
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean


@dataclass(frozen=True)
class Budget:
    """What an array may use: counts by resource, the rest of the design and the reserve taken off already."""

    counts: Mapping[str, float]

    def pes(self, one: PeOnFabric) -> dict[str, int]:
        """Return how many such PEs each resource holds; resources that they do not take are left out."""
        return {name: int(Fraction(self.counts.get(name, 0)) / take) for name, take in taken(one).items() if take}

    def less(self, one: PeOnFabric, count: int) -> Budget:
        """Return what is left beside ``count`` such PEs."""
        left = dict(self.counts)
        for name, take in taken(one).items():
            left[name] = left.get(name, 0) - float(count * take)
        return Budget(left)


def taken(one: PeOnFabric) -> dict[str, Fraction]:
    """Return what a PE takes of each resource."""
    return {one.logic: Fraction(one.sites.lut), "ff": Fraction(one.sites.ff), "dsp": one.dsp}


@dataclass(frozen=True)
class ArrayFit:
    """An array: its sides, its PEs with and without DSP blocks, what it uses, and the resource that binds.

    Of several ``copies``, one per core, PEs and what is used are those of all.
    """

    rows: int
    cols: int
    in_dsp: int
    in_lut: int
    used: Mapping[str, float]
    binding: str
    kinds: Mapping[str, PeOnFabric]
    copies: int = 1

    @property
    def pes(self) -> int:
        """PEs in all."""
        return self.copies * self.rows * self.cols


def kinds_of(
    pe: PE, device: Device, use: DspChoice, shared: frozenset[str] = frozenset(), stages: int | None = None
) -> dict[str, PeOnFabric]:
    """Return the kinds of PE that an array may consist of: with products in DSP blocks, in LUTs, or both."""
    if use not in DSP_CHOICES:
        raise UsageError(f"dsp: unknown choice {use!r}; {did_you_mean(use, DSP_CHOICES)}")
    if use != "auto":
        return {use: pe_on_fabric(pe, device, use, shared, stages)}
    found = {"never": pe_on_fabric(pe, device, "never", shared, stages)}
    try:
        return {"always": pe_on_fabric(pe, device, "always", shared, stages), **found}
    except UsageError:  # no product that a block takes
        return {"never": replace(found["never"], notes=refusals(pe, device, shared))}


def largest_array(
    pe: PE,
    device: Device,
    budget: Budget,
    use: DspChoice = "auto",
    shared: frozenset[str] = frozenset(),
    sides: tuple[int | None, int | None] = (None, None),
    stages: int | None = None,
    copies: int = 1,
) -> ArrayFit:
    """Return the largest array of ``pe``, or so many equal ``copies``; one or both ``sides`` (rows, cols) may be given.

    Every PE is cut into ``stages`` (:func:`.pe_on_fabric`).

    Raises
    ------
    InfeasibleError
        If not one PE fits, or one row or column of the given side.
    """
    kinds = kinds_of(pe, device, use, shared, stages)
    count, binding = _most(kinds, budget)
    rows, cols = _sides(count // copies, sides)
    if rows * cols < 1:
        need = " or ".join(
            ", ".join(f"{float(take):.4g} {name}" for name, take in taken(one).items()) for one in kinds.values()
        )
        raise InfeasibleError(f"{device.name}: {binding} does not hold {_asked(sides, copies)}; a PE takes {need}")
    return _array(rows, cols, kinds, budget, binding, copies)


def _most(kinds: Mapping[str, PeOnFabric], budget: Budget) -> tuple[int, str]:
    """Return the most PEs, those in DSP blocks first, and the resource that stops the last kind."""
    total, binding, left = 0, "", budget
    for one in kinds.values():
        holds = left.pes(one)
        binding = min(holds, key=lambda name: holds[name])
        total += holds[binding]
        left = left.less(one, holds[binding])
    return total, binding


def _sides(count: int, sides: tuple[int | None, int | None]) -> tuple[int, int]:
    rows, cols = sides
    if rows is not None and cols is not None:
        return (rows, cols) if rows * cols <= count else (0, 0)
    if rows is not None:
        return rows, count // rows
    if cols is not None:
        return count // cols, cols
    side = isqrt(count)
    return (side + 1, side) if side * (side + 1) <= count else (side, side)


def _asked(sides: tuple[int | None, int | None], copies: int) -> str:
    rows, cols = sides
    if copies > 1:
        return f"{copies} cores of {_asked(sides, 1)}"
    if rows and cols:
        return f"{rows} × {cols} PEs"
    return f"a column of {rows} PEs" if rows else f"a row of {cols} PEs" if cols else "one PE"


def _array(
    rows: int, cols: int, kinds: Mapping[str, PeOnFabric], budget: Budget, binding: str, copies: int
) -> ArrayFit:
    """Fill the array with PEs in DSP blocks as far as they go, then with PEs in LUTs."""
    left, wanted = budget, copies * rows * cols
    counts: dict[str, int] = {}
    for name, one in kinds.items():
        counts[name] = min(wanted - sum(counts.values()), min(left.pes(one).values()))
        left = left.less(one, counts[name])
    names = taken(next(iter(kinds.values())))
    used = {name: float(sum(count * taken(kinds[kind])[name] for kind, count in counts.items())) for name in names}
    return ArrayFit(rows, cols, counts.get("always", 0), counts.get("never", 0), used, binding, kinds, copies)
