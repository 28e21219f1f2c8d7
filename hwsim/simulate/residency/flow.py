"""Which rows of a trace read what the row before them wrote, and who else might need it.

A trace lists rows in program order and says no more of who reads what. It is read as a sequence: a row works
on what the row before it wrote **if** it reads activations, of just as many elements, in the same format, in
the same layers (``repeat``). Rows of one ``repeat`` in a row are a layer; layers run one after the other.
Where the order leaves another reading open, no link is claimed:

* products of one layer that read the same input follow each other (``qkv`` rows; ``ffn`` rows of equal m and k):
  the later ones read what the first one did. Two products in a row whose input and output are as large could be
  either, so that they are not linked, unless roles say so (attention's values go to its output projection);
* queries, keys and values go to attention, not to the row behind them; the operand that streams through scores is
  a part of them. The product with the values reads the softmax;
* rotary embeddings read queries and keys; embeddings read a table;
* a ``qkv`` or ``ffn`` product right behind an ``add`` may read what a norm made earlier (parallel blocks);
* behind two products of one input and equal outputs, a single operation may work on either. Both are used up
  where an ``add`` or ``mul`` follows.

Convolutions read as many channels and pixels as their note says (``im2col: CxHxW``), else an unknown number.
Pooling reads maps of the same channels with more pixels.

An ``add`` or ``mul`` needs a second, older operand. It is read from DRAM (but in a gated MLP, where roles say that
a ``mul`` joins the results of its two first products, and both stay); and what an ``add`` makes may be the older
operand of another one, of as many elements, and is then stored. Any other tensor that stays is stored *as well*,
once and in the form that is needed, if another row might read it: an ``add`` or ``mul`` elsewhere, or a product whose
input no link explains, of as many elements. Notes may say what such a row reads (``reads LAYER``, as those of
convolutional networks do); otherwise only roles rule it out: scores and probabilities, weighted values and what is
between the products of an MLP have one reader; a projection's result in front of an ``add`` is used up there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hwsim.workload.ops import Gemm, Op, VectorOp

#: Operations with a second operand.
BINARY = ("add", "mul")

#: Notes may name the row that a product reads, or that made the second operand of an ``add`` or ``mul``.
_READS = re.compile(r"reads (\S+)$")

_IM2COL = re.compile(r"im2col: (\d+)x(\d+)x(\d+), kernel (\d+)(?:x(\d+))?, stride (\d+), padding (\d+)(?:x(\d+))?")


@dataclass(frozen=True)
class Kept:
    """A tensor that may stay on chip: rows by their place in the trace.

    ``producer`` wrote it, the vector operations ``through`` work on it in place, the products ``readers`` read it.
    ``written`` and ``read`` are its elements before and after. With ``stored`` its first form goes to DRAM as well;
    ``stores`` are the places of vector operations whose result does. ``beside`` wrote a tensor as large that stays
    with it until a ``mul`` uses up both.
    """

    producer: int
    through: tuple[int, ...]
    readers: tuple[int, ...]
    written: int
    read: int
    stored: bool
    stores: tuple[int, ...]
    beside: int | None = None

    @property
    def producers(self) -> tuple[int, ...]:
        """Places of the products that write it: one, or the gate's as well."""
        return (self.producer,) if self.beside is None else (self.beside, self.producer)

    @property
    def rows(self) -> tuple[int, ...]:
        """Places of all rows that have to do with it."""
        return (*self.producers, *self.through, *self.readers)


def kept_tensors(ops: Sequence[object]) -> list[Kept]:
    """Return every tensor that the order of ``ops`` allows to stay; what is no operation breaks the sequence."""
    found = (_kept(ops, at) for at in range(len(ops)))
    return [kept for kept in found if kept is not None]


def shares_input(before: object, op: object) -> bool:
    """Whether the product ``op`` reads, by its role, what the product before it read."""
    return (
        isinstance(before, Gemm)
        and isinstance(op, Gemm)
        and op.role == before.role
        and op.role in ("qkv", "ffn")
        and op.a_source == before.a_source == "activation"
        and op.a_format == before.a_format
        and (op.m, op.k, op.batch, op.repeat) == (before.m, before.k, before.batch, before.repeat)
        and (op.role == "qkv" or before.n != op.k)
    )


