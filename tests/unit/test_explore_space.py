"""The space: the odometer's order, zips, ties, samples, and points made from their number alone."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.explore.space import Axis, Point, Space, latin_hypercube, parents_first


def axis(path, *values):
    return Axis((path,), tuple((value,) for value in values))


ROWS = axis("array.rows", 4, 8, 16)
SIZE = axis("memories.weights.size", "64 KiB", "1 MiB")
PE = axis("pe", {"family": "mac", "format": "fp16"}, {"family": "lut"})
SHAPE = Axis(("array.rows", "array.cols"), ((4, 8), (8, 4), (8, 8)))


class TestOrder:
    def test_the_last_axis_turns_fastest_and_workloads_faster_still(self):
        space = Space([ROWS, SIZE], workloads=2)
        assert len(space) == 12
        assert space.designs == 6
        found = [(p.overrides["array.rows"], p.overrides["memories.weights.size"], p.workload) for p in space]
        assert found == list(itertools.product([4, 8, 16], ["64 KiB", "1 MiB"], [0, 1]))
        assert [p.index for p in space] == list(range(12))

    @given(st.lists(st.integers(1, 4), max_size=4), st.integers(1, 3))
    def test_every_combination_once_in_the_order_of_product(self, sizes, workloads):
        axes = [axis(f"a.x{i}", *range(size)) for i, size in enumerate(sizes)]
        space = Space(axes, workloads=workloads)
        expected = list(itertools.product(*map(range, sizes), range(workloads)))
        assert [(*p.overrides.values(), p.workload) for p in space] == expected
        assert len(space) == len(expected)

    def test_nothing_swept_gives_the_base_design(self):
        assert list(Space([], workloads=2, name="tiny")) == [Point(0, {}, 0, "tiny"), Point(1, {}, 1, "tiny")]

    def test_zipped_paths_advance_together(self):
        space = Space([SHAPE, SIZE])
        shapes = [(p.overrides["array.rows"], p.overrides["array.cols"]) for p in space]
        assert shapes == [(4, 8), (4, 8), (8, 4), (8, 4), (8, 8), (8, 8)]
        assert [p.label for p in space][::2] == ["4x8 64KiB", "8x4 64KiB", "8x8 64KiB"]


class TestSequence:
    space = Space([ROWS, PE], workloads=2)

    def test_index_and_slice(self):
        everything = list(self.space)
        assert self.space[3] == everything[3]
        assert self.space[-1] == everything[-1]
        assert self.space[-12] == everything[0]
        for cut in (slice(None), slice(2, 9, 3), slice(None, None, -1), slice(5, 100), slice(4, 2)):
            assert self.space[cut] == everything[cut]

    @pytest.mark.parametrize("index", [12, -13, 10**9])
    def test_out_of_range(self, index):
        with pytest.raises(IndexError, match=f"point {index} of 12"):
            self.space[index]

    def test_a_large_space_costs_nothing_until_asked(self):
        huge = Space([axis(f"a.x{i}", *range(1000)) for i in range(6)])
        assert len(huge) == 10**18
        digits = [int(d) for d in huge[123_456_789_012_345_678].overrides.values()]
        assert digits == [123, 456, 789, 12, 345, 678]
        assert huge[-1].overrides["a.x5"] == 999

    def test_points_travel_between_processes(self):
        assert pickle.loads(pickle.dumps(self.space[5])) == self.space[5]


class TestTies:
    def test_a_tied_path_copies_its_source(self):
        space = Space([ROWS, SIZE], tie={"array.cols": "array.rows", "memories.outputs.size": "memories.weights.size"})
        assert len(space) == 6
        for point in space:
            assert point.overrides["array.cols"] == point.overrides["array.rows"]
            assert point.overrides["memories.outputs.size"] == point.overrides["memories.weights.size"]
        assert space.paths == ("array.rows", "memories.weights.size", "array.cols", "memories.outputs.size")
        assert space[0].label == "4x4 64KiB"

    def test_a_tie_to_a_zipped_path(self):
        space = Space([SHAPE], tie={"vector_unit.lanes": "array.cols"})
        assert [p.overrides["vector_unit.lanes"] for p in space] == [8, 4, 8]


class TestParents:
    def test_a_mapping_is_set_before_its_fields_whatever_the_order_of_the_axes(self):
        lanes = axis("pe.lanes", 1, 2)
        for axes in ([lanes, PE], [PE, lanes]):
            for point in Space(axes):
                assert list(point.overrides) == ["pe", "pe.lanes"]

    def test_paths_of_equal_depth_keep_their_order(self):
        overrides = {"b.x": 1, "a.x": 2, "z": 3, "a.x.y": 4, "c": 5}
        assert list(parents_first(overrides)) == ["z", "c", "b.x", "a.x", "a.x.y"]


class TestParameters:
    def test_cells_are_in_base_units_mappings_in_short(self):
        space = Space([PE, SIZE, axis("clock", "1 GHz", None)], tie={"memories.outputs.size": "memories.weights.size"})
        assert space.parameters(0) == {
            "pe": "mac fp16",
            "memories.weights.size": 65536,
            "clock": 10**9,
            "memories.outputs.size": 65536,
        }
        assert space.parameters(len(space) - 1) == {
            "pe": "lut",
            "memories.weights.size": 1048576,
            "clock": None,
            "memories.outputs.size": 1048576,
        }

    def test_they_are_those_of_the_point_for_every_workload(self):
        space = Space([SHAPE, SIZE], workloads=3)
        for point in space:
            cells = space.parameters(point.index)
            assert tuple(cells) == space.paths
            assert cells["array.rows"] == point.overrides["array.rows"]
            assert cells["array.cols"] == point.overrides["array.cols"]


def test_labels_are_unique_per_design_and_shared_by_its_workloads():
    space = Space([PE, SHAPE, SIZE, axis("clock", "1 GHz", "2 GHz")], workloads=2)
    counts = Counter(point.label for point in space)
    assert len(counts) == space.designs == 24
    assert set(counts.values()) == {2}


class TestLatinHypercube:
    @given(st.lists(st.integers(1, 12), max_size=4), st.integers(1, 40), st.integers(0, 5), st.integers(1, 3))
    def test_every_stratum_of_every_axis_is_used_once(self, sizes, samples, seed, fine):
        # The last axis has a whole number of levels per stratum, so no two samples fall together.
        sizes = [*sizes, samples * fine]
        drawn = latin_hypercube(sizes, samples, seed)
        assert len(drawn) == samples
        for size, column in zip(sizes, zip(*drawn, strict=True), strict=True):
            assert all(0 <= level < size for level in column)
            # Sample number s of an axis lies in [s, s + 1) / samples: so many are below each level.
            below = [sum(level < bound for level in column) for bound in range(size + 1)]
            for bound, count in enumerate(below):
                assert bound * samples // size <= count <= -(-bound * samples // size)
        assert sorted(row[-1] // fine for row in drawn) == list(range(samples))

    @given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
    def test_levels_are_used_equally_often_where_they_divide_the_samples(self, size, each, seed):
        samples = size * each
        drawn = latin_hypercube([size, samples], samples, seed)
        assert Counter(level for level, _ in drawn) == dict.fromkeys(range(size), each)

    def test_designs_that_fall_together_are_kept_once(self):
        assert sorted(latin_hypercube([2], 100, 0)) == [(0,), (1,)]
        drawn = latin_hypercube([3, 3], 50, 1)
        assert len(set(drawn)) == len(drawn) <= 9

    def test_without_axes_there_is_one_design(self):
        assert latin_hypercube([], 10, 0) == [()]

    def test_the_draw_of_a_seed_never_changes(self):
        # random.Random promises its sequence; a stored sweep must stay what it was.
        assert latin_hypercube([4, 3], 5, 7) == [(2, 0), (0, 0), (0, 2), (3, 1), (1, 2)]
        assert latin_hypercube([4, 3], 5, 7) == latin_hypercube([4, 3], 5, 7)
        assert latin_hypercube([100, 100], 5, 7) != latin_hypercube([100, 100], 5, 8)

    def test_the_axes_of_a_draw_are_independent(self):
        # One order for all axes would put every sample on the diagonal.
        drawn = latin_hypercube([50, 50], 50, 3)
        assert drawn != [(level, level) for level, _ in drawn]
        assert [a for a, _ in drawn] != list(range(50))

    def test_a_sampled_space(self):
        axes = [axis("a.x", *range(10)), axis("a.y", *range(10))]
        space = Space(axes, workloads=2, samples=10, seed=4)
        assert space.designs == 10
        assert len(space) == 20
        drawn = [(p.overrides["a.x"], p.overrides["a.y"]) for p in space][::2]
        assert drawn == latin_hypercube([10, 10], 10, 4)
        assert sorted(x for x, _ in drawn) == sorted(y for _, y in drawn) == list(range(10))
        assert space.parameters(2 * 3 + 1) == dict(zip(("a.x", "a.y"), drawn[3], strict=True))
