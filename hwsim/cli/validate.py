"""``hwsim validate``: check files without running them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.spec.errors import InfeasibleError, SpecError, UsageError, closest

if TYPE_CHECKING:
    from hwsim.simulate.architecture import Simulated
    from hwsim.spec.document import Document


def models() -> dict[str, Any]:
    """Return the pydantic model of each kind of YAML file."""
    from hwsim.explore.sweep_file import SweepSpec
    from hwsim.formats.own_file import FormatSpec
    from hwsim.hardware.fpga.device_file import DeviceSpec
    from hwsim.simulate.architecture import ArchSpec
    from hwsim.simulate.nest.hierarchy_file import HierarchySpec
    from hwsim.workload.spec import WorkloadSpec

    return {
        "arch": ArchSpec,
        "workload": WorkloadSpec,
        "sweep": SweepSpec,
        "format": FormatSpec,
        "hierarchy": HierarchySpec,
        "device": DeviceSpec,
    }


def kind_of(path: Path) -> str:
    """Return what kind of file ``path`` is, by its suffix and, in YAML and JSON, by its keys.

    Raises
    ------
    SpecError
        If it cannot be read.
    """
    from hwsim.spec.document import load_document
    from hwsim.workload.importers.base import find_importer
    from hwsim.workload.importers.hf_config import read_config

    fields = {kind: {"base", *model.model_fields} for kind, model in models().items()}
    importer = find_importer(str(path))
    if importer == "csv":
        return "trace"
    if importer not in (None, "hf_config"):
        return "source"
    if path.suffix.lower() == ".json":
        keys = set(read_config(path))
        if keys & {"model_type", "_class_name"} or keys.isdisjoint(set().union(*fields.values())):
            return "config"
    return kind_of_keys(load_document(path, inherit=False).data, fields)


def kind_of_keys(keys: Collection[Any], fields: Mapping[str, Collection[str]]) -> str:
    """Return the kind whose ``fields`` hold most of ``keys``; a misspelt key counts half."""

    def score(kind: str) -> float:
        return sum(1 if key in fields[kind] else 0.5 if closest(key, fields[kind]) else 0 for key in keys)

    return max(fields, key=score)


def check(path: Path) -> str:
    """Validate one file and return its kind.

    Raises
    ------
    UsageError
        If it is no valid architecture, hierarchy, sweep, workload, number format, device, trace or model
        config.
    """
    kind = kind_of(path)
    CHECKS[kind](path)
    return kind


def _check_arch_file(path: Path) -> None:
    from hwsim.hardware.fpga.beside import devices_beside
    from hwsim.spec.document import load_document
    from hwsim.spec.screen import on_screen

    document = devices_beside(load_document(path))
    simulated = check_arch(document)
    reason = tile_problem(simulated)
    if reason is not None:
        path_of, message = document.narrowed((), reason)
        warning = document.problem(path_of, f"only GEMMs smaller than the array fit; {message}")
        click.echo(on_screen(SpecError([warning]), "warning: "), err=True)


def check_arch(document: Document) -> Simulated:
    """Return the machine of an architecture that can be built and computes its own formats.

    Raises
    ------
    SpecError
        With every mistake at its place.
    """
    from hwsim.formats import parse_format
    from hwsim.hardware.technology.spec import open_technology
    from hwsim.simulate.architecture import ArchSpec, simulate_arch
    from hwsim.spec.bind import bind

    spec = bind(document, ArchSpec)
    if spec.device is None:
        with document.blame("technology"):
            open_technology(spec.technology.name, spec.technology)
    with document.blame():
        simulated = simulate_arch(spec)
    policy = simulated.policy
    a, o = parse_format(policy.a_format), parse_format(policy.o_format or policy.a_format)
    with document.blame("formats" if "formats" in document.data else "pe"):
        for w in (policy.w_format, policy.kv_format or policy.a_format):
            simulated.machine(parse_format(w), a, o)
    return simulated


def tile_problem(simulated: Simulated) -> str | None:
    """Return why a GEMM of the array's own size does not fit the buffers, None if it does.

    More is not knowable without a workload: a smaller GEMM needs smaller tiles.
    """
    from hwsim.formats import parse_format
    from hwsim.simulate.mapping import map_gemm
    from hwsim.workload import Gemm

    policy = simulated.policy
    a, o = parse_format(policy.a_format), parse_format(policy.o_format or policy.a_format)
    machine = simulated.machine(parse_format(policy.w_format), a, o)
    units = machine.dataflow.units(machine.shape)
    try:
        map_gemm(Gemm("array", units["m"], units["n"], units["k"]), machine)
    except InfeasibleError as error:
        return str(error)
    return None


def _check_sweep_file(path: Path) -> None:
    from hwsim.explore.evaluation import open_sweep

    open_sweep(path)


def _check_workload_file(path: Path) -> None:
    from hwsim.workload import load_workload

    load_workload(path)


def _check_trace(path: Path) -> None:
    from hwsim.workload import read_trace

    read_trace(path)


def _check_format_file(path: Path) -> None:
    from hwsim.formats.names import format_of_file

    format_of_file(path)


def _check_hierarchy_file(path: Path) -> None:
    from hwsim.simulate.nest.hierarchy_file import load_hierarchy_spec

    load_hierarchy_spec(path)


def _check_device_file(path: Path) -> None:
    from hwsim.hardware.fpga.device import load_device

    load_device(str(path))


#: How a file of each kind is checked; each raises a UsageError.
CHECKS: dict[str, Callable[[Path], None]] = {
    "arch": _check_arch_file,
    "config": _check_workload_file,
    "device": _check_device_file,
    "format": _check_format_file,
    "hierarchy": _check_hierarchy_file,
    "source": _check_workload_file,
    "sweep": _check_sweep_file,
    "trace": _check_trace,
    "workload": _check_workload_file,
}


@click.command("validate", short_help="Check files of any kind without running them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(files: tuple[Path, ...]) -> int:
    """Check FILES; every problem of every file is reported. Exit code 2 if there is one.

    Architectures, memory hierarchies, sweeps, workloads, number formats and FPGA devices in YAML, trace CSVs,
    Hugging Face config.json, and whatever else hwsim list importer names.
    """
    from hwsim.spec.screen import on_screen

    code = 0
    for path in files:
        try:
            click.echo(f"{path}: valid {check(path)}")
        except UsageError as error:
            click.echo(on_screen(error), err=True)
            code = error.exit_code
    return code
