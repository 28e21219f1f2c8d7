"""Other names of formats, one-bit integers, and BitMoD's single types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from hwsim.formats import get
from hwsim.formats.block.bitmod import BASIC, SPECIAL, BitModElement
from hwsim.spec.errors import UsageError


@pytest.mark.parametrize(
    "dtype",
    [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e4m3b11fnuz,
     ml_dtypes.float8_e4m3, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz, ml_dtypes.float8_e3m4,
     ml_dtypes.float8_e8m0fnu, ml_dtypes.float6_e2m3fn, ml_dtypes.float6_e3m2fn, ml_dtypes.float4_e2m1fn],
)  # fmt: skip
def test_names_of_ml_dtypes_mean_its_formats(dtype):
    fmt = get(np.dtype(dtype).name)
    codes = np.arange(2**fmt.bits, dtype=np.uint32)
    wide = np.uint16 if fmt.bits == 16 else np.uint8
    with np.errstate(invalid="ignore"):
        theirs = codes.astype(wide).view(dtype).astype(np.float64)
    assert np.array_equal(fmt.decode(codes), theirs, equal_nan=True)


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_names_of_numpy(name):
    assert get(name) == get(name.replace("loat", "p"))


def test_widths_that_are_stored_wider():
    tf32, scale = get("tf32"), get("ue4m3")
    assert (tf32.bits, tf32.bits_per_element, tf32.storage_bits(2, 3)) == (19, 32, 6 * 32)
    assert (scale.bits, scale.bits_per_element) == (7, 8)
    assert get("tf32_g32_fp32").storage_bits(1, 32) == 32 * 32 + 32


@pytest.mark.parametrize("name", ["bf16_g128", "tf32_tensor", "fp9_e8m0_g32"])
def test_scales_that_would_vanish_are_refused(name):
    with pytest.raises(UsageError, match="would be 0"):
        get(name)
    assert get(f"{name}_fp32").quantize(np.array([1.0, 8.0])).all()


def test_e8m0_is_the_scale_of_mx_and_e3m4_has_infinities():
    assert get("e8m0") == get("ue8m0")
    assert get("e3m4").max_value == 15.5
    assert get("e3m4ieee") == get("fp8_e3m4")


def test_block_floating_point_by_its_own_name():
    assert get("bfp5_g16") == get("int5_g16_e8m0")


def test_one_signed_bit_is_minus_one_or_zero():
    fmt = get("int1")
    assert fmt.values().tolist() == [-1, 0]
    theirs = np.array([0, -1], dtype=ml_dtypes.int1).astype(np.float64)
    assert np.array_equal(fmt.decode(np.array([0, 1])), theirs)
    assert fmt.quantize(np.array([-3.0, -0.6, 0.4, 7.0])).tolist() == [-1, -1, 0, 0]


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("choice", range(4))
def test_single_types_are_those_that_a_group_chooses_among(bits, choice):
    special = SPECIAL[bits][choice]
    kind = "er" if abs(special) == min(map(abs, SPECIAL[bits])) else "ea"
    fmt = get(f"fp{bits}_{kind}_{'plus' if special > 0 else 'minus'}")
    assert np.array_equal(fmt.code_values(), BitModElement("x", bits, special).levels)
    assert set(BASIC[bits]) <= set(fmt.values().tolist())
