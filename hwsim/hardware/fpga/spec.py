"""What a file says of an FPGA device that it runs on: ``target: {device: zcu104, reserve: 20%}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from hwsim.hardware.fpga.device import device_key, load_device, shell_resources, speed_grades
from hwsim.hardware.fpga.dsp import DspChoice
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.units import PowerW

#: Most stages of a PE.
MAX_STAGES = 64


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


def _known_interface(name: str) -> str:
    shell_resources({name: 0})
    return name


def known_grade(grade: str) -> str:
    """Return ``grade``; UsageError, with the nearest, if no primitive has a clock in it."""
    if grade not in speed_grades():
        raise UsageError(f"unknown speed grade {grade!r}; {did_you_mean(grade, speed_grades())}")
    return grade


_SHARE_SCHEMA = {
    "anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"type": "string", "pattern": "%$"}]
}
Share = Annotated[float, Field(ge=0, lt=1), BeforeValidator(as_value_error(read_share)), WithJsonSchema(_SHARE_SCHEMA)]


class TargetSpec(Spec):
    """An FPGA device and how it is used; refused where the technology is an ASIC's."""

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
    shell: dict[Annotated[str, AfterValidator(as_value_error(_known_interface))], Annotated[int, Field(ge=0)]] = Field(
        {}, description="interfaces beside the design by number, such as {ddr4_controller: 1}"
    )
    stages: int | None = Field(
        None,
        ge=1,
        le=MAX_STAGES,
        description="stages that every PE and dequantizer is cut into, each cut with its registers; without, none are "
        "counted but those of operands and sums",
    )
    grade: Annotated[str, AfterValidator(as_value_error(known_grade))] = Field(
        "-2", description="speed grade, for the fastest clocks of data sheets"
    )
    board_bandwidth: bool = Field(
        False, description="the peak bandwidth of the board's memory in the place of the DRAM preset's"
    )
    power: PowerW | None = Field(
        None, description="of the whole board while it runs; no source of devices has one, so energy is blank without"
    )
    power_source: str | None = Field(
        None, min_length=1, validate_default=True, description="where the power comes from: measured how, paper"
    )
    static_power: PowerW | None = Field(
        None,
        description="of the board at rest, part of power; its energy is that of leakage; no source of devices has one",
    )
    static_power_source: str | None = Field(
        None, min_length=1, validate_default=True, description="where the static power comes from"
    )

    @field_validator("power_source", "static_power_source")
    @classmethod
    def _sourced(cls, source: str | None, info: ValidationInfo) -> str | None:
        """Refuse a power without its source and a source without its power, beside all other mistakes."""
        missing = str(info.field_name)
        given = missing.removesuffix("_source")
        if given not in info.data:  # wrong itself, and reported so
            return source
        if (info.data[given] is None) != (source is None):
            given, missing = (given, missing) if source is None else (missing, given)
            raise ValueError(f"{missing}: is missing beside {given}; valid: both, or neither")
        return source

    @field_validator("static_power")
    @classmethod
    def _part_of_power(cls, static: float | None, info: ValidationInfo) -> float | None:
        power = info.data.get("power")
        if power is not None and static is not None and static > power:
            raise ValueError(f"{static:g} W is more than power, {power:g} W, of which it is a part")
        return static
