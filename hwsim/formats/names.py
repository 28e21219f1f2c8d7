"""From names to formats."""

from __future__ import annotations

import re
from functools import lru_cache

from hwsim.formats import bitmod, scaled
from hwsim.formats.base import Format
from hwsim.formats.element import integer, minifloat
from hwsim.spec.errors import UsageError, did_you_mean

_PARSERS = (minifloat.parse, integer.parse, scaled.parse, bitmod.parse)


def format_names() -> list[str]:
    """Return the common names; any ``fpB_eXmY``, ``intB_gG``, ``bitmodB_gG`` is read as well."""
    floats = [*minifloat.NAMED, "fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1"]
    integers = [f"int{b}" for b in range(2, 17)]
    grouped = [f"int{b}{kind}_g128" for b in (3, 4, 8) for kind in ("", "_asym")]
    return sorted([*floats, *integers, *grouped, *scaled.FIXED, "bitmod3_g128", "bitmod4_g128"])


@lru_cache(maxsize=1024)
def parse_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises
    ------
    UsageError
        If there is none; names the nearest one.
    """
    for parse in _PARSERS:
        try:
            found = parse(name)
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
