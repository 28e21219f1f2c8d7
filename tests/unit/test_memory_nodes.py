"""Nodes between and below the tables', misprinted leakage, supplies, and the scaling factors' own sources."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.memory import build_register_file, build_sram, node_factor, scaled_nodes
from hwsim.spec.data import data_path, read_csv_rows
from hwsim.spec.errors import MissingFigureError

FIGURES = ("read_pj", "write_pj", "leakage_mw", "area_mm2", "access_ns", "cycle_ns")
KINDS = dict(zip(FIGURES, ("energy", "energy", "leakage", "area", "delay", "delay"), strict=True))


def cell(node, device="hp"):
    return build_sram(2**13, 64, 1, node, device)


@pytest.mark.parametrize("node", [7, 10, 12, 14, 16, 20])
@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
def test_below_22_nm_every_figure_is_that_of_22_nm_times_its_factor(node, device):
    found, origin = cell(node, device), cell(22, device)
    for name, kind in KINDS.items():
        factor = node_factor(kind, node)
        assert getattr(found, name) == pytest.approx(getattr(origin, name) * factor.value, rel=1e-12)
        assert factor.source in found.sources[FIGURES.index(name)]


@given(st.floats(7, 22), st.floats(7, 22), st.sampled_from(sorted(set(KINDS.values()))))
def test_factors_fall_with_the_node_from_one_at_22_nm(one, other, kind):
    low, high = sorted((one, other))
    assert 0 < node_factor(kind, low).value <= node_factor(kind, high).value * (1 + 1e-12)
    assert node_factor(kind, 22).value == 1


@pytest.mark.parametrize("node", scaled_nodes())
def test_factors_are_the_rules_that_their_sources_state(node):
    ratio = node / 22
    rules = {"energy": math.sqrt(ratio), "area": ratio, "leakage": 0.79 * math.sqrt(ratio)}
    for kind, value in rules.items():
        assert node_factor(kind, node).value == pytest.approx(value, abs=5e-5)  # printed digits
        assert f"{node:g}/22" in node_factor(kind, node).source


FITS = {float(r["node_nm"]): r for r in read_csv_rows("technology", "vdd_fits.csv") if r["flavour"] != "lp"}


def logic(node, vdd, kind):
    """Energy or delay of logic by the published polynomials over the supply."""
    return sum(
        float(FITS[node][key]) * vdd ** int(key[1]) for key in FITS[node] if key[0] == kind and key[1:].isdigit()
    )


@pytest.mark.parametrize(("node", "vdd"), [(16, 0.8), (14, 0.8), (10, 0.75), (7, 0.7)])
def test_delay_factor_and_the_other_energy_factor_follow_from_the_published_fits(node, vdd):
    share = math.log(22 / 20) / math.log(32 / 20)
    rows = {(float(r["node_nm"]), r["quantity"]): r for r in read_csv_rows("memory", "node_scaling.csv")}
    for kind, stated in (("d", rows[node, "delay"]["factor"]), ("e", rows[node, "energy"]["other_factor"])):
        base = logic(20, 0.8, kind) ** (1 - share) * logic(32, 0.8, kind) ** share
        assert logic(node, vdd, kind) / base == pytest.approx(float(stated), abs=1e-4)


@pytest.mark.parametrize("device", ["hp", "lstp", "lop"])
def test_between_two_nodes_lies_between_their_figures_and_meets_them(device):
    low, mid, high = (cell(node, device) for node in (32, 40, 45))
    for name in FIGURES:
        around = sorted((getattr(low, name), getattr(high, name)))
        assert around[0] <= getattr(mid, name) <= around[1]
        assert getattr(cell(45 - 1e-9, device), name) == pytest.approx(getattr(high, name), rel=1e-6)


@pytest.mark.parametrize(("node", "device", "factor"), [(22, "lstp", 3.48), (28, "lstp", 2.39), (90, "lop", 0.243)])
def test_misprinted_leakage_is_corrected_and_nothing_else(node, device, factor):
    raw = next(
        r
        for r in read_csv_rows("memory", "sram_grid.csv")
        if (r["tech_nm"], r["device"], r["size_bytes"], r["word_bits"]) == (str(node), f"itrs-{device}", "8192", "64")
    )
    found = cell(node, device)
    assert found.leakage_mw == pytest.approx(float(raw["leak_mW_total"]) * factor, rel=1e-12)
    assert found.read_pj == float(raw["read_pJ"])
    assert found.estimates[:3] == (False, False, True)
    assert f"misprint at {node} nm {device}" in found.sources[2]
    assert not any("misprint" in source for i, source in enumerate(found.sources) if i != 2)


def test_both_corrections_are_stated_between_two_corrected_nodes():
    source = cell(25, "lstp").sources[2]
    assert "misprint at 22 nm" in source
    assert "misprint at 28 nm" in source


def test_corrected_standby_leakage_rises_as_the_node_shrinks():
    # As the table has it, 22 nm leaks as little as 28 nm; the corrected figures are in order.
    leakages = [cell(node, "lstp").leakage_mw for node in (32, 28, 22)]
    assert leakages == sorted(leakages)


def test_register_files_are_corrected_too():
    found = build_register_file(64, 16, 2, 1, 22, "lstp")
    assert found.estimates == (False, False, True, False, False, False)


def test_supply_of_the_figures_is_accepted_and_any_other_refused():
    assert build_sram(2**13, 64, 1, 28, "hp", 0.86).read_pj == cell(28).read_pj
    with pytest.raises(MissingFigureError, match=r"at 0.7 V; the 28 nm hp figures hold at 0.86 V: leave"):
        build_sram(2**13, 64, 1, 28, "hp", 0.7)
    with pytest.raises(MissingFigureError, match="an unstated supply"):
        build_sram(2**13, 64, 1, 40, "hp", 0.9)


@pytest.mark.parametrize("name", sorted(p.name for p in data_path("memory").glob("*.csv")))
def test_every_row_of_every_table_has_a_source(name):
    for row in read_csv_rows("memory", name):
        if name == "dram.csv":
            for figure, source in (("bandwidth_gb_s", "bandwidth_source"), ("pj_per_bit", "energy_source")):
                assert bool(row[figure]) == bool(row[source]), row
            continue
        assert row["source"]
        # "; " parts the sources of one figure
        assert "; " not in row["source"]
