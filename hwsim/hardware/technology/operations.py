"""Scalar operations of a vector unit: their parts, and how division and exponentials are made of them.

``add``, ``mul`` and ``cmp`` are datapaths. ``div`` and ``exp`` are short programs on them:

- division by Newton-Raphson with the linear seed ``48/17 - 32/17 d``, whose relative error is at most
  1/17; every iteration ``x += x (1 - d x)`` squares it; a last product gives the quotient.
- ``exp(x) = 2^k exp(r)`` with ``|r| <= ln2 / 2`` and a polynomial of the smallest degree d whose
  near-minimax error ``2 (ln2/4)^(d+1) / (d+1)!`` (Chebyshev truncation) is below half a unit of the
  result; one product finds k, one multiply-add finds r, k is added to the exponent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from hwsim.formats import Format, Integer, Minifloat
from hwsim.hardware.circuits import (
    Adder,
    Comparator,
    Multiplier,
    Part,
    float_addition,
    float_product,
)
from hwsim.spec.errors import UsageError, did_you_mean

DATAPATHS = ("add", "mul", "cmp")
OPERATIONS = (*DATAPATHS, "div", "exp")

#: Relative error of the linear seed of a reciprocal (Newton-Raphson division, textbook bound).
SEED_ERROR = 1 / 17


def significand_bits(fmt: Format) -> int:
    """Return the bits that a result of this format resolves."""
    element = fmt.element
    return element.sig_bits if isinstance(element, Minifloat) else element.bits


@lru_cache(maxsize=256)
def operation_counts(op: str, fmt: Format) -> Mapping[str, int]:
    """Return how often ``op`` uses each datapath (``add``, ``mul``, ``cmp``).

    Raises
    ------
    UsageError
        If the operation is unknown.
    """
    if op in DATAPATHS:
        return {op: 1}
    bits = significand_bits(fmt)
    if op == "div":
        rounds = math.ceil(math.log2((bits + 1) / -math.log2(SEED_ERROR)))
        return {"mul": 2 + 2 * max(rounds, 0), "add": 1 + 2 * max(rounds, 0)}
    if op == "exp":
        degree = 1
        while 2 * (math.log(2) / 4) ** (degree + 1) / math.factorial(degree + 1) > 2.0 ** -(bits + 1):
            degree += 1
        return {"mul": 2 + degree, "add": 2 + degree}
    raise UsageError(f"unknown operation {op!r}; {did_you_mean(op, OPERATIONS)}")


def operation_parts(op: str, fmt: Format) -> tuple[tuple[Part, ...], str]:
    """Return the parts of the datapath for ``add``, ``mul`` or ``cmp`` and its glitch family.

    Raises
    ------
    UsageError
        If the format is neither an integer nor a minifloat.
    """
    element = fmt.element
    if op == "cmp":
        return (Part("comparator", "control", Comparator(element.bits)),), "integer_add"
    if isinstance(element, Integer):
        if op == "add":
            return (Part("adder", "accumulator", Adder(element.bits)),), "integer_add"
        return (Part("multiplier", "multiplier", Multiplier(element.bits, element.bits)),), "integer_multiply"
    if not isinstance(element, Minifloat):
        raise UsageError(f"no {op} datapath for {fmt.name}; valid: integers and minifloats")
    sig, exponent = element.sig_bits, element.exponent_bits
    if op == "add":
        return float_addition(exponent, sig, sig), "float_add"
    multiplier = Part("significand multiplier", "multiplier", Multiplier(sig, sig))
    return (multiplier, *float_product(exponent, sig)), "float_multiply"
