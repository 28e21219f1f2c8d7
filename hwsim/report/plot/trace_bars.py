"""What a trace computes and moves: multiply-accumulates, bytes and their ratio, one row per layer."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import floor, log10
from typing import TYPE_CHECKING, Any

from hwsim.report.plot.kit.sheet import Key, finish, new_sheet
from hwsim.report.plot.kit.text import ELLIPSIS, shorten, text_size
from hwsim.report.plot.kit.ticks import log_tick_text
from hwsim.report.plot.style import INK, QUIET, styled
from hwsim.report.wording import clean, counted, number_text
from hwsim.spec.errors import UsageError
from hwsim.workload.training.backward import WGRAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

#: Kinds of GEMMs with their colour.
KINDS = {"linear": "#0072b2", "attention": "#e69f00", "conv": "#009e73"}

#: Of the intensity of rows that are of several kinds.
MIXED = "#6b7075"

#: Bytes that GEMMs move, with title and colour.
BYTES = {
    "weight_bytes": ("weights", "#6a3d9a"),
    "kv_read_bytes": ("KV cache", "#d55e00"),
    "activation_bytes": ("activations and results", "#56b4e9"),
}

#: With more layers than this, those of one block are one row; with more blocks, the smallest are "other".
MOST_ROWS = 32

OTHER = "other"

#: Of training, whose last step has no product.
_UPDATE = (
    " What an optimizer reads and writes to update the parameters comes on top: optimizer_moved_bytes of the summary."
)

_WIDTH, _ROW, _REST, _NAMES = 13.2, 0.29, 0.75, 2.9

#: Mantissas of the labelled ticks of the intensity: the first that show two. Over 2.5 ** 1.28, the least range of
#: that axis, the last always do; where the ones before do not, labels of the next are far enough apart.
_TICKS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 5.0, 7.0))

_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))

#: The axis of bars over the longest one: beside it, as many as 11 digits and signs stand within the narrowest panel.
_ROOM = 1.4

#: Bars narrower than this share of the longest are not seen: 0.5 of the 165 points that it has at least.
_VISIBLE = 0.5 / 165

#: Characters that stay of a long name which shows a part of its middle.
_HEAD = 6

#: A number in which names part is shown from its first digit.
_NUMBER_END = re.compile(r"[0-9]{0,6}$")

#: Size of the labels of values; how far right of its dot, and how clear of the dashed line, that of an intensity
#: stands; all in points.
_LABEL_SIZE, _BESIDE, _CLEAR = 9.0, 9.0, 4.0

Row = Mapping[str, Any]


def trace_bars_figure(rows: Sequence[Row], title: str, formats: str = "") -> Figure:
    """Draw the layers of a trace, each with its MACs, the bytes that it moves and its arithmetic intensity.

    Parameters
    ----------
    rows
        As from :func:`hwsim.workload.summary.layer_table`.
    title
        Heading of the picture.
    formats
        In which formats bytes are counted.

    Raises
    ------
    UsageError
        If there is no row.
    """
    if not rows:
        raise UsageError(f"{title}: no matrix product, nothing to draw")
    shown, note = grouped(rows)
    with styled():
        figure = new_sheet(_WIDTH, _REST + _ROW * len(shown))
        macs, moved, ratio = figure.subplots(1, 3, width_ratios=(1, 1, 1))
        _macs(macs, shown)
        trained = any(str(row["layer"]).startswith(WGRAD) for row in rows)
        _moved(moved, shown, ", without the optimizer" if trained else "")
        mean, labels = _intensity(ratio, shown, rows)
        words = [" ".join(clean(str(row["layer"])).split()) for row in shown]
        names = short_names(words, lambda name: text_size(figure, name, 10.0)[0] <= _NAMES * 72)
        for axes in (macs, moved, ratio):
            _dress(axes, names if axes is macs else [""] * len(names))
        finish(figure, title, _keys(shown), [note, _hidden(shown), _meaning(formats, trained)])
        _clear_of_line(ratio, mean, labels)
    return figure


def _meaning(formats: str, trained: bool) -> str:
    formats = formats or "as in the trace"
    how = f"formats {formats}" if formats.startswith(("as in ", "W of ")) else f"in {formats}"
    return (
        f"Bytes are the operands and results of every matrix product, once per pass, {how}: what moves without any "
        f"reuse between products.{_UPDATE if trained else ''} Intensity is MACs per such byte, on a logarithmic scale."
    )


def grouped(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """Return at most :data:`MOST_ROWS` rows, and what was put together: blocks, then the smallest by MACs and bytes."""
    rows = [{**row, **{f"macs_{kind}": row["macs"] * (kind == row["kind"]) for kind in KINDS}} for row in rows]
    if len(rows) <= MOST_ROWS:
        return list(rows), ""
    blocks = _together(rows, [_block(str(row["layer"])) for row in rows])
    if 1 < len(blocks) <= MOST_ROWS:
        return blocks, f"{counted(len(rows), 'layer')} are shown by block."
    start = blocks if len(blocks) > 1 else list(rows)
    work, bytes_ = (sum(row[name] for row in start) or 1 for name in ("macs", "moved_bytes"))
    largest = sorted(start, key=lambda row: -max(row["macs"] / work, row["moved_bytes"] / bytes_))[: MOST_ROWS - 1]
    kept = {row["layer"] for row in largest}
    names = [str(row["layer"]) if row["layer"] in kept else OTHER for row in start]
    return _together(start, names), f"The {len(start) - len(kept)} smallest of {len(start)} rows are put together."


def _block(layer: str) -> str:
    stage, slash, name = layer.rpartition("/")
    return f"{stage}{slash}{name.partition('.')[0]}"


def _together(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    found: dict[str, dict[str, Any]] = {}
    for row, name in zip(rows, names, strict=True):
        if name not in found:
            found[name] = {**row, "layer": name}
            continue
        one = found[name]
        for key in ("macs", "moved_bytes", *BYTES, *(f"macs_{kind}" for kind in KINDS)):
            one[key] += row[key]
        one["kind"] = row["kind"] if row["kind"] == one["kind"] else ""
        one["macs_per_byte"] = one["macs"] / one["moved_bytes"]
    last = [found.pop(OTHER)] if OTHER in found else []
    return [*found.values(), *last]


def short_names(names: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
    """Return ``names`` cut in the middle until each ``fits``; different ones stay different.

    Names that are cut to the same text show where they begin to differ instead, or else their place.
    """
    shown = dict(zip(names, _cut(names, fits, 0), strict=True))
    taken = Counter(shown.values())
    for place, (name, text) in enumerate(shown.items(), start=1):
        if taken[text] > 1:
            shown[name] = _with_head(f"{place} {ELLIPSIS}", name, fits)
    return [shown[name] for name in names]


def _cut(names: Sequence[str], fits: Callable[[str], bool], parting: int) -> list[str]:
    """Return ``names``, which agree before ``parting``, short enough; those that read alike from where they part."""
    start = parting - len(_NUMBER_END.findall(names[0][:parting])[0])
    head = names[0][:_HEAD] + ELLIPSIS if start > _HEAD else ""
    told = {name: _with_head(head, name[start:] if head else name, fits) for name in names}
    alike: dict[str, list[str]] = {}
    for name, text in told.items():
        alike.setdefault(text, []).append(name)
    for group in alike.values():
        if len(group) > 1 and (further := _parting(group)) > parting:
            told |= zip(group, _cut(group, fits, further), strict=True)
    return [told[name] for name in names]


def _parting(names: Sequence[str]) -> int:
    """Return how many characters all of ``names`` begin with."""
    first, last = min(names), max(names)
    return next((i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def _with_head(head: str, rest: str, fits: Callable[[str], bool]) -> str:
    """Return ``head`` and as much of both ends of ``rest`` as fits."""
    if fits(head + rest):
        return head + rest
    limits = range(3, len(rest))
    longest = bisect_right(limits, False, key=lambda limit: not fits(head + shorten(rest, limit)))
    return head + shorten(rest, limits[max(longest - 1, 0)] if limits else 3)


def _dress(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    for place in range(1, len(names), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f5f5f7", zorder=0, linewidth=0)
    axes.spines["bottom"].set_visible(False)


def _told(axes: Axes, place: int, value: float, text: str) -> None:
    axes.annotate(
        text, (value, place), (4, 0), textcoords="offset points", va="center", size=_LABEL_SIZE, color=INK,
        annotation_clip=False,
    )  # fmt: skip


def scaled(values: Sequence[float]) -> tuple[float, str]:
    """Return the power of a thousand, and its prefix, in which the largest of ``values`` is at least 1."""
    largest = max(values)
    return next(((size, prefix) for size, prefix in _STEPS if largest >= size), _STEPS[-1])


def _heading(axes: Axes, text: str, total: str) -> None:
    axes.set_title(text, loc="left", size=11.5, weight="bold", pad=18.0)
    axes.annotate(total, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", size=9.5, color=QUIET)


def _bars_axis(axes: Axes, longest: float) -> None:
    axes.set_xlim(0, longest * _ROOM or 1)
    axes.set_xticks([])


def _macs(axes: Axes, rows: Sequence[Row]) -> None:
    size, prefix = scaled([row["macs"] for row in rows])
    total = sum(row["macs"] for row in rows)
    for place, row in enumerate(rows):
        left = 0.0
        for kind, color in KINDS.items():
            axes.barh(place, row[f"macs_{kind}"] / size, 0.7, left=left, color=color, linewidth=0)
            left += row[f"macs_{kind}"] / size
        share = f"  {100 * row['macs'] / total:.0f} %" if 200 * row["macs"] >= total else ""
        _told(axes, place, row["macs"] / size, number_text(float(row["macs"] / size), 3) + share)
    _bars_axis(axes, max(row["macs"] for row in rows) / size)
    _heading(axes, f"Multiply-accumulates ({prefix}MAC)", f"{number_text(total / size, 4)} {prefix}MAC in all")


def _moved(axes: Axes, rows: Sequence[Row], without: str) -> None:
    size, prefix = scaled([row["moved_bytes"] for row in rows])
    total = sum(row["moved_bytes"] for row in rows)
    for place, row in enumerate(rows):
        left = 0.0
        for name, (_, color) in BYTES.items():
            axes.barh(place, row[name] / size, 0.7, left=left, color=color, linewidth=0)
            left += row[name] / size
        share = f"  {100 * row['moved_bytes'] / total:.0f} %" if 200 * row["moved_bytes"] >= total else ""
        _told(axes, place, left, number_text(float(row["moved_bytes"] / size), 3) + share)
    _bars_axis(axes, max(row["moved_bytes"] for row in rows) / size)
    _heading(axes, f"Bytes moved ({prefix}B)", f"{number_text(total / size, 4)} {prefix}B in all{without}")


def _intensity(axes: Axes, rows: Sequence[Row], every: Sequence[Row]) -> tuple[float, list[Annotation]]:
    """Draw the intensities of ``rows``; return that of ``every`` row together, the dashed line, and the labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = [float(row["macs_per_byte"]) for row in rows]
    mean = sum(row["macs"] for row in every) / sum(row["moved_bytes"] for row in every)
    low, high = min([*values, mean]), max([*values, mean])
    start = low / 2.5
    end = high * (high / start) ** 0.28
    axes.set_xscale("log")
    axes.set_xlim(start, end)
    axes.axvline(mean, color=QUIET, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    labels = []
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        color = KINDS.get(row["kind"], MIXED)
        axes.hlines(place, start, value, color=color, linewidth=1.2, alpha=0.5)
        axes.plot([value], [place], marker="o", markersize=6.5, color=color, linestyle="")
        box = {"facecolor": "#f5f5f7" if place % 2 else "white", "edgecolor": "none", "pad": 0.6}
        label = axes.annotate(
            number_text(value, 3), (value, place), (_BESIDE, 0), textcoords="offset points", va="center",
            size=_LABEL_SIZE, color=INK, bbox=box,
        )  # fmt: skip
        labels.append(label)
    plain = start > 2e-4 and high < 5e5
    axes.xaxis.set_major_locator(LogLocator(subs=tick_mantissas(start, end)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: log_tick_text(value, plain)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _heading(axes, "Arithmetic intensity (MAC/byte)", f"{number_text(mean, 3)} in all, the dashed line")
    return mean, labels


def _clear_of_line(axes: Axes, mean: float, labels: Sequence[Annotation]) -> None:
    """Move labels that the line at ``mean`` would run through to its right; after the layout is fixed."""
    figure: Any = axes.figure
    start = axes.get_xlim()[0]
    # Not by the axes' own transformation, whose last digits would show in the bytes of an SVG.
    per_decade = axes.get_position().width * figure.get_size_inches()[0] * 72 / log10(axes.get_xlim()[1] / start)
    for label in labels:
        line = per_decade * log10(mean / label.xy[0])
        width, _ = text_size(figure, label.get_text(), _LABEL_SIZE)
        if _BESIDE - _CLEAR < line < _BESIDE + width + _CLEAR:
            label.set_position((round(line + _CLEAR, 1), 0))


def tick_mantissas(low: float, high: float) -> tuple[float, ...]:
    """Return which multiples of powers of ten are labelled from ``low`` to ``high``: at least two of them show."""
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    for mantissas in _TICKS:
        if sum(low <= mantissa * 10.0**power <= high for mantissa in mantissas for power in powers) > 1:
            return mantissas
    return _TICKS[-1]


def _keys(rows: Sequence[Row]) -> list[Key]:
    from matplotlib.patches import Patch

    dots = {row["kind"] for row in rows}
    kinds = [name for name in KINDS if name in dots or _seen(rows, f"macs_{name}", "macs")]
    mixed = [(Patch(facecolor=MIXED), "intensity of several kinds")] if "" in dots else []
    used = [name for name in BYTES if _seen(rows, name, "moved_bytes")]
    return [
        Key("Kind of product", [*((Patch(facecolor=KINDS[name]), name) for name in kinds), *mixed]),
        Key("Bytes of", [(Patch(facecolor=BYTES[name][1]), BYTES[name][0]) for name in used]),
    ]


def _seen(rows: Sequence[Row], part: str, whole: str) -> bool:
    """Return whether ``part`` of any bar is wide enough to be seen."""
    return bool(max(row[part] for row in rows) >= _VISIBLE * max(row[whole] for row in rows))


def _hidden(rows: Sequence[Row]) -> str:
    """Say which bytes there are that no bar shows."""
    size, prefix = scaled([row["moved_bytes"] for row in rows])
    unseen = [name for name in BYTES if not _seen(rows, name, "moved_bytes")]
    sums = {BYTES[name][0]: sum(row[name] for row in rows) for name in unseen}
    told = [f"{title} ({number_text(found / size, 3)} {prefix}B)" for title, found in sums.items() if found]
    return f"Too few to be seen among the bytes: {' and '.join(told)}." if told else ""
