"""Homomorphic encryption on byte multipliers (CROSS, arXiv 2501.07047): modular products as byte GEMMs.

A residue below 2³¹ is four bytes. Of a product with a constant matrix, entry ``a`` becomes the 4 × 4
bytes of ``a·2^(8i) mod q``, so ``(m,k)·(k,n)`` modulo q is one GEMM of bytes, ``(m,4k)·(4k,4n)``: 16
byte products per modular product, then four shifted sums and one Barrett reduction per result.

A file of hwsim's own: ``operation`` (``ntt`` or ``basis_conversion``), ``degree`` (coefficients of a
polynomial), ``limbs`` (residues per coefficient), ``columns`` (the second factor of the degree, for
``ntt``; default: the power of two at its root) or ``new_limbs`` (for ``basis_conversion``).
``batch`` counts polynomials.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

#: Bytes of a residue, and the formats of bytes and of residues between GEMMs.
BYTES = 4
BYTE, RESIDUE = "uint8", "int32"


def modular_ops(layer: str, m: int, n: int, k: int, limbs: int) -> Iterator[Op]:
    """Yield ``limbs`` modular products of residues with a constant matrix, each modulo its own prime."""
    formats: dict[str, Any] = {"w_format": BYTE, "a_format": BYTE, "o_format": RESIDUE}
    note = f"modular {m} x {k} x {n} as bytes"
    yield Gemm(layer, m, BYTES * n, BYTES * k, batch=limbs, role="other", note=note, **formats)
    yield VectorOp(f"{layer}.merge", "byte_merge", m, n, limbs, a_format=RESIDUE, o_format=RESIDUE)
    yield VectorOp(f"{layer}.reduce", "barrett", m, n, limbs, a_format=RESIDUE, o_format=RESIDUE)


@FAMILIES.register("modular_gemm")
def modular_gemm(config: Config, phase: Phase) -> Trace:
    """One number-theoretic transform of every limb, or one conversion to another basis."""
    refuse_decode("homomorphic encryption", phase)
    if phase.tokens is not None:
        config.require(False, "'degree' is what has a length here; seq_len has no meaning")
    operation = config.choice("operation", {"ntt": "ntt", "basis_conversion": "basis_conversion"}, "ntt")
    degree, limbs = config.integer("degree", minimum=2), config.integer("limbs")
    power = degree & (degree - 1) == 0
    config.require(power, f"'degree' {degree} is no power of two")
    make = _ntt if operation == "ntt" else _conversion
    ops, constants = make(config, phase.batch, degree, limbs)
    config.check()
    return finish("modular_gemm", phase, None, ops, constants, 0)


def _ntt(config: Config, batch: int, degree: int, limbs: int) -> tuple[list[Op], int]:
    """Four steps: columns, twiddle factors, rows (transposed); return operations and constants, in bytes."""
    columns = config.integer("columns", default=1 << (degree.bit_length() // 2))
    config.require(degree % columns == 0, f"'columns' {columns} does not divide 'degree' {degree}")
    columns = columns if degree % columns == 0 else 1
    rows = degree // columns
    constants = limbs * BYTES**2 * (rows**2 + columns**2)
    return [
        *modular_ops("ntt.columns", batch * columns, rows, rows, limbs),
        VectorOp("ntt.twiddle", "mul", batch * columns, rows, limbs, a_format=RESIDUE, o_format=RESIDUE),
        VectorOp("ntt.twiddle.reduce", "barrett", batch * columns, rows, limbs, a_format=RESIDUE, o_format=RESIDUE),
        VectorOp("ntt.transpose", "transpose", batch * columns, rows, limbs, a_format=RESIDUE, o_format=RESIDUE),
        *modular_ops("ntt.rows", batch * rows, columns, columns, limbs),
    ], constants


def _conversion(config: Config, batch: int, degree: int, limbs: int) -> tuple[list[Op], int]:
    """Residues of ``limbs`` primes to ``new_limbs`` others: one matrix for all coefficients."""
    new = config.integer("new_limbs")
    return list(modular_ops("basis", batch * degree, new, limbs, 1)), BYTES**2 * limbs * new
