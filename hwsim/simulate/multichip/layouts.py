"""Where results lie on several chips, and which message brings them to where the next operation needs them.

A result is ``whole`` on every chip, or each chip has some of its ``rows`` (m), ``columns`` (n, which is k of
the next product), ``instances`` (batch), or ``sums`` of its own that belong together. :data:`MESSAGES` says
what follows from where results lie and where they are needed; no other rule decides of messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import lcm
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["whole", "rows", "columns", "instances", "sums"]
Collective = Literal["", "all_reduce", "all_gather", "broadcast", "all_to_all"]

#: From where results lie to where they are needed. Where both are cut alike, see :func:`message_between`.
MESSAGES: dict[tuple[Layout, Layout], Collective] = {
    ("whole", "whole"): "",
    ("whole", "rows"): "",
    ("whole", "columns"): "",
    ("whole", "instances"): "",
    ("rows", "whole"): "all_gather",
    ("rows", "rows"): "all_to_all",
    ("rows", "columns"): "all_to_all",
    ("rows", "instances"): "all_to_all",
    ("columns", "whole"): "all_gather",
    ("columns", "rows"): "all_to_all",
    ("columns", "columns"): "all_to_all",
    ("columns", "instances"): "all_to_all",
    ("instances", "whole"): "all_gather",
    ("instances", "rows"): "all_to_all",
    ("instances", "columns"): "all_to_all",
    ("instances", "instances"): "all_to_all",
    ("sums", "whole"): "all_reduce",
}


@dataclass(frozen=True)
class Part:
    """What each chip has or needs of a tensor: ``sizes`` along the loop that is cut, of the first chips of the ring."""

    layout: Layout
    sizes: tuple[int, ...] = ()

    def bounds(self, length: int) -> tuple[int, ...]:
        """Return where parts end, in units of 1 / ``length`` of the whole."""
        whole = sum(self.sizes)
        return tuple(end * length // whole for end in accumulate(self.sizes))


WHOLE = Part("whole")


def common_length(have: Part, need: Part) -> int:
    """Return a length of which the ends of all parts of both are whole numbers."""
    return lcm(sum(have.sizes), sum(need.sizes))


def message_between(have: Part, need: Part) -> Collective:
    """Return the message that brings a tensor from ``have`` to ``need``; nothing where each chip has its part."""
    if have.layout == need.layout:
        length = common_length(have, need) if have.sizes else 1
        if not have.sizes or have.bounds(length) == need.bounds(length):
            return ""
    found = MESSAGES[have.layout, need.layout]
    return "broadcast" if need.layout == "whole" and len(have.sizes) == 1 else found


@dataclass(frozen=True)
class Exchange:
    """An all-to-all in units of 1 / ``of`` of the tensor.

    ``link`` crosses the busiest link, ``hops`` are all units times the links that they cross, ``moved`` change
    chips, ``port`` leave and reach the chip that handles most.
    """

    of: int
    link: int
    hops: int
    moved: int
    port: int


@lru_cache(maxsize=256)
def exchange(have: Part, need: Part, chips: int) -> Exchange:
    """Return what goes round the ring, either way, whichever is shorter (forward where both are)."""
    length = common_length(have, need) if have.layout == need.layout else 1
    own, wanted = (_ends(part, length, chips) for part in (have, need))

    def shares(step: int) -> NDArray[np.int64]:
        """Return what each chip has for the one ``step`` further."""
        (low, high), (from_, to) = own, (np.roll(edge, -step) for edge in wanted)
        if have.layout != need.layout:  # every row has a piece in every column
            return np.asarray((high - low) * (to - from_))
        return np.asarray(np.maximum(np.minimum(high, to) - np.maximum(low, from_), 0))

    of = length if have.layout == need.layout else sum(have.sizes) * sum(need.sizes)
    ports = np.zeros(chips, dtype=np.int64)
    links = {True: np.zeros(chips, dtype=np.int64), False: np.zeros(chips, dtype=np.int64)}
    hops = moved = 0
    for step in range(1, chips):
        going = shares(step)
        forward, far = (True, step) if step <= chips // 2 else (False, chips - step)
        links[forward] += _over_links(going if forward else going[::-1], far)
        ports += going + np.roll(going, step)
        moved += int(going.sum())
        hops += far * int(going.sum())
    return Exchange(of, int(max(load.max() for load in links.values())), hops, moved, int(ports.max()))


def _ends(part: Part, length: int, chips: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the part of each chip begins and ends."""
    whole = length if length > 1 else sum(part.sizes)
    ends = part.bounds(whole)
    ends += (whole,) * (chips - len(ends))
    return np.array((0, *ends[:-1]), dtype=np.int64), np.array(ends, dtype=np.int64)


def _over_links(going: NDArray[np.int64], far: int) -> NDArray[np.int64]:
    """Return what crosses each link of the ring where each chip sends ``going`` over ``far`` links."""
    total = np.concatenate(([0], np.cumsum(np.concatenate((going, going)))))
    chips = len(going)
    return np.asarray(total[chips + 1 :] - total[chips + 1 - far : 2 * chips + 1 - far])
