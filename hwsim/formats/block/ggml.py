"""Formats of tensors in GGUF files that no other family has: K-quants, i-quants, packed ternary.

``q4_k`` is llama.cpp's type Q4_K, and so on for each row of ``data/formats/ggml_types.csv`` that has an element.
Types that another family has already are read under its name, too: ``q8_0`` is ``int8_g32``, MXFP4 ``mxfp4``.

Storage is exact: whole super-blocks of so many bytes per row. Elements and sub-blocks are those that hardware
multiplies (:mod:`hwsim.formats.block.superblock`); of lattice types (i-quants of less than 4 bits) an element is one
level of the lattice, looked up before the datapath, and nothing quantizes to them.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

from hwsim.formats.base import ElementFormat
from hwsim.formats.block import scaled_names
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.block.superblock import SuperBlock
from hwsim.formats.element import codebook, integer
from hwsim.formats.registry import BLOCKS, Family
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean


class GgmlType(NamedTuple):
    """A type of tensor: ``block`` elements of a row take ``bytes``; ``format`` is our name, empty if there is none."""

    name: str
    id: int
    block: int
    bytes: int
    format: str

    @property
    def bits_per_element(self) -> Fraction:
        """Storage per element with all metadata."""
        return Fraction(8 * self.bytes, self.block)


#: Elements whose code is narrower in the file than the levels that it picks.
LATTICES = ("iq1_levels", "iq2_levels", "iq3_levels", "iq3s_levels")


@cache
def ggml_types() -> dict[str, GgmlType]:
    """Return all types by name, in the order of their numbers."""
    return {
        row["type"]: GgmlType(row["type"], int(row["id"]), int(row["block"]), int(row["bytes"]), row["format"])
        for row in read_csv_rows("formats", "ggml_types.csv")
    }


def ggml_type(name: str) -> GgmlType:
    """Return the type called ``name``.

    Raises
    ------
    UsageError
        If there is none.
    """
    known = ggml_types()
    if name not in known:
        raise UsageError(f"unknown ggml type {name!r}; {did_you_mean(name, known)}")
    return known[name]


@cache
def _members() -> dict[str, SuperBlock]:
    found = {}
    for row in read_csv_rows("formats", "ggml_types.csv"):
        if not row["element"]:
            continue
        element, sub = _element(row["element"]), int(row["sub_block"])
        found[row["format"]] = SuperBlock(
            row["format"],
            element,
            sub,
            asymmetric=bool(row["zero_point"]),
            block=int(row["block"]),
            block_bytes=int(row["bytes"]),
            code_bytes=int(row["code_bytes"]) if row["code_bytes"] else None,
            share_bits=int(row["share_bits"] or 0),
            lattice=row["element"] in LATTICES,
        )
    return found


def _element(name: str) -> ElementFormat:
    found = codebook.parse(name) or integer.parse(name)
    assert isinstance(found, ElementFormat), f"ggml_types.csv: no element {name}"
    return found


@cache
def _aliases() -> dict[str, str]:
    """Return our names of the quantized types that another family has, by llama.cpp's: ``q8_0`` is ``int8_g32``."""
    kinds = {kind.name.lower(): kind for kind in ggml_types().values()}
    return {name: kind.format for name, kind in kinds.items() if "_" in name and kind.format not in ("", name)}


def parse(name: str) -> Scaled | None:
    """Return the format called ``name``, or None when there is none."""
    return scaled_names.parse(_aliases()[name]) if name in _aliases() else _members().get(name)


def names() -> list[str]:
    """Return the names of K-quants; i-quants are read too, but do not quantize."""
    return [name for name, fmt in _members().items() if not fmt.lattice]


BLOCKS.register("ggml")(Family(parse, names))
