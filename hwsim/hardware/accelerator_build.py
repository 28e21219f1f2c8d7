"""From what a file says of the hardware to a priced accelerator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwsim.formats import Format, Minifloat, parse_format
from hwsim.formats.block.superblock import SuperBlock
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.accelerator_spec import DequantizeSpec, HardwareSpec
from hwsim.hardware.decoders import make_decoders
from hwsim.hardware.levels import place_stores
from hwsim.hardware.memories_spec import BUFFERS, BufferSpec
from hwsim.hardware.memory import Sram, build_buffer
from hwsim.hardware.memory.published import published_or
from hwsim.hardware.memory.sram import Request
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.hardware.off_chip import make_dram
from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.pe.converted import Converted, Decoded, decoded_as
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.pe.sharing import REFERENCE
from hwsim.hardware.scratchpads import priced_pads
from hwsim.hardware.technology import Technology, load_technology
from hwsim.hardware.technology.spec import open_technology
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError


def build_accelerator(
    spec: HardwareSpec,
    port_bits: Mapping[str, int],
    dequantized: Sequence[tuple[Format, Format]],
    in_place: bool,
    second_register_bits: int = 0,
) -> Accelerator:
    """Price ``spec``.

    ``port_bits`` are the widths (by ``w``, ``a``, ``o``) that ports marked ``auto`` get; with levels, the bits of
    one step of a PE.
    ``dequantized`` are the pairs of formats whose group sums are scaled: the largest dequantizer serves all of them;
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
    stores = place_stores(spec, technology, port_bits)
    srams = {} if stores else _priced_buffers(spec, technology, port_bits)
    price, stages = pipelined_price(pe, technology, spec.clock)
    largest = largest_dequantizer(pe, dequantized)
    dequantizers, sums = scaling_counts(spec, pe, dequantized, in_place)
    built = Accelerator(
        spec=spec,
        pe=pe,
        technology=technology,
        srams=srams,
        dram=make_dram(spec.dram),
        pe_price=price,
        pipeline_stages=stages,
        dequant_price=dequantizer_price(pe, *largest, technology, spec.clock) if largest else None,
        dequantizers=dequantizers,
        sum_registers=sums,
        in_place=in_place,
        second_register_bits=0 if spec.array.scratchpads else second_register_bits,
        scratchpads=priced_pads(spec, pe, technology),
        stores=stores,
        decoders=make_decoders(pe, port_bits, technology, spec.clock) if isinstance(pe, Decoded) else {},
    )
    _ = built.network, built.core_network  # refuse what cannot be built before anything runs on it
    return built


def _priced_buffers(spec: HardwareSpec, technology: Technology, port_bits: Mapping[str, int]) -> dict[str, Sram]:
    found = {}
    for key, name in BUFFERS.items():
        buffer = spec.memories.buffer(name)
        width = port_bits[key] if buffer.port_bits == "auto" else buffer.port_bits
        try:
            found[key] = _priced_buffer(spec, buffer, width, technology.node_nm)
        except InfeasibleError as error:
            raise InfeasibleError(f"memories.{name}.size: {error}") from None
        except MissingFigureError as error:
            raise MissingFigureError(
                f"technology {technology.name}: {error}; a whole accelerator needs SRAM there, a PE alone can be "
                f"priced (hwsim explain pe NAME --technology {technology.name})"
            ) from None
    return found


def array_pe(spec: HardwareSpec) -> PE:
    """Return the PE of ``spec``, behind the instructions that convert its operands where an array has any."""
    pe, issue = make_pe(spec.pe), spec.array.issue
    if issue is None:
        return decoded_pe(pe, spec.dequantize)
    if len(pe.modes) > 1:
        return pe
    roles = issue.convert_weights is not None, issue.convert_activations is not None
    return Converted(pe.w_format, pe.a_format, pe.lanes, pe, *roles, stated=pe.stated) if any(roles) else pe


