"""Stored formats before the array: every format of a checkpoint runs by one setting, and what that costs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from hwsim.cli.main import run_command
from hwsim.formats import Minifloat, parse_format
from hwsim.formats.block.ggml import LATTICES, ggml_types, parse
from hwsim.hardware.accelerator_build import array_pe
from hwsim.hardware.circuits import Multiplier, Rom
from hwsim.hardware.decoders import codebook_significand, decoder_parts
from hwsim.hardware.pe import make_pe
from hwsim.hardware.pe.converted import Decoded, decoded_as, whole_code
from hwsim.hardware.pe.datapaths import dequantizer
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import find_example
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Gemm, Trace, load_workload
from tests.support.checkpoints import write_gguf
from tests.support.small import array, small

FLOATS = "systolic_32x32_28nm"
GGML = [kind.format for kind in ggml_types().values() if kind.format]
LATTICE = [name for name in GGML if (fmt := parse(name)) is not None and fmt.lattice]

#: Weights and activations as the methods of ``quantization_config`` give them.
METHODS = [
    *[(f"int{bits}_asym_g128_z{bits}", "") for bits in (2, 3, 4)],  # GPTQ, AWQ
    ("int8_asym_g128", ""), ("int8_channel", "int8"), ("int4_g128", ""), ("fp8_e4m3_channel", "fp8_e4m3"),
    ("fp8_e4m3_tensor_fp32", "fp8_e4m3"), ("nvfp4", "nvfp4"), ("mxfp4", ""), ("int4_g128_fp32", ""),
    ("fp8_e4m3_t128x128_fp32", "fp8_e4m3_g128_fp32"), ("fp8_e4m3_t128x128", ""), ("int8_tensor", "int8"),
    ("ternary_tensor", "int8"), ("nf4_g64_fp32", ""), ("nf4_g64_dq8", ""), ("bnb_fp4_g64_fp32", ""),
    ("bnb_fp4_g64_dq8", ""), ("int8_channel_fp32", "llm_int8"),
]  # fmt: skip


def asked(message: str) -> dict[str, object]:
    """Return the settings that a message names."""
    found = re.findall(r"--set '(dequantize\.\w+)=(\[[^\]]*\])'", message.replace("\n", " "))
    return {key: yaml.safe_load(value) for key, value in found}


def run(trace: Trace, arch: str = FLOATS):
    """Return the row of a GEMM, with the settings that the error asks for if there is one."""
    path = find_example("arch_configs", arch)
    try:
        return evaluate(open_arch(path), trace).layer_rows[0], {}
    except UsageError as error:
        settings = asked(str(error))
    return evaluate(open_arch(path, settings), trace).layer_rows[0], settings


def gemm(w: str, a: str = "", m: int = 4, n: int = 64, k: int = 512) -> Trace:
    return Trace("t", (Gemm("g", m=m, n=n, k=k, w_format=w, a_format=a),), {})


@pytest.mark.parametrize(
    ("w", "a"), [(w, "") for w in dict.fromkeys(GGML) if w not in LATTICE] + METHODS, ids=lambda one: one or "open"
)
def test_every_format_of_a_checkpoint_runs_by_what_the_error_says(w, a):
    row, settings = run(gemm(w, a))
    fmt = parse_format(w)
    assert row["w_format"] == fmt.name
    assert row["dram_read_bytes"] >= 512 * 64 * fmt.bits_per_element / 8
    named = [name for names in settings.values() for name in names]
    assert set(named) <= {w, a, "fp16"}
    assert bool(named) == (w not in ("fp16", "fp8_e4m3_channel", "fp8_e4m3_tensor_fp32"))


@pytest.mark.parametrize("w", LATTICE)
def test_lattices_are_refused_by_name(w):
    assert parse_format(w).element.name in LATTICES
    with pytest.raises(UsageError, match=f"{w} is looked up in a lattice") as caught:
        evaluate(open_arch(find_example("arch_configs", FLOATS)), gemm(w))
    assert not asked(str(caught.value))
    with pytest.raises(UsageError, match=f"dequantize.weights: {w} is looked up in a lattice"):
        small("fp16", dequantize={"weights": [w]})


@pytest.mark.parametrize("w", ["q4_k", "q6_k", "q2_k", "q3_k", "q4_1", "int8_g32", "iq4nl_g32", "tq1_0", "binary_g128"])
def test_integers_take_k_quants_too(w):
    """Sums of sub-blocks are scaled; codebooks of whole numbers are looked up first."""
    row, settings = run(gemm(w), "edge_16x16_45nm")
    assert settings == {"dequantize.weights": [w]}
    assert row["macs"] == 4 * 64 * 512


@pytest.mark.parametrize("w", ["iq4nl_g32", "iq4_xs", "q4_k", "tq1_0"])
def test_tables_of_activations_take_decoded_weights(w):
    assert run(gemm(w), "lut_tensor_core_28nm")[1] == {"dequantize.weights": [w]}


def test_a_gguf_file_runs_on_a_shipped_architecture(tmp_path, capsys):
    """Q4_K_M as llama.cpp mixes it, by its own writer: the error names the setting, and that runs."""
    path = tmp_path / "model.gguf"

    def kind(name, layer):
        if name in ("attn_v", "ffn_down") and layer in (0, 3):
            return "Q6_K"
        return "Q6_K" if name == "output" else "Q4_K"

    write_gguf(path, kind)
    line = ["run", FLOATS, str(path), "--seq-len", "16"]
    assert run_command(line) == 2
    settings = asked(capsys.readouterr().err)
    assert settings == {"dequantize.weights": ["q4_k", "q6_k"]}
    assert run_command([*line, "--set", "dequantize.weights=[q4_k, q6_k]"]) == 0
    shown = capsys.readouterr().out
    assert "32 decoders from q4_k, q6_k to fp16" in shown
    assert "estimated" in shown
    rows = evaluate(open_arch(find_example("arch_configs", FLOATS), settings), load_workload(path, seq_len=16)).frame
    assert set(rows[rows.op == "gemm"].w_format) == {"q4_k", "q6_k", "fp16"}


def test_what_is_stored_crosses_dram_and_what_is_decoded_the_array():
    def row(w, **more):
        machine = small("fp16", **more)
        return evaluate(machine, gemm(w, m=8, n=8, k=256)).layer_rows[0], machine

    (plain, _), (stored, machine) = row("fp16"), row("q4_k", dequantize={"weights": ["q4_k"]})
    bits = parse_format("q4_k").bits_per_element
    assert plain["dram_read_bytes"] - stored["dram_read_bytes"] == 8 * 256 * (16 - bits) / 8
    acc, (w, a) = machine.accelerator, (parse_format("q4_k"), parse_format("fp16"))
    unit = machine.unit_costs(w, a)
    decoded = acc.decoders["w"]
    assert unit.decode_pj_per_bit == {"w": pytest.approx(decoded.prices[0].energy_fj * 1e-3 / float(bits))}
    elements = 8 * 256  # 8 rows of activations: every weight passes once
    extra = stored["energy_pe_pj"] - plain["energy_pe_pj"]
    assert extra == pytest.approx(elements * decoded.element_pj(w), rel=1e-9)
    twin = small("fp16").unit_costs(a, a)
    assert unit.wire_pj_per_step == pytest.approx(twin.wire_pj_per_step, rel=0.1)  # decoders leave the PE's pitch
    assert unit.shift_pj_per_bit["w"] == pytest.approx(twin.shift_pj_per_bit["w"] * 16 / float(bits))
    assert acc.area_mm2 - small("fp16").accelerator.area_mm2 == pytest.approx(decoded.area_um2 * 1e-6)
    assert decoded.count == 4  # a weight per column and cycle


def test_decoders_of_a_format_that_does_not_come_are_gated():
    machine = small("fp16", dequantize={"weights": ["q4_k", "q6_k"]}).accelerator
    fp16, q4_k = parse_format("fp16"), parse_format("q4_k")
    idle, busy = machine.array_clock_pj(fp16, fp16), machine.array_clock_pj(q4_k, fp16)
    assert busy - idle == pytest.approx(machine.decoders["w"].clock_pj(q4_k))
    assert idle == small("fp16").accelerator.array_clock_pj(fp16, fp16)


def test_one_decoder_of_several_formats_is_larger_than_any_and_smaller_than_all():
    def area(*names):
        return small("fp16", dequantize={"weights": list(names)}).accelerator.decoders["w"].area_um2

    names = ("q4_k", "q6_k", "nf4_g64")
    alone = [area(name) for name in names]
    assert max(alone) <= area(*names) < sum(alone)


def test_parts_are_those_of_the_format():
    fp16 = parse_format("fp16")

    def circuits(name, kind):
        return [(p.role, p.circuit, p.count, p.activity) for p in decoder_parts(parse_format(name), fp16)
                if isinstance(p.circuit, kind)]  # fmt: skip

    # d · s and dmin · m once per 32, then 4 bits times 11 + 6.
    assert circuits("q4_k", Multiplier) == [
        ("share of scale", Multiplier(11, 6), 2, 1 / 32), ("scale multiplier", Multiplier(4, 17), 1.0, 1.0),
    ]  # fmt: skip
    assert circuits("q6_k", Multiplier)[0] == ("share of scale", Multiplier(11, 8), 1, 1 / 16)
    assert circuits("mxfp4", Multiplier) == []  # powers of two are exponents
    assert circuits("nf4_g64", Rom) == [("levels", Rom(16, 16), 1.0, 1.0)]
    assert circuits("iq4_xs", Rom)[0][1].words == 16
    assert {p.role for p in decoder_parts(parse_format("q4_k"), fp16)} > {"align", "add or subtract"}  # the minimum
    assert "add or subtract" not in {p.role for p in decoder_parts(parse_format("q6_k"), fp16)}
    assert "zero point subtraction" in {p.role for p in decoder_parts(parse_format("int4_asym_g128_z4"), fp16)}


@pytest.mark.parametrize(("name", "bits"), [("iq4nl", 7), ("ternary", 1), ("bnb_fp4", 2), ("nf4", 11)])
def test_levels_need_the_bits_that_their_values_have(name, bits):
    """127 = 1111111, 12 = 11 · 4, 1; NF4's levels are no short binary fractions and fill FP16's significand."""
    to = parse_format("fp16").element
    assert isinstance(to, Minifloat)
    assert codebook_significand(parse_format(name), to) == bits


def test_shares_and_minima_of_super_blocks_are_in_their_dequantizer():
    int8 = parse_format("int8")

    def roles(name):
        return [part.role for part in dequantizer(parse_format(name), int8, 32)]

    assert "share of scale" in roles("q4_k")
    assert "minimum multiplier" in roles("q4_k")
    assert "zero point" not in roles("q4_k")
    assert "share of scale" in roles("q6_k")
    assert not [role for role in roles("q6_k") if "minimum" in role]
    assert not [role for role in roles("int8_g32") if "share" in role]


def test_the_largest_dequantizer_serves_all_of_its_formats():
    def price(*names):
        return small("int8", dequantize={"weights": list(names)}).accelerator

    one, other, both = price("int8_g32"), price("q4_k"), price("int8_g32", "q4_k")
    assert other.dequant_price.area_um2 > one.dequant_price.area_um2
    assert both.dequant_price.area_um2 == other.dequant_price.area_um2
    fine, coarse = (
        small("int8", array=array("output_stationary"), dequantize={"weights": names}).accelerator.dequantizers
        for names in (["q6_k", "q8_k"], ["q8_k"])
    )
    assert fine >= coarse


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "broadcast"])
@pytest.mark.parametrize("engine", ["pe", "event"])
def test_engines_agree_on_decoded_operands(dataflow, engine):
    machine = small("fp16", array=array(dataflow), dequantize={"weights": ["q4_k", "nf4_g64"], "activations": ["int8"]})
    trace = Trace(
        "t",
        (
            Gemm("one", m=5, n=6, k=40, w_format="q4_k"),
            Gemm("two", m=5, n=6, k=40, w_format="nf4_g64", a_format="int8"),
            Gemm("three", m=5, n=6, k=40),
        ),
        {},
    )
    fast, slow = (evaluate(machine, trace, name).layer_rows for name in ("fast", engine))
    assert [row["cycles"] for row in fast] == [row["cycles"] for row in slow]
    assert [row["energy_pj"] for row in fast] == [row["energy_pj"] for row in slow]


def test_only_what_a_pe_does_not_take_is_decoded():
    fp16, int8, q4_k = (parse_format(name) for name in ("fp16", "int8", "q4_k"))
    pe = small("fp16", dequantize={"weights": ["q4_k"], "activations": ["int8"]}).accelerator.pe
    assert isinstance(pe, Decoded)
    assert pe.arriving(fp16, fp16) == (fp16, fp16)
    assert pe.arriving(q4_k, fp16) == (fp16, fp16)
    assert pe.arriving(q4_k, int8) == (fp16, fp16)
    assert pe.arriving(fp16, int8) == (fp16, fp16)
    assert pe.supports(parse_format("q6_k"), fp16) is not None


def test_a_table_of_whole_numbers_multiplies_as_the_levels_do():
    """IQ4_NL on an integer MAC: the sum of a group is that of the levels, exactly."""
    w, a = parse_format("iq4nl_g32"), parse_format("int8")
    pe = Decoded(*(parse_format("int8"),) * 2, 1, make_pe({"family": "int_mac", "format": "int8"}), True, False,
                 decoded_w=(w,))  # fmt: skip
    rng = np.random.default_rng(0)
    w_codes, a_codes = (rng.integers(0, size, 32).astype(np.uint32) for size in (16, 256))
    assert pe.dot(w_codes, a_codes, w, a) == int(w.element.decode(w_codes) @ a.element.decode(a_codes))
    assert whole_code(w.element).bits == 8
    assert whole_code(parse_format("ternary")).bits == 2
    assert whole_code(parse_format("nf4")) is None
    assert pe.scaling(w, a) == "sum"


def test_what_has_no_effect_or_no_hardware_is_refused(tmp_path):
    with pytest.raises(UsageError, match="int4 needs no dequantizer: pe int_mac takes it as it is"):
        small("int8", dequantize={"weights": ["int4"]})
    with pytest.raises(UsageError, match="fp16 cannot become the int8 that pe int_mac multiplies"):
        small("int8", dequantize={"weights": ["fp16"]})
    with pytest.raises(UsageError, match=r"a multi takes what its modes take; give it a mode for q4_k"):
        small("fp16+int8", dequantize={"weights": ["q4_k"], "activations": ["bf16"]})
    levels = find_example("arch_configs", "tpu_like_three_level")
    with pytest.raises(SpecError, match="dequantize: is modelled with three buffers"):
        open_arch(levels, {"dequantize.weights": ["int4_g128"]})
    with pytest.raises(UsageError, match="are modelled with three buffers"):
        evaluate(open_arch(levels), gemm("q4_k"))
    board = {"technology": "zcu104", "clock": "200 MHz", "pe": {"family": "float_mac", "format": "fp16"}}
    with pytest.raises(UsageError, match="decoders .* are not modelled on zcu104"):
        small(**board, dequantize={"weights": ["q4_k"]})


def test_named_formats_are_kept_when_more_are_needed():
    path = find_example("arch_configs", FLOATS)
    with pytest.raises(UsageError) as caught:
        evaluate(open_arch(path, {"dequantize.weights": ["q4_k"]}), gemm("q6_k", "int8"))
    assert asked(str(caught.value)) == {"dequantize.weights": ["q4_k", "q6_k"], "dequantize.activations": ["int8"]}


def test_without_formats_of_others_the_pe_is_as_it_was():
    spec = small("int8", dequantize={"weights": ["int4_g128"]}).spec
    assert not isinstance(array_pe(spec), Decoded)
    assert decoded_as(parse_format("fp16"), parse_format("mxfp4")) == ()
