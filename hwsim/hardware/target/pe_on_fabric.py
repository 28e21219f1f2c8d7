"""A PE on an FPGA: its parts in LUT sites and flip-flops, its products in DSP blocks where they may be.

With ``never`` every part is in LUTs; with ``always`` every multiplier of the PE is in DSP blocks, in the densest
mode that the dataflow allows. A block that sums in itself takes the accumulator, and the adder tree, too; one whose
packed lanes overflow early leaves sums in LUTs. Registers of operands and sums are parts of the PE; stages that a
design states are cut as on an ASIC (:mod:`hwsim.hardware.pe.cuts`). A block has registers of its own for operands that
reach it as they are, for its sum, and for one cut, of its product (``dsp_registers.csv``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Literal

from hwsim.formats import Integer, Minifloat
from hwsim.hardware.circuits import AdderTree, Multiplier, Part, Register
from hwsim.hardware.fpga import Sites, load_fabric
from hwsim.hardware.fpga.device import Device
from hwsim.hardware.fpga.dsp import Mode, best_mode, legal_modes, product_registers, refused_modes
from hwsim.hardware.pe import PE
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

#: Largest float whose whole MAC a floating-point DSP block does: exponent and significand bits of FP32.
FLOAT_EXPONENT, FLOAT_SIGNIFICAND = 8, 24

#: Parts in the place of which a block that sums has its own.
SUM_ROLES = ("adder tree", "accumulator adder", "accumulator")


@dataclass(frozen=True)
class PeOnFabric:
    """What one PE takes; ``modes`` are those of its DSP blocks. LUT or ALM, and flip-flop counts are estimated.

    ``logic`` says which of both ``sites.lut`` counts.
    """

    sites: Sites
    dsp: Fraction
    rows: tuple[tuple[Part, Sites, Fraction], ...]
    modes: tuple[Mode, ...] = ()
    notes: tuple[str, ...] = ()
    logic: str = "lut6"


def pe_on_fabric(
    pe: PE,
    device: Device,
    use: Literal["never", "always"],
    shared: frozenset[str] = frozenset(),
    stages: int | None = None,
    mode: str = "",
) -> PeOnFabric:
    """Return what ``pe`` takes of ``device``; neighbours share the operands ``shared`` (``w``, ``a``).

    Products are in the densest legal mode, or in ``mode`` where it is legal.
    Its path is cut into ``stages``; without, registers between its own operands and sums are not counted.

    Raises
    ------
    MissingFigureError
        If a part has no law on the device's logic; names it.
    UsageError
        If ``use`` is ``always`` and the PE has no product that a block takes.
    """
    if use not in ("never", "always"):
        raise UsageError(f"dsp: unknown choice {use!r}; {did_you_mean(use, ('never', 'always'))}")
    parts = pe.built
    if use == "never":
        return _priced(pe, device, [(part, part.count, Fraction(0)) for part in (*parts, *_cuts(pe, stages))], (), ())
    inside = product_registers(device.dsp_primitive)
    whole = _float_block(pe, device)
    if whole is not None:
        held = [(part, 0.0, Fraction(pe.lanes) if not number else Fraction(0)) for number, part in enumerate(parts)]
        held += [(part, part.count, Fraction(0)) for part in _cuts(pe, stages, inside)]
        return _priced(pe, device, held, (whole,), ())
    found = _with_products_in_blocks(pe, device, parts, shared, mode)
    if stages is None:
        return found
    products = [part for part, _, dsp in found.rows if dsp]
    cut = [(part, part.count, Fraction(0)) for part in _cuts(pe, stages, inside, _beside_bits(products, parts))]
    more = _priced(pe, device, cut, (), ())
    return replace(found, sites=found.sites + more.sites, rows=(*found.rows, *more.rows))


def _beside_bits(products: Sequence[Part], parts: Sequence[Part]) -> float:
    """Return the bits that pass by ``products``: as they state, else what is worked out of exponents meanwhile."""
    stated = sum(part.beside_bits * part.count for part in products)
    return stated or sum(part.circuit.live_bits(1.0) * part.count for part in parts if part.group == "exponent")


def _cuts(pe: PE, stages: int | None, inside: int = 0, beside_bits: float = 0) -> tuple[Part, ...]:
    """Return the stage registers on fabric: as wide as on an ASIC, and beside ``inside`` cuts of a block's own.

    A product that a block's register cuts takes what passes by it, such as exponents, through fabric.
    """
    cuts = (stages or 1) - 1
    own = min(cuts, inside)
    found = []
    if own and beside_bits:
        found.append(Part("stage beside the product", "register", Register(round(beside_bits)), own, on_path=False))
    if cuts > own:
        bits = max(mode.cut_bits for mode in pe.modes)
        found.append(Part("pipeline stage", "register", Register(bits), cuts - own, on_path=False))
    return tuple(found)


def refusals(pe: PE, device: Device, shared: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return which denser modes of DSP blocks the PE's products may not use, and what each needs."""
    shared = _with_own_sum(pe, shared)
    widths = [_widths(part.circuit) for part in pe.built if _is_product(part) and isinstance(part.circuit, Multiplier)]
    notes = [note for bits in widths for note in refused_modes(device.dsp_primitive, *bits, shared, full=_full(pe))]
    return tuple(dict.fromkeys(notes))


