"""From names to formats."""

from __future__ import annotations

import re
from functools import lru_cache

from hwsim.formats.base import Format
from hwsim.formats.registry import BLOCKS, ELEMENTS, Family
from hwsim.spec.errors import UsageError, did_you_mean


def families() -> list[Family]:
    """Return all families, element formats first."""
    return [family for registry in (ELEMENTS, BLOCKS) for _, family in registry.items()]


def format_names() -> list[str]:
    """Return the common names and the registered ones; families read many more."""
    return sorted({*_REGISTERED, *(name for family in families() for name in family.names())})


_REGISTERED: dict[str, Format] = {}


def register(fmt: Format) -> Format:
    """Make ``fmt`` known under its name, in this process, and return it.

    Raises
    ------
    UsageError
        If another format has that name.
    """
    if _REGISTERED.get(fmt.name, fmt) != fmt or any(_claims(family, fmt.name) for family in families()):
        raise UsageError(f"format {fmt.name!r} exists already; choose another name")
    _REGISTERED[fmt.name] = fmt
    parse_format.cache_clear()
    return fmt


def _claims(family: Family, name: str) -> bool:
    try:
        return family.parse(name) is not None
    except ValueError:
        return True


@lru_cache(maxsize=1024)
def parse_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises
    ------
    UsageError
        If there is none; names the nearest one.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    for family in families():
        try:
            found = family.parse(name)
        except ValueError as error:
            raise UsageError(f"format {error}") from None
        if found is not None:
            return found
    raise UsageError(f"unknown format {name!r}; {did_you_mean(name, format_names())}")


_PAIR = re.compile(r"w(\d+)a(\d+)(_g\d+)?$")


def parse_pair(name: str) -> tuple[Format, Format]:
    """Return weight and activation format of ``w4a16``, ``w8a8``, ``w4a8_g128`` and the like.

    Sixteen bits mean fp16, fewer an integer.

    Raises
    ------
    UsageError
        If the name is not of that form.
    """
    match = _PAIR.match(name)
    if match is None:
        raise UsageError(f"{name!r} is no pair of widths; valid: w8a8, w4a16, w4a8_g128 and the like")
    w, a, group = match.groups()
    weight = "fp16" if w == "16" else f"int{w}{group or ''}"
    return parse_format(weight), parse_format("fp16" if a == "16" else f"int{a}")
