"""A PE on an FPGA: its parts in LUT sites and flip-flops, its products in DSP blocks where they may be.

With ``never`` every part is in LUTs; with ``always`` every multiplier of the PE is in DSP blocks, in the densest
mode that the dataflow allows. A block that sums in itself takes the accumulator, and the adder tree, too; one whose
packed lanes overflow early leaves sums in LUTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hwsim.formats import Minifloat
from hwsim.hardware.circuits import Multiplier, Part
from hwsim.hardware.fpga import Sites, load_fabric
from hwsim.hardware.fpga.device import Device
from hwsim.hardware.fpga.dsp import Mode, best_mode, refused_modes
from hwsim.hardware.pe import PE
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

#: Largest float whose whole MAC a floating-point DSP block does: exponent and significand bits of FP32.
FLOAT_EXPONENT, FLOAT_SIGNIFICAND = 8, 24


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
    pe: PE, device: Device, use: Literal["never", "always"], shared: frozenset[str] = frozenset()
) -> PeOnFabric:
    """Return what ``pe`` takes of ``device``; neighbours share the operands ``shared`` (``w``, ``a``).

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
        return _priced(pe, device, [(part, part.count, Fraction(0)) for part in parts], (), ())
    whole = _float_block(pe, device)
    if whole is not None:
        held = [(part, 0.0, Fraction(pe.lanes) if not number else Fraction(0)) for number, part in enumerate(parts)]
        return _priced(pe, device, held, (whole,), ())
    return _with_products_in_blocks(pe, device, parts, shared)


def refusals(pe: PE, device: Device, shared: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return which denser modes of DSP blocks the PE's products may not use, and what each needs."""
    shared = _with_own_sum(pe, shared)
    widths = [_widths(part.circuit) for part in pe.built if _is_product(part) and isinstance(part.circuit, Multiplier)]
    notes = [note for bits in widths for note in refused_modes(device.dsp_primitive, *bits, shared)]
    return tuple(dict.fromkeys(notes))


def _with_own_sum(pe: PE, shared: frozenset[str]) -> frozenset[str]:
    """Return what is shared, and the ``sum`` where a PE has several products."""
    return shared | ({"sum"} if pe.lanes > 1 else set())


def _is_product(part: Part) -> bool:
    return isinstance(part.circuit, Multiplier) and part.group == "multiplier"


def _with_products_in_blocks(pe: PE, device: Device, parts: Sequence[Part], shared: frozenset[str]) -> PeOnFabric:
    modes: list[Mode] = []
    shared, notes = _with_own_sum(pe, shared), refusals(pe, device, shared)
    rows: list[tuple[Part, float, Fraction]] = []
    for part in parts:
        circuit = part.circuit
        mode = None
        if isinstance(circuit, Multiplier) and _is_product(part):
            mode = best_mode(device.dsp_primitive, *_widths(circuit), shared)
        if mode is None:
            rows.append((part, part.count, Fraction(0)))
            continue
        modes.append(mode)
        rows.append((part, 0.0, mode.blocks(part.count)))
    if not modes:
        why = "".join(f"; {note}" for note in notes)
        raise UsageError(f"pe: {pe.family} has no product that a {device.dsp_primitive} takes{why}; valid: dsp: never")
    if all(_sums(mode, pe) for mode in modes):
        rows = [(part, 0.0 if _is_sum(part) else count, dsp) for part, count, dsp in rows]
    return _priced(pe, device, rows, tuple(dict.fromkeys(modes)), notes)


def _widths(circuit: Multiplier) -> tuple[int, int]:
    """Return the signed widths of both operands: an unsigned one needs a bit more."""
    more = 0 if circuit.signed else 1
    long, short = max(circuit.a_bits, circuit.b_bits), min(circuit.a_bits, circuit.b_bits)
    return (long + more, short + more)


def _sums(mode: Mode, pe: PE) -> bool:
    """Return whether a block holds the PE's whole sum."""
    integer = not isinstance(getattr(pe, "accumulator", None), Minifloat)
    return integer and mode.accumulator_bits is not None and mode.accumulator_bits >= pe.psum_bits


def _is_sum(part: Part) -> bool:
    """Return whether a block that sums takes this part: tree, accumulator and operand registers."""
    return part.role in ("adder tree", "accumulator adder", "accumulator", "operands")


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
