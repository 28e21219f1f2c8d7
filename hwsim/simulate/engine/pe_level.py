"""The stepped oracle: a clock, one DRAM port, an array that carries real data.

Nothing here knows a closed form of a GEMM. Tiles are walked one by one from the tiling, the buffers'
contents are followed, the port moves ``bandwidth`` bits of the transfer at the head of its queue per cycle,
folds follow one another in the array, and the outputs must equal the PE's own dot products. With
``every_cycle`` the clock ticks cycle by cycle and the array moves every operand from register to register:
slow (about 10⁴ PE steps per second), the reference. Otherwise the clock goes from one change to the next and
the array takes all steps of a tile at a time (``Dataflow.carried``), bit for bit the same: what the engine
does, fast enough for whole layers. PEs whose cycles depend on data take those of the codes that it carries,
drawn from the distribution whose expected cycles the other engines take: there it agrees with them on
average, not to the cycle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.simulate.dataflow.base import TileOperands
from hwsim.simulate.engine import ENGINES, CodeSet, Context
from hwsim.simulate.schedule import Schedule, Timing, loop_visits
from hwsim.spec.errors import ConservationError, UsageError

#: Above this many PE steps the oracle may run for minutes; the fast engine is meant for those.
STEP_LIMIT = 100_000_000
#: Outputs that are compared with the PE's own sums, all steps of so many outputs side by side.
CHECKED = 256
#: Steps of outputs that are compared with its dot product, one output after the other.
DOT_STEPS = 512
#: Codes that are compared at a time.
AT_ONCE = 1 << 20
#: Codes of wider formats are drawn by value: they are too many to list.
LISTED_BITS = 16
#: So are those of formats that reach further: most products of such codes are beyond any accumulator.
FURTHEST = 2.0**32
#: Values of which they are drawn, normally distributed.
POOL = 1 << 14


@dataclass
class _Tile:
    """One visit of the loop nest and the state of its three phases."""

    span: dict[str, slice]
    load_bits: int
    store_bits: int
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
        return rng.choice(_drawn(fmt), size=shape)  # type: ignore[arg-type]  # formats are frozen

    a = codes(context.a_format, context.a_shares, (gemm.batch, gemm.m, gemm.k))
    return a, codes(context.w_format, context.w_shares, (gemm.batch, gemm.k, gemm.n))


@lru_cache(maxsize=64)
def _drawn(fmt: CodeSet) -> NDArray[np.uint32]:
    """Return the codes that operands are drawn from: all of finite values, or those of normally distributed ones."""
    values = fmt.code_values() if fmt.bits <= LISTED_BITS else np.array([np.inf])
    finite = np.flatnonzero(np.isfinite(values))
    if not finite.size or np.abs(values[finite]).max() > FURTHEST:
        finite = fmt.encode(np.random.default_rng(0).standard_normal(POOL))
    return finite.astype(np.uint32)


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
                load_bits=load,
                store_bits=store,
                opens=first_k or not tiling.hold_o,
                reloads=reloads,
                first_k=first_k,
            )
        )
    return tiles


class _Ticking:
    """A tile on the array, cycle by cycle."""

    def __init__(self, steps: Generator[None, None, NDArray[Any]]) -> None:
        self._steps, self.left = steps, 1  # cycles until something may change
        if self.advance(0) is not None:
            raise ConservationError("a tile took no cycles")

    def advance(self, cycles: int) -> NDArray[Any] | None:
        """Go one cycle further; return the tile's accumulators at its end."""
        try:
            next(self._steps)
        except StopIteration as finished:
            done: NDArray[Any] = finished.value
            return done
        return None


class _Jumping:
    """A tile on the array, all its cycles known from the start."""

    def __init__(self, cycles: int, done: NDArray[Any]) -> None:
        self.left, self._done = cycles, done

    def advance(self, cycles: int) -> NDArray[Any] | None:
        """Go some cycles further; return the tile's accumulators at its end."""
        self.left -= cycles
        return None if self.left else self._done


