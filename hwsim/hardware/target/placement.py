"""A whole design on a device: the array, its buffers and all beside it, against the budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hwsim.hardware.circuits import Part
from hwsim.hardware.fpga import Sites, load_fabric
from hwsim.hardware.fpga.device import Device, load_device, shell_resources
from hwsim.hardware.fpga.spec import TargetSpec
from hwsim.hardware.pe import PE
from hwsim.hardware.target.budget import ArrayFit, largest_array
from hwsim.hardware.target.budget_of import Budget
from hwsim.hardware.target.buffers import BufferPlace, BufferWanted, place_buffers
from hwsim.hardware.target.clocks import clock_notes, core_notes, mode_notes, use_notes
from hwsim.spec.errors import InfeasibleError, MissingFigureError


@dataclass(frozen=True)
class Wanted:
    """What is to be placed.

    ``beside`` are the sites of what is neither array nor buffer, by block; ``shared`` the operands that neighbouring
    PEs get from one source under the dataflow of that name. Array, ``beside`` and buffers are those of one of the
    ``cores``; ``between`` are the sites of what connects them.
    """

    pe: PE
    rows: int
    cols: int
    beside: Mapping[str, Sites]
    buffers: Mapping[str, BufferWanted]
    shared: frozenset[str]
    dataflow: str
    clock_hz: float
    cores: int = 1
    between: Mapping[str, Sites] = field(default_factory=dict)


@dataclass(frozen=True)
class Placement:
    """A design on a device: what each block takes by resource, and what is ``usable`` of each."""

    device: Device
    usable: Mapping[str, float]
    blocks: Mapping[str, Mapping[str, float]]
    array: ArrayFit
    buffers: Mapping[str, BufferPlace]
    notes: tuple[str, ...]

    @property
    def used(self) -> dict[str, float]:
        """What the design takes of each resource, without the shell."""
        return {name: sum(block.get(name, 0.0) for block in self.blocks.values()) for name in self.usable}

    @property
    def shares(self) -> dict[str, float]:
        """What it takes of what is usable."""
        return {name: used / self.usable[name] if self.usable[name] else 0.0 for name, used in self.used.items()}

    @property
    def binding(self) -> str:
        """The resource of which the largest share is taken; not DSP blocks where a PE may do without."""
        choice = "never" in self.array.kinds and len(self.array.kinds) > 1
        shares = {name: share for name, share in self.shares.items() if name != "dsp" or not choice}
        return max(shares, key=lambda name: shares[name])

    @property
    def binding_share(self) -> float:
        """What is taken of that resource, as a share of what is usable."""
        return self.shares[self.binding]

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row per resource: the device's, what is usable, what the design uses, its share of the device."""
        used, total = self.used, self.device.budget
        return [
            {
                "resource": name, "device": total[name], "usable": usable, "used": used[name],
                "share": used[name] / total[name] if total[name] else 0.0, "binding": name == self.binding,
            }
            for name, usable in self.usable.items()
        ]  # fmt: skip


def sites_of(parts: Iterable[Part], whose: str, logic: str) -> Sites:
    """Return what parts take together on ``lut6`` or ``alm`` logic.

    Raises
    ------
    MissingFigureError
        If a part has no law on fabric; names it and ``whose`` it is.
    """
    total = Sites()
    for part in parts:
        try:
            total = total + load_fabric(logic).price(part.circuit) * part.count
        except MissingFigureError as error:
            raise MissingFigureError(f"{whose}: part {part.role!r}: {error}") from None
    return total


def place(target: TargetSpec, device_name: str, wanted: Wanted) -> Placement:
    """Return the design on the device.

    Raises
    ------
    InfeasibleError
        If a budget does not hold it, or the clock is beyond data sheets.
    MissingFigureError
        If a part of it has no price on the device; names it.
    """
    device = load_device(device_name)
    usable = device.usable(shell_resources(target.shell), target.reserve)
    asked = {name: replace(one, copies=wanted.cores * one.copies) for name, one in wanted.buffers.items()}
    buffers = place_buffers(asked, device, usable, target.memory)
    blocks: dict[str, Mapping[str, float]] = {
        **{name: _taken(device, sites * wanted.cores) for name, sites in wanted.beside.items()},
        **{name: _taken(device, sites) for name, sites in wanted.between.items()},
        **{name: one.taken for name, one in buffers.items()},
    }
    left = {name: count - sum(block.get(name, 0.0) for block in blocks.values()) for name, count in usable.items()}
    _refuse_short(device, left, usable, blocks)
    array = _array(device, target, wanted, left)
    blocks = {"array": array.used, **blocks}
    found = Placement(device, usable, blocks, array, buffers, ())
    notes = clock_notes(device, array, target.grade, wanted.clock_hz, target.stages)
    notes += [*use_notes(device, found.used), *mode_notes(array, wanted.dataflow)]
    notes += core_notes(device, found.used, wanted.cores)
    return Placement(device, usable, blocks, array, buffers, tuple(notes))


def _taken(device: Device, sites: Sites) -> dict[str, float]:
    return {device.logic: sites.lut, "ff": sites.ff}


def _refuse_short(
    device: Device, left: Mapping[str, float], usable: Mapping[str, float], blocks: Mapping[str, Mapping[str, float]]
) -> None:
    for name, count in left.items():
        if count < 0:
            takes = ", ".join(f"{block} {need[name]:.0f}" for block, need in blocks.items() if need.get(name))
            raise InfeasibleError(f"{device.name}: {usable[name]:.0f} {name} usable do not hold {takes}")


def _array(device: Device, target: TargetSpec, wanted: Wanted, left: Mapping[str, float]) -> ArrayFit:
    sides = (wanted.rows, wanted.cols)
    try:
        return largest_array(
            wanted.pe, device, Budget(left), target.dsp, wanted.shared, sides, target.stages, wanted.cores
        )
    except InfeasibleError as error:
        beside = ", ".join(f"{left[name]:.0f} {name}" for name in (device.logic, "ff", "dsp"))
        raise InfeasibleError(f"array: {error}; left beside buffers, vector unit and shell: {beside}") from None
