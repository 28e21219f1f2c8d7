"""Which program a vector operation is on an architecture, and how often it does what a row does once.

``softmax`` is the algorithm that ``vector_unit.softmax`` names; under ``arithmetic: i_vit`` softmax, GELU and
LayerNorm are Shiftmax, ShiftGELU and I-LayerNorm. Operations that name their program (``softmax_two_pass``,
``shiftmax``) are that on every architecture that can compute it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwsim.formats import Format, Integer, Scaled, parse_format
from hwsim.hardware.accelerator_spec import VectorUnitSpec
from hwsim.hardware.functions.integer import I_VIT, SOFTMAX
from hwsim.simulate.vector_ops import VectorKind, vector_kind
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, VectorOp
from hwsim.workload.ops import Op, ceil_div


def program_name(unit: VectorUnitSpec, op: str) -> str:
    """Return the name of the operation that ``op`` is on this unit."""
    if unit.arithmetic == "i_vit":
        return I_VIT.get(op, op)
    return SOFTMAX[unit.softmax] if op == "softmax" else op


def chosen_kind(unit: VectorUnitSpec, op: VectorOp) -> VectorKind:
    """Return the operation as this unit computes it.

    Raises
    ------
    UsageError
        If the unit's lanes cannot: whole numbers are shifted and divided by ``i_vit`` alone, exponents are
        kept by floats alone; or if the rows have no such operation.
    """
    kind = vector_kind(program_name(unit, op.op), op.n)
    if reason := refusal(unit, op):
        raise UsageError(f"vector op {op.layer!r}: {reason}")
    if op.op == "quantize":
        return quantization_kind(parse_format(op.o_format), kind)
    return kind


def refusal(unit: VectorUnitSpec, op: VectorOp) -> str | None:
    """Return why the lanes of ``unit`` cannot compute ``op``, None where they can."""
    kind = vector_kind(program_name(unit, op.op))
    if kind.whole:
        valid = "vector_unit: {arithmetic: i_vit, format: int32}"
        return None if unit.arithmetic == "i_vit" else f"{kind.name} shifts and divides whole numbers; valid: {valid}"
    if any(name == "shift" for name, _ in kind.primitives) and isinstance(parse_format(unit.format).element, Integer):
        return f"{kind.name} keeps exponents of floats, vector_unit.format is {unit.format}; valid: format: fp32"
    return None


def quantization_kind(fmt: Format, kind: VectorKind) -> VectorKind:
    """Return ``quantize`` to ``fmt``: the factor of a power-of-two scale is an addition of exponents, no division."""
    power = isinstance(fmt, Scaled) and fmt.scale.significand_bits == 1
    return replace(kind, row=(("add", 1),)) if power else kind


def scale_rows(fmt: Format, rows: int, n: int) -> int:
    """Return how many scales ``rows`` × ``n`` elements have in ``fmt``: one per block or tile, else one per row."""
    tall = fmt.tile_rows if isinstance(fmt, Scaled) else 1
    return -(-rows // tall) * (-(-n // fmt.block_size) if fmt.block_size else 1)


def row_count(unit: VectorUnitSpec, op: VectorOp, kind: VectorKind) -> int:
    """Return how often ``op`` does what a row does once: per row of ``n``, per scale, per block of a fused softmax."""
    rows = op.m * op.batch
    if kind.name == "softmax_fused":
        return rows * ceil_div(op.n, unit.softmax_block)
    return scale_rows(parse_format(op.o_format), rows, op.n) if op.op == "quantize" else rows


def fused_ops(unit: VectorUnitSpec, ops: Sequence[Op]) -> tuple[Op, ...]:
    """Return ``ops``, and with ``softmax: fused`` what it leaves to the product with the values.

    Behind that product its sums are rescaled once per further block of keys, and divided by the row's sum at
    the end. They are rescaled in the activation buffer, as the array's accumulators hold no factor.

    Raises
    ------
    UsageError
        If a softmax is not followed by the product with the values.
    """
    if unit.softmax != "fused" or unit.arithmetic == "i_vit":
        return tuple(ops)
    found: list[Op] = []
    for before, op in zip((None, *ops[:-1]), ops, strict=True):
        found.append(op)
        if isinstance(before, VectorOp) and before.op == "softmax":
            found += _completion(unit, before, op)
    if ops and isinstance(ops[-1], VectorOp) and ops[-1].op == "softmax":
        raise _unfused(ops[-1])
    return tuple(found)


def _completion(unit: VectorUnitSpec, softmax: VectorOp, product: Op) -> list[Op]:
    shape = (softmax.m, softmax.n, softmax.batch, softmax.repeat)
    if not isinstance(product, Gemm) or (product.m, product.k, product.batch, product.repeat) != shape:
        raise _unfused(softmax)
    done = VectorOp(
        f"{softmax.layer}.normalize", "normalize", product.m, product.n, product.batch, product.repeat,
        a_format=product.o_format, o_format=product.o_format,
    )  # fmt: skip
    again = ceil_div(softmax.n, unit.softmax_block) - 1
    rescaled = replace(done, layer=f"{softmax.layer}.rescale", op="rescale", batch=product.batch * again or 1)
    return [rescaled, done] if again else [done]


def _unfused(op: VectorOp) -> UsageError:
    return UsageError(
        f"vector op {op.layer!r}: vector_unit.softmax: fused needs the product with the values behind it; "
        "valid here: three_pass, three_pass_reload, two_pass, online, held"
    )
