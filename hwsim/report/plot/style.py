"""The one style of all pictures, and how they become files with the same bytes every time."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.report.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
QUIET = "#5f6368"
FAINT = "#e7e8ea"

#: Pixels per inch of a PNG: twice those of a screen.
PNG_DPI = 200

#: Matplotlib's own font as outlines: the same picture on every machine. Names are never mathematics.
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "text.color": INK,
    "text.parse_math": False,
    "text.hinting": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "hwsim",
    "figure.dpi": 100.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.frameon": False,
    "legend.fontsize": 10.0,
    "legend.title_fontsize": 10.0,
}

#: Colour and marker of the PE families that ship; told apart by colour-blind readers and in grey.
_FAMILIES = {
    "": ("#0072b2", "o"),  # a table without PEs
    "float_mac": ("#0072b2", "o"),
    "int_mac": ("#e69f00", "s"),
    "lmul": ("#009e73", "^"),
    "bitmod": ("#c2549c", "D"),
}

#: Given to further families, such as those of plug-ins.
_SPARE = (
    ("#d55e00", "v"),
    ("#56b4e9", "P"),
    ("#6a3d9a", "X"),
    ("#8c564b", "p"),
    ("#7f7f2a", "h"),
    ("#17897e", "<"),
    ("#3f3f3f", ">"),
    ("#a50026", "*"),
)


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of hwsim, whatever the user's matplotlibrc says."""
    from matplotlib import style

    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; that is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def family_looks(families: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the colour and the marker of each PE family, known families first.

    A family that does not ship takes a spare look by its name; only when two names fall on the
    same one does the second, in alphabetical order, take the next.
    """
    names = set(families)
    looks = {name: look for name, look in _FAMILIES.items() if name in names}
    taken: set[int] = set()
    for name in sorted(names - set(_FAMILIES)):
        if len(taken) == len(_SPARE):
            taken.clear()
        place = zlib.crc32(name.encode("utf-8", "replace")) % len(_SPARE)
        while place in taken:
            place = (place + 1) % len(_SPARE)
        taken.add(place)
        looks[name] = _SPARE[place]
    return looks


def darker(color: str) -> str:
    """Return ``color`` dark enough for small text on white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(color)
    return to_hex((0.55 * red, 0.55 * green, 0.55 * blue))


def png_bytes(figure: Figure) -> bytes:
    """Return ``figure`` as PNG of twice the screen's resolution; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def svg_bytes(figure: Figure) -> bytes:
    """Return ``figure`` as SVG with text as outlines; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def save_figure(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``figure`` as ``stem.png`` and ``stem.svg``, each atomically.

    Returns
    -------
    tuple of Path
        The PNG and the SVG.

    Raises
    ------
    UsageError
        If a file cannot be written.
    """
    png, svg = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg"))
    contents = png_bytes(figure), svg_bytes(figure)
    for path, content in zip((png, svg), contents, strict=True):
        write_atomically(path, content)
    return png, svg
