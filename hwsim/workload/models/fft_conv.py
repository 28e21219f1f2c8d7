"""Long convolution by Fourier transforms as dense products (FlashFFTConv, arXiv 2311.05908).

A transform of length ``N = N1·N2·…`` is one complex product with an ``Ni × Ni`` matrix per factor, with
twiddle factors between. A complex product is four real ones: rows of ``2·Ni`` reals with a
``2·Ni × 2·Ni`` matrix. Forward and inverse transform, the kernel's spectrum being known, take
``16·N·ΣNi`` floating-point operations per sequence and channel (8 per complex product, 2 transforms).

A file of hwsim's own: ``length`` (N, padded), ``factors`` or ``order`` (how many, as equal as powers of two
allow), ``channels``. ``batch`` counts sequences.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

TWIDDLE = "complex product with constants"


def even_factors(length: int, order: int) -> tuple[int, ...]:
    """Split a power of two into ``order`` powers of two as equal as can be, the larger ones first."""
    bits, more = divmod(length.bit_length() - 1, order)
    return tuple(1 << (bits + (index < more)) for index in range(order))


@FAMILIES.register("fft_conv")
def fft_conv(config: Config, phase: Phase) -> Trace:
    """One convolution of every channel of every sequence with a kernel as long as the sequence."""
    refuse_decode("convolution by transforms", phase)
    if phase.tokens is not None:
        config.require(False, "'length' is what has a length here; seq_len has no meaning")
    length, channels = config.integer("length", minimum=2), config.integer("channels")
    if config.get("factors") is not None:
        factors = config.integers("factors")
        whole = prod(factors) == length and min(factors) > 1
        config.require(whole, f"'factors' {list(factors)} must be above 1 with the product 'length' {length}")
    else:
        order = config.integer("order", default=2)
        power = length & (length - 1) == 0 and length >= 1 << order
        config.require(power, f"'length' {length} is no power of two of at least {order} factors; give 'factors'")
        factors = even_factors(length, order)
    config.check()
    rows = phase.batch * channels
    ops: list[Op] = [
        *_transform("fft", rows, length, factors),
        VectorOp("kernel", "rope", rows, 2 * length, note="complex product with the kernel's spectrum"),
        *_transform("ifft", rows, length, factors[::-1]),
    ]
    matrices = sum(4 * factor * factor for factor in factors)
    kernel = 2 * length * channels
    return finish("fft_conv", phase, None, ops, 2 * matrices + kernel, kernel)


def _transform(name: str, rows: int, length: int, factors: tuple[int, ...]) -> Iterator[Op]:
    for index, factor in enumerate(factors):
        yield Gemm(f"{name}.{index}", rows * (length // factor), 2 * factor, 2 * factor, role="other")
        if index < len(factors) - 1:
            yield VectorOp(f"{name}.{index}.twiddle", "rope", rows, 2 * length, note=TWIDDLE)
