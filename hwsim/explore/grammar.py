"""What an expression may hold, and what each part of it means.

Python's parser reads the text; of its syntax tree only the nodes named here are admitted by
:func:`names_in` and computed by :func:`evaluate`. There is no way to an attribute, a call or a
value that is not spelt out, and sizes of numbers are bounded.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from hwsim.explore.values import base_number
from hwsim.spec.errors import UsageError, did_you_mean

_MAX_EXPONENT = 64
_MAX_BASE = 1e12

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}


class NoValueError(Exception):
    """A name is known but has no value here (an empty cell)."""


def names_in(node: ast.expr, text: str) -> list[str]:
    """Return the variables below ``node``, dotted.

    Raises
    ------
    UsageError
        If anything below ``node`` is not allowed; ``text`` is the whole expression.
    """
    name = _dotted(node)
    if name is not None:
        return [name]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return []
    return [found for child in _children(node, text) for found in names_in(child, text)]


def _children(node: ast.expr, text: str) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        if not known or node.keywords or not node.args:
            raise UsageError(f"{text!r}: unknown function; valid: {', '.join(sorted(_FUNCTIONS))}")
        return node.args
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, (ast.List, ast.Tuple)):
        return node.elts
    raise UsageError(f"{text!r}: {ast.unparse(node)!r} is not allowed in an expression")


def _dotted(node: ast.expr) -> str | None:
    """Return ``a.b[0].c`` as ``a.b.0.c``, or None when ``node`` is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value)
        return None if above is None else f"{above}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
        above = _dotted(node.value)
        return None if above is None else f"{above}.{node.slice.value}"
    return None


def evaluate(node: ast.expr, variables: Mapping[str, Any], text: str) -> Any:
    """Return the value of ``node``, which :func:`names_in` has admitted.

    Raises
    ------
    NoValueError
        If a variable that decides the value has none.
    UsageError
        If a variable is unknown.
    TypeError, ZeroDivisionError, OverflowError
        As Python does, and where Python would give a complex number, repeat a list, or compute a
        power of more than some thousand digits.
    """
    name = _dotted(node)
    if name is not None:
        return _variable(name, variables, text)
    if isinstance(node, ast.Constant):
        return base_number(node.value)
    if isinstance(node, ast.BoolOp):
        return _decided(node.values, isinstance(node.op, ast.Or), variables, text)
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](evaluate(node.operand, variables, text))
    if isinstance(node, ast.Compare):
        return _compare(node, variables, text)
    if isinstance(node, ast.BinOp):
        return _arithmetic(node.op, evaluate(node.left, variables, text), evaluate(node.right, variables, text))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _call(node.func.id, [evaluate(argument, variables, text) for argument in node.args])
    assert isinstance(node, (ast.List, ast.Tuple))
    return [evaluate(item, variables, text) for item in node.elts]


def _decided(parts: list[ast.expr], decisive: bool, variables: Mapping[str, Any], text: str) -> bool:
    """Return what ``or`` (``decisive`` True) or ``and`` of parts is: one part may decide where others have no value."""
    unknown = False
    for part in parts:
        try:
            if bool(evaluate(part, variables, text)) == decisive:
                return decisive
        except NoValueError:
            unknown = True
    if unknown:
        raise NoValueError
    return not decisive


def _variable(name: str, variables: Mapping[str, Any], text: str) -> Any:
    try:
        value = variables[name]
    except KeyError:
        raise UsageError(f"unknown variable {name!r} in {text!r}; {did_you_mean(name, variables)}") from None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise NoValueError
    return base_number(value)


def _compare(node: ast.Compare, variables: Mapping[str, Any], text: str) -> bool:
    left = evaluate(node.left, variables, text)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = evaluate(comparator, variables, text)
        if not _COMPARE[type(op)](left, right):
            return False
        left = right
    return True


def _arithmetic(op: ast.operator, left: Any, right: Any) -> Any:
    if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
        raise TypeError  # Python would repeat a word or a list as often as the number says
    if isinstance(op, ast.Pow):
        if abs(right) > _MAX_EXPONENT or abs(left) > _MAX_BASE:
            raise OverflowError(f"{number_text(left)} ** {number_text(right)} is out of range")
        if left < 0 and right % 1:
            raise OverflowError(f"{number_text(left)} ** {number_text(right)} is no real number")
    return _BINARY[type(op)](left, right)


def _call(name: str, arguments: list[Any]) -> Any:
    if arguments == [[]]:
        raise OverflowError(f"{name} of nothing")
    return _FUNCTIONS[name](*arguments)


def number_text(value: Any) -> str:
    """Return ``value`` for a message, never long."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
