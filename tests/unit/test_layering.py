"""The house: imports between wings run strictly downward, those inside ``hardware`` too."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hwsim

PACKAGE = Path(hwsim.__file__).parent

#: From the bottom up; a wing may import those left of it.
WINGS = ["spec", "formats", "hardware", "workload", "simulate", "explore", "report", "cli"]

#: Rooms of ``hardware`` and their floor; rooms of one floor do not know each other.
HARDWARE = {
    "circuits": 0, "synthesis": 1, "fpga": 1, "technology": 2, "memory": 3, "network": 3, "pe": 3, "cpu": 3,
    "functions": 3, "units": 3, "references": 4, "claims": 4, "target": 4, "memories_spec": 4, "accelerator_spec": 5,
    "off_chip": 6, "scratchpads": 6, "decoders": 6, "tables": 6, "levels": 6, "accelerator": 7, "accelerator_build": 8,
    "accelerator_on_device": 9,
}  # fmt: skip

FILES = sorted(p for wing in WINGS for p in (PACKAGE / wing).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, source: str) -> list[tuple[int, str]]:
    """Return ``(line, dotted name)`` of every import, also inside functions and for types only."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def broken_rule(module: str, target: str) -> str | None:
    """Return why ``module`` must not import ``target``, or None."""
    own, other = module.split("."), target.split(".")
    if other[0] != "hwsim":
        return None
    if len(other) < 2 or other[1] not in WINGS:
        return f"{target} is above every wing" if other[-1] != "__version__" else None
    if WINGS.index(other[1]) > WINGS.index(own[1]):
        return f"{own[1]} is below {other[1]}"
    if own[1] == other[1] == "hardware" and len(own) > 2 and len(other) > 2:
        mine, theirs = own[2], other[2]
        if mine != theirs and theirs in HARDWARE and HARDWARE.get(mine, 99) <= HARDWARE[theirs]:
            return f"hardware.{mine} is not above hardware.{theirs}"
    return None


@pytest.mark.parametrize("path", FILES, ids=[module_name(p) for p in FILES])
def test_imports_run_downward(path):
    module = module_name(path)
    broken = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {reason}"
        for line, target in imported(path, path.read_text())
        if (reason := broken_rule(module, target))
    ]
    assert not broken, "\n".join(broken)


def test_every_directory_of_python_files_is_a_known_wing():
    found = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert found <= set(WINGS)


def test_hardware_rooms_are_all_on_a_floor():
    rooms = {p.stem for p in (PACKAGE / "hardware").iterdir() if p.stem not in ("__init__", "__pycache__")}
    assert rooms <= set(HARDWARE)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("spec/x.py", "from hwsim.formats import parse_format", "spec is below formats"),
        ("spec/x.py", "def f():\n    import hwsim.cli.main", "spec is below cli"),
        ("formats/x.py", "from ..hardware import pe", "formats is below hardware"),
        ("formats/element/__init__.py", "from ...simulate.cost import X", "formats is below simulate"),
        ("simulate/x.py", "import hwsim", "above every wing"),
        ("simulate/x.py", "from hwsim import run", "above every wing"),
        ("hardware/circuits/x.py", "from hwsim.hardware.technology import T", "circuits is not above"),
        ("hardware/pe/x.py", "from hwsim.hardware.memory import Sram", "pe is not above hardware.memory"),
        ("hardware/memory/x.py", "from ..accelerator import A", "memory is not above hardware.accelerator"),
        ("hardware/memory/x.py", "from ..technology import T", None),
        ("hardware/memory/x.py", "from . import y", None),
        ("hardware/accelerator.py", "from .pe import make_pe", None),
        ("cli/x.py", "from hwsim.simulate import evaluate\nimport numpy", None),
        ("cli/main.py", "from hwsim import __version__", None),
        ("workload/x.py", "from hwsim.workload.ops import Gemm", None),
    ],
)
def test_the_rule_itself(module, source, expected):
    path = PACKAGE / module
    reasons = [broken_rule(module_name(path), target) for _, target in imported(path, source)]
    found = [reason for reason in reasons if reason]
    assert bool(found) == (expected is not None), found
    if expected:
        assert expected in found[0]


def test_no_module_imports_itself_in_a_circle():
    modules = {module_name(path): path for path in FILES}

    def module_of(target: str) -> str:
        """Return the module that ``a.b.name`` names: itself, or the one that holds the name."""
        return target if target in modules else target.rpartition(".")[0]

    known = {
        name: {module_of(target) for _, target in imported(path, path.read_text())} & modules.keys() - {name}
        for name, path in modules.items()
    }
    order = TopologicalSorter(known)
    try:
        order.prepare()
    except CycleError as circle:
        pytest.fail(" imports ".join(reversed(circle.args[1])))
