"""An accelerator on an FPGA device: the same array, buffers and vector unit, in LUTs, DSP blocks and block RAM.

Cycles, traffic and capacities are those of the architecture. Areas, energies and delays are NaN: no source gives
them. Pipeline registers are those of the stages that the file states, since fabric's delays are not known either.
Several cores are as many arrays with all that is beside them, on a bus to the DRAM port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from hwsim.formats import Format, parse_format
from hwsim.hardware.accelerator import SUM_REGISTER, Accelerator
from hwsim.hardware.accelerator_build import array_pe, largest_dequantizer, scaling_counts
from hwsim.hardware.accelerator_spec import DramSpec, HardwareSpec
from hwsim.hardware.circuits import Mux, Part, Register
from hwsim.hardware.fpga import Sites, load_fabric
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.functions import chosen_units
from hwsim.hardware.memories_spec import BUFFERS, BufferSpec
from hwsim.hardware.memory.ecc import check_bits
from hwsim.hardware.network.cores import CoresSpec
from hwsim.hardware.off_chip import make_dram
from hwsim.hardware.pe import make_pe
from hwsim.hardware.pe.converted import Decoded
from hwsim.hardware.pe.cuts import cut_bits
from hwsim.hardware.pe.operands import Operands
from hwsim.hardware.pe.pipeline import DEQUANTIZER_FAMILY, SCALED_SUM_BITS, cut_register
from hwsim.hardware.target.buffers import BufferWanted
from hwsim.hardware.target.placement import Placement, Wanted, place, sites_of
from hwsim.hardware.target.unpriced import unpriced, unpriced_sram
from hwsim.hardware.technology import PartsPrice
from hwsim.hardware.technology.operations import DATAPATHS, operation_parts
from hwsim.spec.errors import MissingFigureError, UsageError


@dataclass(frozen=True, kw_only=True)
class DeviceAccelerator(Accelerator):
    """An accelerator whose blocks are placed on a device."""

    placement: Placement

    @property
    def core_network(self) -> None:
        """None: wires between cores have no energy that a source gives, and so no price."""
        return

    def mode_price(self, w: Format, a: Format, operands: Operands | None = None) -> PartsPrice:
        """Return NaN for every pair."""
        return self.pe_price


def build_on_device(
    spec: HardwareSpec,
    port_bits: Mapping[str, int],
    dequantized: Sequence[tuple[Format, Format]],
    in_place: bool,
    second_register_bits: int,
    shared: frozenset[str],
) -> DeviceAccelerator:
    """Place ``spec`` on its device; arguments as :func:`~hwsim.hardware.accelerator_build.build_accelerator` has them.

    ``shared`` are the operands that neighbouring PEs get from one source.

    Raises
    ------
    InfeasibleError
        If a budget of the device does not hold it, or the clock is beyond data sheets.
    MissingFigureError
        If a part of it has no price there; names it.
    UsageError
        If the file has something that a device has not.
    """
    assert spec.device is not None
    _refuse_unknown(spec, spec.device)
    pe, technology, logic = make_pe(spec.pe), unpriced(spec.device), load_device(spec.device).logic
    if pe.stated:
        raise UsageError(f"pe.figures: those of {pe.stated.technology} say nothing about {spec.device}; leave them out")
    array, registers, largest = spec.array, spec.array.rows * spec.array.cols, largest_dequantizer(pe, dequantized)
    dequantizers, sums = scaling_counts(spec, pe, dequantized, in_place)
    scale = pe.dequant_parts(*largest) if largest else ()
    beside = _vector_sites(spec, logic)
    if scale:
        parts = scale + cut_register(cut_bits(scale, SCALED_SUM_BITS), spec.target.stages or 1)
        scaled = sites_of(parts, f"pe: dequantizer of {pe.family}", logic) * dequantizers
        beside["dequantizers"] = scaled + _register("sum", SUM_REGISTER, logic) * sums
    if second_register_bits:
        beside["second_registers"] = _register("held", Register(second_register_bits), logic) * registers
    widths = {key: _width(spec, key, port_bits[key]) for key in BUFFERS}
    dram, clock_hz = make_dram(_dram(spec, spec.device)), float(spec.clock)
    cores = spec.cores.count if spec.cores is not None else 1
    wanted = Wanted(
        pe, array.rows, array.cols, beside, _buffers(spec, widths), shared, array.dataflow, clock_hz, cores,
        _between(cores, dram.bandwidth_gb_s * 8e9 / clock_hz, logic),
    )  # fmt: skip
    placement = place(spec.target, spec.device, wanted)
    return DeviceAccelerator(
        spec=spec,
        pe=pe,
        technology=technology,
        srams={key: unpriced_sram(_buffer(spec, key).size, widths[key], _buffer(spec, key).banks) for key in BUFFERS},
        dram=dram,
        pe_price=technology.price_parts(pe.built, pe.glitch_family),
        pipeline_stages=spec.target.stages or 1,
        dequant_price=technology.price_parts(scale, DEQUANTIZER_FAMILY) if largest else None,
        dequantizers=dequantizers,
        sum_registers=sums,
        in_place=in_place,
        second_register_bits=second_register_bits,
        placement=placement,
    )


def _register(role: str, register: Register, logic: str) -> Sites:
    return sites_of([Part(role, "register", register)], f"register {role}", logic)


def _refuse_unknown(spec: HardwareSpec, device: str) -> None:
    """Refuse what is not modelled on a device: networks with lengths or routers, several chips, figures of macros."""
    if spec.memories.levels:
        raise UsageError(
            f"memories.levels: three buffers are modelled on {device}; valid: weights, activations, outputs"
        )
    if isinstance(array_pe(spec), Decoded):
        raise UsageError(
            f"dequantize: decoders of formats that the PE does not take are not modelled on {device}; valid: formats "
            "whose group sums it scales"
        )
    for option in ("scratchpads", "tables", "issue"):
        if getattr(spec.array, option) is not None:
            raise UsageError(f"array.{option}: is not modelled on {device}; valid: another dataflow, without it")
    if spec.network is not None:
        raise UsageError(f"network: no source gives wires of {device}; leave it out")
    if spec.chips is not None and spec.chips.count > 1:
        raise UsageError(f"chips.count: one is modelled on {device}, not {spec.chips.count}; valid: 1")
    if spec.cores is not None and spec.cores.count > 1:
        _refuse_routers(spec.cores, device)
    for name in BUFFERS.values():
        if spec.memories.buffer(name).figures is not None:
            raise UsageError(f"memories.{name}.figures: those of a macro say nothing about {device}; leave them out")


def _refuse_routers(cores: CoresSpec, device: str) -> None:
    """Refuse parts between cores that have no law on fabric: all but a bus."""
    network = cores.network
    if network.topology != "bus":
        raise UsageError(
            f"cores.network.topology: no law gives the LUTs of {network.topology}'s routers and links on {device}; "
            "valid: bus"
        )
    for key in ("router", "router_energy"):
        if getattr(network, key) is not None:
            raise UsageError(f"cores.network.{key}: has no effect on {device}, where cores are on a bus; leave it out")
    if cores.reduce == "network":
        raise UsageError(
            f"cores.reduce: no law gives the adders and links of a ring between cores on {device}; valid: dram"
        )


def _between(cores: int, port_bits: float, logic: str) -> dict[str, Sites]:
    """Return what connects several cores: what they write goes through a multiplexer as wide as the DRAM port."""
    if cores == 1:
        return {}
    return {"cores_bus": load_fabric(logic).price(Mux(ceil(port_bits), cores))}


def _buffer(spec: HardwareSpec, key: str) -> BufferSpec:
    return spec.memories.buffer(BUFFERS[key])


def _width(spec: HardwareSpec, key: str, auto: int) -> int:
    port = _buffer(spec, key).port_bits
    return auto if port == "auto" else int(port)


def _buffers(spec: HardwareSpec, widths: Mapping[str, int]) -> dict[str, BufferWanted]:
    """Return what each buffer needs: each of its parts, of which one is in use, and each bank is a memory."""
    found = {}
    for key, name in BUFFERS.items():
        buffer, width = _buffer(spec, key), widths[key]
        words = -(-buffer.part_bits // width)
        depth = max(1, -(-words // buffer.banks))
        found[name] = BufferWanted(width + check_bits(buffer.ecc, width), depth, buffer.parts * buffer.banks)
    return found


def _vector_sites(spec: HardwareSpec, logic: str) -> dict[str, Sites]:
    """Return what the lanes of the vector unit take: adder, multiplier, comparator, four operands, its functions."""
    unit, fmt = spec.vector_unit, parse_format(spec.vector_unit.format)
    more = ("shift",) if unit.arithmetic == "i_vit" else ()
    parts = [part for op in (*DATAPATHS, *more) for part in operation_parts(op, fmt)[0]]
    parts.append(Part("operands", "register", Register(4 * fmt.bits)))
    found = {"vector_unit": sites_of(parts, "vector_unit", logic) * unit.lanes}
    functions = Sites()
    for name, one in chosen_units(unit.functions).items():
        functions = functions + sites_of(one.parts(), f"vector_unit.functions.{name}", logic)
    return {**found, "vector_functions": functions * unit.lanes} if unit.functions else found


def _dram(spec: HardwareSpec, device: str) -> DramSpec:
    """Return the DRAM, at the bandwidth of the board's memory if that is asked for."""
    if not spec.target.board_bandwidth:
        return spec.dram
    memory = load_device(device).memory
    if memory is None:
        raise MissingFigureError(f"target.board_bandwidth: no source gives the memory of {device}; leave it out")
    if spec.dram.bandwidth is not None:
        raise UsageError("dram.bandwidth: is given beside target.board_bandwidth; leave one out")
    return spec.dram.model_copy(update={"bandwidth": memory.bandwidth_gb_s * 1e9})


__all__ = ["DeviceAccelerator", "build_on_device"]
