"""Short names of designs, and which points of a front to name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hwsim.report.plot.kit.boxes import Floats
from hwsim.report.plot.kit.text import shorten
from hwsim.report.wording import clean

#: Characters of one line of a name; a longer name takes two lines, and its middle is cut.
LINE = 26


def short_names(designs: Sequence[str], families: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return short names and the words that all designs share and none of the names repeats.

    The PE family goes too, colour and marker tell it, unless names would then be equal.

    Parameters
    ----------
    designs
        Names such as ``"float_mac fp16 32x32 512KiB"``.
    families
        The PE family of each.
    """
    words = [clean(design).split() or ["?"] for design in designs]
    shared = [w for w in words[0] if all(w in other for other in words)] if len(set(designs)) > 1 else []
    own = [[w for w in some if w not in shared] or some for some in words]
    bare = [n[1:] if len(n) > 1 and n[0] == family else n for n, family in zip(own, families, strict=True)]
    kinds = Counter(tuple(name) for name, _ in {(tuple(n), f) for n, f in zip(bare, families, strict=True)})
    names = [n if kinds[tuple(n)] == 1 else full for n, full in zip(bare, own, strict=True)]
    return [_two_lines(name) for name in names], [w for w in shared if w not in families]


def _two_lines(words: Sequence[str]) -> str:
    text = " ".join(words)
    if len(text) <= LINE:
        return text
    splits = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    first, second = min(splits, key=lambda s: max(map(len, s)), default=(text, ""))
    return "\n".join(shorten(line, LINE) for line in (first, second) if line)


def worth_naming(places: Floats, first: Sequence[int], limit: int) -> list[int]:
    """Return which points to name, most important first: ``first``, then well-spread others.

    Parameters
    ----------
    places
        Shape (n, 2): where the points are on the page.
    first
        Points that come first, such as the ends and the knee.
    limit
        How many at most.
    """
    chosen = list(dict.fromkeys(first))[:limit]
    if not chosen:
        return []
    distance = np.min([_distance(places, i) for i in chosen], axis=0)
    while len(chosen) < min(limit, len(places)):
        distance[chosen] = -1.0
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, _distance(places, chosen[-1]))
    return chosen


def _distance(places: Floats, i: int) -> Floats:
    away = places - places[i]
    distance: Floats = np.hypot(away[:, 0], away[:, 1])
    return distance