def _kept(ops: Sequence[object], at: int) -> Kept | None:
    producer = ops[at]
    if not isinstance(producer, Gemm) or producer.role == "qkv":
        return None
    place, last, through = at + 1, ops[at], []
    while place < len(ops) and isinstance(ops[place], VectorOp) and _linked(last, ops[place]):
        through.append(place)
        last, place = ops[place], place + 1
    reader = ops[place] if place < len(ops) else None
    if not isinstance(reader, Gemm) or not _linked(last, reader) or not _unmistakable(ops, at, through, reader):
        return None
    made = {_of(ops, p).layer for p in (at, *through)}
    readers = [place]
    while readers[-1] + 1 < len(ops) and (
        shares_input(ops[readers[-1]], ops[readers[-1] + 1]) or _reads_too(last, reader, ops[readers[-1] + 1])
    ):
        readers.append(readers[-1] + 1)
    mine = (at, *through, *readers)
    written, read = _elements(producer), _input(reader) or 0
    others = [_may_read(ops, other, {written, read}, made) for other in _others(ops, mine)]
    added = [p for p in through if _of(ops, p).op == "add"]
    alone = producer.role in ("score", "value") or (producer.role, reader.role) == ("ffn", "ffn")
    alone |= bool(added) and producer.role in ("attn_out", "ffn")
    stores = set(added) if "operand" in others else set()
    stored = any(others)
    if added:  # others read what they made; who reads the first form says so, or names nothing
        stored = any(_may_read(ops, other, {written}, {producer.layer}) for other in _others(ops, mine))
    if added and "product" in others:  # besides the sum, what was made of it
        stores.add(through[-1])
    if not added and not alone and any(others):
        stores |= {p for p in through if _of(ops, p).op == "mul"}
    beside = _gate(ops, at, through, reader)
    return Kept(at, tuple(through), tuple(readers), written, read, stored and not alone, tuple(sorted(stores)), beside)


def _named(op: object) -> str:
    """Return the row that the note of ``op`` names, if any."""
    found = _READS.search(op.note) if isinstance(op, Gemm | VectorOp) else None
    return found.group(1) if found else ""


def _reads_too(last: object, reader: Gemm, op: object) -> bool:
    """Whether the product ``op`` behind ``reader`` reads the same, what ``last`` wrote, as its note says."""
    if not isinstance(op, Gemm) or not isinstance(last, Gemm | VectorOp) or _named(op) != last.layer:
        return False
    alike = (op.repeat, op.a_source, op.a_format) == (reader.repeat, reader.a_source, reader.a_format)
    return alike and _input(op) == _input(reader)


def _of(ops: Sequence[object], place: int) -> Op:
    op = ops[place]
    assert isinstance(op, Gemm | VectorOp)
    return op


def _linked(before: object, op: object) -> bool:
    """Whether ``op`` works on what ``before``, the row in front of it, wrote."""
    if not isinstance(before, Gemm | VectorOp) or not isinstance(op, Gemm | VectorOp):
        return False
    if op.repeat != before.repeat or op.a_format != before.o_format:
        return False
    if isinstance(op, VectorOp):
        if op.op in ("rope", "embedding") or (isinstance(before, Gemm) and before.role == "qkv"):
            return False
        if op.op == "maxpool":
            return op.n * op.batch == _channels(before) and _elements(op) <= _elements(before)
        return _elements(op) == _elements(before) and not _pools(before)
    return _feeds(before, op)


def _feeds(before: Op, gemm: Gemm) -> bool:
    """Whether the activations of ``gemm`` are what ``before`` wrote."""
    if gemm.a_source != "activation" or _named(gemm) not in ("", before.layer):
        return False
    if gemm.role == "value" or gemm.w_source != "dram":  # attention
        return before.op == "softmax" and gemm.role == "value" and _input(gemm) == _elements(before)
    if before.op == "add" and gemm.role in ("qkv", "ffn"):
        return False
    if _pools(before):  # to an unknown number of pixels
        return gemm.k % before.n == 0 and gemm.m * gemm.k <= _elements(before)
    if isinstance(before, Gemm):
        if before.role == "qkv" or shares_input(before, gemm):
            return False
        if _input(before) == _elements(before) and (before.role, gemm.role) != ("value", "attn_out"):
            return False
    found = _IM2COL.match(gemm.note) if gemm.role == "conv" else None
    return _input(gemm) == _elements(before) and (found is None or int(found.group(1)) == _channels(before))


