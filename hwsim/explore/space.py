"""The design space of a sweep: every combination of the axes, numbered the same way every time.

Designs are counted like an odometer, the last axis turning fastest; each design is followed by
its workloads. Points are made on demand from their number, so a large space costs no memory.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from hwsim.explore.labels import axis_texts, design_label
from hwsim.explore.values import base_number


@dataclass(frozen=True, slots=True)
class Point:
    """One design with one workload.

    Parameters
    ----------
    index
        Number of the point in its space, from 0; the order of every table.
    overrides
        Dotted path of the architecture file to its value, parents before their fields.
    workload
        Number of the workload in the sweep's list.
    label
        Short readable name of the design: ``float_mac fp16 32x32 512KiB``.
    """

    index: int
    overrides: Mapping[str, Any]
    workload: int
    label: str


@dataclass(frozen=True)
class Axis:
    """Fields that move together: ``steps[i]`` holds one value per path."""

    paths: tuple[str, ...]
    steps: tuple[tuple[Any, ...], ...]


class Space(Sequence[Point]):
    """All points of a sweep, by number.

    Parameters
    ----------
    axes
        The swept fields; no axis gives the base design alone.
    tie
        Path to the swept path whose value it copies.
    workloads
        How many workloads each design runs.
    samples, seed
        With ``samples``, a Latin hypercube of that many designs instead of all combinations:
        every axis is cut into ``samples`` equal strata and each stratum is used once. Designs
        that fall on the same values are kept once.
    name
        Label of the design when nothing is swept.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        tie: Mapping[str, str] | None = None,
        workloads: int = 1,
        samples: int | None = None,
        seed: int = 0,
        name: str = "base",
    ) -> None:
        self.axes = tuple(axes)
        self.tie = dict(tie or {})
        self.workloads = workloads
        self.name = name
        self._sizes = [len(axis.steps) for axis in self.axes]
        self._chosen = None if samples is None else latin_hypercube(self._sizes, samples, seed)
        self._paths = tuple(path for axis in self.axes for path in axis.paths)
        self._texts = {
            path: axis_texts(path, [step[i] for step in axis.steps])
            for axis in self.axes
            for i, path in enumerate(axis.paths)
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """The swept paths in their order, tied ones last."""
        return (*self._paths, *self.tie)

    @property
    def designs(self) -> int:
        """Number of designs; each runs every workload."""
        return prod(self._sizes) if self._chosen is None else len(self._chosen)

    def __len__(self) -> int:
        return self.designs * self.workloads

    def __iter__(self) -> Iterator[Point]:
        return (self._point(index) for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Return one point, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self._point(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"point {index} of {len(self)}")
        return self._point(index % len(self))

    def _levels(self, design: int) -> tuple[int, ...]:
        if self._chosen is not None:
            return self._chosen[design]
        levels = []
        for size in reversed(self._sizes):
            design, level = divmod(design, size)
            levels.append(level)
        return tuple(reversed(levels))

    def _point(self, index: int) -> Point:
        design, workload = divmod(index, self.workloads)
        levels = self._levels(design)
        values: dict[str, Any] = {}
        texts: dict[str, str] = {}
        for axis, level in zip(self.axes, levels, strict=True):
            for path, value in zip(axis.paths, axis.steps[level], strict=True):
                values[path] = value
                texts[path] = self._texts[path][level]
        for path, source in self.tie.items():
            values[path] = values[source]
        return Point(index, parents_first(values), workload, design_label(values, texts) or self.name)

    def parameters(self, index: int) -> dict[str, Any]:
        """Return the swept values of point ``index`` as table cells, in the order of :attr:`paths`.

        Quantities are in the base unit (bytes, hertz, …); mappings are their short text.
        """
        levels = self._levels(index // self.workloads)
        cells: dict[str, Any] = {}
        for axis, level in zip(self.axes, levels, strict=True):
            for path, value in zip(axis.paths, axis.steps[level], strict=True):
                cells[path] = self._texts[path][level] if isinstance(value, Mapping) else base_number(value)
        for path, source in self.tie.items():
            cells[path] = cells[source]
        return cells


def parents_first(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``overrides`` with ``pe`` before ``pe.lanes``: set the other way round, one would be lost."""
    return dict(sorted(overrides.items(), key=lambda item: item[0].count(".")))


def latin_hypercube(sizes: Sequence[int], samples: int, seed: int) -> list[tuple[int, ...]]:
    """Return up to ``samples`` distinct tuples of levels, one stratum of each axis per sample.

    Only ``random.Random.random`` is used: Python promises its sequence for a given seed.
    """
    rng = random.Random(seed)
    columns = []
    for size in sizes:
        keys = [rng.random() for _ in range(samples)]
        order = sorted(range(samples), key=keys.__getitem__)
        places = ((stratum + rng.random()) / samples for stratum in order)
        columns.append([min(int(place * size), size - 1) for place in places])
    if not columns:
        return [()]
    return list(dict.fromkeys(zip(*columns, strict=True)))
