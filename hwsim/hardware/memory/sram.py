"""SRAM buffers from CACTI 7 rows, and nothing in silence outside them.

The rows have arrays behind one port at 360 K, 90 to 22 nm, 1 KiB to 16 MiB, 8 to 1024 bits, of one
bank and, but for lop and 28 nm, of 2 to 8. CACTI builds every array of at least 32 words per bank and
none below. Larger buffers and wider ports follow the table's own growth (``growth.csv``); nodes
outside it: see ``nodes.py``.

Banks share the one port. The wires between it and the banks cost about what they cost in one
array of the same capacity, so an access to one bank of many takes about the energy of the
undivided array. What banks add is that each is shallower: ``bank_factors.csv`` has what an array
costs over a deep one by its words over its bits per word. Where there are no rows of so many banks,
the quotient of that for a bank and for the undivided array answers; it finds CACTI's 1270 rows of 2
to 8 banks within 8 % in area, 5 % in leakage, 8 % in access time, 10 % in write and 16 % in read
energy (mean, each node and device left out in turn).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwsim.hardware.memory.banked import MOST_BANKS, beyond
from hwsim.hardware.memory.figures import NAMES, Answer, Device, Macro
from hwsim.hardware.memory.grid import Grid, shipped_grid
from hwsim.hardware.memory.nodes import at_node, check_supply, scaled_nodes
from hwsim.hardware.memory.table import grown
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean

#: CACTI finds no array of fewer words in a bank.
FEWEST_WORDS = 32
#: Growth over the size is steady over the table's last factor of 16, so it is trusted for another.
LARGEST_BYTES = 2**28


@dataclass(frozen=True)
class Sram(Macro):
    """A buffer of ``banks`` behind one port of ``width_bits``; one bank answers an access."""

    size_bytes: int
    banks: int


def sram_devices() -> list[str]:
    """Return the device types of the table."""
    return shipped_grid().devices


def sram_nodes(device: Device = "hp") -> list[float]:
    """Return the nodes in nm that have figures of their own or sourced factors, smallest first."""
    return scaled_nodes() + shipped_grid().nodes(device)


@lru_cache(maxsize=4096)
def build_sram(
    size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device = "hp", vdd_v: float | None = None
) -> Sram:
    """Return a buffer of ``size_bytes`` in ``banks`` behind a port of ``width_bits``.

    Raises
    ------
    UsageError
        If the device type is unknown, or size, width or banks are not positive.
    MissingFigureError
        If no figures are known at the node or at the supply ``vdd_v``.
    InfeasibleError
        If no such array exists; the message says what would.
    """
    return sram_of(shipped_grid(), size_bytes, width_bits, banks, node_nm, device, vdd_v)


def sram_of(
    grid: Grid, size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device, vdd_v: float | None = None
) -> Sram:
    """Return what :func:`build_sram` does, from the rows of ``grid``; nothing is kept."""
    check_device(grid, device)
    check_supply(node_nm, device, vdd_v)
    check_shape(grid, size_bytes, width_bits, banks)
    answer = _array(grid, size_bytes, width_bits, banks, node_nm, device)
    return Sram(
        width_bits=width_bits, node_nm=node_nm, device=device, size_bytes=size_bytes, banks=banks, **answer.fields()
    )


def check_device(grid: Grid, device: str) -> None:
    """Refuse a device type that has no rows."""
    if device not in grid.devices:
        raise UsageError(f"sram_device: unknown {device!r}; {did_you_mean(device, grid.devices)}")


def check_shape(grid: Grid, size_bytes: int, width_bits: int, banks: int) -> None:
    """Refuse an array that does not exist; the message says what would."""
    for name, value in (("size", size_bytes), ("port_bits", width_bits), ("banks", banks)):
        if not value > 0:
            raise UsageError(f"sram: {name} must be positive, not {value}")
    smallest = grid.bounds("hp").smallest
    if not smallest <= size_bytes <= LARGEST_BYTES:
        hint = "below that it is a register file or registers" if size_bytes < smallest else "use several buffers"
        raise InfeasibleError(f"no SRAM of {size_bytes} B; valid: {smallest} B to {LARGEST_BYTES // 2**20} MiB; {hint}")
    bits = size_bytes * 8
    if bits < FEWEST_WORDS * width_bits * banks:
        raise InfeasibleError(
            f"a buffer of {size_bytes} B in {banks} bank(s) cannot have a port of {width_bits} bits: words too wide "
            f"for the depth, a bank needs at least {FEWEST_WORDS} words; valid: "
            + _valid_instead(bits, width_bits, banks)
        )


def _valid_instead(bits: int, width_bits: int, banks: int) -> str:
    fewer, narrower = bits // (FEWEST_WORDS * width_bits), bits // (FEWEST_WORDS * banks)
    valid = [f"at least {-(-FEWEST_WORDS * width_bits * banks // 8)} B"]
    valid += [f"at most {fewer} bank(s)"] if fewer else []
    valid += [f"a port of at most {narrower} bits"] if narrower else []
    return ", or ".join(valid)


def _array(grid: Grid, size_bytes: int, width_bits: int, banks: int, node_nm: float, device: Device) -> Answer:
    """Return the figures of an array; beyond the table's port, of as many words grown in width."""
    bounds = grid.bounds(device)
    wider = max(width_bits / bounds.widest, 1)
    larger = max(size_bytes / wider / bounds.largest, 1)
    size, width = min(size_bytes / wider, bounds.largest), min(max(width_bits, bounds.narrowest), bounds.widest)

    def lookup(node: int) -> Answer:
        answer = grid.table(node, device).at(size, width, min(banks, MOST_BANKS))
        if banks <= MOST_BANKS:
            return answer
        # a wider port has grown from one of the table's widest, which is what is divided
        return beyond(answer, banks, size_bytes * 8 / (width_bits * banks), min(width_bits, bounds.widest))

    answer = at_node(node_nm, device, grid.nodes(device), lookup)
    answer = grown(grown(answer, "sram", "port_bits", wider), "sram", "size_bytes", larger)
    if width_bits >= bounds.narrowest:
        return answer
    reason = f"a port of {width_bits} bits costs what one of {bounds.narrowest} bits does"
    return answer.times([1] * len(NAMES), [reason] * len(NAMES), f"as {bounds.narrowest} bits (estimated)")
