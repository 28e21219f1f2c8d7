"""An architecture: its blocks, its buffers and PEs, and what its peak and its leakage are made of."""

from __future__ import annotations

from typing import Any

from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.levels import place_axes
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.hardware.memory import Sram
from hwsim.hardware.memory.cell import Cell
from hwsim.hardware.memory.register_file import RegisterFile
from hwsim.hardware.technology import Technology
from hwsim.hardware.technology.temperature import LOGIC_REFERENCE_K, SRAM_REFERENCE_K
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, table
from hwsim.report.explain.arch_device import device_sections
from hwsim.report.explain.vector import vector_section
from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.cost import UnitCosts
from hwsim.simulate.dataflow import ArrayShape
from hwsim.simulate.on_device import placement_of
from hwsim.simulate.vector_unit import unit_cost
from hwsim.spec.data import find_example


@EXPLAINERS.register("arch")
def explain_arch(name: str, question: Question) -> list[Section]:
    """Return area by block, buffers, unit costs and the headline figures of an architecture."""
    simulated = open_arch(find_example("arch_configs", name), question.settings)
    accelerator = simulated.accelerator
    placement = placement_of(simulated)
    if placement is not None:
        return device_sections(simulated, placement)
    area = accelerator.area_breakdown_mm2
    blocks = [{"block": k, "area_mm2": v, "share": v / accelerator.area_mm2} for k, v in area.items()]
    blocks.append({"block": "total", "area_mm2": accelerator.area_mm2, "share": 1.0})
    buffers, notes = _buffers(simulated)
    return [
        Section(f"{simulated.spec.name}: {simulated.spec.description or 'architecture'}", _headline(simulated)),
        Section("area by block, cells and macros without routing", table(blocks)),
        *_levels(simulated),
        Section("memories of all levels, each instance" if accelerator.stores else "buffers", buffers, notes),
        Section("price of every counted event, built formats", _events(simulated)),
        vector_section(simulated),
        *_functions(simulated),
    ]


def _functions(simulated: Simulated) -> list[Section]:
    """Return what the vector unit's special functions err and cost; nothing where it has no units for them."""
    acc = simulated.accelerator
    rows = []
    for name, unit in acc.vector_functions.items():
        error, (cycles, energy_pj) = unit.max_error(), unit_cost(acc.technology, unit)
        rows.append({"function": name, "method": unit.method, "max_error": error.absolute,
                     "max_relative_error": error.relative, "area_um2": unit.price(acc.technology).area_um2,
                     "energy_pj": energy_pj, "cycles": cycles})  # fmt: skip
    notes = ["per lane; errors over the function's range (hwsim explain function); not in sqnr_db, which is the GEMMs'"]
    return [Section("special functions of the vector unit", table(rows), notes)] if rows else []


def _headline(simulated: Simulated) -> Any:
    acc, spec = simulated.accelerator, simulated.spec
    w, a = acc.pe.w_format, acc.pe.a_format
    policy = simulated.policy
    rows = {
        "array": f"{acc.rows} × {acc.cols} {acc.pe.family}, {simulated.dataflow.name}",
        "built for": f"{w.name} × {a.name}",
        "formats of a run": f"w {policy.w_format}, a {policy.a_format}, kv {policy.kv_format}, o {policy.o_format}",
        "technology": f"{acc.technology.name}, {acc.technology.vdd_v:g} V, SRAM {spec.technology.sram_device}",
        "temperature of leakage": _temperature(acc),
        "wires": _wires(acc.technology),
        **_network(simulated),
        **_cores(simulated),
        **_chips(simulated),
        **_residency(simulated),
        "clock (GHz)": spec.clock / 1e9,
        "pitch of a PE (um)": acc.pe_pitch_mm * 1e3,
        **_buses(simulated),
        "pipeline stages of a PE": acc.pipeline_stages,
        "peak (TOPS)": 2 * acc.peak_macs_per_s(w, a) * 1e-12,
        "DRAM": f"{acc.dram.name}: {acc.dram.bandwidth_gb_s:g} GB/s, {acc.dram.read_pj_per_bit:g} pJ/bit",
        "DRAM effective bandwidth": f"{acc.dram.effective_gb_s:g} GB/s: {acc.dram.bandwidth_how}",
        "DRAM energy covers": acc.dram.scope,
        "DRAM source": acc.dram.source,
        "leakage (W)": acc.leakage_w,
        "clock energy of the array (pJ/cycle)": acc.array_clock_pj_per_cycle,
    }
    return table([{"property": k, "value": v} for k, v in rows.items()])


