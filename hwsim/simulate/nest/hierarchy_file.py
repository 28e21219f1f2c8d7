"""A memory hierarchy from YAML; the shipped ones lie in ``hwsim/data/hierarchies``."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hwsim.simulate.nest.hierarchy import Axis, Hierarchy, Level, Port, Store
from hwsim.spec.bind import Spec, bind
from hwsim.spec.data import data_path
from hwsim.spec.document import load_document
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.text import exists
from hwsim.spec.units import EnergyPj, SizeBytes

Operand = Literal["a", "w", "o"]
Dim = Literal["m", "k", "n"]
#: Operands of a store or port: some, and none twice.
Operands = Annotated[list[Operand], Field(min_length=1)]
MOST = 1 << 40


class StoreSpec(Spec):
    """A part of a level with a capacity of its own."""

    holds: Operands = Field(["a", "w", "o"], description="operands that share it")
    size: SizeBytes | None = Field(None, description="per instance; default: without limit")
    double_buffered: bool = Field(False, description="one half is filled while the other is in use")


class PortSpec(Spec):
    """What moves a level's bits."""

    operands: Operands = Field(["a", "w", "o"])
    directions: Annotated[list[Literal["read", "write"]], Field(min_length=1)] = Field(["read", "write"])
    bits_per_cycle: int = Field(ge=1, le=MOST)


class AxisSpec(Spec):
    """Instances side by side below a level."""

    name: str = Field(min_length=1)
    loops: Annotated[list[Dim], Field(min_length=1)] = Field(description="loops that may lie on it")
    size: int = Field(ge=1, le=65_536)
    shared: bool = Field(True, description="what all instances need is read once; false: once for each")


class LevelSpec(Spec):
    """A level of the hierarchy; ``fan_out`` is what lies between it and the next one."""

    name: str = Field(min_length=1)
    stores: Annotated[list[StoreSpec], Field(min_length=1)] = Field([StoreSpec()])
    ports: tuple[PortSpec, ...] = Field((), description="default: never the limit")
    read_energy: EnergyPj = Field(description="per access")
    write_energy: EnergyPj = Field(description="per access")
    access_bits: int = Field(1, ge=1, le=MOST, description="bits of an access")
    fan_out: tuple[AxisSpec, ...] = ()


class WidthsSpec(Spec):
    """Bits per element."""

    a: int = Field(8, ge=1, le=1024)
    w: int = Field(8, ge=1, le=1024)
    psum: int = Field(32, ge=1, le=1024, description="of partial sums")
    result: int = Field(32, ge=1, le=1024, description="of results, where they are kept as such")


class NestMapperSpec(Spec):
    """What the search looks for."""

    objective: Literal["energy", "latency", "edp"] = "energy"
    bypass: bool = Field(False, description="operands may pass by levels that could hold them")


class HierarchySpec(Spec):
    """Levels from the outermost to the innermost; below the last one stand the MACs."""

    name: str = Field(min_length=1)
    description: str = ""
    source: str = Field(min_length=1, description="where the figures are from")
    mac_energy: EnergyPj
    levels: Annotated[list[LevelSpec], Field(min_length=1)]
    widths: WidthsSpec = WidthsSpec()
    mapper: NestMapperSpec = NestMapperSpec()
    result_level: str | None = Field(
        None, description="innermost level that keeps results in their own width; default: the outermost level"
    )

    @model_validator(mode="after")
    def _consistent(self) -> HierarchySpec:
        names = [level.name for level in self.levels]
        if self.result_level is not None and self.result_level not in names:
            raise ValueError(
                f"result_level: unknown level {self.result_level!r}; {did_you_mean(self.result_level, names)}"
            )
        self.build()
        return self

    def build(self) -> Hierarchy:
        """Return the hierarchy.

        Raises
        ------
        UsageError
            If it contradicts itself.
        """
        names = [level.name for level in self.levels]
        axes = tuple(
            Axis(axis.name, tuple(axis.loops), axis.size, below, axis.shared)
            for below, level in enumerate(self.levels)
            for axis in level.fan_out
        )
        inner = 0 if self.result_level is None else names.index(self.result_level)
        return Hierarchy(self.name, tuple(_level(level) for level in self.levels), axes, self.mac_energy, inner)


def _level(spec: LevelSpec) -> Level:
    return Level(
        spec.name,
        tuple(
            Store(tuple(s.holds), None if s.size is None else int(s.size) * 8, 2 if s.double_buffered else 1)
            for s in spec.stores
        ),
        tuple(Port(tuple(p.operands), tuple(p.directions), Fraction(p.bits_per_cycle)) for p in spec.ports),
        spec.read_energy / spec.access_bits,
        spec.write_energy / spec.access_bits,
    )


def hierarchy_names() -> list[str]:
    """Return the names of the shipped hierarchies."""
    return sorted(path.stem for path in data_path("hierarchies").glob("*.yaml"))


def find_hierarchy(name: str) -> Path:
    """Return the file of a hierarchy: a shipped one by its name, or a path.

    Raises
    ------
    UsageError
        If it looks like a name and there is none.
    """
    path = Path(name)
    if path.suffix or len(path.parts) > 1 or exists(path):
        return path
    if name not in hierarchy_names():
        raise UsageError(f"unknown hierarchy {name!r}; {did_you_mean(name, hierarchy_names())}")
    return data_path("hierarchies", f"{name}.yaml")


def load_hierarchy_spec(path: Path, overrides: Mapping[str, Any] | None = None) -> HierarchySpec:
    """Read a hierarchy file.

    Raises
    ------
    SpecError
        With every mistake at its place.
    """
    document = load_document(path)
    return bind(document.with_overrides(overrides) if overrides else document, HierarchySpec)


def load_hierarchy(name: str) -> Hierarchy:
    """Return a hierarchy by the name of a shipped one or by its path."""
    return load_hierarchy_spec(find_hierarchy(name)).build()