class _Clock:
    """The machine: a port with a queue in program order, and one array."""

    def __init__(
        self, schedule: Schedule, context: Context, a: NDArray[Any], w: NDArray[Any], every_cycle: bool
    ) -> None:
        self.context, self.a, self.w, self.every_cycle = context, a, w, every_cycle
        self.tiles = [tile for _ in range(schedule.gemm.batch) for tile in _tiles(schedule)]
        self.per_batch = len(self.tiles) // schedule.gemm.batch
        self.ahead = 2 if schedule.overlap else 1  # a load may start when the step so many before has computed
        self.out = context.pe.initial((schedule.gemm.batch, schedule.gemm.m, schedule.gemm.n))
        self.queue = deque(self._port_order())
        self.settled = 0  # tiles at the front whose results are stored, or that store none
        self.transfer: tuple[str, int] | None = None
        self.rate, self.unit = context.dram_bits_per_cycle.as_integer_ratio()  # the port counts in parts of a bit
        self.left = self.moved = 0
        self.running: _Ticking | _Jumping | None = None
        self.current = 0
        self.busy_cycles = 0

    def _port_order(self) -> list[tuple[str, int]]:
        order: list[tuple[str, int]] = []
        for i, tile in enumerate(self.tiles):
            moves = [("load", i), ("store", i - self.ahead)]
            order += reversed(moves) if tile.reloads or self.ahead == 1 else moves
        order += [("store", i) for i in range(len(self.tiles) - self.ahead, len(self.tiles))]
        return [(kind, i) for kind, i in order if i >= 0 and self._bits(kind, i)]

    def _bits(self, kind: str, i: int) -> int:
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
        return self._stored_before(i + 1 - self.ahead)

    def _stored_before(self, i: int) -> bool:
        """Whether all tiles before ``i`` have stored what they store; what is stored stays so."""
        while self.settled < i and (self.tiles[self.settled].stored or not self.tiles[self.settled].store_bits):
            self.settled += 1
        return self.settled >= i

    def begin_cycle(self) -> None:
        """Start whatever may start at this clock edge."""
        if self.transfer is None and self.queue and self._may_move(*self.queue[0]):
            self.transfer = self.queue.popleft()
            self.left = self._bits(*self.transfer) * self.unit
        if self.running is None and self.current < len(self.tiles) and self._may_compute(self.current):
            self.running = self._array()

    def _block(self) -> NDArray[Any]:
        """Return the outputs of the current tile."""
        tile = self.tiles[self.current]
        return self.out[self.current // self.per_batch, tile.span["m"], tile.span["n"]]

    def _array(self) -> _Ticking | _Jumping:
        tile, batch, context = self.tiles[self.current], self.current // self.per_batch, self.context
        tile_operands = TileOperands(
            a=self.a[batch, tile.span["m"], tile.span["k"]],
            w=self.w[batch, tile.span["k"], tile.span["n"]],
            partial=None if tile.first_k else self._block(),
            w_format=context.w_format,
            a_format=context.a_format,
        )
        if self.every_cycle:
            return _Ticking(context.dataflow.stepped(context.shape, context.pe, tile_operands))
        return _Jumping(*context.dataflow.carried(context.shape, context.pe, tile_operands))

    def until_change(self) -> int:
        """Return the cycles until a transfer or a tile is done; 1 where the clock ticks."""
        if self.every_cycle:
            return 1
        waits = [] if self.transfer is None else [-(-self.left // self.rate)]
        return min(waits if self.running is None else [*waits, self.running.left])

    def pass_cycles(self, cycles: int) -> None:
        """Account for cycles of port and array in which nothing else changes."""
        if self.transfer is not None:
            step = min(self.left, self.rate * cycles)
            self.left -= step
            self.moved += step
            if not self.left:
                kind, i = self.transfer
                setattr(self.tiles[i], "loaded" if kind == "load" else "stored", True)
                self.transfer = None
        if self.running is not None:
            self.busy_cycles += cycles
            done = self.running.advance(cycles)
            if done is not None:
                self._block()[...] = done
                self.tiles[self.current].computed = True
                self.running = None
                self.current += 1

    @property
    def finished(self) -> bool:
        """Whether every tile is computed and every transfer done."""
        return self.current == len(self.tiles) and not self.queue and self.transfer is None


def step_through(
    schedule: Schedule, context: Context, a: NDArray[Any], w: NDArray[Any], every_cycle: bool = False
) -> Stepped:
    """Run ``schedule`` on codes A (batch, M, K) and W (batch, K, N), from change to change or every cycle."""
    clock = _Clock(schedule, context, a, w, every_cycle)
    cycles = 0
    while not clock.finished:
        clock.begin_cycle()
        passed = clock.until_change()
        clock.pass_cycles(passed)
        cycles += passed
    return Stepped(Timing(cycles, clock.busy_cycles), clock.out, Fraction(clock.moved, clock.unit))


@ENGINES.register("pe")
def pe_level(schedule: Schedule, context: Context) -> Timing:
    """Time ``schedule`` by stepping it, and check outputs against the PE's dot products.

    Raises
    ------
    UsageError
        If the GEMM is too large to step, or its counts are another simulator's.
    ConservationError
        If an output differs from the PE's own dot product.
    """
    if schedule.levels is not None:
        raise UsageError(
            "engine 'pe' steps arrays of a dataflow; a loop nest over memories.levels says what is where, not on which "
            "cycle an operand is in which PE; valid: --engine fast or event"
        )
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
    _check_outputs(schedule, context, run.output, a, w)
    return run.timing


def _check_outputs(
    schedule: Schedule, context: Context, output: NDArray[Any], a: NDArray[Any], w: NDArray[Any]
) -> None:
    """Compare outputs with dot products, drawn at random where there are many: few alone, more side by side."""
    pe, found = context.pe, context.pe.finish(output)
    lanes = context.shape.lanes
    steps = -(-schedule.gemm.k // lanes)
    order = np.random.default_rng(0).permutation(found.size)
    drawn = np.unravel_index(order[:CHECKED], found.shape)
    beside = pe.initial((len(drawn[0]),))
    width = lanes * max(1, AT_ONCE // (len(drawn[0]) * lanes))
    for start in range(0, schedule.gemm.k, width):
        span = slice(start, start + width)
        codes = w[drawn[0], span, drawn[2]], a[drawn[0], drawn[1], span]
        beside = pe.accumulate_along(beside, *codes, context.w_format, context.a_format)
    expected = list(pe.finish(beside))
    for at, (batch, m, n) in enumerate(zip(*drawn, strict=True)):
        if at < max(DOT_STEPS // steps, 1):
            expected[at] = pe.dot(w[batch, :, n], a[batch, m], context.w_format, context.a_format)
        value, exact = found[batch, m, n], expected[at]
        if value != exact and not (np.isnan(value) and np.isnan(exact)):
            raise ConservationError(
                f"{schedule.gemm.layer}: output ({m}, {n}) is {value!r}, the PE's dot product {exact!r}"
            )
