"""Speed beside SCALE-Sim 3.0.0: simulated cycles per CPU-second of both in one run, and GEMMs on designs per second.

Run ``python benchmarks/scalesim_speed.py``. It makes a virtual environment with scalesim 3.0.0 and
numpy below 2.4 (above, the tool does not run), or takes the one given by ``--venv``. Both sides simulate the same
shapes on the same 32 × 32 array without stalls, traces off; times are CPU times of the run alone, without imports.
``pe`` carries data through the array and checks them, which SCALE-Sim does not. The goals are a ratio of 50,
and 20,000 pairs of GEMM and design per second on one core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from fractions import Fraction
from pathlib import Path

from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.engine.fast import recur
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.pairs import time_pairs
from hwsim.spec.data import example_path
from hwsim.workload import Gemm, Trace

#: M, N, K: ViT-small's attention outputs, a square, a decoder's step.
SHAPES = ((196, 192, 384), (256, 256, 256), (1, 512, 512))
DATAFLOWS = ("ws", "os", "is")
EDGE = 32
BUFFER_KB = 64
PES = {"int8": {"family": "int_mac", "format": "int8"}, "bf16": {"family": "float_mac", "format": "bf16"}}

CONFIG = """[general]
run_name = r
[architecture_presets]
ArrayHeight: {edge}
ArrayWidth: {edge}
IfmapSramSzkB: {kb}
FilterSramSzkB: {kb}
OfmapSramSzkB: {kb}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth : 10
Dataflow : {dataflow}
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 1
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 1
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport : false
SparseRep : ellpack_block
OptimizedMapping : false
BlockSize : 8
RandomNumberGeneratorSeed : 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""

RUN = """import sys, time
from scalesim.scale_sim import scalesim
config, topology, layout, out = sys.argv[1:]
run = scalesim(
    save_disk_space=True, verbose=False, config=config, topology=topology, layout=layout, input_type_gemm=True
)
start = time.process_time()
run.run_scale(top_path=out)
print("CPU_S", time.process_time() - start)
"""


def make_venv(folder: Path) -> Path:
    """Return the Python of an environment with the tool, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy<2.4", "scalesim==3.0.0"], check=True)
    return python


def scalesim(python: Path, shape: tuple[int, int, int], dataflow: str) -> tuple[int, float]:
    """Return the cycles that the tool reports, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.cfg").write_text(CONFIG.format(edge=EDGE, kb=BUFFER_KB, dataflow=dataflow))
        (folder / "t.csv").write_text("Layer,M,N,K,\nL,{},{},{},\n".format(*shape))
        (folder / "l.csv").write_text("unused\n")
        (folder / "run.py").write_text(RUN)
        files = ["run.py", "a.cfg", "t.csv", "l.csv", "."]
        done = subprocess.run([python, *files], cwd=folder, capture_output=True, text=True, check=True)
        seconds = float(done.stdout.split("CPU_S")[1])
        report = (folder / "r" / "COMPUTE_REPORT.csv").read_text().splitlines()[1]
        return int(float(report.split(",")[2])), seconds


def stepped(shape: tuple[int, int, int], dataflow: str, pe: str) -> tuple[int, float]:
    """Return the compute cycles of the ``pe`` engine and its CPU seconds, the better of two."""
    own = {"array.scalesim_os_cycles": True} if dataflow == "os" else {}
    machine = open_arch(example_path("arch_configs", f"compat/scalesim_{dataflow}"), {"pe": PES[pe], **own})
    m, n, k = shape
    trace = Trace("t", (Gemm("g", m=m, n=n, k=k),))
    evaluate(machine, trace)  # prices and schedules are the same for every engine
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        row = evaluate(machine, trace, "pe").layer_rows[0]
        best = min(best, time.process_time() - start)
    return row["compute_cycles"], best


def compare(python: Path) -> None:
    """Print cycles per CPU-second of both sides."""
    print(f"{'M x N x K':>16} {'flow':>4} {'pe':>5} {'cycles':>8} {'SCALE-Sim/s':>12} {'pe engine/s':>12} {'ratio':>7}")
    for shape in SHAPES:
        for dataflow in DATAFLOWS:
            theirs, their_s = scalesim(python, shape, dataflow)
            for pe in PES:
                cycles, seconds = stepped(shape, dataflow, pe)
                assert cycles == theirs + 1, (cycles, theirs)
                rates = cycles / their_s, cycles / seconds
                label = "x".join(map(str, shape))
                print(f"{label:>16} {dataflow:>4} {pe:>5} {cycles:>8} {rates[0]:12.0f} {rates[1]:12.0f} "
                      f"{rates[1] / rates[0]:7.1f}", flush=True)  # fmt: skip


def pairs() -> None:
    """Print the pairs of GEMM and design per second, together and one by one."""
    gemms = [
        Gemm("g", m=m, n=n, k=k) for m in (1, 16, 196, 1024) for n in (64, 768, 3072) for k in (64, 512, 768, 4096)
    ]
    int8 = parse_format("int8")
    for dataflow in DATAFLOWS:
        base = open_arch(example_path("arch_configs", f"compat/scalesim_{dataflow}")).machine(int8, int8, int8)
        designs = [
            machine_of(base, rows, cols, capacity, bandwidth)
            for rows in (8, 16, 32, 64, 128) for cols in (8, 16, 32, 64, 128)
            for capacity in (1 << 18, 1 << 20, 1 << 22) for bandwidth in (Fraction(64), Fraction(409, 3))
        ]  # fmt: skip
        start = time.process_time()
        found = time_pairs(gemms, designs)
        together = found.cycles.size / (time.process_time() - start)
        some = designs[::50]
        start = time.process_time()
        alone = [[recur(map_gemm(g, of), of.dram_bits_per_cycle).cycles for of in some] for g in gemms]
        one_by_one = len(gemms) * len(some) / (time.process_time() - start)
        assert (found.cycles[:, ::50] == alone).all()
        print(f"{dataflow}: {found.cycles.size} pairs, {together:,.0f} per second together "
              f"({found.settled.mean():.1%} settled), {one_by_one:,.0f} one by one", flush=True)  # fmt: skip


def machine_of(base, rows, cols, capacity, bandwidth):  # type: ignore[no-untyped-def]
    """Return a design of its own array, buffers and bandwidth."""
    from dataclasses import replace

    sizes = dict.fromkeys(("capacity_w_bits", "capacity_a_bits", "capacity_o_bits"), capacity)
    shape = replace(base.shape, rows=rows, cols=cols)
    return replace(base, shape=shape, dram_bits_per_cycle=bandwidth, **sizes)


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    if any(os.environ.get(name) != "1" for name in THREADS):  # one core: read when numpy is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, help="an environment that has scalesim 3.0.0, or is to get it")
    asked = parser.parse_args()
    pairs()
    with tempfile.TemporaryDirectory() as folder:
        compare(make_venv(asked.venv or Path(folder) / "venv"))


if __name__ == "__main__":
    sys.exit(main())
