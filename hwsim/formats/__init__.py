"""Number formats: encode, decode, quantize."""

from __future__ import annotations

from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.bitmod import BitMod, BitModElement, bit_serial_terms
from hwsim.formats.element.integer import Integer
from hwsim.formats.element.minifloat import Minifloat, minifloat
from hwsim.formats.names import format_names, parse_format, parse_pair
from hwsim.formats.scaled import Scaled

__all__ = [
    "BitMod",
    "BitModElement",
    "ElementFormat",
    "Format",
    "Integer",
    "Minifloat",
    "Scaled",
    "bit_serial_terms",
    "format_names",
    "minifloat",
    "parse_format",
    "parse_pair",
]
