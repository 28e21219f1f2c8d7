"""What YAML says of an accelerator: array, PE, buffers, DRAM, vector unit, technology, network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hwsim.formats import Integer, parse_format
from hwsim.hardware.fpga.spec import TargetSpec
from hwsim.hardware.functions.choice import describe, known_units
from hwsim.hardware.memories_spec import MemoriesSpec, check_levels
from hwsim.hardware.memory import SEQUENTIAL, Access
from hwsim.hardware.network.chips import ChipsSpec
from hwsim.hardware.network.cores import CoresSpec
from hwsim.hardware.network.spec import NetworkSpec
from hwsim.hardware.technology.spec import TechnologySpec
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.units import AreaMm2, BandwidthBytesPerS, EnergyPj, EnergyPjPerBit, FrequencyHz, PowerW, SizeBytes

#: Largest array edge: beyond it a model of one array with one clock says nothing any more.
MAX_EDGE = 65_536

#: I-ViT's reciprocals have 31 bits (arXiv 2207.01405).
I_VIT_BITS = 32


def _known_format(name: str) -> str:
    return parse_format(name).name


FormatName = Annotated[str, AfterValidator(as_value_error(_known_format))]


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

    @model_validator(mode="after")
    def _has_effect(self) -> DramSpec:
        """Refuse keys that nothing would heed."""
        if self.banks and (self.bandwidth is not None or self.channels is not None or self.access != "sequential"):
            given = "bandwidth" if self.bandwidth is not None else "channels" if self.channels is not None else "access"
            raise ValueError(
                f"banks: takes the preset's own channels and patterns as they come, but {given} is given; leave out "
                "bandwidth, channels and access"
            )
        apart = ("strided", "tiles")
        heeded = {
            "request": ("strided", "random", "tiles"),
            "stride": apart,
            "read_share": ("sequential", "strided", "random", "tiles"),
            "address_map": ("sequential", "strided", "random", "tiles"),
        }
        for key, patterns in heeded.items():
            if self.access not in patterns and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key}: has no effect with access: {self.access}; leave it out, or valid: access: "
                    f"{', '.join(patterns)}"
                )
        return self

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
    dequantize: bool = Field(
        False,
        description="integer sums that become floats are multiplied by their scale here, after the GEMM: scales per "
        "tensor or row; those of groups along K act at PEs or columns",
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
        if self.softmax_block != type(self).model_fields["softmax_block"].default and self.softmax != "fused":
            raise ValueError(
                f"softmax_block: has no effect with softmax: {self.softmax}, which has no blocks; leave it out, or "
                "valid: softmax: fused"
            )
        if self.exp != "polynomial" and "exp" in self.functions:
            raise ValueError(f"exp: functions.exp has a unit, no {self.exp} program runs; leave one of them out")
        return self


class ScratchpadsSpec(Spec):
    """Scratchpads of every PE of a row-stationary array, in elements of the formats that the PE is built for."""

    weights: int = Field(ge=1, le=MAX_EDGE, description="weights: a block of K × N waits here")
    activations: int = Field(ge=1, le=MAX_EDGE, description="activations of a block of K")
    sums: int = Field(ge=1, le=MAX_EDGE, description="partial sums, one per output feature of a block")


#: Cycles of a pipe for one instruction, or for several.
Slots = Annotated[int, Field(ge=0, le=MAX_EDGE)]


class IssueSpec(Spec):
    """What the cores of a SIMD array issue. Counts are cycles of a pipe, for what is said of each."""

    pipes: Literal["shared", "separate"] = Field(
        description="shared: loads, conversions and MACs one after the other; separate: MACs have a pipe of their own"
    )
    rows: int = Field(ge=1, le=MAX_EDGE, description="rows of M whose sums a core keeps in registers")
    vectors: int = Field(ge=1, le=MAX_EDGE, description="vectors along N whose sums it keeps, for each of these rows")
    unroll: int = Field(1, ge=1, le=MAX_EDGE, description="steps along K whose operands are loaded together")
    mac: Slots = Field(description="MACs of one vector, row and cycle of the PE")
    load_weights: Slots = Field(description="loading a vector of weights for these steps")
    load_activations: Slots = Field(description="loading a row's activations for these steps")
    convert_weights: Slots | None = Field(
        None, description="making them what PEs multiply, needed where weights have another format than the PE's"
    )
    convert_activations: Slots | None = Field(None, description="likewise, of a row's activations")
    prepare_activations: Slots = Field(
        0, description="once for a tile, for a row's activations of one step: tables of partial sums, quantization"
    )
    store: Slots = Field(description="storing a vector of sums, or loading one")
    core_energy: EnergyPj | None = Field(
        None, description="of a core per cycle beside its PEs: fetch, decode, registers; without it a note says so"
    )
    core_area: AreaMm2 | None = Field(None, description="of a core beside its PEs; without it a note says so")

    @model_validator(mode="after")
    def _macs_take_time(self) -> IssueSpec:
        if not self.mac:
            raise ValueError("mac: must be at least 1")
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
    scratchpads: ScratchpadsSpec | None = Field(None, description="row_stationary: memories inside every PE")
    tables: Literal["ahead", "between"] | None = Field(
        None,
        description="lut_array: when a step's tables are made: ahead, into a second register while PEs work on the "
        "step before; or between steps, while PEs wait",
    )
    issue: IssueSpec | None = Field(None, description="simd: instructions of a core; rows are cores, cols their lanes")
    scalesim_os_cycles: bool = Field(
        False, description="output_stationary: folds without their drain, a bug of SCALE-Sim 3.0.0; for comparison only"
    )


class DequantizeSpec(Spec):
    """Formats that the accelerator has hardware for, besides those of ``pe`` and ``formats``."""

    weights: list[FormatName] = Field(
        [],
        description="stored formats of weights: where the PE takes them, dequantizers of group sums serve them too; "
        "where not, decoders between buffer and array make them what it takes",
    )
    activations: list[FormatName] = Field([], description="likewise, of activations")

    @property
    def asked(self) -> bool:
        """Whether any format is named."""
        return bool(self.weights or self.activations)


class HardwareSpec(Spec):
    """An accelerator as written in ``arch_configs/*.yaml``."""

    name: str = Field(min_length=1)
    description: str = ""
    technology: TechnologySpec
    target: TargetSpec = TargetSpec()
    clock: FrequencyHz = Field(
        description="the clock that the design reaches; on an FPGA no source tells it: state it, hwsim explain device "
        "shows what data sheets allow"
    )
    array: ArraySpec
    pe: dict[str, Any] = Field(description="family and its options, see hwsim list pe")
    memories: MemoriesSpec
    dram: DramSpec
    vector_unit: VectorUnitSpec = VectorUnitSpec(lanes=32)
    dequantize: DequantizeSpec = DequantizeSpec()
    network: NetworkSpec | None = Field(
        None, description="between buffers, array and DRAM port; default: a wire of half the edges of both blocks"
    )
    cores: CoresSpec | None = Field(None, description="several of all this on one chip, behind one DRAM port")
    chips: ChipsSpec | None = Field(None, description="several such chips, each with its DRAM")

    @model_validator(mode="after")
    def _target_has_effect(self) -> HardwareSpec:
        """Refuse keys of a device where there is none."""
        given = [name for name, field in TargetSpec.model_fields.items() if getattr(self.target, name) != field.default]
        if given and self.device is None:
            raise ValueError(
                f"target.{given[0]}: has no effect on {self.technology.name}, which is no FPGA device"
                + (f" (nor have {', '.join(given[1:])})" if given[1:] else "")
                + "; leave it out, or name a device in technology or target.device"
            )
        return self

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

    @model_validator(mode="after")
    def _levels_on_the_array(self) -> HardwareSpec:
        if self.memories.levels:
            check_levels(self.memories, self.array.rows, self.array.cols)
            if self.cores is not None and self.cores.count > 1:
                raise ValueError(f"memories.levels: valid on one core; cores.count is {self.cores.count}")
            check_array_options(self.array)
            if self.dequantize.asked:
                raise ValueError("dequantize: is modelled with three buffers; leave it out with memories.levels")
        return self


def check_array_options(array: ArraySpec) -> None:
    """Refuse what says how an array of its own dataflow works where the levels' fan-out does."""
    for name, field in ArraySpec.model_fields.items():
        stated = getattr(array, name) != field.default or (name == "dataflow" and name in array.model_fields_set)
        if name not in ("rows", "cols") and stated:
            raise ValueError(
                f"array.{name}: has no effect with memories.levels, whose fan_out says which loops lie on the array; "
                "leave it out"
            )
