"""A buffer behind a wide port: SRAM macros side by side, each with its share of every word.

A port of 2048 bits is not one macro of 2048 bit lines' width; it is built of narrower ones that all
fire on an access. Wires from the macros to the array are the network's, not the buffer's. Check bits
protect the word of each macro by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil

from hwsim.hardware.memory.ecc import Ecc
from hwsim.hardware.memory.figures import Device, Story
from hwsim.hardware.memory.ports import Ports
from hwsim.hardware.memory.sram import Sram, build_sram
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.spec.errors import InfeasibleError

#: Least bytes of a macro; smaller ones are register files.
SMALLEST_MACRO = 1024


def build_buffer(
    size_bytes: int,
    width_bits: int,
    banks: int,
    node_nm: float,
    device: Device = "hp",
    macro_bits: int = 256,
    kelvin: float = ROWS_K,
    ports: Ports = "1rw",
    ecc: Ecc = "none",
) -> Sram:
    """Return a buffer of ``size_bytes`` behind a port of ``width_bits``, of macros of ``macro_bits``.

    Each macro has ``banks`` banks. A port that is no multiple of them counts the last one in part. A
    buffer that is too small for so many macros is one macro.

    Raises
    ------
    UsageError, MissingFigureError, InfeasibleError
        As :func:`build_sram` does.
    """
    rest = node_nm, device, None, kelvin, ports, ecc
    macros = width_bits / macro_bits
    if macros <= 1 or size_bytes < macros * SMALLEST_MACRO:
        return build_sram(size_bytes, width_bits, banks, *rest)
    try:
        one = build_sram(ceil(size_bytes / macros), macro_bits, banks, *rest)
    except InfeasibleError:
        return build_sram(size_bytes, width_bits, banks, *rest)
    return replace(
        one,
        size_bytes=size_bytes,
        width_bits=width_bits,
        read_pj=one.read_pj * macros,
        write_pj=one.write_pj * macros,
        leakage_mw=one.leakage_mw * macros,
        area_mm2=one.area_mm2 * macros,
        tell=partial(_tell, one.tell, f"{macros:.4g} macros of {macro_bits} bits side by side"),
    )


def _tell(one: Callable[[], Story], note: str) -> Story:
    how, sources, estimates = one()
    return Story(f"{how}, {note}", tuple(f"{source}; {note}" for source in sources), estimates)
