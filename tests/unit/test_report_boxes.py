"""Geometry against exact fractions, and where names go."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.report.plot.kit.boxes import around, crosses, grown, hits, inside, nearest, overlaps
from hwsim.report.plot.kit.names import LINE, short_names, worth_naming
from hwsim.report.plot.kit.placement import MARGIN, Scene, place_names
from hwsim.report.plot.kit.text import shorten

INTEGERS = st.integers(0, 6)
SIDES = st.integers(1, 4)
BOXES = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), INTEGERS, INTEGERS, SIDES, SIDES)
LINES = st.tuples(INTEGERS, INTEGERS, INTEGERS, INTEGERS).filter(lambda s: s[:2] != s[2:])


def one(values):
    return np.array([values], dtype=float)


@given(BOXES, BOXES)
def test_overlaps_is_an_area_in_common(a, b):
    shared = {(x, y) for x in range(a[0], a[2]) for y in range(a[1], a[3])}
    shared &= {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])}
    assert overlaps(one(a), one(b))[0, 0] == bool(shared)


@given(BOXES, BOXES)
def test_inside(a, b):
    cells = {(x, y) for x in range(a[0], a[2]) for y in range(a[1], a[3])}
    frame = {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])}
    assert inside(one(a), np.array(b, dtype=float))[0] == (cells <= frame)


@given(LINES, BOXES)
def test_hits_is_a_point_strictly_within(line, box):
    # Entry and exit are fractions with denominators up to 6: at least 1/30 apart. 120 steps meet them.
    x0, y0, x1, y1 = line
    steps = [Fraction(i, 120) for i in range(121)]
    within = any(box[0] < x0 + t * (x1 - x0) < box[2] and box[1] < y0 + t * (y1 - y0) < box[3] for t in steps)
    assert hits(one(line), one(box))[0, 0] == within


@given(LINES, LINES)
def test_crosses_is_an_inner_point_in_common(a, b):
    ax, ay, bx, by = a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]
    turn = ax * by - ay * bx
    expected = False
    if turn:
        t = Fraction((b[0] - a[0]) * by - (b[1] - a[1]) * bx, turn)
        s = Fraction((b[0] - a[0]) * ay - (b[1] - a[1]) * ax, turn)
        expected = 0 < t < 1 and 0 < s < 1
    assert crosses(one(a), one(b))[0, 0] == expected


def test_shapes_and_small_helpers():
    boxes = around(np.array([[1.0, 2.0]]), np.array([0.5]))
    assert boxes.tolist() == [[0.5, 1.5, 1.5, 2.5]]
    assert grown(boxes, 1).tolist() == [[-0.5, 0.5, 2.5, 3.5]]
    assert nearest(boxes, np.array([9.0, 2.0])).tolist() == [[1.5, 2.0]]
    none = np.empty((0, 4))
    assert overlaps(none, boxes).shape == hits(none, boxes).shape == crosses(none, boxes).shape == (0, 1)


FRAME = np.array([0.0, 0.0, 400.0, 300.0])


@st.composite
def scenes(draw):
    count = draw(st.integers(1, 14))
    place = st.tuples(st.floats(10, 390), st.floats(10, 290))
    marks = np.array(draw(st.lists(place, min_size=count, max_size=count)))
    radii = np.array(draw(st.lists(st.floats(2, 9), min_size=count, max_size=count)))
    sizes = np.array(draw(st.lists(st.tuples(st.floats(20, 130), st.floats(10, 26)), min_size=count, max_size=count)))
    return Scene(FRAME, marks, radii), sizes


@given(scenes())
def test_placed_names_touch_nothing(drawn):
    scene, sizes = drawn
    spots = place_names(scene, list(range(len(sizes))), sizes)
    boxes = np.array([s.box for s in spots if s is not None]).reshape(-1, 4)
    leaders = np.array([s.leader for s in spots if s is not None]).reshape(-1, 4)
    assert inside(boxes, FRAME).all()
    assert not overlaps(boxes, around(scene.marks, scene.radii)).any()
    between = overlaps(boxes, grown(boxes, MARGIN))
    assert between.sum() == len(boxes)  # each with itself alone
    through = hits(leaders, boxes)
    assert not through.any()


@given(scenes())
def test_placement_repeats_and_keeps_sizes(drawn):
    scene, sizes = drawn
    first, second = (place_names(scene, list(range(len(sizes))), sizes) for _ in range(2))
    for a, b, size in zip(first, second, sizes, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.box.tolist() == b.box.tolist()
            assert a.box[2:] - a.box[:2] == pytest.approx(size)  # sums of floats


@given(st.floats(60, 340), st.floats(60, 240))
def test_a_lone_point_has_its_name_close_by(x, y):
    scene = Scene(FRAME, np.array([[x, y]]), np.array([5.0]))
    (spot,) = place_names(scene, [0], np.array([[50.0, 12.0]]))
    assert spot is not None
    assert np.hypot(*(nearest(spot.box[None], np.array([x, y]))[0] - (x, y))) < 5 + 4


def test_names_keep_off_lines_and_points_where_they_can():
    line = np.array([[200.0, 0.0, 200.0, 300.0]])
    crowd = around(
        np.array([[240.0 + 9 * i, 150.0 + 9 * j] for i in range(-2, 9) for j in range(-4, 5)]), np.full(99, 2.0)
    )
    scene = Scene(FRAME, np.array([[200.0, 150.0]]), np.array([5.0]), line, crowd)
    (spot,) = place_names(scene, [0], np.array([[80.0, 12.0]]))
    assert spot is not None
    assert spot.box[2] < 200
    assert not overlaps(spot.box[None], crowd).any()


def test_no_room_no_name():
    scene = Scene(FRAME, np.array([[200.0, 150.0]]), np.array([5.0]))
    assert place_names(scene, [0], np.array([[500.0, 12.0]])) == [None]


def test_short_names_drop_what_is_shared_and_the_family():
    designs = ["float_mac fp16 32x32 1MiB", "float_mac fp16 64x64 1MiB", "int_mac int8 32x32 1MiB"]
    assert short_names(designs, ["float_mac", "float_mac", "int_mac"]) == (
        ["fp16 32x32", "fp16 64x64", "int8 32x32"], ["1MiB"]
    )  # fmt: skip


def test_short_names_keep_the_family_where_it_tells_two_apart():
    designs = ["float_mac bf16 32x32", "lmul bf16 32x32", "float_mac bf16 64x64"]
    names, shared = short_names(designs, ["float_mac", "lmul", "float_mac"])
    assert names == ["float_mac 32x32", "lmul 32x32", "64x64"]
    assert shared == ["bf16"]


def test_a_lone_design_keeps_its_name():
    assert short_names(["float_mac fp16 32x32"], ["float_mac"]) == (["fp16 32x32"], [])
    assert short_names(["fp16"], [""]) == (["fp16"], [])
    assert short_names([""], [""]) == (["?"], [])


WORDS = st.lists(st.sampled_from(["fp16", "int8", "32x32", "64x64", "1MiB", "mac", "x" * 40]), min_size=1, max_size=5)


@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=6, unique=True))
def test_short_names_are_short(designs):
    names, _ = short_names(designs, [d.split()[0] for d in designs])
    assert all(name and name.count("\n") <= 1 for name in names)
    assert all(len(line) <= LINE for name in names for line in name.split("\n"))


@given(st.text(max_size=60), st.integers(5, 30))
def test_shorten(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text if len(text) <= limit else short[0] == text[0] and short[-1] == text[-1]


@given(st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=20, unique=True), st.integers(1, 8), st.data())
def test_worth_naming(places, limit, data):
    first = data.draw(st.lists(st.sampled_from(range(len(places))), min_size=1, max_size=4))
    chosen = worth_naming(np.array(places, dtype=float), first, limit)
    kept = list(dict.fromkeys(first))[:limit]
    assert chosen[: len(kept)] == kept
    assert len(chosen) == len(set(chosen)) == max(len(kept), min(limit, len(places)))


def test_worth_naming_spreads():
    line = np.array([[float(i), 0.0] for i in range(11)])
    assert worth_naming(line, [0, 10], 5)[:3] == [0, 10, 5]
    assert set(worth_naming(line, [0, 10], 5)[3:]) == {2, 7}


def test_hits_is_not_fooled_by_lines_beside_a_box():
    box = one((0, 0, 2, 2))
    assert not hits(one((2, 0, 2, 2)), box)[0, 0]
    assert not hits(one((3, 0, 3, 2)), box)[0, 0]
    assert hits(one((1, -1, 1, 5)), box)[0, 0]
