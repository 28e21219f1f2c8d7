"""Merging: shards become one store, contradictions are named and change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.explore.merge import MergeReport, merge_into, merge_stores
from hwsim.explore.outcome import Outcome
from hwsim.explore.store import Entry, Store, StoredSweep
from hwsim.spec.errors import UsageError

SWEEP = StoredSweep("id1", "first", ("array.rows",), "basis1")


def entry(number, key=None):
    return Entry(number, key or f"k{number}", f"rows={number}", "w", {"array.rows": number})


def outcome(number, kind="ok"):
    return {
        "ok": Outcome(number, "ok", "", {"x": number}),
        "other": Outcome(number, "ok", "", {"x": -number - 1}),
        "failed": Outcome(number, "failed", "a bug"),
        "killed": Outcome(number, "failed", "killed", transient=True),
    }[kind]


@pytest.fixture
def shard(tmp_path):
    """Return a function that writes a store of some points: ``number=kind of outcome``."""

    def write(name, numbers, sweep=SWEEP, kind="ok", key=None):
        path = tmp_path / name
        with Store(path) as store:
            store.register(sweep, [entry(n, key and key(n)) for n in numbers], within=numbers)
            store.add((key(n) if key else f"k{n}", outcome(n, kind)) for n in numbers)
        return path

    return write


def content(path):
    with Store(path) as store:
        return [
            (sweep.name, [(r.entry, r.status, r.reason, dict(r.row)) for r in store.records(sweep)])
            for sweep in store.sweeps()
        ]


def test_shards_make_the_whole(tmp_path, shard):
    parts = [shard("a", range(0, 9, 3)), shard("b", range(1, 9, 3)), shard("c", range(2, 9, 3))]
    assert merge_stores(tmp_path / "all", parts) == MergeReport(9)
    assert content(tmp_path / "all") == content(shard("whole", range(9)))


@given(st.permutations("abc"))
def test_the_order_of_the_shards_does_not_matter(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("order")
    for start, name in enumerate("abc"):
        with Store(folder / name) as store:
            store.register(SWEEP, map(entry, range(start, 6, 3)))
            store.add((f"k{n}", outcome(n)) for n in range(start, 6, 3))
    merge_stores(folder / "all", [folder / name for name in order])
    ((_, rows),) = content(folder / "all")
    assert [row[0].index for row in rows] == list(range(6))


def test_merging_again_adds_nothing(tmp_path, shard):
    parts = [shard("a", [0, 1]), shard("b", [1, 2])]
    assert merge_stores(tmp_path / "all", parts).added == 3
    before = content(tmp_path / "all")
    assert merge_stores(tmp_path / "all", parts).added == 0
    assert content(tmp_path / "all") == before


def test_sources_stay_as_they_are(tmp_path, shard):
    part = shard("a", [0, 1])
    before = content(part)
    merge_stores(tmp_path / "all", [part])
    assert content(part) == before


def test_a_store_merged_into_itself_stays_as_it_is(tmp_path, shard, monkeypatch):
    path = shard("a", [0, 1])
    more = shard("b", [2])
    monkeypatch.chdir(tmp_path)
    assert merge_stores(path, [path, "a", more]).added == 1
    ((_, rows),) = content(path)
    assert len(rows) == 3


def test_into_memory(shard):
    with Store() as store:
        assert merge_into(store, [shard("a", [0, 1])]).added == 2
        assert len(store) == 2


def test_different_sweeps_live_side_by_side(tmp_path, shard):
    other = StoredSweep("id2", "second", (), "basis2")
    merge_stores(tmp_path / "all", [shard("a", [0, 1]), shard("b", [1, 2], other)])
    assert sorted((name, len(rows)) for name, rows in content(tmp_path / "all")) == [("first", 2), ("second", 2)]


def test_unfinished_points_are_taken_over_too(tmp_path, shard):
    path = shard("a", [0])
    with Store(path) as store:
        store.register(SWEEP, map(entry, range(5)))
    with Store(tmp_path / "all") as store:
        merge_into(store, [path])
        assert store.size_of(SWEEP) == 5
        assert len(list(store.records(SWEEP))) == 1


class TestTransient:
    def test_a_final_result_replaces_a_transient_failure(self, tmp_path, shard):
        assert merge_stores(tmp_path / "all", [shard("a", [0], kind="killed"), shard("b", [0])]).added == 2
        ((_, rows),) = content(tmp_path / "all")
        assert [row[1] for row in rows] == ["ok"]

    def test_never_the_other_way_round(self, tmp_path, shard):
        assert merge_stores(tmp_path / "all", [shard("b", [0]), shard("a", [0], kind="killed")]).added == 1
        ((_, rows),) = content(tmp_path / "all")
        assert [row[1] for row in rows] == ["ok"]


class TestContradictions:
    @pytest.mark.parametrize("kind", ["other", "failed"])
    def test_other_results_under_one_key(self, tmp_path, shard, kind):
        target = shard("a", [0, 1, 2])
        before = content(target)
        source = shard("b", [2, 3], kind=kind)
        with pytest.raises(UsageError) as caught:
            merge_stores(target, [shard("c", [4]), source])
        assert str(caught.value) == f"{source}: result k2 differs from the one taken before"
        assert content(target) == before

    def test_shards_of_different_versions_even_when_no_point_is_in_both(self, tmp_path, shard):
        newer = StoredSweep("id1", "first", ("array.rows",), "basis2")
        source = shard("b", [1, 3], newer, key=lambda n: f"new{n}")
        with pytest.raises(UsageError) as caught:
            merge_stores(shard("a", [0, 2]), [source])
        assert str(caught.value) == (
            f"{source}: sweep 'first' was run by another version of hwsim, or with changed input files"
        )

    def test_a_point_under_another_key(self, tmp_path, shard):
        source = shard("b", [1, 2], key=lambda n: f"new{n}")
        with pytest.raises(UsageError) as caught:
            merge_stores(shard("a", [0, 1]), [source])
        assert str(caught.value) == (
            f"{source}: point 1 (rows=1) was run by another version of hwsim, or with changed input files"
        )

    @pytest.mark.parametrize(("count", "last"), [(9, None), (10, None), (11, "and 1 more"), (15, "and 5 more")])
    def test_all_are_counted_the_first_ones_are_listed(self, tmp_path, shard, count, last):
        target = shard("a", range(20))
        with pytest.raises(UsageError) as caught:
            merge_stores(target, [shard("b", range(8), kind="other"), shard("c", range(8, count), kind="other")])
        lines = str(caught.value).splitlines()
        assert len(set(lines)) == len(lines)
        if last is None:
            assert len(lines) == count
        else:
            assert (len(lines), lines[-1]) == (11, last)


class TestWrongFiles:
    def test_a_missing_source_leaves_no_target(self, tmp_path, shard):
        with pytest.raises(UsageError, match="nothing: no such file"):
            merge_stores(tmp_path / "all", [shard("a", [0]), tmp_path / "nothing"])
        assert not (tmp_path / "all").exists()

    def test_into_a_store_it_leaves_all_as_it_is(self, tmp_path, shard):
        with Store() as store:
            with pytest.raises(UsageError, match="nothing: no such file"):
                merge_into(store, [shard("a", [0]), tmp_path / "nothing"])
            assert len(store) == 0

    def test_a_source_that_is_no_store(self, tmp_path, shard):
        (tmp_path / "text").write_text("no store at all" * 100)
        target = shard("a", [0])
        with pytest.raises(UsageError, match="text is not a store of hwsim results"):
            merge_stores(target, [shard("b", [1]), tmp_path / "text"])
        assert len(content(target)[0][1]) == 1
