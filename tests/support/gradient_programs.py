"""Gradients and optimizers over counted numbers: lists in, list of gradients out; one call is one row."""

from __future__ import annotations

from tests.support.counted import Num, exp, larger, rsqrt

GELU_C, GELU_A, EPSILON = 0.7978845608028654, 0.044715, 1e-8


def softmax_backward(p, g):
    """``p`` are the results."""
    total = Num(0.0, p[0].tally)
    for a, b in zip(p, g, strict=True):
        total = total + a * b
    return [a * (b - total) for a, b in zip(p, g, strict=True)]


def rmsnorm_backward(x, g, weight, rstd, grad_weight):
    waiting, total = [], Num(0.0, x[0].tally)
    for i, (a, b) in enumerate(zip(x, g, strict=True)):
        normal, scaled = a * rstd, b * weight[i]
        total = total + normal * scaled
        grad_weight[i] = grad_weight[i] + b * normal
        waiting.append((normal, scaled))
    mean = total * (1 / len(x))
    return [(scaled - normal * mean) * rstd for normal, scaled in waiting]


def layernorm_backward(x, g, weight, rstd, center, grad_weight, grad_bias):
    waiting, products, sums = [], Num(0.0, x[0].tally), Num(0.0, x[0].tally)
    for i, (a, b) in enumerate(zip(x, g, strict=True)):
        normal, scaled = (a - center) * rstd, b * weight[i]
        products, sums = products + normal * scaled, sums + scaled
        grad_weight[i], grad_bias[i] = grad_weight[i] + b * normal, grad_bias[i] + b
        waiting.append((normal, scaled))
    product, mean = products * (1 / len(x)), sums * (1 / len(x))
    return [((scaled - mean) - normal * product) * rstd for normal, scaled in waiting]


def gelu_backward(x, g):
    out = []
    for a, b in zip(x, g, strict=True):
        square = a * a
        inner = a * (square * (2 * GELU_C * GELU_A) + 2 * GELU_C)
        # the factor 2 of the hyperbolic tangent is folded: r = 1/(exp + 1), tanh = 1 - 2r, 1 - tanh² = 4r(1 - r)
        r = 1.0 / (exp(inner) + 1.0)
        slope = square * (3 * GELU_C * GELU_A * 2) + 2 * GELU_C
        rest = 1.0 - r
        out.append((rest + a * (r * rest) * slope) * b)
    return out


def silu_backward(x, g):
    out = []
    for a, b in zip(x, g, strict=True):
        s = 1.0 / (exp(Num(-a.value, a.tally)) + 1.0)  # the sign belongs to the exponential
        out.append(s * (a * (1.0 - s) + 1.0) * b)
    return out


def relu_backward(x, g):
    return [Num(b.value if larger(a, 0.0).value > 0 else 0.0, a.tally) for a, b in zip(x, g, strict=True)]


def relu2_backward(x, g):
    return [(larger(a, 0.0) * b) << 1 for a, b in zip(x, g, strict=True)]


def tanh_backward(t, g):
    """``t`` are the results."""
    return [(1.0 - a * a) * b for a, b in zip(t, g, strict=True)]


def mul_backward(a, b, g):
    return [y * z for y, z in zip(b, g, strict=True)], [x * z for x, z in zip(a, g, strict=True)]


def _divided(a, b):
    return a._do("div", a.value / b.value)


def adam(w, g, m, v, step, b1=0.9, b2=0.999):
    out = []
    for i in range(len(w)):
        m[i] = m[i] * b1 + g[i] * (1 - b1)
        v[i] = v[i] * b2 + (g[i] * g[i]) * (1 - b2)
        root = v[i] * rsqrt(v[i])
        out.append(w[i] - _divided(m[i], root + EPSILON) * step)
    return out


def sgd_momentum(w, g, m, step, b=0.9):
    for i in range(len(w)):
        m[i] = m[i] * b + g[i]
    return [a - c * step for a, c in zip(w, m, strict=True)]


def sgd(w, g, step):
    return [a - b * step for a, b in zip(w, g, strict=True)]
