"""Packed products of DSP blocks: exact for all operands, and legal where a dataflow really shares operands."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.fpga.dsp import Mode, best_mode, dsp_modes, refused_modes
from hwsim.hardware.pe import make_pe
from hwsim.hardware.target import pe_on_fabric
from hwsim.hardware.target.clocks import mode_notes, sharing
from hwsim.simulate.dataflow import get_dataflow
from tests.support.small import array, small

#: Ports of the multiplier and the word that comes out, signed, in bits (AM004, FINN mvu_4sx4u.sv).
PORTS = {"dsp48e1": (25, 18, 48), "dsp48e2": (27, 18, 48), "dsp58": (27, 24, 58)}

Whole = NDArray[np.int64]

PACKED = [
    mode for primitive in PORTS for mode in dsp_modes(primitive) if mode.shares in ("one", "both") and mode.macs > 1
]
BY_NAME = {(mode.primitive, mode.name): mode for mode in PACKED}


def name_of(mode: Any) -> str:
    return f"{mode.primitive}-{mode.name}"


def fits(values: Whole, bits: int) -> bool:
    return bool(values.min() >= -(1 << bits - 1) and values.max() < 1 << bits - 1)


def codes(bits: int, narrow: bool) -> Whole:
    return np.arange(-(1 << bits - 1) + narrow, 1 << bits - 1, dtype=np.int64)


def word(values: list[Whole], offsets: tuple[int, ...]) -> Whole:
    return np.asarray(sum(value << offset for value, offset in zip(values, offsets, strict=True)))


def lanes_by_sign(packed: Whole, lanes: tuple[int, ...]) -> list[Whole]:
    """Read each lane as a signed field and give one back to the lane above where it is negative: the correction."""
    found, rest = [], packed
    for low, high in zip(lanes, (*lanes[1:], None), strict=True):
        rest = packed >> low if not found else rest
        if high is None:
            found.append(rest)
            break
        bits = high - low
        field = rest & ((1 << bits) - 1)
        negative = field >> (bits - 1)
        found.append(field - (negative << bits))
        rest = (rest >> bits) + negative
    return found


def lanes_by_canary(packed: Whole, lanes: tuple[int, ...], canaries: list[Whole]) -> list[Whole]:
    """Read lanes that their products may exceed: two bits of the product above, made in LUTs, tell what came over."""
    found, came = [], np.zeros_like(packed)
    for number, low in enumerate(lanes):
        if number + 1 == len(lanes):
            found.append((packed >> low) - came)
            break
        bits = lanes[number + 1] - low
        over = ((packed >> lanes[number + 1]) - canaries[number + 1]) & 3
        over = over - 4 * (over >> 1)
        found.append(((packed >> low) & ((1 << bits) - 1)) + (over << bits) - came)
        came = over
    return found


def operands(mode: Mode) -> list[tuple[list[Whole], list[Whole]]]:
    """Return all operand values of a mode, the packed ones of both ports, in pieces."""
    assert mode.packing is not None
    packed, other = codes(mode.a_bits, mode.packing.narrow), codes(mode.b_bits, False)
    wide, narrow = len(mode.packing.a_offsets), len(mode.packing.b_offsets)
    grids = np.meshgrid(*[packed] * wide, indexing="ij")
    flat = [grid.ravel() for grid in grids]
    return [(flat, [np.full_like(flat[0], one) for one in b]) for b in product(other.tolist(), repeat=narrow)]


@pytest.mark.parametrize("mode", PACKED, ids=name_of)
def test_packed_products_equal_separate_ones_for_all_operands(mode: Mode) -> None:
    packing, (a_port, b_port, out) = mode.packing, PORTS[mode.primitive]
    assert packing is not None, "a packed mode states its lanes"
    assert len(packing.lanes) == mode.macs
    places = sorted((a + b, i, j) for i, a in enumerate(packing.a_offsets) for j, b in enumerate(packing.b_offsets))
    for wide, narrow in operands(mode):
        a, b = word(wide, packing.a_offsets), word(narrow, packing.b_offsets)
        assert fits(a, a_port)
        assert fits(b, b_port)
        packed = a * b
        assert fits(packed, out)
        wanted = [wide[i] * narrow[j] for _, i, j in places]
        if packing.correction == "canary":
            found = lanes_by_canary(packed, packing.lanes, [one & 3 for one in wanted])
        else:
            found = lanes_by_sign(packed, packing.lanes)
        for one, other in zip(found, wanted, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("mode", PACKED, ids=name_of)
def test_without_correction_lanes_are_wrong(mode: Mode) -> None:
    packing = mode.packing
    assert packing is not None
    wide, narrow = [-np.ones(1, np.int64)] * len(packing.a_offsets), [np.ones(1, np.int64)] * len(packing.b_offsets)
    packed = word(wide, packing.a_offsets) * word(narrow, packing.b_offsets)
    assert (packed >> packing.lanes[1])[0] & 0xF != -1 & 0xF


@pytest.mark.parametrize("mode", [mode for mode in PACKED if mode.packing and mode.packing.correction == "sign"],
                         ids=name_of)  # fmt: skip
def test_lanes_hold_as_many_products_as_is_said_and_no_more(mode: Mode) -> None:
    packing, most = mode.packing, mode.lane_products
    assert packing is not None
    assert most is not None
    wide = [np.full(1, -(1 << mode.a_bits - 1))] * len(packing.a_offsets)
    narrow = [np.full(1, -(1 << mode.b_bits - 1))] * len(packing.b_offsets)
    packed, one = word(wide, packing.a_offsets) * word(narrow, packing.b_offsets), wide[0] * narrow[0]
    for count, right in ((most, True), (most + 1, False)):
        found = lanes_by_sign(count * packed, packing.lanes)
        assert (found[0] == count * one).all() == right


def test_int8_lanes_hold_the_seven_products_of_the_source() -> None:
    assert BY_NAME["dsp48e2", "int8_x2"].lane_products == 7  # WP486: about 7 products accumulate


def test_lanes_are_the_widest_that_the_ports_take() -> None:
    lowest = -128
    assert fits(np.array([(lowest << 18) + lowest]), 27)
    assert not fits(np.array([(lowest << 19) + lowest]), 27)
    assert fits(np.array([(-8 << 22) - 8]), 27)
    assert not fits(np.array([(-8 << 24) - 8]), 27)


def test_narrow_lanes_overflow_their_port_with_the_lowest_code() -> None:
    packing = BY_NAME["dsp48e1", "int4_x4"].packing
    assert packing is not None
    assert packing.narrow
    assert not fits(word([np.full(1, -8)] * 4, packing.a_offsets), PORTS["dsp48e1"][0])


@pytest.mark.parametrize(("shared", "full", "name"), [
    ("a", "", "int4_x4"), ("w", "", "int4_x4"), ("a", "w", "plain"), ("w", "w", "int4_x4"), ("wa", "w", "int4_x4"),
    ("wa", "wa", "plain"), ("", "", "plain"),
])  # fmt: skip
def test_the_packed_operand_must_be_narrow_where_lanes_are(shared: str, full: str, name: str) -> None:
    asked = frozenset(shared), frozenset(full)
    mode = best_mode("dsp48e1", 4, 4, asked[0], full=asked[1])
    assert mode is not None
    assert mode.name == name
    refused = refused_modes("dsp48e1", 4, 4, asked[0], full=asked[1])
    assert bool(refused) == (name == "plain")
    if shared and refused:
        assert "needs packed operands without -8" in refused[0]


@pytest.mark.parametrize(("fmt", "dsp"), [("int4", 0.25), ("int4_full", 1)])
def test_a_pe_of_all_codes_does_not_pack_where_lanes_are_narrow(fmt: str, dsp: float) -> None:
    one = pe_on_fabric(make_pe({"family": "int_mac", "format": fmt}), load_device("pynq_z2"), "always", frozenset("a"))
    assert float(one.dsp) == dsp


def taken(dataflow: str, row: int, col: int, step: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the indices of the weight (k, n) and the activation (m, k) that a PE multiplies in a step of its own.

    Weight-stationary: K on rows, N on columns, M streams; input-stationary: K on rows, M on columns, N streams; sums
    in PEs: M on rows, N on columns, K streams.
    """
    m, n, k = {
        "weight_stationary": (step, col, row), "input_stationary": (col, step, row),
        "output_stationary": (row, col, step), "broadcast": (row, col, step),
    }[dataflow]  # fmt: skip
    return (k, n), (m, k)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary", "output_stationary", "broadcast"])
