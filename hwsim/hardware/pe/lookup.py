"""Tables of partial sums: how weights index them, what they hold, what it takes to fill them.

A group of g activations shares a table of the sums that one bit of each of the g weights can ask
for. Two kinds:

* **full**: 2^g sums of subsets, Σ b_k a_k with b_k in {0, 1};
* **symmetric**: 2^(g-1) sums Σ ±a_k, the other half being their negatives (LUT Tensor Core, arXiv
  2408.06003; FIGLUT, arXiv 2503.06862). An n-bit weight q is read again as the odd number
  q' = 2q - (2^n - 1), whose bits are all ±1, so that q = (q' + c) / 2 with a constant c (q signed:
  -1, unsigned: 2^n - 1; bipolar formats are odd numbers already). The c goes with the sum of the
  activations, which is the entry of all ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Integer, parse_format

#: Formats whose n-bit codes are the odd numbers -(2^n - 1) … 2^n - 1.
BIPOLAR = ("binary", "bipolar2", "bipolar3", "bipolar4")
#: Adds two arrays of operands, rounding as the adders of a table do.
Add = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Planes:
    """A weight format as bit planes: value = (Σ sign_j 2^j d_j + constant) / divisor.

    ``d_j`` is ±1 for symmetric tables and 0 or 1 for full ones; ``flip`` is XORed onto codes;
    ``sign_j`` is -1 for the top plane where ``negative_top``, else 1.
    """

    bits: int
    flip: int
    constant: int
    divisor: int
    negative_top: bool

    def digits(self, codes: NDArray[Any], plane: int) -> NDArray[np.int64]:
        """Return bit ``plane`` of ``codes``, 0 or 1."""
        return ((np.asarray(codes, dtype=np.int64) ^ self.flip) >> plane) & 1

    def weight(self, plane: int) -> int:
        """Return what plane ``plane`` counts."""
        return -(1 << plane) if self.negative_top and plane == self.bits - 1 else 1 << plane


def weight_planes(fmt: Format, symmetric: bool) -> Planes | None:
    """Return how tables read weights of ``fmt``; None where they cannot.

    Integers of any width, ternary (two's complement) and, for symmetric tables, bipolar formats.
    """
    element, bits = fmt.element, fmt.element.bits
    if element.name in BIPOLAR and element == parse_format(element.name):
        return Planes(bits, 0, 0, 1, False) if symmetric else None
    ternary = element == parse_format("ternary")
    if not ternary and type(element) is not Integer:
        return None
    signed = ternary or (isinstance(element, Integer) and element.signed)
    if not symmetric:
        return Planes(bits, 0, 0, 1, signed)
    return Planes(bits, 1 << (bits - 1), -1, 2, False) if signed else Planes(bits, 0, (1 << bits) - 1, 2, False)


def group_sizes(lanes: int, k: int) -> tuple[int, ...]:
    """Return how many activations each table of a step covers: ``k``, the last one what is left."""
    return (k,) * (lanes // k) + ((lanes % k,) if lanes % k else ())


def entries(group: int, symmetric: bool) -> int:
    """Return the words of a table of ``group`` activations."""
    return 1 << (group - 1 if symmetric else group)


def halves(group: int) -> tuple[int, int]:
    """Return how a generator splits a group: its upper and its lower half."""
    return -(-group // 2), group // 2


def tree_sum(terms: NDArray[Any], add: Add) -> NDArray[Any]:
    """Return the sum of ``terms`` over the last axis as generators form it: halves first."""
    size = terms.shape[-1]
    if size == 1:
        return np.asarray(terms[..., 0])
    high = halves(size)[0]
    return add(tree_sum(terms[..., :high], add), tree_sum(terms[..., high:], add))


def generator_adders(group: int, symmetric: bool, mirrored: bool = True) -> dict[int, int]:
    """Return the adders that fill a table, by how many activations their results cover.

    Symmetric tables join the sums of two halves, each of which is generated once: the upper one
    with one sign fixed, the lower one with all signs, half of which are free negations where
    ``mirrored``. FIGLUT forms them all: 14 adders for four activations (III-E), 42 % fewer than the 24
    of separate sums. A full table adds one activation to a smaller subset for each word: 2^g - 1 - g.
    """
    if group == 1:
        return {}
    if not symmetric:
        return {size: math.comb(group, size) for size in range(2, group + 1)}
    high, low = halves(group)
    found = dict(generator_adders(high, True, mirrored))
    for size, count in generator_adders(low, True, mirrored).items():
        found[size] = found.get(size, 0) + count * (1 if mirrored else 2)
    found[group] = found.get(group, 0) + (1 << (group - 1))
    return found