def _temperature(acc: Accelerator) -> str:
    logic = acc.technology.temperature_k or LOGIC_REFERENCE_K
    memories = [*acc.srams.values(), *(store.memory for store in acc.stores)]
    sram = {memory.kelvin for memory in memories if isinstance(memory, Sram | RegisterFile)} or {SRAM_REFERENCE_K}
    default = ", as their figures were taken" if logic == LOGIC_REFERENCE_K and sram == {SRAM_REFERENCE_K} else ""
    return f"logic {logic:g} K, SRAM {', '.join(f'{k:g}' for k in sorted(sram))} K{default}"


def _wires(technology: Technology) -> str:
    one = technology.wire
    each = f"{one.energy_fj_per_bit_mm:.4g} fJ per transition, bit and mm, {one.delay_ns_per_mm:.3g} ns/mm"
    return f"{technology.wires.style}, {each}; {RANDOM_TOGGLE:g} transitions per random bit"


def _network(simulated: Simulated) -> dict[str, str]:
    network = simulated.accelerator.network
    if network is None:
        return {}
    grid, name = network.grid, network.topology.name
    text = f"{name}, {grid.rows} × {grid.cols} nodes, pitch {network.pitch_mm:.3g} mm, {network.topology.traffic}"
    return {"network": f"{text}; {network.topology.stop}: {network.stop.source}"}


def _cores(simulated: Simulated) -> dict[str, Any]:
    acc, asked = simulated.accelerator, simulated.spec.cores
    network = acc.core_network
    if asked is None or network is None:
        return {}
    grid = f"{network.topology.name}, {network.grid.rows} × {network.grid.cols}, pitch {network.pitch_mm:.3g} mm"
    reads = "read once for all" if asked.multicast else "read by each core"
    return {
        "cores": f"{asked.count}, GEMMs cut along {asked.split}, common operands {reads}, sums through {asked.reduce}",
        "between cores": f"{grid}; {network.topology.stop}: {network.stop.source}",
    }


def _chips(simulated: Simulated) -> dict[str, Any]:
    asked = simulated.spec.chips
    if asked is None:
        return {}
    links = f"{asked.link_bandwidth / 1e9:g} GB/s, {asked.link_energy:g} pJ/bit"
    return {"chips": f"{asked.count} of what is listed here, {asked.parallel} parallel, links of {links}"}


def _residency(simulated: Simulated) -> dict[str, str]:
    """Return what stays on chip from operation to operation; nothing where nothing does."""
    asked = simulated.spec.residency.asked
    return {"stays on chip": ", ".join(name.replace("_", " ") for name in asked)} if asked else {}


def _buses(simulated: Simulated) -> dict[str, str]:
    """Return length and wire delay of the buses across the array, with a warning where one is slower than the clock."""
    acc = simulated.accelerator
    shape = ArrayShape(acc.rows, acc.cols, acc.pe.lanes)
    found = {}
    for key, length_mm in simulated.dataflow.bus_mm(shape, acc.pe_pitch_mm).items():
        delay_ns = length_mm * acc.technology.wire.delay_ns_per_mm
        slow = f", longer than the period of {acc.period_ns:g} ns: pipeline it" if delay_ns > acc.period_ns else ""
        found[f"bus of {BUFFERS[key]}"] = f"{length_mm:.3g} mm, {delay_ns:.3g} ns{slow}"
    return found


def _buffers(simulated: Simulated) -> tuple[Any, list[str]]:
    acc = simulated.accelerator
    memories: list[tuple[str, Sram | Cell]] = [(BUFFERS[key], sram) for key, sram in acc.srams.items()]
    memories += [(store.name, store.memory) for store in acc.stores]
    rows, notes = cited([
        {"buffer": name, "quantity": row.quantity, "value": row.value, "unit": row.unit,
         "estimated": "yes" if row.estimated else "no", "source": row.source}
        for name, memory in memories
        for row in memory.rows()
    ])  # fmt: skip
    return table(rows), notes


