"""Arrays of two kinds of PE: in two modes of DSP blocks, or in DSP blocks and in LUTs.

As many PEs as two budgets hold are made of at most two kinds: a linear program with two constraints has an optimum
with at most two variables that are not zero. So every pair is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import ceil, floor

from hwsim.hardware.fpga.device import Device
from hwsim.hardware.fpga.dsp import DspChoice
from hwsim.hardware.pe import PE
from hwsim.hardware.target.budget_of import Budget, taken
from hwsim.hardware.target.pe_on_fabric import PeOnFabric, mode_names, pe_on_fabric
from hwsim.spec.errors import UsageError

#: Name of a second kind with its products in DSP blocks, beside ``always``.
ALSO = "also"


def mixes(
    usual: Mapping[str, PeOnFabric],
    pe: PE,
    device: Device,
    use: DspChoice,
    shared: frozenset[str],
    stages: int | None,
) -> Iterator[dict[str, PeOnFabric]]:
    """Yield what an array may be made of, ``usual`` first: every two of its kinds and of other modes of DSP blocks."""
    yield dict(usual)
    if use == "never" or "always" not in usual:
        return
    blocks = [usual["always"]]
    for name in mode_names(pe, device, shared):
        try:
            one = pe_on_fabric(pe, device, "always", shared, stages, name)
        except UsageError:
            continue
        if all(one.modes != other.modes for other in blocks):
            blocks.append(one)
    for one in blocks[1:]:
        yield {"always": one, **({"never": usual["never"]} if "never" in usual else {})}
    for first, second in combinations(blocks, 2):
        yield {"always": first, ALSO: second}


def most(kinds: Mapping[str, PeOnFabric], budget: Budget) -> tuple[dict[str, int], str]:
    """Return the most PEs of one or two kinds, by kind, and the resource that stops the last kind.

    Of two kinds every corner of the feasible region is tried, to the whole numbers beside it.
    """
    names = list(kinds)
    first = kinds[names[0]]
    top = min(budget.pes(first).values())
    if len(names) == 1:
        return {names[0]: top}, _binding(budget, first)
    second, best = kinds[names[1]], (-1, 0, 0)
    for x in _corners(first, second, budget, top):
        y = max(0, min(budget.less(first, x).pes(second).values()))
        best = max(best, (x + y, x, y))
    _, x, y = best
    return {names[0]: x, names[1]: y}, _binding(budget.less(first, x), second)


def _binding(budget: Budget, one: PeOnFabric) -> str:
    holds = budget.pes(one)
    return min(holds, key=lambda name: holds[name])


def _corners(first: PeOnFabric, second: PeOnFabric, budget: Budget, top: int) -> list[int]:
    """Return numbers of the first kind at which another resource begins to stop the second, and the ends."""
    a, b = taken(first), taken(second)
    found = {0, top}
    for one, other in combinations(a, 2):
        slope = a[one] * b[other] - a[other] * b[one]
        if slope:
            at = (budget.exact(one) * b[other] - budget.exact(other) * b[one]) / slope
            found |= {floor(at) - 1, floor(at), ceil(at), ceil(at) + 1}
    return sorted(x for x in found if 0 <= x <= top)


def cut_to(counts: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Return ``counts`` with ``wanted`` PEs in all: those of the last kind go first."""
    left, kept = wanted, {}
    for name, count in counts.items():
        kept[name] = min(count, left)
        left -= kept[name]
    return kept
