"""Which metrics a design has by what it is built on: an ASIC, or an FPGA device with or without a stated power."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hwsim.explore.constraints import Expression
from hwsim.explore.metrics import ALL_METRICS, AREA_METRICS, DEVICE_METRICS, ENERGY_METRICS, LOGIC_METRICS, Direction
from hwsim.explore.space import Space
from hwsim.explore.values import canonical_json
from hwsim.explore.variables import Fields
from hwsim.hardware.fpga.device import load_device
from hwsim.spec.document import Document
from hwsim.spec.errors import SpecError, UsageError

#: First parts of the paths that decide it.
_DECIDING = ("target", "technology")

#: What a sweep aims at that does not say: on an ASIC, on devices, and where designs of both have to be compared.
ON_ASIC: Mapping[str, Direction] = MappingProxyType({"energy_mj": "min", "latency_ms": "min"})
ON_LUTS: Mapping[str, Direction] = MappingProxyType({"lut6": "min", "latency_ms": "min"})
ON_ALMS: Mapping[str, Direction] = MappingProxyType({"alm": "min", "latency_ms": "min"})
ON_BOTH: Mapping[str, Direction] = MappingProxyType({"latency_ms": "min", "sqnr_db": "max"})
_USUAL: Mapping[str | None, Mapping[str, Direction]] = {None: ON_ASIC, "lut6": ON_LUTS, "alm": ON_ALMS}

#: What is counted on a device, in words.
LOGIC_NAMES = {"lut6": "LUT6s, BRAM18 and UltraRAM", "alm": "ALMs and M20Ks"}


@dataclass(frozen=True)
class Ground:
    """What a design is built on: a ``device``, or None on an ASIC; whether the user states its power.

    ``logic`` is what the device counts, ``lut6`` or ``alm``.
    """

    device: str | None = None
    powered: bool = False
    logic: str = "lut6"

    def why_not(self, metric: str) -> str | None:
        """Return why a design here has no such metric, None if it has."""
        if self.device is None:
            if metric in DEVICE_METRICS:
                return "only designs on an FPGA device have it"
            return None
        if any(metric in found and logic != self.logic for logic, found in LOGIC_METRICS.items()):
            return f"{self.device} counts {LOGIC_NAMES[self.logic]}"
        if metric in AREA_METRICS:
            return f"no source gives areas on {self.device}"
        if metric in ENERGY_METRICS and not self.powered:
            return f"no source gives energies on {self.device}; target.power and power_source would"
        return None


def ground_of(arch: Mapping[str, Any]) -> Ground:
    """Return what an architecture's plain data says; what is wrong in it is not this function's to report."""
    target, technology = arch.get("target"), arch.get("technology")
    target = target if isinstance(target, Mapping) else {}
    name = technology.get("name") if isinstance(technology, Mapping) else technology
    device = target.get("device") or name
    try:
        found = load_device(str(device))
    except UsageError:
        return Ground()
    return Ground(found.name, target.get("power") is not None, found.logic)


def ground_of_row(row: Mapping[Any, Any]) -> Ground:
    """Return what the row of a finished design says: its device, and whether that counted ALMs."""
    device, alms = row.get("device"), row.get("alm")
    if device is None or device != device:
        return Ground()
    return Ground(str(device), logic="lut6" if alms is None or alms != alms else "alm")


def grounds_of(arch: Document, space: Space, before: Sequence[Expression] = ()) -> tuple[Ground, ...]:
    """Return what the designs of ``space`` are built on, of those that the conditions on fields admit."""
    if not any(path.split(".")[0] in _DECIDING for path in space.paths):
        return (ground_of(arch.data),)
    found: dict[str, Ground | None] = {}
    for number in range(0, len(space), space.workloads):
        overrides = space[number].overrides
        deciding = {path: value for path, value in overrides.items() if path.split(".")[0] in _DECIDING}
        key = canonical_json(deciding)
        if found.get(key) is None:
            found[key] = _admitted(arch, overrides, before)
    return tuple(dict.fromkeys(ground for ground in found.values() if ground is not None))


def _admitted(arch: Document, overrides: Mapping[str, Any], before: Sequence[Expression]) -> Ground | None:
    try:
        data = arch.with_overrides(overrides).data
    except SpecError:
        return None
    fields = Fields(data)
    return ground_of(data) if all(condition.holds(fields) for condition in before) else None


def usual_objectives(grounds: Iterable[Ground]) -> Mapping[str, Direction]:
    """Return what a sweep on these grounds aims at that does not say: metrics that all of its designs have."""
    logics = {None if ground.device is None else ground.logic for ground in grounds} or {None}
    return _USUAL[logics.pop()] if len(logics) == 1 else ON_BOTH


def nowhere(metrics: Iterable[str], grounds: Sequence[Ground]) -> Iterator[tuple[str, str]]:
    """Yield each of ``metrics`` that no ground has, with the reason and the metrics that there are."""
    for metric in metrics:
        if grounds and all(ground.why_not(metric) for ground in grounds):
            yield metric, f"no design of this sweep has it: {together(grounds).why_not(metric)}; {_valid(grounds)}"


def apart(objectives: Iterable[str], grounds: Sequence[Ground]) -> str | None:
    """Return why no design has all of ``objectives``, though each is had by some; None if a design may have."""
    wanted = list(objectives)
    if not grounds or any(all(ground.why_not(name) is None for name in wanted) for ground in grounds):
        return None
    lacks = [next(f"{n}: {why}" for n in wanted if (why := ground.why_not(n))) for ground in grounds]
    return f"no design of this sweep has all of {', '.join(wanted)}: {'; '.join(dict.fromkeys(lacks))}"


def together(grounds: Iterable[Ground]) -> Ground:
    """Return grounds that lack a metric for one reason as one, which names all devices."""
    found = list(grounds)
    names = ", ".join(sorted({ground.device for ground in found if ground.device})) or None
    return Ground(names, logic=next((ground.logic for ground in found if ground.device), "lut6"))


def _valid(grounds: Sequence[Ground]) -> str:
    return "valid: " + ", ".join(n for n in ALL_METRICS if any(ground.why_not(n) is None for ground in grounds))
