"""The mapping of memory levels: the best loop nest of all, as the steps of a schedule.

The search scores every order, placement and tile (:mod:`hwsim.simulate.nest.search`), so what it finds is no worse than
any fixed mapping in them, by energy of what moves and computes and by cycles as bounds of the array and every port.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod

from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.mapping import POLICIES, Machine, Objective
from hwsim.simulate.nest.hierarchy import DIMS, NEEDS, OPERANDS, READ, WRITE
from hwsim.simulate.nest.search import search
from hwsim.simulate.nest.steps import Steps
from hwsim.simulate.policies import LOOP_NEST
from hwsim.simulate.schedule import LevelPlan, LevelRun, Node, Schedule, Tiling, Traffic
from hwsim.spec.errors import InfeasibleError, UsageError
from hwsim.workload.ops import Gemm


@POLICIES.register(LOOP_NEST)
def loop_nest(gemm: Gemm, machine: Machine) -> Schedule:
    """Return the schedule of the best nest by the machine's objective.

    Raises
    ------
    InfeasibleError
        If not even tiles of single elements fit.
    UsageError
        If the machine has buffers instead of levels.
    """
    if machine.levels is None:
        raise UsageError(f"mapping policy {LOOP_NEST}: takes memories.levels")
    dims = (gemm.m, ceil_div(gemm.k, machine.levels.lanes), gemm.n)
    return nest_schedule(gemm, machine, *_found(dims, machine.levels, machine.objective))


@lru_cache(maxsize=4096)
def _found(
    dims: tuple[int, int, int], plan: LevelPlan, objective: Objective
) -> tuple[LevelRun, tuple[Node, ...], dict[str, int]]:
    try:
        found = search(plan.hierarchy, dims, plan.widths, objective, quick=not plan.exhaustive)
    except InfeasibleError:
        raise InfeasibleError(_too_small(dims, plan)) from None
    return lowered(LevelRun(plan, found.nest, found.moved, found.mappings, found.complete))


def _too_small(dims: tuple[int, int, int], plan: LevelPlan) -> str:
    """Return which stores do not hold the smallest tiles, with the sizes that would do: what all axes need at once."""
    hierarchy, found = plan.hierarchy, []
    size = dict(zip(DIMS, dims, strict=True))
    choices = [loops for loops in product(*(axis.dims for axis in hierarchy.axes)) if len(set(loops)) == len(loops)]
    for at, level in enumerate(hierarchy.levels[1:], start=1):
        (store,) = level.stores
        needs = []
        for loops in choices:
            least = dict.fromkeys(DIMS, 1)
            for axis, dim in zip(hierarchy.axes, loops, strict=True):
                if axis.below >= at:
                    least[dim] = min(axis.size, size[dim])
            tiles = [prod(least[dim] for dim in NEEDS[x]) * plan.widths.kept(x) for x in store.holds]
            needs.append(store.copies * sum(tiles))
        if store.capacity_bits is not None and min(needs) > store.capacity_bits:
            need, have = ceil_div(plan.whole(min(needs)), 8), store.capacity_bits // plan.denominator // 8
            held = " and ".join(x.upper() for x in store.holds)
            found.append(
                f"{plan.paths[at]}.size: too small for one tile of {held} for all instances below it; it has {have} B; "
                f"valid: at least {need} B"
            )
    return "; ".join(found) or f"memories.levels: no tiles of {' × '.join(map(str, dims))} fit all levels at once"


def lowered(run: LevelRun) -> tuple[LevelRun, tuple[Node, ...], dict[str, int]]:
    """Return a nest with its steps and what the first of them covers of each dimension."""
    plan = run.plan
    steps = Steps(plan.hierarchy, run.nest, plan.widths, plan.interval, plan.denominator)
    return run, steps.body(), {dim: run.nest.extents[steps.depth][dim] for dim in DIMS}


def nest_schedule(
    gemm: Gemm, machine: Machine, run: LevelRun, body: tuple[Node, ...], covered: dict[str, int]
) -> Schedule:
    """Return the schedule of one nest; ``body`` and ``covered`` as :func:`lowered` finds them."""
    plan, dims = run.plan, dict(zip(DIMS, (gemm.m, gemm.k, gemm.n), strict=True))
    sizes = {dim: min(dims[dim], covered[dim] * (plan.lanes if dim == "k" else 1)) for dim in DIMS}
    outer = [loop.dim for loop in run.nest.loops if loop.axis is None]
    order = "".join(dict.fromkeys([*outer, *DIMS]))
    return Schedule(
        gemm=gemm,
        tiling=Tiling(sizes["m"], sizes["k"], sizes["n"], order, hold_a=False, hold_w=False, hold_o=False),
        bits=machine.bits,
        body=body,
        traffic=_traffic(run),
        compute_cycles=run.moved.compute_cycles * plan.interval,
        pe_steps=run.moved.macs,
        dequant_ops=0,
        overlap=plan.overlap,
        levels=run,
    )


def _traffic(run: LevelRun) -> Traffic:
    """Return elements through the DRAM port, and out of and into the outermost store of each operand."""
    moved, nest, plan = run.moved, run.nest, run.plan
    first = {x: nest.chain(x)[1].level for x in OPERANDS}

    def elements(level: int, operand: str, direction: str) -> int:
        return moved.at(level, operand, direction) // plan.widths.kept(operand) * (plan.lanes if operand != "o" else 1)

    outputs = nest.m * nest.n
    spilled = elements(0, "o", READ)
    return Traffic(
        dram_w=elements(0, "w", READ),
        dram_a=elements(0, "a", READ),
        dram_psum_read=spilled,
        dram_psum_write=spilled,
        dram_o=outputs,
        sram_w_read=elements(first["w"], "w", READ),
        sram_a_read=elements(first["a"], "a", READ),
        sram_psum_read=elements(first["o"], "o", READ),
        sram_psum_write=elements(first["o"], "o", WRITE),
    )
