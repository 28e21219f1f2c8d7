"""Accumulators that a policy asks for, against what PEs sum in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.formats.element.minifloat import Minifloat
from hwsim.formats.sums import holds_all, parse_sum_format
from hwsim.hardware.pe import make_pe
from hwsim.simulate.sums import check_sums
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace, read_trace, write_trace

PAIRS = [
    ("int_mac", {"format": "int8", "accumulator": "int24"}, "int24", True),
    ("int_mac", {"format": "int8", "accumulator": "int24"}, "int25", False),
    ("int_mac", {"format": "int8", "accumulator": "int24"}, "fp32", False),
    ("int_mac", {"format": "int8_g32", "accumulator": "int24"}, "fp32", True),
    ("float_mac", {"format": "fp16", "accumulator": "fp32"}, "bf16", True),
    ("float_mac", {"format": "fp16", "accumulator": "bf16"}, "fp16", False),
    ("exact_mac", {"format": "fp8_e4m3", "length": 64}, "fp32", True),
    ("bitmod", {"w_format": "bitmod4_g128", "a_format": "fp16"}, "fp16", True),
    ("bitmod", {"w_format": "bitmod4_g128", "a_format": "fp16"}, "fp32", True),  # sums of groups are scaled into FP32
]


@pytest.mark.parametrize(("family", "options", "asked", "holds"), PAIRS)
def test_pes_are_refused_that_hold_less(family: str, options: dict[str, str], asked: str, holds: bool) -> None:
    pe = make_pe({"family": family, **options})
    gemm = Gemm("ffn", 4, 4, 4, w_format=pe.w_format.name, a_format=pe.a_format.name, accumulator=asked)
    if holds:
        check_sums(pe, Trace("t", (gemm,)))
        return
    with pytest.raises(UsageError, match=f"ffn: the policy asks for sums in {asked}, and pe {family} sums"):
        check_sums(pe, Trace("t", (gemm,)))


SMALL = st.builds(
    Minifloat, st.just("f"), st.integers(2, 5), st.integers(0, 5), st.just("finite"), st.none() | st.integers(0, 8)
)


@given(SMALL, SMALL)
def test_floats_hold_all_values_as_their_codes_say(sums: Minifloat, wanted: Minifloat) -> None:
    values = [{float(v) for v in fmt.values()} for fmt in (sums, wanted)]
    assert holds_all(sums, wanted) == (values[1] <= values[0])


@given(st.integers(1, 53), st.integers(1, 53))
def test_integers_hold_all_by_width(sums: int, wanted: int) -> None:
    assert holds_all(parse_sum_format(f"int{sums}"), parse_sum_format(f"int{wanted}")) == (sums >= wanted)
    assert not holds_all(parse_sum_format(f"int{sums}"), parse_format("fp32"))


def test_a_trace_keeps_them(tmp_path: Path) -> None:
    gemm = Gemm("ffn", 4, 4, 4, w_format="int8", a_format="int8", o_format="int8", accumulator="int48")
    write_trace(Trace("t", (gemm,)), tmp_path / "t.csv")
    assert read_trace(tmp_path / "t.csv").gemms == (gemm,)
    write_trace(Trace("t", (Gemm("ffn", 4, 4, 4),)), tmp_path / "u.csv")
    assert "accumulator" not in (tmp_path / "u.csv").read_text()
