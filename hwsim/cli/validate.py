"""``hwsim validate``: check files without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hwsim.spec.errors import HwsimError, UsageError


def models() -> dict[str, Any]:
    """Return the pydantic model of each kind of file."""
    from hwsim.explore.spec import SweepSpec
    from hwsim.simulate.architecture import ArchSpec
    from hwsim.workload.spec import WorkloadSpec

    return {"arch": ArchSpec, "workload": WorkloadSpec, "sweep": SweepSpec}


def check(path: Path) -> str:
    """Validate one file and return its kind.

    Raises
    ------
    UsageError
        If it is no valid architecture, sweep, workload or trace.
    """
    from hwsim.explore.spec import load_sweep
    from hwsim.simulate.architecture import load_arch, simulate_arch
    from hwsim.spec.document import load_document
    from hwsim.workload import load_workload, read_trace

    if path.suffix == ".csv":
        read_trace(path)
        return "trace"
    keys = set(load_document(path, inherit=False).data)
    if keys & {"grid", "objectives", "workloads", "search"}:
        load_sweep(path)
        return "sweep"
    if keys & {"model", "trace", "config"}:
        load_workload(path)
        return "workload"
    simulate_arch(load_arch(path))
    return "arch"


@click.command("validate", short_help="Check architecture, sweep, workload and trace files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(files: tuple[Path, ...]) -> int:
    """Check FILES; every problem of every file is reported. Exit code 2 if there is one."""
    bad: list[str] = []
    for path in files:
        try:
            click.echo(f"{path}: valid {check(path)}")
        except HwsimError as error:
            bad.append(str(error))
    if bad:
        raise UsageError("\n".join(bad))
    return 0
