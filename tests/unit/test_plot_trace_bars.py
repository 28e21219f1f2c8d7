"""The picture of a trace: what is drawn, what is put together, and that bytes of files do not change."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba

from hwsim.cli.main import run_command
from hwsim.report.plot.style import png_bytes, svg_bytes
from hwsim.report.plot.trace_bars import (
    BYTES,
    KINDS,
    MOST_ROWS,
    OTHER,
    grouped,
    scaled,
    short_names,
    tick_mantissas,
    trace_bars_figure,
)
from hwsim.spec.errors import UsageError
from hwsim.workload import layer_table, load_workload, summarize


def figure_of(name: str, **options: Any) -> Any:
    trace = load_workload(name, **options)
    return trace_bars_figure(layer_table(trace), trace.name, "fp16")


def row_of(layer: str, macs: int = 600, weights: int = 100, cache: int = 0, activations: int = 100) -> dict[str, Any]:
    moved = weights + cache + activations
    return {
        "layer": layer, "kind": "linear", "macs": macs, "weight_bytes": weights, "kv_read_bytes": cache,
        "activation_bytes": activations, "moved_bytes": moved, "macs_per_byte": macs / moved,
    }  # fmt: skip


def intensity_labels(figure: Any) -> list[str]:
    """Return the labels that the axis of the intensity shows."""
    axis = figure.axes[2].xaxis
    figure.draw_without_rendering()
    low, high = axis.get_view_interval()
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_rows_are_the_layers_and_sums_the_summary() -> None:
    trace = load_workload("llama-3.2-1b", phase="generation", seq_len=20, new_tokens=30)
    rows, found = layer_table(trace, "mxfp4"), summarize(trace, "mxfp4")
    assert [row["layer"] for row in rows] == list(dict.fromkeys(gemm.layer for gemm in trace.gemms))
    assert sum(row["macs"] for row in rows) == found["macs"]
    for name in BYTES:
        total = sum(row[name] for row in rows)
        assert found[name] <= total <= found[name] + len(rows), name  # each row is rounded up to bytes


@pytest.mark.parametrize("form", [svg_bytes, png_bytes])
def test_same_trace_same_bytes(form: Callable[[Any], bytes]) -> None:
    options: dict[str, Any] = {"phase": "generation", "seq_len": 20, "new_tokens": 30}
    assert form(figure_of("opt-125m", **options)) == form(figure_of("opt-125m", **options))


def test_labels_tell_names_values_and_totals() -> None:
    figure = figure_of("llama-2-7b", phase="decode", context=2048)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[:2] == ["attn.q_proj", "attn.k_proj"]
    assert "7.144 GMAC in all" in texts
    assert any(text.startswith("1.44  20 %") for text in texts)  # 32 · 4096 · 11008 of 7.144 G
    assert [axes.get_title("left").partition(" (")[0] for axes in figure.axes] == [
        "Multiply-accumulates", "Bytes moved", "Arithmetic intensity",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet-50", "mobilenet-v2", "vit-base-16", "gemma-2-2b"])
@pytest.mark.parametrize("phase", ["prefill", "training"])
def test_grouping_loses_nothing(name: str, phase: str) -> None:
    rows = layer_table(load_workload(name, phase=phase))
    shown, note = grouped(rows)
    assert len(shown) <= MOST_ROWS
    for key in ("macs", "moved_bytes", *BYTES):
        assert sum(row[key] for row in shown) == sum(row[key] for row in rows), key
    assert all(row["macs"] == sum(row[f"macs_{kind}"] for kind in KINDS) for row in shown)
    assert bool(note) == (len(rows) > MOST_ROWS)


def test_many_layers_of_one_block_leave_the_largest() -> None:
    rows = [
        {"layer": f"x.{i}", "kind": "linear", "macs": i + 1, "moved_bytes": 3, "macs_per_byte": (i + 1) / 3,
         "weight_bytes": 1, "kv_read_bytes": 1, "activation_bytes": 1}
        for i in range(100)
    ]  # fmt: skip
    shown, note = grouped(rows)
    assert (len(shown), shown[-1]["layer"]) == (MOST_ROWS, OTHER)
    assert [row["layer"] for row in shown[:-1]] == [f"x.{i}" for i in range(100 - MOST_ROWS + 1, 100)]
    assert note == f"The {100 - MOST_ROWS + 1} smallest of 100 rows are put together."


@given(st.lists(st.integers(1, 10**18), min_size=1, max_size=9))
def test_units_leave_the_largest_at_one_or_more(values: list[int]) -> None:
    size, _ = scaled(values)
    assert max(values) / size >= 1
    assert max(values) / size < 1000 or size == 1e15


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UsageError, match="t: no matrix product, nothing to draw"):
        trace_bars_figure([], "t")


def test_the_command_writes_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["trace", "opt-125m", "--seq-len", "8", "--summary", "--plot"]
    for given_name, made in (("a.svg", ["a.svg"]), ("b.PNG", ["b.PNG"]), ("c", ["c.png", "c.svg"])):
        assert run_command([*arguments, str(tmp_path / given_name)]) == 0
        assert all((tmp_path / name).stat().st_size > 1000 for name in made)
        out = capsys.readouterr().out
        assert "unique_gemms" in out
        assert "stored_kv_cache_bytes" in out
    assert run_command([*arguments, str(tmp_path / "d.jpg")]) == 2
    assert "unknown kind of picture; valid: .svg, .png" in capsys.readouterr().err


def test_intensities_within_one_decade_have_ticks_with_numbers() -> None:
    assert intensity_labels(trace_bars_figure([row_of("only", 162)], "t")) == ["0.5", "1"]
    assert intensity_labels(figure_of("llama-3-8b", phase="decode", context=2048)) == ["0.3", "1", "3"]
    assert intensity_labels(figure_of("sd-v1.5-unet")) == ["1", "10", "100"]


@given(st.floats(1e-6, 1e9), st.floats(1, 1e6))
def test_two_ticks_at_least_are_labelled(value: float, ratio: float) -> None:
    low, high = value / 2.5, value * ratio * (2.5 * ratio) ** 0.28
    shown = [m * 10.0**power for m in tick_mantissas(low, high) for power in range(-8, 20)]
    assert sum(low <= tick <= high for tick in shown) >= 2


@given(st.integers(1, 10**9), st.lists(st.integers(1, 2000), max_size=2))
@settings(max_examples=12, deadline=None)
def test_labels_of_ticks_are_apart(macs: int, factors: list[int]) -> None:
    figure = trace_bars_figure([row_of(f"x{f}", macs * f) for f in [1, *factors]], "t")
    shown = [label for label in intensity_labels(figure) if label]
    assert len(shown) >= 2
    boxes = sorted(
        (label.get_window_extent().extents for label in figure.axes[2].get_xticklabels() if label.get_text()),
        key=lambda box: box[0],
    )
    assert all(left[2] < right[0] for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("llama-3.2-1b", {"phase": "training", "seq_len": 512}), ("sd-v1.5-unet", {}),
        ("resnet-18", {"phase": "training"}), ("mixtral-8x7b", {"seq_len": 512}),
        ("llama-3-8b", {"phase": "generation", "seq_len": 512, "new_tokens": 256}),
    ],
)  # fmt: skip
def test_the_dashed_line_runs_through_no_number(name: str, options: dict[str, Any]) -> None:
    axes = (figure := figure_of(name, **options)).axes[2]
    figure.draw_without_rendering()
    (line,) = (drawn for drawn in axes.lines if drawn.get_linestyle() == "--")
    where = axes.transData.transform((line.get_xdata()[0], 0))[0]
    labels = [text for text in axes.texts if text.xycoords == "data"]
    assert len(labels) == len(axes.get_yticks())
    for label in labels:
        box = label.get_window_extent()
        assert where < box.x0 - 1 or where > box.x1 + 1, label.get_text()
        assert box.x1 < axes.get_window_extent().x1 + 1, label.get_text()


def fits(name: str) -> bool:
    return len(name) <= 24


def test_long_names_are_cut_where_they_agree() -> None:
    common = "a layer whose name is far too long"
    ends = [f"{common} {i}" for i in range(10, 40)]
    assert short_names(ends, fits) == [f"a layer whos…too long {i}" for i in range(10, 40)]
    middles = [f"{common} {i} and goes on for longer than that" for i in range(110, 140)]
    assert short_names([*middles, "short"], fits)[::10] == [f"a laye…{i} and …han that" for i in (110, 120, 130)] + [
        "short"
    ]


@given(st.lists(st.text("ab", max_size=60), min_size=1, max_size=32, unique=True))
def test_names_that_are_cut_stay_different(names: list[str]) -> None:
    shown = short_names(names, fits)
    assert all(map(fits, shown))
    assert len(set(shown)) == len(names)
    assert all(text == name for text, name in zip(shown, names, strict=True) if fits(name))


def test_rows_with_long_names_read_differently() -> None:
    rows = [
        row_of(f"a very long name of a layer that nobody would choose but exists number {i} $x_1$") for i in range(30)
    ]
    names = [label.get_text() for label in trace_bars_figure(rows, "t").axes[0].get_yticklabels()]
    assert len(set(names)) == 30
    assert all(name.startswith("a very long") and name.endswith("$x_1$") for name in names)


@pytest.mark.parametrize(("phase", "told"), [("training", True), ("prefill", False)])
def test_bytes_of_training_say_that_they_leave_out_the_optimizer(phase: str, told: bool) -> None:
    trace = load_workload("opt-125m", phase=phase, seq_len=128)
    figure = trace_bars_figure(layer_table(trace), trace.name, "fp16")
    assert ("optimizer_moved_bytes" in summarize(trace)) is told
    assert any("optimizer_moved_bytes" in text.get_text() for text in figure.texts) is told
    (total,) = (text.get_text() for text in figure.axes[1].texts if " in all" in text.get_text())
    assert total.endswith(" in all, without the optimizer" if told else "B in all")


def entries(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_what_no_bar_shows_is_not_in_the_legend_but_in_a_note() -> None:
    figure = figure_of("mixtral-8x7b", seq_len=512)
    assert entries(figure) == ["linear", "attention", "weights", "activations and results"]
    cache = sum(row["kv_read_bytes"] for row in layer_table(load_workload("mixtral-8x7b", seq_len=512))) / 1e9
    notes = figure.texts[-1].get_text()
    assert f"Too few to be seen among the bytes: KV cache ({cache:.3g} GB)." in notes
    assert "KV cache" in entries(figure_of("llama-3-8b", phase="decode", context=2048))
    figure = figure_of("bert-base", seq_len=128)
    assert entries(figure) == ["linear", "attention", "weights", "activations and results"]
    assert "Too few" not in figure.texts[-1].get_text()


@given(st.integers(0, 3000))
@settings(max_examples=10, deadline=None)
def test_every_entry_of_the_legend_is_seen(cache: int) -> None:
    figure = trace_bars_figure([row_of("x", weights=250_000, cache=cache), row_of("y", weights=3)], "t")
    figure.draw_without_rendering()
    colour = to_rgba(BYTES["kv_read_bytes"][1])
    bars = (bar for bar in figure.axes[1].patches if bar.get_facecolor() == colour)
    points = max(bar.get_window_extent().width for bar in bars) * 72 / figure.dpi
    # The share of the longest bar that counts is that of the narrowest panel; this one is up to 1.3 times as wide.
    assert points > 0.5 if "KV cache" in entries(figure) else points < 0.5 * 1.35


@pytest.mark.parametrize("name", ["x", "a very long name of a layer that nobody would choose"])
def test_labels_of_bars_stay_in_their_panel(name: str) -> None:
    rows = [row_of(name, 1001, weights=1001, activations=0), row_of("y", 999, weights=999, activations=0)]
    figure = trace_bars_figure(rows, "t")
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        for label in axes.texts[:2]:
            assert label.get_window_extent().x1 <= axes.get_window_extent().x1, label.get_text()
