"""``hwsim explain format``: every code with its value, the line of values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.formats import parse_format
from hwsim.formats.approximate import MULTIPLIERS, multiplier_error
from hwsim.report.explain import EXPLAINERS, Question


def sections(name):
    return {s.title.split(" of ")[0]: s for s in EXPLAINERS.get("format")(name, Question())}


@pytest.mark.parametrize("name", ["fp4_e2m1", "int8", "posit8_es2", "ternary", "binary", "mxfp6_e3m2", "bitmod3_g128"])
def test_every_code_is_listed_with_its_value(name):
    element = parse_format(name).element
    frame = sections(name)["codes"].frame
    listed = {}
    for _, row in frame.iterrows():
        high = row["code"].rstrip("·")
        listed |= {int(high + low, 2): value for low, value in row.items() if low != "code"}
    exact = element.decode(np.arange(2**element.bits, dtype=np.uint32))
    assert sorted(listed) == list(range(2**element.bits))
    for code, value in listed.items():
        assert value == exact[code] or (math.isnan(value) and math.isnan(exact[code]))


def test_values_of_fp4_stand_where_they_belong():
    row = sections("fp4_e2m1")["line"].frame.iloc[0]
    marks = row["values"].strip("|")
    assert (row["smallest"], row["largest"]) == (-6.0, 6.0)
    assert marks.count(".") == 15
    where = [i for i, mark in enumerate(marks) if mark == "."]
    width = 12 / len(marks)
    assert where == [min(int((v + 6) / width), len(marks) - 1) for v in parse_format("fp4_e2m1").element.values()]


def test_wide_formats_are_not_listed():
    assert "codes" not in sections("fp16")
    assert "line" not in sections("fp16")


@pytest.mark.parametrize(("name", "bits"), [("fp8_e4m3", 3), ("mxfp8_e5m2", 2), ("bf16", 7), ("fp16", 10)])
def test_multipliers_of_its_mantissa_width(name, bits):
    frame = sections(name)["relative error"].frame.set_index("multiplier")
    assert list(frame.index) == MULTIPLIERS.names()
    for multiplier in frame.index:
        assert frame.loc[multiplier, "mean |error|"] == multiplier_error(multiplier, bits).mean_abs


@pytest.mark.parametrize("name", ["int8", "fp4_e3m0", "fp32", "bitmod4_g128"])
def test_formats_without_fields_to_add_have_no_multipliers(name):
    assert "relative error" not in sections(name)
