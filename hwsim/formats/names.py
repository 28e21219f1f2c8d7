"""From names to formats."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from hwsim.formats.base import Format
from hwsim.formats.own import SUFFIXES, load_format, refuse_taken
from hwsim.formats.registry import BLOCKS, ELEMENTS, Family
from hwsim.spec.errors import UsageError, did_you_mean


def families() -> list[Family]:
    """Return all families, element formats first."""
    return [family for _, family in _families()]


def _families() -> list[tuple[str, Family]]:
    return [member for registry in (ELEMENTS, BLOCKS) for member in registry.items()]


def is_built_in(name: str) -> bool:
    """Return whether a family other than format files reads ``name``."""
    return any(_claims(family, name) for key, family in _families() if key != OWN)


def format_names() -> list[str]:
    """Return the common names and the registered ones; families read many more."""
    return sorted({*_REGISTERED, *(name for family in families() for name in family.names())})


_REGISTERED: dict[str, Format] = {}

#: The family of format files.
OWN = "own"


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
    """Return the format called ``name``; the same object every time.

    Raises
    ------
    UsageError
        If there is none; names the nearest one.
    SpecError
        If a format file (:mod:`hwsim.formats.own`) is wrong, or has the name of a built-in format.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    for key, family in _families():
        try:
            found = family.parse(name)
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(f"format {error}") from None
        if found is not None:
            if key != OWN:
                refuse_taken(name)
            return found
    raise UsageError(f"unknown format {name!r}; {did_you_mean(name, format_names())}")


def format_or_file(text: str) -> Format:
    """Return the format that ``text`` names, or that the YAML file of that path defines.

    Raises
    ------
    UsageError
        If there is neither.
    """
    return load_format(Path(text)) if text.endswith(SUFFIXES) else parse_format(text)


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
