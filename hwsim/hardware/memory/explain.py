"""What there is to say about one memory: its figures with their sources, and what they hold for."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.hardware.memory.dram import GIVEN, Dram, Preset, timing_rows
from hwsim.hardware.memory.figures import MemoryRow
from hwsim.hardware.memory.nodes import supply
from hwsim.hardware.memory.register_file import RegisterFile
from hwsim.hardware.memory.sram import Sram
from hwsim.hardware.memory.temperature import ROWS_K


class MemorySheet(NamedTuple):
    """A memory explained: ``rows`` of figures and ``notes`` in words."""

    title: str
    rows: list[MemoryRow]
    notes: list[str]


def memory_sheet(memory: Dram | Sram | RegisterFile) -> MemorySheet:
    """Return everything that is known of ``memory``, as ``hwsim explain memory`` prints it."""
    if isinstance(memory, Dram):
        own = ", energy as given by the user" if memory.energy_source == GIVEN else ""
        sheet = dram_sheet(memory.preset, memory.rows())
        return sheet._replace(notes=[f"scope: {memory.scope}{own}", *sheet.notes[1:]])
    vdd = supply(memory.node_nm, memory.device)
    notes = [
        f"answered by: {memory.answered_by}",
        "energies are per access of the whole width",
        f"leakage holds at {memory.kelvin:g} K and depends on the device type by orders of magnitude"
        + (" (the temperature of CACTI's runs: none is set)" if memory.kelvin == ROWS_K else ""),
    ]
    notes += ["no supply voltage is stated for this node and device"] if vdd is None else []
    return MemorySheet(memory.title, memory.rows() + ([vdd] if vdd else []), notes)


def dram_sheet(preset: Preset, rows: list[MemoryRow] | None = None) -> MemorySheet:
    """Return what a DRAM preset states; ``rows`` come first: what the preset gives of itself where left out."""
    if rows is None:
        stated = ((preset.bandwidth, "bandwidth_gb_s", "GB/s"), (preset.energy, "read_pj_per_bit", "pJ/bit"))
        rows = [MemoryRow(name, cited.value, unit, cited.source, False) for cited, name, unit in stated if cited]
    notes = [f"scope: {preset.scope}", f"standard: {preset.standard}"]
    if preset.timing is not None:
        notes += ["cycles are of clock_ns", f"derived: {preset.timing.derived}"]
    else:
        notes.append("bandwidth is the peak; row misses, refresh and turnaround take from it")
    notes += [f"lacks {preset.lacks}"] if preset.lacks else []
    return MemorySheet(f"DRAM {preset.name}", rows + timing_rows(preset), notes)
