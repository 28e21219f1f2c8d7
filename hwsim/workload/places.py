"""Which of a model's layers each row of a trace stands for: what overrides, recipes and mixes by layer go by.

A model of blocks has a row for all its identical layers; an encoder, a decoder and a draft count their own. A row that
was cut says in its note which layers it is of. What stands outside of the blocks (embedding, head) is of no layer. A
model without blocks, such as a convolutional one, has as many layers as products with weights, in their order; other
operations are of the layer before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hwsim.workload.notes import noted_layers
from hwsim.workload.ops import DRAFT, STAGE_END, Gemm, Op, bare_name
from hwsim.workload.trace import Trace

#: Begins the layers of one half of a model, or of a draft.
_STACK = re.compile(rf"(?:{re.escape(DRAFT)})?(?:encoder\.|decoder\.)?")
#: Begin the names of a block's rows; those of the dense MLP and of experts, of which a layer may have one.
_BLOCK, _DENSE, _EXPERTS = ("attn.", "cross.", "mix.", "mlp.", "moe."), "mlp.", "moe."


class Place(NamedTuple):
    """The layers of one row.

    ``layers`` are their numbers, ascending, one per layer that the row stands for (more than once where a layer has
    several); ``()`` if the row is outside of all layers, None if the trace does not say which of ``depth`` it is of.
    """

    depth: int
    layers: tuple[int, ...] | None


def places(trace: Trace) -> list[Place]:
    """Return the place of every operation of ``trace``, in their order; idle weights may be among these."""
    # Vector operations alone may stand for several of one layer, such as the steps of a recurrent one.
    if not any(_in_block(op) for op in trace.ops if isinstance(op, Gemm) or op.layers == 1):
        return list(_in_order(trace.ops))
    depths = _depths(trace.ops)
    experts = {stack: tuple(of) for stack, of in trace.meta.get("expert_layers", {}).items()}
    return [_place(op, depths[_stack(op)], experts) for op in trace.ops]


def _stack(op: Op) -> str:
    found = _STACK.match(bare_name(op.layer))
    assert found is not None
    return found[0]


def _own_name(op: Op) -> str:
    return bare_name(op.layer).removeprefix(_stack(op))


def _in_block(op: Op) -> bool:
    return op.layers > 1 or _own_name(op).startswith(_BLOCK)


def _depths(ops: Sequence[Op]) -> Mapping[str, int]:
    """Return the layers of each stack: the most that a product of attention stands for, else any with weights."""
    attention: dict[str, int] = defaultdict(int)
    weighted: dict[str, int] = defaultdict(int)
    every: dict[str, int] = defaultdict(lambda: 1)
    for op in ops:
        numbers = noted_layers(op.note)
        layers, stack = max(op.layers, numbers[-1] + 1 if numbers else 0), _stack(op)
        every[stack] = max(every[stack], layers)
        if isinstance(op, Gemm):
            if op.role in ("qkv", "attn_out"):
                attention[stack] = max(attention[stack], layers)
            if op.w_source == "dram":
                weighted[stack] = max(weighted[stack], layers)
    return defaultdict(lambda: 1, {stack: attention[stack] or weighted[stack] or every[stack] for stack in every})


def _place(op: Op, depth: int, experts: Mapping[str, tuple[int, ...]]) -> Place:
    if not _in_block(op):
        return Place(depth, ())
    noted = noted_layers(op.note)
    if noted and op.layers % len(noted) == 0:
        return Place(depth, _each(noted, op.layers // len(noted)))
    if op.layers % depth == 0:
        return Place(depth, _each(range(depth), op.layers // depth))
    name, sparse = _own_name(op), experts.get(_stack(op))
    found: tuple[int, ...] = ()
    if name.startswith(_EXPERTS):  # in the last layers where they are not in all, unless the model says other
        found = tuple(range(depth - op.layers, depth)) if sparse is None else sparse
    elif name.startswith(_DENSE):
        found = tuple(n for n in range(depth) if n not in sparse) if sparse is not None else tuple(range(op.layers))
    return Place(depth, found if len(found) == op.layers else None)


def _each(numbers: Sequence[int], times: int) -> tuple[int, ...]:
    return tuple(number for number in numbers for _ in range(times))


def _in_order(ops: Sequence[Op]) -> Iterator[Place]:
    numbers: dict[tuple[str, int], int] = {}
    seen: dict[str, int] = defaultdict(int)
    found: list[tuple[int, ...]] = []
    last: tuple[int, ...] = ()
    for op in ops:
        key = bare_name(op.layer), seen[op.layer]
        seen[op.layer] += 1
        first_run = STAGE_END not in op.layer
        if isinstance(op, Gemm) and op.w_source == "dram" and key not in numbers:
            numbers[key] = len(set(numbers.values()))
            last = (numbers[key],)
        elif first_run and key not in numbers and last:
            numbers[key] = last[0]
        found.append((numbers[key],) if key in numbers else ())
    depth = len(set(numbers.values()))
    return (Place(depth, layers) for layers in found)
