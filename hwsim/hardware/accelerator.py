"""An accelerator: an array of PEs, three buffers, DRAM, a vector unit, one technology.

:class:`HardwareSpec` is what YAML says, :class:`Accelerator` the priced thing. Area is cell and
macro area without routing overhead, as the technology's constants state. A chip may have several such
cores on one DRAM port.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from hwsim.formats import Format, parse_format
from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.circuits import Register
from hwsim.hardware.decoders import Decoders
from hwsim.hardware.functions import FunctionUnit, chosen_units
from hwsim.hardware.levels import PlacedStore, axis_mm, place_axes
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.hardware.memory import Dram, Sram
from hwsim.hardware.memory.dram import Channels
from hwsim.hardware.network import Network
from hwsim.hardware.network.spec import open_network
from hwsim.hardware.off_chip import open_channels
from hwsim.hardware.pe import PE
from hwsim.hardware.pe.operands import Operands
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.scratchpads import Scratchpads
from hwsim.hardware.tables import TableMaking, table_making
from hwsim.hardware.technology import PartsPrice, Price, Technology

#: Running sum of scaled groups (FP32).
SUM_REGISTER = Register(32)


@dataclass(frozen=True)
class Accelerator:
    """A priced accelerator. Areas, leakage and peak are of the chip; array, buffers and their wires of one core.

    ``srams`` are keyed ``w``, ``a``, ``o``; with ``memories.levels`` there are ``stores`` instead.
    ``dequant_price`` is the cost of one of ``dequantizers`` units that scale group sums (its energy per sum), None
    when no format of a run needs one.
    ``sum_registers`` PEs also keep the running FP32 sum of their scaled groups. ``in_place``
    says that sums are scaled inside the array.
    """

    spec: HardwareSpec
    pe: PE
    technology: Technology
    srams: Mapping[str, Sram]
    dram: Dram
    pe_price: PartsPrice
    pipeline_stages: int
    dequant_price: PartsPrice | None
    dequantizers: int
    sum_registers: int
    in_place: bool
    #: Bits per PE of a second register for its stationary operand, 0 without one.
    second_register_bits: int = 0
    #: Memories inside every PE.
    scratchpads: Scratchpads | None = None
    #: Stores of all levels, from the outermost inwards; empty where there are the three buffers.
    stores: tuple[PlacedStore, ...] = ()
    #: Decoders of stored formats in front of the array, by buffer.
    decoders: Mapping[str, Decoders] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of PEs."""
        return self.spec.array.rows

    @property
    def cols(self) -> int:
        """Columns of PEs."""
        return self.spec.array.cols

    @property
    def pes(self) -> int:
        """PEs of a core."""
        return self.rows * self.cols

    @property
    def cores(self) -> int:
        """Cores on the chip."""
        return 1 if self.spec.cores is None else self.spec.cores.count

    @property
    def period_ns(self) -> float:
        """Clock period."""
        return 1e9 / self.spec.clock

    @cached_property
    def dram_bits_per_cycle(self) -> Fraction:
        """DRAM bits per clock cycle, exact."""
        return Fraction(self.dram.effective_bandwidth_bits_per_s) / Fraction(self.spec.clock)

    def dram_channels(self) -> Channels | None:
        """Return fresh DRAM channels for a run that steps banks, None where it does not."""
        return open_channels(self.spec.dram, self.dram)

    @cached_property
    def dram_peak_bits_per_cycle(self) -> Fraction:
        """DRAM bits per clock cycle that no pattern exceeds, exact."""
        return Fraction(self.dram.bandwidth_gb_s) * 8 * 10**9 / Fraction(self.spec.clock)

    @cached_property
    def vector_format(self) -> Format:
        """Format of the vector unit's arithmetic."""
        return parse_format(self.spec.vector_unit.format)

    @cached_property
    def vector_lane(self) -> Price:
        """Cost of one lane of the vector unit."""
        more = ("shift",) if self.spec.vector_unit.arithmetic == "i_vit" else ()
        return self.technology.vector_lane(self.vector_format, more)

    @cached_property
    def vector_functions(self) -> dict[str, FunctionUnit]:
        """Special-function units of a lane, by function."""
        return chosen_units(self.spec.vector_unit.functions)

    @cached_property
    def _function_prices(self) -> tuple[PartsPrice, ...]:
        return tuple(unit.price(self.technology) for unit in self.vector_functions.values())

    @cached_property
    def second_register(self) -> Price | None:
        """Cost of a PE's second register for its stationary operand, None without one."""
        bits = self.second_register_bits
        return self.technology.price(Register(bits)) if bits else None

    @cached_property
    def table_making(self) -> TableMaking | None:
        """How activations become tables, None where they do not."""
        return table_making(self.spec, self.pe)

    @cached_property
    def table_register(self) -> Price | None:
        """Cost of a second register for the tables of a row and tile, None without one."""
        register = self.table_making.second_register if self.table_making else None
        return self.technology.price(register) if register else None

    @property
    def table_registers(self) -> int:
        """How many of these there are in a core."""
        return self.rows * self.table_making.sets if self.table_making and self.table_register else 0

    @property
    def table_register_pj(self) -> float:
        """Energy of a PE's step for its share of them: each is written once for all columns of its tile."""
        making, register = self.table_making, self.table_register
        return register.energy_fj * 1e-3 * making.sets / self.cols if making and register else 0.0

    @cached_property
    def table_pj_per_bit(self) -> float:
        """Energy of the vector unit's additions per bit of activations that becomes tables."""
        making = self.table_making
        if making is None or not making.additions:
            return 0.0
        lane_pj = self.technology.op_energy_pj("add", self.vector_format) + self.vector_lane.clock_fj * 1e-3
        return making.additions * lane_pj / making.activation_bits

    @cached_property
    def core_breakdown_mm2(self) -> dict[str, float]:
        """Area of a core by block, in mm²: array, dequantizers, each buffer, vector unit."""
        blocks = {"array": self.pes * self.pe_price.area_um2 * 1e-6}
        if self.dequant_price is not None:
            sums = self.sum_registers * self.technology.price(SUM_REGISTER).area_um2
            blocks["dequantizers"] = (self.dequantizers * self.dequant_price.area_um2 + sums) * 1e-6
        if self.decoders:
            blocks["decoders"] = sum(one.area_um2 for one in self.decoders.values()) * 1e-6
        if self.second_register is not None:
            blocks["second_registers"] = self.pes * self.second_register.area_um2 * 1e-6
        if self.table_register is not None:
            blocks["table_registers"] = self.table_registers * self.table_register.area_um2 * 1e-6
        if (issue := self.spec.array.issue) is not None:
            blocks["cores"] = self.rows * (issue.core_area or 0.0)
        if self.scratchpads is not None:
            blocks["scratchpads"] = self.pes * self.scratchpads.area_um2 * 1e-6
        for key, sram in self.srams.items():
            blocks[BUFFERS[key]] = sram.area_mm2
        for store in self.stores:
            if store.area_mm2:
                blocks[store.name] = store.area_mm2
        blocks["vector_unit"] = self.spec.vector_unit.lanes * self.vector_lane.area_um2 * 1e-6
        if self.vector_functions:
            lane_um2 = sum(price.area_um2 for price in self._function_prices)
            blocks["vector_functions"] = self.spec.vector_unit.lanes * lane_um2 * 1e-6
        return blocks

    @property
    def area_breakdown_mm2(self) -> dict[str, float]:
        """Area of the chip by block, in mm²: that of all cores."""
        return {block: self.cores * mm2 for block, mm2 in self.core_breakdown_mm2.items()}

    @property
    def area_mm2(self) -> float:
        """Sum of :attr:`area_breakdown_mm2`."""
        return sum(self.area_breakdown_mm2.values())

    @cached_property
    def leakage_w(self) -> float:
        """Leakage of the whole chip in W, at the technology's temperature if one is set."""
        logic_nw = self.pes * self.pe_price.leakage_nw + self.spec.vector_unit.lanes * self.vector_lane.leakage_nw
        logic_nw += self.spec.vector_unit.lanes * sum(price.leakage_nw for price in self._function_prices)
        if self.dequant_price is not None:
            logic_nw += self.dequantizers * self.dequant_price.leakage_nw
            logic_nw += self.sum_registers * self.technology.price(SUM_REGISTER).leakage_nw
        logic_nw += sum(one.leakage_nw for one in self.decoders.values())
        if self.second_register is not None:
            logic_nw += self.pes * self.second_register.leakage_nw
        if self.table_register is not None:
            logic_nw += self.table_registers * self.table_register.leakage_nw
        if self.scratchpads is not None:
            logic_nw += self.pes * self.scratchpads.leakage_nw
        levels_w = sum(store.leakage_w for store in self.stores)
        return self.cores * (logic_nw * 1e-9 + sum(s.leakage_mw for s in self.srams.values()) * 1e-3 + levels_w)

    def mode_price(self, w: Format, a: Format, operands: Operands | None = None) -> PartsPrice:
        """Return the cost of a PE while it works on a pair of formats, and on what is stated of its operands."""
        if len(self.pe.modes) == 1 and (operands is None or not operands.stated):
            return self.pe_price
        return pipelined_price(self.pe, self.technology, self.spec.clock, w, a, operands)[0]

    @property
    def array_clock_pj_per_cycle(self) -> float:
        """Energy of the clock pins of the array's registers per cycle, on the built pair."""
        return self.array_clock_pj(self.pe.w_format, self.pe.a_format)

    def array_clock_pj(self, w: Format, a: Format, dequantization: bool = True) -> float:
        """Return the energy per cycle on a pair of the clock pins of the array's registers.

        Those of dequantizers and of running sums are included, unless without ``dequantization``, and what SIMD
        cores take beside their PEs.
        """
        array = self.pes * self.mode_price(w, a).clock_fj
        array += self.pes * self.second_register.clock_fj if self.second_register else 0.0
        array += self.table_registers * self.table_register.clock_fj if self.table_register else 0.0
        if not dequantization:
            return array * 1e-3
        dequantizers = self.dequantizers * self.dequant_price.clock_fj if self.dequant_price else 0.0
        sums = self.sum_registers * self.technology.price(SUM_REGISTER).clock_fj
        sums += sum(1e3 * self.decoders[key].clock_pj(fmt) for key, fmt in self.decoded(w, a).items())
        issue = self.spec.array.issue  # cores fetch and decode as long as they work
        return (array + dequantizers + sums) * 1e-3 + (self.rows * (issue.core_energy or 0.0) if issue else 0.0)

    def decoded(self, w: Format, a: Format) -> dict[str, Format]:
        """Return what comes through decoders of a pair, by buffer; the others' clocks are gated."""
        arriving = self.pe.arriving(w, a)
        return {key: fmt for key, fmt, to in zip("wa", (w, a), arriving, strict=True) if self.decoders and fmt != to}

    @cached_property
    def pe_pitch_mm(self) -> float:
        """Edge of a square PE in mm: the length of one hop between neighbours.

        Dequantizers and sums of scaled groups that stay in the array take their share of it, as do second registers,
        scratchpads and registers of tables.
        """
        shared_mm2 = self.core_breakdown_mm2.get("dequantizers", 0.0) if self.in_place else 0.0
        shared_mm2 += sum(
            self.core_breakdown_mm2.get(block, 0.0) for block in ("second_registers", "scratchpads", "table_registers")
        )
        shared_mm2 += sum(store.area_mm2 for store in self.stores if store.in_pe)
        return math.sqrt(self.pe_price.area_um2 * 1e-6 + shared_mm2 / self.pes)

    @cached_property
    def buffer_distance_mm(self) -> float:
        """Mean wire from a buffer's port to the array's edge: half the edges of both blocks.

        Estimated: buffers beside the array, both square.
        """
        sram_mm2 = sum(s.area_mm2 for s in self.srams.values())
        return 0.5 * (math.sqrt(self.core_breakdown_mm2["array"]) + math.sqrt(sram_mm2))

    @cached_property
    def network(self) -> Network | None:
        """The network over a core, a square of array, buffers and vector unit; None where wires go directly."""
        asked = self.spec.network
        return None if asked is None else open_network(asked, self.area_mm2 / self.cores, self.technology)

    @cached_property
    def core_network(self) -> Network | None:
        """The network over the chip between its DRAM port and its cores; None where there is one core."""
        asked = self.spec.cores
        if asked is None or asked.count == 1:
            return None
        return open_network(asked.network.over(asked.count), self.area_mm2, self.technology, "cores.network")

    @cached_property
    def network_pj_per_bit(self) -> float:
        """Energy of a bit between a buffer and the array's edge or the DRAM port, random bits."""
        if self.network is not None:
            return self.network.pj_per_bit(self.network.topology.unicast(self.network.grid))
        if self.activation_store is not None:
            return self.store_network_pj_per_bit(self.activation_store)
        return self.buffer_distance_mm * self.technology.wire_fj_per_bit_mm * RANDOM_TOGGLE * 1e-3

    @property
    def activation_store(self) -> PlacedStore | None:
        """With levels, the outermost SRAM that holds activations: what the vector unit works on, if there is one."""
        return next((store for store in self.stores if store.is_sram and "a" in store.spec.holds), None)

    @property
    def activation_room(self) -> tuple[str, int]:
        """The memory that the vector unit works on and the bits of one of its parts; nothing, 0 without one."""
        if not self.stores:
            return "a", self.spec.memories.buffer("activations").part_bits
        store = self.activation_store
        return ("", 0) if store is None else (store.name, int(store.spec.size or 0) * 8 // store.spec.copies)

    def store_network_pj_per_bit(self, store: PlacedStore) -> float:
        """Return the energy of a bit on the way of a store; one for all is on the network, if there is one."""
        if store.instances == 1 and not store.in_pe and self.network is not None:
            return self.network.pj_per_bit(self.network.topology.unicast(self.network.grid))
        length_mm = store.distance_mm(self.pes * self.pe_pitch_mm**2)
        return length_mm * self.technology.wire_fj_per_bit_mm * RANDOM_TOGGLE * 1e-3

    @property
    def axes_mm(self) -> dict[str, float]:
        """With levels, the wire along every axis."""
        pes_mm2 = self.pes * self.pe_price.area_um2 * 1e-6
        return {axis.spec.name: axis_mm(axis, self.stores, pes_mm2) for axis in place_axes(self.spec)}

    def peak_macs_per_s(self, w: Format, a: Format) -> float:
        """Return the peak multiply-accumulate rate for one pair of formats, of PEs that wait for no other."""
        if self.pe.data_dependent(w, a):
            return self.cores * self.pes * self.pe.expected_macs_per_cycle(w, a) * self.spec.clock
        return float(self.cores * self.pes * self.pe.macs_per_cycle(w, a)) * self.spec.clock
