"""What a run on memory levels must keep, where it waits, and what it assumes."""

from __future__ import annotations

from fractions import Fraction

from hwsim.simulate.architecture import Simulated
from hwsim.simulate.nest.count import Bound, bounds
from hwsim.simulate.nest.hierarchy import OPERANDS, READ, WRITE
from hwsim.simulate.schedule import LevelRun, Schedule, Timing, step_cycles


def level_laws(schedule: Schedule, timing: Timing) -> dict[str, bool]:
    """Return the laws of a loop nest, each with whether it holds; nothing for a schedule of three buffers."""
    run = schedule.levels
    if run is None:
        return {}
    plan, batch = run.plan, schedule.gemm.batch
    # The port to DRAM has a law of its own, with the peak where banks decide.
    slowest = max((bound.cycles for _, bound in inside_ports(run)), default=Fraction(0)) * plan.interval * batch
    laws = {"cycles >= bits / bandwidth of every port on the chip": timing.cycles >= slowest}
    for x in ("a", "w"):
        levels = [kept.level for kept in run.nest.chain(x)]
        reads = [run.moved.at(level, x, READ) for level in levels]
        fills = [run.moved.at(level, x, WRITE) for level in levels[1:]]
        laws[f"what a level reads of {x} is written below, and read there"] = all(
            above <= written <= below for above, written, below in zip(reads, fills, reads[1:], strict=False)
        )
    laws["every partial sum that is read was written"] = all(
        run.moved.at(kept.level, "o", READ) <= run.moved.at(kept.level, "o", WRITE) for kept in run.nest.chain("o")[1:]
    )
    return laws


def waiting_level(schedule: Schedule, timing: Timing) -> str | None:
    """Return the level on the chip whose port makes a GEMM wait for longer than DRAM does, if one does."""
    run = schedule.levels
    if run is None:
        return None
    inside = (step_cycles(schedule.body) - schedule.compute_cycles) * schedule.gemm.batch
    if inside * 2 < timing.stall_cycles or not inside:
        return None
    return max(inside_ports(run), key=lambda port: port[1].cycles)[0]


def inside_ports(run: LevelRun) -> list[tuple[str, Bound]]:
    """Return the least cycles of every port on the chip, in a PE's intervals, with the name of its level."""
    names = [level.name for level in run.plan.hierarchy.levels for _ in level.ports]
    found = zip(names, bounds(run.plan.hierarchy, run.moved)[1:], strict=True)
    return [(name, bound) for name, bound in found if name != run.plan.hierarchy.levels[0].name]


def level_notes(simulated: Simulated) -> tuple[str, ...]:
    """Return what a run on levels assumes; nothing with three buffers."""
    acc = simulated.accelerator
    if not acc.stores:
        return ()
    first = {x: next(s for s in acc.stores if x in s.spec.holds) for x in OPERANDS}
    single = list(dict.fromkeys(store.name for store in first.values() if store.spec.copies == 1))
    notes = [
        "memories.levels: transfers between levels on the chip overlap with computation, sums of instances are added "
        "on their way, and all PEs work in step; leakage and clock are not weighed by the mapper"
    ]
    if single:
        notes.append(
            f"DRAM transfers and computation take turns: {', '.join(single)}, filled from DRAM, "
            f"{'is' if len(single) == 1 else 'are'} not double-buffered"
        )
    return tuple(notes)
