"""What every dataflow offers, and the geometry of an array that it needs to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import NDArray

from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.spec.registry import Registry


def ceil_div(a: Any, b: Any) -> Any:
    """Return ``ceil(a / b)`` for integers or integer arrays."""
    return -(-a // b)


@dataclass(frozen=True, slots=True)
class Block:
    """Elements of K and of N that a PE keeps at a time: ``k · n`` weights, k activations, n sums."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Pads:
    """Elements that the scratchpads of a PE have room for."""

    weights: int
    activations: int
    sums: int


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of a step: ``cycles`` to make them, ``ahead`` while those of the step before are in use.

    ``expansion`` is the number of a table's bits per bit of its activations.
    """

    cycles: int = 0
    ahead: bool = False
    expansion: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Issue:
    """What a core issues, in cycles of its pipe; see :mod:`hwsim.simulate.dataflow.simd`.

    ``rows`` × ``vectors`` vectors of sums are in registers; loads and conversions are of one vector of weights, or of
    one row's activations, for ``unroll`` steps. ``separate``: MACs have a pipe of their own.
    """

    rows: int = 1
    vectors: int = 1
    unroll: int = 1
    mac: int = 1
    load_weights: int = 1
    load_activations: int = 1
    convert_weights: int = 0
    convert_activations: int = 0
    prepare_activations: int = 0
    store: int = 1
    separate: bool = False


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """An array of PEs as one GEMM's formats see it.

    ``interval`` is the number of cycles between two operands of a PE: the PE's own cycles per
    step, or more when an SRAM port is narrower than the array's edge. ``load_interval`` and
    ``drain_interval`` are the cycles per array row for filling stationary operands and for
    moving results out. ``k_limit`` bounds the reduction elements of one fold, because partial
    sums of different scale groups must not meet before they are scaled (None: no bound).

    With ``data_cycles`` operands come as fast as their data allow: ``interval`` is the expected one of
    PEs that wait for the slowest (a fraction), and ``least`` what ports and dequantizers need. The array
    that carries data takes the cycles of its data.

    With ``double_buffer`` a second register per PE takes the stationary operand of the next fold (or the
    results of the last one) while the array computes; with ``fold_overlap`` a fold enters the PEs that the
    one before has left; with ``used_only`` a ragged fold costs the rows and columns that it uses.

    ``pads`` are the scratchpads of a PE, ``block`` what of a GEMM is kept in them (None: as much as fits), and
    ``feed_interval`` the cycles that the port needs for ``lanes`` activations of every PE. ``tables`` are those that
    activations become before they meet weights.
    """

    rows: int
    cols: int
    lanes: int
    interval: int | Fraction = 1
    load_interval: int = 1
    drain_interval: int = 1
    k_limit: int | None = None
    data_cycles: bool = False
    least: int = 1
    double_buffer: bool = False
    fold_overlap: bool = False
    used_only: bool = False
    pads: Pads | None = None
    block: Block | None = None
    feed_interval: int = 1
    tables: Tables = Tables()
    issue: Issue = Issue()

    @property
    def plain(self) -> bool:
        """Whether every fold costs a full one, alone."""
        return not (self.double_buffer or self.fold_overlap or self.used_only)


def cycles_per_step(needed: Mapping[str, int], widths: Mapping[str, int], steps: int = 1) -> dict[str, int]:
    """Return the cycles that ports of ``widths`` take for the bits of so many steps together, by buffer."""
    return {key: ceil_div(steps * needed[key], width) for key, width in widths.items()}


class DotUnit(Protocol):
    """The behaviour of a PE as a stepped array uses it; every :class:`hwsim.hardware.pe.PE` has it.

    Accumulators are numpy arrays of whatever the PE keeps. Codes are unsigned integers as the
    formats encode them; ``w`` and ``a`` are the formats of the codes.
    """

    def initial(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return cleared accumulators."""
        ...

    def accumulate(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Any, a: Any
    ) -> NDArray[Any]:
        """Return ``acc`` after one step; codes have one more axis than ``acc``, of up to lanes elements."""
        ...

    def accumulate_along(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Any, a: Any
    ) -> NDArray[Any]:
        """Return ``acc`` after all steps along the last axis of the codes, lanes at a time."""
        ...

    def accumulate_many(
        self, acc: NDArray[Any], w_codes: NDArray[Any], a_codes: NDArray[Any], w: Any, a: Any
    ) -> NDArray[Any]:
        """Return ``acc`` (m, n) after all steps along K of codes (k, n) and (m, k), lanes at a time."""
        ...

    def finish(self, acc: NDArray[Any]) -> NDArray[Any]:
        """Return the values that accumulators stand for."""
        ...

    def dot(self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Any, a: Any) -> Any:
        """Return the value of a whole dot product, the codes of shape (K,)."""
        ...

    def measured_cycles(
        self, w_codes: NDArray[Any], a_codes: NDArray[Any], w: Any, a: Any, sum_steps: int | None = None
    ) -> NDArray[Any]:
        """Return the cycles of successive steps, int64 (steps,); codes (steps, groups, operands, lanes)."""
        ...


