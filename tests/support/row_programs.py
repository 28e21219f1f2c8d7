"""Softmax, norms and I-ViT's programs as plain loops over counted numbers."""

from __future__ import annotations

import math

from tests.support.counted import Num, exp, larger, rounded_mean, rsqrt, split_exp


def _maximum(x):
    top = Num(-math.inf, x.tally)
    for i in range(len(x)):
        top = larger(top, x.load(i))
    return top


def held(x, out):
    top, total, waiting = _maximum(x), Num(0.0, x.tally), []
    for i in range(len(x)):
        waiting.append(exp(x.load(i) - top))
        total = total + waiting[-1]
    share = 1.0 / total
    for i, e in enumerate(waiting):
        out.store(i, e * share)


def three_pass_recompute(x, out):
    top, total = _maximum(x), Num(0.0, x.tally)
    for i in range(len(x)):
        total = total + exp(x.load(i) - top)
    share = 1.0 / total
    for i in range(len(x)):
        out.store(i, exp(x.load(i) - top) * share)


def three_pass_reload(x, out):
    top, total = _maximum(x), Num(0.0, x.tally)
    for i in range(len(x)):
        e = exp(x.load(i) - top)
        out.store(i, e)
        total = total + e
    share = 1.0 / total
    for i in range(len(x)):
        out.store(i, out.load(i) * share)


def two_pass(x, out):
    total, top = Num(0.0, x.tally), Num(-1000, x.tally)
    for i in range(len(x)):
        m, n = split_exp(x.load(i))
        larger_n = larger(top, n)
        total = (m << (n - larger_n)) + (total << (top - larger_n))
        top = larger_n
    share = 1.0 / total
    for i in range(len(x)):
        m, n = split_exp(x.load(i))
        out.store(i, (m * share) << (n - top))


def online(x, out):
    top, total = Num(-math.inf, x.tally), Num(0.0, x.tally)
    for i in range(len(x)):
        v = x.load(i)
        new = larger(top, v)
        total = total * exp(top - new) + exp(v - new)
        top = new
    share = 1.0 / total
    for i in range(len(x)):
        out.store(i, exp(x.load(i) - top) * share)


def fused(x, out, block, values=None):
    """Blocks of a row under a running maximum; ``values`` makes the product that is rescaled and divided."""
    top, total, product = Num(-math.inf, x.tally), Num(0.0, x.tally), 0.0
    for start in range(0, len(x), block):
        at = range(start, min(start + block, len(x)))
        row = [x.load(i) for i in at]
        highest, part = Num(-math.inf, x.tally), Num(0.0, x.tally)
        for v in row:
            highest = larger(highest, v)
        new = larger(top, highest)
        correction = exp(top - new)
        top = new
        product *= correction.value
        for i, v in zip(at, row, strict=True):
            e = exp(v - top)
            out.store(i, e)
            part = part + e
            product += e.value * values[i] if values else 0.0
        total = total * correction + part
    return product / total.value


def rmsnorm(x, out):
    total = Num(0.0, x.tally)
    for i in range(len(x)):
        v = x.load(i)
        total = total + v * v
    scale = rsqrt(total * (1 / len(x)) + 1e-6)
    for i in range(len(x)):
        out.store(i, x.load(i) * scale * 1.0)


def shift_exp(x, step, n):
    x0 = math.floor(-1 / step)
    x = x + (x >> 1) - (x >> 4)
    x = larger(x, n * x0)
    q = x // x0
    r = x - q * x0
    return ((r - 2 * x0) << (n - q)) >> 1


LARGEST = 2**31 - 1


def shiftmax(x, out, step):
    top = Num(-(2**31), x.tally)
    for i in range(len(x)):
        top = larger(top, x.load(i))
    total, waiting = Num(0, x.tally), []
    for i in range(len(x)):
        waiting.append(shift_exp(x.load(i) - top, step, 15))
        total = total + waiting[-1]
    factor = LARGEST // total
    for i, e in enumerate(waiting):
        out.store(i, (e * factor) >> 24)


def shiftgelu(x, out, step):
    top = Num(-(2**31), x.tally)
    for i in range(len(x)):
        top = larger(top, x.load(i))
    zero = shift_exp(-top, step * 1.702, 23)
    for i in range(len(x)):
        v = x.load(i)
        own = shift_exp(v - top, step * 1.702, 23)
        sigmoid = (own * (LARGEST // (own + zero))) >> 24
        out.store(i, v * sigmoid)


def i_layernorm(x, out):
    total = Num(0, x.tally)
    for i in range(len(x)):
        total = total + x.load(i)
    mean = rounded_mean(total, len(x))
    squares, centred = Num(0, x.tally), []
    for i in range(len(x)):
        centred.append(x.load(i) - mean)
        squares = squares + centred[-1] * centred[-1]
    root = Num(1 << 16, x.tally)
    for _ in range(10):
        root = (root + squares // root) >> 1
    factor = LARGEST // root
    for i, c in enumerate(centred):
        out.store(i, ((factor * c) >> 1) + 0)


def hadamard(x, out):
    """Butterflies over the whole row, not normalised."""
    row, stage = [x.load(i) for i in range(len(x))], 1
    while stage < len(row):
        for start in range(0, len(row), 2 * stage):
            for i in range(start, start + stage):
                row[i], row[i + stage] = row[i] + row[i + stage], row[i] - row[i + stage]
        stage *= 2
    for i, v in enumerate(row):
        out.store(i, v)
