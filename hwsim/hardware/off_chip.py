"""The DRAM of an architecture file: its preset with what the file overrides, and its channels for the event engine."""

from __future__ import annotations

from dataclasses import replace

from hwsim.hardware.accelerator_spec import DramSpec
from hwsim.hardware.memory import Dram, load_dram
from hwsim.hardware.memory.dram import Channels
from hwsim.hardware.memory.dram.memory import GIVEN


def open_channels(spec: DramSpec, dram: Dram) -> Channels | None:
    """Return fresh channels of ``dram`` whose banks a run steps, None where it does not.

    Raises
    ------
    UsageError
        If the address map is wrong.
    MissingFigureError
        If the preset has no timing.
    """
    return Channels(dram.preset, spec.address_map) if spec.banks else None


def make_dram(spec: DramSpec) -> Dram:
    """Return the memory that ``spec`` describes.

    Raises
    ------
    UsageError
        If there is no such preset, or its access pattern or address map is wrong.
    MissingFigureError
        If no source gives its energy and none is given, or its timing where a pattern needs it.
    """
    bandwidth = None if spec.bandwidth is None else spec.bandwidth / 1e9
    found = load_dram(spec.preset, bandwidth, spec.energy, spec.asked, spec.address_map, spec.channels)
    if spec.write_energy is not None:
        found = replace(found, write_pj_per_bit=spec.write_energy, write_source=GIVEN, write_estimated=False)
    if spec.background is not None:
        found = replace(found, background_mw=spec.background * 1e3, background_source=GIVEN)
    return found
