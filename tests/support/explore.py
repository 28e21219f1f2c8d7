"""Small sweeps: a base architecture of seven lines, evaluations that cost nothing, points by number."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from hwsim.explore.space import Point
from hwsim.explore.spec import Sweep, load_sweep
from hwsim.spec.errors import InfeasibleError, UsageError

ARCH = """\
name: tiny
technology: 28nm
clock: 1 GHz
array: {rows: 4, cols: 8}
pe: {family: mac, format: int8, lanes: 2}
memories:
  weights: {size: 64 KiB}
  activations: {size: 32 KiB}
"""

#: Twelve points: three row counts, two sizes, two workloads.
SWEEP = """\
name: tiny-sweep
base: base.yaml
workloads:
  - {model: a, batch: 1}
  - {model: b}
grid:
  array.rows: [4, 8, 16]
  memories.weights.size: [64 KiB, 128 KiB]
objectives: {energy_mj: min, latency_ms: min}
"""


def write_sweep(folder: Path, text: str = SWEEP, arch: str = ARCH) -> Path:
    """Write ``base.yaml`` and ``sweep.yaml`` and return the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text(arch)
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def make(folder: Path, text: str = SWEEP, arch: str = ARCH) -> Sweep:
    """Write a sweep and load it."""
    return load_sweep(write_sweep(folder, text, arch))


def points(count: int) -> list[Point]:
    """Return ``count`` points whose only value is their number."""
    return [Point(i, {"array.rows": i + 1}, 0, f"rows={i + 1}") for i in range(count)]


# Evaluations: functions of this module, so that worker processes can import them.


def square(point: Point) -> dict[str, object]:
    """Return figures that differ from point to point."""
    rows = point.overrides["array.rows"]
    return {"area_mm2": rows * rows, "latency_ms": 1 / rows, "energy_mj": 0.5 * rows + point.workload, "note": "x"}


def picky(point: Point) -> dict[str, object]:
    """As :func:`square`, but points 1, 2 and 3 end in each other way."""
    if point.index == 1:
        raise InfeasibleError("the buffer cannot hold one tile")
    if point.index == 2:
        raise UsageError("no such\n  format")
    if point.index == 3:
        raise RuntimeError("a bug")
    return square(point)


def _deadly(deaths: tuple[int, ...], sign: int, point: Point) -> dict[str, object]:
    if point.index in deaths:
        os.kill(os.getpid(), sign)
    return square(point)


def deadly(*deaths: int, sign: int = signal.SIGKILL) -> partial[dict[str, object]]:
    """Return an evaluation that kills its process at the points ``deaths``."""
    return partial(_deadly, deaths, sign)


def _once_deadly(marks: Path, deaths: tuple[int, ...], point: Point) -> dict[str, object]:
    mark = marks / str(point.index)
    if point.index in deaths and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(point)


def once_deadly(marks: Path, *deaths: int) -> partial[dict[str, object]]:
    """Return an evaluation that kills its process the first time at each of ``deaths``."""
    return partial(_once_deadly, marks, deaths)


def _patient(mark: Path, point: Point) -> dict[str, object]:
    deadline = time.monotonic() + 30
    while point.index == 1 and not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return square(point)


def patient(mark: Path) -> partial[dict[str, object]]:
    """Return an evaluation that waits at point 1 until the file ``mark`` exists, or half a minute."""
    return partial(_patient, mark)


def _recorded(folder: Path, point: Point) -> dict[str, object]:
    with (folder / f"{point.index}").open("a") as file:
        file.write("x")
    return square(point)


def recorded(folder: Path) -> partial[dict[str, object]]:
    """Return an evaluation that leaves one mark per call; see :func:`calls`."""
    folder.mkdir(exist_ok=True)
    return partial(_recorded, folder)


def calls(folder: Path) -> dict[int, int]:
    """Return how often each point was evaluated by :func:`recorded`."""
    return {int(path.name): len(path.read_text()) for path in sorted(folder.iterdir(), key=lambda p: int(p.name))}