def test_what_neighbours_share_is_what_they_multiply(dataflow: str) -> None:
    pairs = [((0, 0), (0, 1)), ((0, 0), (1, 0))]
    really = set()
    for one, other in pairs:
        for operand, key in ((0, "w"), (1, "a")):
            if all(taken(dataflow, *one, step)[operand] == taken(dataflow, *other, step)[operand] for step in range(5)):
                really.add(key)
    said = sharing(get_dataflow(dataflow).stationary) & {"w", "a"}
    assert said == really
    # Two weights x two activations in a block: four neighbours with two of each operand.
    square = [taken(dataflow, row, col, 0) for row in (0, 1) for col in (0, 1)]
    both = {len({pair[operand] for pair in square}) for operand in (0, 1)} == {2}
    assert BY_NAME["dsp48e2", "int4_x4"].legal(said) == both
    assert BY_NAME["dsp48e2", "int8_x2"].legal(said)


@pytest.mark.parametrize(("dataflow", "name"), [
    ("weight_stationary", "int4_lanes"), ("input_stationary", "int4_lanes"), ("output_stationary", "int4_x4"),
])  # fmt: skip
def test_runs_pack_int4_by_what_their_dataflow_shares(dataflow: str, name: str) -> None:
    machine = small("int4", technology="zcu104", array=array(dataflow), target={"dsp": "always"})
    placement: Any = machine.accelerator.placement  # type: ignore[attr-defined]
    one = placement.array.kinds["always"]
    assert [mode.name for mode in one.modes] == [name]
    assert placement.array.used["dsp"] == 16 / 4
    assert any(f"DSP mode {name}" in note for note in mode_notes(placement.array, dataflow))


def test_nothing_is_packed_where_nothing_is_shared() -> None:
    for primitive, bits in product(PORTS, (4, 8)):
        mode = best_mode(primitive, bits, bits)
        assert mode is not None
        assert mode.macs == 1


def test_sums_in_a_block_need_products_of_one_sum() -> None:
    dot = next(mode for mode in dsp_modes("dsp58") if mode.name == "int8_dot3")
    assert dot.legal(frozenset({"sum"}))
    assert not dot.legal(frozenset({"w", "a"}))
    # Nothing is packed: three products of 9 x 8 bits and their sum fit the accumulator for any number of codes.
    assert 3 * (1 << 8) * (1 << 7) < 1 << 57


def test_floats_go_to_a_block_only_where_it_has_a_float_mode() -> None:
    assert best_mode("dsp58", 32, 32, arithmetic="float") is not None
    assert best_mode("dsp48e2", 32, 32, arithmetic="float") is None
