"""Choices of the vector unit: softmax algorithms, I-ViT, exp programs; traffic, cycles, energy, refusals."""

from __future__ import annotations

import json
from math import ceil

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.cli.schema import schema_text
from hwsim.hardware.functions import integer_operations, softmax_traffic
from hwsim.hardware.functions.integer import SOFTMAX
from hwsim.hardware.technology.operations import operation_counts
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.vector_ops import vector_kind
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Gemm, Trace, VectorOp
from tests.support.small import small

ALONE = [name for name in SOFTMAX if name != "fused"]
I_VIT = {"arithmetic": "i_vit", "format": "int32"}


def machine(**unit):
    return small(vector_unit={"lanes": 4, **unit})


def wide(**unit):
    """Lanes enough that DRAM is the limit of everything."""
    return machine(lanes=65_536, **unit)


def row(of, op, m=8, n=16, **more):
    return evaluate(of, Trace("t", (VectorOp("v", op, m, n, **more),), {})).layer_rows[0]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("fmt", ["int8", "fp16"])
def test_traffic_of_softmax_per_element(name, fmt):
    # rows of 8192 elements do not fit into half a buffer of 8 KiB: every pass goes to DRAM
    traffic, bits = softmax_traffic(name), {"int8": 1, "fp16": 2}[fmt]
    found = row(machine(softmax=name), "softmax", m=3, n=8192, a_format=fmt, o_format=fmt)
    assert found["dram_read_bytes"] == 3 * 8192 * traffic.reads * bits
    assert found["dram_write_bytes"] == 3 * 8192 * traffic.writes * bits


@pytest.mark.parametrize("name", ALONE)
def test_a_row_that_fits_passes_dram_once_and_the_buffer_as_often_as_it_is_read(name):
    traffic, elements = softmax_traffic(name), 64 * 1024
    found = row(machine(softmax=name), "softmax", m=64, n=1024)
    assert (found["dram_read_bytes"], found["dram_write_bytes"]) == (elements, elements)
    assert found["sram_read_bytes"] == elements * (traffic.reads + 1)
    assert found["sram_write_bytes"] == elements * (traffic.writes + 1)


@given(st.integers(1, 40), st.integers(4097, 60_000), st.sampled_from([4, 64, 1024, 65_536]))
@settings(max_examples=40, deadline=None)
def test_two_passes_are_never_more_than_four_thirds_as_fast_as_three(m, n, lanes):
    two, three = (
        row(machine(lanes=lanes, softmax=name), "softmax", m=m, n=n)["cycles"] for name in ("two_pass", "three_pass")
    )
    assert three <= ceil(two * 4 / 3)  # whole cycles: the bound itself is of bits


def attention(of, m=6, keys=300, head=8, heads=2):
    shared = {"batch": heads, "a_format": "fp16", "o_format": "fp16"}
    ops = (
        VectorOp("soft", "softmax", m, keys, **shared),
        Gemm("value", m, head, keys, w_format="fp16", w_source="kv", role="value", **shared),
    )
    return evaluate(of, Trace("t", ops, {})).layer_rows


@pytest.mark.parametrize(("block", "blocks"), [(128, 3), (100, 3), (300, 1), (1, 300)])
def test_a_fused_softmax_is_one_pass_and_completed_behind_the_product(block, blocks):
    of = small("fp16", vector_unit={"lanes": 1, "softmax": "fused", "softmax_block": block})
    rows = {r["layer"]: r for r in attention(of)}
    names = ["soft", "value", *(["soft.rescale"] if blocks > 1 else []), "soft.normalize"]
    assert list(rows) == names
    fmt, kind = of.accelerator.vector_format, vector_kind("softmax_fused")
    slots, once = (
        sum(n * sum(operation_counts(p, fmt).values()) for p, n in program) for program in (kind.primitives, kind.row)
    )
    assert rows["soft"]["compute_cycles"] == 12 * (300 * slots + blocks * once)
    assert rows["soft"]["sram_read_bytes"] == rows["soft"]["sram_write_bytes"] == 12 * 300 * 2
    div = sum(operation_counts("div", fmt).values())
    assert rows["soft.normalize"]["compute_cycles"] == 12 * (8 + div)
    if blocks > 1:
        assert rows["soft.rescale"]["compute_cycles"] == 12 * 8 * (blocks - 1)
    plain = {r["layer"]: r for r in attention(small("fp16", vector_unit={"lanes": 1}))}
    assert plain["value"] == rows["value"]


