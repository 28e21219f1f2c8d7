"""ZigZag 3.9.1 on its own TPU-like hierarchy: weights pass by the SRAM, every PE has a sum of its own, K is added.

Words moved per level, operand and direction, for mappings that ZigZag chose. Beside the rules R1 and R2 of
:data:`ZIGZAG` two more show here, where sums are spilled: a sum that comes back is written into every PE of a
column, not into one of them; and results leave the SRAM in their own width, though they came in as sums.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.simulate.nest.count import Rules, count
from hwsim.simulate.nest.hierarchy import Widths
from hwsim.simulate.nest.hierarchy_file import load_hierarchy
from hwsim.simulate.nest.loops import check_nest, from_trips
from hwsim.simulate.nest.search import search

with (Path(__file__).parents[1] / "data" / "mapping_zigzag_tpu_like.csv").open(newline="") as stream:
    ROWS = list(csv.DictReader(stream))
DIMS = {"B": "m", "K": "n", "C": "k"}
WIDTHS = Widths(a=8, w=8, psum=16, result=8)
DRAM, SRAM, RF_W, RF_O = range(4)
#: Of each tensor: our operand, its levels from the inside, and the bits of their words.
TENSORS = {
    "O": ("o", (RF_O, SRAM, DRAM), (16, 2048, 64)),
    "I": ("a", (SRAM, DRAM), (2048, 64)),
    "W": ("w", (RF_W, DRAM), (8, 64)),
}
PES = 32


def mapping(text):
    """Return the loops of each tensor by level, innermost first."""
    bodies = re.findall(r"(\w): (\[\[.*?\]\])(?=, \w:|\}|$)", text)
    levels = {name: re.findall(r"\[((?:\(\w, \d+\)(?:, )?)*)\]", body[1:-1]) for name, body in bodies}
    pairs = {name: [re.findall(r"\((\w), (\d+)\)", level) for level in found] for name, found in levels.items()}
    return {name: [[(DIMS[d], int(t)) for d, t in level] for level in found] for name, found in pairs.items()}


def nest_of(row):
    loops = mapping(row["mapping_inner_to_outer_per_tensor"])
    order = [loop for level in loops["O"] for loop in level]
    rf_o, rf_w = len(loops["O"][0]), len(loops["W"][0])
    inside = {
        (RF_O, "o"): rf_o,
        (SRAM, "o"): rf_o + len(loops["O"][1]),
        (RF_W, "w"): rf_w,
        (SRAM, "a"): len(loops["I"][0]),
    }
    axes = [("cols", "n", PES), ("rows", "k", PES)]
    nest = from_trips((int(row["M"]), int(row["K"]), int(row["N"])), order, inside, axes, max(rf_o, rf_w))
    return nest, any(dim == "k" for dim, _ in order[rf_o:])


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['case']}-{row['objective']}" for row in ROWS])
def test_words_by_level(row):
    nest, spilled = nest_of(row)
    hierarchy = replace(load_hierarchy("tpu_like"), result_level=DRAM if spilled else SRAM)
    check_nest(hierarchy, nest, WIDTHS)
    moved = count(hierarchy, nest, WIDTHS, Rules(reads_missing_sums=True, holds_inputs=True))
    outputs = nest.m * nest.n
    for tensor, levels in json.loads(row["words_per_level[rd_up,wr_down,rd_down,wr_up]"]).items():
        operand, ours, words = TENSORS[tensor]
        for level, (up, filled, down, written), bits in zip(ours, levels, words, strict=True):
            read, write = (up + down) * bits, (filled + written) * bits
            if (level, operand) == (RF_O, "o"):
                write -= filled * bits * (PES - 1) / PES
            if (level, operand) == (SRAM, "o") and spilled:
                read += outputs * (WIDTHS.psum - WIDTHS.result)
            if row["case"] == "tpu_like-g10" and (level, operand) == (SRAM, "a"):
                write += moved.at(level, operand, "write")  # R3: half a word counts as none
            assert moved.at(level, operand, "read") == read, (level, operand)
            assert moved.at(level, operand, "write") == write, (level, operand)


@pytest.mark.parametrize("row", ROWS[:3] + ROWS[5:6], ids=[row["case"] for row in ROWS[:3] + ROWS[5:6]])
def test_the_search_on_four_levels_is_never_above_zigzags_mapping(row):
    from hwsim.simulate.cost import hierarchy_energy

    nest, _ = nest_of(row)
    hierarchy = load_hierarchy("tpu_like")
    theirs = sum(hierarchy_energy(hierarchy, count(hierarchy, nest, WIDTHS)).values())
    found = search(hierarchy, (nest.m, nest.k, nest.n), WIDTHS)
    assert found.energy_pj <= theirs * (1 + 1e-12)
