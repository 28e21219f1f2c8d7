"""Which designs the error of LUTs leaves on a front, against every pair compared; how pictures and pages say it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.explore.error_band import logic_of, lut_error, within_error
from hwsim.explore.metrics import Direction
from hwsim.explore.pareto import non_dominated
from hwsim.report.plot.kit.fronts import Objectives, looks_of, panels_of
from hwsim.spec.data import read_csv_rows

POINTS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=12)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether one has no more LUTs, no less quality, and is better in one."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(points=POINTS, error=st.sampled_from([0.0, 0.125, 0.5]))
def test_it_is_what_every_pair_says(points: list[tuple[int, int]], error: float) -> None:
    ways: list[Direction] = ["min", "max"]
    found = within_error(points, ways, [True, False], error)
    for i, (luts, quality) in enumerate(points):
        others = [other for j, other in enumerate(points) if j != i]
        beaten = any(beats(other, points[i]) for other in others)
        still = any(beats(other, (luts * (1 - error), quality)) for other in others)
        assert found[i] == (beaten and not still)


@given(points=POINTS)
def test_no_design_of_the_front_is_beaten_and_a_larger_error_leaves_no_fewer(points: list[tuple[int, int]]) -> None:
    ways: list[Direction] = ["min", "max"]
    small, large = (within_error(points, ways, [True, False], error) for error in (0.1, 0.3))
    assert not (small & non_dominated(points, ways)).any()
    assert (small <= large).all()
    assert not within_error(points, ways, [False, False], 0.3).any()


def test_it_is_the_error_of_cross_validation() -> None:
    rows = {row["figure"]: (float(row["median"]), float(row["p90"])) for row in read_csv_rows("fpga", "errors.csv")}
    assert lut_error() == rows["lut_sites"]
    assert lut_error("alm") == rows["alm"]
    assert [logic_of(one) for one in (["lut6", "latency_ms"], ["alm_share"], ["latency_ms"])] == ["lut6", "alm", None]


def test_kinds_of_numbers_are_told_apart_where_a_family_has_several() -> None:
    pes = ["exact_mac int8", "exact_mac fp8_e4m3", "exact_mac fp8_e4m3 lmul", "ternary ternary/int8 lanes=1", "", "x y"]
    assert looks_of(pes) == [
        "exact_mac integers",
        "exact_mac minifloats",
        "exact_mac minifloats lmul",
        "ternary",
        "",
        "x",
    ]
    assert looks_of(["float_mac fp16", "float_mac mxfp4", "int_mac int4/int8"]) == ["float_mac", "float_mac", "int_mac"]


@pytest.mark.parametrize(("x", "near"), [("lut6", ["b"]), ("ff", [])])
def test_panels_know_who_is_nearly_best_only_where_luts_count(x: str, near: list[str]) -> None:
    frame = pd.DataFrame({"design_id": list("abc"), "workload": "w", x: [100, 105, 200], "sqnr_db": [10.0, 9.0, 8.0],
                          "status": "ok", "reason": ""})  # fmt: skip
    (panel,) = panels_of(frame, Objectives.of(x, "sqnr_db", None, None), None)
    assert [panel.designs[i] for i in panel.near] == near
    assert np.array_equal(panel.front, [0])
