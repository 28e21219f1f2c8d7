"""The largest array of PEs within all budgets of a device, and which of them binds.

Of an array without stated sides, rows and columns are as equal as possible: the largest square, or a rectangle one
row longer. With ``auto`` some PEs have their products in DSP blocks, the others there in another mode, or in LUTs: the
mix of two kinds that holds the most PEs (:mod:`.mixing`), so never fewer than with ``always`` or ``never``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt

from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.hardware.fpga.device import Device
from hwsim.hardware.fpga.dsp import DSP_CHOICES, DspChoice
from hwsim.hardware.pe import PE
from hwsim.hardware.target.budget_of import Budget, taken
from hwsim.hardware.target.mixing import ALSO, cut_to, mixes, most
from hwsim.hardware.target.pe_on_fabric import PeOnFabric, pe_on_fabric, refusals
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean


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

    def place(self, kind: str) -> str:
        """Return where a kind of :attr:`kinds` has its products, in words; of two in DSP blocks with their modes."""
        if kind == "never":
            return LOGIC_WORDS[self.kinds[kind].logic]
        modes = ", ".join(mode.name for mode in self.kinds[kind].modes)
        return f"DSP blocks, {modes}" if ALSO in self.kinds else "DSP blocks"


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
    usual = kinds_of(pe, device, use, shared, stages)
    found = None
    for kinds in mixes(usual, pe, device, use, shared, stages):
        counts, binding = most(kinds, budget)
        rows, cols = _sides(sum(counts.values()) // copies, sides)
        if found is None or rows * cols > found.rows * found.cols:
            found = _array(rows, cols, kinds, counts, binding, copies)
        if rows * cols and None not in sides:
            break
    assert found is not None
    if found.pes < 1:
        need = " or ".join(
            ", ".join(f"{float(take):.4g} {name}" for name, take in taken(one).items()) for one in usual.values()
        )
        short = f"{found.binding} does not hold {_asked(sides, copies)}"
        raise InfeasibleError(f"{device.name}: {short}; a PE takes {need}")
    return found


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
    rows: int,
    cols: int,
    kinds: Mapping[str, PeOnFabric],
    counts: Mapping[str, int],
    binding: str,
    copies: int,
) -> ArrayFit:
    """Fill the array with the PEs of ``counts``, those in DSP blocks first."""
    kept = cut_to(counts, copies * rows * cols)
    names = taken(next(iter(kinds.values())))
    used = {name: float(sum(count * taken(kinds[kind])[name] for kind, count in kept.items())) for name in names}
    in_lut = kept.get("never", 0)
    return ArrayFit(rows, cols, sum(kept.values()) - in_lut, in_lut, used, binding, kinds, copies)
