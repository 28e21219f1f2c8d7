"""Products of recorded models: every shape with its number of calls, in prefill and decode.

Rows are one shape of one model and phase each: ``model,phase,op,batch,M,K,N,count``. A model's rows must be
all of its products: one that only we have is a difference too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Score, Track, untracked
from hwsim.explore.score._recorded import (
    Shape,
    find_recorded,
    read_shape,
    recorded_shapes,
    recorded_trace,
    sizes_of,
)
from hwsim.explore.score._tables import compared, read_rows
from hwsim.explore.score.models import bars_of
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("model", "phase", "op", "batch", "M", "K", "N", "count")
PHASES = ("prefill", "decode")

Run = tuple[str, str]


@SCORERS.register("gemms")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare a table of products with the traces of models that hwsim ships.

    Raises
    ------
    SpecError
        If a column is missing, or a row is wrong.
    UsageError
        If the table has no rows, or none about a model that hwsim ships.
    """
    import pandas as pd

    read = compared(path, read_rows(path, NEEDED), lambda row: [_read(row)])
    runs: dict[Run, Counter[Shape]] = {}
    for run, shape, count in read:
        runs.setdefault(run, Counter())[shape] += count
    notes: list[str] = []
    found = [entry for run in track(list(runs)) for entry in _compare(run, runs[run], notes)]
    if not found:
        raise UsageError(f"{path}: nothing to compare: {'; '.join(notes)}")
    frame = pd.DataFrame(found, columns=["model", "phase", "op", "groups", "batch", "m", "k", "n", "reference", "ours"])
    frame["error"] = (frame["ours"] - frame["reference"]) / frame["reference"].clip(lower=1)
    return Score(frame.rename(columns={"ours": "value"}), bars_of(frame, notes), [*_differing(frame), *notes])


def _read(row: dict[str, str]) -> tuple[Run, Shape, int]:
    if row["phase"] not in PHASES:
        raise UsageError(f"phase must be prefill or decode, not {row['phase']!r}")
    try:
        count = int(row["count"])
    except ValueError:
        raise UsageError(f"count must be a whole number, not {row['count']!r}") from None
    return (row["model"], row["phase"]), read_shape(row), count


def _compare(run: Run, reference: Counter[Shape], notes: list[str]) -> Iterator[tuple[object, ...]]:
    name, phase = run
    try:
        model, size = find_recorded(name)
    except UsageError as error:
        notes.append(f"not compared: {name} {phase}: {error}")
        return
    sizes = [size] if size else sizes_of(model, phase, list(reference))
    ours = recorded_shapes(recorded_trace(model, phase, sizes))
    for shape in _union(reference, ours):
        yield name, phase, *shape, reference[shape], ours[shape]


def _union(reference: Counter[Shape], ours: Counter[Shape]) -> Sequence[Shape]:
    return list(dict.fromkeys([*reference, *ours]))


def _differing(frame: pd.DataFrame) -> Iterator[str]:
    for row in frame[frame["reference"] != frame["ours"]].itertuples():
        shape = f"{row.op} {row.batch} x {row.m} x {row.k} x {row.n}"
        yield f"not equal: {row.model} {row.phase} {shape}: {row.reference} calls, ours {row.ours}"
