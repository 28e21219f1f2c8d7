"""safetensors made by the official writer: plain and quantized tensors, indexes, and what does not fit."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.data import find_example
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import load_workload, memory_footprint, summarize
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.phase import prefill
from tests.support import quantized as q
from tests.support.checkpoints import LLAMA, hf_tensors, write_gguf, write_safetensors
from tests.unit.test_importer_gguf import formats, weight_bits


def write_typed(path, tensors):
    """Write a file with types that numpy lacks: name → (dtype, shape); data are zeros."""
    header, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = int(np.prod(shape)) * {"F8_E4M3": 1, "U8": 1, "F32": 4, "BF16": 2, "F16": 2}[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


@pytest.mark.parametrize(("dtype", "name"), [(np.float16, "fp16"), (np.float32, "fp32")])
def test_plain_tensors(tmp_path, dtype, name):
    path = write_safetensors(
        tmp_path / "tiny", hf_tensors(lambda m, n, k: {f"{m}.weight": np.zeros((n, k), dtype)}, dtype=dtype), LLAMA
    )
    trace = load_workload(path, seq_len=16)
    assert trace.macs_by_kind == build_trace(LLAMA, prefill(16)).macs_by_kind
    assert {name_ for found in formats(trace).values() for name_ in found} == {name}
    assert trace.name == "tiny prefill 16"
    stored = sum(8 * tensor.nbytes for tensor in load_file(path).values())
    assert trace.meta["checkpoint_bits"] == stored
    assert weight_bits(trace) == stored - 8 * (1000 * 512 + 9 * 512) * np.dtype(dtype).itemsize
    assert memory_footprint(trace, "int4")["weight_bytes"] == stored // 8


def halves(m, n, k):
    return {f"{m}.weight": np.zeros((n, k), np.float16)}


@pytest.mark.parametrize("policy", ["w8a8", "w4a16_g128", {"preset": "w4a4kv4", "other_format": "bf16"}])
def test_plain_tensors_give_way_to_a_policy_that_is_named(tmp_path, capsys, policy):
    path = write_safetensors(tmp_path / "tiny", hf_tensors(halves), LLAMA)
    for run in ({"seq_len": 16}, {"phase": "generation", "seq_len": 4, "new_tokens": 3}):
        found, by_config = (
            load_workload(one, policy=policy, **run) for one in (path, tmp_path / "tiny" / "config.json")
        )
        assert [replace(op, note="") for op in found.ops] == [replace(op, note="") for op in by_config.ops]
        assert memory_footprint(found, "fp32") == memory_footprint(by_config, "fp32")
    if isinstance(policy, str):
        assert run_command(["trace", str(path), "--policy", policy, "--summary"]) == 0
        out, err = capsys.readouterr()
        assert err.strip() == f"policy {policy}: in the place of fp16 of model.safetensors."
        assert f"formats                          {policy}\n" in out


def test_notes_of_a_run_of_two_checkpoints_name_both(tmp_path):
    target = write_safetensors(tmp_path / "big", hf_tensors(halves), LLAMA)
    draft = tmp_path / "small.gguf"
    write_gguf(draft, lambda *_: "Q4_K")
    run = {"phase": "speculative", "draft_tokens": 2, "acceptance": 0.5, "context": 20, "policy": "w8a8"}
    first = load_workload(target, draft=str(draft), **run).meta["policy_note"]
    second = load_workload(draft, draft=str(target), **run).meta["policy_note"]
    for note in (first, second):
        assert note.startswith("policy w8a8: in the place of fp16 of model.safetensors; 29 of ")
        assert note.endswith(" GEMMs keep the formats of W that small.gguf states")


def test_a_quantized_table_is_no_plain_checkpoint(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, lambda kind, layer: "Q4_K" if kind == "token_embd" else "F16")
    trace = load_workload(path, seq_len=8, policy="w8a8")
    assert {gemm.w_format for gemm in trace.gemms if gemm.w_source == "dram"} == {"fp16"}
    assert next(op.a_format for op in trace.vector_ops if op.op == "embedding") == "q4_k"
    assert "keep the formats of W that tiny.gguf states" in trace.meta["policy_note"]


def test_drafts_stand_beside_their_workload(tmp_path, monkeypatch):
    write_safetensors(tmp_path / "w" / "small", hf_tensors(halves), LLAMA)
    write_safetensors(
        tmp_path / "small", hf_tensors(lambda m, n, k: {f"{m}.weight": np.zeros((n, k), np.float32)}), LLAMA
    )
    monkeypatch.chdir(tmp_path)
    run = "source: small\nphase: speculative\ndraft_tokens: 2\nacceptance: 0.5\ncontext: 20\n"
    for name in ("./small", "small", "small/config.json", str(tmp_path / "w" / "small")):
        (tmp_path / "w" / "w.yaml").write_text(f"{run}draft: {name}\n")
        trace = load_workload("w/w.yaml")
        found = {gemm.w_format for gemm in trace.gemms if gemm.w_source == "dram"}
        assert found == ({"fp16", ""} if name.endswith("json") else {"fp16"})


def test_an_override_of_which_half_is_stated_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, lambda *_: "Q4_K")
    for match in ("lm_head", "*"):
        over = [{"match": match, "w_format": "int8", "a_format": "int8"}]
        with pytest.raises(SpecError, match=r"tiny\.gguf states w_format of (lm_head|attn\.q_proj, )"):
            load_workload(path, overrides=over)
    trace = load_workload(path, overrides=[{"match": "lm_head", "a_format": "int8"}])
    assert next((g.w_format, g.a_format) for g in trace.gemms if g.layer == "lm_head") == ("q4_k", "int8")


def test_comparisons_and_sweeps_take_plain_tensors_and_say_so(tmp_path, capsys):
    path = write_safetensors(tmp_path / "tiny", hf_tensors(halves), LLAMA)
    out = ["--seq-len", "8", "--format", "csv", "-o", str(tmp_path / "out"), "--formats", "int8,int4"]
    tables = []
    for source in (tmp_path / "tiny", tmp_path / "tiny" / "config.json"):
        assert run_command(["compare-formats", "edge_16x16_45nm", str(source), *out]) == 0
        tables.append(capsys.readouterr())
    assert tables[0].out == tables[1].out
    assert "in the place of fp16 of model.safetensors." in tables[0].err
    write_gguf(tmp_path / "q.gguf", lambda kind, layer: "F16" if kind != "token_embd" else "Q4_K")
    arch = find_example("arch_configs", "systolic_32x32_28nm")
    workloads = f"[{{source: {path}, seq_len: 4, policy: fp16}}, {{source: {tmp_path}/q.gguf, seq_len: 4}}]"
    (tmp_path / "s.yaml").write_text(
        f"name: s\nbase: {arch}\nworkloads: {workloads}\ngrid: {{clock: [500 MHz]}}\nobjectives: {{latency_ms: min}}\n"
    )
    assert run_command(["sweep", str(tmp_path / "s.yaml"), "-o", str(tmp_path / "sweep")]) == 0
    told = capsys.readouterr().err
    page = (tmp_path / "sweep" / "report.html").read_text()
    for note in (
        "in the place of fp16 of model.safetensors",
        "29 of 37 GEMMs keep the formats of W that q.gguf states",
    ):
        assert note in told
        assert note in page


def test_recipes_say_what_a_checkpoint_keeps(tmp_path):
    run = {"phase": "training", "seq_len": 16, "policy": "fp8_training"}
    plain = load_workload(write_safetensors(tmp_path / "tiny", hf_tensors(halves), LLAMA), **run)
    assert plain.meta["policy_note"] == "policy fp8_training: in the place of fp16 of model.safetensors"
    assert summarize(plain)["formats"] == "recipe fp8_training"
    assert plain.ops == load_workload(tmp_path / "tiny" / "config.json", **run).ops
    write_gguf(tmp_path / "tiny.gguf", lambda kind, layer: "Q4_K" if kind == "attn_q" else "F16")
    mixed = load_workload(tmp_path / "tiny.gguf", **run)
    assert (
        mixed.meta["policy_note"] == "policy fp8_training: 29 of 37 GEMMs keep the formats of W that tiny.gguf states"
    )
    assert summarize(mixed)["formats"] == "W of 29 of 37 GEMMs as in tiny.gguf, the rest recipe fp8_training"


def test_a_draft_of_plain_tensors_gives_way_too(tmp_path):
    path = write_safetensors(tmp_path / "tiny", hf_tensors(halves), LLAMA)
    run = {"phase": "speculative", "draft": str(path), "draft_tokens": 2, "acceptance": 0.5, "context": 20}
    trace = load_workload(path, policy="w8a8", **run)
    assert {gemm.w_format for gemm in trace.gemms} == {"int8"}
    assert {gemm.w_format for gemm in load_workload(path, **run).gemms if gemm.w_source == "dram"} == {"fp16"}


def test_what_stays_as_a_file_has_it_says_how_it_gives_way(tmp_path):
    path = write_safetensors(tmp_path / "tiny", hf_tensors(halves), LLAMA)
    trace = load_workload(path, seq_len=16)
    arch = open_arch(find_example("arch_configs", "edge_16x16_45nm"))
    with pytest.raises(UsageError, match=r"let a policy of the workload quantize fp16 of model\.safetensors"):
        evaluate(arch, trace)
    over = [{"match": "lm_head", "w_format": "int8"}]
    with pytest.raises(SpecError, match=r"model\.safetensors states w_format of lm_head.*let a policy"):
        load_workload(path, overrides=over)
    assert evaluate(arch, load_workload(path, seq_len=16, policy="w8a8")).notes[0].endswith("fp16 of model.safetensors")


@pytest.mark.parametrize("method", list(q.METHODS))
def test_quantized_tensors_and_the_config_alone_give_the_same_formats(tmp_path, method):
    linear, config, w, a = q.METHODS[method]
    given = {**LLAMA, "torch_dtype": "float16", "quantization_config": config}
    tensors = hf_tensors(linear)
    trace = load_workload(write_safetensors(tmp_path / method, tensors, given), seq_len=16)
    linear_formats = {name: found for name, found in formats(trace).items() if name != "lm_head"}
    assert len(linear_formats) == 7
    assert all(found == {w: 4} for found in linear_formats.values())
    assert formats(trace)["lm_head"] == {"fp16": 1}
    assert {gemm.a_format for gemm in trace.gemms if gemm.w_source == "dram" and gemm.role != "lm_head"} == {a}
    alone = build_trace(given, prefill(16), method)
    assert [(g.layer, g.w_format, g.a_format, g.repeat) for g in alone.gemms] == [
        (g.layer, g.w_format, g.a_format, g.repeat) for g in trace.gemms
    ]
    # codes and metadata of the file, but for what no format counts and what is no GEMM's
    bits = 8 * sum(tensor.nbytes for name, tensor in tensors.items() if "proj" in name)
    assert weight_bits(trace) - 16 * 1000 * 512 == bits - trace.meta["checkpoint_other_bits"]
    every = sum(tensor.nbytes for tensor in tensors.values())
    assert memory_footprint(trace, "int4")["weight_bytes"] == every
    said = summarize(load_workload(tmp_path / method / "model.safetensors", seq_len=16, policy="w4a8"))["formats"]
    assert said == "W of 29 of 37 GEMMs as in model.safetensors, the rest w4a8"


def test_fp8_blocks(tmp_path):
    config = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
    tensors = {}
    for name, tensor in hf_tensors(q.plain).items():
        linear = "proj" in name
        tensors[name] = ("F8_E4M3" if linear else "BF16", tensor.shape)
        if linear:
            n, k = tensor.shape
            tensors[f"{name}_scale_inv"] = ("F32", (n // 128, k // 128))
    folder = tmp_path / "fp8"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**LLAMA, "quantization_config": config}))
    trace = load_workload(write_typed(folder / "model.safetensors", tensors), seq_len=16)
    assert formats(trace)["mlp.down_proj"] == {"fp8_e4m3_t128x128_fp32": 4}
    assert formats(trace)["lm_head"] == {"bf16": 1}
    assert {g.a_format for g in trace.gemms if g.role == "ffn"} == {"fp8_e4m3_g128_fp32"}


def test_nvfp4_with_one_layer_kept(tmp_path):
    given = q.weights(type="float", strategy="tensor_group", group_size=16)
    config = q.compressed(given, given, ignore=["lm_head", "re:.*layers\\.3\\.mlp.*"])
    tensors = {}
    for name, tensor in hf_tensors(q.plain).items():
        if "proj" not in name or "layers.3.mlp" in name:
            tensors[name] = ("BF16", tensor.shape)
            continue
        (n, k), module = tensor.shape, name.removesuffix(".weight")
        tensors[f"{module}.weight_packed"] = ("U8", (n, k // 2))
        tensors[f"{module}.weight_scale"] = ("F8_E4M3", (n, k // 16))
        tensors[f"{module}.weight_global_scale"] = ("F32", (1,))
    folder = tmp_path / "nvfp4"
    folder.mkdir()
    given = {**LLAMA, "dtype": "bfloat16", "quantization_config": config}
    (folder / "config.json").write_text(json.dumps(given))
    trace = load_workload(write_typed(folder / "model.safetensors", tensors), seq_len=16)
    assert formats(trace)["mlp.up_proj"] == {"nvfp4": 3, "bf16": 1}
    assert formats(trace)["attn.q_proj"] == {"nvfp4": 4}
    assert {(g.w_format, g.a_format) for g in trace.gemms if g.role == "ffn"} == {("nvfp4", "nvfp4"), ("bf16", "")}
    assert [g.w_format for g in build_trace(given, prefill(16)).gemms] == [g.w_format for g in trace.gemms]


def test_an_index_reads_all_its_files(tmp_path):
    tensors = hf_tensors(q.plain)
    names = list(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in shards.items():
        save_file({name: tensors[name] for name in members}, tmp_path / file)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    index = tmp_path / "model.safetensors.index.json"
    weight_map = {name: file for file, members in shards.items() for name in members}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert {f for found in formats(load_workload(index, seq_len=8)).values() for f in found} == {"fp16"}


def test_a_header_alone_is_enough(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.awq), {**LLAMA, "quantization_config": q.METHODS["awq"][1]})
    whole = load_workload(path, seq_len=8)
    data = path.read_bytes()
    path.write_bytes(data[: 8 + struct.unpack("<Q", data[:8])[0]])
    cut = load_workload(path, seq_len=8)
    assert cut.ops == whole.ops
    assert (whole.meta["checkpoint_complete"], cut.meta["checkpoint_complete"]) == (True, False)


@pytest.mark.parametrize("run", [{"seq_len": 16}, {"phase": "decode"}, {"phase": "generation", "new_tokens": 4}])
def test_experts_without_tokens_are_stored_as_in_the_file(tmp_path, run):
    tensors = hf_tensors(lambda m, n, k: {} if "mlp" in m else q.plain(m, n, k))
    for layer in range(4):
        head = f"model.layers.{layer}.block_sparse_moe"
        tensors[f"{head}.gate.weight"] = q.zeros(8, 512, dtype=np.float32)
        for expert in range(8):
            for name, shape in {"w1": (768, 512), "w2": (512, 768), "w3": (768, 512)}.items():
                dtype = np.float32 if layer == 2 else np.float16
                tensors[f"{head}.experts.{expert}.{name}.weight"] = q.zeros(*shape, dtype=dtype)
    given = {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    trace = load_workload(write_safetensors(tmp_path, tensors, given), **run)
    assert memory_footprint(trace, "int4")["weight_bytes"] == sum(tensor.nbytes for tensor in tensors.values())


def test_gpt2_stores_inputs_as_rows(tmp_path):
    tensors = {"wte.weight": q.zeros(500, 128, dtype=np.float16), "wpe.weight": q.zeros(64, 128, dtype=np.float16)}
    for name, shape in {
        "attn.c_attn": (128, 384),
        "attn.c_proj": (128, 128),
        "mlp.c_fc": (128, 512),
        "mlp.c_proj": (512, 128),
    }.items():
        tensors[f"h.0.{name}.weight"] = q.zeros(*shape, dtype=np.float16)
    config = {"model_type": "gpt2", "n_embd": 128, "n_layer": 1, "n_head": 4, "n_positions": 64, "vocab_size": 500}
    trace = load_workload(write_safetensors(tmp_path, tensors, config), seq_len=8)
    assert {f for found in formats(trace).values() for f in found} == {"fp16"}


def test_autogptq_keeps_its_settings_in_a_file_of_its_own(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.gptq()), LLAMA)
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 64, "sym": True}))
    assert formats(load_workload(path, seq_len=8))["mlp.up_proj"] == {"int4_asym_g64_z4": 4}


def test_gptq_with_one_group_per_output_and_dynamic_layers():
    config = {
        "quant_method": "gptq", "bits": 4, "group_size": -1,
        "dynamic": {"-:.*layers\\.0\\.": {}, "+:.*down_proj": {"bits": 8, "group_size": 32}},
    }  # fmt: skip
    trace = build_trace({**LLAMA, "torch_dtype": "bfloat16", "quantization_config": config}, prefill(8))
    found = formats(trace)
    assert found["mlp.up_proj"] == {"bf16": 1, "int4_asym_g512_z4": 3}
    assert found["mlp.down_proj"] == {"bf16": 1, "int8_asym_g32": 3}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"quant_method": "gptqq"}, "quant_method 'gptqq' is not supported.*did you mean 'gptq'"),
        ({"quant_method": "gptq", "bits": 5}, "bits 5 is not supported"),
        ({"quant_method": "gptq", "group_size": 0}, "group_size must be a whole number"),
        ({"quant_method": "awq", "version": "gemv"}, "version 'gemv'"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size must be two sizes"),
        ({"quant_method": "compressed-tensors"}, "config_groups must name groups"),
        ({"quant_method": "bitsandbytes"}, "load_in_4bit or load_in_8bit"),
        ({"quant_method": "mxfp4", "modules_to_not_convert": "all"}, "must be a list of names"),
        (q.compressed(q.weights(), ignore=["re:(a+)+b"]), "repeats a group"),
        (q.compressed(q.weights(), ignore=["re:(("]), "no regular expression"),
        (q.compressed(q.weights(type="float", num_bits=6)), "floats of 6 bits"),
        ("none", "must be a mapping"),
    ],
)
def test_wrong_configurations_are_named(config, message):
    with pytest.raises(SpecError, match=message):
        build_trace({**LLAMA, "quantization_config": config}, prefill(8))


def test_other_group_than_the_tensors_have_is_an_error(tmp_path):
    config = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    path = write_safetensors(tmp_path, hf_tensors(q.gptq()), {**LLAMA, "quantization_config": config})
    with pytest.raises(SpecError, match=r"scales has shape \[12, 512\]; expected \[6, 512\]"):
        load_workload(path)


def test_scales_of_another_width_are_an_error(tmp_path):
    def linear(name, n, k):
        return {**q.awq(name, n, k), f"{name}.scales": q.zeros(k // 64, n, dtype=np.float32)}

    path = write_safetensors(tmp_path, hf_tensors(linear), {**LLAMA, "quantization_config": q.METHODS["awq"][1]})
    with pytest.raises(
        SpecError, match=r"bits of codes, scales and zero points, but 512 × 768 in int4_asym_g64_z4 take"
    ):
        load_workload(path)


def test_quantized_tensors_without_a_method_are_an_error(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.awq), LLAMA)
    with pytest.raises(SpecError, match="has qweight, but quantization_config of config.json does not say"):
        load_workload(path)


def test_a_config_of_another_shape_is_an_error(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), {**LLAMA, "intermediate_size": 1024})
    with pytest.raises(SpecError, match="768 × 512 weights, but the model's keys give mlp.gate_proj 1024 × 512"):
        load_workload(path)


def test_names_of_formats_are_known():
    for _, _, w, _ in q.METHODS.values():
        assert parse_format(w).name == w


def test_llama_4_keeps_experts_with_inputs_as_rows(tmp_path):
    d, ff, dense, experts, vocab = 64, 96, 128, 4, 200
    config = {
        "model_type": "llama4_text", "hidden_size": d, "intermediate_size": ff, "intermediate_size_mlp": dense,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": vocab,
        "num_local_experts": experts, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2,
        "max_position_embeddings": 512, "attention_chunk_size": 64,
    }  # fmt: skip
    shapes = {"model.embed_tokens.weight": (vocab, d), "lm_head.weight": (vocab, d), "model.norm.weight": (d,)}
    for layer in range(4):
        start = f"model.layers.{layer}."
        own = {"self_attn.q_proj": (64, d), "self_attn.k_proj": (32, d), "self_attn.v_proj": (32, d),
               "self_attn.o_proj": (d, 64), "input_layernorm": (d,), "post_attention_layernorm": (d,)}  # fmt: skip
        mlp = "feed_forward.shared_expert." if layer % 2 else "feed_forward."
        width = ff if layer % 2 else dense
        own |= {f"{mlp}gate_proj": (width, d), f"{mlp}up_proj": (width, d), f"{mlp}down_proj": (d, width)}
        shapes |= {f"{start}{name}.weight": shape for name, shape in own.items()}
        if layer % 2:
            shapes[f"{start}feed_forward.router.weight"] = (experts, d)
            shapes[f"{start}feed_forward.experts.gate_up_proj"] = (experts, d, 2 * ff)
            shapes[f"{start}feed_forward.experts.down_proj"] = (experts, ff, d)
    tensors = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    path = write_safetensors(tmp_path / "llama4", tensors, config)
    trace = load_workload(path, seq_len=16)
    by_config = build_trace(config, prefill(16))
    assert [(g.layer, g.m, g.n, g.k, g.batch, g.repeat) for g in trace.gemms] == [
        (g.layer, g.m, g.n, g.k, g.batch, g.repeat) for g in by_config.gemms
    ]
    assert memory_footprint(trace, "fp32")["weight_bytes"] == sum(one.nbytes for one in tensors.values())