class Extents(NamedTuple):
    """Totals over the tiles of one loop: extent, tile, trips, and folds summed over the tiles."""

    extent: Any
    tile: Any
    trips: Any


class Totals(NamedTuple):
    """Sums over all tiles of one GEMM instance; integers, or arrays over candidate tilings.

    SRAM fields count element accesses by the array.
    """

    compute_cycles: Any
    sram_w_read: Any
    sram_a_read: Any
    sram_psum_read: Any
    sram_psum_write: Any


class Dataflow(ABC):
    """One way to lay a GEMM on an array; stateless.

    Convention: ``O[M,N] = A[M,K] · W[K,N]``; a PE takes ``lanes`` elements of K per step.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    #: Operand that waits in the PEs while the others move: "w", "o" or "a".
    stationary: ClassVar[str]
    #: Where block scales of integer formats are applied: at the array's edge or in each PE.
    dequant_site: ClassVar[str]
    #: Whether what is stationary goes between edge and PEs on wires of its own, instead of hopping through the rows.
    at_once: ClassVar[bool] = False
    #: Whether a tile of several folds goes through all of them per unit of the loop that streams, instead of
    #: through all of that loop per fold.
    streams_outside: ClassVar[bool] = False
    #: Whether what is stationary comes on a bus that all PEs of a row listen to.
    held_on_bus: ClassVar[bool] = False
    #: Whether the loop that streams is dealt out to the columns.
    deals_stream: ClassVar[bool] = False
    #: Whether PEs may take cycles that depend on their data.
    follows_data: ClassVar[bool] = True
    #: The option of ``array`` that says what no other dataflow has, "" where there is none.
    needs: ClassVar[str] = ""
    #: Options of ``array`` that no cycle of it depends on, each with the reason.
    without_effect: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def units(self, shape: ArrayShape) -> dict[str, int]:
        """Return the natural tile quantum of each loop: what one fold covers."""

    def per_pe(self, shape: ArrayShape) -> dict[str, int]:
        """Return what of a fold one PE has, by loop; along the loop that streams, at a time."""
        return {"m": 1, "k": shape.lanes, "n": 1}

    def held(self, shape: ArrayShape) -> int:
        """Return the elements of the stationary operand that a PE keeps: a step's, one sum, or a whole pad."""
        return 1 if self.stationary == "o" else shape.lanes

    def settings(self, shape: ArrayShape, m: int, k: int, n: int) -> tuple[ArrayShape, ...]:
        """Return the ways in which the array can be set up for a GEMM, where there is something to choose."""
        return (shape,)

    def timed(self, shape: ArrayShape, needed: Mapping[str, int], widths: Mapping[str, int]) -> ArrayShape:
        """Return ``shape`` slowed down by its ports: bits per step (:meth:`edge_bits`) and per cycle, by buffer."""
        per_step = cycles_per_step(needed, widths)
        streamed = max(cycles for key, cycles in per_step.items() if key != self.stationary)
        return replace(
            shape,
            interval=max(shape.interval, streamed),
            least=max(shape.least, streamed),
            load_interval=per_step["a" if self.stationary == "a" else "w"],
            drain_interval=per_step["o"],
        )

    @abstractmethod
    def lockstep(self, shape: ArrayShape, m: int, k: int, n: int) -> Lockstep:
        """Return which PEs of a fold of this GEMM take their operands together, waiting for the slowest.

        Folds are taken to be as full as the GEMM's first one.
        """

    @abstractmethod
    def tile_cycles(self, shape: ArrayShape, m: int, k: int, n: int, first_k: bool) -> int | Fraction:
        """Return the array cycles of one SRAM tile, from first operand to last result.

        ``first_k`` is False when the tile continues partial sums that lie in SRAM.
        """

    @abstractmethod
    def totals(self, shape: ArrayShape, m: Extents, k: Extents, n: Extents) -> Totals:
        """Return :meth:`tile_cycles` and SRAM accesses summed over all tiles, in closed form."""

    @abstractmethod
    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """Return the bits per cycle that the array's edge takes from (w, a) or gives to (o) SRAM."""

    def port_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """Return the widths of ports that hold up nothing, by buffer."""
        return self.edge_bits(shape, bits)

    @abstractmethod
    def wire_bits_mm(self, shape: ArrayShape, bits: dict[str, int], pitch_mm: float) -> dict[str, float]:
        """Return wire bit·mm inside the array per PE step, by operand: hops from PE to PE, each one pitch."""

    def bus_mm(self, shape: ArrayShape, pitch_mm: float) -> dict[str, float]:
        """Return the wire that every bit from a buffer drives inside the array, by buffer, where it is on a bus.

        A bus is as long as the array is there, however many of its PEs the GEMM uses.
        """
        return {}

    @abstractmethod
    def stepped(
        self, shape: ArrayShape, pe: DotUnit, operands: TileOperands, hurry: int = 0
    ) -> Generator[None, None, NDArray[Any]]:
        """Run one tile cycle by cycle: yields once per cycle, returns the accumulators (m, n).

        With ``hurry`` every fold from that one on (from 1) is a cycle too early, which must be noticed.

        Raises
        ------
        ConservationError
            If a register is overwritten that is still needed, or read before it is there.
        """

    @abstractmethod
    def carried(self, shape: ArrayShape, pe: DotUnit, operands: TileOperands) -> tuple[int, NDArray[Any]]:
        """Return the cycles of :meth:`stepped` and its accumulators, all steps of the tile at a time."""


