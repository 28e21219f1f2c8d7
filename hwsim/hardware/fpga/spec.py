"""What a file says of an FPGA device that it runs on: ``target: {device: zcu104, reserve: 20%}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from hwsim.hardware.fpga.device import device_key, load_device, shell_resources
from hwsim.hardware.fpga.dsp import DspChoice
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import UsageError
from hwsim.spec.units import PowerW


def read_share(value: Any) -> Any:
    """Return the share that ``20%`` or 0.2 means.

    Raises
    ------
    UsageError
        If a text is no share.
    """
    if not isinstance(value, str):
        return value
    number = value.strip().removesuffix("%")
    try:
        share = float(number)
    except ValueError:
        raise UsageError(f"expected a share such as 20%, not {value!r}") from None
    return share / 100 if value.strip().endswith("%") else share


def known_device(name: str) -> str:
    """Return the name of a device, or the path of a file that defines one.

    Raises
    ------
    UsageError
        If there is none, or the file is wrong.
    """
    load_device(name)
    return device_key(name)


def _known_interfaces(shell: dict[str, int]) -> dict[str, int]:
    shell_resources(shell)
    return shell


_SHARE_SCHEMA = {
    "anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"type": "string", "pattern": "%$"}]
}
Share = Annotated[float, Field(ge=0, lt=1), BeforeValidator(as_value_error(read_share)), WithJsonSchema(_SHARE_SCHEMA)]


class TargetSpec(Spec):
    """An FPGA device and how it is used; without effect where the technology is an ASIC's."""

    device: Annotated[str, AfterValidator(as_value_error(known_device))] | None = Field(
        None,
        description="one of hwsim list device, or the path of a device file, in the place of the technology; default: "
        "the technology's name",
    )
    dsp: DspChoice = Field("auto", description="products in DSP blocks: as far as these go, never, or always")
    memory: Literal["auto", "bram18", "uram", "m20k"] = Field(
        "auto", description="what buffers are made of; auto: so that the larger share of both budgets is least"
    )
    fill: bool = Field(
        False, description="the largest square array that fits beside the buffers, instead of array.rows and cols"
    )
    reserve: Share = Field(0.0, description="share of every budget that is kept back, such as 20%")
    shell: Annotated[dict[str, int], AfterValidator(as_value_error(_known_interfaces))] = Field(
        {}, description="interfaces beside the design by number, such as {ddr4_controller: 1}"
    )
    grade: str = Field("-2", description="speed grade, for the fastest clocks of data sheets")
    board_bandwidth: bool = Field(
        False, description="the peak bandwidth of the board's memory in the place of the DRAM preset's"
    )
    power: PowerW | None = Field(
        None, description="of the whole board while it runs; no source of devices has one, so energy is blank without"
    )
    power_source: str | None = Field(None, min_length=1, description="where the power comes from: measured how, paper")
    static_power: PowerW | None = Field(
        None,
        description="of the board at rest, part of power; its energy is that of leakage; no source of devices has one",
    )
    static_power_source: str | None = Field(None, min_length=1, description="where the static power comes from")

    @model_validator(mode="after")
    def _sourced(self) -> TargetSpec:
        for name in ("power", "static_power"):
            value, source = getattr(self, name), getattr(self, f"{name}_source")
            if (value is None) != (source is None):
                given, missing = (name, f"{name}_source") if value is not None else (f"{name}_source", name)
                raise ValueError(f"{missing}: is missing beside {given}; valid: both, or neither")
        if self.power is not None and self.static_power is not None and self.static_power > self.power:
            raise ValueError(
                f"static_power: {self.static_power:g} W is more than power, {self.power:g} W, of which it is a part"
            )
        return self
