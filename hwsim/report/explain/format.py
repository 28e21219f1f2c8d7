"""A number format: its fields, its range, its cost in bits, its error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.formats import BitMod, ElementFormat, Format, Integer, Minifloat, Scaled, bit_serial_terms
from hwsim.formats.accuracy import fitted_quantize, loss
from hwsim.formats.approximate import MULTIPLIERS, multiplier_error
from hwsim.formats.block.bitmod import SPECIAL
from hwsim.formats.block.olive import RATIOS, Olive
from hwsim.formats.block.split import Split
from hwsim.formats.distributions import DISTRIBUTIONS, sample
from hwsim.formats.element.float_table import FloatTable
from hwsim.formats.element.nested import Nested
from hwsim.formats.fit import WORDS
from hwsim.formats.names import format_or_file
from hwsim.formats.own import files
from hwsim.report.explain import EXPLAINERS, Question, Section, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Codes are listed, in rows of eight, and values drawn up to this width.
LISTED_BITS = 8
COLUMN_BITS = 3
#: Mantissas up to this width have their multipliers' errors enumerated: all pairs of them in some 0.1 s.
LISTED_MANTISSA = 10
LINE_WIDTH = 72
#: Pictures show the values of formats up to this width.
DRAWN_BITS = 12
#: What stands for 0, 1, 2-3, 4-7, ... values in one character of the line.
MARKS = " .:+*#@"


@EXPLAINERS.register("format")
def explain_format(name: str, question: Question) -> list[Section]:
    """Return fields, range, storage and error of the format called ``name``."""
    fmt = format_or_file(name)
    rows = [{"property": key, "value": value} for key, value in _properties(fmt).items()]
    drawn = fmt.element.bits <= DRAWN_BITS
    sections = [Section(f"format {fmt.name}", table(rows), draw=partial(_draw, fmt) if drawn else None)]
    if fmt.element.bits <= LISTED_BITS:
        picture = _plane(fmt.element) if fmt.element.complex_valued else _value_line(fmt.element)
        sections += [picture, _codes(fmt.element)]
    sections.append(_losses(fmt))
    if isinstance(fmt.element, Minifloat) and 1 <= fmt.element.mantissa_bits <= LISTED_MANTISSA:
        sections.append(_multipliers(fmt.element.mantissa_bits))
    return sections


def _draw(fmt: Format) -> Figure:
    from hwsim.report.plot.value_grid import value_grid_figure

    return value_grid_figure(fmt.element.name, fmt.element.values())


def _properties(fmt: Format) -> dict[str, Any]:
    return {**_definition(fmt), **_element(fmt), **_scaling(fmt), **_hardware(fmt)}


def _value_line(element: ElementFormat) -> Section:
    """Return the values drawn along a line from the smallest to the largest, and their powers of two."""
    values = element.values()
    counts = np.histogram(values, bins=LINE_WIDTH)[0]
    marks = "".join(MARKS[min(int(count).bit_length(), len(MARKS) - 1)] for count in counts)
    row = {"smallest": values[0], "values": f"|{marks}|", "largest": values[-1]}
    scale = ", ".join(["' ' none", "'.' 1", "':' 2-3", "'+' 4-7", "'*' 8-15", "'#' 16-31", "'@' more"])
    return Section(f"line of the {values.size} values of {element.name}", table([row]), [f"values per mark: {scale}"])


def _plane(element: ElementFormat) -> Section:
    """Return the codes where their values lie in the complex plane, imaginary parts downwards."""
    codes = np.arange(2**element.bits, dtype=np.uint32)
    values = element.decode(codes)
    at = {(value.real, value.imag): f"{code:0{element.bits}b}" for code, value in zip(codes, values, strict=True)}
    rows = [
        {"Im \\ Re": im, **{f"{re:g}": at.get((re, im), "·") for re in np.unique(values.real)}}
        for im in np.unique(values.imag)[::-1]
    ]
    return Section(f"plane of the {len(at)} values of {element.name}", table(rows))


def _worded(value: complex) -> str:
    if not value.imag:
        return f"{value.real:g}"
    whole = f"{value.imag:g}i".replace("1i", "i")
    return whole if not value.real else f"{value.real:g}{'+' if value.imag > 0 else ''}{whole}"


def _codes(element: ElementFormat) -> Section:
    """Return the value of every code: the upper bits name the row, the lower ones the column."""
    low = max(1, min(COLUMN_BITS, element.bits - 1))
    high = element.bits - low
    values = element.decode(np.arange(2**element.bits, dtype=np.uint32)).reshape(-1, 2**low)
    shown: list[list[Any]] = values.tolist()
    if element.complex_valued:
        shown = [[_worded(value) for value in row] for row in shown]
    rows = [
        {
            "code": (f"{i:0{high}b}" if high else "") + "·" * low,
            **{f"{j:0{low}b}": value for j, value in enumerate(row)},
        }
        for i, row in enumerate(shown)
    ]
    return Section(f"codes of {element.name}", table(rows))


def _losses(fmt: Format) -> Section:
    """Return what the format loses on every named distribution, scaled per row or block."""
    rows = []
    for name in DISTRIBUTIONS:
        x = sample(name)
        found = loss(x, fitted_quantize(fmt, x))
        apart = {"outlier features": fmt.outlier_share(x)} if isinstance(fmt, Split) else {}
        rows.append({"distribution": name, "SQNR (dB)": found.sqnr_db, "relative MSE": found.mse / float((x**2).mean()),
                     "cosine": found.cosine, **apart})  # fmt: skip
    how = "scales of blocks as the format defines them"
    if isinstance(fmt, ElementFormat):
        how = f"a scale per row, fitted to its {WORDS[fmt.fit]}"
    if fmt.element.complex_valued:
        how = "pairs of numbers are complex ones, with the scales of iFairy: means of |Re| and |Im| of the tensor"
    return Section("error on named distributions", table(rows), [how])


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
            "nan_only": f"one NaN{' per sign' if element.signed else ''}, no infinity",
            "finite": "none, every code is finite",
            "fnuz": "one NaN in the place of -0, no infinity",
        }
        found |= {
            "exponent bits": element.exponent_bits,
            "mantissa bits": element.mantissa_bits,
            "exponent bias": element.bias,
            "special codes": special[element.special],
            "smallest normal": 2.0**element.min_exponent,
        }
        if element.subnormals and element.mantissa_bits:
            found["smallest subnormal"] = 2.0 ** (element.min_exponent - element.mantissa_bits)
    if isinstance(element, FloatTable):
        found |= {
            "exponent bits": element.exponent_bits,
            "mantissa bits": element.mantissa_bits,
            "exponent bias": element.bias,
            "special codes": _specials(element),
        }
    if isinstance(element, Nested):
        found["cut from"] = f"{element.stored_bits} bits by a second rounding, two's complement"
    elif isinstance(element, Integer):
        used = "all codes" if element.full else "symmetric"
        found["signed"] = f"yes, {used}" if element.signed else "no"
    if element.complex_valued:
        found["bits of a real number"] = element.bits / 2
    return {**found, "largest value": element.max_value}


def _specials(element: FloatTable) -> str:
    """Return what is unusual about the codes of a float by table."""
    words = [
        *(["infinities"] if element.infinities else []),
        *(["NaN in the place of -0"] if element.nan_at_negative_zero else []),
        *([f"{element.high_nans} NaN at the top"] if element.high_nans else []),
        *([] if element.subnormals else ["no subnormals"]),
        *([] if element.zero else ["no zero"]),
        *([] if element.signed else ["no sign"]),
    ]
    return ", ".join(words) or "none, every code is finite"


def _definition(fmt: Format) -> dict[str, Any]:
    """Return where a format of a file is defined."""
    path = files().get(fmt.element.name)
    return {} if path is None else {"defined in": str(path)}


def _scaling(fmt: Format) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(fmt, Scaled):
        found["scale"] = fmt.scale.words
        found["one scale per"] = {"tile": f"{fmt.tile_rows} × {fmt.block_size}"}.get(fmt.geometry, fmt.geometry)
    if isinstance(fmt, BitMod):
        kept = {"": "FP16, 8 bits of it counted", "int8": "8-bit share of the row's FP32 scale", "fp16": "FP16"}
        found["scale"] = f"{kept[fmt.scale_kind]}, and a 2-bit choice of the special value, per group"
        special = (SPECIAL[fmt.bits][choice] for choice in fmt.choices)
        found["special values"] = (
            ", ".join(f"{value:+g}" for value in special) + ", one per group; below with the first"
        )
    if isinstance(fmt, Olive):
        found["scale"] = f"FP16 per {fmt.geometry}, least squared error of {len(RATIOS)} clip ratios of 3 sigma"
        low, high = fmt.element.outliers[[0, -1]]
        found["outliers"] = f"±{low:g} … ±{high:g} in units of the scale; the neighbour becomes 0"
    if isinstance(fmt, Split):
        found["base format"] = fmt.base.name
        largest = f"the largest, {float(fmt.share):.1%} of them"
        reach = largest if fmt.threshold is None else f"those that reach {fmt.threshold:g} in any row"
        found["features in FP16"] = f"{reach}; {float(fmt.share):.1%} counted"
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
