"""What a synthesised unit is counted as: cells by class, and levels on its longest path.

A class of units registers a function of its parameters and the style of its multipliers:

* ``structural``: partial products reduced as Dadda does and a final adder, written out;
* ``structural+FAcells``: the same, mapped to the library's own full adders (class ``fa_cell``);
* ``yosys_default``: what ``a * b`` becomes. Signed products are extended to the width of the sum that
  they go into; the full adders that this costs are counted as ``extension`` and ``sum_extension``;
* ``yosys_booth``: radix-4 Booth recoding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hwsim.hardware.circuits import CELLS, BoothMultiplier, Circuit, Multiplier
from hwsim.spec.registry import Registry

STYLES = ("structural", "structural+FAcells", "yosys_default", "yosys_booth")

#: Cell classes of circuits, the library's own full adder, full adders of sign extension, Booth selectors.
UNIT_CELLS = (*CELLS, "fa_cell", "extension", "sum_extension", "selector")

#: Booth recoding is not worth it below this width, and yosys leaves it out.
BOOTH_FROM = 4


class Bill(NamedTuple):
    """Counted cells by class (:data:`UNIT_CELLS`), and the longest path in levels (ASAP7: 30.1 ps)."""

    cells: Mapping[str, float]
    levels: float


Law = Callable[[Mapping[str, int], str], Bill]

UNITS: Registry[Law] = Registry("class of synthesised units", "hwsim.hardware.synthesis.units")


def bill(levels: float, *counted: tuple[float, Circuit] | Circuit | Mapping[str, float]) -> Bill:
    """Return the bill of circuits, of (count, circuit) pairs and of plain cell counts."""
    total: defaultdict[str, float] = defaultdict(float)
    for item in counted:
        count, part = item if isinstance(item, tuple) else (1.0, item)
        for cell, number in (part if isinstance(part, Mapping) else part.cells()).items():
            total[cell] += count * number
    return Bill(dict(total), levels)


def product(a_bits: int, b_bits: int, style: str, signed: bool = True, sum_bits: int | None = None) -> dict[str, float]:
    """Return the cells of a multiplier of some style; ``sum_bits`` is the width of what its product is added to."""
    long, short = max(a_bits, b_bits), min(a_bits, b_bits)
    if style == "yosys_booth" and short >= BOOTH_FROM:
        return _booth(long, short, signed)
    cells = {cell: float(count) for cell, count in Multiplier(long, short).cells().items()}
    if short == 2:
        cells["cpa"] -= 1  # the lowest and the highest bit of two rows need no adder
    if style == "structural+FAcells":
        cells["fa_cell"] = cells.pop("fa", 0.0)
    if style == "yosys_default" and signed:
        # Each row is extended to the product's width, in a sum to the sum's.
        if sum_bits is None:
            cells["extension"] = short * (short - 1) // 2
        else:
            cells["sum_extension"] = max(0, short - 2) * max(0, sum_bits - long - short) + short - 1
    return cells


def _booth(long: int, short: int, signed: bool) -> dict[str, float]:
    rows = BoothMultiplier(short, long, signed=signed).digits  # yosys recodes the longer operand
    return {
        "selector": rows * (short + 1),
        "fa": max(0, rows - 2) * (short + 2),
        "cpa": long + short,
    }


def product_levels(a_bits: int, b_bits: int) -> float:
    """Return the longest path through a multiplier."""
    return Multiplier(a_bits, b_bits).levels()
