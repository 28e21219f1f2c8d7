"""Fronts, hypervolume, knee: against the plain definitions, and on tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.explore.metrics import METRICS
from hwsim.explore.pareto import hypervolume, knee, matching, non_dominated, pareto_front
from hwsim.spec.errors import UsageError

#: Few values, so that ties, duplicates and domination are frequent.
counts = st.integers(1, 5)
cell = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0, 2.5, math.inf, -math.inf, math.nan])
whole = st.integers(0, 4)
direction = st.sampled_from(["min", "max"])


@st.composite
def tables(draw, cells=cell, columns=counts, max_rows=12):
    count = draw(columns)
    rows = draw(st.lists(st.lists(cells, min_size=count, max_size=count), max_size=max_rows))
    return np.array(rows, dtype=float).reshape(-1, count), draw(st.lists(direction, min_size=count, max_size=count))


def dominates(one, other, directions):
    """Return whether ``one`` is as good as ``other`` in everything and better in something."""
    pairs = [(a, b) if d == "min" else (-a, -b) for a, b, d in zip(one, other, directions, strict=True)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front_by_definition(values, directions):
    known = [not any(math.isnan(x) for x in row) for row in values]
    return [
        known[i] and not any(known[j] and dominates(values[j], row, directions) for j in range(len(values)))
        for i, row in enumerate(values)
    ]


class TestNonDominated:
    @given(tables())
    def test_definition(self, table):
        values, directions = table
        assert non_dominated(values, directions).tolist() == front_by_definition(values, directions)

    @pytest.mark.parametrize("count", [2, 3, 4])
    def test_definition_on_larger_tables(self, count):
        rng = np.random.default_rng(count)
        values = rng.integers(0, 12, (300, count)).astype(float)
        directions = ["min", "max", "min", "max"][:count]
        mask = non_dominated(values, directions)
        assert mask.tolist() == front_by_definition(values, directions)
        assert 0 < mask.sum() < 300

    @given(tables(), st.randoms(use_true_random=False))
    def test_the_order_of_rows_does_not_matter(self, table, random):
        values, directions = table
        order = list(range(len(values)))
        random.shuffle(order)
        assert non_dominated(values[order], directions).tolist() == non_dominated(values, directions)[order].tolist()

    def test_equal_rows_stay_together(self):
        assert non_dominated([[1, 2], [1, 2], [2, 1], [2, 2]]).tolist() == [True, True, True, False]

    def test_negative_zero_is_zero(self):
        for values in ([[0.0, 1], [-0.0, 1]], [[-0.0, 1, 0], [0.0, 1, -0.0]]):
            for way in ("min", "max"):
                assert non_dominated(values, [way] * len(values[0])).all()

    def test_nan_is_never_on_the_front_and_hides_nothing(self):
        values = [[math.nan, 0], [1, 1], [0, math.nan], [2, 2]]
        assert non_dominated(values).tolist() == [False, True, False, False]
        assert not non_dominated([[math.nan, math.nan]]).any()

    def test_infinities_compare(self):
        assert non_dominated([[0, math.inf], [1, math.inf], [1, 5]]).tolist() == [True, False, True]
        assert non_dominated([[math.inf, math.inf]]).tolist() == [True]
        assert non_dominated([[0, math.inf], [1, math.inf], [1, 5]], ["min", "max"]).tolist() == [True, False, False]

    def test_all_are_minimised_when_no_direction_is_given(self):
        values = [[1, 2], [2, 1], [2, 2]]
        assert non_dominated(values).tolist() == non_dominated(values, ["min", "min"]).tolist() == [True, True, False]

    def test_no_rows(self):
        assert non_dominated(np.empty((0, 3))).shape == (0,)

    def test_the_input_is_not_changed(self):
        values = np.array([[1.0, 2.0], [-0.0, 3.0]])
        before = values.copy()
        non_dominated(values, ["max", "min"])
        assert values.tobytes() == before.tobytes()

    @pytest.mark.parametrize("values", [[], [1, 2], [[[1]]], np.empty((3, 0)), 5])
    def test_other_shapes_are_refused(self, values):
        with pytest.raises(UsageError, match=r"values must have the shape \(designs, objectives\), not "):
            non_dominated(values)

    @pytest.mark.parametrize("directions", [["min"], ["min", "up"], ["min", "max", "min"], []])
    def test_other_directions_are_refused(self, directions):
        with pytest.raises(UsageError, match="directions must be 2 times 'min' or 'max', not "):
            non_dominated([[1, 2]], directions)


def cells_covered(values, reference):
    """Count the unit cells below ``reference`` that some row dominates, all whole numbers, all ``min``."""
    boxes = itertools.product(*(range(int(r)) for r in reference))
    return sum(any(all(v <= c for v, c in zip(row, box, strict=True)) for row in values) for box in boxes)


def inclusion_exclusion(values, reference):
    """Return the volume of the union of boxes, as a sum over all sets of rows."""
    total = 0
    for size in range(1, len(values) + 1):
        for chosen in itertools.combinations(values, size):
            corner = [max(column) for column in zip(*chosen, strict=True)]
            total += (-1) ** (size + 1) * math.prod(max(0, r - c) for r, c in zip(reference, corner, strict=True))
    return total


class TestHypervolume:
    @pytest.mark.parametrize(
        ("values", "reference", "expected"),
        [
            ([[1, 4], [2, 2], [4, 1]], [5, 5], 4 + 3 * 2 + 1),
            ([[1, 4], [2, 2], [4, 1], [4, 4], [2, 2]], [5, 5], 11),
            ([[3]], [10], 7),
            ([[0, 0, 0]], [2, 3, 4], 24),
            ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 2, 2], 1 + 3 * 1),
            ([[0, 0, 0, 0], [1, 1, 1, 1]], [2, 2, 2, 2], 16),
            ([[5, 1]], [5, 5], 0),  # on the border of the reference
            ([[6, 1], [1, 6]], [5, 5], 0),
            ([[math.nan, 1], [4, 4]], [5, 5], 1),
        ],
    )
    def test_known_volumes(self, values, reference, expected):
        assert hypervolume(values, reference) == expected

    @given(tables(whole, st.integers(1, 4), 8), st.data())
    def test_it_counts_the_cells_that_a_row_dominates(self, table, data):
        values, _ = table
        assume(len(values))
        reference = data.draw(st.lists(st.integers(0, 5), min_size=values.shape[1], max_size=values.shape[1]))
        assert hypervolume(values, reference) == cells_covered(values, reference)

    @given(tables(st.integers(0, 50), st.integers(1, 4), 7))
    def test_it_is_the_union_of_boxes(self, table):
        values, _ = table
        assume(len(values))
        reference = [51] * values.shape[1]
        assert hypervolume(values, reference) == inclusion_exclusion(values.tolist(), reference)

    @given(tables(whole, st.integers(2, 4), 8))
    def test_maximising_is_minimising_the_negative(self, table):
        values, directions = table
        assume(len(values))
        signs = np.array([1.0 if d == "min" else -1.0 for d in directions])
        reference = np.where(signs > 0, 5.0, -1.0)
        assert hypervolume(values, reference, directions) == hypervolume(values * signs, reference * signs)

    @given(tables(whole, st.integers(2, 4), 8))
    def test_dominated_rows_and_order_add_nothing(self, table):
        values, _ = table
        assume(len(values))
        reference = [5] * values.shape[1]
        whole_volume = hypervolume(values, reference)
        assert hypervolume(values[::-1], reference) == whole_volume
        assert hypervolume(values[non_dominated(values)], reference) == whole_volume

    def test_rows_that_are_infinitely_good(self):
        assert hypervolume([[-math.inf, 1], [-math.inf, 1], [0, 0]], [5, 5]) == math.inf
        assert hypervolume([[1, math.inf]], [5, 5]) == 0

    def test_the_reference_must_fit(self):
        with pytest.raises(UsageError, match="reference must have 2 values, not 3"):
            hypervolume([[1, 2]], [1, 2, 3])


class TestKnee:
    def test_the_bend_of_an_l(self):
        assert knee([[0, 10], [1, 1], [10, 0], [9, 9]]) == 1

    def test_scales_do_not_matter(self):
        values = np.array([[0, 10], [1, 4], [3, 3], [10, 0]], dtype=float)
        assert knee(values) == knee(values * [1e6, 1e-3] + [5, -2]) == 1

    def test_maximised_objectives(self):
        assert knee([[0, 0], [1, 9], [10, 10]], ["min", "max"]) == 1

    def test_a_straight_front_has_its_first_row(self):
        assert knee([[0, 2], [1, 1], [2, 0]]) == 0

    def test_an_objective_in_which_all_are_equal_says_nothing(self):
        assert knee([[0, 7, 10], [1, 7, 1], [10, 7, 0]]) == 1

    def test_one_row_and_none(self):
        assert knee([[3, 4]]) == 0
        assert knee([[math.nan, 1], [5, 5], [6, 6]]) == 1
        assert knee([[math.nan, 1]]) is None
        assert knee([[math.inf, 1]]) is None
        assert knee(np.empty((0, 2))) is None

    @given(tables(st.integers(0, 9), st.integers(2, 4), 10))
    def test_it_has_the_least_sum_of_scaled_values_on_the_front(self, table):
        values, directions = table
        assume(len(values))
        costs = [[v if d == "min" else -v for v, d in zip(row, directions, strict=True)] for row in values.tolist()]
        front = [i for i, on in enumerate(front_by_definition(values, directions)) if on]
        low = [min(column) for column in zip(*(costs[i] for i in front), strict=True)]
        high = [max(column) for column in zip(*(costs[i] for i in front), strict=True)]
        sums = {
            i: math.fsum((c - lo) / (hi - lo) for c, lo, hi in zip(costs[i], low, high, strict=True) if hi > lo)
            for i in front
        }
        found = knee(values, directions)
        assert found in front
        # Sums of up to four quotients, each rounded once.
        assert sums[found] == pytest.approx(min(sums.values()), abs=1e-15 * 8)


FRAME = pd.DataFrame(
    {
        "design_id": list("abcdefg"),
        "workload": ["w", "w", "w", "v", "v", "w", "v"],
        "array.rows": [4, 8, 16, 4, 8, 32, 64],
        "energy_mj": [1.0, 2.0, 3.0, 9.0, 8.0, 0.5, None],
        "latency_ms": [3.0, 1.0, 2.0, 9.0, 8.0, 0.5, 1.0],
        "status": ["ok", "ok", "ok", "ok", "ok", "excluded", "failed"],
        "note": ["x", "y", None, "x", "y", "x", "y"],
    }
)
OBJECTIVES = {"energy_mj": "min", "latency_ms": "min"}


def names(frame):
    return "".join(frame["design_id"])


class TestParetoFront:
    def test_one_front_per_workload_among_the_rows_that_are_ok(self):
        assert names(pareto_front(FRAME, OBJECTIVES)) == "abe"

    def test_without_a_workload_column_there_is_one_front(self):
        assert names(pareto_front(FRAME.drop(columns="workload"), OBJECTIVES)) == "ab"

    def test_without_a_status_column_all_rows_take_part(self):
        assert names(pareto_front(FRAME.drop(columns="status"), OBJECTIVES)) == "ef"

    def test_directions(self):
        assert names(pareto_front(FRAME, {"energy_mj": "max", "latency_ms": "min"})) == "bcde"
        assert names(pareto_front(FRAME, {"energy_mj": "max"})) == "cd"

    def test_a_condition_chooses_who_takes_part(self):
        assert names(pareto_front(FRAME, OBJECTIVES, "latency_ms >= 2")) == "ace"
        assert names(pareto_front(FRAME, OBJECTIVES, "array.rows in [4, 16] and note == 'x'")) == "ad"
        assert names(pareto_front(FRAME, OBJECTIVES, "array.rows > 1000")) == ""

    def test_rows_columns_and_index_stay_as_they_are(self):
        front = pareto_front(FRAME.set_index(FRAME.index + 100), OBJECTIVES)
        assert front.index.tolist() == [100, 101, 104]
        assert front.columns.tolist() == FRAME.columns.tolist()

    def test_an_empty_table(self):
        assert len(pareto_front(FRAME[:0], OBJECTIVES)) == 0
        assert len(pareto_front(FRAME[:0].drop(columns="workload"), OBJECTIVES)) == 0

    def test_a_column_without_any_value_leaves_nobody(self):
        frame = FRAME.assign(energy_mj=[None] * 7)
        assert len(pareto_front(frame, OBJECTIVES)) == 0

    @given(st.lists(st.tuples(whole, whole, whole, st.sampled_from("vw")), max_size=15))
    def test_each_front_is_the_front_of_its_group(self, rows):
        frame = pd.DataFrame(rows, columns=["x", "y", "z", "workload"])
        frame[["x", "y", "z"]] = frame[["x", "y", "z"]].astype(float)
        ways = {"x": "min", "y": "max", "z": "min"}
        expected = []
        for group in "vw":
            part = frame[frame["workload"] == group]
            mask = front_by_definition(part[["x", "y", "z"]].to_numpy(), list(ways.values()))
            expected += part.index[np.array(mask, dtype=bool)].tolist()
        assert pareto_front(frame, ways).index.tolist() == sorted(expected)

    @pytest.mark.parametrize(
        ("objectives", "where", "message"),
        [
            ({}, None, "a Pareto front needs at least one objective"),
            ({"energy": "min"}, None, r"unknown column 'energy'; valid: .*did you mean 'energy_mj'\?"),
            ({"note": "min"}, None, "the columns note must hold numbers"),
            ({"energy_mj": "down"}, None, "directions must be 1 times 'min' or 'max'"),
            (OBJECTIVES, "area < 3", "unknown variable 'area' in 'area < 3'; valid: "),
            (OBJECTIVES, "energy_mj", "is no condition"),
            (OBJECTIVES, "note < 3", "mixes numbers and words"),
        ],
    )
    def test_what_is_refused(self, objectives, where, message):
        with pytest.raises(UsageError, match=message):
            pareto_front(FRAME, objectives, where)


class TestMatching:
    def test_cells_without_value_match_nothing(self):
        assert names(matching(FRAME, "energy_mj >= 0")) == "abcdef"
        assert names(matching(FRAME, "note != 'z'")) == "abdefg"

    def test_a_condition_without_names_takes_all_or_none(self):
        assert len(matching(FRAME, "1 < 2")) == len(FRAME)
        assert len(matching(FRAME, "1 > 2")) == 0

    def test_units(self):
        frame = pd.DataFrame({"memories.weights.size": [65536, 131072]})
        assert matching(frame, "memories.weights.size <= 64 KiB").index.tolist() == [0]

    def test_an_empty_table_still_checks_names(self):
        assert len(matching(FRAME[:0], "energy_mj < 1")) == 0
        with pytest.raises(UsageError, match="unknown variable"):
            matching(FRAME[:0], "energi < 1")


def test_every_metric_has_a_direction_and_the_mapping_is_read_only():
    assert set(METRICS.values()) == {"min", "max"}
    assert list(METRICS)[:4] == ["area_mm2", "peak_tops", "latency_ms", "energy_mj"]
    with pytest.raises(TypeError):
        METRICS["x"] = "min"  # type: ignore[index]
