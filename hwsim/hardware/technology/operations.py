"""Scalar operations of a vector unit: their parts, and how divisions, roots and exponentials are made of them.

``add``, ``mul`` and ``cmp`` are datapaths, and so is ``shift``, a product by a power of two: a shifter for
integers, the adder of exponents for floats, which their multiplier has. The others are short programs:

- division by Newton-Raphson with the linear seed ``48/17 - 32/17 d``, whose relative error is at most
  1/17; every iteration ``x += x (1 - d x)`` squares it; a last product gives the quotient.
- ``exp(x) = 2^k exp(r)`` with ``|r| <= ln2 / 2`` and a polynomial of the smallest degree d whose
  near-minimax error ``2 (ln2/4)^(d+1) / (d+1)!`` (Chebyshev truncation) is below half a unit of the
  result; one product finds k, one multiply-add finds r, k is added to the exponent.
- ``exp_rational``: k and r as above, then the ten operations of :mod:`hwsim.hardware.functions.rational`.
- ``rsqrt`` by Newton's method on m in [1, 4) (an exponent is halved by wiring): the seed ``a + b m`` with the
  smallest relative error, :data:`ROOT_SEED_ERROR`; ``d / 2`` once, then ``y (1.5 - d/2 y y)`` per round, 3 mul
  and 1 add, which takes an error e to ``1.5 e^2 + 0.5 e^3``.
- ``idiv``, the whole quotient of integers: restoring division, a trial subtraction per bit of the quotient;
  shifting the remainder and choosing are wiring and a multiplexer, which are not priced.
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
    Shifter,
    float_addition,
    float_product,
)
from hwsim.spec.errors import UsageError, did_you_mean

#: What every lane has.
DATAPATHS = ("add", "mul", "cmp")
#: Operations of every format, and of integers alone.
OPERATIONS = (*DATAPATHS, "shift", "div", "exp", "exp_rational", "rsqrt")
INTEGER_OPERATIONS = ("idiv",)

#: Programs for exp, by the names of architecture files.
EXP_PROGRAMS = {"polynomial": "exp", "rational": "exp_rational"}

#: Relative error of the linear seed of a reciprocal (Newton-Raphson division, textbook bound).
SEED_ERROR = 1 / 17

#: Relative error of the best linear seed of 1/sqrt(m) on [1, 4). Derived: (a + b m) sqrt(m) is equal at both ends
#: if a = -7 b, and has its maximum at m = 7/3; b makes both errors equal.
ROOT_SEED_ERROR = (14 / 3 * math.sqrt(7 / 3) - 6) / (14 / 3 * math.sqrt(7 / 3) + 6)

#: The ten operations of the rational exp (:mod:`hwsim.hardware.functions.rational`), as many as in arXiv 2312.08472.
RATIONAL_EXP = {"add": 5, "mul": 4, "div": 1}


def significand_bits(fmt: Format) -> int:
    """Return the bits that a result of this format resolves."""
    element = fmt.element
    return element.sig_bits if isinstance(element, Minifloat) else element.bits


@lru_cache(maxsize=256)
def operation_counts(op: str, fmt: Format) -> Mapping[str, int]:
    """Return how often ``op`` uses each datapath (``add``, ``mul``, ``cmp``, ``shift``).

    Raises
    ------
    UsageError
        If the operation is unknown, or there is none in this format.
    """
    if op in (*DATAPATHS, "shift"):
        return {op: 1}
    if op in INTEGER_OPERATIONS:
        if not isinstance(fmt.element, Integer):
            raise UsageError(f"no {op} for {fmt.name}; valid: integers")
        return {"add": fmt.element.bits}
    bits = significand_bits(fmt)
    if op == "div":
        rounds = math.ceil(math.log2((bits + 1) / -math.log2(SEED_ERROR)))
        return {"mul": 2 + 2 * max(rounds, 0), "add": 1 + 2 * max(rounds, 0)}
    if op == "exp":
        degree = 1
        while 2 * (math.log(2) / 4) ** (degree + 1) / math.factorial(degree + 1) > 2.0 ** -(bits + 1):
            degree += 1
        return {"mul": 2 + degree, "add": 2 + degree}
    if op == "exp_rational":
        div = operation_counts("div", fmt)
        return {key: 2 + RATIONAL_EXP[key] + RATIONAL_EXP["div"] * div[key] for key in ("mul", "add")}
    if op == "rsqrt":
        rounds, error = 0, ROOT_SEED_ERROR
        while error > 2.0 ** -(bits + 1):
            rounds, error = rounds + 1, 1.5 * error**2 + 0.5 * error**3
        return {"mul": 2 + 3 * rounds, "add": 1 + rounds}
    raise UsageError(f"unknown operation {op!r}; {did_you_mean(op, (*OPERATIONS, *INTEGER_OPERATIONS))}")


def operation_parts(op: str, fmt: Format) -> tuple[tuple[Part, ...], str]:
    """Return the parts of the datapath for ``add``, ``mul``, ``cmp`` or ``shift`` and its glitch family.

    Raises
    ------
    UsageError
        If the format is neither an integer nor a minifloat.
    """
    element = fmt.element
    if op == "cmp":
        return (Part("comparator", "control", Comparator(element.bits)),), "integer_add"
    if isinstance(element, Integer):
        if op == "shift":
            return (Part("shifter", "alignment", Shifter(element.bits, element.bits)),), "shift_add"
        if op == "add":
            return (Part("adder", "accumulator", Adder(element.bits)),), "integer_add"
        return (Part("multiplier", "multiplier", Multiplier(element.bits, element.bits)),), "integer_multiply"
    if not isinstance(element, Minifloat):
        raise UsageError(f"no {op} datapath for {fmt.name}; valid: integers and minifloats")
    sig, exponent = element.sig_bits, element.exponent_bits
    if op == "shift":
        return (Part("exponent", "exponent", Adder(exponent)),), "integer_add"
    if op == "add":
        return float_addition(exponent, sig, sig), "float_add"
    multiplier = Part("significand multiplier", "multiplier", Multiplier(sig, sig))
    return (multiplier, *float_product(exponent, sig)), "float_multiply"
