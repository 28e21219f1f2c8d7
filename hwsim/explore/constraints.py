"""Conditions on a design, such as ``area_mm2 <= 12`` or ``array.rows * array.cols <= 4096``.

An expression may hold names (dotted), numbers (with a unit if wanted: ``512 KiB``), words in
quotes, ``+ - * / // % **``, comparisons, ``in`` with a list, ``and or not``, ``min max abs``.
Nothing else is read, so an expression from a file can compute but never act.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hwsim.explore.grammar import NoValueError, evaluate, names_in, number_text
from hwsim.explore.values import MICRO, NUMBER_PATTERN, UNITS, plain_number, read_quantity
from hwsim.spec.errors import UsageError, did_you_mean

_MAX_LENGTH = 2000

_WITH_UNIT = re.compile(
    rf"(?<![\w.])({NUMBER_PATTERN})\s*({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})(?![\w])"
)
_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")


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
            If a variable is unknown, the kinds do not fit (a word < a number), a division is by
            zero or a result is out of range.
        """
        try:
            return evaluate(self._body, variables, self.text)
        except NoValueError:
            return None
        except TypeError:
            raise UsageError(f"{self.text!r} mixes numbers and words{self._where(variables)}") from None
        except (ZeroDivisionError, OverflowError) as error:
            raise UsageError(f"{self.text!r}: {error}{self._where(variables)}") from None
        except RecursionError:
            raise UsageError(f"the expression {self.text[:40]!r}… is nested too deeply") from None

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

    def _where(self, variables: Mapping[str, Any]) -> str:
        return f" ({self._shown(variables)})" if self.names else ""

    def _shown(self, variables: Mapping[str, Any]) -> str:
        pairs = []
        for name in sorted(self.names):
            value = variables.get(name)
            pairs.append(f"{name} = {'none' if value is None else number_text(value)}")
        return ", ".join(pairs)


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
        names = frozenset(names_in(body, text))
    except UsageError:
        raise
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
        assert quantity is not None
        return repr(plain_number(quantity.exact))

    pieces = _QUOTED.split(text)
    return "".join(p if i % 2 else _WITH_UNIT.sub(in_base_unit, p.translate(MICRO)) for i, p in enumerate(pieces))