def _with_own_sum(pe: PE, shared: frozenset[str]) -> frozenset[str]:
    """Return what is shared, and the ``sum`` where a PE adds several products as they are.

    Products of floats are aligned, or put into their places, before they are added: no block does that.
    """
    whole = all(isinstance(fmt.element, Integer) for mode in pe.modes for fmt in (mode.w_format, mode.a_format))
    return shared | ({"sum"} if pe.lanes > 1 and whole else set())


def _is_product(part: Part) -> bool:
    return isinstance(part.circuit, Multiplier) and part.group == "multiplier"


def mode_names(pe: PE, device: Device, shared: frozenset[str]) -> list[str]:
    """Return the names of all modes of DSP blocks that some product of the PE may use."""
    shared = _with_own_sum(pe, shared)
    found: dict[str, None] = {}
    for part in pe.built:
        if isinstance(part.circuit, Multiplier) and _is_product(part):
            modes = legal_modes(device.dsp_primitive, *_widths(part.circuit), shared, full=_full(pe))
            found.update((mode.name, None) for mode in modes)
    return list(found)


def _with_products_in_blocks(
    pe: PE, device: Device, parts: Sequence[Part], shared: frozenset[str], asked: str
) -> PeOnFabric:
    modes: list[Mode] = []
    shared, notes = _with_own_sum(pe, shared), refusals(pe, device, shared)
    rows: list[tuple[Part, float, Fraction]] = []
    for part in parts:
        circuit = part.circuit
        mode = None
        if isinstance(circuit, Multiplier) and _is_product(part):
            mode = best_mode(device.dsp_primitive, *_widths(circuit), shared, full=_full(pe), asked=asked)
        if mode is None:
            rows.append((part, part.count, Fraction(0)))
            continue
        modes.append(mode)
        rows.append((part, 0.0, mode.blocks(part.count)))
    if not modes:
        why = "".join(f"; {note}" for note in notes)
        raise UsageError(f"pe: {pe.family} has no product that a {device.dsp_primitive} takes{why}; valid: dsp: never")
    rows = [(_beyond_blocks(part, modes), count, dsp) for part, count, dsp in rows]
    if all(_direct(part) for part in parts):
        sums = all(_sums(mode, pe) for mode in modes)
        held = ("operands", *(SUM_ROLES if sums else ()))
        rows = [(part, 0.0 if part.role in held else count, dsp) for part, count, dsp in rows]
    return _priced(pe, device, rows, tuple(dict.fromkeys(modes)), notes)


def _beyond_blocks(part: Part, modes: Sequence[Mode]) -> Part:
    """Return a tree with the inputs that blocks leave which add products: one per sum of a block."""
    tree, added = part.circuit, min(mode.macs / mode.columns if mode.adds else Fraction(1) for mode in modes)
    if part.role != "adder tree" or not isinstance(tree, AdderTree) or added == 1:
        return part
    grown = (int(added) - 1).bit_length()
    return replace(part, circuit=AdderTree(ceil(tree.inputs / added), tree.bits + grown))


def _full(pe: PE) -> frozenset[str]:
    """Return the operands whose numbers use the lowest code of two's complement too."""
    elements = {"w": pe.w_format.element, "a": pe.a_format.element}
    return frozenset(key for key, element in elements.items() if isinstance(element, Integer) and element.full)


def _widths(circuit: Multiplier) -> tuple[int, int]:
    """Return the signed widths of both operands: an unsigned one needs a bit more."""
    more = 0 if circuit.signed else 1
    long, short = max(circuit.a_bits, circuit.b_bits), min(circuit.a_bits, circuit.b_bits)
    return (long + more, short + more)


def _sums(mode: Mode, pe: PE) -> bool:
    """Return whether a block holds the PE's whole sum."""
    integer = not isinstance(getattr(pe, "accumulator", None), Minifloat)
    return integer and mode.accumulator_bits is not None and mode.accumulator_bits >= pe.psum_bits


def _direct(part: Part) -> bool:
    """Return whether nothing but a block's own parts is in it: operands go in as they are, products are summed so."""
    return part.group == "multiplier" or part.role in ("operands", *SUM_ROLES)


def _float_block(pe: PE, device: Device) -> Mode | None:
    """Return the floating-point mode that does the whole MAC, None if there is none or it does not fit."""
    accumulator = getattr(pe, "accumulator", None)
    if pe.family != "float_mac" or not isinstance(accumulator, Minifloat) or accumulator.sig_bits > FLOAT_SIGNIFICAND:
        return None
    for fmt in (pe.w_format, pe.a_format):
        element = fmt.element
        if fmt.block_size or not isinstance(element, Minifloat):
            return None
        if element.exponent_bits > FLOAT_EXPONENT or element.sig_bits > FLOAT_SIGNIFICAND:
            return None
    return best_mode(device.dsp_primitive, 32, 32, arithmetic="float")


def _priced(
    pe: PE,
    device: Device,
    rows: Sequence[tuple[Part, float, Fraction]],
    modes: tuple[Mode, ...],
    notes: tuple[str, ...],
) -> PeOnFabric:
    priced = tuple((part, _price(pe, device, part) * count, dsp) for part, count, dsp in rows)
    total, blocks = Sites(), Fraction(0)
    for _, sites, dsp in priced:
        total, blocks = total + sites, blocks + dsp
    return PeOnFabric(total, blocks, priced, modes, notes, device.logic)


def _price(pe: PE, device: Device, part: Part) -> Sites:
    try:
        return load_fabric(device.logic).price(part.circuit)
    except MissingFigureError as error:
        raise MissingFigureError(f"pe: {pe.family}: part {part.role!r}: {error}") from None
