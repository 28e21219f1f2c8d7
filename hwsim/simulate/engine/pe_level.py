"""The cycle-stepped oracle: a clock, one DRAM port, an array that carries real data.

Nothing here knows a closed form. Every cycle the port moves ``bandwidth`` bits of the transfer
at the head of its queue and the array of the dataflow takes one step; cycles are what the clock
shows when the last result is stored. The tiles are walked one by one from the tiling, the
buffers' contents are followed, and the outputs must equal the PE's own dot products. It is
slow (about 10⁴ PE steps per second) and meant for small GEMMs: tests and trust. PEs whose cycles
depend on data take those of the codes that it carries, drawn from the distribution whose expected
cycles the other engines take: there it agrees with them on average, not to the cycle.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import TileOperands
from hwsim.simulate.engine import ENGINES, CodeSet, Context
from hwsim.simulate.schedule import Schedule, Timing, loop_visits
from hwsim.spec.errors import ConservationError, UsageError

#: Above this many PE steps the oracle would run for minutes; the fast engine is meant for those.
STEP_LIMIT = 2_000_000
#: Codes of wider formats are drawn by value: they are too many to list.
LISTED_BITS = 16


@dataclass
class _Tile:
    """One visit of the loop nest and the state of its three phases."""

    span: dict[str, slice]
    load_bits: Fraction
    store_bits: Fraction
    opens: bool
    reloads: bool
    first_k: bool
    loaded: bool = False
    started: bool = False
    computed: bool = False
    stored: bool = False


@dataclass
class Stepped:
    """What a run of the oracle leaves behind.

    ``output`` are the finished outputs, shape (batch, M, N), as the accumulator holds them.
    """

    timing: Timing
    output: NDArray[Any]
    port_bits: Fraction = field(default_factory=Fraction)


def operands(schedule: Schedule, context: Context, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return random codes A (batch, M, K) and W (batch, K, N) of finite values, reproducibly."""
    gemm = schedule.gemm
    rng = np.random.default_rng(seed)

    def codes(fmt: CodeSet, shares: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[Any]:
        if shares is not None:
            return rng.choice(len(shares), size=shape, p=shares).astype(np.uint32)
        if fmt.bits > LISTED_BITS:
            return fmt.encode(rng.standard_normal(shape))
        finite = np.flatnonzero(np.isfinite(fmt.code_values()))
        return rng.choice(finite, size=shape).astype(np.uint32)

    a = codes(context.a_format, context.a_shares, (gemm.batch, gemm.m, gemm.k))
    return a, codes(context.w_format, context.w_shares, (gemm.batch, gemm.k, gemm.n))


def _tiles(schedule: Schedule) -> list[_Tile]:
    """Walk the loop nest and follow what each buffer holds, tile by tile."""
    gemm, tiling, bits = schedule.gemm, schedule.tiling, schedule.bits
    resident: dict[str, set[Any]] = {"a": set(), "w": set()}
    region: dict[str, Any] = {"a": None, "w": None}
    open_sums: set[Any] = set()
    tiles = []
    for visit in loop_visits(gemm, tiling):
        (m0, m), (k0, k), (n0, n) = visit["m"], visit["k"], visit["n"]
        load = 0
        for name, key, free, hold, elements in (
            ("a", (m0, k0), "n", tiling.hold_a, m * k),
            ("w", (k0, n0), "m", tiling.hold_w, k * n),
        ):
            outer = tiling.order[: tiling.order.index(free)]
            here = tuple(visit[loop][0] for loop in outer)
            keeps = hold and region[name] == here
            if not keeps:
                resident[name].clear()
                region[name] = here
            if key not in resident[name]:
                load += bits.move(elements, name)
                if not hold:
                    resident[name].clear()
                resident[name].add(key)
        first_k, last_k = k0 == 0, k0 + k == gemm.k
        held = (m0, n0) in open_sums
        reloads = not first_k and not held
        if reloads:
            load += bits.move(m * n, "psum")
        spills = not last_k and not tiling.hold_o
        if tiling.hold_o and not last_k:
            open_sums.add((m0, n0))
        store = bits.move(m * n, "o") if last_k else bits.move(m * n, "psum") if spills else 0
        tiles.append(
            _Tile(
                span={"m": slice(m0, m0 + m), "k": slice(k0, k0 + k), "n": slice(n0, n0 + n)},
                load_bits=Fraction(load),
                store_bits=Fraction(store),
                opens=first_k or not tiling.hold_o,
                reloads=reloads,
                first_k=first_k,
            )
        )
    return tiles


class _Clock:
    """The machine: a port with a queue in program order, and one array."""

    def __init__(self, schedule: Schedule, context: Context, a: NDArray[Any], w: NDArray[Any]) -> None:
        self.context, self.a, self.w = context, a, w
        self.tiles = [tile for _ in range(schedule.gemm.batch) for tile in _tiles(schedule)]
        self.per_batch = len(self.tiles) // schedule.gemm.batch
        self.ahead = 2 if schedule.overlap else 1  # a load may start when the step so many before has computed
        self.out = context.pe.initial((schedule.gemm.batch, schedule.gemm.m, schedule.gemm.n))
        self.queue = self._port_order()
        self.transfer: tuple[str, int] | None = None
        self.left = Fraction(0)
        self.moved = Fraction(0)
        self.running: Generator[None, None, NDArray[Any]] | None = None
        self.current = 0
        self.busy_cycles = 0

    def _port_order(self) -> list[tuple[str, int]]:
        order: list[tuple[str, int]] = []
        for i, tile in enumerate(self.tiles):
            moves = [("load", i), ("store", i - self.ahead)]
            order += reversed(moves) if tile.reloads or self.ahead == 1 else moves
        order += [("store", i) for i in range(len(self.tiles) - self.ahead, len(self.tiles))]
        return [(kind, i) for kind, i in order if i >= 0 and self._bits(kind, i)]

    def _bits(self, kind: str, i: int) -> Fraction:
        return self.tiles[i].load_bits if kind == "load" else self.tiles[i].store_bits

    def _may_move(self, kind: str, i: int) -> bool:
        waits_for = i - self.ahead if kind == "load" else i
        return waits_for < 0 or self.tiles[waits_for].computed

    def _may_compute(self, i: int) -> bool:
        tile = self.tiles[i]
        if tile.load_bits and not tile.loaded:
            return False
        if not tile.opens and self.ahead > 1:
            return True
        return all(earlier.stored or not earlier.store_bits for earlier in self.tiles[: max(i + 1 - self.ahead, 0)])

    def begin_cycle(self) -> None:
        """Start whatever may start at this clock edge."""
        if self.transfer is None and self.queue and self._may_move(*self.queue[0]):
            self.transfer = self.queue.pop(0)
            self.left = self._bits(*self.transfer)
        if self.running is None and self.current < len(self.tiles) and self._may_compute(self.current):
            self.running = self._array()
            self._advance_array(start=True)

    def _array(self) -> Generator[None, None, NDArray[Any]]:
        tile = self.tiles[self.current]
        batch = self.current // self.per_batch
        block = self.out[batch, tile.span["m"], tile.span["n"]]
        tile_operands = TileOperands(
            a=self.a[batch, tile.span["m"], tile.span["k"]],
            w=self.w[batch, tile.span["k"], tile.span["n"]],
            partial=None if tile.first_k else block,
            w_format=self.context.w_format,
            a_format=self.context.a_format,
        )
        return self.context.dataflow.stepped(self.context.shape, self.context.pe, tile_operands)

    def _advance_array(self, start: bool = False) -> None:
        """Take the array to its next cycle, or finish the tile."""
        assert self.running is not None
        try:
            next(self.running)
        except StopIteration as finished:
            tile = self.tiles[self.current]
            batch = self.current // self.per_batch
            self.out[batch, tile.span["m"], tile.span["n"]] = finished.value
            tile.computed = True
            self.running = None
            self.current += 1
            if start:
                raise ConservationError("a tile took no cycles") from None

    def end_cycle(self) -> None:
        """Account for one cycle of port and array."""
        if self.transfer is not None:
            step = min(self.left, self.context.dram_bits_per_cycle)
            self.left -= step
            self.moved += step
            if not self.left:
                kind, i = self.transfer
                setattr(self.tiles[i], "loaded" if kind == "load" else "stored", True)
                self.transfer = None
        if self.running is not None:
            self.busy_cycles += 1
            self._advance_array()

    @property
    def finished(self) -> bool:
        """Whether every tile is computed and every transfer done."""
        return self.current == len(self.tiles) and not self.queue and self.transfer is None


def step_through(schedule: Schedule, context: Context, a: NDArray[Any], w: NDArray[Any]) -> Stepped:
    """Run ``schedule`` on codes A (batch, M, K) and W (batch, K, N), one clock cycle at a time."""
    clock = _Clock(schedule, context, a, w)
    cycles = 0
    while not clock.finished:
        clock.begin_cycle()
        clock.end_cycle()
        cycles += 1
    return Stepped(Timing(cycles, clock.busy_cycles), clock.out, clock.moved)


@ENGINES.register("pe")
def pe_level(schedule: Schedule, context: Context) -> Timing:
    """Time ``schedule`` by stepping it, and check its outputs against the PE's dot products.

    Raises
    ------
    UsageError
        If the GEMM is too large to step, or its counts are another simulator's.
    ConservationError
        If an output differs from the PE's own dot product.
    """
    if schedule.foreign is not None:
        raise UsageError(
            f"engine 'pe' steps arrays of ours; those of mapper.policy {schedule.foreign.rule} are counted by its "
            "rule; valid: --engine roofline"
        )
    if schedule.pe_steps * schedule.gemm.batch > STEP_LIMIT:
        raise UsageError(
            f"engine 'pe' steps every cycle and takes GEMMs of up to {STEP_LIMIT:,} PE steps; "
            f"{schedule.gemm.layer} needs {schedule.pe_steps * schedule.gemm.batch:,}; valid: --engine fast"
        )
    a, w = operands(schedule, context)
    run = step_through(schedule, context, a, w)
    found = context.pe.finish(run.output)
    for batch, m, n in np.ndindex(found.shape):
        exact = context.pe.dot(w[batch, :, n], a[batch, m], context.w_format, context.a_format)
        if found[batch, m, n] != exact and not (np.isnan(found[batch, m, n]) and np.isnan(exact)):
            raise ConservationError(
                f"{schedule.gemm.layer}: output ({m}, {n}) is {found[batch, m, n]!r}, the PE's dot product {exact!r}"
            )
    return run.timing
