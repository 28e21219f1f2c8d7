"""Conditions on a design, such as ``area_mm2 <= 12`` or ``array.rows * array.cols <= 4096``.

An expression may hold names (dotted), numbers (with a unit if wanted: ``512 KiB``), words in
quotes, ``+ - * / // % **``, comparisons, ``in`` with a list, ``and or not``, ``min max abs``.
Nothing else is read, so an expression from a file can compute but never act.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hwsim.explore.values import NUMBER_PATTERN, UNITS, base_number, plain_number, read_quantity
from hwsim.spec.errors import UsageError, did_you_mean

_MAX_LENGTH = 2000
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

_WITH_UNIT = re.compile(
    rf"(?<![\w.])({NUMBER_PATTERN})\s*({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})(?![\w])"
)
_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")


class _NoValueError(Exception):
    """A name is known but has no value here (an empty cell)."""


@dataclass(frozen=True)
class Expression:
    """A checked expression; build it with :func:`parse_expression`.

    ``names`` are the variables that it reads, dotted.
    """

    text: str
    names: frozenset[str]
    _body: ast.expr = field(repr=False, compare=False)

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Return the value, or None when a variable has no value.

        Raises
        ------
        UsageError
            If a variable is unknown, the kinds do not fit (a word < a number) or a division is by zero.
        """
        try:
            return _evaluate(self._body, variables, self.text)
        except _NoValueError:
            return None
        except TypeError:
            shown = self._shown(variables)
            raise UsageError(f"{self.text!r} mixes numbers and words ({shown})") from None
        except (ZeroDivisionError, OverflowError) as error:
            raise UsageError(f"{self.text!r}: {error} ({self._shown(variables)})") from None

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Return whether the condition is met; a variable without a value never meets it."""
        return bool(self.value(variables))

    def why_not(self, variables: Mapping[str, Any]) -> str:
        """Return one line that tells why the condition is not met."""
        return f"constraint {self.text} is not met: {self._shown(variables)}"

    def check_names(self, known: Iterable[str]) -> None:
        """Refuse a variable that is not among ``known``.

        Raises
        ------
        UsageError
            Names the variable and the nearest known one.
        """
        names = set(known)
        for name in sorted(self.names - names):
            raise UsageError(f"unknown variable {name!r} in {self.text!r}; {did_you_mean(name, names)}")

    def _shown(self, variables: Mapping[str, Any]) -> str:
        pairs = []
        for name in sorted(self.names):
            value = variables.get(name)
            pairs.append(f"{name} = {'none' if value is None else _short(value)}")
        return ", ".join(pairs)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=256)
def parse_expression(text: str) -> Expression:
    """Return ``text`` as an expression.

    Raises
    ------
    UsageError
        If it is no expression, or holds anything that is not allowed.
    """
    if len(text) > _MAX_LENGTH:
        raise UsageError(f"the expression {text[:40]!r}… is longer than {_MAX_LENGTH} characters")
    try:
        body = ast.parse(_without_units(text).strip(), mode="eval").body
        names = frozenset(_names(body, text))
    except SyntaxError as error:
        hint = "; write == to compare" if re.search(r"(?<![<>=!])=(?!=)", text) else ""
        raise UsageError(f"{text!r} is not an expression: {error.msg}{hint}") from None
    except (RecursionError, MemoryError, ValueError):
        raise UsageError(f"the expression {text[:40]!r}… cannot be read") from None
    return Expression(text, names, body)


def parse_condition(text: str) -> Expression:
    """Return ``text`` as an expression that is true or false.

    Raises
    ------
    UsageError
        If it is no expression, or one without a comparison.
    """
    expression = parse_expression(text)
    if not isinstance(expression._body, (ast.Compare, ast.BoolOp)) and not (
        isinstance(expression._body, ast.UnaryOp) and isinstance(expression._body.op, ast.Not)
    ):
        raise UsageError(f"{text!r} is no condition; write a comparison such as area_mm2 <= 12")
    return expression


def _without_units(text: str) -> str:
    """Replace ``512 KiB`` by ``524288`` outside quotes."""

    def in_base_unit(match: re.Match[str]) -> str:
        quantity = read_quantity(f"{match[1]} {match[2]}")
        return match[0] if quantity is None else repr(plain_number(quantity.exact))

    pieces = _QUOTED.split(text)
    return "".join(p if i % 2 else _WITH_UNIT.sub(in_base_unit, p) for i, p in enumerate(pieces))


def _names(node: ast.expr, text: str) -> list[str]:
    """Return the variables below ``node``; refuse what is not allowed."""
    dotted = _dotted(node)
    if dotted is not None:
        return [dotted]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return []
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        if not known or node.keywords or not node.args:
            raise UsageError(f"{text!r}: unknown function; valid: {', '.join(sorted(_FUNCTIONS))}")
        children: list[ast.expr] = node.args
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        children = [node.operand]
    elif isinstance(node, ast.BoolOp):
        children = node.values
    elif isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        children = [node.left, *node.comparators]
    elif isinstance(node, (ast.List, ast.Tuple)):
        children = node.elts
    else:
        raise UsageError(f"{text!r}: {type(node).__name__.lower()} is not allowed in an expression")
    return [name for child in children for name in _names(child, text)]


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


def _evaluate(node: ast.expr, variables: Mapping[str, Any], text: str) -> Any:
    dotted = _dotted(node)
    if dotted is not None:
        return _variable(dotted, variables, text)
    if isinstance(node, ast.Constant):
        return base_number(node.value)
    if isinstance(node, ast.BoolOp):
        results = (bool(_evaluate(value, variables, text)) for value in node.values)
        return all(results) if isinstance(node.op, ast.And) else any(results)
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_evaluate(node.operand, variables, text))
    if isinstance(node, ast.Compare):
        return _compare(node, variables, text)
    if isinstance(node, ast.BinOp):
        left, right = (_evaluate(side, variables, text) for side in (node.left, node.right))
        if isinstance(left, str) or isinstance(right, str):
            raise TypeError
        if isinstance(node.op, ast.Pow) and (abs(right) > _MAX_EXPONENT or abs(left) > _MAX_BASE):
            raise OverflowError(f"{left} ** {right} is out of range")
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _FUNCTIONS[node.func.id](*(_evaluate(argument, variables, text) for argument in node.args))
    assert isinstance(node, (ast.List, ast.Tuple))
    return [_evaluate(item, variables, text) for item in node.elts]


def _compare(node: ast.Compare, variables: Mapping[str, Any], text: str) -> bool:
    left = _evaluate(node.left, variables, text)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, variables, text)
        if not _COMPARE[type(op)](left, right):
            return False
        left = right
    return True


def _variable(name: str, variables: Mapping[str, Any], text: str) -> Any:
    try:
        value = variables[name]
    except KeyError:
        raise UsageError(f"unknown variable {name!r} in {text!r}; {did_you_mean(name, variables)}") from None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _NoValueError
    return base_number(value)
