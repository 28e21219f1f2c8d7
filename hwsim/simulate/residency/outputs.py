"""Outputs that stay: a result that fits is the next product's activations, without a way to DRAM and back.

Which tensors the order of a trace allows to stay says :mod:`hwsim.simulate.residency.flow`. A tensor that stays is
requantized as it would be on its way to DRAM and lies whole in the activation buffer, in the width of its format,
from the first tile that its producer finishes until the last of its readers is done; vector operations work on it
in place, and convolutions read their windows from it. Everything else in that buffer has what is left. Vector
operations then read from DRAM what is not on chip, and pay for it.

A tensor stays whole or not at all, and only if the rows that have to do with it take no more cycles, read no more
and write no more DRAM, and are no worse by the mapper's objective than without: tensors are looked at in the order
of the trace, each given those that stay already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.figures import merit
from hwsim.simulate.residency.chain import Fused
from hwsim.simulate.residency.flow import BINARY, Kept, kept_tensors
from hwsim.simulate.residency.room import Room
from hwsim.spec.errors import InfeasibleError
from hwsim.workload.ops import Op, VectorOp, ceil_div

Row = dict[str, Any]

#: Returns the total of the rows of an operation, given what is on chip.
TotalOf = Callable[[Op | Fused, Room], Row]

_DRAM = ("dram_read_bytes", "dram_write_bytes")


def rooms_for_outputs(
    simulated: Simulated, groups: Sequence[Op | Fused], room: Room, total_of: TotalOf
) -> tuple[list[Room], list[str]]:
    """Return the room of each of ``groups`` (formats filled) and notes on what stays, and on what could not and why.

    ``room`` is what they have without.
    """
    rooms, done, reasons = [room] * len(groups), [], []
    found = kept_tensors(groups)
    for kept in found:
        names = ", ".join(groups[place].layer for place in kept.producers)
        names = " → ".join([names, *(groups[place].layer for place in kept.through)])
        names += " → " + ", ".join(groups[place].layer for place in kept.readers)
        trial = _trial(simulated, groups, rooms, kept)
        reason = "it does not fit" if trial is None else _worse(simulated, groups, kept, (rooms, trial), total_of)
        if reason or trial is None:
            reasons.append(f"{names} ({reason})")
            continue
        rooms = trial
        size = len(kept.producers) * ceil_div(_bits(groups[kept.producer].o_format, kept.written), 8)
        done.append(f"{names} ({size:,} bytes{', stored as well' if kept.stored else ''})")
    return rooms, _notes(done, reasons)


def _notes(done: Sequence[str], reasons: Sequence[str]) -> list[str]:
    name = "residency.outputs"
    notes = [f"{name}: stay in the activation buffer: {'; '.join(done)}"] if done else []
    if reasons:
        notes.append(f"{name}: go through DRAM: {'; '.join(reasons)}")
    return notes or [f"{name}: the order of the workload's rows implies no output that the next product alone reads"]


def _bits(fmt: str, elements: int) -> int:
    return ceil(elements * Fraction(parse_format(fmt).bits_per_element))


def _trial(simulated: Simulated, groups: Sequence[Op | Fused], rooms: Sequence[Room], kept: Kept) -> list[Room] | None:
    """Return the rooms if ``kept`` stays as well; None if it does not fit beside what stays already."""
    size = int(simulated.spec.memories.buffer("activations").size) * 8
    fmt = groups[kept.producer].o_format
    written, read = (_bits(fmt, elements) for elements in (kept.written, kept.read))
    trial = list(rooms)

    def hold(place: int, bits: int, **more: Any) -> None:
        trial[place] = replace(trial[place], kept_bits=trial[place].kept_bits + bits, a_size_bits=size, **more)

    for number, place in enumerate(kept.producers, 1):
        hold(place, number * written, results="both" if kept.stored else "kept")
    for place in kept.through:
        op = groups[place]
        assert isinstance(op, VectorOp)
        other = op.op in BINARY and kept.beside is None
        passing = 2 * _bits(op.a_format, op.n) if other else 0  # two rows of the other operand, in turn
        bits = max(len(kept.producers) * written, read) + passing
        hold(place, bits, operands=int(other), stores=place in kept.stores)
    for place in kept.readers:
        hold(place, read, resident_a=True)
    return None if any(room.kept_bits > size for room in trial) else trial


def _worse(
    simulated: Simulated,
    groups: Sequence[Op | Fused],
    kept: Kept,
    rooms: tuple[Sequence[Room], Sequence[Room]],
    total_of: TotalOf,
) -> str:
    """Return why ``kept`` does not stay, given the rooms without and with it; nothing if it does."""

    def total(of: Sequence[Room]) -> Row:
        rows = [total_of(groups[place], of[place]) for place in kept.rows]
        return {key: sum(row[key] for row in rows) for key in ("cycles", *_DRAM, *ENERGY_PARTS)}

    try:
        without, held = (total(of) for of in rooms)
    except InfeasibleError:
        return "no tile fits beside it"
    objective = simulated.spec.mapper.objective
    names = {"cycles": "cycles", "dram_read_bytes": "bytes read", "dram_write_bytes": "bytes written"}
    more = [
        f"{held[key]:,} {name} instead of {without[key]:,}" for key, name in names.items() if held[key] > without[key]
    ]
    if more:
        return ", ".join(more)
    if all(held[key] == without[key] for key in names):
        return "it would save nothing"
    return "" if merit(held, objective) <= merit(without, objective) else f"more by the mapper's objective, {objective}"
