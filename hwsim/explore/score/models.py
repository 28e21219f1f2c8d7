"""Totals of recorded models: parameters, products by kind in prefill and decode, bytes of the KV cache.

Rows are one model each, recorded by running its module without weights and counting every product, with
published figures beside. All counts are compared as integers, published products to their printed digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._recorded import find_recorded, recorded_trace
from hwsim.explore.score._tables import compared, read_rows
from hwsim.spec.errors import UsageError
from hwsim.workload import Trace
from hwsim.workload.experts import is_routed

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
NEEDED = ("model", "params_unique", "input")
#: Columns of a phase, by the kind of products that they count.
KINDS = {"linear": "macs_linear", "attention": "macs_attn", "conv": "macs_conv", "grouped": "macs_grouped"}
PARAMETERS = ("params_unique", "published_params")
PUBLISHED, CLOSED = "published_GMACs", "closed_form_linear_prefill"


@SCORERS.register("models")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare a table of models with the traces of those that hwsim ships.

    Raises
    ------
    SpecError
        If a column is missing, or a figure is no number.
    UsageError
        If the table has no rows, or none about a model that hwsim ships.
    """
    import pandas as pd

    notes: list[str] = []
    found = compared(path, track(read_rows(path, NEEDED)), lambda row: list(_compare(row, notes)))
    # As objects: in a column of numbers, one published figure with a fraction would turn all counts into floats.
    frame = pd.DataFrame(found, columns=["model", "figure", "reference", "ours", "error"], dtype=object)
    frame = frame.astype({"error": float})
    return Score(frame.rename(columns={"ours": "value"}), bars_of(frame, notes), [*_differing(frame), *notes])


def _compare(row: Row, notes: list[str]) -> Iterator[tuple[str, str, object, object, float]]:
    name = row["model"]
    try:
        model, size = find_recorded(name)
    except UsageError as error:
        notes.append(f"not compared: {name}: {error}")
        return
    sizes = [int(number) for number in re.findall(r"\d+", row["input"])] or ([size] if size else [])
    trace = recorded_trace(model, "prefill", sizes)
    ours = figures(trace, "prefill")
    ours |= dict.fromkeys(PARAMETERS, trace.meta["parameters"])
    ours["kv_bytes_per_token_fp16"] = trace.meta["kv_bytes_per_token_fp16"]
    ours["prefill_macs_total"] = trace.macs
    if any(row.get(f"decode_{key}") for key in KINDS.values()):
        ours |= figures(recorded_trace(model, "decode", sizes), "decode")
    if not ours["prefill_macs_grouped"]:
        ours[CLOSED] = ours["prefill_macs_linear"]
    for key, reference in row.items():
        if key in (*NEEDED[::2], PUBLISHED) or not reference:
            continue
        if key not in ours:
            notes.append(f"not compared: {name} {key}")
            continue
        yield name, key, _integer(key, reference), ours[key], _error(_integer(key, reference), ours[key])
    if row.get(PUBLISHED):
        yield from _published(row, trace.macs, notes)


def figures(trace: Trace, phase: str) -> dict[str, int]:
    """Return the products of a trace by kind, those of routed experts apart."""
    kinds = trace.macs_by_kind
    grouped = sum(gemm.macs for gemm in trace.gemms if is_routed(gemm))
    kinds["linear"] -= grouped
    return {f"{phase}_{column}": {**kinds, "grouped": grouped}[kind] for kind, column in KINDS.items()}


def _published(row: Row, macs: int, notes: list[str]) -> Iterator[tuple[str, str, object, object, float]]:
    """Compare published giga-MACs to their digits, unless the table's own total differs from them."""
    name, text = row["model"], row[PUBLISHED].rstrip(".")
    try:
        reference, digits = float(text), len(text.partition(".")[2])
    except ValueError:
        raise UsageError(f"{PUBLISHED} must be a number, not {row[PUBLISHED]!r}") from None
    own = row.get("prefill_macs_total")
    if own and round(int(own) / 1e9, digits) != reference:
        notes.append(
            f"stated only: {name}: published {text} GMACs, the table's own total is {int(own) / 1e9:.{digits}f}"
        )
        return
    value = round(macs / 1e9, digits)
    yield name, PUBLISHED, reference, value, _error(reference, value)


def _integer(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{key} must be a whole number, not {text!r}") from None


def _error(reference: float, value: float) -> float:
    return value / reference - 1 if reference else float(value != reference)


def bars_of(frame: pd.DataFrame, notes: list[str]) -> list[Bar]:
    """Return the bars of a comparison in which every figure must be equal."""
    differ = int((frame["reference"] != frame["ours"]).sum())
    skipped = sum(note.startswith("not compared") for note in notes)
    return [
        Bar(f"figures that differ, of {len(frame)}", differ, 0),
        Bar("rows and figures that cannot be compared", skipped, None),
    ]


def _differing(frame: pd.DataFrame) -> Iterator[str]:
    for row in frame[frame["reference"] != frame["ours"]].itertuples():
        yield f"not equal: {row.model} {row.figure}: {row.reference}, ours {row.ours}"
