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
from functools import lru_cache, partial
from typing import NamedTuple

from hwsim.hardware.memory.banked import MOST_BANKS, beyond
from hwsim.hardware.memory.ecc import Ecc, check_bits, check_ecc, protected, stored_bytes
from hwsim.hardware.memory.figures import Answer, Device, Macro, Reasons, alike, made
from hwsim.hardware.memory.grid import Grid, shipped_grid
from hwsim.hardware.memory.nodes import at_node, check_supply, scaled_nodes
from hwsim.hardware.memory.ports import Ports, check_ports, with_ports
from hwsim.hardware.memory.table import grown
from hwsim.hardware.memory.temperature import ROWS_K, at_temperature, check_temperature
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError, did_you_mean

#: CACTI finds no array of fewer words in a bank.
FEWEST_WORDS = 32
#: Growth over the size is steady over the table's last factor of 16, so it is trusted for another.
LARGEST_BYTES = 2**28
#: What CACTI calls its embedded DRAM, and what people do.
EDRAM = ("edram", "lp-dram", "comm-dram", "dram")


@dataclass(frozen=True)
class Sram(Macro):
    """A buffer of ``banks`` behind one port of ``width_bits``; one bank answers an access.

    Size and width are those of data. ``kelvin`` is the temperature that leakage holds at.
    """

    size_bytes: int
    banks: int
    kelvin: float = ROWS_K
    ports: Ports = "1rw"
    ecc: Ecc = "none"

    @property
    def title(self) -> str:
        """What it is."""
        ecc = "" if self.ecc == "none" else f" and {self.stored_bits - self.width_bits} check bits"
        ports = "" if self.ports == "1rw" else f", {self.ports}"
        return (
            f"SRAM {self.size_bytes} B, {self.width_bits} bit port{ecc}{ports}, {self.banks} bank(s), "
            f"{self.node_nm:g} nm {self.device}"
        )

    @property
    def stored_bits(self) -> int:
        """Bits of a word with its check bits."""
        return self.width_bits + check_bits(self.ecc, self.width_bits)


class Request(NamedTuple):
    """What SRAM is asked for; see :func:`build_sram`."""

    size_bytes: int
    width_bits: int
    banks: int
    node_nm: float
    device: Device = "hp"
    kelvin: float = ROWS_K
    ports: Ports = "1rw"
    ecc: Ecc = "none"


#: Temperature, ports and check bits of the rows.
USUAL = (ROWS_K, "1rw", "none")


def sram_devices() -> list[str]:
    """Return the device types of the table."""
    return shipped_grid().devices


def sram_nodes(device: Device = "hp") -> list[float]:
    """Return the nodes in nm that have figures of their own or sourced factors, smallest first."""
    return scaled_nodes() + list(shipped_grid().nodes(device))


@lru_cache(maxsize=4096)
def build_sram(
    size_bytes: int,
    width_bits: int,
    banks: int,
    node_nm: float,
    device: Device = "hp",
    vdd_v: float | None = None,
    kelvin: float = ROWS_K,
    ports: Ports = "1rw",
    ecc: Ecc = "none",
) -> Sram:
    """Return a buffer of ``size_bytes`` in ``banks`` behind a port of ``width_bits``.

    Parameters
    ----------
    kelvin
        Temperature that leakage holds at.
    ports
        ``1rw``: one port that reads or writes; ``1r1w``: one of each.
    ecc
        ``secded``: every word of ``width_bits`` is stored with check bits.

    Raises
    ------
    UsageError
        If device type or ECC scheme is unknown, or size, width or banks are not positive.
    MissingFigureError
        If no figures are known at the node, at the supply ``vdd_v``, at the temperature or of the ports.
    InfeasibleError
        If no such array exists; the message says what would.
    """
    request = Request(size_bytes, width_bits, banks, node_nm, device, kelvin, ports, ecc)
    return sram_of(shipped_grid(), request, vdd_v)


def sram_of(grid: Grid, request: Request, vdd_v: float | None = None) -> Sram:
    """Return what :func:`build_sram` does, from the rows of ``grid``; nothing is kept."""
    check_request(grid, request, vdd_v)
    return made(Sram, answer_of(grid, request), zip(Request._fields, request, strict=True))


def check_request(grid: Grid, request: Request, vdd_v: float | None = None) -> None:
    """Refuse what :func:`build_sram` refuses, but for the node."""
    size_bytes, width_bits, banks, node_nm, device, kelvin, ports, ecc = request
    check_kind(grid, device, kelvin, ports, ecc)
    check_supply(node_nm, device, vdd_v)
    check_shape(grid, size_bytes, width_bits, banks)


