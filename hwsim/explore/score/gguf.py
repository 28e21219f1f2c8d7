"""Mixes of llama.cpp: bits per weight of whole models against what llama.cpp printed.

The model is built from the rules of today. Tables of Llama 2 are of 2023, when a few rules were others: where only
these give a published figure, the note says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.explore.score._tables import compared, positive, read_rows
from hwsim.workload import load_workload
from hwsim.workload.ggml import mix_bits_per_weight

if TYPE_CHECKING:
    import pandas as pd

#: Largest difference in bits per weight.
LIMIT = 0.01
#: Rows that may differ by more: one of the eighteen of Llama 2, whose rule has changed since.
DIFFER = 1
DERIVED = "derived_bpw_from_per_tensor_types"


@SCORERS.register("gguf")
def score(path: Path) -> Score:
    """Compare a table with columns ``model``, ``mix`` and ``published_bpw`` with the rules of mixes.

    Where there is a column ``derived_bpw_from_per_tensor_types``, it is compared too.

    Raises
    ------
    SpecError
        If a column is missing, a figure is no positive number, or a model or mix is unknown.
    """
    import pandas as pd

    frame = pd.DataFrame(compared(path, read_rows(path, ("model", "mix", "published_bpw")), _rows))
    published = frame[frame["figure"] == "published_bpw"]
    far = published[(published["model"] - published["reference"]).abs() > LIMIT]
    rest = published.drop(far.index)
    bars = [
        Bar(f"rows that differ by more than {LIMIT} bits per weight", float(len(far)), DIFFER),
        Bar("largest difference of the others, bits per weight", _largest(rest), LIMIT),
    ]
    derived = frame[frame["figure"] == DERIVED]
    if not derived.empty:
        bars.append(Bar("derived per tensor: largest difference, bits per weight", _largest(derived), LIMIT))
    return Score(frame, bars, [_why(row) for _, row in far.iterrows()])


def _rows(row: dict[str, str]) -> list[dict[str, object]]:
    trace = load_workload(row["model"])
    ours, older = (float(mix_bits_per_weight(trace, row["mix"], rules=rules)) for rules in ("present", "2023"))
    figures = ["published_bpw"] + ([DERIVED] if row.get(DERIVED) else [])
    found: list[dict[str, object]] = []
    for figure in figures:
        reference = positive(row, figure)
        entry = {"network": row["model"], "mix": row["mix"], "figure": figure, "reference": reference}
        found.append({**entry, "model": ours, "model_2023": older, "error": ours / reference - 1})
    return found


def _largest(frame: pd.DataFrame) -> float:
    return float((frame["model"] - frame["reference"]).abs().max()) if len(frame) else 0.0


def _why(row: pd.Series) -> str:
    head = f"{row['network']} {row['mix']}: published {row['reference']:g}, {row['model']:.3f} by the present rules"
    if abs(row["model_2023"] - row["reference"]) <= LIMIT:
        return f"{head}; {row['model_2023']:.3f} by those of 2023, when the table was made"
    return f"{head} and {row['model_2023']:.3f} by those of 2023"
