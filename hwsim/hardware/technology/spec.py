"""What a file says of its technology: name, supply, temperature, wires; and how it is opened.

An FPGA device's name is accepted where a technology is named: ``technology: zcu104`` for ``target: {device: zcu104}``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from hwsim.hardware.fpga.device import device_names, is_device
from hwsim.hardware.fpga.spec import known_device
from hwsim.hardware.technology.asic import Technology, load_technology, technology_names
from hwsim.hardware.technology.fits import DelayLaw
from hwsim.hardware.technology.wires import Projection, WireChoice, WireDevice, WireStyle
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import UsageError, closest
from hwsim.spec.units import TemperatureK, VoltageV


def _known_technology(name: str) -> str:
    """Return the name of a technology or of an FPGA device, which its part may stand for."""
    if name not in technology_names():
        try:
            return known_device(name)
        except UsageError as error:
            if is_device(name) or (closest(name, device_names()) and not closest(name, technology_names())):
                raise error from None
    load_technology(name)
    return name


class WiresSpec(Spec):
    """Which wires of CACTI's table carry operands: see ``hwsim explain technology``."""

    style: WireStyle = Field("slack_30", description="how much delay is given up for energy (5 to 30 %), or low swing")
    device: WireDevice = Field("hp", description="transistors of the repeaters")
    projection: Projection = Field("conservative", description="outlook on wire resistance and capacitance")


class ConditionsSpec(Spec):
    """Supply, temperature and the choices that go with them."""

    vdd: VoltageV | None = Field(None, description="supply of logic and wires; default: the technology's nominal one")
    temperature: TemperatureK | None = Field(
        None, description="of all leakage; default: 25 degC for logic and 360 K for SRAM, as their figures were taken"
    )
    delay_law: DelayLaw = Field("auto", description="delay over the supply: published cubic fits or alpha-power law")
    sram_device: Literal["hp", "lstp"] = Field("hp", description="transistor type of the SRAM macros")
    wires: WiresSpec = WiresSpec()


class TechnologySpec(ConditionsSpec):
    """A technology and the conditions that it works in."""

    name: Annotated[str, AfterValidator(as_value_error(_known_technology))] = Field(
        description="one of hwsim list technology, or of hwsim list device, or the path of a device file"
    )

    @property
    def device(self) -> str | None:
        """The FPGA device that it is, None for a technology."""
        return self.name if is_device(self.name) else None

    @model_validator(mode="after")
    def _within_the_laws(self) -> TechnologySpec:
        if self.device is not None:
            given = sorted(self.model_fields_set - {"name"})
            if given:
                raise ValueError(f"{given[0]}: {self.name} has its own; leave it out (target takes a device's options)")
            return self
        if self.delay_law != "auto" and self.vdd is None:
            raise ValueError("delay_law: has no effect at the nominal supply; leave it out, or give vdd")
        open_technology(self.name, self)  # refuses a supply or a temperature that they do not reach
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Editors accept the short form ``technology: 28nm`` too."""
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(schema))]}


def open_technology(name: str, conditions: ConditionsSpec) -> Technology:
    """Return a technology under ``conditions``.

    Raises
    ------
    UsageError
        If there is none, or supply or temperature are out of the range of their laws.
    """
    wires = WireChoice(conditions.wires.style, conditions.wires.device, conditions.wires.projection)
    return load_technology(name, conditions.vdd, conditions.temperature, wires, conditions.delay_law)
