"""Which program a vector operation is on an architecture, and how often it does what a row does once.

``softmax`` is the algorithm that ``vector_unit.softmax`` names; under ``arithmetic: i_vit`` softmax, GELU and
LayerNorm are Shiftmax, ShiftGELU and I-LayerNorm. Operations that name their program (``softmax_two_pass``,
``shiftmax``) are that on every architecture that can compute it.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.formats import Format, Integer, Scaled, parse_format
from hwsim.hardware.accelerator_spec import VectorUnitSpec
from hwsim.hardware.functions.integer import I_VIT, SOFTMAX
from hwsim.simulate.vector_ops import VectorKind, vector_kind
from hwsim.spec.errors import UsageError
from hwsim.workload import VectorOp


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


def row_count(op: VectorOp) -> int:
    """Return how often ``op`` does what a row does once: per row of ``n``, in ``quantize`` per scale."""
    rows = op.m * op.batch
    return scale_rows(parse_format(op.o_format), rows, op.n) if op.op == "quantize" else rows
