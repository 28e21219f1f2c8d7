"""Several formats in one PE: the union of the parts of its modes, of which one works at a time.

.. code-block:: yaml

    pe: {family: multi, modes: [{family: float_mac, format: fp16}, {family: int_mac, format: int8, lanes: 2}]}

A mode is any other PE, written as its options or as the label of a pairing (``fp16``, ``w4a8``). A
pair runs on the mode that is built for it, else on the fastest one that takes it.

* **Area**: parts of the same group and kind are built once, as wide and as often as the modes need
  them at most, with multiplexers in front (:mod:`hwsim.hardware.pe.sharing`); others are added.
* **Energy** of a pair: what its mode needs of the shared parts and of their multiplexers; and of all
  that idles ``idle_share`` of what it takes at work, clock included: parts of other modes, and of a
  wider part what is beyond the mode's own.
* **Lanes**: a step takes as many elements as the least common multiple of the modes' lanes; a mode of
  fewer lanes takes several cycles for it. Other ``lanes`` multiply the lanes of every mode.
* **Time**: the slowest mode sets the pipeline stages; partial sums have their mode's width.
* **Dequantizer**: one, as large as the largest of the modes, serves all of them.

``idle_share`` stands for clock gating and held operands that are not perfect. By default it is that
of ``factors.csv`` (kind idle), which says where it is from: an assumption, no measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.hardware.circuits import Part
from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.lockstep import UNSTATED, Data, Lockstep, as_lockstep
from hwsim.hardware.pe.pairing import PAIRINGS, pairing
from hwsim.hardware.pe.registry import LANES, PES, make_pe
from hwsim.hardware.pe.sharing import REFERENCE, Slot, shared_slots, slowest, working_parts
from hwsim.hardware.technology import factor, load_technology
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.options import take_count

#: How many modes a PE may have, and those that it has when none are named.
MODES = range(2, 9)
USUAL = ("fp16", "int8")


@dataclass(frozen=True)
class MultiPE(PE):
    """``members`` side by side with shared parts; the formats are those of the first."""

    members: tuple[PE, ...]
    idle_share: float

    family: ClassVar[str] = "multi"
    #: Which of its parts are shared depends on all of them.
    stacks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse lanes that are no multiple of what the modes have in common."""
        if self.lanes % self.common_lanes:
            raise ValueError(f"multi: {self.lanes} lanes are no multiple of {self.common_lanes}")

    @property
    def common_lanes(self) -> int:
        """The least common multiple of the modes' lanes as they are given."""
        return lcm(*(mode.lanes for mode in self.members))

    @cached_property
    def modes(self) -> tuple[PE, ...]:
        """The modes with their lanes multiplied."""
        times = self.lanes // self.common_lanes
        return tuple(mode if times == 1 else replace(mode, lanes=mode.lanes * times) for mode in self.members)

    def mode_number(self, w: Format, a: Format) -> int:
        """Return the place of the mode that computes a pair.

        Raises
        ------
        UsageError
            If none does.
        """
        able = [i for i, mode in enumerate(self.modes) if mode.supports(w, a) is None]
        if not able:
            raise UsageError(f"pe multi cannot compute {w.name} × {a.name}: {self.supports(w, a)}")
        built = [i for i in able if (self.modes[i].w_format, self.modes[i].a_format) == (w, a)]
        return max(built or able, key=lambda i: (self.modes[i].macs_per_cycle(w, a), -i))

    def mode(self, w: Format, a: Format) -> PE:
        """Return the mode that computes a pair."""
        return self.modes[self.mode_number(w, a)]

    def supports(self, w: Format, a: Format) -> Reason | None:
        """What any mode computes."""
        reasons = [mode.supports(w, a) for mode in self.modes]
        if None in reasons:
            return None
        return Reason("; ".join(f"{m.family} {m.w_format.name}: {r}" for m, r in zip(self.modes, reasons, strict=True)))

    @property
    def psum_bits(self) -> int:
        """The widest of the modes."""
        return max(mode.psum_bits for mode in self.modes)

    @property
    def glitch_family(self) -> str:  # type: ignore[override]
        """That of the first mode; energies of a pair take its own mode's."""
        return self.modes[0].glitch_family

    @property
    def latency_cycles(self) -> int:  # type: ignore[override]
        """The longest of the modes."""
        return max(mode.latency_cycles for mode in self.modes)

    @property
    def own_dequantizer(self) -> bool:  # type: ignore[override]
        """Whether a mode has one in every PE."""
        return any(mode.own_dequantizer for mode in self.modes)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """What is built, with the modes that use it."""
        return shared_slots(tuple(mode.built for mode in self.modes))

    def parts(self, w: Format | None = None, a: Format | None = None) -> tuple[Part, ...]:
        """Return the union of the modes' parts as they work on a pair, the path that of the slowest mode."""
        return self._bills[self.mode_number(w or self.w_format, a or self.a_format)]

    @cached_property
    def _bills(self) -> tuple[tuple[Part, ...], ...]:
        """The parts as they work in each mode."""
        count = len(self.modes)
        path = slowest(self.slots, count)
        return tuple(working_parts(self.slots, number, path, self.idle_share) for number in range(count))

    def cycles_per_step(self, w: Format, a: Format) -> int:
        """Return the mode's cycles for all lanes, its own lanes at a time."""
        mode = self.mode(w, a)
        return self.lanes // mode.lanes * mode.cycles_per_step(w, a)

    def data_dependent(self, w: Format, a: Format) -> bool:
        """Return whether the mode's cycles depend on data."""
        return self.mode(w, a).data_dependent(w, a)

    def expected_cycles_per_step(
        self,
        w: Format,
        a: Format,
        digits: NDArray[Any] | None = None,
        lockstep: int | Lockstep = 1,
        data: Data = UNSTATED,
    ) -> float:
        """Return the mode's expected cycles for all lanes; all PEs wait after each of its own steps."""
        mode, step = self.mode(w, a), as_lockstep(lockstep)
        times = self.lanes // mode.lanes
        if times == 1 or not mode.data_dependent(w, a):
            return times * mode.expected_cycles_per_step(w, a, digits, step, data)
        own = replace(step, least=1, sum_steps=None if step.sum_steps is None else step.sum_steps * times)
        return max(float(step.least), times * mode.expected_cycles_per_step(w, a, digits, own, data))

    def work_cycles_per_step(self, w: Format, a: Format, data: Data = UNSTATED) -> float:
        """Return the mode's for all lanes."""
        mode = self.mode(w, a)
        return self.lanes // mode.lanes * mode.work_cycles_per_step(w, a, data)

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Format, a: Format, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the mode's for all lanes, its own lanes at a time."""
        mode = self.mode(w, a)
        found = np.zeros(len(w_codes), dtype=np.int64)
        for start in range(0, self.lanes, mode.lanes):
            span = (..., slice(start, start + mode.lanes))
            found += mode.measured_cycles(w_codes[span], a_codes[span], w, a, sum_steps)
        return found

    def data_text(self, data: Data = UNSTATED) -> str:
        """Return what the modes say whose cycles depend on data."""
        words = [mode.data_text(data) for mode in self.modes if mode.data_dependent(mode.w_format, mode.a_format)]
        return "; ".join(dict.fromkeys(words))

    def scaling(self, w: Format, a: Format) -> Scaling:
        """Return where block scales act in the pair's mode."""
        return self.mode(w, a).scaling(w, a)

    def dequant_parts(self, w: Format, a: Format) -> tuple[Part, ...]:
        """Return the largest dequantizer that a mode needs on the pair or on its own formats."""
        pairs = [(self.mode(w, a), w, a), *((mode, mode.w_format, mode.a_format) for mode in self.modes)]
        bills = [mode.dequant_parts(*pair) for mode, *pair in pairs if mode.scaling(*pair) == "sum"]
        return max(bills, key=_area, default=())

    def dequant_cycles(self, w: Format, a: Format) -> int:
        """Return the mode's."""
        return self.mode(w, a).dequant_cycles(w, a)

    def _fields(self) -> dict[str, PE]:
        return {f"mode_{i}": mode for i, mode in enumerate(self.modes)}

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return cleared accumulators: one field per mode, and the number of the mode in use, -1 for none."""
        cleared = {name: mode.initial(shape) for name, mode in self._fields().items()}
        acc = np.empty(shape, dtype=[("used", np.int8), *((name, one.dtype) for name, one in cleared.items())])
        acc["used"] = -1
        for name, one in cleared.items():
            acc[name] = one
        return acc

    def accumulate(
        self,
        acc: NDArray[Any],
        w_codes: NDArray[Any],
        a_codes: NDArray[Any],
        w: Format,
        a: Format,
        scales: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Let the pair's mode work, its own lanes at a time.

        Raises
        ------
        ValueError
            If the accumulator holds a sum of another mode.
        """
        number = self.mode_number(w, a)
        if not np.isin(acc["used"], (-1, number)).all():
            raise ValueError("multi: an accumulator holds a sum of another mode")
        mode, name, out = self.modes[number], f"mode_{number}", np.array(acc)
        total = out[name]
        for start in range(0, w_codes.shape[-1], mode.lanes):
            span = (..., slice(start, start + mode.lanes))
            total = mode.accumulate(
                np.asarray(total), w_codes[span], a_codes[span], w, a, None if scales is None else scales[span]
            )
        out[name], out["used"] = total, number
        return out

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the accumulators, each by the mode that it was used in."""
        used = [i for i in range(len(self.modes)) if (acc["used"] == i).any()]
        sums = [np.asarray(self.modes[i].finish(np.asarray(acc[f"mode_{i}"]))) for i in used]
        if len(sums) == 1:
            return sums[0]
        out = np.zeros(acc.shape, dtype=np.result_type(np.float64, *sums))
        for i, values in zip(used, sums, strict=True):
            out = np.where(acc["used"] == i, values, out)
        return out


def _area(parts: tuple[Part, ...]) -> float:
    technology = load_technology(REFERENCE)
    return sum(technology.price(part.circuit).area_um2 * part.count for part in parts)


@PES.register("multi")
def build(options: Mapping[str, Any]) -> MultiPE:
    """Build from ``{modes: [fp16, {family: int_mac, format: int8, lanes: 2}], idle_share: 0.1, lanes}``."""
    known = ("family", "figures", "idle_share", "lanes", "modes")
    for key in options:
        if key not in known:
            raise UsageError(f"pe.{key}: multi has no such option; {did_you_mean(key, known)}")
    given = options.get("modes", list(USUAL))
    if not isinstance(given, (list, tuple)) or len(given) not in MODES:
        raise UsageError(f"pe.modes: must be a list of {MODES.start} to {MODES.stop - 1} PEs, not {given!r}")
    modes = tuple(_member(i, one) for i, one in enumerate(given))
    if len({(mode.w_format, mode.a_format) for mode in modes}) < len(modes):
        raise UsageError(
            "pe.modes: two modes are built for one pair of formats, which chooses the mode; valid: one each"
        )
    common = lcm(*(mode.lanes for mode in modes))
    if common not in LANES:
        raise UsageError(f"pe.modes: lanes have {common} as their least common multiple; valid: up to {LANES.stop - 1}")
    lanes = take_count(options, "lanes", common, LANES, "pe.")
    if lanes % common:
        raise UsageError(f"pe.lanes: {lanes} are no multiple of the {common} that the modes share; valid: {common}, …")
    return MultiPE(modes[0].w_format, modes[0].a_format, lanes, modes, _idle_share(options))


def _member(number: int, given: object) -> PE:
    where = f"pe.modes[{number}]"
    try:
        found = make_pe(given) if isinstance(given, Mapping) else make_pe(pairing(str(given)).pe_spec)
    except UsageError as error:
        raise UsageError(f"{where}: {str(error).removeprefix('pe: ')}") from None
    if isinstance(found, MultiPE):
        raise UsageError(f"{where}: a multi is no mode of another; list its modes")
    if found.stated is not None:
        raise UsageError(f"{where}.figures: those of a whole PE do not divide into shared parts; state the multi's own")
    return found


def _idle_share(options: Mapping[str, Any]) -> float:
    found = options.get("idle_share", factor("idle", "multi"))
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= 1:
        raise UsageError(f"pe.idle_share: must be a number from 0 to 1, not {found!r}; valid: 0 to 1")
    return float(found)


@PAIRINGS.register("multi")
def pair(label: str) -> dict[str, Any] | None:
    """Claim labels joined by ``+``: ``fp16+int8`` has both as modes and runs the first by default."""
    labels = label.split("+")
    return {"family": "multi", "modes": labels} if len(labels) > 1 and all(labels) else None
