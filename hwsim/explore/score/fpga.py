"""Units synthesised on FPGA fabric: their LUT sites against the calibrated model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.explore.score import SCORERS, Bar, Score
from hwsim.hardware.fpga.rows import FIGURE
from hwsim.spec.errors import UsageError
from hwsim.spec.text import read_text

if TYPE_CHECKING:
    import pandas as pd

#: Largest median error, largest 90th percentile, and largest error of one exact MAC.
MEDIAN, P90, MAC = 0.10, 0.25, 0.15
#: Families of multiply-accumulators with a lossless accumulator, as far as their formats are those of :data:`EXACT`.
MACS = ("int_mac", "fp_mac_kulisch", "lmul_mac_kulisch")
#: Name of what is compared, how bars call it, and the rows of the fit, by logic.
NAMES = {"lut6": ("lut_sites", "LUT sites", "lut_rows.csv"), "alm": ("alm", "ALMs", "alm_rows.csv")}
#: Formats of exact MACs that have a bar; integers have it at all widths.
EXACT = ("e2m1", "e2m3", "e3m2", "e4m3", "e5m2")


@SCORERS.register("fpga")
def score(path: Path) -> Score:
    """Compare a table of the form of ``hwsim/data/fpga/lut_rows.csv`` or ``alm_rows.csv``, whatever units it holds.

    Raises
    ------
    SpecError
        If a row is wrong or lacks a parameter.
    UsageError
        If no row can be compared.
    """
    import pandas as pd

    from hwsim.hardware.fpga import load_fabric, read_lut_rows

    unknown: list[str] = []
    logic = "alm" if _is_alm(path) else "lut6"
    rows = read_lut_rows(path, unknown, logic)
    if not rows:
        why = "; ".join(unknown) or f"no row has {FIGURE[logic]}"
        raise UsageError(f"{path}: nothing to compare: no unit with a model ({why})")
    fabric = load_fabric(logic)
    frame = pd.DataFrame([
        {"design": row.design, "family": row.family, "figure": NAMES[logic][0], "reference": row.lut_sites,
         "model": fabric.luts(row.cells)}
        for row in rows
    ])  # fmt: skip
    frame["error"] = frame["model"] / frame["reference"] - 1
    notes = [f"the model was fitted on hwsim/data/fpga/{NAMES[logic][2]}; those of yosys, not of the vendor's tools"]
    if unknown:
        notes.append(f"{len(unknown)} rows without a model, not compared: {', '.join(sorted(set(unknown)))}")
    return Score(frame, _bars(frame, NAMES[logic][1]), notes)


def _is_alm(path: Path) -> bool:
    header = read_text(path).partition("\n")[0].strip().split(",")
    return FIGURE["alm"] in header and FIGURE["lut6"] not in header


def _bars(frame: pd.DataFrame, name: str) -> list[Bar]:
    size = frame["error"].abs()
    bars = [
        Bar(f"{name}: median error", float(size.median()), MEDIAN),
        Bar(f"{name}: 90th percentile", float(size.quantile(0.9)), P90),
    ]
    macs = size[[_is_exact_mac(row) for row in frame.to_dict("records")]]
    if not macs.empty:
        bars.append(Bar("exact MACs: largest error", float(macs.max()), MAC))
    return bars


def _is_exact_mac(row: dict[Any, Any]) -> bool:
    name = str(row["design"]).rsplit("_", 1)[-1]
    return row["family"] in MACS and (row["family"] == "int_mac" or name in EXACT)
