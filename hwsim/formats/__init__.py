"""Number formats: encode, decode, quantize."""

from __future__ import annotations

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.bitmod import BitMod, BitModElement
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat, minifloat
from hwsim.formats.names import format_names, parse_format, parse_pair
from hwsim.formats.terms import Terms, bit_serial_terms, term_table

__all__ = [
    "BitMod",
    "BitModElement",
    "ElementFormat",
    "Format",
    "Integer",
    "Minifloat",
    "Scaled",
    "Terms",
    "bit_serial_terms",
    "format_names",
    "minifloat",
    "parse_format",
    "parse_pair",
    "term_table",
]
