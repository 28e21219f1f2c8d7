"""GGUF files made by the official writer: types per tensor, architectures, split and truncated files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.block.ggml import ggml_types
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import data_path, find_example
from hwsim.spec.errors import SpecError
from hwsim.workload import load_workload, memory_footprint
from hwsim.workload.ggml import apply_mix
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.phase import prefill
from tests.support.checkpoints import LAYER, LLAMA, add_quantized, finish, llama_keys, write_gguf


def formats(trace):
    """How many layers of each name have which format."""
    found = {}
    for gemm in trace.gemms:
        if gemm.w_source == "dram":
            found.setdefault(gemm.layer, {}).setdefault(gemm.w_format, 0)
            found[gemm.layer][gemm.w_format] += gemm.repeat
    return found


def weight_bits(trace):
    return sum(gemm.w_bits(parse_format(gemm.w_format)) for gemm in trace.gemms if gemm.w_source == "dram")


def mixed(kind, layer):
    if kind in ("attn_v", "ffn_down") and layer in (0, 3):
        return "Q6_K"
    return {"token_embd": "Q2_K", "output": "Q6_K", "attn_k": "Q8_0"}.get(kind, "Q4_K")


def test_types_come_from_the_tensors_and_bits_are_exact(tmp_path):
    path = tmp_path / "tiny.gguf"
    bits = write_gguf(path, mixed)
    trace = load_workload(path, seq_len=32)
    plain = build_trace(LLAMA, prefill(32))
    assert trace.macs_by_kind == plain.macs_by_kind
    assert formats(trace)["attn.v_proj"] == {"q6_k": 2, "q4_k": 2}
    assert formats(trace)["attn.k_proj"] == {"int8_g32": 4}
    assert formats(trace)["lm_head"] == {"q6_k": 1}
    table = 1000 * 512 // 256 * ggml_types()["Q2_K"].bytes * 8
    assert weight_bits(trace) + table == bits
    assert trace.meta["checkpoint_bits"] == bits + 9 * 512 * 32
    assert trace.meta["checkpoint_complete"] is True
    assert trace.name == "tiny prefill 32"
    assert {gemm.note for gemm in trace.gemms if gemm.layer == "mlp.down_proj"} == {"layers 0 3", "layers 1-2"}


@pytest.mark.parametrize("kind", [kind.name for kind in ggml_types().values() if kind.format])
def test_every_type_is_read_with_its_exact_bits(tmp_path, kind):
    path = tmp_path / "model.gguf"
    bits = write_gguf(path, lambda *_: kind)
    trace = load_workload(path, phase="decode", context=8)
    assert weight_bits(trace) + parse_format(ggml_types()[kind].format).storage_bits(1000, 512) == bits


def tensor_bytes(path):
    """What the tensors of a file take, by the official reader."""
    return sum(int(tensor.n_bytes) for tensor in GGUFReader(path).tensors)


@pytest.mark.parametrize("output", [True, False])
@pytest.mark.parametrize("run", [{"seq_len": 8}, {"phase": "decode"}, {"phase": "decode", "policy": "w8a8"}])
def test_stored_bytes_are_those_of_all_tensors(tmp_path, output, run):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, mixed, output=output)
    trace = load_workload(path, **run)
    assert memory_footprint(trace, "fp16")["weight_bytes"] == tensor_bytes(path)


@pytest.mark.parametrize("run", [{"seq_len": 64}, {"phase": "decode"}, {"phase": "generation", "new_tokens": 3}])
def test_experts_without_tokens_are_stored_as_in_the_file(tmp_path, run):
    path = tmp_path / "moe.gguf"
    writer = GGUFWriter(path, "llama")
    llama_keys(writer)
    writer.add_expert_count(8)
    writer.add_expert_used_count(2)
    for name in ("token_embd", "output"):
        add_quantized(writer, f"{name}.weight", (1000, 512), "Q6_K")
    writer.add_tensor("output_norm.weight", np.ones(512, dtype=np.float32))
    writer.add_tensor("rope_freqs.weight", np.ones(32, dtype=np.float32))
    for layer in range(4):
        for kind, shape in LAYER.items():
            if kind.startswith("attn"):
                add_quantized(writer, f"blk.{layer}.{kind}.weight", shape, "Q4_K")
            else:
                kind_of = "Q6_K" if kind == "ffn_down" and layer in (0, 3) else "Q4_K"
                add_quantized(writer, f"blk.{layer}.{kind}_exps.weight", (8, *shape), kind_of)
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", np.zeros((8, 512), dtype=np.float32))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(512, dtype=np.float32))
    finish(writer)
    trace = load_workload(path, **run)
    assert memory_footprint(trace, "fp16")["weight_bytes"] == tensor_bytes(path)


@pytest.mark.parametrize("policy", ["w4a16", "gguf:Q4_K_M"])
def test_a_file_with_a_draft_is_stored_as_it_is(tmp_path, policy):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, mixed)
    config = json.loads(data_path("models", "llama-3.2-1b.json").read_text()) | {"vocab_size": 1000}
    draft = tmp_path / "config.json"
    draft.write_text(json.dumps(config))
    run = {"phase": "speculative", "draft_tokens": 2, "acceptance": 0.5, "context": 20, "policy": policy}
    alone = memory_footprint(load_workload(draft, phase="decode", policy=policy), "fp32")["weight_bytes"]
    with_draft = load_workload(path, draft=str(draft), **run)
    assert memory_footprint(with_draft, "fp32")["weight_bytes"] == tensor_bytes(path) + alone
    assert "as in tiny.gguf, the rest" in with_draft.meta["formats"]
    drafting = load_workload(draft, draft=str(path), **run)
    assert memory_footprint(drafting, "fp32")["weight_bytes"] == tensor_bytes(path) + alone


def test_a_policy_for_a_file_says_what_it_cannot_change(tmp_path, capsys):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, mixed)
    run = [str(path), "--phase", "decode", "--context", "8"]
    note = "policy w4a8_g128: 29 of 37 GEMMs keep the formats of W that tiny.gguf states."
    assert run_command(["trace", *run, "--policy", "w4a8_g128", "--summary"]) == 0
    out, err = capsys.readouterr()
    assert err.strip() == note
    assert "W of 29 of 37 GEMMs as in tiny.gguf, the rest w4a8_g128" in out
    assert run_command(["trace", *run, "--summary"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "W of 29 of 37 GEMMs as in tiny.gguf, the rest fp16 (no policy given)" in out
    with_pe = ["--set", "pe={family: int_mac, w_format: int8_asym_g32, a_format: int8, accumulator: int32}"]
    write_gguf(path, lambda *_: "Q4_K")
    assert run_command(["run", "edge_16x16_45nm", *run, *with_pe, "--policy", "w8a8"]) == 0
    out, err = capsys.readouterr()
    assert (out + err).count("29 of 37 GEMMs keep the formats of W that tiny.gguf states.") == 1
    assert "29 of 37 GEMMs" in err
    trace = load_workload(path, phase="decode", context=8, policy="w8a8")
    arch = open_arch(find_example("arch_configs", "edge_16x16_45nm"), {"pe": with_pe[1].partition("=")[2]})
    assert evaluate(arch, trace).notes[0] == note.replace("w4a8_g128", "w8a8")[:-1]


def test_header_only_and_truncated_files_give_the_same_trace(tmp_path):
    whole, header = tmp_path / "whole.gguf", tmp_path / "whole_header.gguf"
    write_gguf(whole, mixed)
    write_gguf(header, mixed, data=False)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole.read_bytes()[: header.stat().st_size + 1000])
    traces = [load_workload(path, seq_len=16) for path in (whole, header, cut)]
    assert traces[0].ops == traces[1].ops == traces[2].ops
    assert [trace.meta["checkpoint_complete"] for trace in traces] == [True, False, False]


def test_a_tied_table_is_the_lm_head(tmp_path):
    path = tmp_path / "tied.gguf"
    write_gguf(path, mixed, output=False)
    assert formats(load_workload(path, seq_len=8))["lm_head"] == {"q2_k": 1}


@pytest.mark.parametrize("mix", ["Q4_K_M", "Q3_K_L", "IQ3_XS", "Q5_0"])
def test_a_file_made_by_the_rules_of_a_mix_is_what_the_rules_give(tmp_path, mix):
    from hwsim.workload.ggml import facts_of, mix_type

    plain = build_trace(LLAMA, prefill(16))
    facts, path = facts_of(plain), tmp_path / "mix.gguf"
    columns = {"ffn_down": 768}
    write_gguf(path, lambda kind, layer: mix_type(mix, kind, columns.get(kind, 512), facts, max(layer, 0)))
    assert formats(load_workload(path, seq_len=16)) == formats(apply_mix(plain, mix))


def test_split_files_are_read_together(tmp_path):
    whole = tmp_path / "whole.gguf"
    write_gguf(whole, mixed)
    for part in (1, 2):
        writer = GGUFWriter(tmp_path / f"m-{part:05d}-of-00002.gguf", "llama")
        if part == 1:
            llama_keys(writer)
            add_quantized(writer, "token_embd.weight", (1000, 512), "Q2_K")
            add_quantized(writer, "output.weight", (1000, 512), "Q6_K")
        for layer in (0, 1) if part == 1 else (2, 3):
            for kind, shape in LAYER.items():
                add_quantized(writer, f"blk.{layer}.{kind}.weight", shape, mixed(kind, layer))
        finish(writer)
    first = tmp_path / "m-00001-of-00002.gguf"
    assert load_workload(first, seq_len=8).ops == load_workload(whole, seq_len=8).ops
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(SpecError, match=r"m-00002-of-00002\.gguf is not beside"):
        load_workload(first)


def test_gpt2_with_fused_projections(tmp_path):
    path = tmp_path / "gpt2.gguf"
    writer = GGUFWriter(path, "gpt2")
    writer.add_context_length(64)
    writer.add_embedding_length(256)
    writer.add_block_count(2)
    writer.add_feed_forward_length(1024)
    writer.add_head_count(4)
    add_quantized(writer, "token_embd.weight", (500, 256), "Q6_K")
    writer.add_tensor("position_embd.weight", np.zeros((64, 256), dtype=np.float32))
    for layer in range(2):
        add_quantized(writer, f"blk.{layer}.attn_qkv.weight", (768, 256), "Q5_K")
        add_quantized(writer, f"blk.{layer}.attn_output.weight", (256, 256), "Q4_K")
        add_quantized(writer, f"blk.{layer}.ffn_up.weight", (1024, 256), "Q4_K")
        add_quantized(writer, f"blk.{layer}.ffn_down.weight", (256, 1024), "Q6_K")
    finish(writer)
    found = formats(load_workload(path, seq_len=16))
    assert found["attn.qkv_proj"] == {"q5_k": 2}
    assert found["mlp.down_proj"] == {"q6_k": 2}
    assert found["lm_head"] == {"q6_k": 1}


def test_phi2_has_one_tensor_for_three_projections(tmp_path):
    path = tmp_path / "phi2.gguf"
    writer = GGUFWriter(path, "phi2")
    writer.add_context_length(64)
    writer.add_embedding_length(256)
    writer.add_block_count(1)
    writer.add_feed_forward_length(1024)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_rope_dimension_count(32)
    for name in ("token_embd", "output"):
        add_quantized(writer, f"{name}.weight", (500, 256), "Q6_K")
    bits = add_quantized(writer, "blk.0.attn_qkv.weight", (768, 256), "Q5_K")
    add_quantized(writer, "blk.0.attn_output.weight", (256, 256), "Q4_K")
    add_quantized(writer, "blk.0.ffn_up.weight", (1024, 256), "Q4_K")
    add_quantized(writer, "blk.0.ffn_down.weight", (256, 1024), "Q6_K")
    finish(writer)
    trace = load_workload(path, seq_len=16)
    assert sum(g.w_bits(parse_format(g.w_format)) for g in trace.gemms if g.role == "qkv") == bits
    rope = next(op for op in trace.vector_ops if op.op == "rope")
    assert rope.n == 8 * 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "lama"}, "general.architecture 'lama' is not supported.*did you mean 'llama'"),
        ({"layers": 3, "keys": 4}, "3 blocks have attn_q, but the model's keys give 4"),
        ({"drop": "ffn_down"}, "no tensor of mlp.down_proj; expected: ffn_down"),
        ({"shape": {"attn_k": (256, 512)}}, "attn_k.weight has 256 × 512 weights, but the model's keys give"),
        ({"hidden": False}, "'llama.embedding_length' is missing"),
    ],
)
def test_files_that_do_not_fit_say_why(tmp_path, change, message):
    path = tmp_path / "bad.gguf"
    writer = GGUFWriter(path, change.get("arch", "llama"))
    if change.get("hidden", True):
        llama_keys(writer, change.get("keys", 4))
    else:
        writer.add_block_count(4)
    add_quantized(writer, "token_embd.weight", (1000, 512), "Q8_0")
    for layer in range(change.get("layers", 4)):
        for kind, shape in {**LAYER, **change.get("shape", {})}.items():
            if kind != change.get("drop"):
                add_quantized(writer, f"blk.{layer}.{kind}.weight", shape, "Q8_0")
    finish(writer)
    with pytest.raises(SpecError, match=message):
        load_workload(path)


@pytest.mark.parametrize(
    ("kind", "pe", "known"),
    [
        ("Q4_K", "{family: int_mac, w_format: int8_asym_g32, a_format: int8, accumulator: int32}", True),
        ("IQ4_XS", "{family: codebook_mac, w_format: iq4_xs, a_format: int8}", True),
        ("IQ2_XXS", "{family: codebook_mac, w_format: iq2_xxs, a_format: int8}", False),
    ],
)
def test_files_run_and_lattices_have_no_accuracy(tmp_path, kind, pe, known):
    write_gguf(tmp_path / "m.gguf", lambda *_: kind, layers=1)
    arguments = ["run", "edge_16x16_45nm", str(tmp_path / "m.gguf"), "--seq-len", "8", "--set", f"pe={pe}"]
    assert run_command([*arguments, "-o", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "designs.csv").open(newline="") as stream:
        row = next(csv.DictReader(stream))
    assert bool(row["sqnr_db"]) is known
