"""How wide words are in a figure; wrapping and shortening them to a width."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwsim.report.wording import clean

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure

ELLIPSIS = "…"


def renderer(figure: Figure) -> RendererAgg:
    """Return the renderer that measures ``figure``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    found: RendererAgg = canvas.get_renderer()
    return found


def text_size(figure: Figure, text: str, size: float, weight: str = "normal") -> tuple[float, float]:
    """Return width and height in points of ``text`` (may have several lines) at ``size`` points."""
    from matplotlib.text import Text

    drawn = Text(0, 0, text, fontsize=size, fontweight=weight)
    drawn.set_figure(figure)
    extent = drawn.get_window_extent(renderer(figure))
    return extent.width * 72 / figure.dpi, extent.height * 72 / figure.dpi


def wrap(figure: Figure, text: str, size: float, width: float, lines: int = 3, weight: str = "normal") -> str:
    """Return ``text`` in at most ``lines`` lines of ``width`` points; what is too much becomes "…"."""
    rest = " ".join(clean(text).split())
    done: list[str] = []
    while rest and len(done) < lines:
        last = len(done) == lines - 1

        def fits(head: str) -> bool:
            return text_size(figure, head, size, weight)[0] <= width

        head = _longest(rest, fits)
        if len(head) < len(rest):
            head = _longest(rest, lambda part: fits(part + ELLIPSIS)) + ELLIPSIS if last else _whole_words(head, rest)
        done.append(head)
        rest = rest[len(head) :].lstrip()
    return "\n".join(done)


def _longest(text: str, fits: Callable[[str], bool]) -> str:
    """Return the longest beginning of ``text`` that fits, at least one character."""
    return text[: max(1, bisect_right(range(1, len(text) + 1), False, key=lambda n: not fits(text[:n])))]


def _whole_words(head: str, text: str) -> str:
    cut = len(head) if text[len(head)] == " " else head.rfind(" ")
    return head[:cut] if cut > 0 else head


def shorten(text: str, limit: int) -> str:
    """Return ``text`` in at most ``limit`` characters: beginning and end of a longer one stay."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return text[: limit - 1 - tail] + ELLIPSIS + text[len(text) - tail :]
