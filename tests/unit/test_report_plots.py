"""Figures: the same bytes every time, nothing outside the page, names that cover nothing."""

import hashlib
import itertools
import os
import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from hwsim.explore.pareto import pareto_front
from hwsim.report.plot.energy_bars import PARTS, energy_bars_figure
from hwsim.report.plot.kit.layers import MOST_PANELS, bars_of
from hwsim.report.plot.kit.text import text_size, wrap
from hwsim.report.plot.kit.ticks import linear_tick_text, log_tick_text
from hwsim.report.plot.pareto import pareto_figure
from hwsim.report.plot.style import PNG_DPI, family_looks, png_bytes, save_figure, styled, svg_bytes
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.spec.errors import UsageError
from tests.support.designs import LAYERS, design_table, layer_table
from tests.support.figures import extents, front_markers, names, overlap, overlapping_texts, renderer, texts_outside

LONG = "a name that goes on and on " * 8


def long_names(frame):
    ids = [f"family_{i % 9}_of_great_length " + "x" * 60 + f" number_{i}" for i in range(len(frame))]
    return frame.assign(design_id=ids, pe=ids, workload=LONG)


#: Hard cases: what is drawn and how.
PARETO = {
    "usual": (design_table(), {}),
    "crowd": (design_table(points=240, front=9), {}),
    "front of 40": (design_table(points=120, front=40, workloads=("one",)), {}),
    "all on the front": (design_table(points=30, front=30), {}),
    "three points": (design_table(points=3, front=2, workloads=("one",)), {}),
    "one point": (design_table(points=1, front=1, workloads=("one",)), {}),
    "six decades": (design_table(decades=6), {}),
    "third objective": (design_table(points=100), {"z": "area_mm2"}),
    "most is better": (design_table(), {"y": "sqnr_db"}),
    "three workloads": (design_table(points=20, workloads=("a", "b", "c")), {}),
    "long names": (long_names(design_table(points=20, front=6)), {"title": LONG, "where": "area_mm2 <= 100"}),
    "all equal": (design_table(points=5, front=5).assign(energy_mj=2.0, latency_ms=0.0), {}),
    "strange signs": (design_table().assign(design_id="$x^2$ \\frac{ é 漢 <b>&amp;"), {"title": "$\\alpha"}),
    "nothing": (design_table().assign(status="infeasible", reason=LONG), {"title": LONG}),
    "no rows": (design_table().head(0), {}),
    "nothing but numbers": (design_table()[["energy_mj", "latency_ms"]], {}),
}  # fmt: skip


def pareto(case, **more):
    frame, how = PARETO[case]
    return pareto_figure(frame, **{"x": "energy_mj", "y": "latency_ms", **how, **more})


@pytest.fixture(params=PARETO, scope="module")
def pareto_case(request):
    return request.param, pareto(request.param)


def test_pareto_texts_stay_on_the_page(pareto_case):
    assert texts_outside(pareto_case[1]) == []


def test_pareto_texts_do_not_overlap(pareto_case):
    assert overlapping_texts(pareto_case[1]) == []


def test_pareto_names_cover_neither_each_other_nor_the_front(pareto_case):
    case, figure = pareto_case
    drawn_by = renderer(figure)
    count = 0
    for axes in figure.axes:
        boxes = extents(names(axes), drawn_by)
        frame = axes.bbox.extents
        count += len(boxes)
        assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b, slack=0)]
        assert not [1 for a in boxes for b in front_markers(axes) if overlap(a, b)]
        assert all(frame[0] <= b[0] and frame[1] <= b[1] and b[2] <= frame[2] and b[3] <= frame[3] for b in boxes)
    assert (count > 0) == (case not in ("nothing", "no rows"))


@pytest.mark.parametrize("seed", range(4))
def test_random_fronts_are_named_without_collisions(seed):
    figure = pareto_figure(design_table(points=80, front=6 + 5 * seed, seed=seed), "energy_mj", "latency_ms")
    assert overlapping_texts(figure) == []
    assert texts_outside(figure) == []


def test_legend_and_notes_stand_below_the_panels():
    figure = pareto("third objective")
    drawn_by = renderer(figure)
    bottom = min(axes.get_tightbbox(drawn_by).y0 for axes in figure.axes)
    tops = [legend.get_window_extent(drawn_by).y1 for legend in figure.legends]
    assert tops
    assert max(tops) <= bottom


def subtitles(figure):
    return [
        t.get_text() for axes in figure.axes for t in axes.texts if "design" in t.get_text() and t not in names(axes)
    ]