def _levels(simulated: Simulated) -> list[Section]:
    """Return every level with what it holds and what lies below it; nothing with three buffers."""
    acc = simulated.accelerator
    rows = [{"level": "DRAM", "holds": "A, W, O", "instances": 1, "kind": acc.dram.name, "size": "",
             "port_bits": f"{float(acc.dram_bits_per_cycle):.4g}", "below it": ""}]  # fmt: skip
    for at, store in enumerate(acc.stores):
        last = at + 1 == len(acc.stores) or acc.stores[at + 1].number > store.number
        below = [axis for axis in place_axes(acc.spec) if axis.number == store.number and last]
        ways = "read, write" if store.spec.split_ports else "shared"
        doubled = ", two halves" if store.spec.copies > 1 else ""
        rows.append({
            "level": store.name, "holds": ", ".join(x.upper() for x in store.spec.holds),
            "instances": store.instances, "kind": store.kind,
            "size": "" if store.spec.size is None else f"{int(store.spec.size):,} B{doubled}",
            "port_bits": f"{store.memory.width_bits} {ways}",
            "below it": ", ".join(f"{a.size} {a.spec.name} over {' or '.join(a.spec.loops)}"
                                  + ("" if a.spec.shared else ", each for itself") for a in below),
        })  # fmt: skip
    notes = ["port_bits: per cycle and instance; what passes several axes crosses the wire of each"]
    return [Section("levels, from DRAM inwards", table(rows), notes)] if acc.stores else []


def _between(unit: UnitCosts) -> dict[str, float]:
    if not unit.multicast_pj_per_bit:
        return {}
    return {
        "DRAM port to a core, or core to core (pJ/bit)": unit.cores_pj_per_bit,
        "DRAM port to all cores (pJ/bit)": unit.multicast_pj_per_bit,
    }


def _events(simulated: Simulated) -> Any:
    pe = simulated.accelerator.pe
    unit = simulated.unit_costs(pe.w_format, pe.a_format)
    rows = {
        "PE step, logic (pJ)": unit.pe_pj_per_step,
        "PE step, registers (pJ)": unit.pe_register_pj_per_step,
        "PE step, wires between PEs (pJ)": unit.wire_pj_per_step,
        **{f"{BUFFERS[k]} through the rows (pJ/bit)": v for k, v in unit.shift_pj_per_bit.items() if v},
        **{f"{BUFFERS[k]} on a bus across the array (pJ/bit)": v for k, v in unit.bus_pj_per_bit.items() if v},
        **{f"{BUFFERS[k]} into scratchpads (pJ/bit)": v for k, v in unit.pad_pj_per_bit.items()},
        **({"tables of activations (pJ/bit)": unit.table_pj_per_bit} if unit.table_pj_per_bit else {}),
        "array clock per cycle (pJ)": unit.array_clock_pj_per_cycle,
        "dequantization of a group sum (pJ)": unit.dequant_pj,
        **{f"read of {BUFFERS.get(k, k)} (pJ/bit)": v for k, v in unit.sram_read_pj_per_bit.items()},
        **{f"write of {BUFFERS.get(k, k)} (pJ/bit)": v for k, v in unit.sram_write_pj_per_bit.items()},
        **{f"read of {k} (pJ/bit)": v for k, v in unit.rf_read_pj_per_bit.items()},
        **{f"write of {k} (pJ/bit)": v for k, v in unit.rf_write_pj_per_bit.items()},
        **{f"way to and from {k} (pJ/bit)": v for k, v in unit.store_network_pj_per_bit.items()},
        **{f"wire along {k} (pJ/bit)": v for k, v in unit.axis_pj_per_bit.items()},
        **({} if unit.store_network_pj_per_bit else {"buffer to array (pJ/bit)": unit.network_pj_per_bit}),
        **_between(unit),
        "DRAM read (pJ/bit)": unit.dram_read_pj_per_bit,
        "DRAM write (pJ/bit)": unit.dram_write_pj_per_bit,
    }
    return table([{"event": k, "value": v} for k, v in rows.items()])
