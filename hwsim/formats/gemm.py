"""What quantization, a narrow accumulator and an approximate multiplier do to the result of a GEMM.

``O[M, N] = A[M, K] · W[K, N]``, both operands quantized with their blocks along K. The sums run as
hardware runs them, over elements, with the scales outside:

* Where a block ends in either operand, K is cut. In each piece element products are added up from
  zero; after every ``chunk`` products the accumulator rounds. A chunk never crosses a cut.
* ``chunk=1`` rounds after every addition, as a PE with one accumulator does; a PE with an adder
  tree of L lanes in front of it has ``chunk=L``. Within a chunk sums are those of float64.
* A float accumulator rounds to nearest even and saturates. An integer one wraps, as two's
  complement and hwsim's integer PEs do; it takes integer elements only.
* The sum of a piece times its scales is added to the result of the earlier pieces: in the float
  accumulator's own format, or in FP32 behind an integer accumulator. One piece alone stays as it is.
* ``accumulator=None`` sums in float64 and rounds nothing else: the error of the formats alone.

Plain elements have one scale per row of A and per column of W, as :func:`~hwsim.formats.accuracy.fitted_quantize`
sets them; floats of more than 8 bits have none, as in hardware: scaled to the largest value of bf16,
products would overflow FP32. Formats whose elements cannot be told from their scales (BitMoD, complex) are
summed dequantized. Elements of asymmetric formats count from their zero point.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.accuracy import Loss, fitted_quantize, fitted_scale, loss
from hwsim.formats.approximate import check_operand, multiply
from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.distributions import sample
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat, minifloat
from hwsim.formats.sums import add_rounded, wrapped
from hwsim.spec.errors import UsageError

Array = NDArray[np.float64]

#: M and N of the GEMM that stands for a distribution; K is the row length of its sample.
NAMED_ROWS = 64
#: Floats wider than this have exponents enough without a scale.
UNSCALED_ABOVE = 8
#: What sums of scaled sums are kept in behind an integer accumulator.
SCALED_SUMS = minifloat(8, 23, "fp32")


class Operand(NamedTuple):
    """A quantized matrix, K last: ``elements · scales`` are its values.

    ``scales`` has the shape of ``elements``, or one column where a row has one scale; ``block``
    says how many elements along K share one, None a whole row.
    """

    fmt: Format
    elements: Array
    scales: Array
    block: int | None

    @property
    def values(self) -> Array:
        """The dequantized matrix."""
        return self.elements * self.scales


class _Products(NamedTuple):
    """Element products of a stretch of K, summed: ``of(slice)`` has the shape (M, N)."""

    a: NDArray[Any]  # (M, K), codes where there is a multiplier
    w: NDArray[Any]  # (N, K)
    multiplier: str | None
    element: Any

    def of(self, span: slice) -> Array:
        a, w = self.a[:, span], self.w[:, span]
        if self.multiplier is None:
            return np.asarray(a @ w.T)
        total = np.zeros((len(a), len(w)))
        for x, y in zip(a.T, w.T, strict=True):
            total += multiply(self.multiplier, self.element, x[:, None], y[None, :])
        return total


def quantized(fmt: Format, x: NDArray[Any]) -> Operand:
    """Return ``x`` of shape (rows, K) as elements and scales of ``fmt``, blocks along K."""
    given = np.asarray(x, dtype=np.float64)
    if isinstance(fmt, Scaled):
        elements, scales = fmt.factors(given)
        return Operand(fmt, elements, scales if fmt.block_size else scales[:, :1], fmt.block_size)
    if fmt.element.complex_valued:  # pairs along a row, with the scales of the tensor
        return Operand(fmt, fitted_quantize(fmt, given), np.ones((len(given), 1)), None)
    wide = isinstance(fmt, Minifloat) and fmt.bits > UNSCALED_ABOVE
    found = None if wide else fitted_scale(fmt, given)
    scales = np.ones((len(given), 1)) if found is None else found
    return Operand(fmt, np.asarray(fmt.quantize(given / scales)), scales, None)


def gemm(
    a: NDArray[Any],
    w: NDArray[Any],
    a_format: Format,
    w_format: Format,
    accumulator: ElementFormat | None = None,
    chunk: int = 1,
    multiplier: str | None = None,
) -> Array:
    """Return the product of ``a`` and ``w`` as quantized hardware computes it.

    Parameters
    ----------
    a
        Activations, shape (M, K).
    w
        Weights, shape (K, N).
    a_format, w_format
        Formats of both; blocks run along K.
    accumulator
        Format of the running sum (see the module): a float such as ``bf16``, an integer such as
        ``int16``, or None for float64.
    chunk
        Products along K that are added before the accumulator rounds.
    multiplier
        A name of :data:`hwsim.formats.approximate.MULTIPLIERS`, or None for exact products. Both
        formats must then have the same element, a float.

    Returns
    -------
    numpy.ndarray
        float64 of shape (M, N).

    Raises
    ------
    UsageError
        If shapes do not fit, ``chunk`` is below one, or the accumulator or multiplier cannot
        work on these formats.
    ValueError
        If a value is NaN and a format has no code for it.
    """
    if np.ndim(a) != 2 or np.ndim(w) != 2 or np.shape(a)[1] != np.shape(w)[0]:
        raise UsageError(f"shapes {np.shape(a)} and {np.shape(w)}: valid: (M, K) and (K, N)")
    if chunk < 1:
        raise UsageError(f"chunk {chunk}: valid: 1 product or more")
    left, right = quantized(a_format, a), quantized(w_format, np.asarray(w).T)
    if accumulator is None and multiplier is None:
        return np.asarray(left.values @ right.values.T)
    products = _products(left, right, multiplier)
    unit = _unit(left, right, accumulator)
    out = np.zeros((len(left.elements), len(right.elements)))
    cuts = _cuts(left, right)
    for low, high in pairwise(cuts):
        total = _piece(products, range(low, high), out.shape, accumulator, chunk, unit)
        scaled = total * _scale_at(left, low) * _scale_at(right, low).T
        out = scaled if len(cuts) == 2 else _add(accumulator, out, scaled)
    return out


def gemm_loss(
    a: NDArray[Any],
    w: NDArray[Any],
    a_format: Format,
    w_format: Format,
    accumulator: ElementFormat | None = None,
    chunk: int = 1,
    multiplier: str | None = None,
) -> Loss:
    """Return how far :func:`gemm` is from the float64 product of the original matrices; same parameters."""
    exact = np.asarray(a, dtype=np.float64) @ np.asarray(w, dtype=np.float64)
    return loss(exact, gemm(a, w, a_format, w_format, accumulator, chunk, multiplier))


@lru_cache(maxsize=1024)
def named_gemm_loss(
    a_format: Format,
    w_format: Format,
    a_distribution: str = "gaussian",
    w_distribution: str = "gaussian",
    accumulator: ElementFormat | None = None,
    chunk: int = 1,
    multiplier: str | None = None,
) -> Loss:
    """Return :func:`gemm_loss` of named distributions; the same every time, kept once computed.

    The operands are the first and the last :data:`NAMED_ROWS` rows of the samples of
    :mod:`hwsim.formats.distributions`, 64 × 4096 × 64, so that nothing is drawn anew.

    Raises
    ------
    UsageError
        As :func:`gemm`, or if a distribution is unknown.
    """
    a, w = sample(a_distribution)[:NAMED_ROWS], sample(w_distribution)[-NAMED_ROWS:].T
    return gemm_loss(a, w, a_format, w_format, accumulator, chunk, multiplier)


def _products(left: Operand, right: Operand, multiplier: str | None) -> _Products:
    """Return the elements to multiply: their values, or their codes where a multiplier takes fields."""
    if multiplier is None:
        return _Products(left.elements, right.elements, None, None)
    element = check_operand(multiplier, left.fmt.element)
    if right.fmt.element != element:
        raise UsageError(
            f"multiplier {multiplier}: {left.fmt.name} × {right.fmt.name}: valid: elements of one format on both sides"
        )
    return _Products(element.encode(left.elements), element.encode(right.elements), multiplier, element)


def _unit(left: Operand, right: Operand, accumulator: ElementFormat | None) -> float:
    """Return what one step of the accumulator is worth in element products: not 1 for integers with a factor."""
    if not isinstance(accumulator, Integer):
        if accumulator is not None and not isinstance(accumulator, ElementFormat):
            raise UsageError(f"accumulator {accumulator.name}: valid: formats without blocks, such as fp32, int24")
        return 1.0
    elements = (left.fmt.element, right.fmt.element)
    minima = any(isinstance(side.fmt, SuperBlock) and side.fmt.asymmetric for side in (left, right))
    if minima or not all(isinstance(element, Integer) for element in elements):
        names = f"{left.fmt.name} × {right.fmt.name}"
        raise UsageError(
            f"accumulator {accumulator.name} of {names}: valid: a float, such as fp32; or integer operands"
        )
    return float(np.prod([element.last_place for element in elements if isinstance(element, Integer)]))


def _cuts(left: Operand, right: Operand) -> list[int]:
    """Return 0, K and every place along K where a scale of either operand changes."""
    length = left.elements.shape[1]
    blocks = {operand.block or max(length, 1) for operand in (left, right)}
    return sorted({length, *(start for block in blocks for start in range(0, length, block))})


def _scale_at(operand: Operand, k: int) -> Array:
    """Return the scales in force at ``k``, shape (rows, 1)."""
    return operand.scales[:, :1] if operand.block is None else operand.scales[:, k : k + 1]


def _piece(
    products: _Products,
    span: range,
    shape: tuple[int, ...],
    accumulator: ElementFormat | None,
    chunk: int,
    unit: float,
) -> Array:
    """Return the accumulator after the products of ``span``, a chunk at a time."""
    total: Array = np.zeros(shape)
    step = chunk if accumulator is not None else len(span)
    for low in range(span.start, span.stop, step):
        term = products.of(slice(low, min(low + step, span.stop)))
        if isinstance(accumulator, Integer):
            whole = np.rint(total / unit).astype(np.int64) + np.rint(term / unit).astype(np.int64)
            total = np.asarray(wrapped(whole, accumulator.bits) * unit)
        else:
            total = term if accumulator is None else add_rounded(accumulator, total, term)
    return total


def _add(accumulator: ElementFormat | None, out: Array, scaled: Array) -> Array:
    """Return the results so far and one more scaled sum."""
    if accumulator is None:
        return out + scaled
    return add_rounded(SCALED_SUMS if isinstance(accumulator, Integer) else accumulator, out, scaled)
