"""What a training step keeps from its forward pass: what its backward pass reads.

A trace does not name the readers of a tensor. A product is taken to read what the operation before it made if that has
as many elements (channels, for a convolution). Products in a row with one role, as many rows and one reduction read
the same tensor, queries, keys and values always. A note ``reads LAYER`` says it. Else it reads a tensor of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from hwsim.formats import parse_format
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp
from hwsim.workload.places import places
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import (
    DGRAD,
    RECOMPUTE,
    SELF_ADJOINT,
    STRAIGHT_THROUGH,
    WGRAD,
    reads_the_input,
)
from hwsim.workload.training.optimizer import STAGE

#: Vector operations whose gradient reads what they made.
_READ_THEIR_RESULT = ("softmax", "tanh")

#: Vector operations whose gradient reads none of their operands.
_READ_NO_OPERAND = (
    *_READ_THEIR_RESULT, *SELF_ADJOINT, *STRAIGHT_THROUGH, "embedding", "maxpool", "avgpool",
)  # fmt: skip

#: Stages after the forward pass.
_LATER = (DGRAD, WGRAD, RECOMPUTE, f"{STAGE}{STAGE_END}")

_READS = re.compile(r"reads (\S+)")


@dataclass(frozen=True)
class _Tensor:
    """What is kept of the forward operation ``at``: a result, or a copy of what it reads; bits of each of its runs."""

    at: int
    bits: int
    times: int


def result_bits(op: Op, layers: int) -> int:
    """Return the bits of what ``op`` makes in so many layers or times, with its batch."""
    return parse_format(op.o_format).storage_bits(op.m, op.n) * op.batch * layers


def kept_bits(filled: Trace) -> int:
    """Return the bits that a training step, formats filled, keeps from its forward pass.

    * Results, each once; but for those of which all that the backward pass reads are a recipe's copies.
    * Such copies, in the last format that a recipe gives them, once per tensor and format; none of the model's input.
    * Of operations that run again, the results of one layer, the largest; and what each layer hands on, if whole
      layers run again.
    """
    forward = [op for op in filled.ops if not op.layer.startswith(_LATER)]
    products = {op.layer for op in forward if isinstance(op, Gemm)} if filled.meta.get("recipe") else set()
    results = [op for op in forward if not _prepared(op, products)]
    again = {op.layer.removeprefix(RECOMPUTE) for op in filled.ops if op.layer.startswith(RECOMPUTE)}
    tensors = list(_tensors(results, _copies(filled, products)))
    kept = sum(one.bits * one.times for one in tensors if results[one.at].layer not in again)
    return kept + _held(filled, results, [one for one in tensors if results[one.at].layer in again], again)


def _prepared(op: Op, products: set[str], operands: tuple[str, ...] = ("a", "w")) -> str:
    """Return which of ``products`` reads what ``op`` prepares as one of ``operands``, if it is a recipe's step."""
    product, _, step = op.layer.rpartition(".")
    product, _, operand = product.rpartition(".")
    steps = isinstance(op, VectorOp) and step == op.op and operand in operands and product in products
    return product if steps else ""


def _copies(filled: Trace, products: set[str]) -> Mapping[str, str]:
    """Return the format of the copies that products make of their input and their ``wgrad`` reads, by product."""
    made = {name: op.o_format for op in filled.ops if (name := _prepared(op, products, ("a",)))}
    later = {WGRAD + name for name in made}
    steps = [(name, op.a_format) for op in filled.ops if (name := _prepared(op, later, ("a",)))]
    own = {name for name, _ in steps}  # these products read what their steps make
    read = {*steps, *((gemm.layer, gemm.a_format) for gemm in filled.gemms if gemm.layer not in own)}
    return {name: fmt for name, fmt in made.items() if (WGRAD + name, fmt) in read}


