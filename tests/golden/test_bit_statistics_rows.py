"""Digits of weights in a checkpoint, measured as a run would, against sampled INT8 statistics of named distributions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hwsim.formats import parse_format
from hwsim.formats.measured import digits_of
from hwsim.workload.checkpoints.measure import float_histograms
from hwsim.workload.checkpoints.safetensors import read_checkpoint

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "bit_stats_int8.csv").open(newline="")))
SHAPE = (256, 4096)
ENCODINGS = {"avg_twos_comp_ones": "twos_complement", "avg_signmag_ones": "sign_magnitude", "avg_naf": "naf", "avg_booth_r4": "booth"}  # fmt: skip
#: Both sides are samples; heavy tails vary the most (a million values here, seeds vary by 0.4 %).
TOLERANCE = 0.015


def draw(name: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    if name.startswith("student_t_nu"):
        return rng.standard_t(int(name.removeprefix("student_t_nu")), SHAPE)
    draws = {"normal": rng.standard_normal, "laplace": lambda shape: rng.laplace(size=shape)}
    return draws.get(name, lambda shape: rng.uniform(-1, 1, shape))(SHAPE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['distribution']}-{row['group']}")
def test_digits_per_weight(tmp_path, row):
    path = tmp_path / "model.safetensors"
    save_file({"w": draw(row["distribution"]).astype(np.float32)}, path)
    fmt = parse_format(f"int8_g{row['group']}")
    counts = float_histograms(read_checkpoint(path).tensors["w"], SHAPE, [fmt])[fmt]
    digits = digits_of(counts, fmt)
    for column, encoding in ENCODINGS.items():
        weights = np.array(digits[encoding], dtype=float)
        mean = float(weights @ np.arange(weights.size) / weights.sum())
        assert mean == pytest.approx(float(row[column]), rel=TOLERANCE), column
    assert counts[0] / counts.sum() == pytest.approx(float(row["zero_frac"]), rel=0.05)
    assert json.loads(json.dumps(digits)) == digits
