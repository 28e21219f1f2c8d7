"""Fused attention in which array and vector unit work at the same time, on different blocks.

A block is a query tile and a key tile. Taking turns, the array waits for every softmax. As FlashAttention-3 does on
GPUs (Shah et al., arXiv 2407.08608, section 3: ping-pong between query tiles, and a softmax beside the products of
its neighbours), blocks are worked on in three stages here, across query tiles, and across heads where each is one
tile: while the vector unit makes the softmax of block t - 1, the array multiplies the values of block t - 2 and
the scores of block t. A stage ends when both are done:

* the array takes both products, one after the other;
* the vector unit makes the softmax; when it is done *and* the values of block t - 2 are added, it rescales these
  sums for block t - 1, or normalizes them if they are complete.

So a run takes the longer of both per stage, and the first score and the last value alone. Operands come when they
are used: a stage loads the keys of block t and the values of block t - 2. The price is room: scores and
probabilities of two blocks at a time. What is done, counted and moved is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hwsim.simulate.schedule import Cycles, Node, Repeat, Step


@dataclass(frozen=True)
class Block:
    """One kind of block: cycles of its products and of the vector unit, bits that it moves.

    ``after`` are the vector unit's cycles between the values before and those of this block, ``ends`` those behind
    its own values.
    """

    score: Cycles
    softmax: int
    after: int
    value: Cycles
    ends: int
    score_bits: int
    value_bits: int
    store_bits: int
    first: bool


#: Returns the block of a query tile and a key tile, by their numbers.
BlockOf = Callable[[int, int], Block]


def stage(value: Block | None, softmax: Block | None, score: Block | None) -> Step:
    """Return the stage in which these blocks are at their values, softmax and scores."""
    products = (value.value if value else 0) + (score.score if score else 0)
    ready = max(softmax.softmax if softmax else 0, value.value if value else 0)
    vector = ready + (value.ends if value else 0) + (softmax.after if softmax else 0)
    return Step(
        load_bits=(score.score_bits if score else 0) + (value.value_bits if value else 0),
        compute_cycles=max(products, vector),
        store_bits=value.store_bits if value else 0,
        opens=value is not None and value.first,
        reloads=False,
    )


def stages(rows: int, keys: int, block_of: BlockOf) -> tuple[Node, ...]:
    """Return the run-length-coded stages of ``rows`` × ``keys`` blocks, key tiles inside.

    Blocks of query tiles between the first and the last are alike, and of key tiles as well.
    """

    def at(place: int) -> Block | None:
        return block_of(*divmod(place, keys)) if 0 <= place < rows * keys else None

    def one(place: int) -> Step:
        return stage(at(place - 2), at(place - 1), at(place))

    def row(number: int) -> Iterator[Node]:
        """A stage looks two blocks back: from the fourth key tile to the last but one all are alike."""
        begin = number * keys
        for key in range(min(keys, 3)):
            yield one(begin + key)
        if keys > 4:
            yield Repeat(keys - 4, (one(begin + 3),))
        if keys > 3:
            yield one(begin + keys - 1)

    body: list[Node] = []
    for number in range(min(rows, 4)):
        body.extend(row(number))
    if rows > 5:
        body.append(Repeat(rows - 5, tuple(row(4))))
    if rows > 4:
        body.extend(row(rows - 1))
    return (*body, one(rows * keys), one(rows * keys + 1))
