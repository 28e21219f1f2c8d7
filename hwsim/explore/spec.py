"""A sweep: what varies, on which workloads, within which limits, towards which goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hwsim.explore.constraints import Expression, parse_condition
from hwsim.explore.grounds import Ground, apart, grounds_of, nowhere, usual_objectives
from hwsim.explore.labels import value_text, workload_label
from hwsim.explore.metrics import ALL_METRICS, Direction
from hwsim.explore.space import Point, Space, parents_first
from hwsim.explore.sweep_file import SweepSpec
from hwsim.explore.values import base_number, canonical, repeated
from hwsim.explore.variables import dotted_leaves
from hwsim.formats.own import look_beside
from hwsim.hardware.fpga.beside import devices_beside, devices_of_sweep
from hwsim.spec.bind import bind
from hwsim.spec.document import Document, load_document, resolve_base
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean


@dataclass
class Sweep:
    """A sweep file that was read and checked, with the architecture that it starts from.

    ``folder`` is the place that relative paths in the file start from; ``document`` the file with
    its places; ``arch`` the base architecture as plain data with its places. ``trace_digests`` are
    those of the workloads' traces, and ``trace_notes`` what these say of formats that they keep, once they are known.
    """

    spec: SweepSpec
    folder: Path
    arch_path: Path
    arch: Document
    document: Document
    trace_digests: tuple[str, ...] = ()
    trace_notes: tuple[str, ...] = ()

    @cached_property
    def space(self) -> Space:
        """All points of the sweep."""
        cube = self.spec.latin_hypercube
        return Space(
            self.spec.axes(),
            self.spec.tie,
            len(self.spec.workloads),
            samples=cube.samples if cube else None,
            seed=cube.seed if cube else 0,
            name=str(self.arch.data.get("name", self.arch_path.stem)),
        )

    def resolved(self, point: Point) -> Document:
        """Return the architecture of ``point``: the base with the point's values set."""
        return self.arch.with_overrides(point.overrides, origin=f"point {point.label}")

    @cached_property
    def workload_labels(self) -> tuple[str, ...]:
        """Names of the workloads, as tables show them."""
        return tuple(workload_label(workload) for workload in self.spec.workloads)

    @cached_property
    def conditions(self) -> tuple[tuple[Expression, ...], tuple[Expression, ...]]:
        """The constraints that the fields alone decide, and those that need metrics."""
        parsed = [parse_condition(text) for text in self.spec.constraints]
        before = tuple(e for e in parsed if not e.names & ALL_METRICS.keys())
        return before, tuple(e for e in parsed if e not in before)

    @cached_property
    def grounds(self) -> tuple[Ground, ...]:
        """What the designs that the constraints on fields admit are built on."""
        return grounds_of(self.arch, self.space, self.conditions[0])

    @cached_property
    def objectives(self) -> Mapping[str, Direction]:
        """What the sweep aims at: as the file says, else metrics that its designs have."""
        return self.spec.objectives or usual_objectives(self.grounds)


def load_sweep(path: str | Path, check_arch: Callable[[Document], object] | None = None) -> Sweep:
    """Read a sweep file and the architecture that it names, and check both.

    Parameters
    ----------
    path
        The sweep file.
    check_arch
        Raises SpecError for an architecture that is not valid. It is called once per swept value,
        so that a wrong value is reported at its place in the sweep file, before anything runs.

    Raises
    ------
    SpecError
        With every problem found, each at its line and column.
    """
    path = Path(path)
    look_beside(path)
    # "base" names the architecture here, not a sweep to inherit from.
    return make_sweep(devices_of_sweep(load_document(path, inherit=False), path.parent), path.parent, check_arch)


def make_sweep(document: Document, folder: Path, check_arch: Callable[[Document], object] | None = None) -> Sweep:
    """Return the sweep that ``document`` describes; see :func:`load_sweep`.

    ``folder`` is the place that relative paths start from.
    """
    spec = bind(document, SweepSpec)
    arch_path = resolve_base(spec.base, folder / "sweep.yaml")
    if not arch_path.is_file():
        near = did_you_mean(arch_path.name, [p.name for p in arch_path.parent.glob("*.y*ml")])
        text = (
            f"{str(arch_path)!r} is a directory" if arch_path.is_dir() else f"no such file {str(arch_path)!r}; {near}"
        )
        raise SpecError([document.problem(("base",), text)])
    look_beside(arch_path)
    _raise(_axis_problems(spec, document))
    sweep = Sweep(spec, folder, arch_path, devices_beside(load_document(arch_path)), document)
    _raise([*_name_problems(sweep, document), *_workload_problems(sweep, document)])
    if check_arch is not None:
        check_arch(sweep.arch)
    _raise(_value_problems(sweep, document, check_arch))
    _raise(_metric_problems(sweep, document))
    return sweep


def _raise(problems: Iterator[Problem] | list[Problem]) -> None:
    found = list(problems)
    if found:
        raise SpecError(found)


def _sections(spec: SweepSpec, document: Document) -> list[tuple[Any, ...]]:
    """Return where each axis stands in the file; a single zip group may stand without its list."""
    one = isinstance(document.data.get("zip"), Mapping)
    groups = [("zip",) if one else ("zip", number) for number, group in enumerate(spec.zip) if group]
    return [*(("grid",) for _ in spec.grid), *groups]


