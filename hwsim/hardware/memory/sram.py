"""SRAM buffers from CACTI 7 rows, and nothing in silence outside them.

The rows have arrays of one bank behind one port at 360 K, 90 to 22 nm, 1 KiB to 16 MiB, 8 to 1024
bits. CACTI builds every array of at least 32 words per bank and none below. Larger buffers and
wider ports follow the table's own growth (``growth.csv``); nodes outside it: see ``nodes.py``.

Banks share the one port. The wires between it and the banks cost about what they cost in one
array of the same capacity, so an access to one bank of many takes about the energy of the
undivided array. What banks add is that each is shallower: ``bank_factors.csv`` has what an array
costs over a deep one by its words over its bits per word. The quotient of that for a bank and for
the undivided array finds CACTI's 1270 rows of 2 to 8 banks within 8 % in area, 5 % in leakage, 8 %
in access time, 10 % in write and 16 % in read energy (mean, each node and device left out in turn).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwsim.hardware.memory.figures import NAMES, Answer, Device, Macro
from hwsim.hardware.memory.nodes import at_node, check_supply, neighbours, scaled_nodes
from hwsim.hardware.memory.table import Table, grown
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean

SOURCE = "CACTI 7, 1 RW port, 360 K, ED^2 optimum"
#: Mean errors when each row in turn is left out of its table.
ERROR = "off by 8 % in read energy, 6 % in write energy, 3 % in leakage, 5 % in area, 4 % in access time (mean)"
#: CACTI finds no array of fewer words in a bank.
FEWEST_WORDS = 32
#: Banks of the rows behind the factors; more are taken for as many of the same words.
MOST_BANKS = 8
#: Growth over the size is steady over the table's last factor of 16, so it is trusted for another.
LARGEST_BYTES = 2**28


@dataclass(frozen=True)
class Sram(Macro):
    """A buffer of ``banks`` behind one port of ``width_bits``; one bank answers an access."""

    size_bytes: int
    banks: int


@lru_cache(maxsize=1)
def _rows() -> dict[str, dict[int, list[dict[str, str]]]]:
    found: dict[str, dict[int, list[dict[str, str]]]] = {}
    for row in read_csv_rows("memory", "sram_grid.csv"):
        found.setdefault(row["device"].removeprefix("itrs-"), {}).setdefault(int(row["tech_nm"]), []).append(row)
    return found


@lru_cache(maxsize=32)
def _table(node_nm: int, device: str) -> Table:
    return Table(_rows()[device][node_nm], SOURCE, ERROR)


def sram_devices() -> list[str]:
    """Return the device types of the table."""
    return sorted(_rows())


def sram_nodes(device: Device = "hp") -> list[float]:
    """Return the nodes in nm that have figures of their own or sourced factors, smallest first."""
    return scaled_nodes() + sorted(_rows()[device])


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
    if device not in _rows():
        raise UsageError(f"sram_device: unknown {device!r}; {did_you_mean(device, _rows())}")
    check_supply(node_nm, device, vdd_v)
    _check_shape(size_bytes, width_bits, banks)
    answer = _array(size_bytes, width_bits, node_nm, device)
    if banks > 1:
        answer = _in_banks(answer, banks, size_bytes * 8 / (width_bits * banks), width_bits)
    return Sram(
        width_bits=width_bits, node_nm=node_nm, device=device, size_bytes=size_bytes, banks=banks, **answer.fields()
    )


def _check_shape(size_bytes: int, width_bits: int, banks: int) -> None:
    for name, value in (("size", size_bytes), ("port_bits", width_bits), ("banks", banks)):
        if not value > 0:
            raise UsageError(f"sram: {name} must be positive, not {value}")
    smallest = _table(max(_rows()["hp"]), "hp").smallest
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


def _array(size_bytes: int, width_bits: int, node_nm: float, device: Device) -> Answer:
    """Return the figures of one bank; beyond the table's port, of as many words grown in width."""
    bounds = _table(max(_rows()[device]), device)
    wider = max(width_bits / bounds.widest, 1)
    larger = max(size_bytes / wider / bounds.largest, 1)
    size, width = min(size_bytes / wider, bounds.largest), min(max(width_bits, bounds.narrowest), bounds.widest)
    answer = at_node(node_nm, device, _rows()[device], lambda node: _table(node, device).at(size, width))
    answer = grown(grown(answer, "sram", "port_bits", wider), "sram", "size_bytes", larger)
    if width_bits >= bounds.narrowest:
        return answer
    reason = f"a port of {width_bits} bits costs what one of {bounds.narrowest} bits does"
    return answer.times([1] * len(NAMES), [reason] * len(NAMES), f"as {bounds.narrowest} bits (estimated)")


@lru_cache(maxsize=1)
def _bank_factors() -> tuple[dict[str, str], dict[float, dict[str, str]]]:
    """Return the row that holds for any banks, and those of shallowness by words over bits per word."""
    anyhow, *shapes = read_csv_rows("memory", "bank_factors.csv")
    return anyhow, {float(row["words_per_bit"]): row for row in shapes}


def _shallow(words_per_bit: float) -> list[float]:
    """Return what an array costs over a deep one."""
    rows = _bank_factors()[1]
    low, high, share = neighbours(min(words_per_bit, max(rows)), rows)
    return [float(rows[low][name]) ** (1 - share) * float(rows[high][name]) ** share for name in NAMES]


def _in_banks(answer: Answer, banks: int, words: float, width_bits: int) -> Answer:
    """Return the figures of an array divided into banks of so many words."""
    anyhow, shapes = _bank_factors()
    # a wider port has grown from one of the table's widest, which is what was divided
    ratio = max(words / min(width_bits, _table(max(_rows()["hp"]), "hp").widest), min(shapes))
    pairs = zip(NAMES, _shallow(ratio), _shallow(ratio * min(banks, MOST_BANKS)), strict=True)
    factors = [float(anyhow[name]) * bank / whole for name, bank, whole in pairs]
    reason = f"{banks} banks of {words:.6g} words over one array: {anyhow['source']}"
    reason += f", no rows beyond {MOST_BANKS} banks, so as {MOST_BANKS} of as many words" if banks > MOST_BANKS else ""
    return answer.times(factors, [reason] * len(NAMES), f"times the factor of {banks} banks (estimated)")
