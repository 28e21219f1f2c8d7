"""A number format: its fields, its range, its cost in bits, its error."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.formats import BitMod, ElementFormat, Format, Integer, Minifloat, Scaled, bit_serial_terms
from hwsim.formats.accuracy import absmax_quantize, loss
from hwsim.formats.approximate import MULTIPLIERS, multiplier_error
from hwsim.formats.distributions import DISTRIBUTIONS, sample
from hwsim.formats.names import format_or_file
from hwsim.report.explain import EXPLAINERS, Question, Section, table

#: Codes are listed, in rows of eight, and values drawn up to this width.
LISTED_BITS = 8
COLUMN_BITS = 3
#: Mantissas up to this width have their multipliers' errors enumerated: all pairs of them in some 0.1 s.
LISTED_MANTISSA = 10
LINE_WIDTH = 72
#: What stands for 0, 1, 2-3, 4-7, ... values in one character of the line.
MARKS = " .:+*#@"


@EXPLAINERS.register("format")
def explain_format(name: str, question: Question) -> list[Section]:
    """Return fields, range, storage and error of the format called ``name``."""
    fmt = format_or_file(name)
    rows = [
        {"property": key, "value": value} for key, value in {**_element(fmt), **_scaling(fmt), **_hardware(fmt)}.items()
    ]
    sections = [Section(f"format {fmt.name}", table(rows))]
    if fmt.element.bits <= LISTED_BITS:
        sections += [_value_line(fmt.element), _codes(fmt.element)]
    sections.append(_losses(fmt))
    if isinstance(fmt.element, Minifloat) and 1 <= fmt.element.mantissa_bits <= LISTED_MANTISSA:
        sections.append(_multipliers(fmt.element.mantissa_bits))
    return sections


def _value_line(element: ElementFormat) -> Section:
    """Return the values drawn along a line from the smallest to the largest, and their powers of two."""
    values = element.values()
    counts = np.histogram(values, bins=LINE_WIDTH)[0]
    marks = "".join(MARKS[min(int(count).bit_length(), len(MARKS) - 1)] for count in counts)
    row = {"smallest": values[0], "values": f"|{marks}|", "largest": values[-1]}
    scale = ", ".join(["' ' none", "'.' 1", "':' 2-3", "'+' 4-7", "'*' 8-15", "'#' 16-31", "'@' more"])
    return Section(f"line of the {values.size} values of {element.name}", table([row]), [f"values per mark: {scale}"])


def _codes(element: ElementFormat) -> Section:
    """Return the value of every code: the upper bits name the row, the lower ones the column."""
    low = max(1, min(COLUMN_BITS, element.bits - 1))
    high = element.bits - low
    values = element.decode(np.arange(2**element.bits, dtype=np.uint32)).reshape(-1, 2**low)
    rows = [
        {
            "code": (f"{i:0{high}b}" if high else "") + "·" * low,
            **{f"{j:0{low}b}": value for j, value in enumerate(row)},
        }
        for i, row in enumerate(values.tolist())
    ]
    return Section(f"codes of {element.name}", table(rows))


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


def _multipliers(mantissa_bits: int) -> Section:
    """Return how far off approximate multipliers are, beside the exact product rounded to the same width."""
    rows = []
    for name in MULTIPLIERS.names():
        found = multiplier_error(name, mantissa_bits)
        figures = {"mean |error|": found.mean_abs, "mean error": found.mean, "largest |error|": found.max_abs}
        rows.append({"multiplier": name, **figures, "RMS error": found.rms})
    title = f"relative error of multipliers of {mantissa_bits} mantissa bits"
    return Section(title, table(rows), ["over all pairs of mantissas; rounded: the exact product to nearest even"])


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
