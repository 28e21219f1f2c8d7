"""A DRAM as the accelerator sees it: one port with an effective bandwidth and energies per bit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from hwsim.hardware.memory.dram.address_map import INTERLEAVED
from hwsim.hardware.memory.dram.closed_form import SEQUENTIAL, Access, Effective, effective, unloaded_latency_ns
from hwsim.hardware.memory.dram.energy import command_energy, energy_per_bit, standing_power
from hwsim.hardware.memory.dram.preset import Cited, Preset, load_preset
from hwsim.hardware.memory.figures import MemoryRow
from hwsim.spec.errors import MissingFigureError, UsageError

#: Source of an override.
GIVEN = "given by the user"
#: What our own formulas say of themselves.
DERIVED = "closed form of the preset's timing"
#: Effective bandwidth is rounded down to a whole MB/s, so that times stay simple fractions.
STEPS = 1000


@dataclass(frozen=True)
class Dram:
    """Off-chip memory as one port.

    Attributes
    ----------
    bandwidth_gb_s, effective_gb_s
        The peak, and what the pattern gets of it.
    scope
        What the preset's figures include.
    bandwidth_how
        How the effective bandwidth came about, in words.
    read_estimated, write_estimated
        Whether these energies are nobody's figure as they stand.
    background_mw
        Standby and refresh of all channels and ranks, as long as a run takes; 0 where the energies per bit
        are flat figures that hold them already.
    """

    name: str
    bandwidth_gb_s: float
    effective_gb_s: float
    read_pj_per_bit: float
    write_pj_per_bit: float
    scope: str
    bandwidth_source: str
    bandwidth_how: str
    energy_source: str
    write_source: str
    read_estimated: bool
    write_estimated: bool
    preset: Preset
    background_mw: float
    background_source: str

    @property
    def effective_bandwidth_bits_per_s(self) -> float:
        """Effective bandwidth in bits per second: what every engine and the conservation check use."""
        return self.effective_gb_s * 8e9

    @property
    def source(self) -> str:
        """Return where bandwidth and energy come from."""
        return f"bandwidth: {self.bandwidth_source}; energy: {self.energy_source}"

    def rows(self) -> list[MemoryRow]:
        """Return bandwidth and energy with unit, source and whether it is an estimate."""
        derived = self.effective_gb_s != self.bandwidth_gb_s
        return [
            MemoryRow("bandwidth_gb_s", self.bandwidth_gb_s, "GB/s", self.bandwidth_source, False),
            MemoryRow("effective_bandwidth_gb_s", self.effective_gb_s, "GB/s", self.bandwidth_how, derived),
            MemoryRow("read_pj_per_bit", self.read_pj_per_bit, "pJ/bit", self.energy_source, self.read_estimated),
            MemoryRow("write_pj_per_bit", self.write_pj_per_bit, "pJ/bit", self.write_source, self.write_estimated),
            MemoryRow("background_mw", self.background_mw, "mW", self.background_source, self.background_mw > 0),
        ]


def load_dram(
    preset: str,
    bandwidth_gb_s: float | None = None,
    energy_pj_per_bit: float | None = None,
    access: Access | None = SEQUENTIAL,
    mapping: str | None = None,
    channels: int | None = None,
) -> Dram:
    """Return a preset, with its peak bandwidth (GB/s) and energy overridden where given.

    A preset with timing gets the bandwidth that ``access`` leaves of the peak; None is the peak itself.
    One without has nothing but its peak, so there any other than the default is refused.

    Parameters
    ----------
    mapping
        Address map of the preset's channel; default: bank groups lowest.
    channels
        Channels instead of the preset's own; the peak goes with them.

    Raises
    ------
    UsageError
        If there is no such preset, or an override is no positive number or not consistent.
    MissingFigureError
        If no source gives its bandwidth, energy or timing and none is given.
    """
    found = load_preset(preset)
    peak = _peak(found, bandwidth_gb_s, channels)
    reached = _reached(found, access, mapping)
    share, how = (1.0, _why_peak(found, access)) if reached is None else (reached.efficiency, _how(reached, access))
    read, write = _energies(found, energy_pj_per_bit, access, mapping, reached)
    background = _background(found, energy_pj_per_bit, peak.value)
    rate = peak.value if reached is None else math.floor(peak.value * share * STEPS) / STEPS
    return Dram(
        found.name, peak.value, rate, read.value, write.value, found.scope, peak.source, how, read.source, write.source,
        read_estimated=read.source.startswith("currents"), write_estimated=write.source != GIVEN, preset=found,
        background_mw=background.value, background_source=background.source,
    )  # fmt: skip


def timing_rows(preset: Preset, mapping: str | None = None) -> list[MemoryRow]:
    """Return every figure of organisation, timing and currents, and what follows from them."""
    rows = []
    if preset.organisation is not None and preset.timing is not None:
        rows += _figures(preset.organisation, "")
        rows += _figures(preset.timing, "cycles")
        rows.append(MemoryRow("random_read_latency_ns", unloaded_latency_ns(preset), "ns", DERIVED, True))
    if preset.currents is not None:
        rows += _figures(preset.currents, "")
        energies, why = command_energy(preset), f"currents of {preset.currents.source}"
        for field in fields(energies):
            unit = "mW" if field.name.endswith("_mw") else "pJ"
            rows.append(MemoryRow(field.name, getattr(energies, field.name), unit, why, True))
        split = energy_per_bit(preset, effective(preset, SEQUENTIAL, mapping or INTERLEAVED))
        rows += [
            MemoryRow(f"sequential_{f.name}_pj_per_bit", getattr(split, f.name), "pJ/bit", why, True)
            for f in fields(split)
        ]
    return rows


def _figures(group: object, unit: str) -> list[MemoryRow]:
    source: str = getattr(group, "source")  # noqa: B009  every group has one
    rows = []
    for field in fields(group):  # type: ignore[arg-type]
        value = getattr(group, field.name)
        if not isinstance(value, str):
            own = "ns" if field.name == "clock_ns" else unit or _UNITS.get(field.name.rpartition("_")[2], "")
            rows.append(MemoryRow(field.name, float(value), own, source, False))
    return rows


_UNITS = {"bits": "bit", "bytes": "B", "ma": "mA", "v": "V"}


def _peak(preset: Preset, given: float | None, channels: int | None) -> Cited:
    if given is not None and channels is not None:
        raise UsageError("dram.channels: give bandwidth or channels, not both; bandwidth is that of all channels")
    peak = _figure(preset, preset.bandwidth, "bandwidth", given, "25.6 GB/s")
    if channels is None:
        return peak
    if channels < 1:
        raise UsageError(f"dram.channels: must be at least 1, not {channels}")
    own = preset.timed[0].channels
    return Cited(peak.value * channels / own, f"{peak.source}, {channels} channel(s) instead of {own}")


def _reached(preset: Preset, access: Access | None, mapping: str | None) -> Effective | None:
    if access is None or (preset.timing is None and access == SEQUENTIAL and mapping is None):
        return None
    return effective(preset, access, mapping or INTERLEAVED)


def _why_peak(preset: Preset, access: Access | None) -> str:
    if access is None:
        return "the peak, as asked for; row misses, refresh and turnaround would take from it"
    return "the peak, as no timing is sourced; row misses, refresh and turnaround take from it"


def _how(found: Effective, access: Access | None) -> str:
    assert access is not None
    what: str = access.pattern
    if access.pattern != "sequential":
        what += f", {access.request_bytes} B"
        what += f" every {access.stride_bytes} B" if access.stride_bytes else ""
    reads = "" if access.read_share == 1 else f", {access.read_share:.0%} reads"
    return (
        f"{found.efficiency:.1%} of the peak: {what}{reads}, refresh taken off, bound by the {found.bound}: {DERIVED}"
    )


def _by_currents(preset: Preset, given: float | None) -> bool:
    return given is None and preset.energy is None and preset.currents is not None


def _background(preset: Preset, given: float | None, peak_gb_s: float) -> Cited:
    """Return the power of standby and refresh in mW; 0 where flat figures hold it."""
    if not _by_currents(preset, given) or preset.currents is None:
        return Cited(0.0, "within the energies per bit")
    own = preset.bandwidth.value if preset.bandwidth is not None else peak_gb_s
    channels = peak_gb_s / own
    why = f"currents of {preset.currents.source}: standby with rows open, and refresh, of all ranks"
    return Cited(sum(standing_power(preset)) * channels, why)


def _energies(
    preset: Preset, given: float | None, access: Access | None, mapping: str | None, reached: Effective | None
) -> tuple[Cited, Cited]:
    """Return the energies of a read and a write bit: given, by currents, or the flat figure.

    By currents they are those of commands; standby and refresh come by time. A flat figure is of whole
    bursts: where a pattern wants less of one, its bits cost as much more.
    """
    if _by_currents(preset, given) and preset.currents is not None:
        how = "currents of " + preset.currents.source
        pair = []
        for share in (1.0, 0.0):
            base = access or SEQUENTIAL
            asked = Access(base.pattern, base.request_bytes, base.stride_bytes, share)
            found = effective(preset, asked, mapping or INTERLEAVED)
            kind = f"{how}: activations and bursts of {base.pattern} {'reads' if share else 'writes'}"
            split = energy_per_bit(preset, found, share)
            pair.append(Cited(split.activate + split.burst, kind))
        return pair[0], pair[1]
    flat = _figure(preset, preset.energy, "energy", given, "5 pJ/bit")
    if flat.source != GIVEN and reached is not None and preset.organisation is not None:
        useful = reached.bandwidth_gb_s * 1e9 / reached.bursts_per_s / preset.organisation.burst_bytes
        if useful < 1 - 1e-9:
            flat = Cited(flat.value / useful, f"{flat.source}; whole bursts, of which {useful:.3g} are asked for")
    # No source tells a write from a read, so a write costs what a read does: an estimate.
    return flat, flat if flat.source == GIVEN else Cited(flat.value, f"as a read: {flat.source}")


def _figure(preset: Preset, own: Cited | None, name: str, given: float | None, example: str) -> Cited:
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise UsageError(f"dram.{name}: must be a positive number, not {given}")
        return Cited(given, GIVEN)
    if own is None:
        raise MissingFigureError(
            f"dram.{name}: no source gives the {name} of {preset.name}; give it, e.g. {name}: {example}"
        )
    return own
