"""Speed of the event engine: one layer of Llama-2-7B, with the jump over periods and stepped through.

Run ``python benchmarks/event_speed.py``. All GEMMs of a layer (prefill of 2,048 tokens) on the 32 × 32
systolic array, alone on the port and cut along M for four cores that share it; mapping is left out.
Both ways give the same cycles, and the ratio of their times is measured in this one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.engine import Shared
from hwsim.simulate.engine.cores import share
from hwsim.simulate.engine.event import replay
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.schedule import Schedule
from hwsim.spec.data import find_example
from hwsim.workload import Gemm, apply_policy, load_workload

CORES = 4

Run = Callable[[Sequence[Schedule], Fraction], Shared]


def schedules(cores: int) -> tuple[list[list[Schedule]], Fraction]:
    """Return one list per GEMM of a layer, a schedule for each of ``cores``, and the bandwidth of the port."""
    simulated = open_arch(find_example("arch_configs", "systolic_32x32_28nm"))
    trace = apply_policy(load_workload("llama-2-7b", phase="prefill", seq_len=2048), simulated.policy)
    found = []
    for op in trace.ops:
        if isinstance(op, Gemm) and op.layer != "lm_head":
            w, a, o = (parse_format(name) for name in (op.w_format, op.a_format, op.o_format))
            piece = replace(op, m=op.m // cores)
            found.append([map_gemm(piece, simulated.machine(w, a, o, piece))] * cores)
    return found, simulated.accelerator.dram_bits_per_cycle


def timed(run: Run, cores: int) -> tuple[float, list[Shared]]:
    """Return the seconds and the timings of a layer."""
    programs, bandwidth = schedules(cores)
    start = time.process_time()
    found = [run(each, bandwidth) for each in programs]
    return time.process_time() - start, found


def main() -> None:
    for cores in (1, CORES):
        slow, stepped = timed(replay, cores)
        fast, jumped = timed(share, cores)
        assert stepped == jumped
        print(f"{cores} core(s): {fast:.4f} s, stepped through {slow:.2f} s: {slow / fast:.0f} times as fast")


if __name__ == "__main__":
    main()