def test_pareto_draws_the_front_of_the_table():
    frame = design_table()
    figure = pareto("usual")
    for axes, workload in zip(figure.axes, ("prefill", "decode"), strict=True):
        front = pareto_front(frame[frame["workload"] == workload], {"energy_mj": "min", "latency_ms": "min"})
        drawn = {tuple(p) for c in axes.collections if c.get_zorder() == 4 for p in c.get_offsets().tolist()}
        assert drawn == set(zip(front["energy_mj"], front["latency_ms"], strict=True))
        faint = sum(len(c.get_offsets()) for c in axes.collections if c.get_zorder() == 2)
        assert faint == 60 - len(drawn)
        # The staircase passes through every point and turns only at right angles.
        (line,) = [line for line in axes.lines if line.get_zorder() == 3]
        corners = list(zip(*line.get_data(), strict=True))
        assert set(corners[::2]) == drawn
        assert all((a[0] == b[0]) != (a[1] == b[1]) for a, b in itertools.pairwise(corners))


def test_the_staircase_bounds_what_is_beaten():
    frame = design_table(workloads=("one",))
    for x, y in (("energy_mj", "latency_ms"), ("energy_mj", "sqnr_db"), ("sqnr_db", "latency_ms")):
        (axes,) = pareto_figure(frame, x, y).axes
        (line,) = [line for line in axes.lines if line.get_zorder() == 3]
        better_x, better_y = (np.less if name != "sqnr_db" else np.greater for name in (x, y))
        corners = np.column_stack(line.get_data())
        for point in frame[[x, y]].to_numpy():
            assert not (better_x(point[0], corners[:, 0]) & better_y(point[1], corners[:, 1])).any()


def test_axes_have_words_units_and_the_better_side():
    (axes,) = pareto_figure(design_table(workloads=("one",)), "energy_mj", "sqnr_db").axes
    assert axes.get_xlabel() == "← better     Energy (mJ)"
    assert axes.get_ylabel() == "SQNR (dB)     better →"
    (axes,) = pareto_figure(design_table(workloads=("one",)), "area_mm2", "sqnr_db", directions={"sqnr_db": "min"}).axes
    assert axes.get_xlabel().endswith("Area (mm²)")
    assert axes.get_ylabel().startswith("← better")


@pytest.mark.parametrize(("decades", "scale"), [(1, "linear"), (6, "log")])
def test_axes_are_logarithmic_over_a_wide_range(decades, scale):
    frame = pd.DataFrame({"energy_mj": [1.0, 10.0**decades], "latency_ms": [2.0, 1.0]})
    (axes,) = pareto_figure(frame, "energy_mj", "latency_ms").axes
    assert (axes.get_xscale(), axes.get_yscale()) == (scale, "linear")


def notes(figure):
    return "\n".join(text.get_text() for text in figure.texts)


def test_what_is_not_drawn_is_counted():
    frame = design_table(points=20)
    frame.loc[0:2, "status"] = "infeasible"
    frame.loc[3, "status"] = "failed"
    frame.loc[4, "energy_mj"] = np.nan
    frame.loc[5, "area_mm2"] = 1e9
    figure = pareto_figure(frame, "energy_mj", "latency_ms", where="area_mm2 < 1000")
    found = notes(figure)
    assert "3 infeasible" in found
    assert "1 failed" in found
    assert "1 without a value" in found
    assert "1 outside the condition area_mm2 < 1000" in found
    assert [text.split()[0] for text in subtitles(figure)] == ["14", "20"]


def test_nothing_to_draw_is_said_with_the_reason():
    frame = design_table().assign(status="infeasible", reason="the buffer is too small")
    texts = [text.get_text() for axes in pareto_figure(frame, "energy_mj", "latency_ms").axes for text in axes.texts]
    assert len(texts) == 2
    assert all("60 infeasible" in t.replace("\n", " ") and "buffer is too small" in t.replace("\n", " ") for t in texts)


def test_unnamed_points_are_counted():
    figure = pareto("front of 40")
    (axes,) = figure.axes
    named = len(names(axes))
    assert 6 <= named <= 12
    assert subtitles(figure) == [f"120 designs · {named} of 40 front points named"]
    # The ends come first.
    points = (
        design_table(points=120, front=40, workloads=("one",)).nsmallest(1, "energy_mj")["design_id"].item().split()
    )
    shown = {text.get_text().replace("\n", " ") for text in names(axes)}
    assert " ".join(points[1:]) in shown


def test_few_designs_are_all_named():
    frame = design_table(points=8, front=3, workloads=("one",))
    figure = pareto_figure(frame, "energy_mj", "latency_ms")
    (axes,) = figure.axes
    assert len(names(axes)) == 8
    assert subtitles(figure) == ["8 designs · 3 on the front"]
    assert not overlapping_texts(figure)


