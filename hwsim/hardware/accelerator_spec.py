"""What YAML says of an accelerator: array, PE, buffers, DRAM, vector unit, technology, network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hwsim.formats import Integer, parse_format
from hwsim.hardware.fpga.spec import TargetSpec
from hwsim.hardware.functions.choice import describe, known_units
from hwsim.hardware.memory import SEQUENTIAL, Access, PublishedSpec
from hwsim.hardware.memory.ecc import Ecc
from hwsim.hardware.memory.temperature import check_temperature
from hwsim.hardware.network.chips import ChipsSpec
from hwsim.hardware.network.cores import CoresSpec
from hwsim.hardware.network.spec import NetworkSpec
from hwsim.hardware.technology.spec import TechnologySpec
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import MissingFigureError
from hwsim.spec.units import BandwidthBytesPerS, EnergyPjPerBit, FrequencyHz, PowerW, SizeBytes, TemperatureK

#: Largest array edge: beyond it a model of one array with one clock says nothing any more.
MAX_EDGE = 65_536

#: I-ViT's reciprocals have 31 bits (arXiv 2207.01405).
I_VIT_BITS = 32


def _known_format(name: str) -> str:
    return parse_format(name).name


def _known_temperature(kelvin: float) -> float:
    try:
        check_temperature(kelvin)
    except MissingFigureError as error:
        raise ValueError(str(error)) from None
    return kelvin


FormatName = Annotated[str, AfterValidator(as_value_error(_known_format))]


class BufferSpec(Spec):
    """One SRAM buffer. ``port_bits`` is the width of its port to the array."""

    size: SizeBytes = Field(description="capacity, for example 256 KiB")
    banks: int = Field(1, ge=1, le=64, description="independent banks")
    port_bits: int | Literal["auto"] = Field(
        "auto", description="bits per cycle to the array; auto: as wide as the array's edge needs"
    )
    macro_bits: int = Field(256, ge=8, le=1024, description="widest SRAM macro; wider ports are several side by side")
    double_buffered: bool = Field(True, description="one half is filled while the other is in use")
    ports: Literal["1rw", "1r1w"] = Field(
        "1rw", description="of every macro: one port that reads or writes, or one of each; a cost, not a bandwidth"
    )
    ecc: Ecc = Field("none", description="secded: check bits beside the word of every macro")
    figures: PublishedSpec | None = Field(
        None, description="measured or published figures of the whole buffer, which go before the models'"
    )

    @property
    def parts(self) -> int:
        """Parts of the capacity, of which one at a time is in use."""
        return 2 if self.double_buffered else 1

    @property
    def part_bits(self) -> int:
        """Bits of one of these parts: what a tile or a tensor may fill."""
        return int(self.size) * 8 // self.parts

    @model_validator(mode="after")
    def _positive_port(self) -> BufferSpec:
        if self.port_bits != "auto" and not 1 <= self.port_bits <= 1 << 20:
            raise ValueError(f"port_bits: must be between 1 and {1 << 20}, or auto, not {self.port_bits}")
        return self


class MemoriesSpec(Spec):
    """The three buffers between DRAM and the array."""

    weights: BufferSpec
    activations: BufferSpec
    outputs: BufferSpec
    temperature: Annotated[TemperatureK, AfterValidator(as_value_error(_known_temperature))] | None = Field(
        None, description="leakage of the buffers holds at it; default: the technology's, or the 360 K of CACTI's runs"
    )


class DramSpec(Spec):
    """Off-chip memory: a preset, with its bandwidth and energy overridable, and how it is accessed.

    Where the preset has timing, the accelerator gets the bandwidth that the access pattern leaves of the
    peak; with ``access: peak``, or without timing, the peak.
    """

    preset: str = Field(description="one of hwsim list memory")
    bandwidth: BandwidthBytesPerS | None = Field(None, description="peak of all channels, overrides the preset")
    energy: EnergyPjPerBit | None = Field(None, description="per bit moved, overrides the preset")
    write_energy: EnergyPjPerBit | None = Field(None, description="per bit written, where it is not that of reads")
    background: PowerW | None = Field(
        None, description="standby and refresh of all channels, as long as a run takes; overrides the preset"
    )
    access: Literal["peak", "sequential", "strided", "random", "tiles"] = Field(
        "sequential", description="pattern that sets the effective bandwidth; sequential: one long run; peak: none"
    )
    request: SizeBytes = Field(64, description="bytes that lie together, for strided, random and tiles")
    stride: SizeBytes | None = Field(None, description="bytes from request to request, for strided and tiles")
    read_share: float = Field(1.0, ge=0, le=1, description="reads among the accesses; others turn the bus")
    address_map: str | None = Field(
        None, description="fields from the highest bits down, such as rorabachcopsbg (the default) or rochrababgco"
    )
    channels: int | None = Field(None, ge=1, le=4096, description="channels, instead of the preset's own")
    banks: bool = Field(
        False, description="in the event engine: banks with open rows, command by command, for runs of some MB"
    )

    @property
    def asked(self) -> Access | None:
        """The pattern, None for the peak.

        Raises
        ------
        UsageError
            If a stride is missing or too small.
        """
        if self.access == "peak":
            return None
        if self.access == "sequential":
            return replace(SEQUENTIAL, read_share=self.read_share)
        return Access(self.access, int(self.request), int(self.stride or 0), self.read_share)


class VectorUnitSpec(Spec):
    """The unit for softmax, norms, activations and element-wise operations."""

    lanes: int = Field(32, ge=1, le=65_536)
    format: FormatName = Field("fp32", description="format of its arithmetic")
    functions: Annotated[dict[str, Any], AfterValidator(as_value_error(known_units))] = Field(
        default={},
        description="units in every lane, a method per function, such as {exp: table, gelu: {method: piecewise, "
        "segments: 64}}; functions that are left out are programs of additions and products",
        json_schema_extra=describe,
    )
    softmax: Literal[
        "held", "three_pass", "three_pass_recompute", "three_pass_reload", "two_pass", "online", "fused"
    ] = Field(
        "held",
        description="algorithm: three_pass or three_pass_recompute (3 reads and 1 write per element), "
        "three_pass_reload (3 and 2), two_pass (2 and 1, exponents kept), online (2 and 1, running maximum), "
        "fused (1 and 1, block by block; the product with the values is rescaled per block and divided once), "
        "held (2 and 1, exponentials of a row wait in registers of the lanes, which are not counted)",
    )
    softmax_block: int = Field(
        128,
        ge=1,
        le=MAX_EDGE,
        description="elements of a row between two rescalings of a fused softmax; 128: arXiv 2307.08691",
    )
    exp: Literal["polynomial", "rational"] = Field(
        "polynomial", description="program for exponentials without a unit; rational: ten operations, one a division"
    )
    arithmetic: Literal["programs", "i_vit"] = Field(
        "programs",
        description="i_vit: softmax, GELU and LayerNorm are the integer-only Shiftmax, ShiftGELU and I-LayerNorm; "
        "every lane has a shifter, and format must be an integer of 32 bits or more",
    )

    @model_validator(mode="after")
    def _programs_fit(self) -> VectorUnitSpec:
        """Refuse what I-ViT's programs cannot use, exponents in integers, and an exp that nothing runs."""
        element = parse_format(self.format).element
        integer = isinstance(element, Integer)
        if self.arithmetic == "i_vit":
            if not (integer and element.bits >= I_VIT_BITS):
                raise ValueError(f"arithmetic: i_vit needs integers of {I_VIT_BITS} bits or more; valid: format: int32")
            if self.softmax != "held":
                raise ValueError(f"softmax: i_vit has its own, Shiftmax; leave {self.softmax} out")
            if "gelu" in self.functions:
                raise ValueError("functions: i_vit computes gelu as ShiftGELU; leave the unit out")
        elif integer and self.softmax == "two_pass":
            raise ValueError(f"softmax: two_pass keeps exponents of floats, not {self.format}; valid: format: fp32")
        if self.exp != "polynomial" and "exp" in self.functions:
            raise ValueError(f"exp: functions.exp has a unit, no {self.exp} program runs; leave one of them out")
        return self


