"""Values of a swept field: quantities with units, and the short forms of an axis.

An axis is written as a list, or as one of

* ``{range: [first, last, step]}``: ``last`` belongs to it when a step lands on it;
* ``{linear: [first, last, count]}``: evenly spaced, both ends included;
* ``{geometric: [first, last, count]}``: constant ratio, both ends included. Sizes are rounded to
  whole bytes, and plain whole ends give whole numbers (write ``1.0`` for real ones).

Values keep their unit as text (``128 KiB``), so that the field's own check still sees it; tables
and expressions use :func:`base_number`, the same value in the base unit of its quantity.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hwsim.spec.errors import did_you_mean
from hwsim.spec.units import DIMENSIONS, NODE, SIZE

#: Longest axis that a short form may give; a longer one is almost surely a slip of the pen.
MAX_AXIS_LENGTH = 100_000

#: A number without sign; three digits of exponent, as in hwsim.spec.units, keep exact arithmetic small.
NUMBER_PATTERN = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"

#: Unit to its base unit and its factor. ``28nm`` stays a word: it names a technology.
UNITS: Mapping[str, tuple[str, Fraction]] = {
    unit: (dimension.base, factor)
    for dimension in DIMENSIONS
    if dimension is not NODE
    for unit, factor in {**dimension.also, **dimension.units}.items()
}

_SIZE = SIZE.base
_QUANTITY = re.compile(rf"\s*([+-]?{NUMBER_PATTERN})\s*([A-Za-zµμ][A-Za-z/]*)\s*")
#: Both ways to write micro, to the one of :data:`UNITS`.
MICRO = str.maketrans("µμ", "uu")


@dataclass(frozen=True)
class Quantity:
    """A number with a unit: ``exact`` is in the base unit, which ``kind`` names (``B``, ``Hz``, …)."""

    kind: str
    exact: Fraction
    unit: str

    @property
    def is_size(self) -> bool:
        """Whether it counts bytes."""
        return self.kind == _SIZE


def read_quantity(value: object) -> Quantity | None:
    """Return ``value`` as a quantity, or None when it is no text of a number and a known unit."""
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    unit = match[2].translate(MICRO) if match else ""
    if match is None or unit not in UNITS:
        return None
    kind, factor = UNITS[unit]
    return Quantity(kind, Fraction(match[1]) * factor, unit)


def plain_number(exact: Fraction) -> int | float:
    """Return an int when ``exact`` is whole, else the nearest float."""
    return exact.numerator if exact.denominator == 1 else float(exact)


def base_number(value: Any) -> Any:
    """Return a quantity as a number in its base unit; anything else comes back unchanged."""
    quantity = read_quantity(value)
    return value if quantity is None else plain_number(quantity.exact)


def quantity_text(quantity: Quantity) -> str:
    """Return ``quantity`` as text that reads back to the same value.

    Sizes take the largest binary unit that divides them; others keep their unit.
    """
    if quantity.is_size and quantity.exact.denominator == 1:
        unit = next(u for u in ("GiB", "MiB", "KiB", "B") if (quantity.exact / UNITS[u][1]).denominator == 1)
    else:
        unit = quantity.unit
    return f"{plain_number(quantity.exact / UNITS[unit][1])} {unit}"


def canonical(value: Any) -> Any:
    """Return ``value`` so that equal meanings are equal: ``0.5 MiB`` and ``512 KiB``, ``1.0`` and ``1``."""
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    quantity = read_quantity(value)
    return value if quantity is None else f"{quantity.exact} {quantity.kind}"


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with sorted keys; the order of mappings does not matter."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))


def expand_axis(written: Any) -> tuple[Any, ...]:
    """Return the values of one axis, written as a list or as a short form.

    Raises
    ------
    ValueError
        As :func:`expand_values`, or if a value stands twice, however it is written.
    """
    values = expand_values(written)
    twice = repeated(values)
    if twice is not None:
        raise ValueError(f"the value {values[twice]!r} stands twice")
    return values


def expand_values(written: Any) -> tuple[Any, ...]:
    """Return values written as a list or as a short form; a list may hold one value twice.

    Raises
    ------
    ValueError
        If the form is unknown, an end is no number or out of range, or there is no value.
    """
    if isinstance(written, Mapping):
        values = _expand_form(written)
    elif isinstance(written, (list, tuple)):
        values = tuple(written)
        for value in values:
            _refuse_odd(value)
    else:
        raise ValueError(f"found {written!r}; valid: a list of values, or one of {', '.join(_FORMS)}")
    if not values:
        raise ValueError("found no values; valid: at least one")
    return values


def repeated(values: Sequence[Any]) -> int | None:
    """Return the place of the first value that means the same as an earlier one, or None.

    A plain number is in the base unit of its field, so ``524288`` and ``512 KiB`` are the same.
    """
    seen: set[str] = set()
    for place, value in enumerate(values):
        text = meaning(value)
        if text in seen:
            return place
        seen.add(text)
    return None


def meaning(value: Any) -> str:
    """Return a text that is equal for two values of one axis when they mean the same."""
    return canonical_json(base_number(value))


def _refuse_odd(value: Any) -> None:
    if isinstance(value, (list, tuple)):
        raise ValueError(f"found the list {value!r} as a value; valid: numbers, words or mappings")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"found {value!r}; valid: finite numbers")


def _expand_form(written: Mapping[str, Any]) -> tuple[Any, ...]:
    if len(written) != 1 or next(iter(written)) not in _FORMS:
        unknown = next((key for key in written if key not in _FORMS), "")
        hint = did_you_mean(unknown, _FORMS) if unknown else f"valid: exactly one of {', '.join(_FORMS)}"
        raise ValueError(f"found {dict(written)!r}; {hint}")
    form, arguments = next(iter(written.items()))
    third = "step" if form == "range" else "count"
    if not isinstance(arguments, (list, tuple)) or len(arguments) != 3:
        raise ValueError(f"found {form}: {arguments!r}; valid: {form}: [first, last, {third}]")
    first, last = _number(form, arguments[0]), _number(form, arguments[1])
    if first.kind != last.kind:
        kinds = " and ".join(q.kind or "a plain number" for q in (first, last))
        raise ValueError(f"{form}: the ends mix {kinds}; valid: two values of one kind")
    whole_ends = all(isinstance(value, int) for value in arguments[:2])
    try:
        exact = _range(first, last, arguments[2]) if form == "range" else _spaced(form, first, last, arguments[2])
        if form == "geometric" and (whole_ends or first.is_size):
            exact = _rounded(exact)
        return tuple(_written(value, first) for value in exact)
    except OverflowError:
        raise ValueError(f"{form}: {arguments!r} leads out of the range of numbers") from None


def _rounded(exact: Sequence[Fraction]) -> list[Fraction]:
    whole = [Fraction(round(value)) for value in exact]
    if len(set(whole)) < len(whole):
        raise ValueError("geometric: values fall together when rounded to whole numbers; valid: fewer values")
    return whole


def _number(form: str, value: Any) -> Quantity:
    """Return a plain number (kind ``""``) or a quantity."""
    quantity = read_quantity(value)
    if quantity is not None:
        return quantity
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{form}: found {value!r}; valid: a number, or a number with a unit such as '64 KiB'")
    return Quantity("", Fraction(str(value)), "")


def _written(exact: Fraction, like: Quantity) -> Any:
    return quantity_text(Quantity(like.kind, exact, like.unit)) if like.kind else plain_number(exact)


def _range(first: Quantity, last: Quantity, written_step: Any) -> list[Fraction]:
    step = _number("range", written_step)
    if step.kind != first.kind:
        raise ValueError(f"range: the step {written_step!r} is not of the kind of the ends")
    span = last.exact - first.exact
    if step.exact == 0 or span * step.exact < 0:
        raise ValueError(f"range: the step {written_step!r} never leads from the first value to the last")
    count = math.floor(span / step.exact) + 1
    _refuse_length("range", count)
    return [first.exact + i * step.exact for i in range(count)]


def _spaced(form: str, first: Quantity, last: Quantity, count: Any) -> list[Fraction]:
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"{form}: found the count {count!r}; valid: a whole number from 2 on")
    _refuse_length(form, count)
    if form == "linear":
        return [first.exact + (last.exact - first.exact) * Fraction(i, count - 1) for i in range(count)]
    if first.exact <= 0 or last.exact <= 0:
        raise ValueError("geometric: both ends must be above zero")
    return _geometric(first.exact, last.exact, count)


def _geometric(first: Fraction, last: Fraction, count: int) -> list[Fraction]:
    """Return ``count`` values of constant ratio; exact where the ratio is a whole number."""
    if last < first:
        return _geometric(last, first, count)[::-1]
    whole, steps = last / first, count - 1
    root = round(float(whole) ** (1 / steps))
    if Fraction(root) ** steps == whole:
        return [first * Fraction(root) ** i for i in range(count)]
    inner = [Fraction(float(first) * float(whole) ** (i / steps)) for i in range(1, steps)]
    return [first, *inner, last]


def _refuse_length(form: str, count: int) -> None:
    if count > MAX_AXIS_LENGTH:
        raise ValueError(f"{form}: gives {count} values; valid: at most {MAX_AXIS_LENGTH}")


_FORMS = ("range", "linear", "geometric")
