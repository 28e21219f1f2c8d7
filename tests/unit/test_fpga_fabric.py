"""Circuits on FPGA fabric: exact carry chains, laws for every circuit, and how far unseen units are off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware import circuits
from hwsim.hardware.circuits import Adder, AdderTree, Circuit, Multiplier, Placer, Register, RegisterTable
from hwsim.hardware.fpga import fabric_cells, load_fabric, read_lut_rows
from hwsim.hardware.fpga.calibrate import SEEDS, cross_validate, fit, shipped_rows
from hwsim.hardware.fpga.fabric import Sites
from hwsim.hardware.fpga.rows import read_params
from hwsim.hardware.fpga.unit import family_cells
from hwsim.spec.errors import MissingFigureError, SpecError

UNITS, CIRCUITS = shipped_rows()


def test_the_shipped_calibration_is_that_of_the_shipped_rows() -> None:
    found = fit(UNITS, CIRCUITS).sites
    assert load_fabric().sites == {cell: pytest.approx(sites, rel=1e-3) for cell, sites in found.items()}


def test_units_that_the_fit_has_not_seen() -> None:
    """Asked: median error at most 10 %, 90th percentile at most 25 %, a fifth left out."""
    size = np.abs(np.concatenate([cross_validate(UNITS, CIRCUITS, seed) for seed in SEEDS]))
    assert np.median(size) <= 0.10
    assert np.quantile(size, 0.9) <= 0.25


@pytest.mark.parametrize("row", [r for r in UNITS if r.family in ("adder_tree", "int_add")], ids=lambda r: r.design)
def test_carry_chains_are_exact(row) -> None:  # type: ignore[no-untyped-def]
    assert load_fabric().luts(row.cells) == row.lut_sites


@pytest.mark.parametrize(
    "row",
    [r for r in UNITS if r.family == "int_mac" or (r.design.endswith(("macci_e5m2", "macci_e2m3", "macci_e3m2", "e2m1"))
     and "mac" in r.family)],
    ids=lambda r: r.design,
)  # fmt: skip
def test_exact_macs_are_within_15_percent(row) -> None:  # type: ignore[no-untyped-def]
    assert load_fabric().luts(row.cells) == pytest.approx(row.lut_sites, rel=0.15)


EXAMPLES = {
    "Mux": (8, 4),
    "Multiplier": (8, 6),
    "BoothMultiplier": (8, 8),
    "CompressorTree": (6, 8),
    "Placer": (4, 9, 12),
}


def every_circuit() -> list[Circuit]:
    found = []
    for name in circuits.__all__:
        kind = getattr(circuits, name)
        if isinstance(kind, type) and issubclass(kind, Circuit) and kind is not Circuit:
            fields = kind.__dataclass_fields__
            needed = [f for f in fields.values() if f.default.__class__.__name__ == "_MISSING_TYPE"]
            found.append(kind(*EXAMPLES.get(name, (8,) * len(needed))))
    return found


@pytest.mark.parametrize("circuit", every_circuit(), ids=lambda c: type(c).__name__)
def test_every_circuit_has_a_price(circuit: Circuit) -> None:
    sites = load_fabric().price(circuit)
    assert sites.lut >= 0
    assert sites.ff >= 0
    assert (sites.lut > 0) or (sites.ff > 0) or type(circuit).__name__ == "FanOut"


def test_a_circuit_without_law_is_named() -> None:
    class Novel(Adder):
        pass

    class Foreign(Circuit):
        def cells(self):  # type: ignore[no-untyped-def]
            return {}

        def levels(self) -> float:
            return 0.0

        def live_bits(self, progress: float) -> float:
            return 0.0

    assert fabric_cells(Novel(8)) == {"carry": 8}
    with pytest.raises(MissingFigureError, match="no law for a Foreign on FPGA fabric"):
        fabric_cells(Foreign())


@given(st.integers(2, 32), st.integers(2, 32))
def test_larger_multipliers_are_no_smaller(a: int, b: int) -> None:
    fabric = load_fabric()
    here, wider, longer = (fabric.price(Multiplier(*bits)).lut for bits in ((a, b), (a + 1, b), (a, b + 1)))
    assert here <= min(wider, longer) + 1e-9


@given(st.integers(1, 16), st.integers(2, 64))
def test_a_placer_before_an_adder_is_cheaper(bits: int, positions: int) -> None:
    fabric, width = load_fabric(), bits + positions - 1
    alone, summed = (fabric.price(Placer(bits, positions, width, summed)).lut for summed in (False, True))
    assert 0 < summed <= alone


def test_registers_are_flip_flops_and_tables_are_luts() -> None:
    fabric = load_fabric()
    assert fabric.price(Register(24)) == Sites(0.0, 24.0, 0.0)
    assert fabric.price(RegisterTable(65, 8, 2)) == Sites(32.0, 0.0, 0.0)
    assert fabric.price(AdderTree(16, 8)) == Sites(131.0, 0.0, 131.0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,int_mul,{wa: 8},3", "int_mul: parameter wb is missing"),
        ("x,int_mul,8x8,3", "params must be a mapping such as"),
        ("x,int_add,{w: 8},-3", "lut_sites_carry_aware must be positive"),
        ("x,int_ad,{w: 8},3", "unknown family of synthesised FPGA units 'int_ad'"),
    ],
)
def test_bad_rows_are_named(tmp_path, row: str, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "rows.csv"
    path.write_text(f"design,family,params,lut_sites_carry_aware\n{row}\n")
    with pytest.raises(SpecError, match=message.split("'")[0].replace("(", r"\(")):
        read_lut_rows(path)


def test_rows_of_other_flows_are_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "rows.csv"
    path.write_text(
        "design,family,params,lut_sites_carry_aware\na,int_add,{w: 8},8\nb,int_add,{w: 8},\nc,odd,{w: 8},9\n"
    )
    unknown: list[str] = []
    assert [row.design for row in read_lut_rows(path, unknown)] == ["a"]
    assert unknown == ["odd"]


def test_parameters_are_yaml() -> None:
    assert read_params("{wa: 8, rule: 2311.12359 n=4608}") == {"wa": 8, "rule": "2311.12359 n=4608"}


@pytest.mark.parametrize("name", ["e4m3", "E4M3", "e4m3fn", "fp8_e4m3"])
def test_units_take_any_name_of_a_float(name: str) -> None:
    assert family_cells("fp_mul_unpacked", {"fmt": name}) == family_cells("fp_mul_unpacked", {"E": 4, "M": 3})
    assert family_cells("fp_mul_unpacked", {"fmt": "bf16"}) == family_cells("fp_mul_unpacked", {"E": 8, "M": 7})


@pytest.mark.parametrize(
    ("family", "params", "acc"),
    # Widths of lossless sums of 4,608 products by the two formulas of arXiv 2311.12359.
    [("int_mac", {"wa": 8, "wb": 8}, 30), ("fp_mac_kulisch", {"fmt": "e4m3"}, 50), ("fp_mac_kulisch", {"fmt": "e2m1"}, 22)],
)  # fmt: skip
def test_accumulators_that_no_row_states_are_lossless(family: str, params: dict[str, Any], acc: int) -> None:
    assert family_cells(family, params) == family_cells(family, {**params, "acc": acc})


def test_rows_of_unknown_parameters_are_told_and_left_out(tmp_path: Path) -> None:
    rows = 'a,int_mul,"{wa: 8, wb: 8}",88\nb,int_mul,"{width: 8}",88\nc,fp_mul_unpacked,"{fmt: int8}",9\n'
    (tmp_path / "t.csv").write_text(f"design,family,params,lut_sites_carry_aware\n{rows}")
    unknown: list[str] = []
    assert [row.design for row in read_lut_rows(tmp_path / "t.csv", unknown)] == ["a"]
    assert [text.split(":")[0] for text in unknown] == ["b (line 3", "c (line 4"]
    with pytest.raises(SpecError, match="parameter wa is missing"):
        read_lut_rows(tmp_path / "t.csv")