def test_equal_points_share_one_name():
    frame = design_table(points=4, front=4, workloads=("one",)).assign(energy_mj=1.0, latency_ms=1.0)
    (axes,) = pareto_figure(frame, "energy_mj", "latency_ms").axes
    (name,) = names(axes)
    assert name.get_text().endswith("+3")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"x": "energy"}, "unknown column 'energy'.*did you mean 'energy_mj'"),
        ({"x": "pe"}, "must hold numbers"),
        ({"y": "energy_mj"}, "different columns"),
        ({"where": "area <= 1"}, "area"),
        ({"directions": {"energy_mj": "up"}}, "'min' or 'max'"),
    ],
)
def test_pareto_usage_errors(how, message):
    with pytest.raises(UsageError, match=message):
        pareto("usual", **how)


# --- energy bars ------------------------------------------------------------------------------

BARS = {
    "ten formats": layer_table(),
    "two formats": layer_table(formats=2),
    "one format": layer_table(formats=1),
    "one layer": layer_table(layers=("lm_head",)),
    "many layers": layer_table(formats=3, layers=tuple(f"layer_{i}" for i in range(60))),
    "blocks": layer_table(formats=3, layers=tuple(f"stage{i}.{j}.conv" for i in range(5) for j in range(9))),
    "tiny": layer_table(3, scale=1e-3),
    "huge": layer_table(3, scale=1e16),
    "no energy": layer_table(3, scale=0.0),
    "long names": layer_table().assign(layer=LONG).pipe(lambda f: f.assign(format=f["format"] + " " + LONG, pe=LONG)),
    "no pe": layer_table(3).drop(columns="pe"),
}


@pytest.fixture(params=BARS, scope="module")
def bars_figure(request):
    return energy_bars_figure(BARS[request.param], title=LONG if request.param == "long names" else "Energy")


def test_bar_texts_stay_on_the_page(bars_figure):
    assert texts_outside(bars_figure) == []


def test_bar_texts_do_not_overlap(bars_figure):
    assert overlapping_texts(bars_figure) == []


def bar_widths(axes):
    return [[bar.get_width() for bar in stack] for stack in axes.containers]


def test_bars_show_the_energy_of_the_table():
    frame = layer_table()
    axes = energy_bars_figure(frame).axes[0]
    expected = frame.groupby("format", sort=False)[list(ENERGY_PARTS)].sum() * 1e-9
    # Energies are sums of floats in another order.
    drawn = np.array(bar_widths(axes)).T
    assert drawn == pytest.approx(expected.to_numpy(), rel=1e-12)
    assert tuple(PARTS) == ENERGY_PARTS
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["fp16 (float_mac)", "bf16 (float_mac)"]


def test_layers_sum_to_the_whole_and_stand_largest_first():
    for frame in (layer_table(), BARS["many layers"], BARS["blocks"]):
        bars = bars_of(frame, ENERGY_PARTS)
        assert bars.total.sum() * 1e9 == pytest.approx(frame["energy_pj"].sum(), rel=1e-12)  # other order of sums
        assert len(bars.layers) <= MOST_PANELS
        named = [bars.share(layer) for layer in bars.layers if layer != "other"]
        assert named == sorted(named, reverse=True)


def test_small_layers_are_added_up():
    bars = bars_of(layer_table(), ENERGY_PARTS)
    assert bars.layers[-1] == "other"
    assert bars.merged == len([name for name in LAYERS if name.endswith(("norm", "rope", "softmax", "embed"))])
    assert bars.title("other") == "other (5 layer kinds)"
    assert bars_of(BARS["blocks"], ENERGY_PARTS).title("stage0") == "stage0 (9 layers)"


def test_layer_panels_share_one_scale_unless_other_is_longer():
    lengths = {axes.get_xlim()[1] for axes in energy_bars_figure(layer_table(3)).axes[1:]}
    assert len(lengths) == 1
    figure = energy_bars_figure(BARS["many layers"])
    *named, other = [axes.get_xlim()[1] for axes in figure.axes[1:]]
    assert len(set(named)) == 1
    assert other > named[0]
    assert "only “other” has its own" in notes(figure)


@pytest.mark.parametrize(
    ("scale", "unit"), [(1e-3, "pJ"), (1e0, "pJ"), (1e2, "nJ"), (1e3, "nJ"), (1e6, "µJ"), (1e9, "mJ"), (1e16, "mJ")]
)
def test_units_fit_the_largest_total(scale, unit):
    assert bars_of(layer_table(scale=scale, layers=("a",) * 10), ENERGY_PARTS).unit == unit


def test_bars_need_their_columns():
    with pytest.raises(UsageError, match="need a column 'format'"):
        energy_bars_figure(layer_table().drop(columns="format"))
    with pytest.raises(UsageError, match="need a column 'energy_dram_pj'"):
        energy_bars_figure(layer_table().drop(columns="energy_dram_pj"))
    with pytest.raises(UsageError, match="at least one row"):
        energy_bars_figure(layer_table().head(0))


