"""Energy of DRAM commands from supply currents, and what a pattern then costs per bit.

The formulas are those of Micron's power notes as DRAMsim3 has them, multiplied by the clock period
(its own totals lack that). An activation is what IDD0 draws over standby; a burst, a refresh likewise
over active standby; standby itself runs by time. I/O and termination are not part of any current.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hwsim.hardware.memory.dram.closed_form import Effective
from hwsim.hardware.memory.dram.preset import Preset
from hwsim.spec.errors import MissingFigureError


@dataclass(frozen=True)
class CommandEnergy:
    """Energies of all devices of a rank together; ``standby_mw`` of one rank with a row open, ``idle_mw`` without."""

    activate_pj: float
    read_pj: float
    write_pj: float
    refresh_pj: float
    standby_mw: float
    idle_mw: float


@dataclass(frozen=True)
class EnergyPerBit:
    """What one bit costs, by part, in pJ."""

    activate: float
    burst: float
    refresh: float
    background: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return self.activate + self.burst + self.refresh + self.background


def command_energy(preset: Preset) -> CommandEnergy:
    """Return the energies of a preset with currents.

    Raises
    ------
    MissingFigureError
        If it has none.
    """
    c = preset.currents
    if c is None:
        raise MissingFigureError(f"dram.energy: {preset.name} has no currents ({preset.lacks or 'none are sourced'})")
    o, t = preset.timed
    pj = c.vdd_v * o.devices * t.clock_ns  # V × mA × ns is pJ
    return CommandEnergy(
        activate_pj=pj * (c.idd0_ma * t.rc - (c.idd3n_ma * t.ras + c.idd2n_ma * t.rp)),
        read_pj=pj * (c.idd4r_ma - c.idd3n_ma) * t.burst,
        write_pj=pj * (c.idd4w_ma - c.idd3n_ma) * t.burst,
        refresh_pj=pj * (c.idd5ab_ma - c.idd3n_ma) * t.rfc,
        standby_mw=c.vdd_v * o.devices * c.idd3n_ma,
        idle_mw=c.vdd_v * o.devices * c.idd2n_ma,
    )


def energy_per_bit(preset: Preset, found: Effective, read_share: float = 1.0) -> EnergyPerBit:
    """Return the energy per useful bit of a pattern that runs at the bandwidth ``found``.

    Every rank keeps a row open, so that all of the time costs active standby.

    Raises
    ------
    MissingFigureError
        If the preset has no currents.
    """
    e, standing = command_energy(preset), standing_power(preset)
    gbit_per_s = found.bandwidth_gb_s * 8
    bits = gbit_per_s * 1e9 / found.bursts_per_s
    return EnergyPerBit(
        activate=e.activate_pj * found.activates_per_burst / bits,
        burst=(read_share * e.read_pj + (1 - read_share) * e.write_pj) / bits,
        refresh=standing.refresh_mw / gbit_per_s,
        background=standing.standby_mw / gbit_per_s,
    )


class StandingPower(NamedTuple):
    """What all ranks and channels take whatever moves, in mW; over Gb/s it is in pJ per bit."""

    standby_mw: float
    refresh_mw: float


def standing_power(preset: Preset) -> StandingPower:
    """Return the power of standby with rows open and of refresh, of all ranks and channels.

    Raises
    ------
    MissingFigureError
        If the preset has no currents.
    """
    e = command_energy(preset)
    o, t = preset.timed
    ranks = o.ranks * o.pseudo_channels * o.channels
    return StandingPower(ranks * e.standby_mw, ranks * e.refresh_pj / (t.refi * t.clock_ns))


def run_energy_pj(
    preset: Preset, activates: int, reads: int, writes: int, refreshes: int, cycles: int, open_share: float = 1.0
) -> float:
    """Return the energy of counted commands over ``cycles``, with rows open in ``open_share`` of the time.

    Raises
    ------
    MissingFigureError
        If the preset has no currents.
    """
    e = command_energy(preset)
    o, t = preset.timed
    standby_mw = open_share * e.standby_mw + (1 - open_share) * e.idle_mw
    commands = activates * e.activate_pj + reads * e.read_pj + writes * e.write_pj + refreshes * e.refresh_pj
    return commands + o.ranks * o.pseudo_channels * standby_mw * cycles * t.clock_ns
