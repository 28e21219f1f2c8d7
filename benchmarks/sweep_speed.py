"""Speed of a sweep: (design, workload) points per second on one core, and what remembering saves.

Run ``python benchmarks/sweep_speed.py``. Start-up (imports, reading tables, the first design) is
left out. The second figure simulates every GEMM of every layer anew, as a simulator without
memory would, on a sample of the points; the ratio of the two is measured in this one run.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.outcome import evaluate_safely
from hwsim.simulate.architecture import ArchSpec, simulate_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import forget_mappings
from hwsim.spec.bind import bind
from hwsim.workload import Trace, load_workload

SWEEP = Path(__file__).parent.parent / "sweeps" / "llama2_7b_formats.yaml"
#: Points that are evaluated without memory.
SAMPLE = 8


def points_per_second() -> tuple[float, int]:
    sweep = open_sweep(SWEEP)
    points = list(sweep.space)
    evaluate_point = PointEvaluator(sweep)
    for point in points[: sweep.space.workloads]:
        evaluate_safely(evaluate_point, point)
    start = time.process_time()
    for point in points:
        evaluate_safely(evaluate_point, point)
    return len(points) / (time.process_time() - start), len(points)


def unrolled(trace: Trace) -> list[Trace]:
    """Return one trace per operation and repeat: nothing is left to remember."""
    single = [replace(op, repeat=1) for op in trace.ops for _ in range(op.repeat)]
    return [Trace(trace.name, (op,), trace.meta) for op in single]


def points_per_second_without_memory() -> float:
    sweep = open_sweep(SWEEP)
    workloads = [load_workload(w) for w in sweep.spec.workloads]
    points = list(sweep.space)[:: len(sweep.space) // SAMPLE][:SAMPLE]
    start = time.process_time()
    for point in points:
        simulated = simulate_arch(bind(sweep.resolved(point), ArchSpec))
        for trace in unrolled(workloads[point.workload]):
            forget_mappings()
            evaluate(simulated, trace)
    return len(points) / (time.process_time() - start)


def main() -> None:
    fast, count = points_per_second()
    slow = points_per_second_without_memory()
    print(f"{SWEEP.name}: {count} points, {fast:.0f} points/s on one core")
    print(f"every layer simulated anew: {slow:.2f} points/s; unique GEMMs only: {fast / slow:.0f} times as many")


if __name__ == "__main__":
    main()
