"""What YAML says of the memories on the chip: three buffers, or a list of levels of any kind.

A level stands between the one before it (the first one: DRAM) and the next; below the last one are the
multipliers. ``fan_out`` is what lies below a level: axes of instances side by side, of everything that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from hwsim.hardware.memory import PublishedSpec
from hwsim.hardware.memory.ecc import Ecc
from hwsim.hardware.memory.temperature import check_temperature
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import MissingFigureError, did_you_mean
from hwsim.spec.units import SizeBytes, TemperatureK

Operand = Literal["a", "w", "o"]
Operands = Annotated[list[Operand], Field(min_length=1)]
StoreKind = Literal["sram", "register_file", "registers", "pe"]
BUFFERS = {"w": "weights", "a": "activations", "o": "outputs"}
#: Axes that are as long as the array.
ARRAY_AXES = ("rows", "cols")


def _known_temperature(kelvin: float) -> float:
    try:
        check_temperature(kelvin)
    except MissingFigureError as error:
        raise ValueError(str(error)) from None
    return kelvin


def _checked_port(port_bits: int | str) -> int | str:
    if port_bits != "auto" and not 1 <= int(port_bits) <= 1 << 20:
        raise ValueError(f"must be between 1 and {1 << 20}, or auto, not {port_bits}")
    return port_bits


PortBits = Annotated[int | Literal["auto"], AfterValidator(_checked_port)]


class BufferSpec(Spec):
    """One SRAM buffer. ``port_bits`` is the width of its port to the array."""

    size: SizeBytes = Field(description="capacity, for example 256 KiB")
    banks: int = Field(1, ge=1, le=64, description="independent banks")
    port_bits: PortBits = Field(
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
    def _nothing_without_effect(self) -> BufferSpec:
        if self.figures is not None and self.figures.whole:
            for key in ("banks", "macro_bits", "ports", "ecc"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key}: has no effect beside figures of everything; leave one of them out")
        return self


class _StoreFields(Spec):
    """What a store of a level has beside what it holds."""

    kind: StoreKind = Field(
        "sram",
        description="sram; register_file: a macro of at least 32 words; registers: flip-flops with a read "
        "multiplexer; pe: the registers that the PE has anyway, one step's operands",
    )
    size: SizeBytes | None = Field(None, description="capacity of each instance; pe: leave it out")
    port_bits: PortBits = Field(
        "auto",
        description="bits per cycle of each port and instance; auto, for memories of a PE: one step's operands of all "
        "that it holds (register files: at least 8 bits)",
    )
    ports: Literal["1rw", "1r1w"] | None = Field(
        None, description="a port that reads or writes, or one of each; default: 1rw of sram, 1r1w of others"
    )
    banks: int = Field(1, ge=1, le=64, description="independent banks of sram, behind the same port")
    macro_bits: int = Field(256, ge=8, le=1024, description="widest SRAM macro; wider ports are several side by side")
    double_buffered: bool | None = Field(
        None, description="one half is filled while the other is in use; default: sram is, others are not"
    )
    ecc: Ecc = Field("none", description="of sram, secded: check bits beside the word of every macro")
    figures: PublishedSpec | None = Field(
        None, description="measured or published figures of each instance, which go before the models'"
    )

    @property
    def copies(self) -> int:
        """Parts of the capacity, of which one at a time is in use."""
        doubled = self.kind == "sram" if self.double_buffered is None else self.double_buffered
        return 2 if doubled else 1

    @property
    def split_ports(self) -> bool:
        """Whether reads and writes have a port each."""
        return (self.ports or ("1rw" if self.kind == "sram" else "1r1w")) == "1r1w"

    def check_kind(self) -> None:
        """Refuse what a kind does not have.

        Raises
        ------
        ValueError
            Naming the field.
        """
        if (self.size is None) != (self.kind == "pe"):
            have = "have one step's operands; leave it out" if self.kind == "pe" else "is missing, such as 64 KiB"
            raise ValueError(f"size: {'the registers of a PE ' if self.kind == 'pe' else ''}{have}")
        if self.kind != "sram":
            for name in ("banks", "macro_bits", "ecc"):
                if getattr(self, name) != _StoreFields.model_fields[name].default:
                    raise ValueError(f"{name}: of sram alone; {self.kind} has none, leave it out")
        if self.kind in ("registers", "pe") and self.figures is not None:
            raise ValueError(f"figures: of memories; {self.kind} are cells of the technology, leave it out")
        if self.kind == "pe" and (self.ports == "1rw" or self.double_buffered or self.port_bits != "auto"):
            raise ValueError("kind: pe are the PE's own registers; leave ports, port_bits and double_buffered out")


class StoreSpec(_StoreFields):
    """A part of a level with a capacity of its own."""

    holds: Operands = Field(description="operands that share it: a, w, o")

    @model_validator(mode="after")
    def _kind_has_it(self) -> StoreSpec:
        self.check_kind()
        return self


class AxisSpec(Spec):
    """Instances side by side of everything below a level."""

    name: str = Field(min_length=1, description="rows and cols are as long as the array's")
    loops: Annotated[list[Literal["m", "k", "n"]], Field(min_length=1)] = Field(
        description="loops that may lie on it; along k sums of all instances are added"
    )
    size: int | None = Field(None, ge=1, le=65_536, description="instances; default, of rows and cols: the array's")
    shared: bool = Field(True, description="what all instances need is read once (multicast); false: once for each")

    def length(self, rows: int, cols: int) -> int:
        """Return the instances on an array."""
        return self.size or {"rows": rows, "cols": cols}[self.name]


class LevelSpec(_StoreFields):
    """A level: one store, described right here, or several in ``stores``."""

    name: str = Field(min_length=1)
    holds: Operands | None = Field(None, description="operands that share its one store: a, w, o; others pass it by")
    stores: Annotated[list[StoreSpec], Field(min_length=1)] | None = Field(
        None, description="several stores, each with operands and capacity of its own"
    )
    fan_out: tuple[AxisSpec, ...] = Field((), description="what lies between this level and the next, outer axis first")

    @model_validator(mode="after")
    def _one_form(self) -> LevelSpec:
        if self.stores is None:
            if self.holds is None:
                raise ValueError("holds: is missing, such as [a, w, o]; or give stores")
            self.check_kind()
            return self
        own = [name for name in (*_StoreFields.model_fields, "holds") if name in self.model_fields_set]
        if own:
            raise ValueError(f"{own[0]}: belongs into one of stores, or leave stores out")
        held = [x for store in self.stores for x in store.holds]
        twice = next((x for x in held if held.count(x) > 1), None)
        if twice:
            raise ValueError(f"stores: {twice} is held in two of them")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The stores with their names and where they stand below the level."""
        if self.stores is not None:
            return tuple(
                Part(f"{self.name}.{''.join(store.holds)}", f".stores.{at}", store)
                for at, store in enumerate(self.stores)
            )
        given = {name: getattr(self, name) for name in _StoreFields.model_fields}
        return (Part(self.name, "", StoreSpec.model_construct(holds=self.holds or [], **given)),)


