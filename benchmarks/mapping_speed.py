"""Speed of the search over loop nests: mappings scored per second, and whole Llama-2-7B layers searched per second.

Run ``python benchmarks/mapping_speed.py``. Goals on one core: 1 M mappings/s scored one by one, and 100 layers/s,
a layer being 8 GEMMs (prefill of 512 tokens and decode with 512 cached) searched exhaustively for a design that
was not seen before. For comparison, measured on the same kind of machine: AccelForge 0.25 layers per CPU second
and 25 mappings, ZigZag 0.1 layers and 261 mappings, Timeloop 29 mappings.
"""

from __future__ import annotations

import time
from dataclasses import replace

from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.mapping import Machine, forget_mappings, map_gemm
from hwsim.simulate.nest.cases import cases_of
from hwsim.simulate.nest.count import count
from hwsim.simulate.nest.grid import Grid
from hwsim.simulate.nest.hierarchy import Hierarchy, Widths
from hwsim.simulate.nest.hierarchy_file import load_hierarchy
from hwsim.simulate.nest.orders import shape_of
from hwsim.simulate.nest.search import search
from hwsim.spec.data import find_example
from hwsim.workload import Gemm

#: (m, k, n): q/k/v/o, gate/up, down projections and one head's scores, prefill and decode.
LAYER = (
    (512, 4096, 4096), (512, 4096, 11008), (512, 11008, 4096), (512, 128, 512),
    (1, 4096, 4096), (1, 4096, 11008), (1, 11008, 4096), (1, 128, 512),
)  # fmt: skip
WIDTHS = Widths()
DESIGNS, TIMES = 20, 3


#: The hierarchies of the comparison with the other tools.
NAMES = ("edge8", "os16", "ws32", "ws128")


def main() -> None:
    start = time.process_time()
    total = 0
    for i in range(10**7):
        total += i * 3
    took = time.process_time() - start
    print(f"a loop of 1e7 multiply-adds in Python: {took:.2f} CPU s (0.67 s when the others were timed)\n")
    mappings()
    layers()
    tiles()


def mappings() -> None:
    """Score whole grids without leaving anything out, energy with capacities checked."""
    print(f"{'hierarchy':10} {'mappings':>10} {'s':>7} {'M mappings/s':>13}   (512 × 4096 × 11008, every grid in full)")
    dims = LAYER[1]
    for name in NAMES:
        hierarchy = load_hierarchy(name)
        cases = cases_of(shape_of(hierarchy), False, dims)
        took = min(_seconds(lambda h=hierarchy, c=cases: _score_all(h, dims, c)) for _ in range(TIMES))
        print(f"{name:10} {cases.mappings:10,} {took:7.3f} {cases.mappings / took * 1e-6:13.1f}")
    nest = search(hierarchy, dims, WIDTHS).nest
    runs = 2000
    took = _seconds(lambda: [count(hierarchy, replace(nest), WIDTHS) for _ in range(runs)])
    print(f"exact integer counters of one nest: {runs / took:,.0f} nests/s")


def _score_all(hierarchy: Hierarchy, dims: tuple[int, int, int], cases: object) -> None:
    grid = Grid(hierarchy, dims, WIDTHS, "energy", False, cases)  # type: ignore[arg-type]
    for _, _, asked in grid.orders():
        grid.solve(asked)


def layers() -> None:
    """Search all GEMMs of a layer for designs that differ in SRAM size: nothing of one helps the next but its tiles."""
    columns = f"{'first layer (s)':>15} {'CPU s':>8} {'layers/s':>9} {'layers/CPU s':>13}"
    print(f"\n{DESIGNS} designs\n{'hierarchy':10} {columns}")
    for name in NAMES:
        designs = [_resized(load_hierarchy(name), number) for number in range(DESIGNS + 1)]
        first = _seconds(lambda d=designs[0]: _layer(d))
        best = (float("inf"), float("inf"))
        for _ in range(TIMES):
            cpu, wall = time.process_time(), time.perf_counter()
            for design in designs[1:]:
                _layer(design)
            best = min(best, (time.process_time() - cpu, time.perf_counter() - wall))
        print(f"{name:10} {first:15.2f} {best[0]:8.3f} {DESIGNS / best[1]:9.0f} {DESIGNS / best[0]:13.0f}")


def tiles() -> None:
    """Search the tiles of all GEMMs of a layer as ``evaluate`` does, by objective; latency is exact.

    At a 16th of the bandwidth all prefill is about as long on the port as in the array, which bounds tell apart worst.
    """
    print(f"\n{'architecture':20} {'objective':10} {'bandwidth':>9} {'layers/CPU s':>13}")
    for name in ("systolic_32x32_28nm", "tpu_like_7nm", "edge_16x16_45nm"):
        simulated = open_arch(find_example("arch_configs", name))
        policy = simulated.policy
        formats = [parse_format(str(text)) for text in (policy.w_format, policy.a_format, policy.o_format)]
        for objective, share in (("edp", 1), ("latency", 1), ("latency", 16)):
            machine = simulated.machine(*formats)
            machine = replace(machine, objective=objective, dram_bits_per_cycle=machine.dram_bits_per_cycle / share)
            best = min(_tiles_cpu_s(machine) for _ in range(TIMES))
            print(f"{name:20} {objective:10} {f'1/{share}':>9} {DESIGNS / best:13.0f}")


def _tiles_cpu_s(machine: Machine) -> float:
    forget_mappings()
    start = time.process_time()
    for number in range(DESIGNS):
        design = replace(machine, capacity_w_bits=machine.capacity_w_bits * (DESIGNS + number) // DESIGNS)
        for m, k, n in LAYER:
            map_gemm(Gemm("", m, n, k), design)
    return time.process_time() - start


def _layer(hierarchy: Hierarchy) -> None:
    for dims in LAYER:
        search(hierarchy, dims, WIDTHS)


def _resized(hierarchy: Hierarchy, number: int) -> Hierarchy:
    """Return a hierarchy with another SRAM capacity: half to twice the original."""
    sram = hierarchy.levels[1]
    bits = int((sram.stores[0].capacity_bits or 0) * (0.5 + 1.5 * number / DESIGNS))
    level = replace(sram, stores=(replace(sram.stores[0], capacity_bits=bits),))
    return replace(hierarchy, levels=(hierarchy.levels[0], level, *hierarchy.levels[2:]))


def _seconds(run: object) -> float:
    start = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
