"""Extents of a graph's inputs that are names: their values come from settings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from hwsim.spec.errors import UsageError, did_you_mean, shown
from hwsim.workload.graph.onnx_values import LARGEST_EXTENT, checked_shape

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}
#: Characters of an extent's expression; longer ones are damaged files.
_LONGEST = 200


def whole_settings(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return settings as whole numbers.

    Raises
    ------
    UsageError
        If one is no whole number from 0 to 2**48.
    """
    found: dict[str, int] = {}
    for name, value in settings.items():
        text = str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not int(text[:20]) <= LARGEST_EXTENT:
            raise UsageError(f"settings: {name} must be a whole number from 0 to 2^48, not {shown(value)}")
        found[name] = int(text)
    return found


def input_shapes(inputs: list[tuple[str, Any]], values: Mapping[str, int]) -> dict[str, tuple[int, ...] | None]:
    """Return the shapes of a graph's inputs, given as ``(name, TypeProto)``; None where one has no shape at all.

    An extent is a number, a name, an expression of names (``past + sequence``), or nothing: then it is called
    ``input.axis``.

    Raises
    ------
    UsageError
        If a name has no value: with all names that are free; or if a setting names none.
    """
    shapes: dict[str, tuple[int, ...] | None] = {}
    free: dict[str, None] = {}
    known: set[str] = set()
    for name, kind in inputs:
        if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
            shapes[name] = None
            continue
        sizes: list[int] = []
        for axis, dim in enumerate(kind.tensor_type.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                sizes.append(dim.dim_value)
                continue
            text = dim.dim_param if dim.HasField("dim_param") and dim.dim_param.strip() else f"{name}.{axis}"
            sizes.append(_extent(text, values, free, known))
        shapes[name] = checked_shape(sizes)
    for name in values:
        if name not in known:
            valid = did_you_mean(name, known) if known else "all extents of this graph are fixed"
            raise UsageError(f"settings: the graph has no extent called {name!r}; {valid}")
    if free:
        verb = "are" if len(free) > 1 else "is"
        listed = " ".join(f"--set {name}=1" for name in free)
        mapping = ", ".join(f"{name}: 1" for name in free)
        raise UsageError(
            f"settings: {', '.join(free)} {verb} free; give sizes: hwsim trace … {listed}, or settings: {{{mapping}}} "
            "in a workload file"
        )
    return shapes


def _extent(text: str, values: Mapping[str, int], free: dict[str, None], known: set[str]) -> int:
    """Return the value of an extent; names without one are added to ``free`` and count as 1."""
    if text in values or len(text) > _LONGEST:
        known.add(text)
        return values.get(text, 1)
    try:
        tree: ast.expr | None = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    names = _names(tree)
    if not names:  # no expression of names: the text itself is the name
        names, tree = [text], ast.Name(text)
    known.update(names)
    missing = [name for name in names if name not in values]
    free.update(dict.fromkeys(missing))
    return 1 if missing or tree is None else _evaluate(tree, values)


def _names(tree: ast.expr | None) -> list[str]:
    """Return the names in an expression of sums, differences, products and quotients; [] if it is none."""
    if isinstance(tree, ast.Name):
        return [tree.id]
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS:
        sides = [_names(side) for side in (tree.left, tree.right)]
        constants = [isinstance(side, ast.Constant) and type(side.value) is int for side in (tree.left, tree.right)]
        if all(found or fixed for found, fixed in zip(sides, constants, strict=True)):
            return list(dict.fromkeys(sides[0] + sides[1]))
    return []


def _evaluate(tree: ast.expr, values: Mapping[str, int]) -> int:
    if isinstance(tree, ast.Name):
        return values[tree.id]
    if isinstance(tree, ast.Constant):
        return int(str(tree.value))
    assert isinstance(tree, ast.BinOp)
    left, right = _evaluate(tree.left, values), _evaluate(tree.right, values)
    if isinstance(tree.op, ast.FloorDiv) and not right:
        raise UsageError(f"settings: an extent {ast.unparse(tree)} divides by 0")
    return _OPERATIONS[type(tree.op)](left, right)
