"""Every model that could answer for a DRAM's bandwidth and energy, which one does, and why."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.hardware.memory.dram.address_map import INTERLEAVED
from hwsim.hardware.memory.dram.closed_form import SEQUENTIAL, Access, effective, peak_gb_s
from hwsim.hardware.memory.dram.energy import energy_per_bit
from hwsim.hardware.memory.dram.memory import GIVEN, Dram


class DramCandidate(NamedTuple):
    """One model's answer; ``value`` is None where it has none."""

    figure: str
    model: str
    value: float | None
    chosen: bool
    why: str


def dram_candidates(dram: Dram, access: Access | None = SEQUENTIAL, mapping: str | None = None) -> list[DramCandidate]:
    """Return the models of bandwidth (GB/s) and of the energy of a read bit (pJ), highest fidelity first."""
    return [*_bandwidth(dram, access, mapping), *_energy(dram, access, mapping)]


def _bandwidth(dram: Dram, access: Access | None, mapping: str | None) -> list[DramCandidate]:
    preset, timed = dram.preset, dram.preset.timing is not None
    closed = effective(preset, access or SEQUENTIAL, mapping or INTERLEAVED) if timed else None
    share = None if closed is None else closed.bandwidth_gb_s / peak_gb_s(preset) * dram.bandwidth_gb_s
    heeds = timed and access is not None
    lacks = "the preset has no timing" if not timed else ""
    banks = lacks or "stepped by the event engine with banks: true"
    form = lacks or ("what the pattern leaves of the peak" if heeds else "access: peak is asked for")
    return [
        DramCandidate("bandwidth_gb_s", "banks", None, False, banks),
        DramCandidate("bandwidth_gb_s", "closed form of timing", share, heeds, form),
        DramCandidate("bandwidth_gb_s", "peak", dram.bandwidth_gb_s, not heeds, dram.bandwidth_source),
    ]


def _energy(dram: Dram, access: Access | None, mapping: str | None) -> list[DramCandidate]:
    preset, given = dram.preset, dram.energy_source == GIVEN
    by_currents = None
    if preset.currents is not None:
        split = energy_per_bit(preset, effective(preset, access or SEQUENTIAL, mapping or INTERLEAVED))
        by_currents = split.activate + split.burst
    flat = preset.energy
    why = "no currents are sourced" if by_currents is None else "commands by currents, background by time"
    return [
        DramCandidate("read_pj_per_bit", "given", dram.read_pj_per_bit if given else None, given,
                      GIVEN if given else "none given (energy:)"),
        DramCandidate("read_pj_per_bit", "flat figure", None if flat is None else flat.value,
                      flat is not None and not given, "no figure is sourced" if flat is None else flat.source),
        DramCandidate("read_pj_per_bit", "currents", by_currents,
                      by_currents is not None and flat is None and not given, why),
    ]  # fmt: skip
