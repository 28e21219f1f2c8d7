"""From priced levels of memory to what the search of loop nests needs: a hierarchy at the accelerator's own prices.

Every store becomes a level of the hierarchy (stores of one level hold different operands, so their order does not
matter), DRAM is level 0. Prices per bit have the way to and from SRAM on top; wires along the axes of the array are
priced apart. A MAC costs a PE's step. What goes by time (leakage, clock, DRAM's standby) is not weighed by the search,
but counted of what it finds.
"""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, NoReturn

from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.accelerator_build import scale_group
from hwsim.hardware.levels import PlacedStore, place_axes
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.simulate.arch_spec import ArchSpec
from hwsim.simulate.cost import UnitCosts
from hwsim.simulate.dataflow import ArrayShape, Dataflow, DotUnit, Totals
from hwsim.simulate.dataflow.base import Extents, TileOperands
from hwsim.simulate.mapping import Machine
from hwsim.simulate.nest.hierarchy import DIRECTIONS, OPERANDS, Axis, Hierarchy, Level, Port, Store, Widths
from hwsim.simulate.policies import LOOP_NEST
from hwsim.simulate.schedule import LevelPlan, OperandBits
from hwsim.spec.errors import UsageError


class LevelDataflow(Dataflow):
    """What stands for a dataflow where a loop nest says what lies on the array: it knows neither edge nor cycles."""

    name: ClassVar[str] = LOOP_NEST
    summary: ClassVar[str] = "the axes of memories.levels, with the loops that the mapper puts on them"
    stationary: ClassVar[str] = ""
    dequant_site: ClassVar[str] = "pe"

    def units(self, shape: ArrayShape) -> dict[str, int]:
        """A step of one PE."""
        return {"m": 1, "k": shape.lanes, "n": 1}

    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """Refuse: which PEs wait for one another is the nest's to say."""
        _no_array()

    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Refuse: cycles are those of the nest."""
        _no_array()

    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Refuse, likewise."""
        _no_array()

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """Ports are those of the levels."""
        return {}

    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Wires are those of the axes."""
        return {}

    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Refuse, likewise."""
        _no_array()

    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Refuse, likewise."""
        _no_array()


def _no_array() -> NoReturn:
    raise UsageError("memories.levels: a loop nest has no array of a dataflow of its own")


LEVELS = LevelDataflow()


def step_bits(pe: PE) -> dict[str, int]:
    """Return the bits that a step of a PE takes of each operand, in the mode that needs most."""
    found = {"w": 0, "a": 0, "o": 0}
    for mode in pe.modes:
        of_mode = {"w": mode.w_format.bits_per_element, "a": mode.a_format.bits_per_element}
        for x, bits in of_mode.items():
            found[x] = max(found[x], mode.lanes * ceil(bits))
        found["o"] = max(found["o"], mode.psum_bits)
    return found


def _hierarchy(
    spec: ArchSpec, acc: Accelerator, unit: UnitCosts, widths: Widths, scale: int, interval: int
) -> Hierarchy:
    """Return DRAM and the stores as levels, with the axes of the array; bits are in parts of ``scale``."""
    dram = Port(OPERANDS, DIRECTIONS, acc.dram_bits_per_cycle * scale * interval)
    levels = [
        Level(
            "DRAM",
            (Store(OPERANDS, None),),
            (dram,),
            unit.dram_read_pj_per_bit / scale,
            unit.dram_write_pj_per_bit / scale,
        ),
        *(_level(store, unit, widths, scale, interval) for store in acc.stores),
    ]
    results = spec.memories.result_number
    last = [max(i for i, s in enumerate(acc.stores, start=1) if s.number <= axis.number) for axis in place_axes(spec)]
    axes = tuple(
        Axis(axis.spec.name, tuple(axis.spec.loops), axis.size, below, axis.spec.shared)
        for axis, below in zip(place_axes(spec), last, strict=True)
    )
    return Hierarchy(
        spec.name,
        tuple(levels),
        axes,
        unit.pe_pj_per_step + unit.pe_register_pj_per_step,
        result_level=max((i for i, s in enumerate(acc.stores, start=1) if s.number <= results), default=0),
        wire_pj_per_bit=tuple(unit.axis_pj_per_bit[axis.name] / scale for axis in axes),
    )


def level_machine(
    spec: ArchSpec, acc: Accelerator, unit: UnitCosts, formats: tuple[Format, Format], bits: OperandBits
) -> Machine:
    """Return the machine of one pair of formats (weights, activations).

    Raises
    ------
    UsageError
        If sums of scale groups would have to stay apart, or cycles depend on data.
    """
    (w, a), pe = formats, acc.pe
    _refuse(spec, pe, w, a)
    interval = pe.cycles_per_step(w, a)
    widths = Widths(a=pe.lanes * bits.a, w=pe.lanes * bits.w, psum=bits.psum, result=bits.o)
    scale = bits.denominator
    hierarchy = _hierarchy(spec, acc, unit, widths, scale, interval)
    first = {x: next(s for s in acc.stores if x in s.spec.holds) for x in OPERANDS}
    plan = LevelPlan(
        hierarchy,
        widths,
        pe.lanes,
        interval,
        scale,
        (False, *(store.is_sram for store in acc.stores)),
        exhaustive=spec.mapper.exhaustive,
        paths=("dram", *(store.path for store in acc.stores)),
        overlap=all(store.spec.copies > 1 for store in first.values()),
    )
    return Machine(
        dataflow=LEVELS,
        shape=ArrayShape(acc.rows, acc.cols, pe.lanes, interval),
        bits=bits,
        capacity_w_bits=0,
        capacity_a_bits=0,
        capacity_o_bits=0,
        dram_bits_per_cycle=acc.dram_bits_per_cycle,
        objective=spec.mapper.objective,
        policy=LOOP_NEST,
        step_cycles=interval,
        levels=plan,
    )


def _refuse(spec: ArchSpec, pe: PE, w: Format, a: Format) -> None:
    pair = f"{spec.name}: memories.levels: {pe.family} on {w.name} × {a.name}"
    if pe.scaling(w, a) == "sum":
        raise UsageError(
            f"{pair}: sums of scale groups are kept apart and scaled, and no loop nest here knows groups; valid: "
            "formats without scales of groups, PEs that take scaled operands, or three buffers"
        )
    if pe.data_dependent(w, a):
        raise UsageError(
            f"{pair}: cycles depend on data, and which PEs wait for one another is known of dataflows alone; valid: "
            "PEs of fixed cycles, or three buffers"
        )
    group = scale_group(w, a) if pe.scaling(w, a) != "none" else None
    if group is not None and group % pe.lanes:
        raise UsageError(f"{pair}: pe.lanes {pe.lanes} does not divide the scale group of {group} elements")


def _level(store: PlacedStore, unit: UnitCosts, widths: Widths, scale: int, interval: int) -> Level:
    """Return a store as a level of the hierarchy; one port for both directions, or one for each."""
    holds, name = tuple(x for x in OPERANDS if x in store.spec.holds), store.name
    in_pe = store.kind == "pe"
    capacity = sum(widths.kept(x) for x in holds) if in_pe else int(store.spec.size or 0) * 8 * scale
    rate = Fraction(store.memory.width_bits * scale * interval)
    ways = [(way,) for way in DIRECTIONS] if store.spec.split_ports else [DIRECTIONS]
    ports = () if in_pe else tuple(Port(holds, way, rate) for way in ways)
    if store.is_sram:
        way_pj = unit.store_network_pj_per_bit[name]
        read, write = unit.sram_read_pj_per_bit[name] + way_pj, unit.sram_write_pj_per_bit[name] + way_pj
    else:
        read, write = unit.rf_read_pj_per_bit[name], unit.rf_write_pj_per_bit[name]
    return Level(name, (Store(holds, capacity, store.spec.copies),), ports, read / scale, write / scale)
