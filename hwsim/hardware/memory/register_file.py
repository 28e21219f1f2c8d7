"""Register files: small many-ported memories, interpolated in CACTI 7 rows.

The rows have 64 B to 2 KiB, 8 to 128 bits, at least 32 words, with one shared port, one read and
one write port, or two and one. Wider files follow the rows' own growth (``growth.csv``). A file
with more ports is extrapolated from these three: each port adds a word line and a bit line to the
cell, so its sides grow linearly with the ports, and with them wire energy and delay. The line
through the one- and two-port rows finds the three-port rows within 3 % for energy, area and
access time and 5 % for leakage (mean; the worst row is off by 45 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from hwsim.hardware.memory.figures import NAMES, Answer, Device, Macro, Reasons, alike, made
from hwsim.hardware.memory.nodes import at_node, check_supply
from hwsim.hardware.memory.table import Table, grown
from hwsim.hardware.memory.temperature import ROWS_K, at_temperature, check_temperature
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, MissingFigureError, UsageError, did_you_mean

SOURCE = "CACTI 7 register file rows, 360 K, ED^2 optimum"
#: Mean errors when each row in turn is left out of its table.
ERROR = "off by 11 % in read energy, 7 % in write energy, 8 % in leakage and area, 4 % in access time (mean)"
#: Ports (shared, read, write) of the rows, by their sum.
MIXES = {1: (1, 0, 0), 2: (0, 1, 1), 3: (0, 2, 1)}
#: Sum of ports above which the line through three points would say too little.
MOST_PORTS = 8
FEWEST_WORDS = 32
#: Bits above which the growth over the width would say too little: 16 times the table's.
WIDEST_BITS = 2048


@dataclass(frozen=True)
class RegisterFile(Macro):
    """``words`` of ``width_bits``; energies per access of one port, leakage and area of the whole."""

    words: int
    read_ports: int
    write_ports: int
    shared_ports: int
    kelvin: float = ROWS_K

    @property
    def title(self) -> str:
        """What it is."""
        ports = f"{self.read_ports} read, {self.write_ports} write, {self.shared_ports} shared ports"
        return f"register file {self.words} words of {self.width_bits} bits, {ports}, {self.node_nm:g} nm {self.device}"

    @property
    def size_bytes(self) -> float:
        """Capacity in bytes."""
        return self.words * self.width_bits / 8


@lru_cache(maxsize=1)
def _rows() -> dict[str, dict[int, dict[int, list[dict[str, str]]]]]:
    """Return the rows by device, node and sum of ports."""
    found: dict[str, dict[int, dict[int, list[dict[str, str]]]]] = {}
    for row in read_csv_rows("memory", "rf_grid.csv"):
        ports = sum(int(row[f"ports_{kind}"]) for kind in ("rw", "rd", "wr"))
        nodes = found.setdefault(row["device"].removeprefix("itrs-"), {})
        nodes.setdefault(int(row["tech_nm"]), {}).setdefault(ports, []).append(row)
    return found


@lru_cache(maxsize=64)
def _table(node_nm: int, device: str, ports: int) -> Table:
    return Table(_rows()[device][node_nm][ports], SOURCE, ERROR)


@lru_cache(maxsize=4096)
def build_register_file(
    words: int,
    width_bits: int,
    read_ports: int,
    write_ports: int,
    node_nm: float,
    device: Device = "hp",
    shared_ports: int = 0,
    vdd_v: float | None = None,
    kelvin: float = ROWS_K,
) -> RegisterFile:
    """Return a register file; ``shared_ports`` read or write, so with one of them the others may be 0.

    Raises
    ------
    UsageError
        If it cannot be read or written, or words or width are not positive.
    MissingFigureError
        If no figures are known of the device type, at the node, the supply ``vdd_v``, the temperature
        or for so many ports.
    InfeasibleError
        If it is smaller or larger than the rows: registers and SRAM cover what lies beyond.
    """
    _check_ports(read_ports, write_ports, shared_ports)
    if device not in _rows():
        raise MissingFigureError(f"no register files of device type {device!r}; {did_you_mean(device, _rows())}")
    check_supply(node_nm, device, vdd_v)
    check_temperature(kelvin)
    _check_shape(words, width_bits)
    answer = _cells(words, width_bits, (shared_ports, read_ports, write_ports), node_nm, device)
    answer = at_temperature(answer, kelvin, node_nm, device, ", of SRAM of the same device")
    of = {
        "width_bits": width_bits, "node_nm": node_nm, "device": device, "words": words, "read_ports": read_ports,
        "write_ports": write_ports, "shared_ports": shared_ports, "kelvin": kelvin,
    }  # fmt: skip
    return made(RegisterFile, answer, of.items())


def _check_ports(read_ports: int, write_ports: int, shared_ports: int) -> None:
    if min(read_ports, write_ports, shared_ports) < 0 or not (
        (read_ports or shared_ports) and (write_ports or shared_ports)
    ):
        given = f"{read_ports} read, {write_ports} write, {shared_ports} shared"
        raise UsageError(f"a register file needs ports to read and to write, not {given}")
    ports = read_ports + write_ports + shared_ports
    if ports > MOST_PORTS:
        raise MissingFigureError(f"no figures for register files of {ports} ports; valid: 1 to {MOST_PORTS}")


def _check_shape(words: int, width_bits: int) -> None:
    for name, value in (("words", words), ("width", width_bits)):
        if not value > 0:
            raise UsageError(f"register file: {name} must be positive, not {value}")
    bounds = _table(max(_rows()["hp"]), "hp", 1)
    size = words * min(width_bits, bounds.widest) / 8
    what = f"no register file of {words} words of {width_bits} bits; valid:"
    if words < FEWEST_WORDS or width_bits < bounds.narrowest or size < bounds.smallest:
        least = f"at least {FEWEST_WORDS} words, {bounds.narrowest} bits and {bounds.smallest} B"
        raise InfeasibleError(f"{what} {least}; below that it is registers: build it of circuits")
    if size > bounds.largest or width_bits > WIDEST_BITS:
        most = f"at most {bounds.largest} B per {bounds.widest} bits and {WIDEST_BITS} bits"
        raise InfeasibleError(f"{what} {most}; above that it is SRAM: build_sram")


def _cells(words: int, width_bits: int, mix: tuple[int, int, int], node_nm: float, device: Device) -> Answer:
    """Return the figures of the rows' port mix with as many ports, or of the line through all."""
    ports, bounds = sum(mix), _table(max(_rows()[device]), device, 1)
    wider = max(width_bits / bounds.widest, 1)
    width = min(width_bits, bounds.widest)
    size = words * width / 8

    def lookup(node: int) -> Answer:
        if ports in MIXES:
            return _table(node, device, ports).at(size, width)
        return _more_ports([_table(node, device, p).at(size, width) for p in MIXES], ports)

    answer = grown(at_node(node_nm, device, tuple(_rows()[device]), lookup), "rf", "port_bits", wider)
    if ports in MIXES and mix != MIXES[ports]:
        return answer.said(partial(_tell_other_mix, ports))
    return answer


def _tell_other_mix(ports: int) -> Reasons:
    reason = "CACTI's rows with as many ports are {} shared, {} read, {} write".format(*MIXES[ports])
    return alike("other port mix (estimated)", reason)


#: The square root of the area is linear in the ports.
_POWERS = [2 if name == "area_mm2" else 1 for name in NAMES]


def _more_ports(found: Sequence[Answer], ports: int) -> Answer:
    """Continue the line through one and three ports."""
    one, three = found[0], found[2]
    logs = []
    for a, c, p in zip(one.logs, three.logs, _POWERS, strict=True):
        # CACTI's optimum jumps now and then; more ports never cost less
        step = max(1 - math.exp((a - c) / p), 0) / 2
        logs.append(p * math.log(1 + step * (ports - 3)))
    return three.plus(logs, partial(_tell_more_ports, ports))


def _tell_more_ports(ports: int) -> Reasons:
    reason = f"{ports} ports over 3, on the line through CACTI's 1 and 3 ports"
    return alike("extrapolated in ports (estimated)", reason)
