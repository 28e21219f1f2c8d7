"""``hwsim``, ``hwsim COMMAND --help``, ``hwsim list KIND``: every command explains itself, and soon."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from hwsim.cli.list import KINDS
from hwsim.cli.main import CommandFiles, cli, run_command
from hwsim.spec.data import example_path
from hwsim.spec.screen import HEIGHT, WIDTH

pytestmark = pytest.mark.usefixtures("folded")

assert isinstance(cli, CommandFiles)
CONTEXT = click.Context(cli)
COMMANDS = cli.list_commands(CONTEXT)

#: Packages whose import takes long: none of them to print help, the first three not even to list names.
HEAVY = ["pandas", "scipy", "matplotlib", "pydantic", "numpy", "yaml", "rich", "simpy", "jinja2"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command(list(arguments))
    return (code, *capsys.readouterr())


def test_the_commands_that_the_design_names_are_there() -> None:
    wanted = {"run", "sweep", "pareto", "compare-formats", "explain", "trace", "validate", "schema", "list"}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command_with_a_line_of_its_own(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, flag)
    assert (code, err) == (0, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    explained = {line[0]: line[1] for line in lines if len(line) == 2}
    for name in COMMANDS:
        assert len(explained[name]) > 15, name
        assert explained[name].endswith("."), name
    assert "Exit codes: 0 ok" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: hwsim {name} ")
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in out
            assert parameter.help or isinstance(parameter.type, click.Choice), parameter.opts
    body = out.partition("\n\n")[2].strip()
    assert len(body.partition("Options:")[0]) > 40, "says what it does before it lists its options"
    assert max(map(len, out.splitlines())) <= WIDTH


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("change", ["{}s", "x{}", "{}-x"])
def test_a_misspelt_command_is_answered_with_the_nearest(
    name: str, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = change.format(name)
    code, out, err = run(capsys, wrong)
    folded = " ".join(err.split())
    assert (code, out) == (2, "")
    assert f"unknown command {wrong!r}" in folded
    assert f"did you mean {name!r}?" in folded
    assert all(command in folded for command in COMMANDS)
    assert len(err.splitlines()) <= HEIGHT


@pytest.mark.parametrize("name", COMMANDS)
def test_a_misspelt_option_is_answered_with_the_nearest(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    longest = max((o for p in command.params if isinstance(p, click.Option) for o in p.opts), key=len, default="--help")
    wrong = f"{longest}x"
    code, out, err = run(capsys, name, wrong)
    assert (code, out) == (2, "")
    assert f"No such option '{wrong}'" in err or f"No such option: {wrong}" in err
    assert longest in err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == 2
    assert all(name in out + err for name in COMMANDS)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run(capsys, "--version") == (0, f"hwsim, version {version('hwsim')}\n", "")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_list_prints_one_name_a_line(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "list", kind)
    assert (code, err) == (0, "")
    names = out.splitlines()
    assert len(names) >= 2, "every kind has members enough to choose from"
    assert names == sorted(set(names))
    assert all(name == name.strip() and name.isprintable() for name in names)


def test_what_is_listed_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Each list holds the very names that the part of hwsim which takes them knows."""
    from hwsim.explore.metrics import ALL_METRICS
    from hwsim.formats import parse_format
    from hwsim.formats.approximate import MULTIPLIERS
    from hwsim.hardware.fpga.device import load_device
    from hwsim.hardware.functions import FUNCTIONS, METHODS
    from hwsim.hardware.memory import MEMORIES, load_dram
    from hwsim.hardware.network import TOPOLOGIES
    from hwsim.hardware.pe import PES
    from hwsim.hardware.technology import load_technology
    from hwsim.hardware.units import UNITS
    from hwsim.simulate.dataflow import get_dataflow
    from hwsim.simulate.engine import ENGINES
    from hwsim.simulate.nest.hierarchy_file import load_hierarchy
    from hwsim.workload import Policy, find_model
    from hwsim.workload.importers.base import IMPORTERS
    from hwsim.workload.models import FAMILIES
    from hwsim.workload.training.recipe import find_recipe, recipe_names

    takers = {
        "arch": lambda name: example_path("arch_configs", name),
        "sweep": lambda name: example_path("sweeps", name),
        "dataflow": get_dataflow,
        "device": load_device,
        "engine": ENGINES.get,
        "format": parse_format,
        "function": FUNCTIONS.get,
        "function-method": METHODS.get,
        "hierarchy": load_hierarchy,
        "architecture": FAMILIES.get,
        "importer": lambda line: line.split()[0] in ("zoo", "yaml") or IMPORTERS.get(line.split()[0]),
        "memory": lambda name: (
            MEMORIES.get(name) if name in MEMORIES else load_dram(name, bandwidth_gb_s=1.0, energy_pj_per_bit=1.0)
        ),
        "metric": ALL_METRICS.__getitem__,
        "model": find_model,
        "multiplier": MULTIPLIERS.get,
        "network": TOPOLOGIES.get,
        "pe": PES.get,
        "policy": lambda name: find_recipe(name) if name in recipe_names() else Policy.parse(name),
        "technology": load_technology,
        "unit": UNITS.get,
    }
    assert takers.keys() == KINDS.keys()
    for kind, take in takers.items():
        for name in run(capsys, "list", kind)[1].splitlines():
            assert take(name) is not None


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that one command line imports, in a process of its own."""
    code = (
        "import json, sys\nfrom hwsim.cli.main import run_command\n"
        f"assert run_command({list(arguments)!r}) == 0\nprint('modules', json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1].removeprefix("modules ")))


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [(["--help"], HEAVY), (["--version"], HEAVY), (["list", "arch"], HEAVY), (["list", "model"], HEAVY[:3])],
    ids=lambda value: " ".join(value),
)
def test_help_and_lists_import_nothing_heavy(arguments: list[str], unwanted: list[str]) -> None:
    """A stand-in for the promise that ``hwsim --help`` answers within 0.2 s: it does not depend on the clock."""
    loaded = imported_by(*arguments)
    assert "click" in loaded
    assert [name for name in unwanted if name in loaded] == []