def decoded_pe(pe: PE, asked: DequantizeSpec) -> PE:
    """Return ``pe`` behind decoders of the formats asked for that it does not take, if there are any.

    Raises
    ------
    UsageError
        If no decoder of one of them is known.
    """
    weights, activations = (
        tuple(dict.fromkeys(map(parse_format, names))) for names in (asked.weights, asked.activations)
    )
    found = []
    for role, formats, built in (("weights", weights, pe.w_format), ("activations", activations, pe.a_format)):
        foreign = tuple(fmt for fmt in formats if not _takes(pe, role, fmt, weights, activations))
        for fmt in foreign:
            if len(pe.modes) > 1 or not decoded_as(fmt, built):
                raise UsageError(f"dequantize.{role}: {why_not_decoded(pe, fmt, built)}")
        found.append(foreign)
    if not any(found):
        return pe
    return Decoded(
        pe.w_format, pe.a_format, pe.lanes, pe, bool(found[0]), bool(found[1]), stated=pe.stated,
        decoded_w=found[0], decoded_a=found[1],
    )  # fmt: skip


def _takes(pe: PE, role: str, fmt: Format, weights: tuple[Format, ...], activations: tuple[Format, ...]) -> bool:
    """Return whether the PE multiplies ``fmt`` beside its own format or one of the others asked for."""
    if role == "weights":
        return any(pe.supports(fmt, other) is None for other in (pe.a_format, *activations))
    return any(pe.supports(other, fmt) is None for other in (pe.w_format, *weights))


def why_not_decoded(pe: PE, fmt: Format, built: Format) -> str:
    """Return why no decoder makes ``fmt`` what ``pe`` takes."""
    if len(pe.modes) > 1:
        return f"{fmt.name}: a multi takes what its modes take; give it a mode for {fmt.name}"
    if isinstance(fmt, SuperBlock) and fmt.lattice:
        return (
            f"{fmt.name} is looked up in a lattice of groups of elements, of which no decoder is modelled; valid: "
            "IQ4_NL, IQ4_XS, K-quants and the older types of GGUF"
        )
    if isinstance(built.element, Minifloat) and not built.block_size:
        return f"{fmt.name} has no decoder to {built.name}; valid: minifloats, integers and codebooks, also in blocks"
    return (
        f"{fmt.name} cannot become the {built.name} that pe {pe.family} multiplies; valid: a PE of plain floats, such "
        "as that of systolic_32x32_28nm, or of integers for codebooks of whole numbers"
    )


def _priced_buffer(spec: HardwareSpec, buffer: BufferSpec, width_bits: int, node_nm: float) -> Sram:
    """Return one buffer behind a port of ``width_bits``."""
    kelvin = spec.memories.temperature or spec.technology.temperature or ROWS_K
    request = Request(
        buffer.size, width_bits, buffer.banks, node_nm, spec.technology.sram_device, kelvin, buffer.ports, buffer.ecc
    )
    return published_or(
        buffer.figures, Sram, request, lambda: build_buffer(*request[:5], buffer.macro_bits, *request[5:])
    )


def scaling_counts(
    spec: HardwareSpec, pe: PE, dequantized: Sequence[tuple[Format, Format]], in_place: bool
) -> tuple[int, int]:
    """Return the dequantizers that keep up with the array on all pairs, and the registers of sums that stay in PEs."""
    array = spec.array
    columns = max((per_column(pe, *pair, array.rows, in_place) for pair in dequantized), default=0)
    kept = dequantized and in_place and not pe.own_dequantizer
    return array.cols * columns, array.rows * array.cols if kept else 0


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


def largest_dequantizer(pe: PE, pairs: Sequence[tuple[Format, Format]]) -> tuple[Format, Format] | None:
    """Return the pair whose dequantizer takes the most area by the cells of a reference technology, None without any.

    Of equal ones the first.
    """
    if len(pairs) < 2:
        return pairs[0] if pairs else None
    technology = load_technology(REFERENCE)

    def area(pair: tuple[Format, Format]) -> float:
        return sum(technology.price(part.circuit).area_um2 * part.count for part in pe.dequant_parts(*pair))

    return max(pairs, key=area)


def scale_group(w: Format, a: Format) -> int | None:
    """Return the elements along K that share a scale in either operand (the smaller group)."""
    groups = [f.block_size for f in (w, a) if f.block_size]
    return min(groups) if groups else None
