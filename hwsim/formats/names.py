"""From names to formats."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from hwsim.formats.base import Format
from hwsim.formats.own import SUFFIXES, Origin, load_format, origin
from hwsim.formats.registry import BLOCKS, ELEMENTS, REGISTERED, Family
from hwsim.spec.errors import Problem, SpecError, UsageError, did_you_mean


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
    return sorted({*REGISTERED, *(name for family in families() for name in family.names())})


#: The family of format files.
OWN = "own"


def register(fmt: Format) -> Format:
    """Make ``fmt`` known under its name, in this process, and return it.

    Of an element format all scaled formats are known with it: ``mine_g128``, ``mine_channel_fp32`` ….

    Raises
    ------
    UsageError
        If another format has that name.
    """
    if REGISTERED.get(fmt.name, fmt) != fmt or any(_claims(family, fmt.name) for family in families()):
        raise UsageError(f"format {fmt.name!r} exists already; choose another name")
    REGISTERED[fmt.name] = fmt
    _parsed.cache_clear()
    return fmt


def _claims(family: Family, name: str) -> bool:
    try:
        return family.parse(name) is not None
    except ValueError:
        return True


def parse_format(name: str) -> Format:
    """Return the format called ``name``; the same object every time, unless its file has changed.

    Raises
    ------
    UsageError
        If there is none; names the nearest one.
    SpecError
        If a format file (:mod:`hwsim.formats.own`) is wrong, or has the name of a built-in format.
    """
    found, file = _parsed(name)
    if file is not None and file != origin(name):
        _parsed.cache_clear()
        found, _ = _parsed(name)
    return found


@lru_cache(maxsize=1024)
def _parsed(name: str) -> tuple[Format, Origin | None]:
    """Return the format called ``name``, and the file that it or its elements come from."""
    if name in REGISTERED:
        return REGISTERED[name], None
    for family in families():
        try:
            found = family.parse(name)
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(f"format {error}") from None
        if found is not None:
            file = origin(name)
            if file is not None:
                _refuse_taken(file.path)
            return found, file
    raise UsageError(f"unknown format {name!r}; {did_you_mean(name, format_names())}")


def format_or_file(text: str) -> Format:
    """Return the format that ``text`` names, or that the YAML file of that path defines.

    Raises
    ------
    UsageError
        If there is neither.
    """
    return format_of_file(Path(text)) if text.endswith(SUFFIXES) else parse_format(text)


def format_of_file(path: Path) -> Format:
    """Return the format that a file defines, whatever directory it is in.

    Raises
    ------
    SpecError
        With every mistake, each at its line and column; also if the file is called like a built-in format.
    """
    _refuse_taken(path)
    return load_format(path)


def _refuse_taken(path: Path) -> None:
    if is_built_in(path.stem):
        raise SpecError([Problem(str(path), 0, 0, "", f"{path.stem!r} is a built-in format; rename the file")])


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
