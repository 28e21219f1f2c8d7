"""What a DRAM preset states: organisation, timing, currents, peak and energy, each with its source.

A preset is one YAML file in ``hwsim/data/memory/dram``. What no source gives it leaves out, and says
so in ``lacks``. Timing is in cycles of ``clock_ns``; ``derived`` names what follows from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from hwsim.spec.data import data_path, read_yaml
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean

FOLDER = ("memory", "dram")
T = TypeVar("T")


@dataclass(frozen=True)
class Cited:
    """One figure and its source."""

    value: float
    source: str


@dataclass(frozen=True)
class Organisation:
    """Channels of equal pseudo-channels of ranks of bank groups of banks.

    ``bus_bits``, ``burst_bytes`` and ``row_bytes`` are those of one pseudo-channel; ``devices``
    share it. With ``dual_command``, a row and a column command may go out in one cycle.
    """

    channels: int
    pseudo_channels: int
    bus_bits: int
    burst_bytes: int
    ranks: int
    bank_groups: int
    banks_per_group: int
    rows: int
    row_bytes: int
    devices: int
    dual_command: bool
    source: str

    @property
    def bursts_per_row(self) -> int:
        """Bursts that one open row holds."""
        return self.row_bytes // self.burst_bytes

    @property
    def banks(self) -> int:
        """Banks of one rank."""
        return self.bank_groups * self.banks_per_group


@dataclass(frozen=True)
class Timing:
    """Gaps between commands in cycles, JEDEC's names without their t.

    ``burst`` cycles carry one access. ``ccd_*`` are between columns, ``rrd_*`` between activations,
    each in different (s) and in the same (l) bank group; ``wtr_*`` run from the end of a write's data.
    ``read_to_write`` is from command to command, ``rank_switch`` the idle time of the bus.
    """

    clock_ns: float
    burst: int
    cl: int
    cwl: int
    rcd_read: int
    rcd_write: int
    rp: int
    ras: int
    rc: int
    rrd_s: int
    rrd_l: int
    faw: int
    ccd_s: int
    ccd_l: int
    ccd_l_write: int
    wtr_s: int
    wtr_l: int
    read_to_write: int
    rtp: int
    wr: int
    rank_switch: int
    rfc: int
    refi: int
    derived: str
    source: str

    @property
    def column(self) -> int:
        """Cycles from access to access at the best."""
        return max(self.burst, self.ccd_s)

    @property
    def write_to_read(self) -> int:
        """Cycles from a write to a read of another bank group."""
        return self.cwl + self.burst + self.wtr_s


@dataclass(frozen=True)
class Currents:
    """Supply and currents of one device, as data sheets name them."""

    vdd_v: float
    idd0_ma: float
    idd2n_ma: float
    idd3n_ma: float
    idd4r_ma: float
    idd4w_ma: float
    idd5ab_ma: float
    source: str


@dataclass(frozen=True)
class Preset:
    """A DRAM; ``reference`` names it in the tables of the simulators that it comes from."""

    name: str
    standard: str
    scope: str
    bandwidth: Cited | None
    energy: Cited | None
    organisation: Organisation | None
    timing: Timing | None
    currents: Currents | None
    reference: dict[str, str]
    lacks: str

    @cached_property
    def timed(self) -> tuple[Organisation, Timing]:
        """Organisation and timing.

        Raises
        ------
        MissingFigureError
            If no source gives them.
        """
        if self.organisation is None or self.timing is None:
            raise MissingFigureError(
                f"dram.preset: {self.name} has no sourced timing ({self.lacks}); presets with timing: "
                f"{', '.join(n for n in dram_names() if load_preset(n).timing)}"
            )
        return self.organisation, self.timing


@lru_cache(maxsize=1)
def dram_names() -> list[str]:
    """Return the presets."""
    return sorted(path.stem for path in data_path(*FOLDER).glob("*.yaml"))


@lru_cache(maxsize=64)
def load_preset(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    if name not in dram_names():
        raise UsageError(f"dram.preset: unknown {name!r}; {did_you_mean(name, dram_names())}")
    data = read_yaml(*FOLDER, f"{name}.yaml")
    return Preset(
        name=name,
        standard=data["standard"],
        scope=data["scope"],
        bandwidth=_cited(data.get("bandwidth"), "gb_s"),
        energy=_cited(data.get("energy"), "pj_per_bit"),
        organisation=_made(Organisation, data.get("organisation")),
        timing=_made(Timing, data.get("timing")),
        currents=_made(Currents, data.get("currents")),
        reference=data.get("reference", {}),
        lacks=data.get("lacks", ""),
    )


@lru_cache(maxsize=8)
def by_reference(simulator: str) -> dict[str, Preset]:
    """Return the presets that come from a simulator's tables, by their name there."""
    presets = map(load_preset, dram_names())
    return {p.reference[simulator]: p for p in presets if simulator in p.reference}


def _cited(data: dict[str, Any] | None, key: str) -> Cited | None:
    return None if data is None else Cited(float(data[key]), data["source"])


def _made(kind: type[T], data: dict[str, Any] | None) -> T | None:
    if data is None:
        return None
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    wrong = names.symmetric_difference(data)
    if wrong:
        raise UsageError(f"{kind.__name__}: missing or unknown {', '.join(sorted(wrong))}")
    return kind(**data)
