"""The Python face of hwsim: what ``import hwsim`` offers, mirroring the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.explore import compare
from hwsim.explore.compare import Comparison
from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.pe_costs import pe_costs
from hwsim.explore.store import Store
from hwsim.explore.sweep import Progress, SweepResult, run_sweep
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import Result, evaluate
from hwsim.spec.data import find_example
from hwsim.workload import Trace, load_workload


def load_trace(workload: str | Path | Mapping[str, Any], **options: Any) -> Trace:
    """Return the trace of a model name, ``config.json``, trace CSV or workload YAML.

    ``options`` are fields of a workload: ``phase``, ``seq_len``, ``context``, ``batch``, ….

    Raises
    ------
    UsageError
        If there is no such workload, or an option does not fit it.
    """
    return load_workload(workload, **options)


def run(
    arch: str | Path,
    workload: str | Path | Mapping[str, Any] | Trace,
    *,
    engine: str = "fast",
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Simulate one workload on one architecture.

    Parameters
    ----------
    arch
        A YAML file, or the name of an example (``hwsim list arch``).
    workload
        A :class:`Trace`, or what :func:`load_trace` takes together with ``options``.
    engine
        ``fast``, or ``pe`` for small GEMMs.
    settings
        Fields to override, by dotted path: ``{"array.rows": 64}``.

    Returns
    -------
    Result
        ``frame`` is the layer table, ``design_row`` the totals.

    Raises
    ------
    UsageError
        If a name or value is wrong, or the design cannot run the workload.
    """
    trace = workload if isinstance(workload, Trace) else load_trace(workload, **options)
    simulated = open_arch(find_example("arch_configs", arch), settings)
    with simulated.blame():
        return evaluate(simulated, trace, engine)


def compare_formats(
    arch: str | Path,
    workload: str | Path | Mapping[str, Any] | Trace,
    formats: Sequence[str],
    *,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Comparison:
    """Run one workload once per number format, each on the PE that is built for it.

    Parameters are those of :func:`run`; ``formats`` are labels such as ``fp16, int8, mxfp4,
    lmul_e4m3, bitmod3_g128, w4a16_g128``.

    Returns
    -------
    Comparison
        ``frame`` holds the layer tables of all formats, ``totals`` one row per format.

    Raises
    ------
    UsageError
        If a format is unknown or named twice, or a name or value is wrong.
    """
    trace = workload if isinstance(workload, Trace) else load_trace(workload, requantized=True, **options)
    return compare.compare_formats(find_example("arch_configs", arch), trace, formats, settings)


def sweep(
    path: str | Path,
    *,
    store: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """Evaluate every point of a sweep file.

    Parameters
    ----------
    path
        A YAML file, or the name of an example (``hwsim list sweep``).
    store
        An SQLite file that keeps finished points for the next run; by default nothing is kept.
    jobs
        Worker processes; a script that uses several guards them with ``if __name__ == "__main__"``.
    progress
        Called after each batch of points.

    Returns
    -------
    SweepResult
        ``frame`` is the design table, ``front()`` the Pareto front.

    Raises
    ------
    SpecError
        With every mistake of the sweep file.
    """
    opened = open_sweep(find_example("sweeps", path))
    with Store(store) as opened_store:
        return run_sweep(opened, PointEvaluator(opened), opened_store, jobs, progress=progress)


__all__ = ["compare_formats", "load_trace", "pe_costs", "run", "sweep"]
