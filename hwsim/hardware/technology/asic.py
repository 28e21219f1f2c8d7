"""ASIC technologies: cell classes to µm², fJ, ps; every constant with its source.

Area is counted cells times the fitted area per class. Energy is settled-value energy on random
data, proportional to area within a few per cent per family; what glitches and real data do to
it are separate factors per family. Absolute picojoules are good to about a factor of two.

A technology is synthesised (its file holds every figure) or scaled (:mod:`scaling`): one factor each
for area, energy and delay moves the whole table to within some per cent. Supply and temperature move
logic and wires by laws of their own (:meth:`Technology.conditions`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

from hwsim.formats import Format
from hwsim.hardware.circuits import Circuit, DivergenceError, Part, Register, path_levels, total
from hwsim.hardware.fpga.device import device_names
from hwsim.hardware.technology.fits import DelayLaw
from hwsim.hardware.technology.operations import DATAPATHS, operation_counts, operation_parts
from hwsim.hardware.technology.scaling import scaled_data
from hwsim.hardware.technology.supply import supply_factors
from hwsim.hardware.technology.temperature import (
    LOGIC_REFERENCE_K,
    SRAM_REFERENCE_K,
    LeakageDevice,
    LeakageFactor,
    leakage_factor,
)
from hwsim.hardware.technology.wires import USUAL_WIRES, Wire, WireChoice, wire
from hwsim.spec.data import data_path, read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

Regime = Literal["uniform", "gaussian"]


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure of a technology with its origin."""

    name: str
    value: float
    unit: str
    source: str
    estimated: bool


@dataclass(frozen=True, slots=True)
class Price:
    """Cost of one circuit: energy per operation on random data without glitches."""

    area_um2: float
    energy_fj: float
    clock_fj: float
    leakage_nw: float
    delay_ps: float


class PartPrice(NamedTuple):
    """Cost of one part with its copies and activity; energy includes glitches and data."""

    part: Part
    area_um2: float
    energy_fj: float
    clock_fj: float
    leakage_nw: float
    delay_ps: float


@dataclass(frozen=True)
class PartsPrice:
    """Cost of a bill of parts per cycle, and the factors that went into its energy."""

    rows: tuple[PartPrice, ...]
    glitch_factor: float
    regime_factor: float
    settled_factor: float
    basis: str = "modelled"

    @cached_property
    def area_um2(self) -> float:
        """Cell area."""
        found: float = total(row.area_um2 for row in self.rows)
        return found

    @cached_property
    def energy_fj(self) -> float:
        """Energy of one cycle with every part at its activity, without the clock."""
        found: float = total(row.energy_fj for row in self.rows)
        return found

    @cached_property
    def clock_fj(self) -> float:
        """Energy of the registers' clock pins per cycle."""
        found: float = total(row.clock_fj for row in self.rows)
        return found

    @cached_property
    def leakage_nw(self) -> float:
        """Leakage power."""
        found: float = total(row.leakage_nw for row in self.rows)
        return found

    @cached_property
    def delay_ps(self) -> float:
        """Sum of the delays of the parts on the critical path."""
        found: float = total(row.delay_ps for row in self.rows if row.part.on_path)
        return found


UNITS = {
    "vdd_v": "V",
    "area_um2": "um2",
    "energy_fj_per_um2": "fJ/um2",
    "leakage_nw_per_um2": "nW/um2",
    "delay_ps_per_level": "ps",
    "register_clock_fj_per_bit": "fJ",
    "register_energy_fj_per_bit": "fJ",
}


