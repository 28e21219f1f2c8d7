"""``run``, ``compare-formats``, ``explain``, ``trace`` on small workloads: tables, files, exit codes."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from hwsim.cli.main import run_command
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.evaluate import DESIGN_COLUMNS, LAYER_COLUMNS

TRACE = """layer,op,m,n,k,batch,repeat,w_format,a_format,o_format
one,gemm,9,20,33,1,2,,,
two,gemm,1,16,24,2,1,,,
norm,rmsnorm,9,20,,1,1,,,
"""


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return str(path)


def run_csv(capsys, *arguments):
    assert run_command([*arguments, "--format", "csv"]) == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out))


def test_run_writes_both_tables(trace, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(["run", "edge_16x16_45nm", trace, "-o", str(out)]) == 0
    layers, designs = pd.read_csv(out / "layers.csv"), pd.read_csv(out / "designs.csv")
    assert list(layers.columns) == list(LAYER_COLUMNS)
    assert list(designs.columns) == ["design_id", "workload", *DESIGN_COLUMNS]
    assert (layers["energy_pj"] == layers[list(ENERGY_PARTS)].sum(axis=1)).all()  # exactly
    shown = capsys.readouterr().out
    assert "absolute pJ to about 2×" in shown


@pytest.mark.parametrize("arch", ["edge_16x16_45nm", "systolic_32x32_28nm", "bitmod_28nm"])
def test_the_pe_engine_takes_the_same_cycles(arch, trace, capsys):
    settings = ["--set", "array.rows=4", "--set", "array.cols=4"]
    fast = run_csv(capsys, "run", arch, trace, *settings)
    stepped = run_csv(capsys, "run", arch, trace, *settings, "--engine", "pe")
    assert fast["cycles"].tolist() == stepped["cycles"].tolist()
    assert fast["energy_pj"].tolist() == stepped["energy_pj"].tolist()


def test_settings_change_the_design(trace, capsys):
    small = run_csv(capsys, "run", "edge_16x16_45nm", trace, "--set", "array.rows=4")
    large = run_csv(capsys, "run", "edge_16x16_45nm", trace)
    assert small["cycles"].sum() != large["cycles"].sum()


def test_json_is_json(trace, capsys):
    assert run_command(["run", "edge_16x16_45nm", trace, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in rows] == ["one", "two", "norm"]


def test_compare_formats_prints_and_writes(trace, tmp_path, capsys):
    names = "fp16,bf16,fp8_e4m3,int8,int4_g128,mxfp4,nvfp4,lmul_e4m3,bitmod3_g128,bitmod4_g128"
    out = tmp_path / "out"
    assert run_command(["compare-formats", "systolic_32x32_28nm", trace, "--formats", names, "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["compare.csv", "compare.html", "compare.png", "compare.svg"]
    frame = pd.read_csv(out / "compare.csv")
    assert list(dict.fromkeys(frame["format"])) == names.split(",")
    assert (frame["energy_pj"] == frame[list(ENERGY_PARTS)].sum(axis=1)).all()  # exactly
    shown = capsys.readouterr().out
    assert "totals" in shown
    for name in [*names.split(","), "one", "two", "norm", "total"]:
        assert name in shown


def test_compare_formats_is_deterministic(trace, tmp_path):
    for folder in ("a", "b"):
        run_command(
            ["compare-formats", "edge_16x16_45nm", trace, "--formats", "int8,int4_g128", "-o", str(tmp_path / folder)]
        )
    for name in ("compare.csv", "compare.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("formats", "words"),
    [
        ("fp16,fp16", "twice"),
        ("fp16,mxfp5", "did you mean"),
        ("bitmod5_g128", "did you mean"),
        ("", "format"),
    ],
)
def test_wrong_formats(trace, tmp_path, capsys, formats, words):
    assert (
        run_command(["compare-formats", "edge_16x16_45nm", trace, "--formats", formats, "-o", str(tmp_path / "x")]) == 2
    )
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["technology", "45nm"], ["published figures and ours", "add int8 energy", "Horowitz", "wire_fj_per_bit_mm"]),
        (["technology", "28nm"], ["BitMoD", "float_mac fp16 area", "int_mac int8 delay"]),
        (["technology", "7nm"], ["Jouppi", "mul fp32 energy", "a library of its own"]),
        (
            ["technology", "65nm", "--set", "vdd=1.0V", "--set", "temperature=85degC"],
            ["scaling path", "45nm", "logic leakage", "at 1 V, 358.15 K", "against Stillmaker and Baas", "low_swing"],
        ),
        (["technology", "32nm"], ["geometric mean in log(node), 0.281 of the way", "no verified published figure"]),
        (["technology", "3nm"], ["TSMC N3 over N5", "TSMC N5 over N7", "no scaling equations at 3 nm"]),
        (["network", "mesh", "--set", "router_energy=0.1pJ/bit"], ["2.667", "router_energy", "CACTI"]),
        (["network", "torus", "--set", "router=park2012", "--technology", "45nm"], ["DAC 2012", "covers its link"]),
        (["network", "h_tree", "--set", "rows=8", "--set", "cols=8", "--set", "pitch=50um"], ["126", "repeaters"]),
        (["network", "chain"], ["a flip-flop of 28nm"]),
        (
            ["pe", "lmul", "--set", "format=bf16", "--set", "semantics=formula"],
            ["fraction adder", "saving", "whole PE"],
        ),
        (["pe", "bitmod4_g128"], ["dequantizer of group sums", "1-bit product", "4 stage(s)"]),
        (["pe", "int_mac"], ["int8", "accumulator adder"]),
        (["pe", "float_mac", "--technology", "7nm", "--clock", "500 MHz"], ["fp16", "0.5 GHz"]),
        (["format", "nvfp4"], ["E4M3 per block", "4.5", "1···"]),
        (["format", "bf16"], ["mantissa bits", "infinities"]),
        (["memory", "hbm2"], ["GB/s", "FGDRAM", "95.1% of the peak", "faw", "burst_bytes"]),
        (["memory", "lpddr5"], ["12.8", "refi", "no source gives the energy", "energy: 5 pJ/bit"]),
        (["memory", "ddr4_8gb_x8_2400", "--set", "access=random"], ["idd4r_ma", "activate_pj", "random, 64 B"]),
        (["memory", "sram", "--set", "size=64KiB", "--set", "banks=4"], ["4 bank", "CACTI"]),
        (
            ["memory", "sram", "--set", "size=8KiB", "--set", "temperature=85degC", "--set", "node=16"],
            ["other nodes", "leakage holds at 358.15 K", "extrapolated", "no rows at 16 nm hp"],
        ),
        (
            ["memory", "sram", "--set", "figures.area=1mm2", "--set", "figures.source=mine", "--set", "ecc=secded"],
            ["given by the user: mine", "models that could answer", "8 check bits", "interpolation"],
        ),
        (["memory", "register_file", "--set", "temperature=300K"], ["of SRAM of the same device"]),
        (["memory", "references"], ["Jouppi", "CACTI"]),
        (["arch", "bitmod_28nm"], ["dequantizers", "area by block", "DRAM read", "bus of weights", "on a bus across"]),
        (
            [
                "arch",
                "tpu_like_7nm",
                "--set",
                "technology.temperature=340K",
                "--set",
                "network={topology: h_tree, rows: 4, cols: 4}",
            ],
            ["340 K", "h_tree, 4 × 4 nodes", "slack_30, 115.4 fJ"],
        ),
    ],
)
def test_explain(arguments, words, capsys):
    assert run_command(["explain", *arguments]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words), shown


def test_kinds_of_hardware_scale_apart(capsys):
    assert run_command(["explain", "technology", "7nm", "--format", "json"]) == 0
    sections = json.loads(capsys.readouterr().out)
    rows = next(s["rows"] for s in sections if "kind by kind" in s["title"])
    published = {row["energy"].split(" (")[0]: row["published ratio"] for row in rows}
    # 0.2 to 0.07, 3.7 to 1.31, 10 to 7.5, 20 to 8.5, 100 to 14, 1300 to 1300 pJ.
    wanted = ["0.35", "0.354", "", "0.75", "0.425", "0.14", "", "1"]
    assert list(published.values()) == wanted
    for row in rows[:-1]:
        assert row["ratio"] == pytest.approx(row["here"] / row["at 45 nm"])
    assert run_command(["explain", "technology", "65nm", "--format", "json"]) == 0
    rows = next(s["rows"] for s in json.loads(capsys.readouterr().out) if "kind by kind" in s["title"])
    assert {row["published ratio"] for row in rows} == {""}


def test_every_published_row_at_a_node_has_its_deviation(capsys):
    from hwsim.hardware.references import reference_rows

    for name, node in (("45nm", "45"), ("28nm", "28"), ("7nm", "7")):
        assert run_command(["explain", "technology", name, "--format", "json"]) == 0
        section = json.loads(capsys.readouterr().out)[-1]
        assert len(section["rows"]) == sum(row["node_nm"] == node for row in reference_rows())
        for row in section["rows"]:
            assert row["modelled/published"] == pytest.approx(row["modelled"] / row["published"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pe", "flaot_mac"], "float_mac"),
        (["pe", "lmul", "--set", "format=int8"], "one float"),
        (["technology", "27nm"], "28nm"),
        (["technology", "28nm", "--set", "vdd=0.5V"], "valid: 0.72 to 1.08 V"),
        (["technology", "28nm", "--set", "vddd=0.9V"], "vdd"),
        (["technology", "28nm", "--set", "temperature=85"], "has no unit"),
        (["network", "mehs"], "mesh"),
        (["network", "mesh"], "router_energy"),
        (["arch", "systolic_32x32_28nm", "--set", "technology=130nm"], "no memory figures at 130 nm"),
        (["arch", "systolic_32x32_28nm", "--set", "technology.temperature=500K"], "298.15 to 380 K"),
        (["format", "mxfp44"], "mxfp4"),
        (["memory", "hbm22"], "hbm2"),
        (["memory", "lpddr5", "--set", "access=random"], "no source gives the energy"),
        (["memory", "hbm2", "--set", "address_map=rochraba"], "bg (bank group), co (column)"),
        (["memory", "sram", "--set", "wdith=3"], "width"),
        (["memory", "sram", "--set", "device=edram"], "embedded DRAM"),
        (["memory", "sram", "--set", "temperature=400K"], "298.15 to 380 K"),
        (["memory", "sram", "--set", "ports=2rw"], "1r1w"),
        (["memory", "sram", "--set", "figures.area=1mm2"], "source"),
        (["arch", "bitmod"], "bitmod_28nm"),
        (["pe", "float_mac", "--clock", "1 kg"], "GHz"),
        (["pe", "float_mac", "--clock", "1 THz"], "faster than one register"),
    ],
)
def test_explain_of_what_there_is_not(arguments, words, capsys):
    assert run_command(["explain", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_trace_round_trips(tmp_path, capsys):
    path = tmp_path / "t.csv"
    assert run_command(["trace", "vit-base-16", "-o", str(path)]) == 0
    again = tmp_path / "u.csv"
    assert run_command(["trace", str(path), "-o", str(again)]) == 0
    assert path.read_bytes() == again.read_bytes()
    assert run_command(["trace", "bert-base", "--summary"]) == 0
    assert "macs" in capsys.readouterr().out


def test_formats_beside_one_another(tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(["formats", "compare", "e4m3fn", "int4_g128", "--distribution", "laplace", "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["formats.csv", "formats.png", "formats.svg"]
    frame = pd.read_csv(out / "formats.csv")
    assert frame["format"].tolist() == ["fp8_e4m3", "int4_g128"]
    assert frame["bits_per_element"].tolist() == [8.0, 4.125]
    assert frame["sqnr_db"].iloc[0] > frame["sqnr_db"].iloc[1] + 10
    assert "laplace" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["e4m3fn", "fp8_e4m3"], "named twice"),
        (["mxfp44"], "did you mean 'mxfp4'"),
        (["mxfp4", "--distribution", "gausian"], "did you mean 'gaussian'"),
    ],
)
def test_formats_that_cannot_be_compared(arguments, words, tmp_path, capsys):
    assert run_command(["formats", "compare", *arguments, "-o", str(tmp_path / "x")]) == 2
    assert words in " ".join(capsys.readouterr().err.split())  # wrapped at the width of the terminal
    assert not (tmp_path / "x").exists()


def test_published_accuracy_with_its_sources(capsys):
    assert run_command(["formats", "accuracy", "Llama-3.1-8B-Instruct", "--w-format", "nvfp4", "--format", "csv"]) == 0
    frame = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert frame[["dataset", "metric", "value", "w_format", "a_format"]].values.tolist() == [
        ["WikiText2", "ppl", 7.56, "nvfp4", "fp16"],
        ["C4", "ppl", 10.93, "nvfp4", "fp16"],
    ]
    assert frame["source"].str.contains("RaZeR").all()
    assert frame["sqnr_db"].tolist() == pytest.approx([20.4, 20.4], abs=0.3)  # the format's own, from 64 × 64 results
    assert run_command(["formats", "accuracy", "--w-format", "int4 g128"]) == 0
    table = capsys.readouterr().out
    assert "GPTVQ" in table
    assert "OmniQuant" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["llama-2-7"], "did you mean 'llama-2-7b'"),
        (["--w-format", "mxfp44"], "did you mean 'mxfp4'"),
        (["--metric", "pl"], "did you mean 'ppl'"),
    ],
)
def test_accuracy_that_nobody_published(arguments, words, capsys):
    assert run_command(["formats", "accuracy", *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_settings_of_a_workload_in_a_run(tmp_path, capsys):
    """They have a prefix beside an architecture's; without it the error says so."""
    line = ["run", "edge_16x16_45nm", "opt-125m", "--seq-len", "8", "--format", "csv"]
    assert run_command([*line, "--set", "num_hidden_layers=2"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--set workload.num_hidden_layers=…, or stands under settings in a workload YAML" in said
    assert run_command([*line, "--set", "workload.num_hidden_layers=2", "--set", "array.rows=8"]) == 0
    rows = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert rows[rows.layer == "attn.q_proj"].repeat.tolist() == [2]
    workload = tmp_path / "two.yaml"
    workload.write_text("model: opt-125m\nseq_len: 8\nsettings: {num_hidden_layers: 2}\n")
    assert run_command([*line[:2], str(workload), "--format", "csv", "--set", "array.rows=8"]) == 0
    assert (
        pd.read_csv(io.StringIO(capsys.readouterr().out))
        .drop(columns="design_id")
        .equals(rows.drop(columns="design_id"))
    )
    compared = ["compare-formats", *line[1:], "--formats", "int8,int4", "-o", str(tmp_path)]
    assert run_command([*compared, "--set", "workload.num_hidden_layers=2"]) == 0
    assert set(pd.read_csv(tmp_path / "compare.csv").query("layer == 'attn.q_proj'").repeat) == {2}
