"""Engines: each turns a :class:`~hwsim.simulate.schedule.Schedule` into cycles.

Engines register under the name that ``--engine`` takes. All share one machine model:

* one DRAM port, which serves one transfer at a time in program order: the load of step i + 2
  goes before the store of step i, unless that load brings partial sums back;
* a transfer of b bits occupies the port for ``ceil(b / bandwidth)`` cycles;
* buffers are split in two halves: the load of step i may start when step i - 2 has computed,
  and a step that opens an output tile may start when the tile before the last one is stored;
* where a buffer is not split, every step loads, computes and stores before the next one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from numpy.typing import NDArray

from hwsim.hardware.memory.dram import Channels
from hwsim.simulate.dataflow import ArrayShape, Dataflow, DotUnit
from hwsim.simulate.schedule import Schedule, Timing
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


ENGINES: Registry[Engine] = Registry("engine", "hwsim.simulate.engine")