@dataclass(frozen=True)
class TileOperands:
    """Codes of one tile for the cycle-stepped array.

    ``a`` has shape (m, k), ``w`` (k, n); ``partial`` (m, n) holds accumulators from earlier
    tiles along K, or None.
    """

    a: NDArray[Any]
    w: NDArray[Any]
    partial: NDArray[Any] | None
    w_format: Any
    a_format: Any


DATAFLOWS: Registry[Dataflow] = Registry("dataflow", "hwsim.simulate.dataflow")


def get_dataflow(name: str) -> Dataflow:
    """Return the dataflow called ``name`` (UsageError with the valid names otherwise)."""
    return DATAFLOWS.get(name)


def over_tiles(m: Extents, k: Extents, n: Extents, tile_cycles: Callable[[Any, Any, Any, bool], Any]) -> Any:
    """Return ``tile_cycles(m, k, n, first_k)`` summed over all tiles: first, middle and last ones of each loop."""
    total: Any = 0
    for m_count, m_size in _alike(m):
        for n_count, n_size in _alike(n):
            for (k_count, k_size), first in zip(_first_middle_last(k), (True, False, False), strict=True):
                total = total + m_count * n_count * k_count * tile_cycles(m_size, k_size, n_size, first)
    return total


def _alike(loop: Extents) -> tuple[tuple[Any, Any], ...]:
    return (loop.trips - 1, loop.tile), (1, loop.extent - (loop.trips - 1) * loop.tile)


def _first_middle_last(loop: Extents) -> tuple[tuple[Any, Any], ...]:
    one, more = loop.trips == 1, loop.trips > 1
    edge = loop.extent - (loop.trips - 1) * loop.tile
    return (1, loop.tile * more + edge * one), ((loop.trips - 2) * more, loop.tile), (1 * more, edge)


def folds(loop: Extents, unit: int) -> Any:
    """Return the folds of ``unit`` elements, summed over all tiles of a loop."""
    edge = loop.extent - (loop.trips - 1) * loop.tile
    return (loop.trips - 1) * ceil_div(loop.tile, unit) + ceil_div(edge, unit)
