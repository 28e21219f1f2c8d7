"""Statistics measured from tensors: which codes they have in which formats, kept in a file beside a trace.

A trace names them as a distribution, ``measured:FILE#KEY``, where it would name ``laplace``. The file is JSON::

    {"hwsim": "tensor statistics", "source": …, "entries": {KEY: {"tensors": 4, "elements": …,
     "formats": {"int8_g128": {"histogram": [256 counts], "digits": {"naf": [counts], …}}}}}}

Blanks and the like in FILE are written as in a URL. A trace file names it relative to its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.accuracy import fitted_scale
from hwsim.formats.base import ElementFormat, Format
from hwsim.formats.block.bitmod import BitMod
from hwsim.formats.block.scaled import Scaled
from hwsim.formats.digits import ENCODINGS, whole_numbers
from hwsim.formats.element.integer import Integer
from hwsim.formats.statistics import digit_histogram
from hwsim.spec.errors import UsageError, did_you_mean, shown
from hwsim.spec.text import unreadable

#: Beginning of the names of measured distributions.
PREFIX = "measured:"
KIND = "tensor statistics"
#: Formats of more bits have too many codes to keep.
MAX_BITS = 8

Histograms = Mapping[str, NDArray[np.int64]]
#: Of an entry: how many tensors it is of, and their histograms.
Entry = tuple[int, Mapping[Format, NDArray[np.int64]]]


def measured_word(path: Path, key: str) -> str:
    """Return what names an entry of a file in a trace."""
    return f"{PREFIX}{quote(str(path))}#{quote(key)}"


def _parts(word: str) -> tuple[Path, str]:
    place, mark, key = word.removeprefix(PREFIX).partition("#")
    if not place or not mark or not key:
        raise UsageError(f"measured statistics are named measured:FILE#KEY, not {shown(word)}")
    return Path(unquote(place)), unquote(key)


def resolved(text: str, folder: Path) -> str:
    """Return operand statistics whose measured ones are named from ``folder`` with their whole paths."""
    return _mapped(text, lambda path: folder.absolute() / path)


def relative(text: str, folder: Path) -> str:
    """Return operand statistics whose measured ones, where they are in ``folder``, are named from there."""
    home = folder.absolute()
    return _mapped(text, lambda path: path.relative_to(home) if path.is_relative_to(home) else path)


def _mapped(text: str, change: Any) -> str:
    words = []
    for word in text.split():
        if word.startswith(PREFIX):
            path, key = _parts(word)
            word = measured_word(change(path), key)
        words.append(word)
    return " ".join(words)


def measured_path(word: str) -> Path:
    """Return the file of a named entry."""
    return _parts(word)[0]


def measured_text(word: str) -> str:
    """Return in words what a named entry is."""
    path, key = _parts(word)
    return f"measured, {key} of {path.name}"


def read_measured(word: str) -> Histograms:
    """Return the histograms of an entry by format.

    Raises
    ------
    UsageError
        If there is no such file or entry, or the file is wrong.
    """
    path, key = _parts(word)
    reason = unreadable(path)
    if reason is not None:
        raise UsageError(f"measured statistics {str(path)!r}: {reason}")
    entries = _entries(path, path.stat().st_mtime_ns)
    if key not in entries:
        raise UsageError(f"{path}: holds no statistics of {shown(key)}; {did_you_mean(key, entries)}")
    return entries[key]


@lru_cache(maxsize=16)
def _entries(path: Path, _: int) -> dict[str, Histograms]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        if loaded["hwsim"] != KIND:
            raise ValueError
        return {
            key: {name: _histogram(one["histogram"]) for name, one in entry["formats"].items()}
            for key, entry in loaded["entries"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path}: is no file of statistics as hwsim trace --stats writes it") from None


def _histogram(given: Any) -> NDArray[np.int64]:
    found = np.array(given, dtype=np.int64)
    size = found.size
    if found.ndim != 1 or not 2 <= size <= 2**MAX_BITS or size & (size - 1) or (found < 0).any() or not found.any():
        raise ValueError
    return found


def measured_shares(word: str, fmt: Format) -> NDArray[np.float64]:
    """Return the share of every code of ``fmt`` in the tensors of an entry.

    Raises
    ------
    UsageError
        If they were not measured in this format.
    """
    known = read_measured(word)
    if fmt.name not in known or known[fmt.name].size != 2**fmt.element.bits:
        path, key = _parts(word)
        raise UsageError(f"{path}: {key} was not measured in {fmt.name}; {did_you_mean(fmt.name, known)}")
    counts = known[fmt.name]
    return np.asarray(counts / counts.sum())


def codes_of(fmt: Format, x: NDArray[Any]) -> NDArray[Any]:
    """Return the codes of ``x`` in ``fmt``, blocks along the last axis.

    Elements without blocks are scaled per row; unsigned ones stand for a zero point, smallest to largest value of
    a row.
    """
    if isinstance(fmt, Scaled | BitMod):
        return np.asarray(fmt.encode(x).codes.codes)
    element = fmt.element
    if isinstance(element, Integer) and not element.signed:
        low, high = x.min(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)
        span = np.where(high > low, high - low, 1)
        return element.encode((x - low) / span * element.scaling_value)
    scale = fitted_scale(element, x)
    assert scale is not None, "elements are scaled"
    return element.encode(x / scale)


def digits_of(histogram: NDArray[np.int64], fmt: Format) -> dict[str, list[int]]:
    """Return how many elements have 0, 1, … non-zero digits in every encoding; nothing of formats without digits."""
    if whole_numbers(fmt.element) is None:
        return {}
    return {name: [int(count) for count in digit_histogram(histogram, fmt, name)] for name in ENCODINGS}


def write_measured(
    path: Path, source: str, entries: Mapping[str, tuple[int, Mapping[Format, NDArray[np.int64]]]]
) -> None:
    """Write a file of statistics; an entry is the number of its tensors and their histograms.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    made = {
        key: {
            "tensors": tensors,
            "elements": int(max((counts.sum() for counts in found.values()), default=0)),
            "formats": {fmt.name: _entry(fmt, counts) for fmt, counts in found.items()},
        }
        for key, (tensors, found) in entries.items()
    }
    text = json.dumps({"hwsim": KIND, "source": source, "entries": made}, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path}: cannot write the statistics: {error.strerror or error}") from error


def _entry(fmt: Format, counts: NDArray[np.int64]) -> dict[str, Any]:
    return {"histogram": [int(count) for count in counts], "digits": digits_of(counts, fmt)}


def check_measurable(formats: Iterable[Format]) -> None:
    """Refuse formats whose codes cannot be counted.

    Raises
    ------
    UsageError
        If one is wider than 8 bits, complex, or has no one code per element.
    """
    for fmt in formats:
        known = isinstance(fmt, ElementFormat | Scaled | BitMod)
        if not known or fmt.element.complex_valued or fmt.element.bits > MAX_BITS:
            raise UsageError(f"{fmt.name} has no histogram of codes; valid: real formats of up to {MAX_BITS} bits")
