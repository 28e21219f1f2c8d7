"""The port recurrence: what one tile does to the times of its core, for numbers and for arrays of designs.

Programs are read in port cycles first (:func:`program`). The state before a tile is five times relative to the end
of the tile before, so that it comes back where a program repeats. A core that is alone on its port follows from it
in full: :func:`advance` over all tiles, then :func:`finish`. Cores that share a port take the same decisions, one
transfer at a time, as the other's transfers come in between (:mod:`hwsim.simulate.engine.cores`).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from hwsim.simulate.schedule import Cycles, Node, Step


class State(NamedTuple):
    """Times in cycles relative to the end of the last computed tile (0), or arrays of them."""

    port_free: Any = 0
    previous_end: Any = 0  # end of the tile before the last one, or when the port began, <= 0
    drained: Any = 0  # end of the last store that was issued
    last_store: Any = 0  # port cycles that the last tile's store will need
    previous_store: Any = 0  # the same for the tile before it


class Tile(NamedTuple):
    """A step with its transfers in port cycles; numbers, or arrays, of one ``opens`` and ``reloads``."""

    load: Any
    compute: Any
    store: Any
    opens: bool
    reloads: bool


class Loop(NamedTuple):
    """``body`` × ``times``; ``silent`` are the cycles of an iteration if it moves nothing, else None."""

    times: int
    body: Program
    silent: Cycles | None


Program: TypeAlias = tuple[Tile | Loop, ...]


def program(nodes: tuple[Node, ...], bandwidth: Fraction) -> Program:
    """Return ``nodes`` in cycles of a port of ``bandwidth`` bits per cycle: each transfer takes whole ones."""
    numerator, denominator = bandwidth.numerator, bandwidth.denominator
    found: list[Tile | Loop] = []
    for node in nodes:
        if isinstance(node, Step):
            load = -(-node.load_bits * denominator // numerator)
            store = -(-node.store_bits * denominator // numerator)
            found.append(Tile(load, node.compute_cycles, store, node.opens, node.reloads))
        else:
            found.append(loop(node.count, program(node.body, bandwidth)))
    return tuple(found)


def loop(count: int, body: Program) -> Loop:
    """Return ``body`` repeated."""
    silent: Cycles | None = 0
    for node in body:
        if silent is None or (isinstance(node, Tile) and (node.load or node.store)):
            return Loop(count, body, None)
        each = node.compute if isinstance(node, Tile) else node.silent
        times = 1 if isinstance(node, Tile) else node.times
        silent = None if each is None else silent + times * each
    return Loop(count, body, silent)


def advance(state: State, tile: Tile, most: Callable[[Any, Any], Any] = max) -> tuple[State, Any]:
    """Return the state after ``tile`` and the cycles by which the end of the last tile moved.

    ``most`` is the maximum of what the times are: numbers, or arrays.
    """
    port, previous_end, drained, last_store, pending = state
    load, compute, store, opens, reloads = tile
    port = most(port, previous_end)
    if reloads:  # of numbers alone: the store goes first, as its sums come back
        if pending:
            port = drained = port + pending
        pending = 0
    port = port + load
    end = most((load > 0) * port, 0)
    port = port + pending
    drained = most(drained, (pending > 0) * port)
    if opens:
        end = most(end, drained)
    end = end + compute
    return State(most(port, 0) - end, -end, most(drained - end, 0), store, last_store), end


def finish(state: State, most: Callable[[Any, Any], Any] = max) -> Any:
    """Return the cycles from the end of the last tile until its results are stored."""
    return most(most(state.port_free, state.previous_end) + state.previous_store, 0) + state.last_store


def idle(state: State) -> Cycles:
    """Return the cycles before the end of the last tile in which the port and one half of the buffers are free."""
    free: Cycles = max(state.port_free, state.previous_end) + state.previous_store
    return max(-free, 0)


def one_by_one(nodes: Program) -> Cycles:
    """Return the cycles of ``nodes`` when no tile overlaps with another."""
    total: Cycles = 0
    for node in nodes:
        total += node.load + node.compute + node.store if isinstance(node, Tile) else node.times * one_by_one(node.body)
    return total
