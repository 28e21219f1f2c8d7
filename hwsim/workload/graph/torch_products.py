"""Operations of PyTorch with multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.products import Product, convolution, matmul, transposed_convolution


def _matrix(args: list[Any], kwargs: Any, outputs: list[Any]) -> Product:
    return matmul(args[0], args[1])


def _with_sum(args: list[Any], kwargs: Any, outputs: list[Any]) -> Product:
    return matmul(args[1], args[2])


def _linear(args: list[Any], kwargs: Any, outputs: list[Any]) -> Product:
    return matmul(args[0], args[1].permute((1, 0)))


def _convolution(args: list[Any], kwargs: Any, outputs: list[Any]) -> Product:
    x, w, transposed, groups = args[0], args[1], args[6], args[8]
    return transposed_convolution(x, w, groups) if transposed else convolution(x, w, tuple(outputs[0].shape), groups)


def _grouped(args: list[Any], kwargs: Any, outputs: list[Any]) -> Product:
    """Rows sorted by expert, times the experts' matrices."""
    rows, experts = args[0], args[1]
    if rows.rank != 2 or experts.rank != 3:
        raise UsageError(f"grouped products of shapes {list(rows.shape)} and {list(experts.shape)} are not supported")
    return Product(
        1, experts.shape[2], experts.shape[1], rows.shape[0], rows, replace(experts, chosen=experts.shape[0])
    )


#: Returns the product of an operation by its name, from its arguments and results.
PRODUCTS: dict[str, Callable[[list[Any], Any, list[Any]], Product]] = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "_int_mm", "_scaled_mm"), _matrix),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _with_sum),
    **dict.fromkeys(("_grouped_mm", "grouped_mm_fallback"), _grouped),
    "linear": _linear,
    "convolution": _convolution,
}