class Part(NamedTuple):
    """A store of a level by its name, and its place in the file below that of the level."""

    name: str
    place: str
    store: StoreSpec


class MemoriesSpec(Spec):
    """The three buffers between DRAM and the array, or any number of levels instead."""

    weights: BufferSpec | None = None
    activations: BufferSpec | None = None
    outputs: BufferSpec | None = None
    levels: Annotated[list[LevelSpec], Field(min_length=1)] | None = Field(
        None, description="instead of the buffers: levels from the outermost to the innermost, below DRAM"
    )
    result_level: str | None = Field(
        None,
        description="of levels, the innermost that keeps results in their own format (partial sums come and go in that "
        "of sums); default: DRAM alone",
    )
    temperature: Annotated[TemperatureK, AfterValidator(as_value_error(_known_temperature))] | None = Field(
        None, description="leakage of the buffers holds at it; default: the technology's, or the 360 K of CACTI's runs"
    )

    @model_validator(mode="after")
    def _buffers_or_levels(self) -> MemoriesSpec:
        given = [name for name in BUFFERS.values() if getattr(self, name) is not None]
        if self.levels and given:
            raise ValueError(f"{given[0]}: with levels, they are all that there is; leave {' and '.join(given)} out")
        names = [level.name for level in self.levels or ()]
        if self.result_level is not None and self.result_level not in names:
            hint = did_you_mean(self.result_level, names)
            raise ValueError(f"result_level: unknown level {self.result_level!r}; {hint}")
        missing = [name for name in BUFFERS.values() if name not in given]
        if missing and not self.levels:
            raise ValueError(f"{' and '.join(missing)}: missing; give weights, activations and outputs, or levels")
        return self

    def buffer(self, name: str) -> BufferSpec:
        """Return one of the three buffers; there must be no levels."""
        found: BufferSpec | None = getattr(self, name)
        assert found is not None, "levels have no buffers"
        return found

    @property
    def result_number(self) -> int:
        """Place of the level of results in the list, -1 for DRAM."""
        return next((i for i, level in enumerate(self.levels or ()) if level.name == self.result_level), -1)