@pytest.mark.parametrize("last", [(), (VectorOp("x", "add", 8, 16),), (Gemm("g", 8, 4, 17),)])
def test_a_fused_softmax_needs_its_product(last):
    trace = Trace("t", (VectorOp("soft", "softmax", 8, 16), *last), {})
    with pytest.raises(UsageError, match="'soft': vector_unit.softmax: fused needs the product"):
        evaluate(machine(softmax="fused"), trace)


def test_two_passes_reach_four_thirds_where_dram_is_the_limit():
    found = {name: row(wide(softmax=name), "softmax", m=500, n=60_000) for name in ("two_pass", "three_pass")}
    assert all(r["bound"] == "dram" for r in found.values())
    assert found["three_pass"]["cycles"] / found["two_pass"]["cycles"] == pytest.approx(4 / 3, rel=1e-6)  # whole cycles
    moved = [r["dram_read_bytes"] + r["dram_write_bytes"] for r in found.values()]
    assert moved[1] * 3 == moved[0] * 4


@pytest.mark.parametrize("name", ALONE)
def test_an_op_that_names_its_algorithm_is_that_of_the_choice(name):
    named = row(machine(), SOFTMAX[name], m=5, n=77)
    chosen = row(machine(softmax=name), "softmax", m=5, n=77)
    same = {"cycles", "energy_pj", "energy_vector_pj", "dram_read_bytes", "sram_read_bytes", "sram_write_bytes"}
    assert {k: named[k] for k in same} == {k: chosen[k] for k in same}
    if name != "held":  # which is the open name, softmax
        assert row(machine(softmax="online"), SOFTMAX[name], m=5, n=77)["cycles"] == named["cycles"]


@pytest.mark.parametrize("op", ["softmax", "rmsnorm", "layernorm", "softmax_online", "normalize"])
def test_what_a_row_does_once_is_counted_once_per_row(op):
    of = small(vector_unit={"lanes": 1})
    kind, fmt = vector_kind(op), of.accelerator.vector_format
    slots, once = (
        sum(count * sum(operation_counts(p, fmt).values()) for p, count in program)
        for program in (kind.primitives, kind.row)
    )
    energy = [
        sum(count * of.accelerator.technology.op_energy_pj(p, fmt) for p, count in program)
        for program in (kind.primitives, kind.row)
    ]
    for m, n in ((1, 96), (96, 1), (8, 12)):
        found = row(of, op, m=m, n=n)
        assert found["compute_cycles"] == 96 * slots + m * once
        clock_pj = found["compute_cycles"] * of.accelerator.vector_lane.clock_fj * 1e-3
        assert found["energy_vector_pj"] == pytest.approx(96 * energy[0] + m * energy[1] + clock_pj)


def test_a_reciprocal_root_has_its_unit():
    plain, unit = (
        row(of, "rmsnorm")["compute_cycles"] for of in (machine(), machine(functions={"rsqrt": "piecewise"}))
    )
    root = sum(operation_counts("rsqrt", machine().accelerator.vector_format).values())
    assert plain - unit == 8 * (root - 1) // 4


@pytest.mark.parametrize(("fmt", "m", "n", "scales", "each"), [
    ("int8", 6, 64, 6, "div"), ("int4_g32", 6, 64, 12, "div"), ("mxfp8_e4m3", 6, 80, 18, "add"), ("nvfp4", 6, 64, 24, "div"),
])  # fmt: skip
def test_quantize_finds_a_factor_per_scale(fmt, m, n, scales, each):
    of = small(vector_unit={"lanes": 1})
    once = sum(operation_counts(each, of.accelerator.vector_format).values())
    assert row(of, "quantize", m=m, n=n, o_format=fmt)["compute_cycles"] == 3 * m * n + scales * once


@pytest.mark.parametrize(
    ("op", "whole"), [("softmax", "shiftmax"), ("gelu", "shiftgelu"), ("layernorm", "i_layernorm")]
)
def test_i_vit_computes_with_whole_numbers(op, whole):
    of = small(vector_unit={"lanes": 1, **I_VIT})
    fmt = of.accelerator.vector_format
    slots, energy = {}, {}
    for per in ("element", "row"):
        counts = integer_operations(whole, per)
        done = {"idiv" if key == "div" else key: count for key, count in counts.items()}
        slots[per] = sum(count * (32 if key == "idiv" else 1) for key, count in done.items())
        energy[per] = sum(count * of.accelerator.technology.op_energy_pj(key, fmt) for key, count in done.items())
    for name in (op, whole):
        found = row(of, name, m=7, n=30)
        assert found["compute_cycles"] == 210 * slots["element"] + 7 * slots["row"]
        clock_pj = found["compute_cycles"] * of.accelerator.vector_lane.clock_fj * 1e-3
        assert found["energy_vector_pj"] == pytest.approx(210 * energy["element"] + 7 * energy["row"] + clock_pj)


