"""A number format: its fields, its range, its cost in bits, its error."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.formats import BitMod, Format, Integer, Minifloat, Scaled, bit_serial_terms, parse_format
from hwsim.formats.accuracy import absmax_quantize, loss
from hwsim.formats.distributions import DISTRIBUTIONS, sample
from hwsim.report.explain import EXPLAINERS, Question, Section, table

#: Codes are listed one by one up to this width.
LISTED_BITS = 4


@EXPLAINERS.register("format")
def explain_format(name: str, question: Question) -> list[Section]:
    """Return fields, range, storage and error of the format called ``name``."""
    fmt = parse_format(name)
    rows = [
        {"property": key, "value": value} for key, value in {**_element(fmt), **_scaling(fmt), **_hardware(fmt)}.items()
    ]
    sections = [Section(f"format {fmt.name}", table(rows))]
    if fmt.element.bits <= LISTED_BITS:
        codes = np.arange(2**fmt.element.bits, dtype=np.uint32)
        values = fmt.element.decode(codes)
        listed = [
            {"code": f"{c:0{fmt.element.bits}b}", "value": v}
            for c, v in zip(codes.tolist(), values.tolist(), strict=True)
        ]
        sections.append(Section(f"codes of {fmt.element.name}", table(listed)))
    sections.append(_losses(fmt))
    return sections


def _losses(fmt: Format) -> Section:
    """Return what the format loses on every named distribution, absmax-scaled per row or block."""
    rows = []
    for name in DISTRIBUTIONS:
        x = sample(name)
        found = loss(x, absmax_quantize(fmt, x))
        rows.append({"distribution": name, "SQNR (dB)": found.sqnr_db, "relative MSE": found.mse / float((x**2).mean()),
                     "cosine": found.cosine})  # fmt: skip
    return Section(
        "error on named distributions", table(rows), ["plain elements: a row's largest magnitude fits exactly"]
    )


def _element(fmt: Format) -> dict[str, Any]:
    element = fmt.element
    found: dict[str, Any] = {"element": element.name, "bits of an element": element.bits}
    if isinstance(element, Minifloat):
        special = {
            "ieee": "infinities and NaN (IEEE 754)",
            "nan_only": "one NaN per sign, no infinity",
            "finite": "none, every code is finite",
        }
        found |= {
            "exponent bits": element.exponent_bits,
            "mantissa bits": element.mantissa_bits,
            "exponent bias": element.bias,
            "special codes": special[element.special],
            "smallest normal": 2.0**element.min_exponent,
            "smallest subnormal": 2.0 ** (element.min_exponent - element.mantissa_bits),
        }
    if isinstance(element, Integer):
        found["signed"] = "yes, symmetric" if element.signed else "no"
    return {**found, "largest value": element.max_value}


def _scaling(fmt: Format) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(fmt, Scaled):
        found["scale"] = fmt.scale.words
        found["one scale per"] = {"tile": f"{fmt.tile_rows} × {fmt.block_size}"}.get(fmt.geometry, fmt.geometry)
    if isinstance(fmt, BitMod):
        found["scale"] = "8 bits, and a 2-bit choice of the special value, per group"
    if fmt.block_size:
        found["elements per block"] = fmt.block_size
    return {**found, "bits per element with metadata": float(fmt.bits_per_element)}


def _hardware(fmt: Format) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        found["bit-serial terms per weight"] = bit_serial_terms(fmt)
    except ValueError:
        return found
    return found
