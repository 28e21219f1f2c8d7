"""What published savings of L-Mul rest on: arithmetic of per-operation energies, with the baseline named.

A multiplication gives way to an integer addition, alone or in a multiply-accumulate whose addition
stays. The 95 % and 80 % of arXiv 2410.00907 are those against FP16 multiplication alone, and against
FP32 multiplication with FP32 accumulation; other baselines save less.
"""

from __future__ import annotations

from typing import NamedTuple

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError


class Baseline(NamedTuple):
    """A node, the multiplication, the addition that replaces it, and the accumulation that stays (or none)."""

    node_nm: int
    multiply: str
    replaced_by: str
    accumulate: str | None


#: Baselines for which both tables have all rows (Horowitz 2014 at 45 nm, Jouppi et al. 2021 at 7 nm).
BASELINES = (
    Baseline(45, "fp16", "int16", None),
    Baseline(45, "fp32", "int32", None),
    Baseline(45, "fp32", "int32", "fp32"),
    Baseline(45, "fp16", "int16", "fp16"),
    Baseline(45, "fp16", "int16", "fp32"),
    Baseline(7, "fp16", "int32", "fp32"),
    Baseline(7, "bf16", "int32", "fp32"),
)


def operation_pj(node_nm: int, operation: str, name: str) -> tuple[float, str]:
    """Return the published energy of one operation and its source.

    Raises
    ------
    MissingFigureError
        If no table has it.
    """
    wanted = (float(node_nm), "operation", operation, name, "energy")
    for row in read_csv_rows("technology", "references.csv"):
        if (float(row["node_nm"]), row["kind"], row["unit_name"], row["format"], row["quantity"]) == wanted:
            return float(row["published"]), row["source"]
    raise MissingFigureError(f"no published energy of {operation} {name} at {node_nm} nm")


def saving(baseline: Baseline) -> float:
    """Return the share of energy that is saved where the multiplication gives way to the addition."""
    product, _ = operation_pj(baseline.node_nm, "mul", baseline.multiply)
    instead, _ = operation_pj(baseline.node_nm, "add", baseline.replaced_by)
    kept = operation_pj(baseline.node_nm, "add", baseline.accumulate)[0] if baseline.accumulate else 0.0
    return 1 - (instead + kept) / (product + kept)
