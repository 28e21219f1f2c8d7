"""The netlist that yosys writes as JSON: cells with their ports, and what drives and uses each bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from hwsim.spec.errors import UsageError

#: A bit of a net by its number, or a constant as text.
Bit: TypeAlias = int | str


@dataclass(frozen=True)
class Cell:
    """A cell: its type, the bits at each port, and which ports are inputs."""

    name: str
    kind: str
    ports: Mapping[str, tuple[Bit, ...]]
    inputs: frozenset[str]

    @property
    def signals(self) -> frozenset[int]:
        """Nets at its inputs; constants are none."""
        return frozenset(bit for port in self.inputs for bit in self.ports[port] if isinstance(bit, int))

    def bit(self, port: str, place: int = 0) -> Bit:
        """Return what is at a port; constant 0 where it is not connected."""
        bits = self.ports.get(port, ())
        return bits[place] if place < len(bits) else "0"


@dataclass(frozen=True)
class Netlist:
    """Cells of a flat module, and the bits of its output ports."""

    cells: tuple[Cell, ...]
    outputs: tuple[Bit, ...]

    @cached_property
    def uses(self) -> Counter[Bit]:
        """How many inputs of cells, and outputs of the module, each bit goes to."""
        found: Counter[Bit] = Counter(self.outputs)
        for cell in self.cells:
            for port in cell.inputs:
                found.update(cell.ports[port])
        return found

    def count(self, *prefixes: str) -> int:
        """Return how many cells have a type that begins so."""
        return sum(cell.kind.startswith(prefixes) for cell in self.cells)


def read_netlist(data: Mapping[str, Any], top: str = "top") -> Netlist:
    """Return the netlist of module ``top`` in what ``write_json`` wrote.

    Raises
    ------
    UsageError
        If there is no such module.
    """
    modules = data.get("modules", {})
    if top not in modules:
        raise UsageError(f"the netlist has no module {top!r}; it has: {', '.join(sorted(modules)) or 'none'}")
    outputs = [bit for port in modules[top]["ports"].values() if port["direction"] == "output" for bit in port["bits"]]
    return Netlist(tuple(_cell(name, cell) for name, cell in modules[top]["cells"].items()), tuple(outputs))


def _cell(name: str, data: Mapping[str, Any]) -> Cell:
    ways = data["port_directions"]
    return Cell(
        name=name,
        kind=data["type"],
        ports={port: tuple(bits) for port, bits in data["connections"].items()},
        inputs=frozenset(port for port in data["connections"] if ways[port] == "input"),
    )
