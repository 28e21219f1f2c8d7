"""Formats that YAML files define (:mod:`hwsim.formats.own`), as a family like the others."""

from __future__ import annotations

from hwsim.formats.own import files, own_format
from hwsim.formats.registry import ELEMENTS, Family

ELEMENTS.register("own")(Family(own_format, lambda: list(files())))
