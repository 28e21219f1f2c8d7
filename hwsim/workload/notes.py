"""Parts of a row's note that are read again: the numbers of the layers that the row is of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

#: Between the parts of a note.
SEPARATOR = "; "
#: Begins the part that names layers; more of them than any model has.
LAYERS, MOST_LAYERS = "layers ", 1 << 16
_NOTED = re.compile(rf"{LAYERS}\d{{1,6}}(?:-\d{{1,6}})?(?: \d{{1,6}}(?:-\d{{1,6}})?)*", re.ASCII)


def joined(*parts: str) -> str:
    """Return the parts of a note that say something as one."""
    return SEPARATOR.join(part for part in parts if part)


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending ``numbers`` as ``0-3 8 12-15``."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def with_layers(note: str, numbers: Iterable[int]) -> str:
    """Return ``note`` with the ``numbers`` of the layers that its row is of, in the place of those it had."""
    kept = (part for part in note.split(SEPARATOR) if not _NOTED.fullmatch(part))
    return joined(*kept, LAYERS + ranges(sorted(set(numbers))))


def noted_layers(note: str) -> tuple[int, ...]:
    """Return the numbers of the layers that ``note`` says its row is of; none if it does not."""
    for part in note.split(SEPARATOR):
        if not _NOTED.fullmatch(part):
            continue
        runs = [run.partition("-") for run in part.removeprefix(LAYERS).split()]
        spans = [range(int(first), int(last or first) + 1) for first, _, last in runs]
        if sum(map(len, spans)) <= MOST_LAYERS:
            return tuple(number for span in spans for number in span)
    return ()