def check_levels(memories: MemoriesSpec, rows: int, cols: int) -> None:
    """Refuse levels that contradict one another, or an array of ``rows`` × ``cols``.

    Raises
    ------
    ValueError
        Naming the level and the field.
    """
    levels = memories.levels or []
    axes = [(number, axis) for number, level in enumerate(levels) for axis in level.fan_out]
    names = ["DRAM", *(part.name for level in levels for part in level.parts), *(axis.name for _, axis in axes)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"memories.levels: {twice!r} is the name of two levels or axes, or of DRAM")
    for x, words in (("a", "activations"), ("w", "weights"), ("o", "outputs")):
        if not any(x in part.store.holds for level in levels for part in level.parts):
            raise ValueError(f"memories.levels: no level holds {x} ({words}); a PE reads every operand from a level")
    for number, axis in axes:
        if axis.size is None and axis.name not in ARRAY_AXES:
            raise ValueError(f"memories.levels.{number}.fan_out: {axis.name}: size is missing; of rows and cols alone "
                             "it is the array's")  # fmt: skip
        if "k" in axis.loops and not axis.shared:
            raise ValueError(f"memories.levels.{number}.fan_out: {axis.name}: sums along k are added, so it is shared")
        if "k" in axis.loops and number < memories.result_number:
            raise ValueError(
                f"memories.result_level: {memories.result_level} is below axis {axis.name}, where sums are still added"
            )
    count = prod(axis.length(rows, cols) for _, axis in axes)
    if count != rows * cols:
        raise ValueError(
            f"memories.levels: the axes of fan_out have {count} instances, the array has {rows} × {cols} = "
            f"{rows * cols} PEs"
        )
    if axes and not any(len(set(dims)) == len(dims) for dims in product(*(axis.loops for _, axis in axes))):
        raise ValueError("memories.levels: two axes of fan_out run over the same loop; each needs one of its own")
    _check_pe_stores(levels, max((number for number, _ in axes), default=-1))


def _check_pe_stores(levels: Sequence[LevelSpec], last_axis: int) -> None:
    for number, level in enumerate(levels):
        for _, place, store in level.parts:
            where = f"memories.levels.{number}{place}"
            if store.kind == "pe" and number <= last_axis:
                raise ValueError(f"{where}.kind: the PE's own registers are below every fan_out")
            if store.kind == "sram" and store.port_bits == "auto":
                raise ValueError(f"{where}.port_bits: is missing: bits per cycle of each port of SRAM")