def _tensors(results: Sequence[Op], copies: Mapping[str, str]) -> Iterator[_Tensor]:
    """Yield what the backward pass reads of the forward one."""
    sources = _sources(results)
    by_copy: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    seen = {(_own(at), copies.get(op.layer, ""), op.repeat) for at, op in _first_product(results)}
    for at, source in sources.items():
        gemm = results[at]
        assert isinstance(gemm, Gemm)
        reads_copy = copies.get(gemm.layer) == gemm.a_format
        by_copy[source][gemm.layer] += gemm.repeat if reads_copy else 0
        if reads_copy and (source, gemm.a_format, gemm.repeat) not in seen:
            seen.add((source, gemm.a_format, gemm.repeat))
            whole = source < 0 or gemm.role != "conv"  # a convolution's input counts once per window that holds it
            one = gemm if whole else results[source]
            columns = gemm.k if whole else one.n
            yield _Tensor(at, parse_format(gemm.a_format).storage_bits(one.m, columns) * one.batch, gemm.repeat)
    for at, op in enumerate(results):
        replaced = 0 if _read_otherwise(results, at) else min(by_copy[at].values(), default=0)
        yield _Tensor(at, result_bits(op, 1), max(0, op.repeat - replaced))


def _first_product(results: Sequence[Op]) -> Iterator[tuple[int, Op]]:
    at = reads_the_input(results)
    if at is not None:
        yield at, results[at]


def _read_otherwise(results: Sequence[Op], at: int) -> bool:
    """Whether the gradient of a vector operation, its own or the next one's, reads the result of ``at``."""
    own, after = results[at], results[at + 1] if at + 1 < len(results) else None
    if isinstance(own, VectorOp) and own.op.startswith(_READ_THEIR_RESULT):
        return True
    return isinstance(after, VectorOp) and not after.op.startswith(_READ_NO_OPERAND)


def _own(at: int) -> int:
    """Return the source of a product that reads a tensor of its own."""
    return -1 - at


def _sources(results: Sequence[Op]) -> dict[int, int]:
    """Return, by place of each product, the place of the operation whose result it reads, or a number of its own."""
    found: dict[int, int] = {}
    for at, op in enumerate(results):
        if isinstance(op, Gemm):
            found[at] = _source(results, found, at, op)
    return found


def _source(results: Sequence[Op], found: Mapping[int, int], at: int, gemm: Gemm) -> int:
    named = _READS.search(gemm.note)
    for place in reversed(range(at)) if named else ():
        if results[place].layer == named[1]:  # type: ignore[index]
            return place
    before = results[at - 1] if at else None
    if before is None or gemm.role == "score":  # scores read a part of what queries, keys and values share
        return _own(at)
    run = takewhile(lambda place: isinstance(results[place], Gemm), reversed(range(at)))
    alike = [found[place] for place in run if _alike(results[place], gemm)]
    if alike and gemm.role == "qkv":
        return alike[0]
    if _fits(before, gemm):
        return at - 1
    return alike[0] if alike else _own(at)


def _alike(other: Op, gemm: Gemm) -> bool:
    same = isinstance(other, Gemm) and (other.role, other.batch) == (gemm.role, gemm.batch)
    return same and isinstance(other, Gemm) and (other.m, other.k) == (gemm.m, gemm.k)


def _fits(before: Op, gemm: Gemm) -> bool:
    """Whether what ``before`` makes in each layer may be what ``gemm`` reads."""
    if before.repeat < gemm.repeat:
        return False
    if gemm.role == "conv":
        return gemm.k * gemm.batch % (before.n * before.batch) == 0
    return before.m * before.n * before.batch == gemm.m * gemm.k * gemm.batch


def _held(filled: Trace, results: Sequence[Op], tensors: Sequence[_Tensor], again: set[str]) -> int:
    """Return the bits of one layer of ``tensors``, the most, and of what layers that run ``again`` hand on.

    Layers follow from :func:`~hwsim.workload.places.places`, per run of operations that are one after the other.
    """
    where = places(replace(filled, ops=tuple(results)))
    runs: list[int] = []
    for op in results:
        runs.append((runs[-1] if runs else 0) + (op.layer not in again))

    def layers(at: int) -> list[tuple[int, int, int]]:
        """Return what runs again as a whole: a layer, each time that its weights are read."""
        numbers = range(where[at].depth) if where[at].layers is None else where[at].layers or (0,)
        return [(runs[at], number, time) for number in numbers for time in range(results[at].passes)]

    sums: dict[tuple[int, int, int], int] = defaultdict(int)
    for one in tensors:
        for layer in layers(one.at) if one.times else ():
            sums[layer] += one.bits
    handed = {
        layer: result_bits(op, 1)
        for at, op in enumerate(results)
        for layer in (layers(at) if filled.meta["recompute"] == "all" and op.layer in again else ())
    }
    return max(sums.values(), default=0) + sum(handed.values())
