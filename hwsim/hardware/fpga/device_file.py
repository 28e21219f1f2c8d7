"""What a device file holds: budgets by primitive, regions and memory, each figure with its source.

.. code-block:: yaml

    # my_board.yaml, then: hwsim fit my_board.yaml int8
    device: my_board
    part: xcvm1802
    board: our own carrier
    family: Versal Prime
    logic: {primitive: lut6, count: 899840}
    ff: 1799680
    dsp: {primitive: dsp58, count: 1968}
    bram18: 1934
    uram: 463
    source: data sheet of the part
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hwsim.hardware.fpga.board import Device, ExternalMemory
from hwsim.hardware.fpga.dsp import dsp_primitives
from hwsim.spec.bind import Spec, bind
from hwsim.spec.document import load_document
from hwsim.spec.errors import did_you_mean

#: More blocks than any device has.
MOST = 1 << 40
Count = Annotated[int, Field(ge=0, le=MOST)]
Text = Annotated[str, Field(min_length=1)]

#: What ``checked`` and ``missing`` may speak of.
Figure = Literal["lut6", "alm", "ff", "dsp", "bram18", "uram", "m20k", "memory", "slrs", "clocks"]


#: Block RAM of a vendor, and that which every device of it has, by its logic.
_BLOCKS = {"lut6": (("bram18", "uram"), "bram18"), "alm": (("m20k",), "m20k")}


class LogicSpec(Spec):
    """Look-up tables of the device."""

    primitive: Literal["lut6", "alm"] = Field(description="AMD's six-input LUT, or Intel's adaptive logic module")
    count: int = Field(ge=1, le=MOST)


class DspSpec(Spec):
    """DSP blocks of the device."""

    primitive: Text = Field(description="its modes: hwsim explain device NAME of a device that has it")
    count: Count

    @model_validator(mode="after")
    def _known(self) -> DspSpec:
        if self.primitive not in dsp_primitives():
            raise ValueError(f"primitive: unknown {self.primitive!r}; {did_you_mean(self.primitive, dsp_primitives())}")
        return self


class MemorySpec(Spec):
    """Memory of the board."""

    gb_s: float = Field(gt=0, description="peak bandwidth in 10^9 bytes per second")
    kind: Text = Field(description="such as ddr4 or hbm")
    source: Text


class RegionSpec(Spec):
    """A super logic region: its share of the budgets."""

    lut6: Count
    ff: Count
    bram18: Count
    uram: Count
    dsp: Count


class DeviceSpec(Spec):
    """An FPGA device or board."""

    device: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="its name in tables")
    part: Text = Field(description="the vendor's part")
    board: Text
    family: Text = Field(description="clocks of UltraScale+ are known where the family says so")
    logic: LogicSpec
    ff: Count = Field(description="flip-flops")
    dsp: DspSpec
    bram18: Count | None = Field(
        None, validate_default=True, description="block RAM in halves of 18 kb, of AMD devices"
    )
    uram: Count | None = Field(None, description="UltraRAM of 288 kb, of AMD devices")
    m20k: Count | None = Field(None, validate_default=True, description="block RAM of 20 kb, of Intel devices")
    slrs: tuple[RegionSpec, ...] = Field((), description="super logic regions, in their order")
    slr_source: str | None = Field(None, min_length=1, validate_default=True, description="where the regions are from")
    memory: MemorySpec | None = None
    source: Text = Field(description="where the counts are from")
    checked: dict[Figure, Text] = Field({}, description="a second source by figure")
    missing: dict[Figure, Text] = Field({}, description="why a figure is left out")

    @field_validator("bram18", "uram", "m20k")
    @classmethod
    def _of_its_vendor(cls, count: int | None, info: ValidationInfo) -> int | None:
        """Refuse block RAM of the other vendor, and none at all, each at its place."""
        logic = info.data.get("logic")
        if logic is None:  # wrong itself, and reported so
            return count
        own, needed = _BLOCKS[logic.primitive]
        if count is None and info.field_name == needed:
            raise ValueError(f"{needed}: is missing beside logic.primitive: {logic.primitive}; 0 if it has none")
        if count is not None and info.field_name not in own:
            raise ValueError(f"there is none beside logic.primitive: {logic.primitive}; leave it out")
        return count

    @field_validator("slrs")
    @classmethod
    def _within_budgets(cls, regions: tuple[RegionSpec, ...], info: ValidationInfo) -> tuple[RegionSpec, ...]:
        data = info.data
        logic, dsp = data.get("logic"), data.get("dsp")
        budget: dict[str, int] = {name: data.get(name) or 0 for name in ("ff", "bram18", "uram") if name in data}
        budget |= {"lut6": logic.count if logic.primitive == "lut6" else 0} if logic else {}
        budget |= {"dsp": dsp.count} if dsp else {}
        sums = {name: sum(getattr(region, name) for region in regions) for name in budget}
        over = [f"{sums[name]:,} {name} together, the device {count:,}" for name, count in budget.items()
                if sums[name] > count]  # fmt: skip
        if over:
            raise ValueError(f"have {'; '.join(over)}")
        return regions

    @field_validator("slr_source")
    @classmethod
    def _sourced(cls, source: str | None, info: ValidationInfo) -> str | None:
        given = info.data.get("slrs", True)  # not there: given, wrong itself, and reported so
        if given and source is None:
            raise ValueError("slr_source: is missing beside slrs")
        return source

    @property
    def budget(self) -> dict[str, int]:
        """Counts by resource."""
        found = {self.logic.primitive: self.logic.count, "ff": self.ff, "dsp": self.dsp.count}
        blocks = {"bram18": self.bram18, "uram": self.uram, "m20k": self.m20k}
        return {**found, **{name: count for name, count in blocks.items() if count is not None}}

    def build(self) -> Device:
        """Return the device."""
        memory = self.memory
        return Device(
            name=self.device,
            part=self.part,
            board=self.board,
            family=self.family,
            budget=self.budget,
            dsp_primitive=self.dsp.primitive,
            regions=tuple(region.model_dump() for region in self.slrs),
            memory=ExternalMemory(memory.gb_s, memory.kind, memory.source) if memory else None,
            source=self.source,
            checked={str(figure): text for figure, text in self.checked.items()},
            missing={str(figure): text for figure, text in self.missing.items()},
        )


def read_device(path: Path) -> Device:
    """Return the device that a file defines.

    Raises
    ------
    SpecError
        With every mistake, each at its line and column.
    """
    return bind(load_document(path), DeviceSpec).build()
