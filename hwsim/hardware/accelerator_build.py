"""From what a file says of the hardware to a priced accelerator."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hwsim.formats import Format
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.levels import place_stores
from hwsim.hardware.memories_spec import BUFFERS, BufferSpec
from hwsim.hardware.memory import Sram, build_buffer
from hwsim.hardware.memory.published import published_or
from hwsim.hardware.memory.sram import Request
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.hardware.off_chip import make_dram
from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.pe.converted import Converted
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.scratchpads import priced_pads
from hwsim.hardware.technology.spec import open_technology
from hwsim.spec.errors import InfeasibleError, MissingFigureError


def build_accelerator(
    spec: HardwareSpec,
    port_bits: Mapping[str, int],
    dequantized: tuple[Format, Format] | None,
    in_place: bool,
    second_register_bits: int = 0,
) -> Accelerator:
    """Price ``spec``.

    ``port_bits`` are the widths (by ``w``, ``a``, ``o``) that ports marked ``auto`` get; with levels, the bits of
    one step of a PE.
    ``dequantized`` is the pair of formats whose group sums are scaled, None when no run needs that;
    ``in_place`` says whether the sums stay in the PEs meanwhile, instead of leaving the array;
    ``second_register_bits`` are those of a second register per PE for its stationary operand.

    Raises
    ------
    UsageError
        If a name in the spec is unknown.
    InfeasibleError
        If a buffer cannot be built as wide or as small as asked.
    MissingFigureError
        If the DRAM preset has no energy and none is given.
    """
    technology = open_technology(spec.technology.name, spec.technology)
    pe = array_pe(spec)
    srams = {}
    stores = place_stores(spec, technology, port_bits)
    for key, name in BUFFERS.items() if not stores else ():
        buffer = spec.memories.buffer(name)
        width = port_bits[key] if buffer.port_bits == "auto" else buffer.port_bits
        try:
            srams[key] = _priced_buffer(spec, buffer, width, technology.node_nm)
        except InfeasibleError as error:
            raise InfeasibleError(f"memories.{name}.size: {error}") from None
        except MissingFigureError as error:
            raise MissingFigureError(
                f"technology {technology.name}: {error}; a whole accelerator needs SRAM there, a PE alone can be "
                f"priced (hwsim explain pe NAME --technology {technology.name})"
            ) from None
    price, stages = pipelined_price(pe, technology, spec.clock)
    built = Accelerator(
        spec=spec,
        pe=pe,
        technology=technology,
        srams=srams,
        dram=make_dram(spec.dram),
        pe_price=price,
        pipeline_stages=stages,
        dequant_price=dequantizer_price(pe, *dequantized, technology, spec.clock) if dequantized else None,
        dequantizers=spec.array.cols * per_column(pe, *dequantized, spec.array.rows, in_place) if dequantized else 0,
        sum_registers=spec.array.rows * spec.array.cols if dequantized and in_place and not pe.own_dequantizer else 0,
        in_place=in_place,
        second_register_bits=0 if spec.array.scratchpads else second_register_bits,
        scratchpads=priced_pads(spec, pe, technology),
        stores=stores,
    )
    _ = built.network, built.core_network  # refuse what cannot be built before anything runs on it
    return built


def array_pe(spec: HardwareSpec) -> PE:
    """Return the PE of ``spec``, behind the instructions that convert its operands where an array has any."""
    pe, issue = make_pe(spec.pe), spec.array.issue
    if issue is None or len(pe.modes) > 1:
        return pe
    roles = issue.convert_weights is not None, issue.convert_activations is not None
    return Converted(pe.w_format, pe.a_format, pe.lanes, pe, *roles, stated=pe.stated) if any(roles) else pe


def _priced_buffer(spec: HardwareSpec, buffer: BufferSpec, width_bits: int, node_nm: float) -> Sram:
    """Return one buffer behind a port of ``width_bits``."""
    kelvin = spec.memories.temperature or spec.technology.temperature or ROWS_K
    request = Request(
        buffer.size, width_bits, buffer.banks, node_nm, spec.technology.sram_device, kelvin, buffer.ports, buffer.ecc
    )
    return published_or(
        buffer.figures, Sram, request, lambda: build_buffer(*request[:5], buffer.macro_bits, *request[5:])
    )


def per_column(pe: PE, w: Format, a: Format, rows: int, in_place: bool) -> int:
    """Return the dequantizers that keep up with one column.

    Sums that leave the column come one per step at most. In place, each of ``rows`` PEs finishes
    one per group.
    """
    if in_place and pe.own_dequantizer:
        return rows
    group = scale_group(w, a) if in_place else None
    steps = group // pe.lanes if group else 1
    waiting = rows if in_place else 1
    cycles = pe.expected_cycles_per_step(w, a) if pe.data_dependent(w, a) else pe.cycles_per_step(w, a)
    return min(rows, math.ceil(waiting * pe.dequant_cycles(w, a) / (max(steps, 1) * cycles)))


def scale_group(w: Format, a: Format) -> int | None:
    """Return the elements along K that share a scale in either operand (the smaller group)."""
    groups = [f.block_size for f in (w, a) if f.block_size]
    return min(groups) if groups else None
