"""A buffer behind a wide port: SRAM macros side by side, each with its share of every word.

A port of 2048 bits is not one macro of 2048 bit lines' width; it is built of narrower ones that all
fire on an access. Wires from the macros to the array are the network's, not the buffer's.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from hwsim.hardware.memory.figures import Device
from hwsim.hardware.memory.sram import Sram, build_sram
from hwsim.spec.errors import InfeasibleError

#: Least bytes of a macro; smaller ones are register files.
SMALLEST_MACRO = 1024


def build_buffer(
    size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device = "hp", macro_bits: int = 256
) -> Sram:
    """Return a buffer of ``size_bytes`` behind a port of ``width_bits``, of macros of ``macro_bits``.

    Each macro has ``banks`` banks. A port that is no multiple of them counts the last one in part. A
    buffer that is too small for so many macros is one macro.

    Raises
    ------
    UsageError
        If the device type is unknown, or size, width or banks are not positive.
    MissingFigureError
        If no figures are known at the node.
    InfeasibleError
        If no such array exists; the message says what would.
    """
    macros = width_bits / macro_bits
    if macros <= 1 or size_bytes < macros * SMALLEST_MACRO:
        return build_sram(size_bytes, width_bits, banks, node_nm, device)
    try:
        one = build_sram(ceil(size_bytes / macros), macro_bits, banks, node_nm, device)
    except InfeasibleError:
        return build_sram(size_bytes, width_bits, banks, node_nm, device)
    note = f"{macros:.4g} macros of {macro_bits} bits side by side"
    return replace(
        one,
        size_bytes=size_bytes,
        width_bits=width_bits,
        read_pj=one.read_pj * macros,
        write_pj=one.write_pj * macros,
        leakage_mw=one.leakage_mw * macros,
        area_mm2=one.area_mm2 * macros,
        answered_by=f"{one.answered_by}, {note}",
        sources=tuple(f"{source}; {note}" for source in one.sources),
    )