def _unmistakable(ops: Sequence[object], at: int, through: Sequence[int], reader: Gemm) -> bool:
    """Whether what the row ``at`` wrote is what comes to the reader, and not what a product beside it wrote."""
    producer, beside = ops[at], ops[at - 1] if at else None
    assert isinstance(producer, Gemm)
    if not isinstance(beside, Gemm) or (beside.m, beside.k, beside.batch) != (producer.m, producer.k, producer.batch):
        return True
    if beside.n != producer.n or beside.repeat != producer.repeat:
        return True
    return any(_of(ops, place).op in BINARY for place in through)


def _gate(ops: Sequence[object], at: int, through: Sequence[int], reader: Gemm) -> int | None:
    """Return the other first product of a gated MLP, if the row ``at`` is one: a ``mul`` joins their results."""
    if not at or not shares_input(ops[at - 1], ops[at]):
        return None
    beside, producer = ops[at - 1], ops[at]
    assert isinstance(beside, Gemm)
    assert isinstance(producer, Gemm)
    roles = (beside.role, producer.role, reader.role) == ("ffn", "ffn", "ffn")
    alike = (beside.n, beside.o_format) == (producer.n, producer.o_format)
    joined = [_of(ops, place).op for place in through if _of(ops, place).op in BINARY] == ["mul"]
    return at - 1 if roles and alike and joined and not (at > 1 and shares_input(ops[at - 2], beside)) else None


def _others(ops: Sequence[object], mine: Sequence[int]) -> Iterator[int]:
    """Yield the rows that run after the first of ``mine``: those behind it, and those of its layer's next pass."""
    first = mine[0]
    repeat = _of(ops, first).repeat
    begin = first
    while repeat > 1 and begin and getattr(ops[begin - 1], "repeat", 1) == repeat:
        begin -= 1
    yield from (place for place in range(begin, len(ops)) if place not in mine)


def _may_read(ops: Sequence[object], place: int, sizes: set[int], made: set[str]) -> Literal["operand", "product", ""]:
    """Return how the row at ``place`` might read a tensor of ``sizes`` elements that is not that of the row before.

    ``made`` are the rows that wrote it and worked on it, of which a note may name one.
    """
    op = ops[place]
    named = _named(op)
    if named and isinstance(op, Gemm):
        return "product" if named in made else ""
    if named and isinstance(op, VectorOp) and op.op in BINARY:
        return "operand" if named in made else ""
    if isinstance(op, VectorOp):
        if op.op in BINARY and _elements(op) in sizes:
            return "operand"
        free = op.op not in ("rope", "embedding") and not _explained(ops, place)
        return "operand" if free and (op.op == "maxpool" or _elements(op) in sizes) else ""
    if not isinstance(op, Gemm) or op.role in ("score", "value", "attn_out") or op.a_source == "dram":
        return ""  # attention reads queries, keys and values, and its projection what it made of them
    return "product" if not _explained(ops, place) and (_input(op) is None or _input(op) in sizes) else ""


def _explained(ops: Sequence[object], place: int) -> bool:
    """Whether the row at ``place``, or the first of the products that read the same, reads the row before it."""
    while place and shares_input(ops[place - 1], ops[place]):
        place -= 1
    return place > 0 and _linked(ops[place - 1], ops[place])


def _elements(op: Op) -> int:
    """Elements of the result, where pooling to an unknown size does not change them."""
    return op.m * op.n * op.batch


def _channels(op: Op) -> int:
    return op.n * op.batch


def _pools(op: Op) -> bool:
    return op.op == "avgpool"


def _input(gemm: Gemm) -> int | None:
    """Elements of the activations that ``gemm`` reads, each once; None where that is not known."""
    if gemm.role != "conv":
        return gemm.m * gemm.k * gemm.batch
    found = _IM2COL.match(gemm.note)
    if found is None:
        return None
    channels, height, width, kernel, kernel_width, stride, padding, padding_width = found.groups()
    sides = ((height, kernel, padding), (width, kernel_width or kernel, padding_width or padding))
    rows, columns = ((int(edge) + 2 * int(pad) - int(size)) // int(stride) + 1 for edge, size, pad in sides)
    images, rest = divmod(gemm.m, rows * columns) if min(rows, columns) > 0 else (0, 1)
    taps = int(channels) * int(kernel) * int(kernel_width or kernel)
    whole = images and not rest and gemm.k * gemm.batch == taps
    return images * int(channels) * int(height) * int(width) if whole else None
