"""SQNR of formats on named distributions against measured rows, all 104 of them but those of formats we have not.

The rows come from other samples of the same 524,288 values (``tests/data/sqnr_by_format.csv``).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from hwsim.formats import parse_format
from hwsim.formats.accuracy import fitted_quantize, sqnr_db
from hwsim.formats.distributions import DISTRIBUTIONS, sample

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "sqnr_by_format.csv").open()))
COLUMNS = {name: f"sqnr_db_{name}" for name in DISTRIBUTIONS if name != "lognormal"}
COLUMNS["gaussian_outlier_channels"] = "sqnr_db_gauss_outlier_ch30"

#: dB between two samples. The noise power of Student's t with 3 degrees of freedom hardly settles, as its
#: fourth moment is infinite. With outlier channels one value in 128 decides.
TOLERANCE = {"gaussian": 0.1, "laplace": 0.1, "uniform": 0.1, "student_t5": 0.1, "student_t3": 0.15,
             "gaussian_outlier_channels": 0.2}  # fmt: skip
#: Posits clamp at their largest value, so that the few largest values of a heavy tail decide.
LIGHT_TAILS = ("gaussian", "laplace", "uniform")

# The rows' E3M4 uses all codes as numbers, ml_dtypes' has infinities and NaN.
EXACT = {"E3M4 g128 fp16 scale": "e3m4finite_g128", "FP4 E2M1 g32 E4M3+fp32": "fp4_e2m1_g32_e4m3", "INT4 g16 E4M3+fp32 (NVINT4)": "int4_g16_e4m3",
         "MXINT4 style (1.2 fixed pt)": "int4_g32_e8m0"}  # fmt: skip
BLOCKS = [
    (r"(E\d+M\d+)(FN)? g128 fp16 scale", lambda m: m[1].lower() + "_g128"),
    (r"INT(\d) sym g(\d+) fp16 scale", lambda m: f"int{m[1]}_g{m[2]}"),
    (r"INT(\d) asym g128", lambda m: f"int{m[1]}_asym_g128"),
    (r"MSFP(\d+)", lambda m: f"msfp{m[1]}"),
    (r"FP4 E2M1 g(\d+) UE5M3", lambda m: f"fp4_e2m1_g{m[1]}_ue5m3"),
    (r"FP4 E2M1 g(\d+) fp32", lambda m: f"fp4_e2m1_g{m[1]}_fp32"),
    (r"FP4 E2M1 g(\d+) E8M0 ceil", lambda m: f"fp4_e2m1_g{m[1]}_e8m0ceil"),
    (r"MXFP(\d) (E\dM\d) \((ceil)?", lambda m: f"fp{m[1]}_{m[2].lower()}_g32_e8m0{m[3] or ''}"),
    (r"NVFP4", lambda m: "nvfp4"),
    (r"MXINT8", lambda m: "mxint8"),
    (r"BitMoD(\d)", lambda m: f"bitmod{m[1]}_g128"),
    (r"FP(\d)_(E[AR]) g128", lambda m: f"bitmod{m[1]}_{m[2].lower()}_g128"),
    (r"(NF4|FLINT4|POT4|LNS4_f1|BIPOLAR\d) g(\d+)", lambda m: f"{m[1].lower()}_g{m[2]}"),
]
TENSORS = [(r"E3M4 per-tensor", lambda m: "e3m4finite"), (r"(INT\d|E\d+M\d+)(FN)? per-tensor", lambda m: m[1].lower())]
FITTED = [
    (r"(POSIT8_es\d|LNS8_f3) unscaled", lambda m: m[1].lower()),
    (r"(Ternary) b1.58|(Binary) sign", lambda m: (m[1] or m[2]).lower()),
]


def named(patterns):
    """Return ``(our name, row)`` of every row that one of the patterns names."""
    found = []
    for row in ROWS:
        matches = (make(m) for pattern, make in patterns if (m := re.match(pattern, row["format"])))
        name = EXACT.get(row["format"]) if patterns is BLOCKS else None
        if name := name or next(matches, None):
            found.append((name, row))
    return found


def parametrized(patterns):
    rows = named(patterns)
    return pytest.mark.parametrize(("name", "row"), rows, ids=[row["format"] for _, row in rows])


def check(found, row):
    expected = {name: float(row[COLUMNS[name]]) for name in found}
    off = {name: found[name] - expected[name] for name in found if abs(found[name] - expected[name]) > TOLERANCE[name]}
    assert not off


def test_only_formats_that_we_have_not_are_left_out():
    ours = {row["format"] for patterns in (BLOCKS, TENSORS, FITTED) for _, row in named(patterns)}
    left = [row["format"] for row in ROWS if row["format"] not in ours]
    # A power-law grid of the nearest value instead of the nearest power, ternary by another threshold.
    assert len(left) == 3
    assert all(re.match(r"NUPES|Ternary TWN", text) for text in left)


@parametrized(BLOCKS)
def test_groups_and_blocks(name, row):
    check({distribution: sqnr_db(parse_format(name), distribution) for distribution in COLUMNS}, row)


@parametrized(TENSORS)
def test_one_scale_for_all(name, row):
    check({distribution: sqnr_db(parse_format(f"{name}_tensor_fp32"), distribution) for distribution in COLUMNS}, row)


@parametrized(FITTED)
def test_formats_with_other_scales_than_the_largest_magnitude(name, row):
    # A scale per row of 4096 values here, one for all there.
    fmt = parse_format(name)
    check({d: sqnr_db(fmt, d) for d in (LIGHT_TAILS if name.startswith("posit") else COLUMNS)}, row)


@pytest.mark.parametrize("name", ["ternary", "binary", "posit8_es1", "lns8_f3"])
def test_the_size_of_a_tensor_does_not_matter(name):
    x = sample("laplace")[:8]
    fmt = parse_format(name)
    found = fitted_quantize(fmt, x)
    for factor in (2.0**-12, 2.0**9):
        assert np.array_equal(fitted_quantize(fmt, factor * x), factor * found)