def _axis_problems(spec: SweepSpec, document: Document) -> Iterator[Problem]:
    """Paths that are swept twice, groups of unequal length, ties that lead nowhere."""
    swept = set(spec.grid)
    for group, place in zip(filter(None, spec.zip), _sections(spec, document)[len(spec.grid) :], strict=True):
        if len({len(values) for values in group.values()}) > 1:
            counts = ", ".join(f"{path} has {len(values)}" for path, values in group.items())
            yield document.problem(place, f"paths that advance together need equally many values: {counts}", key=True)
        elif (twice := _repeated_step(group)) is not None:
            step = ", ".join(f"{path} = {value_text(values[twice], path)}" for path, values in group.items())
            yield document.problem(place, f"the step {step} stands twice", key=True)
        for path in group:
            if path in swept:
                yield document.problem((*place, path), f"{path!r} is swept twice", key=True)
            swept.add(path)
    for path, source in spec.tie.items():
        if path in swept:
            yield document.problem(("tie", path), f"{path!r} is swept and tied", key=True)
        if source not in swept:
            yield document.problem(("tie", path), f"{source!r} is not swept; {did_you_mean(source, swept)}")


def _repeated_step(group: Mapping[str, Sequence[Any]]) -> int | None:
    steps = zip(*group.values(), strict=True)
    return repeated([tuple(base_number(value) for value in step) for step in steps])


def _name_problems(sweep: Sweep, document: Document) -> Iterator[Problem]:
    """Constraints that read a variable which is neither field nor metric."""
    known = set(ALL_METRICS) | set(dotted_leaves(sweep.arch.data)) | set(sweep.space.paths)
    for axis in sweep.space.axes:
        for step in axis.steps:
            for path, value in zip(axis.paths, step, strict=True):
                known.update(dotted_leaves({path: value}))
    for number, text in enumerate(sweep.spec.constraints):
        try:
            parse_condition(text).check_names(known)
        except UsageError as error:
            yield document.problem(("constraints", number), str(error))


def _metric_problems(sweep: Sweep, document: Document) -> Iterator[Problem]:
    """Objectives and constraints about a metric that no design of the sweep has."""
    asked = sweep.spec.objectives or {}
    lacking = dict(nowhere(asked, sweep.grounds))
    for metric, message in lacking.items():
        yield document.problem(("objectives", metric), message, key=True)
    reason = None if lacking else apart(asked, sweep.grounds)
    if reason is not None:
        yield document.problem(("objectives",), reason)
    for number, text in enumerate(sweep.spec.constraints):
        named = sorted(parse_condition(text).names & ALL_METRICS.keys())
        for metric, message in nowhere(named, sweep.grounds):
            yield document.problem(("constraints", number), f"{metric}: {message}")


def _workload_problems(sweep: Sweep, document: Document) -> Iterator[Problem]:
    """Workloads that stand twice, or that tables could not tell apart."""
    seen: dict[str, Any] = {}
    for number, (label, workload) in enumerate(zip(sweep.workload_labels, sweep.spec.workloads, strict=True)):
        if label in seen:
            same = canonical(seen[label]) == canonical(workload)
            message = f"{label!r} stands twice" if same else f"two workloads are called {label!r}; give each a name"
            yield document.problem(("workloads", number), message)
        seen[label] = workload


def _value_problems(
    sweep: Sweep, document: Document, check_arch: Callable[[Document], object] | None
) -> Iterator[Problem]:
    """Swept values that the architecture refuses, each tried on the first design.

    A finding counts at or below the swept path, or one tied to it. Any other counts if the value
    alone, set in the base, leads to it too: other axes may be what makes a value fit.
    """
    first = sweep.space[0]
    for axis, section in zip(sweep.space.axes, _sections(sweep.spec, document), strict=True):
        for number, step in enumerate(axis.steps):
            own = dict(zip(axis.paths, step, strict=True))
            source = {path: path for path in own} | {path: s for path, s in sweep.spec.tie.items() if s in own}
            changed = {path: own[s] for path, s in source.items()}
            alone: set[tuple[str, str]] | None = None
            for found in _refused(sweep.arch, {**first.overrides, **changed}, check_arch):
                path = next((p for p in changed if f"{found.path}.".startswith(f"{p}.")), None)
                if path is None:
                    if alone is None:
                        alone = {(p.path, p.message) for p in _refused(sweep.arch, changed, check_arch)}
                    if (found.path, found.message) not in alone:
                        continue
                    path = next(iter(own))
                mark = document.mark((*section, source[path], number))
                yield mark.problem(found.path, f"{found.message} (in {value_text(changed[path], path)})")


def _refused(
    arch: Document, overrides: Mapping[str, Any], check_arch: Callable[[Document], object] | None
) -> Sequence[Problem]:
    """Return what is wrong with ``arch`` after ``overrides``."""
    try:
        changed = arch.with_overrides(parents_first(overrides))
        if check_arch is not None:
            check_arch(changed)
    except SpecError as error:
        return error.problems
    return ()


__all__ = ["Sweep", "SweepSpec", "load_sweep", "make_sweep"]
