"""Embedding tables: what they store, and in which format their rows are read.

``meta`` of a trace from a model has ``tables``, rows and width of each by the operation that looks it up, of those that
stand for themselves; ``stated_tables`` names those with a format. One that is the LM head is no table of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hwsim.formats import parse_format
from hwsim.workload.ops import DRAFT, Gemm, Op, VectorOp, bare_name
from hwsim.workload.stored import open_parameters, state_other
from hwsim.workload.trace import Trace

#: The operation that reads rows of a table, and how it is called in models with one of tokens.
LOOKUP, NAME = "embedding", "embed"


def open_tables(meta: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return rows and width of the embedding tables that have no format yet."""
    stated = meta.get("stated_tables", ()) if open_parameters(meta) else meta.get("tables", {})
    return {name: size for name, size in meta.get("tables", {}).items() if name not in stated}


def lookup(name: str, rows: int, width: int) -> VectorOp:
    """Return the operation that stands for a table where layers are matched, whether or not this run has it."""
    return VectorOp(name, LOOKUP, rows, width)


def is_tied(trace: Trace, op: Op) -> bool:
    """Whether ``op`` looks up the table that is the LM head of its model."""
    if "other_parameters" not in trace.meta or not _of_tokens(op):
        return False
    return not any(_same_model(name, op.layer) for name in trace.meta.get("tables", {}))


def fill_tables(trace: Trace, format_of: Callable[[VectorOp], str]) -> Trace:
    """Return ``trace`` with its open tables, and lookups of them, in the formats that ``format_of`` gives.

    ``""`` leaves one open. The halves of a model share their table.
    """
    tables = open_tables(trace.meta)
    given = {name: found for name, size in tables.items() if (found := format_of(lookup(name, *size)))}
    if not given:
        return trace
    filled = {name: tables[name][0] * tables[name][1] for name in given}
    meta = {
        **trace.meta,
        "other_bits": int(trace.meta.get("other_bits", 0))
        + sum(parse_format(fmt).storage_bits(*tables[name]) for name, fmt in given.items()),
        "other_open": open_parameters(trace.meta) - sum(filled.values()),
        "stated_tables": (*trace.meta.get("stated_tables", ()), *filled),
    }
    if "draft_meta" in meta:
        drafted = sum(count for name, count in filled.items() if name.startswith(DRAFT))
        own = meta["draft_meta"]
        meta["draft_meta"] = {**own, "other_open": own["other_open"] - drafted}
    ops = [_read(op, next((f for name, f in given.items() if _same_model(name, op.layer)), "")) for op in trace.ops]
    return replace(trace, ops=tuple(ops), meta=meta)


def read_tables_in(trace: Trace, name: str) -> Trace:
    """Return ``trace`` with open lookups of its tables, whose bits are stated already, in the format ``name``."""
    if not trace.meta.get("tables"):
        return trace
    return replace(trace, ops=tuple(_read(op, name) for op in trace.ops))


def fill_other(trace: Trace, name: str) -> Trace:
    """Return ``trace`` with the parameters that no GEMM multiplies in the format ``name``, as far as they are open.

    Blocks run along the rows of tables; all else counts as one row.
    """
    trace = fill_tables(trace, lambda _: name)
    left = open_parameters(trace.meta)
    return state_other(trace, parse_format(name).storage_bits(1, left)) if left else trace


def read_tied(trace: Trace, filled: Trace) -> Trace:
    """Return ``filled`` with the lookups that ``trace`` leaves open in the format of the LM head if it is the table."""
    heads = {
        bare_name(gemm.layer).startswith(DRAFT): gemm.w_format for gemm in reversed(filled.gemms) if _is_head(gemm)
    }
    left = {op.layer for op in trace.ops if not op.a_format and is_tied(trace, op)}
    if not heads or not left:
        return filled
    made = [
        replace(op, a_format=heads.get(bare_name(op.layer).startswith(DRAFT), op.a_format)) if op.layer in left else op
        for op in filled.ops
    ]
    return replace(filled, ops=tuple(made))


def _is_head(gemm: Gemm) -> bool:
    return bare_name(gemm.layer).removeprefix(DRAFT) == "lm_head"


def _of_tokens(op: Op) -> bool:
    return isinstance(op, VectorOp) and op.op == LOOKUP and bare_name(op.layer).rpartition(".")[2] == NAME


def _same_model(table: str, layer: str) -> bool:
    return table.startswith(DRAFT) == bare_name(layer).startswith(DRAFT)


def _read(op: Op, name: str) -> Op:
    return replace(op, a_format=name) if name and not op.a_format and _of_tokens(op) else op
