"""Carry-aware LUT sites of a netlist of LUT6 and CARRY4, what ``lut_sites_carry_aware`` counts.

LUT cells, less those at a carry bit's data input that share a site with the LUT at its select input, more those that
a carry bit needs to take a net through. A site holds both LUTs of a bit if they have five inputs together, those of
a LUT6 with two outputs (UG474, UG574), and nothing else uses the second.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.hardware.fpga.generate.netlist import Bit, Cell, Netlist

#: Inputs of a LUT6 that has two outputs.
SHARED_INPUTS = 5


@dataclass(frozen=True)
class SiteCount:
    """What a netlist takes."""

    lut_sites: int
    lut_cells: int
    carry4: int
    ff: int


def count_sites(netlist: Netlist) -> SiteCount:
    """Return the LUT sites, LUT cells, CARRY4 and flip-flops of a netlist of ``synth_xilinx``."""
    drivers = {cell.bit("O"): cell for cell in netlist.cells if cell.kind.startswith(("LUT", "INV"))}
    shared: set[str] = set()
    through = 0
    for cell in netlist.cells:
        if cell.kind == "CARRY4":
            for place in range(4):
                through += _through(netlist, drivers, cell, place)
                shared |= _shared(netlist, drivers, cell, place)
    luts = netlist.count("LUT")
    return SiteCount(luts - len(shared) + through, luts, netlist.count("CARRY4"), netlist.count("FD"))


def _used(netlist: Netlist, carry: Cell, place: int) -> bool:
    """Return whether anything hangs on a carry bit: its sum, or its carry or a later one of the cell."""
    later = [carry.bit("O", place), *(carry.bit("CO", bit) for bit in range(place, 4))]
    return any(isinstance(bit, int) and netlist.uses[bit] for bit in later)


def _through(netlist: Netlist, drivers: dict[Bit, Cell], carry: Cell, place: int) -> bool:
    select = carry.bit("S", place)
    return isinstance(select, int) and _used(netlist, carry, place) and select not in drivers


def _shared(netlist: Netlist, drivers: dict[Bit, Cell], carry: Cell, place: int) -> set[str]:
    """Return the LUT at the data input of a carry bit where it shares the bit's site."""
    select, data = drivers.get(carry.bit("S", place)), drivers.get(carry.bit("DI", place))
    if select is None or data is None or select is data or not _used(netlist, carry, place):
        return set()
    alone = netlist.uses[carry.bit("DI", place)] == 1
    return {data.name} if alone and len(select.signals | data.signals) <= SHARED_INPUTS else set()