# --- files ------------------------------------------------------------------------------------

DRAW = """
import hashlib, sys
from hwsim.report.plot.energy_bars import energy_bars_figure
from hwsim.report.plot.pareto import pareto_figure
from hwsim.report.plot.style import png_bytes, svg_bytes
from tests.support.designs import design_table, layer_table
for figure in (pareto_figure(design_table(), "energy_mj", "latency_ms", z="area_mm2"), energy_bars_figure(layer_table(3))):
    for render in (png_bytes, svg_bytes):
        print(hashlib.sha256(render(figure)).hexdigest())
assert "matplotlib.pyplot" not in sys.modules
"""


def test_bytes_do_not_depend_on_the_process():
    other = subprocess.run(
        [sys.executable, "-c", DRAW],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    figures = pareto_figure(design_table(), "energy_mj", "latency_ms", z="area_mm2"), energy_bars_figure(layer_table(3))
    here = [hashlib.sha256(render(f)).hexdigest() for f in figures for render in (png_bytes, svg_bytes)]
    assert other.split() == here


def test_bytes_do_not_depend_on_the_users_settings_or_row_numbers():
    first = pareto("usual")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        second = pareto_figure(design_table().set_index("design_id", drop=False), "energy_mj", "latency_ms")
        assert svg_bytes(second) == svg_bytes(first)
        assert png_bytes(second) == png_bytes(first)


def test_save_figure_writes_both_at_twice_the_resolution(tmp_path):
    figure = pareto("one point")
    png, svg = save_figure(figure, tmp_path / "llama-2.7b")
    assert [p.name for p in (png, svg)] == ["llama-2.7b.png", "llama-2.7b.svg"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["llama-2.7b.png", "llama-2.7b.svg"]
    with Image.open(png) as image:
        assert image.size == tuple(int(inches * PNG_DPI) for inches in figure.get_size_inches())
        assert not image.info.get("Software")
    text = svg.read_text()
    assert not re.search(r"<dc:date>|Matplotlib", text)
    assert "<text" not in text  # letters are outlines: the same picture on every machine
    again = save_figure(pareto("one point"), tmp_path / "again")
    assert [p.read_bytes() for p in again] == [png.read_bytes(), svg.read_bytes()]


def test_save_figure_into_a_missing_folder(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        save_figure(Figure(), tmp_path / "missing" / "x")


def test_family_looks():
    looks = family_looks(["bitmod", "zeta", "float_mac", "alpha"])
    assert list(looks)[:2] == ["float_mac", "bitmod"]
    assert list(family_looks([""])) == [""]
    assert family_looks(["float_mac"])["float_mac"] == looks["float_mac"]
    assert family_looks(["zeta"])["zeta"][0].startswith("#")
    many = family_looks([*"abcdefgh", "float_mac", "int_mac", "lmul", "bitmod"])
    assert len({color for color, _ in many.values()}) == 12
    assert len({marker for _, marker in many.values()}) == 12
    assert len(family_looks([f"f{i}" for i in range(40)])) == 40


@pytest.mark.parametrize(
    ("value", "plain", "text"),
    [
        (0.001, True, "0.001"),
        (500000, True, "500,000"),
        (1e7, False, "10⁷"),
        (2e-3, False, "2·10⁻³"),
        (1.0, False, "10⁰"),
    ],
)
def test_log_ticks(value, plain, text):
    assert log_tick_text(value, plain) == text


@pytest.mark.parametrize(
    ("value", "spacing", "text"),
    [
        (0.25, 0.25, "0.25"), (2.5, 2.5, "2.5"), (2000, 500, "2,000"), (1328.01, 0.01, "1,328.01"), (0.0, 0.5, "0.0"),
        (-0.0, 5, "0"), (2e8, 1e8, "2e+08"), (1e-7, 1e-7, "1e-07"), (0, 1e-7, "0"),
    ],
)  # fmt: skip
def test_linear_ticks(value, spacing, text):
    assert linear_tick_text(value, spacing) == text


@given(st.text(st.characters(codec="latin-1"), max_size=80), st.floats(30, 200), st.integers(1, 4))
def test_wrapped_text_fits_and_keeps_its_words(text, width, lines):
    with styled():
        figure = Figure()
        done = wrap(figure, text, 10.0, width, lines).split("\n")
        assert len(done) <= lines
        assert all(text_size(figure, line, 10.0)[0] <= width for line in done)
    words = "".join("".join(c if c.isprintable() else " " for c in text).split())
    joined = "".join("".join(done).split())
    assert joined == words or words.startswith(joined.removesuffix("…"))
