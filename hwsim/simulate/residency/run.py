"""The rows of a trace of which something stays on chip, and what the run says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hwsim.formats import parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.mapping import Machine
from hwsim.simulate.residency.chain import Fused, fuse_attention
from hwsim.simulate.residency.outputs import rooms_for_outputs
from hwsim.simulate.residency.room import ALL_FREE, Room
from hwsim.simulate.residency.row import fused_row
from hwsim.simulate.residency.weights import room_for_weights
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace
from hwsim.workload.ops import Op

Row = dict[str, Any]
Rows = list[tuple[Op | Fused, Row]]


class RowOf(Protocol):
    """Gives the row of one operation, alone."""

    def __call__(self, op: Op, room: Room) -> Row:
        """Return the cost of one instance of ``op``, given what the weights buffer holds for good."""
        ...


def resident_rows(simulated: Simulated, trace: Trace, row_of: RowOf, engine: str) -> tuple[Rows, tuple[str, ...]]:
    """Return every operation of ``trace`` (formats filled) with its row, by the options of the spec, and notes.

    Raises
    ------
    UsageError
        If the engine carries data: it knows one product at a time.
    """
    asked = simulated.spec.residency
    if engine == "pe":
        raise UsageError(
            f"residency.{asked.asked[0]}: engine 'pe' loads all operands; valid: --engine fast, event, roofline"
        )
    groups, unknown = fuse_attention(trace.ops) if asked.fused_attention else (list(trace.ops), ())
    seen: dict[Any, tuple[Row | None, str]] = {}
    reasons: dict[str, str] = {}

    def rows_of(group: Op | Fused, room: Room) -> Rows:
        if not isinstance(group, Fused):
            return [(group, row_of(group, room))]
        apart: Rows = [(part, row_of(part, room)) for part in group.parts]
        key = (*(part.cost_key for part in group.parts), room)
        if key not in seen:
            machines = _machine(simulated, group.score, room), _machine(simulated, group.value, room)
            seen[key] = fused_row(simulated, group, machines, [row for _, row in apart], engine)
        found, reasons[group.layer] = seen[key]
        return apart if found is None else [(group, found)]

    room, notes = ALL_FREE, []
    if asked.weights:
        others = [group for group in groups if isinstance(group, Fused) or _streams(group)]
        room, note = room_for_weights(simulated, trace, lambda room: [_total(rows_of(g, room)) for g in others])
        notes.append(note)
    rooms = [room] * len(groups)
    if asked.outputs:
        rooms, said = rooms_for_outputs(simulated, groups, room, lambda group, room: _total(rows_of(group, room)))
        notes += said
    rows = [pair for group, own in zip(groups, rooms, strict=True) for pair in rows_of(group, own)]
    if asked.fused_attention:
        notes += _fusion_notes(rows, reasons, unknown)
    return rows, tuple(notes)


def _streams(op: Op) -> bool:
    """Whether ``op`` has a stationary operand that is no weight."""
    return isinstance(op, Gemm) and op.w_source != "dram"


def _machine(simulated: Simulated, gemm: Gemm, room: Room) -> Machine:
    w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
    operands = Operands(read_operand_stats(gemm.w_stats), read_operand_stats(gemm.a_stats))
    return room.machine(simulated.machine(w, a, o, gemm, operands), gemm)


def _total(rows: Rows) -> Row:
    keys = ("cycles", "dram_read_bytes", "dram_write_bytes", *ENERGY_PARTS)
    return {key: sum(row[key] for _, row in rows) for key in keys}


def _fusion_notes(rows: Rows, reasons: Mapping[str, str], unknown: Sequence[str]) -> list[str]:
    """Return what was fused, what was not, and why; ``reasons`` by layer, empty where it was."""
    name = "residency.fused_attention"
    notes = []
    for overlapped, how in ((True, "array and vector unit at the same time (FlashAttention-3)"), (False, "in turns")):
        done = [op.layer for op, row in rows if isinstance(op, Fused) and row["overlapped"] == overlapped]
        if done:
            notes.append(
                f"{name}: {', '.join(dict.fromkeys(done))} as one operation, key tile by key tile (FlashAttention-2), "
                f"{how}; w_format is that of the values"
            )
    notes += [f"{name}: {layer} one after the other: {why}" for layer, why in reasons.items() if why]
    if unknown:
        notes.append(f"{name}: {', '.join(unknown)} not fused: no softmax and value of the same sizes follow")
    return notes or [f"{name}: the workload has no attention"]
