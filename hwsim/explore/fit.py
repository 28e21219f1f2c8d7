"""``hwsim fit``: the largest array of a PE on an FPGA device, what binds it, and how fast it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.hardware.fpga.device import Device, load_device, shell_resources
from hwsim.hardware.fpga.spec import known_grade
from hwsim.hardware.pe import PE, make_pe
from hwsim.hardware.target import ArrayFit, Budget, DspChoice, largest_array
from hwsim.hardware.target.clocks import clock_notes, estimate_note, mode_notes, sharing, use_notes
from hwsim.simulate.dataflow import get_dataflow
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FitRequest:
    """What is fitted.

    Parameters
    ----------
    device
        One of ``hwsim list device``, or its part.
    pe
        PE options.
    dataflow
        Decides which operands neighbours share, and so which packed modes of DSP blocks are legal.
    dsp
        ``auto``, ``never`` or ``always``.
    clock_hz
        The clock that the design reaches; no source tells it, so that without it there is no throughput.
    reserve
        Share of every budget that is kept back.
    shell
        Interfaces beside the array, by number.
    rows, cols
        Sides of the array; None: as large as possible.
    power_w
        The design's power, for operations per watt.
    static_power_w
        Power at rest, for the most operations per watt that there can be; no source of devices has one.
    grade
        Speed grade, for the fastest clocks of DSP blocks and clock network.
    stages
        Stages that every PE is cut into; None: stage registers are not counted.
    """

    device: str
    pe: Mapping[str, Any]
    dataflow: str = "weight_stationary"
    dsp: DspChoice = "auto"
    clock_hz: float | None = None
    reserve: float = 0.0
    shell: Mapping[str, int] = field(default_factory=dict)
    rows: int | None = None
    cols: int | None = None
    power_w: float | None = None
    static_power_w: float | None = None
    grade: str = "-2"
    stages: int | None = None


@dataclass(frozen=True)
class Fit:
    """What was found: the array, its throughput where a clock is given, budgets, and what a reader must know."""

    request: FitRequest
    device: Device
    pe: PE
    array: ArrayFit
    usable: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def gops(self) -> float | None:
        """Operations per second in 10^9, two per multiply-accumulate, at worst; None without a clock."""
        if self.request.clock_hz is None:
            return None
        rate = float(self.pe.macs_per_cycle(self.pe.w_format, self.pe.a_format))
        return 2 * self.array.pes * rate * self.request.clock_hz * 1e-9

    @property
    def gops_per_watt(self) -> float | None:
        """Operations per second and watt; None without clock or power."""
        gops, power = self.gops, self.request.power_w
        return None if gops is None or power is None else gops / power

    @property
    def most_gops_per_watt(self) -> float | None:
        """What no design exceeds at the static power that is given; None without clock or static power."""
        gops, power = self.gops, self.request.static_power_w
        return gops / power if gops is not None and power else None

    @property
    def figures(self) -> dict[str, Any]:
        """The result in one row."""
        array = self.array
        return {
            "device": self.device.name, "pe": self.pe.family, "w_format": self.pe.w_format.name,
            "a_format": self.pe.a_format.name, "rows": array.rows, "cols": array.cols, "pes": array.pes,
            "pes_in_dsp": array.in_dsp, "pes_in_lut": array.in_lut, "binding": array.binding,
            "gops": self.gops, "gops_per_watt": self.gops_per_watt,
        }  # fmt: skip

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per resource: the device's, what is usable, what the array uses, its share of the device."""
        import pandas as pd

        rows = []
        for name, usable in self.usable.items():
            used = self.array.used.get(name, 0.0)
            total = self.device.budget[name]
            rows.append({
                "resource": name, "device": total, "usable": usable, "used": used,
                "share": used / total if total else 0.0, "binding": name == self.array.binding,
            })  # fmt: skip
        return pd.DataFrame(rows)

    @cached_property
    def pe_frame(self) -> pd.DataFrame:
        """One row per kind of PE and part: LUT sites, flip-flops, carry bits and DSP blocks."""
        import pandas as pd

        rows = []
        for kind, one in self.array.kinds.items():
            place = self.array.place(kind)
            for part, sites, dsp in one.rows:
                rows.append({
                    "products in": place, "part": part.role, "group": part.group, one.logic: sites.lut, "ff": sites.ff,
                    "carry_bits": sites.carry, "dsp": float(dsp),
                })  # fmt: skip
            total = {one.logic: one.sites.lut, "ff": one.sites.ff, "carry_bits": one.sites.carry, "dsp": float(one.dsp)}
            rows.append({"products in": place, "part": "total", "group": "", **total})
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        cells = "".join(f"<td>{name}</td><td>{value}</td>" for name, value in self.figures.items())
        return f"<table><tr>{cells}</tr></table>"


def fit(request: FitRequest) -> Fit:
    """Return the largest array.

    Raises
    ------
    UsageError
        If a name is unknown, a number out of range, or static power more than the power.
    MissingFigureError
        If a part of the PE has no price on the device.
    InfeasibleError
        If not one PE fits, or the clock is beyond what DSP blocks or the clock network reach.
    """
    power_w, static_w = request.power_w, request.static_power_w
    if power_w is not None and static_w is not None and static_w > power_w:
        raise UsageError(f"static power: {static_w:g} W is more than the {power_w:g} W of which it is a part")
    known_grade(request.grade)
    device, pe = load_device(request.device), make_pe(request.pe)
    usable = device.usable(shell_resources(request.shell), request.reserve)
    shared = sharing(get_dataflow(request.dataflow).stationary)
    array = largest_array(pe, device, Budget(usable), request.dsp, shared, (request.rows, request.cols), request.stages)
    notes = clock_notes(device, array, request.grade, request.clock_hz, request.stages)
    notes += [*use_notes(device, array.used), *mode_notes(array, request.dataflow)]
    notes.append(f"{estimate_note(device.logic, device.family)}; energy per operation: no source gives it")
    return Fit(request, device, pe, array, usable, tuple(notes))