def test_i_vit_has_a_shifter_per_lane():
    plain, whole = (machine(format="int32", **unit).accelerator for unit in ({}, {"arithmetic": "i_vit"}))
    shifter = plain.technology.datapath("shift", plain.vector_format)
    assert whole.vector_lane.area_um2 - plain.vector_lane.area_um2 == pytest.approx(shifter.area_um2)
    assert whole.leakage_w > plain.leakage_w


def test_a_program_for_exp():
    of = [small(vector_unit={"lanes": 1, "exp": exp}) for exp in ("polynomial", "rational")]
    fmt = of[0].accelerator.vector_format
    polynomial, rational = (sum(operation_counts(name, fmt).values()) for name in ("exp", "exp_rational"))
    cycles = [row(each, "softmax")["compute_cycles"] for each in of]
    assert cycles[1] - cycles[0] == 128 * (rational - polynomial)


def test_results_of_elementwise_operations_are_as_before():
    # 4 lanes, fp32: no row work, no choice
    for op, slots in (
        ("add", 1),
        ("rope", 3),
        ("transpose", 1),
        ("hadamard", 4),
        ("hadamard_32", 5),
        ("hadamard_full", 4),
    ):
        assert row(machine(), op)["compute_cycles"] == 128 * slots // 4


@pytest.mark.parametrize(("unit", "said"), [
    ({"softmax": "two_pas"}, "two_pass"), ({"arithmetic": "i_vit"}, "i_vit needs integers of 32 bits"),
    ({"arithmetic": "i_vit", "format": "int16"}, "format: int32"), ({**I_VIT, "softmax": "online"}, "Shiftmax"),
    ({**I_VIT, "functions": {"gelu": "table"}}, "ShiftGELU"), ({"softmax": "two_pass", "format": "int32"}, "exponents"),
    ({**I_VIT, "softmax": "fused"}, "Shiftmax"), ({"softmax_block": 0}, "softmax_block"),
    ({"exp": "rational", "functions": {"exp": "table"}}, "functions.exp has a unit"), ({"exp": "cordic"}, "rational"),
])  # fmt: skip
def test_choices_that_do_not_fit_are_refused(unit, said):
    with pytest.raises(SpecError, match=said):
        machine(**unit)


@pytest.mark.parametrize(("unit", "op", "n", "said"), [
    ({}, "shiftmax", 16, "arithmetic: i_vit"), ({"format": "int32"}, "i_layernorm", 16, "arithmetic: i_vit"),
    ({"format": "int32"}, "softmax_two_pass", 16, "format: fp32"), ({}, "hadamard_full", 24, "power of two"),
])  # fmt: skip
def test_operations_that_lanes_cannot_do_are_refused(unit, op, n, said):
    with pytest.raises(UsageError, match=said):
        row(machine(**unit), op, n=n)


def test_the_schema_knows_the_choices():
    schema = json.loads(schema_text("arch"))["$defs"]["VectorUnitSpec"]
    for good in ({"softmax": "three_pass"}, {"exp": "rational"}, I_VIT):
        jsonschema.validate(good, schema)
    for bad in ({"softmax": "four_pass"}, {"exp": "table"}, {"arithmetic": "float"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_files_are_refused_at_their_line_and_explained(capsys, tmp_path):
    assert run_command(["explain", "arch", "edge_16x16_45nm", "--set", "vector_unit.softmax=two_pass"]) == 0
    out = capsys.readouterr().out
    assert "softmax: two_pass" in out
    assert "3 shift, 2 exp" in out
    assert "div = 8 mul, 7 add; exp = 8 mul, 8 add; rsqrt = 14 mul, 5 add" in out
    chosen = ["--set", "vector_unit.functions={rsqrt: table}", "--set", "vector_unit.exp=rational"]
    assert run_command(["explain", "arch", "edge_16x16_45nm", *chosen]) == 0
    assert "exp = 14 mul, 14 add; rsqrt = a unit (table)" in capsys.readouterr().out
    from hwsim.spec.data import find_example

    text = find_example("arch_configs", "edge_16x16_45nm").read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(text) if line.startswith("vector_unit"))
    text[at] = "vector_unit: {lanes: 8, arithmetic: i_vit}"
    path = tmp_path / "a.yaml"
    path.write_text("\n".join(text), encoding="utf-8")
    assert run_command(["validate", str(path)]) == 2
    assert f"a.yaml:{at + 1}:37: vector_unit.arithmetic: i_vit needs integers" in capsys.readouterr().err
