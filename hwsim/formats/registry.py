"""Families of formats: one file is one family, found without editing any list."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwsim.formats.base import Format
from hwsim.spec.registry import Registry


class Family(NamedTuple):
    """How names of a family are read, and which of them are listed.

    ``parse(name)`` returns the format, or None when the name is of another family, and raises
    ``ValueError`` when it is of this family but out of range.
    """

    parse: Callable[[str], Format | None]
    names: Callable[[], list[str]]


ELEMENTS: Registry[Family] = Registry("element format", "hwsim.formats.element")
BLOCKS: Registry[Family] = Registry("block format", "hwsim.formats.block")

#: Formats that were made known in this process, by name; :func:`hwsim.formats.register` fills it.
REGISTERED: dict[str, Format] = {}
