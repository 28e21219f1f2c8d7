"""What the rows of tables cost on a hierarchy: energy and the bits of every port, as sums over visits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.nest.cases import DIMS_OF, Cases
from hwsim.simulate.nest.count import Counter, crossings, input_bits, sum_bits
from hwsim.simulate.nest.hierarchy import READ, Hierarchy, Widths
from hwsim.simulate.nest.tiles import Floats


@dataclass(frozen=True)
class Weights:
    """Per column of visits and element: pJ, bits of each port (columns, ports), and whether any is negative."""

    energy: Floats
    ports: Floats
    negative: NDArray[np.bool]


@lru_cache(maxsize=256)
def weights(
    hierarchy: Hierarchy, widths: Widths, operand: str, levels: tuple[int, ...], axis: str | None = None
) -> Weights:
    """Return what counting makes of one visit: it is linear in visits.

    ``axis`` has the loop that the operand does not depend on.
    """
    basis = np.eye(1 + 3 * len(levels))
    one = basis[0]
    reads, fills, ends = ([basis[1 + 3 * i + j] for i in range(len(levels))] for j in range(3))
    bits: dict[Counter, Any]
    if operand == "o":
        bits = sum_bits(levels, hierarchy.result_level, reads, fills, ends, 1, widths, one=one)
    else:
        bits = input_bits(operand, levels, reads, fills[:-1], widths.kept(operand))
    energy = np.zeros(len(basis))
    for (level, _, direction), value in bits.items():
        prices = hierarchy.levels[level]
        energy += value * (prices.read_pj_per_bit if direction == READ else prices.write_pj_per_bit)
    if hierarchy.wire_pj_per_bit:
        price = dict(zip((a.name for a in hierarchy.axes), hierarchy.wire_pj_per_bit, strict=True))
        visits = levels, reads, fills, ends if operand == "o" else []
        for name, value in crossings(hierarchy, operand, axis, *visits, widths, one).items():
            energy += value * price[name]
    columns = []
    for at, where in enumerate(hierarchy.levels):
        for port in where.ports:
            moves = port.directions if operand in port.operands else ()
            columns.append(sum((bits.get((at, operand, d), 0.0 * one) for d in moves), 0.0 * one))
    ports = np.stack(columns, axis=1) if columns else np.zeros((len(basis), 0))
    return Weights(energy, ports, (energy < 0) | (ports < 0).any(axis=1))


@dataclass(frozen=True)
class Costs:
    """Costs of the rows of a table: energy in pJ (rows,), bits of every port (rows, ports) as they are asked for.

    ``falls``: nothing grows from row to row.
    """

    energy: Floats
    falls: bool
    visits: Floats
    port_weights: Floats

    @cached_property
    def ports(self) -> Floats:
        """Bits of every port, all rows."""
        return self.ports_at(slice(None))

    def ports_at(self, rows: Any) -> Floats:
        """Return the bits of every port for some rows."""
        found: Floats = self.visits[rows] @ self.port_weights
        return found


def priced(hierarchy: Hierarchy, dims: tuple[int, int, int], widths: Widths, cases: Cases) -> list[Costs]:
    """Return the costs of every slot."""
    energies, scaled = [], []
    for pool in cases.pools:
        i, j = DIMS_OF[pool.operand]
        one = weights(hierarchy, widths, pool.operand, pool.levels, pool.axis)
        energies.append(pool.visits @ (one.energy * (dims[i] * dims[j])))
        scaled.append((one.ports * (dims[i] * dims[j]), one.negative))
    found = []
    for slot in cases.slots:
        ports, negative = scaled[slot.pool]
        # Visits fall from row to row where there is a column, and so do sums of them without negative weights.
        falls = slot.table.column is not None and not (slot.table.varies & negative).any()
        found.append(Costs(energies[slot.pool][slot.start : slot.stop], falls, slot.table.visits, ports))
    return found
