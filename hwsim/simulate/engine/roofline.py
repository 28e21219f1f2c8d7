"""Perfect overlap: a GEMM takes what its array or its DRAM port takes, whichever is longer.

No first load, no last store, no tile that waits: the lower bound that many simulators report as their
result. All transfers of a GEMM count as one long one.
"""

from __future__ import annotations

from hwsim.simulate.engine import ENGINES, Context
from hwsim.simulate.schedule import Schedule, Timing, moved_bits, step_cycles


@ENGINES.register("roofline")
def roofline(schedule: Schedule, context: Context) -> Timing:
    """Time ``schedule`` as ``max(compute, bits / bandwidth)``, whole cycles."""
    rate, batch = context.dram_bits_per_cycle, schedule.gemm.batch
    bits = sum(moved_bits(schedule.body)) * batch * rate.denominator
    dropped = schedule.foreign is not None and schedule.foreign.whole_dram_cycles
    dram = bits // rate.numerator if dropped else -(-bits // rate.numerator)
    compute = schedule.compute_cycles * batch
    # Steps of memory levels last as long as the array or a port inside.
    busy = compute if schedule.levels is None else step_cycles(schedule.body) * batch
    return Timing(max(busy, dram), compute)
