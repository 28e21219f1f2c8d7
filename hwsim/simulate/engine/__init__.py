"""Engines: each turns a :class:`~hwsim.simulate.schedule.Schedule` into cycles.

Engines register under the name that ``--engine`` takes. All share one machine model:

* one DRAM port, which serves one transfer at a time in program order: the load of step i + 2
  goes before the store of step i, unless that load brings partial sums back;
* a transfer of b bits occupies the port for ``ceil(b / bandwidth)`` cycles;
* buffers are split in two halves: the load of step i may start when step i - 2 has computed,
  and a step that opens an output tile may start when the tile before the last one is stored;
* where a buffer is not split, every step loads, computes and stores before the next one begins;
* several cores on the port are served in the order in which they ask, in the same cycle in their own order;
* by default a GEMM begins when everything before it is done. With a head start, its first load has so many cycles
  of the port behind it: they were moved while the port had nothing else to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from numpy.typing import NDArray

from hwsim.hardware.memory.dram import Channels
from hwsim.simulate.dataflow import ArrayShape, Dataflow, DotUnit
from hwsim.simulate.schedule import Cycles, Schedule, Timing
from hwsim.spec.registry import Registry


class CodeSet(Protocol):
    """An element format as the engines see it."""

    @property
    def bits(self) -> int:
        """Return the width of a code."""
        ...

    def encode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the codes nearest to ``values``."""
        ...

    def code_values(self) -> NDArray[Any]:
        """Return the value of every code, in the order of the codes."""
        ...


@dataclass(frozen=True)
class Context:
    """The machine that an engine runs a schedule on.

    ``fast`` needs the bandwidth alone; ``pe`` steps the array itself and carries codes of
    ``w_format`` and ``a_format`` through ``pe``: every finite one as often, or by their shares of ``w_shares``
    and ``a_shares``, where cycles depend on data. ``event`` moves data through ``channels``, if there are any,
    at ``period_ns`` per cycle.
    """

    dram_bits_per_cycle: Fraction
    dataflow: Dataflow
    shape: ArrayShape
    pe: DotUnit
    w_format: CodeSet
    a_format: CodeSet
    w_shares: NDArray[Any] | None = None
    a_shares: NDArray[Any] | None = None
    channels: Channels | None = None
    period_ns: Fraction = Fraction(1)


class Engine(Protocol):
    """Callable that times one GEMM with its batch."""

    def __call__(self, schedule: Schedule, context: Context) -> Timing:
        """Return the cycles of ``schedule`` on the machine of ``context``."""
        ...


@dataclass(frozen=True)
class Shared:
    """What a run of several cores found: the timing of each, when all were done, and how long the port was busy."""

    cores: tuple[Timing, ...]
    cycles: Cycles
    port_busy_cycles: Cycles


@dataclass(frozen=True)
class Linked:
    """A GEMM in a run of several, one after the other: its timing, and what the next one's first load may use.

    ``idle_cycles`` are those in which the port has nothing to do from the end of the last but one tile on, when half
    of the buffers is free, until all results are stored.
    """

    timing: Timing
    idle_cycles: Cycles


class LinkedEngine(Protocol):
    """Callable that times one GEMM with its batch, of whose first load a part has moved before."""

    def __call__(self, schedule: Schedule, context: Context, head_start: int) -> Linked:
        """Return the cycles of ``schedule`` after a head start of so many cycles, at most those of its first load."""
        ...


class SharedEngine(Protocol):
    """Callable that times several cores on one DRAM port."""

    def __call__(self, schedules: Sequence[Schedule], context: Context) -> Shared:
        """Return the cycles of one core per schedule on the machine of ``context``."""
        ...


ENGINES: Registry[Engine] = Registry("engine", "hwsim.simulate.engine")

#: Engines that know several cores, under the names of :data:`ENGINES`.
SHARED_ENGINES: Registry[SharedEngine] = Registry("engine for several cores", "hwsim.simulate.engine")

#: Engines that know a head start, under the names of :data:`ENGINES`.
LINKED_ENGINES: Registry[LinkedEngine] = Registry("engine for loads ahead", "hwsim.simulate.engine")
