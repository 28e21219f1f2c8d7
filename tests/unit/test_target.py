"""Arrays on an FPGA: PEs in LUTs and DSP blocks, the largest array within all budgets."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.hardware.fpga import load_fabric
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.fpga.dsp import best_mode, dsp_modes
from hwsim.hardware.fpga.unit import family_cells
from hwsim.hardware.pe import PES, make_pe
from hwsim.hardware.target import Budget, largest_array, pe_on_fabric
from hwsim.hardware.target.budget import kinds_of
from hwsim.hardware.target.budget_of import taken
from hwsim.hardware.target.mixing import mixes
from hwsim.spec.errors import InfeasibleError, UsageError

ZCU104 = load_device("zcu104")
INT8: dict[str, Any] = {"family": "int_mac", "format": "int8"}
FAMILIES: list[dict[str, Any]] = [
    INT8, {"family": "int_mac", "format": "int4", "lanes": 4}, {"family": "float_mac", "format": "fp8_e4m3"},
    {"family": "lmul", "format": "fp8_e4m3"}, {"family": "float_mac", "format": "bf16"},
]  # fmt: skip


@pytest.mark.parametrize("options", FAMILIES, ids=str)
def test_rows_sum_to_the_whole(options: dict[str, Any]) -> None:
    one = pe_on_fabric(make_pe(options), ZCU104, "never")
    assert one.sites.lut == pytest.approx(sum(sites.lut for _, sites, _ in one.rows))
    assert one.dsp == 0
    assert one.sites.ff > 0


def test_a_block_takes_product_and_sum() -> None:
    pe = make_pe(INT8)
    in_lut, in_dsp = (pe_on_fabric(pe, ZCU104, use) for use in ("never", "always"))  # type: ignore[arg-type]
    assert (in_dsp.dsp, in_dsp.sites.lut, in_dsp.sites.ff) == (1, 0, 0)
    # 88 LUTs are the 8 x 8 multiplier of synthesis, 32 the accumulator.
    assert in_lut.sites.lut == pytest.approx(88 + 32, rel=0.05)


def test_packed_products_keep_their_sums_in_luts() -> None:
    pe = make_pe(INT8)
    alone, packed = pe_on_fabric(pe, ZCU104, "always"), pe_on_fabric(pe, ZCU104, "always", frozenset("w"))
    assert (alone.dsp, packed.dsp) == (1, 0.5)
    assert packed.sites.lut == 32
    assert alone.notes == ("int8_x2 (2 products a block) needs a shared operand",)
    assert packed.notes == ()


def test_lmul_has_nothing_for_a_block() -> None:
    with pytest.raises(UsageError, match="lmul has no product that a dsp48e2 takes"):
        pe_on_fabric(make_pe(FAMILIES[3]), ZCU104, "always")
    assert [*kinds_of(make_pe(FAMILIES[3]), ZCU104, "auto")] == ["never"]


@pytest.mark.parametrize("name", ["d5005", "agi022", "agi027", "agi040"])
def test_intel_devices_count_alms(name: str) -> None:
    device, pe = load_device(name), make_pe(INT8)
    kinds = kinds_of(pe, device, "auto")
    never, always = kinds["never"], kinds["always"]
    assert (never.logic, never.dsp) == ("alm", 0)
    # 44 bits of pairs' chains and 44 of sums, two to an ALM; the accumulator's 32 bits (a_imul_s8x8: 43.5 ALMs).
    assert never.sites.lut == pytest.approx(44 + 16, rel=0.01)
    # Two independent products have no accumulator in the block: that is in ALMs (Intel 683832, 683037).
    assert (always.dsp, always.modes[0].name) == (0.5, "int18_x2")
    assert always.sites.lut == 16
    found = largest_array(pe, device, Budget(device.usable()))
    assert set(found.used) == {"alm", "ff", "dsp"}
    assert found.used["dsp"] == device.budget["dsp"]
    assert found.used["alm"] <= device.budget["alm"]


def test_blocks_sum_products_of_one_sum_alone() -> None:
    for device, mode, macs in (("d5005", "int18_sum2", 2), ("agi027", "int9_sum4", 4)):
        primitive = load_device(device).dsp_primitive
        assert best_mode(primitive, 8, 8, frozenset({"sum"})).macs == macs  # type: ignore[union-attr]
        assert best_mode(primitive, 8, 8).name == "int18_x2"  # type: ignore[union-attr]
        assert best_mode(primitive, 20, 20).name == "plain"  # type: ignore[union-attr]
        assert best_mode(primitive, 32, 32, arithmetic="float").name == "fp32"  # type: ignore[union-attr]
        assert mode in {one.name for one in dsp_modes(primitive) if one.legal(frozenset({"sum"}))}


@given(
    st.sampled_from(FAMILIES), st.floats(1, 3e4), st.floats(1, 6e4), st.integers(0, 300),
    st.sampled_from(("auto", "never", "always")), st.frozensets(st.sampled_from("wa")),
)  # fmt: skip
def test_the_largest_array_fits_and_one_more_pe_does_not(options, lut, ff, dsp, use, shared) -> None:  # type: ignore[no-untyped-def]
    pe, budget = make_pe(options), Budget({"lut6": lut, "ff": ff, "dsp": dsp})
    try:
        found = largest_array(pe, ZCU104, budget, use, shared)
    except InfeasibleError as error:
        assert "does not hold one PE" in str(error)
        return
    except UsageError:
        assert use == "always"
        return
    assert found.in_dsp + found.in_lut == found.pes
    assert all(found.used[name] <= budget.counts[name] * (1 + 1e-9) for name in found.used)
    wanted = found.rows * (found.cols + 1) if found.rows > found.cols else (found.rows + 1) * found.cols
    usual = kinds_of(pe, ZCU104, use, shared)
    pairs = [[taken(one) for one in kinds.values()] for kinds in mixes(usual, pe, ZCU104, use, shared, None)]
    assert found.pes <= max(brute_force(kinds, budget) for kinds in pairs) < wanted


def brute_force(kinds, budget: Budget) -> int:  # type: ignore[no-untyped-def]
    """Return the most PEs of one or two kinds: every number of the first is tried, the second fills what is left."""
    left = {name: Fraction(count) for name, count in budget.counts.items()}
    top = min(int(left[name] / take) for name, take in kinds[0].items() if take)
    if len(kinds) == 1:
        return top
    best = 0
    for count in range(top + 1):
        rest = [(left[name] - count * kinds[0][name]) / take for name, take in kinds[1].items() if take]
        best = max(best, count + max(0, int(min(rest))))
    return best


def test_two_modes_and_luts_may_beat_the_densest_mode() -> None:
    pe = make_pe({"family": "exact_mac", "format": "int8", "length": 64})
    budget = Budget({"lut6": 3000.0, "ff": 1e6, "dsp": 100})
    found = largest_array(pe, ZCU104, budget, "auto", frozenset({"a"}), (1, None))
    dense = pe_on_fabric(pe, ZCU104, "always", frozenset({"a"}))
    assert [mode.name for mode in dense.modes] == ["int8_x2"]
    usual = kinds_of(pe, ZCU104, "auto", frozenset({"a"}))
    assert found.pes >= brute_force([taken(one) for one in usual.values()], budget)
    assert found.pes == max(
        brute_force([taken(one) for one in kinds.values()], budget)
        for kinds in mixes(usual, pe, ZCU104, "auto", frozenset({"a"}), None)
    )
    assert found.pes > brute_force([taken(one) for one in usual.values()], budget)


@pytest.mark.parametrize(("use", "options"), [*product(("always", "never"), FAMILIES[:3])], ids=str)
def test_auto_is_no_smaller(use: Any, options: dict[str, Any]) -> None:
    pe, budget = make_pe(options), Budget(ZCU104.usable(reserve=0.2))
    assert largest_array(pe, ZCU104, budget, "auto").pes >= largest_array(pe, ZCU104, budget, use).pes


def test_sides_can_be_given() -> None:
    pe, budget = make_pe(INT8), Budget({"lut6": 120 * 100.0, "ff": 1e6, "dsp": 0})
    found = largest_array(pe, ZCU104, budget, "never", sides=(8, None))
    assert found.rows == 8
    assert found.binding == "lut6"
    with pytest.raises(InfeasibleError, match="zcu104: lut6 does not hold 16 × 16 PEs"):
        largest_array(pe, ZCU104, budget, "never", sides=(16, 16))


@pytest.mark.parametrize("family", PES.names())
def test_every_family_is_priced_or_refused_by_part(family: str) -> None:
    for options in ({"family": family}, *({"family": family, "format": f} for f in ("fp8_e4m3", "int8", "nf4_g64"))):
        try:
            pe = make_pe(options)
        except UsageError:
            continue
        if len(pe.modes) == 1:
            assert pe_on_fabric(pe, ZCU104, "never").sites.lut > 0
        return


@pytest.mark.parametrize(
    ("device", "options"),
    [
        ("vck190", {"family": "exact_mac", "format": "fp8_e4m3", "lanes": 3}),
        ("vck190", {"family": "block_dot", "format": "mxfp8_e4m3"}),
        ("agi027", {"family": "exact_mac", "format": "fp8_e4m3", "lanes": 4}),
        ("s10nx", {"family": "block_dot", "format": "mxfp4"}),
    ],
)
def test_products_that_are_aligned_are_added_by_no_block(device: str, options: dict[str, Any]) -> None:
    pe, shared = make_pe(options), frozenset({"a", "kept"})
    kinds = kinds_of(pe, load_device(device), "auto", shared)
    assert not any(mode.adds for one in kinds.values() for mode in one.modes)


@pytest.mark.parametrize(("device", "inputs"), [("vck190", 6), ("s10nx", 2)])
def test_a_tree_takes_the_sums_that_blocks_leave(device: str, inputs: int) -> None:
    pe = make_pe({"family": "block_dot", "format": "int8"})
    assert pe.lanes == 16
    one = pe_on_fabric(pe, load_device(device), "always", frozenset({"a", "kept"}))
    (tree,) = (part.circuit for part, _, _ in one.rows if part.role == "adder tree")
    assert tree.inputs == inputs  # type: ignore[attr-defined]


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("device", ["zcu104", "d5005"])
def test_a_ternary_pe_is_its_synthesised_unit_and_a_sum(device: str, lanes: int) -> None:
    pe, board = (
        make_pe({"family": "ternary", "format": "int8", "w_format": "ternary", "lanes": lanes}),
        load_device(device),
    )
    one = pe_on_fabric(pe, board, "never")
    dot = sum(sites.lut for part, sites, _ in one.rows if part.role in ("zero gate", "negate", "adder tree"))
    unit = load_fabric(board.logic).luts(family_cells("ternary_dot", {"n": lanes, "wa": 8}, board.logic))
    assert dot == pytest.approx(unit, rel=0.06)  # the unit's gates are a bit wider: on 9 bits, the PE's on 8