def check_kind(grid: Grid, device: str, kelvin: float, ports: str, ecc: str) -> None:
    """Refuse device types, temperatures, ports and schemes without figures."""
    if (kind := (device, kelvin, ports, ecc)) in grid.accepted:
        return
    check_device(grid, device)
    check_temperature(kelvin)
    check_ports(ports)
    check_ecc(ecc)
    grid.accepted.add(kind)


def answer_of(grid: Grid, request: Request) -> Answer:
    """Return the figures of a request that :func:`check_request` lets pass."""
    size_bytes, width_bits, banks, node_nm, device, kelvin, ports, ecc = request
    if (kelvin, ports, ecc) == USUAL:
        return _array(grid, size_bytes, width_bits, banks, node_nm, device)
    wide = width_bits + check_bits(ecc, width_bits)
    return finished(_array(grid, stored_bytes(size_bytes, width_bits, wide), wide, banks, node_nm, device), request)


def array_answer(grid: Grid, request: Request) -> Answer:
    """Return the figures of an array without check bits, of one port and at the rows' temperature."""
    return _array(grid, *request[:5])


def finished(answer: Answer, request: Request) -> Answer:
    """Return the figures of a request from those of its array, check bits included, of one port at 360 K."""
    size_bytes, width_bits, _, node_nm, device, kelvin, ports, ecc = request
    checks = check_bits(ecc, width_bits)
    stored = stored_bytes(size_bytes, width_bits, width_bits + checks)
    answer = with_ports(at_temperature(answer, kelvin, node_nm, device), ports, stored)
    return protected(answer, width_bits, checks)


def check_device(grid: Grid, device: str) -> None:
    """Refuse a device type that has no rows."""
    if device.lower() in EDRAM:
        raise MissingFigureError(
            "no figures for embedded DRAM: CACTI 7 prints a write energy of 20 to 55 times the read and no refresh; "
            f"valid devices of SRAM: {', '.join(grid.devices)}"
        )
    if device not in grid.devices:
        raise UsageError(f"sram_device: unknown {device!r}; {did_you_mean(device, grid.devices)}")


def check_shape(grid: Grid, size_bytes: int, width_bits: int, banks: int) -> None:
    """Refuse an array that does not exist; the message says what would."""
    smallest = grid.smallest
    if (
        smallest <= size_bytes <= LARGEST_BYTES
        and 0 < FEWEST_WORDS * width_bits * banks <= size_bytes * 8
        and banks > 0
    ):
        return
    for name, value in (("size", size_bytes), ("port_bits", width_bits), ("banks", banks)):
        if not value > 0:
            raise UsageError(f"sram: {name} must be positive, not {value}")
    if not smallest <= size_bytes <= LARGEST_BYTES:
        hint = "below that it is a register file or registers" if size_bytes < smallest else "use several buffers"
        raise InfeasibleError(f"no SRAM of {size_bytes} B; valid: {smallest} B to {LARGEST_BYTES // 2**20} MiB; {hint}")
    raise InfeasibleError(
        f"a buffer of {size_bytes} B in {banks} bank(s) cannot have a port of {width_bits} bits: words too wide "
        f"for the depth, a bank needs at least {FEWEST_WORDS} words; valid: "
        + _valid_instead(size_bytes * 8, width_bits, banks)
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
    narrowest, widest, largest = bounds.narrowest, bounds.widest, bounds.largest
    if narrowest <= width_bits <= widest and size_bytes <= largest and banks <= MOST_BANKS:
        return _at_spot(grid, node_nm, device, size_bytes, width_bits, banks)
    wider = max(width_bits / widest, 1)
    larger = max(size_bytes / wider / largest, 1)
    size, width = min(size_bytes / wider, largest), min(max(width_bits, narrowest), widest)
    answer = _at_spot(grid, node_nm, device, size, width, min(banks, MOST_BANKS))
    if banks > MOST_BANKS:
        # a wider port has grown from one of the table's widest, which is what is divided
        answer = beyond(answer, banks, size_bytes * 8 / (width_bits * banks), min(width_bits, widest))
    answer = grown(grown(answer, "sram", "port_bits", wider), "sram", "size_bytes", larger)
    return answer.said(partial(_tell_narrow, width_bits, narrowest)) if width_bits < narrowest else answer


def _at_spot(grid: Grid, node_nm: float, device: Device, size: float, width: float, banks: int) -> Answer:
    """Return the figures of an array that lies within the tables of all nodes."""
    nodes = grid.nodes(device)
    spot = grid.table(nodes[-1], device).spot(size, width, banks)
    return at_node(node_nm, device, nodes, lambda node: grid.table(node, device).on(spot))


def _tell_narrow(width_bits: int, narrowest: int) -> Reasons:
    return alike(f"as {narrowest} bits (estimated)", f"a port of {width_bits} bits costs what one of {narrowest} does")