class ArraySpec(Spec):
    """The grid of PEs and how GEMMs are laid on it."""

    rows: int = Field(ge=1, le=MAX_EDGE)
    cols: int = Field(ge=1, le=MAX_EDGE)
    dataflow: str = Field("weight_stationary", description="one of hwsim list dataflow")
    weight_double_buffer: bool = Field(
        False,
        description="a second register per PE: the stationary operand (weights, activations, sums) of the next fold is "
        "moved in, or results out, while the array computes",
    )
    fold_overlap: bool = Field(False, description="a fold fills the PEs that the one before has left")
    ragged: Literal["padded", "used"] = Field(
        "padded", description="cost of a fold that does not fill the array: a full one, or the rows and columns in use"
    )
    scalesim_os_cycles: bool = Field(
        False, description="output_stationary: folds without their drain, a bug of SCALE-Sim 3.0.0; for comparison only"
    )


class HardwareSpec(Spec):
    """An accelerator as written in ``arch_configs/*.yaml``."""

    name: str = Field(min_length=1)
    description: str = ""
    technology: TechnologySpec
    target: TargetSpec = TargetSpec()
    clock: FrequencyHz
    array: ArraySpec
    pe: dict[str, Any] = Field(description="family and its options, see hwsim list pe")
    memories: MemoriesSpec
    dram: DramSpec
    vector_unit: VectorUnitSpec = VectorUnitSpec(lanes=32)
    network: NetworkSpec | None = Field(
        None, description="between buffers, array and DRAM port; default: a wire of half the edges of both blocks"
    )
    cores: CoresSpec | None = Field(None, description="several of all this on one chip, behind one DRAM port")
    chips: ChipsSpec | None = Field(None, description="several such chips, each with its DRAM")

    @property
    def device(self) -> str | None:
        """The FPGA device that all this is on, None on an ASIC."""
        return self.target.device or self.technology.device

    @model_validator(mode="before")
    @classmethod
    def _short_technology(cls, data: Any) -> Any:
        """Accept ``technology: 28nm`` for ``technology: {name: 28nm}``."""
        if isinstance(data, Mapping) and isinstance(data.get("technology"), str):
            return {**data, "technology": {"name": data["technology"]}}
        return data