class Technology:
    """A technology as its data file describes it; prices are remembered per circuit.

    Without ``temperature_k``, leakage of logic holds at 25 °C and that of SRAM at 360 K, as their
    sources have it; with it, both are moved there.
    """

    def __init__(
        self,
        name: str,
        vdd_v: float | None = None,
        temperature_k: float | None = None,
        wires: WireChoice = USUAL_WIRES,
        delay_law: DelayLaw = "auto",
    ) -> None:
        self._data: dict[str, Any] = scaled_data(name)
        self.name = str(self._data["name"])
        self.node_nm = float(self._data["node_nm"])
        self.nominal_v = float(self._value("vdd_v"))
        self.vdd_v = self.nominal_v if vdd_v is None else vdd_v
        self.temperature_k = temperature_k
        self.wires = wires
        self.supply = supply_factors(self.node_nm, self.nominal_v, self.vdd_v, delay_law)
        self._logic_leakage = self._leakage("hp", LOGIC_REFERENCE_K).value * self.vdd_v / self.nominal_v
        self._prices: dict[Circuit, Price] = {}
        self._operations: dict[tuple[str, Format], float] = {}

    def _value(self, key: str) -> Any:
        if key not in self._data:
            raise MissingFigureError(f"technology {self.name} has no figure for {key}")
        return self._data[key]["value"]

    @cached_property
    def wire(self) -> Wire:
        """One mm of wire at the supply, of the kind chosen."""
        return wire(self.node_nm, self.vdd_v, self.wires)

    @property
    def wire_fj_per_bit_mm(self) -> float:
        """Energy of one transition on one mm of wire."""
        return self.wire.energy_fj_per_bit_mm

    def sram_leakage_factor(self, device: LeakageDevice) -> LeakageFactor:
        """Return what the temperature does to SRAM leakage, whose figures hold at 360 K."""
        return self._leakage(device, SRAM_REFERENCE_K)

    def _leakage(self, device: LeakageDevice, reference_k: float) -> LeakageFactor:
        if self.temperature_k is None:
            return LeakageFactor(1.0, f"at the {reference_k:g} K of the figures; no temperature is set", False)
        return leakage_factor(self.node_nm, device, self.temperature_k, reference_k)

    def conditions(self, sram_device: LeakageDevice = "hp") -> list[Constant]:
        """Return what supply and temperature multiply, each kind of hardware by its own law."""
        logic, sram = self._leakage("hp", LOGIC_REFERENCE_K), self.sram_leakage_factor(sram_device)
        moved = self.vdd_v != self.nominal_v
        linear = f"leakage current taken as constant over the supply; logic takes the curve of SRAM: {logic.source}"
        return [
            Constant("logic energy", self.supply.energy, "x", self.supply.source, moved),
            Constant("logic delay", self.supply.delay, "x", self.supply.source, moved),
            Constant("clock at the same stages", 1 / self.supply.delay, "x", "one over the delay of logic", moved),
            Constant("logic leakage", self._logic_leakage, "x", linear, moved or self.temperature_k is not None),
            Constant("wire energy", (self.vdd_v / self.nominal_v) ** 2, "x", "C V^2", False),
            Constant("SRAM energy and delay", 1.0, "x", "no sourced law: SRAM stays at its own supply", False),
            Constant(f"SRAM leakage, {sram_device}", sram.value, "x", sram.source, sram.estimated),
            Constant("DRAM", 1.0, "x", "a chip of its own, at its own supply and temperature", False),
        ]

    def price(self, circuit: Circuit) -> Price:
        """Return the cost of one copy of ``circuit``."""
        try:
            return self._prices[circuit]
        except KeyError:
            found = self._prices[circuit] = self._price(circuit)
            return found
        except DivergenceError:  # of many designs at once, which nobody will ask for again
            return self._price(circuit)

    def _price(self, circuit: Circuit) -> Price:
        cells, areas = circuit.cells(), self._value("area_um2")
        area = total(count * float(areas[cell]) for cell, count in cells.items())
        flops = cells.get("reg", 0.0)
        clock = flops * float(self._value("register_clock_fj_per_bit"))
        held = flops * float(self._value("register_energy_fj_per_bit")) - clock
        logic = area - flops * float(areas["reg"])
        return Price(
            area_um2=area,
            energy_fj=(logic * float(self._value("energy_fj_per_um2")) + held) * self.supply.energy,
            clock_fj=clock * self.supply.energy,
            leakage_nw=area * float(self._value("leakage_nw_per_um2")) * self._logic_leakage,
            delay_ps=circuit.levels() * self._ps_per_level,
        )

    def delay_ps(self, parts: Sequence[Part]) -> float:
        """Return the delay of the critical path through ``parts``, as :meth:`price_parts` has it."""
        levels: float = total(path_levels(parts))
        return levels * self._ps_per_level

    def logic_ps(self, parts: Sequence[Part]) -> float:
        """Return what of :meth:`delay_ps` is logic, without the registers that the path begins and ends with."""
        own = zip(path_levels(parts), parts, strict=True)
        levels: float = total(found for found, part in own if not isinstance(part.circuit, Register))
        return levels * self._ps_per_level

    @property
    def _ps_per_level(self) -> float:
        return float(self._value("delay_ps_per_level")) * self.supply.delay

    def price_parts(
        self,
        parts: Sequence[Part],
        glitch_family: str,
        regime: Regime = "gaussian",
        stages: int = 1,
        hurry: float = 0.0,
    ) -> PartsPrice:
        """Return the cost of ``parts``; registers do not glitch.

        A family's settled-value energy is not quite its area times the technology's density: how far off is its
        ``settled`` factor. The families' glitch factors were measured on whole combinational datapaths. Registers stop
        glitches, whose energy grows with the depth that they cross: cut into ``stages``, a datapath
        keeps 1/stages of the excess (estimated; linear in depth).

        Delays of rows are what parts add to the path (:func:`path_levels`), 0 beside it.

        ``hurry`` from 0 to 1 says how far gates are sized for speed instead of for area; delays of the
        rows are then those that the sizing buys.

        Raises
        ------
        MissingFigureError
            If no factor is known for the family.
        """
        glitch = 1 + (factor("glitch", glitch_family) - 1) / stages
        settled = factor("settled", glitch_family)
        data = factor(regime, glitch_family) if regime == "gaussian" else 1.0
        larger, hungrier, quicker = (1 + hurry * (factor("speed", f) - 1) for f in ("area", "energy", "delay"))
        rows, level_ps = [], self._ps_per_level
        for part, levels in zip(parts, path_levels(parts), strict=True):
            one, held = self.price(part.circuit), isinstance(part.circuit, Register)
            noise = 1.0 if held else settled * glitch * data * hungrier
            size = 1.0 if held else larger
            rows.append(
                PartPrice(
                    part,
                    one.area_um2 * part.count * size,
                    one.energy_fj * part.count * part.activity * noise,
                    one.clock_fj * part.count * part.clocked,
                    one.leakage_nw * part.count * size,
                    levels * level_ps * (1.0 if held else quicker),
                )
            )
        return PartsPrice(tuple(rows), glitch, data, settled)

    def op_energy_pj(self, op: str, fmt: Format) -> float:
        """Return the energy of one vector-unit operation in pJ (:data:`~.operations.OPERATIONS`).

        Raises
        ------
        UsageError
            If the operation is unknown or the format has no such datapath.
        """
        key = (op, fmt)
        if key not in self._operations:
            counts = operation_counts(op, fmt)
            self._operations[key] = sum(n * self.datapath(o, fmt).energy_fj * 1e-3 for o, n in counts.items())
        return self._operations[key]

    def datapath(self, op: str, fmt: Format) -> PartsPrice:
        """Return the cost of the datapath for ``add``, ``mul``, ``cmp`` or ``shift``, uniform data."""
        parts, family = operation_parts(op, fmt)
        return self.price_parts(parts, family, "uniform")

    def vector_lane(self, fmt: Format, more: tuple[str, ...] = ()) -> Price:
        """Return the cost of one lane: adder, multiplier, comparator, three operands and a result held.

        ``more`` names further datapaths (``shift``).

        ``energy_fj`` is 0: operations are priced one by one (:meth:`op_energy_pj`).
        """
        units = [self.datapath(op, fmt) for op in (*DATAPATHS, *more)]
        held = self.price(Register(4 * fmt.bits))
        return Price(
            area_um2=sum(u.area_um2 for u in units) + held.area_um2,
            energy_fj=0.0,
            clock_fj=held.clock_fj,
            leakage_nw=sum(u.leakage_nw for u in units) + held.leakage_nw,
            delay_ps=max(u.delay_ps for u in units),
        )

    def constants(self) -> list[Constant]:
        """Return every constant at the nominal supply with its unit and source."""
        found = []
        for key, unit in UNITS.items():
            entry = self._data[key]
            values = entry["value"] if isinstance(entry["value"], dict) else {"": entry["value"]}
            for cell, value in values.items():
                label = f"{key}.{cell}" if cell else key
                found.append(Constant(label, float(value), unit, entry["source"], bool(entry["estimated"])))
        one = wire(self.node_nm, self.nominal_v, self.wires)
        for label, figure, unit in (
            ("wire_fj_per_bit_mm", one.energy_fj_per_bit_mm, "fJ/bit/mm"),
            ("wire_delay_ns_per_mm", one.delay_ns_per_mm, "ns/mm"),
        ):
            found.append(Constant(label, figure, unit, one.source, one.estimated))
        return found


