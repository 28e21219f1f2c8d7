"""Numbers that count what is done with them, and tensors that count reads and writes: references for op counts."""

from __future__ import annotations

import math
from collections import Counter


class Num:
    """A number of one tally; divisions of whole numbers (``//``) count as ``idiv``, negations as additions."""

    def __init__(self, value, tally):
        self.value, self.tally = value, tally

    def _do(self, name, value):
        self.tally[name] += 1
        return Num(value, self.tally)

    def __add__(self, other):
        return self._do("add", self.value + plain(other))

    def __sub__(self, other):
        return self._do("add", self.value - plain(other))

    def __rsub__(self, other):
        return self._do("add", plain(other) - self.value)

    def __neg__(self):
        return self._do("add", -self.value)

    def __mul__(self, other):
        return self._do("mul", self.value * plain(other))

    def __rtruediv__(self, other):
        return self._do("div", plain(other) / self.value)

    def __floordiv__(self, other):
        return self._do("idiv", self.value // plain(other))

    def __rfloordiv__(self, other):
        return self._do("idiv", plain(other) // self.value)

    def __lshift__(self, other):
        by = int(plain(other))
        return self._do("shift", self.value << by if isinstance(self.value, int) else math.ldexp(self.value, by))

    def __rshift__(self, by):
        return self._do("shift", self.value >> by)


def plain(x):
    return x.value if isinstance(x, Num) else x


def larger(a, b):
    return a._do("cmp", max(a.value, plain(b)))


def exp(x):
    return x._do("exp", math.exp(x.value))


def split_exp(x):
    """exp as mantissa and exponent: one exponential whose last step is left out."""
    n = round(x.value / math.log(2))
    return x._do("exp", math.exp(x.value - n * math.log(2))), Num(n, x.tally)


def rsqrt(x):
    return x._do("rsqrt", x.value**-0.5)


def rounded_mean(total, n):
    """The mean of whole numbers to the nearest one: one division."""
    return total._do("idiv", round(total.value / n))


class Tensor:
    """A row in memory."""

    def __init__(self, values, tally):
        self.values, self.tally = list(values), tally

    def __len__(self):
        return len(self.values)

    def load(self, i):
        self.tally["reads"] += 1
        return Num(self.values[i], self.tally)

    def store(self, i, x):
        self.tally["writes"] += 1
        self.values[i] = x.value


def run(program, values, *more):
    """Return the row that ``program`` makes of ``values`` and its tally."""
    tally = Counter()
    out = Tensor([0] * len(values), tally)
    program(Tensor(values, tally), out, *more)
    return out.values, tally


def per_element_and_row(program, values, *more):
    """Return the tallies per element and per row: those of rows of n and of 2 n, which must be linear in n."""
    once = run(program, values, *more)[1]
    twice = run(program, [*values, *values], *more)[1]
    element, row = Counter(), Counter()
    for name in twice:
        element[name], rest = divmod(twice[name] - once[name], len(values))
        assert rest == 0
        row[name] = once[name] - element[name] * len(values)
    return +element, +row
