"""Unit prices: what every event costs that a schedule counts, from a priced accelerator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.formats import Format
from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.circuits import Register
from hwsim.hardware.pe.operands import Operands, bit_toggles
from hwsim.simulate.arch_spec import ArchSpec
from hwsim.simulate.array_shape import array_shape, element_bits
from hwsim.simulate.cost import UnitCosts
from hwsim.simulate.dataflow import Dataflow


def build_costs(
    spec: ArchSpec, acc: Accelerator, dataflow: Dataflow, formats: tuple[Format, Format], operands: Operands
) -> UnitCosts:
    """Return the price of every countable event on (weights, activations) of ``formats``."""
    (w, a), pe = formats, acc.pe
    price = acc.mode_price(w, a, operands)
    cycles = pe.work_cycles_per_step(w, a, operands.data)
    registers = sum(row.energy_fj for row in price.rows if row.part.group == "register")
    wire_fj_mm = acc.technology.wire_fj_per_bit_mm * RANDOM_TOGGLE
    shape = array_shape(spec, pe)
    hops = dataflow.wire_bits_mm(shape, element_bits(pe, w, a), acc.pe_pitch_mm)
    buses = dataflow.bus_mm(shape, acc.pe_pitch_mm)
    toggles = {"w": bit_toggles(operands.w, w), "a": bit_toggles(operands.a, a), "psum": 1.0}
    # Behind decoders a bit of the buffer is as many on wires as the formats' widths say.
    wider = {"w": 1.0, "a": 1.0, "o": 1.0}
    for key, stored, arriving in zip("wa", (w, a), pe.arriving(w, a), strict=True):
        if stored != arriving:
            wider[key] = float(arriving.bits_per_element / stored.bits_per_element)
    shifted, pads = _shift_pj_per_bit(acc, dataflow, wire_fj_mm), acc.scratchpads
    found = UnitCosts(
        pe_pj_per_step=cycles * (price.energy_fj - registers) * 1e-3,
        pe_register_pj_per_step=cycles * registers * 1e-3 + (pads.step_pj if pads else acc.table_register_pj),
        wire_pj_per_step=sum(mm * toggles[key] for key, mm in hops.items()) * wire_fj_mm * 1e-3,
        shift_pj_per_bit={k: shifted * wider[k] if k == dataflow.stationary else 0.0 for k in acc.srams},
        bus_pj_per_bit={
            k: buses[k] * toggles[k] * wire_fj_mm * 1e-3 * wider[k] if k in buses else 0.0 for k in acc.srams
        },
        array_clock_pj_per_cycle=acc.array_clock_pj(w, a, "dequantization" not in spec.costs.leave_out),
        dequant_pj=acc.dequant_price.energy_fj * 1e-3 if acc.dequant_price else 0.0,
        sram_read_pj_per_bit={k: s.read_pj / s.width_bits for k, s in acc.srams.items()},
        sram_write_pj_per_bit={k: s.write_pj / s.width_bits for k, s in acc.srams.items()},
        dram_read_pj_per_bit=acc.dram.read_pj_per_bit,
        dram_write_pj_per_bit=acc.dram.write_pj_per_bit,
        dram_background_mw=acc.dram.background_mw,
        network_pj_per_bit=acc.network_pj_per_bit,
        leakage_w=acc.leakage_w,
        period_ns=acc.period_ns,
        table_pj_per_bit=acc.table_pj_per_bit,
        decode_pj_per_bit={
            key: acc.decoders[key].element_pj(fmt) / float(fmt.bits_per_element)
            for key, fmt in acc.decoded(w, a).items()
        },
        pad_pj_per_bit={
            "w": acc.cols * pads.weight_pj_per_bit * wider["w"],
            "a": pads.activation_pj_per_bit * wider["a"],
        }
        if pads
        else {},
        **_between_cores(acc),
    )
    return replace(found, **_levels(acc))


def _shift_pj_per_bit(acc: Accelerator, dataflow: Dataflow, wire_fj_mm: float) -> float:
    """Return the energy of a bit of what is stationary on its way to its PE, or back."""
    register_fj = acc.technology.price(Register(1)).energy_fj
    # It goes through half of the rows, a wire and, unless it has its own, a register per row.
    hop_fj = acc.pe_pitch_mm * wire_fj_mm + (0.0 if dataflow.at_once else register_fj)
    shifted = 0.0 if dataflow.held_on_bus else (acc.rows + 1) / 2 * hop_fj * 1e-3
    if acc.second_register is not None:  # and from one of a PE's registers to the other
        shifted += register_fj * 1e-3
    return shifted


def _between_cores(acc: Accelerator) -> dict[str, Any]:
    """Return the energies per bit of the network between cores; nothing on a chip of one core."""
    network = acc.core_network
    if network is None:
        return {}
    one, all_of_them = network.topology.unicast(network.grid), network.topology.broadcast(network.grid)
    return {"cores_pj_per_bit": network.pj_per_bit(one), "multicast_pj_per_bit": network.pj_per_bit(all_of_them)}


def _levels(acc: Accelerator) -> dict[str, Any]:
    """Return the energies per bit of the stores of levels and of the wires along their axes; nothing without levels."""
    if not acc.stores:
        return {}
    read = {s.name: s.memory.read_pj / s.memory.width_bits for s in acc.stores}
    write = {s.name: s.memory.write_pj / s.memory.width_bits for s in acc.stores}
    sram = [s.name for s in acc.stores if s.is_sram]
    wire_pj_mm = acc.technology.wire_fj_per_bit_mm * RANDOM_TOGGLE * 1e-3
    return {
        "sram_read_pj_per_bit": {name: read[name] for name in sram},
        "sram_write_pj_per_bit": {name: write[name] for name in sram},
        "rf_read_pj_per_bit": {name: pj for name, pj in read.items() if name not in sram},
        "rf_write_pj_per_bit": {name: pj for name, pj in write.items() if name not in sram},
        "store_network_pj_per_bit": {s.name: acc.store_network_pj_per_bit(s) for s in acc.stores if s.is_sram},
        "axis_pj_per_bit": {axis: length_mm * wire_pj_mm for axis, length_mm in acc.axes_mm.items()},
    }
