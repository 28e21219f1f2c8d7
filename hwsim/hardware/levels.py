"""Levels of memory, priced: every store of every level with its instances on the array.

SRAM and register files are priced by the models that answer ``hwsim explain memory``. Registers are flip-flops of
the technology behind a multiplexer, clock-gated word by word: a write costs the clock of its word, a read the
whole multiplexer (estimated: all of it toggles). The PE's own registers cost what loading them takes; the rest is in
the PE's price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.circuits import Register
from hwsim.hardware.circuits.storage import RegisterTable
from hwsim.hardware.memories_spec import AxisSpec, StoreKind, StoreSpec
from hwsim.hardware.memory import Sram, build_buffer
from hwsim.hardware.memory.cell import Cell
from hwsim.hardware.memory.figures import MemoryRow
from hwsim.hardware.memory.ports import Ports
from hwsim.hardware.memory.published import published_or, with_published
from hwsim.hardware.memory.register_file import build_register_file
from hwsim.hardware.memory.sram import Request
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.hardware.technology import Technology
from hwsim.spec.errors import InfeasibleError, MissingFigureError

#: Bits of the narrowest register file that has figures.
NARROWEST = 8


@dataclass(frozen=True)
class Registers:
    """``words`` of flip-flops; 0 words: registers that are part of something else."""

    words: int
    width_bits: int
    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    cycle_ns: float
    source: str

    def rows(self) -> list[MemoryRow]:
        """Return every figure with unit and source."""
        units = (("read_pj", "pJ"), ("write_pj", "pJ"), ("leakage_mw", "mW"), ("area_mm2", "mm2"), ("cycle_ns", "ns"))
        return [MemoryRow(name, getattr(self, name), unit, self.source, True) for name, unit in units]


@dataclass(frozen=True)
class PlacedStore:
    """A store with its price: ``number`` is its level's place in the file, below axes that make ``instances`` of it.

    ``path`` is its own place there.
    """

    name: str
    path: str
    number: int
    spec: StoreSpec
    memory: Cell
    instances: int
    in_pe: bool

    @property
    def kind(self) -> StoreKind:
        """What it is made of."""
        return self.spec.kind

    @property
    def is_sram(self) -> bool:
        """Whether it counts as SRAM, else as registers."""
        return self.kind == "sram"

    @property
    def area_mm2(self) -> float:
        """Area of all instances."""
        return self.instances * self.memory.area_mm2

    @property
    def leakage_w(self) -> float:
        """Leakage of all instances."""
        return self.instances * self.memory.leakage_mw * 1e-3

    def distance_mm(self, pes_mm2: float) -> float:
        """Return the mean wire from a port to what it feeds, of PEs that take ``pes_mm2`` with what is in them.

        Estimated: beside the block of PEs that it feeds, both square. In a PE there is no way.
        """
        return 0.0 if self.in_pe else 0.5 * (math.sqrt(pes_mm2 / self.instances) + math.sqrt(self.memory.area_mm2))


@dataclass(frozen=True)
class PlacedAxis:
    """An axis below level ``number`` with its instances; ``outer`` is the number of blocks on all axes down to it."""

    spec: AxisSpec
    number: int
    size: int
    outer: int


def place_axes(spec: HardwareSpec) -> tuple[PlacedAxis, ...]:
    """Return the axes of all levels, the outermost first; ``outer`` counts those of the same level, too."""
    levels = spec.memories.levels or ()
    sizes = [[axis.length(spec.array.rows, spec.array.cols) for axis in level.fan_out] for level in levels]
    found, outer = [], 1
    for number, (level, lengths) in enumerate(zip(levels, sizes, strict=True)):
        outer *= prod(lengths)
        found += [PlacedAxis(axis, number, size, outer) for axis, size in zip(level.fan_out, lengths, strict=True)]
    return tuple(found)


def place_stores(spec: HardwareSpec, technology: Technology, step_bits: Mapping[str, int]) -> tuple[PlacedStore, ...]:
    """Return every store of ``memories.levels``, priced; ``step_bits`` are those of a PE's step, by operand.

    Raises
    ------
    InfeasibleError, MissingFigureError
        If a store cannot be built; the message names it and what would do.
    """
    axes, found = place_axes(spec), []
    last = max((axis.number for axis in axes), default=-1)
    for number, level in enumerate(spec.memories.levels or ()):
        instances = prod(axis.size for axis in axes if axis.number < number)
        for name, place, store in level.parts:
            path = f"memories.levels.{number}{place}"
            try:
                memory = _priced(spec, store, technology, step_bits)
            except (InfeasibleError, MissingFigureError) as error:
                raise type(error)(f"{path}.size: {error}") from None
            found.append(PlacedStore(name, path, number, store, memory, instances, number > last))
    return tuple(found)


def _priced(spec: HardwareSpec, store: StoreSpec, technology: Technology, step_bits: Mapping[str, int]) -> Cell:
    width = sum(step_bits[x] for x in store.holds) if store.port_bits == "auto" else store.port_bits
    if store.kind == "pe":
        loaded = technology.price(Register(width)).energy_fj * 1e-3
        return Registers(0, width, 0.0, loaded, 0.0, 0.0, 0.0, "registers that the PE has: the rest is in its price")
    if store.kind == "register_file" and store.port_bits == "auto":
        width *= -(-NARROWEST // width)  # a word of several steps; energy counts by the bit
    kelvin = spec.memories.temperature or spec.technology.temperature or ROWS_K
    device, node_nm = spec.technology.sram_device, technology.node_nm
    size = int(store.size or 0)
    if store.kind == "sram":
        ports: Ports = "1r1w" if store.split_ports else "1rw"
        request = Request(size, width, store.banks, node_nm, device, kelvin, ports, store.ecc)
        return published_or(
            store.figures, Sram, request, lambda: build_buffer(*request[:5], store.macro_bits, *request[5:])
        )
    words = size * 8 // width
    if words < 1:
        raise InfeasibleError(f"{size} B have no word of {width} bits; valid: at least {-(-width // 8)} B")
    if store.kind == "registers":
        return _registers(words, width, technology)
    mix = (1, 1) if store.split_ports else (0, 0)
    shared = 0 if store.split_ports else 1
    modelled = build_register_file(words, width, *mix, node_nm, device, shared, None, kelvin)
    return with_published(modelled, store.figures)


def _registers(words: int, width: int, technology: Technology) -> Registers:
    """Return flip-flops behind a read multiplexer."""
    table, held = technology.price(RegisterTable(words, width)), technology.price(Register(words * width))
    one = technology.price(Register(width))
    return Registers(
        words,
        width,
        read_pj=(table.energy_fj - held.energy_fj) * 1e-3,
        write_pj=(one.energy_fj + one.clock_fj) * 1e-3,
        leakage_mw=table.leakage_nw * 1e-6,
        area_mm2=table.area_um2 * 1e-6,
        cycle_ns=table.delay_ps * 1e-3,
        source=f"{words} words of flip-flops of {technology.name} and their read multiplexers",
    )


def axis_mm(axis: PlacedAxis, stores: Sequence[PlacedStore], pes_mm2: float) -> float:
    """Return the wire along all instances of an axis: squares of the PEs (``pes_mm2``) and of every store below it."""
    inside = pes_mm2 + sum(store.area_mm2 for store in stores if store.number > axis.number)
    return axis.size * math.sqrt(inside / axis.outer)
