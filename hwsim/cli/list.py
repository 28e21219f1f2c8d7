"""``hwsim list``: what names there are."""

from __future__ import annotations

from collections.abc import Callable

import click


def _arch() -> list[str]:
    from hwsim.spec.data import example_names

    return example_names("arch_configs")


def _sweep() -> list[str]:
    from hwsim.spec.data import example_names

    return example_names("sweeps")


def _metric() -> list[str]:
    from hwsim.explore.metrics import ALL_METRICS

    return sorted(ALL_METRICS)


def _model() -> list[str]:
    from hwsim.workload import model_names

    return model_names()


def _format() -> list[str]:
    from hwsim.formats import format_names

    return format_names()


def _pe() -> list[str]:
    from hwsim.hardware.pe import PES

    return PES.names()


def _dataflow() -> list[str]:
    from hwsim.simulate.dataflow import DATAFLOWS

    return DATAFLOWS.names()


def _technology() -> list[str]:
    from hwsim.hardware.technology import technology_names

    return technology_names()


def _memory() -> list[str]:
    from hwsim.hardware.memory import MEMORIES, dram_names

    return sorted([*dram_names(), *MEMORIES.names()])


def _network() -> list[str]:
    from hwsim.hardware.network import TOPOLOGIES

    return TOPOLOGIES.names()


def _multiplier() -> list[str]:
    from hwsim.formats.approximate import MULTIPLIERS

    return MULTIPLIERS.names()


def _function() -> list[str]:
    from hwsim.hardware.functions import FUNCTIONS

    return sorted(FUNCTIONS)


def _function_method() -> list[str]:
    from hwsim.hardware.functions import METHODS

    return METHODS.names()


def _hierarchy() -> list[str]:
    from hwsim.simulate.nest.hierarchy_file import hierarchy_names

    return hierarchy_names()


def _unit() -> list[str]:
    from hwsim.hardware.units import UNITS

    return UNITS.names()


def _device() -> list[str]:
    from hwsim.hardware.fpga.device import device_names

    return device_names()


def _importer() -> list[str]:
    """Return a line per kind of SOURCE: its name, how such sources end or begin, what they are, what --set gives."""
    from hwsim.workload.importers.base import IMPORTERS

    rows = [("zoo", "", "a model that hwsim ships: hwsim list model")]
    for name, one in IMPORTERS.items():
        settings = f" (--set {', '.join(one.settings)})" if one.settings else ""
        rows.append((name, " ".join((*one.suffixes, *one.schemes)), one.summary + settings))
    rows.append(("yaml", ".yaml .yml", "a workload file: any of these with phase and policy, or the operations (ops)"))
    return [f"{name:12} {ends:37} {what}" for name, ends, what in sorted(rows)]


def _architecture() -> list[str]:
    from hwsim.workload.models import FAMILIES

    return FAMILIES.names()


def _policy() -> list[str]:
    from hwsim.workload import policy_names
    from hwsim.workload.training.recipe import recipe_names

    return sorted({*policy_names(), *recipe_names()})


def _engine() -> list[str]:
    from hwsim.simulate.engine import ENGINES

    return ENGINES.names()


KINDS: dict[str, Callable[[], list[str]]] = {
    "arch": _arch,
    "architecture": _architecture,
    "dataflow": _dataflow,
    "device": _device,
    "engine": _engine,
    "format": _format,
    "function": _function,
    "function-method": _function_method,
    "hierarchy": _hierarchy,
    "importer": _importer,
    "memory": _memory,
    "metric": _metric,
    "model": _model,
    "multiplier": _multiplier,
    "network": _network,
    "pe": _pe,
    "policy": _policy,
    "sweep": _sweep,
    "technology": _technology,
    "unit": _unit,
}


@click.command("list", short_help="List the names of a kind.")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
def command(kind: str) -> None:
    """List every KIND that can be named in files and commands."""
    for name in KINDS[kind]():
        click.echo(name)