def factor_rows() -> list[dict[str, str]]:
    """Return the factors on energy, ``kind, family, value, source``; they hold in every technology."""
    return read_csv_rows("technology", "factors.csv")


@lru_cache(maxsize=1)
def _factors() -> dict[tuple[str, str], float]:
    return {(r["kind"], r["family"]): float(r["value"]) for r in factor_rows()}


def factor(kind: str, family: str) -> float:
    """Return the glitch, activity or data-regime factor of a family of circuits.

    Raises
    ------
    MissingFigureError
        If none is known.
    """
    known = _factors()
    if (kind, family) not in known:
        families = [f for k, f in known if k == kind]
        raise MissingFigureError(f"no {kind} factor for {family!r}; {did_you_mean(family, families)}")
    return known[kind, family]


def technology_names() -> list[str]:
    """Return the technologies that ship with hwsim."""
    return sorted(path.stem for path in data_path("technology").glob("*.yaml"))


def _node_of(name: str) -> float | None:
    """Return the node in nm that a name such as ``28nm`` means, None for other names."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*nm", name)
    return float(match[1]) or None if match else None


def _valid(name: str) -> str:
    """Return the technologies for a message, nodes by size, and which of them is nearest to the node in ``name``."""
    wanted = _node_of(name)
    names = sorted(technology_names(), key=lambda n: (_node_of(n) or math.inf, n))
    nodes = {n: node for n in names if (node := _node_of(n)) is not None}
    near = name if wanted is None else min(nodes, key=lambda n: abs(math.log(nodes[n] / wanted)))
    return did_you_mean(near, names, ordered=True)


@lru_cache(maxsize=64)
def load_technology(
    name: str,
    vdd_v: float | None = None,
    temperature_k: float | None = None,
    wires: WireChoice = USUAL_WIRES,
    delay_law: DelayLaw = "auto",
) -> Technology:
    """Return the technology called ``name``, at another supply and temperature or with other wires if given.

    Raises
    ------
    UsageError
        If there is none, or supply or temperature are out of the range of their laws.
    """
    if name not in technology_names():
        what = f"{name} is an FPGA device, no technology" if name in device_names() else f"unknown technology {name!r}"
        raise UsageError(f"{what}; {_valid(name)}")
    return Technology(name, vdd_v, temperature_k, wires, delay_law)
