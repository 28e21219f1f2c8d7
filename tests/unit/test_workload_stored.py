"""What runs store, against sums that are made here from the numbers of a model's config alone."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.formats.block.ggml import ggml_type
from hwsim.spec.errors import SpecError
from hwsim.workload import Gemm, Policy, Trace, apply_policy, load_workload, memory_footprint, summarize, write_trace
from hwsim.workload.ggml import facts_of, mix_bits_per_weight, mix_type

DATA = Path(__file__).parents[1] / "data"

#: Weights of GEMMs and all others, by config.json alone.
LLAMA_3_8B = {"hidden": 4096, "ffn": 14336, "layers": 32, "kv": 1024, "vocab": 128256}
LLAMA_32_1B = {"hidden": 2048, "ffn": 8192, "layers": 16, "kv": 512, "vocab": 128256}
MIXTRAL = {"hidden": 4096, "ffn": 14336, "layers": 32, "kv": 1024, "vocab": 32000, "experts": 8}


def gemm_weights(hidden: int, ffn: int, layers: int, kv: int, vocab: int, experts: int = 0) -> int:
    """Weights of a Llama: q and o, k and v, three of the FFN per expert, router, head."""
    mlp = 3 * hidden * ffn * max(1, experts) + hidden * experts
    return layers * (2 * hidden * hidden + 2 * hidden * kv + mlp) + vocab * hidden


def other_weights(shape: dict[str, int], tied: bool) -> int:
    """Two norms per layer, one at the end, and a table that is not tied."""
    hidden = shape["hidden"]
    return (2 * shape["layers"] + 1) * hidden + (0 if tied else shape["vocab"] * hidden)


def stored(name: str, policy: str | Policy | dict[str, Any], **run: Any) -> dict[str, int]:
    chosen = Policy.from_mapping(policy) if isinstance(policy, dict) else policy
    return memory_footprint(load_workload(name, **run), chosen)


def grouped(count: int, bits: int, shared: int, group: int) -> int:
    """Bytes of codes of so many bits in groups that share so many."""
    total = count * bits + count // group * shared
    assert total % 8 == 0
    return total // 8


@pytest.mark.parametrize("run", [{}, {"phase": "decode"}, {"phase": "decode", "batch": 3}, {"seq_len": 5}])
def test_experts_that_no_token_sees_have_the_formats_of_the_others(run):
    found = stored("mixtral-8x7b", "w4a16_g128", **run)
    assert found["gemm_weight_bytes"] == grouped(gemm_weights(**MIXTRAL), 4, 16, 128)
    assert found["other_weight_bytes"] == 2 * other_weights(MIXTRAL, tied=False)
    given = memory_footprint(load_workload("mixtral-8x7b", policy="w4a16_g128", **run), "fp32")
    assert given == found


@pytest.mark.parametrize("name", ["mixtral-8x7b", "phi-3.5-moe", "deepseek-v3", "t5-small", "whisper-tiny"])
@pytest.mark.parametrize("policy", ["w4a16_g128", {"preset": "w4a16_g128", "other_format": "fp32"}, "gguf:Q4_K_M"])
def test_weights_are_the_same_in_every_phase(name, policy):
    """Whatever a phase reads of them, and turned or not: it reads other parts of the same weights."""
    runs: list[dict[str, Any]] = [
        {"seq_len": 300}, {"phase": "decode", "context": 20}, {"phase": "training", "seq_len": 4},
        {"phase": "chunked_prefill", "seq_len": 8, "chunk": 4},  # reads 8 experts of 16, a prefill of 8 tokens all
        {"phase": "generation", "seq_len": 3, "new_tokens": 3}, {"phase": "mixed", "requests": ["decode@5x3"]},
    ]  # fmt: skip
    if name in ("t5-small", "whisper-tiny"):
        if policy == "gguf:Q4_K_M":
            return  # no mix of llama.cpp's language models
        runs = runs[:3]
    if (name, policy) == ("deepseek-v3", "gguf:Q4_K_M"):
        runs = [{"seq_len": 300}, {"phase": "training", "seq_len": 4}]  # llama.cpp stores absorbed parts otherwise
    found = [memory_footprint(load_workload(name, policy=policy, **run), "fp32") for run in runs]
    assert len({(one["gemm_weight_bytes"], one["other_weight_bytes"]) for one in found}) == 1


def test_overrides_by_role_and_layer_hold_for_experts_without_tokens():
    policy = {
        "preset": "w4a16",
        "other_format": "bf16",
        "overrides": [{"match": "moe.down_proj", "w_format": "int8"}, {"match": "ffn", "w_format": "int2", "last": 3}],
    }
    matrix, layers = 4096 * 14336, 32
    rest = gemm_weights(**MIXTRAL) - 3 * matrix * layers * 8
    bits = rest * 4 + 8 * ((layers - 3) * matrix * (2 * 4 + 8) + 3 * matrix * 3 * 2)
    for run in ({}, {"phase": "decode"}, {"phase": "generation", "seq_len": 3, "new_tokens": 2}):
        found = memory_footprint(load_workload("mixtral-8x7b", policy=policy, **run), "fp32")
        assert found["gemm_weight_bytes"] * 8 == bits


def test_overrides_of_a_workload_hold_for_an_encoder_in_decode():
    over = [{"match": "encoder.*", "w_format": "int8"}]
    found = memory_footprint(load_workload("t5-small", phase="decode", overrides=over), "fp16")
    # T5 small: 6 layers of 8 heads of 64; encoder: four projections and two of the FFN; the table is the head
    encoder = 6 * (4 * 512 * 512 + 2 * 512 * 2048)
    rest = 6 * (8 * 512 * 512 + 2 * 512 * 2048) + 32128 * 512
    assert found["gemm_weight_bytes"] == encoder + 2 * rest


@pytest.mark.parametrize(
    ("name", "shape", "tied"), [("llama-3-8b", LLAMA_3_8B, False), ("llama-3.2-1b", LLAMA_32_1B, True)]
)
def test_other_format_is_that_of_table_and_norms(name, shape, tied):
    policy = {"preset": "w4a4", "kv_format": "int4_asym_g128", "other_format": "fp32"}
    for run in ({}, {"phase": "decode", "context": 99}):
        found = memory_footprint(load_workload(name, policy=policy, **run), "fp16")
        assert found["gemm_weight_bytes"] == gemm_weights(**shape) // 2
        assert found["other_weight_bytes"] == 4 * other_weights(shape, tied)
    heads, width, layers = 8, shape["kv"] // 8, shape["layers"]
    # a head's vector is one group: 4 bits per element, an FP16 scale and a zero point of 8 bits
    per_vector = width * 4 + 16 + 8
    assert found["kv_cache_bytes"] * 8 == 100 * 2 * heads * layers * per_vector
    assert found["metadata_bytes"] * 8 == 100 * 2 * heads * layers * 24


def test_whisper_keeps_its_encoder_and_the_keys_of_the_source_in_decode():
    # Whisper tiny: hidden 384, FFN 1536, 4 + 4 layers, 80 mel bands, kernels of 3, 51865 tokens, tied head
    h, ffn, mels, vocab = 384, 1536, 80, 51865
    encoder = 4 * (4 * h * h + 2 * h * ffn) + 3 * h * (mels + h)
    decoder = 4 * (8 * h * h + 2 * h * ffn) + vocab * h
    found = stored("whisper-tiny", "w8a8", phase="decode", context=10)
    assert found["gemm_weight_bytes"] == encoder + decoder
    assert found["kv_cache_bytes"] == 2 * h * 4 * (1500 + 11)


def test_deepseek_v3_stores_all_experts_and_one_latent_per_token():
    # config.json: 7168 hidden, 61 layers of which 3 dense, 128 heads of 128 + 64, latents 1536 and 512, 256 + 1 experts
    hidden, layers, heads, vocab = 7168, 61, 128, 129280
    attention = hidden * 1536 + 1536 * heads * 192 + hidden * (512 + 64) + 512 * heads * 256 + heads * 128 * hidden
    experts = 58 * (257 * 3 * hidden * 2048 + 256 * hidden)
    weights = layers * attention + 3 * 3 * hidden * 18432 + experts + vocab * hidden
    trace = load_workload("deepseek-v3", phase="decode", context=4096, policy="fp8_e4m3")
    found = memory_footprint(trace, "fp16")
    assert found["gemm_weight_bytes"] == weights
    assert found["kv_cache_bytes"] == 4097 * layers * (512 + 64)


def test_a_draft_is_stored_too_by_its_own_rules():
    run = {"phase": "speculative", "draft": "mistral-7b-v0.1", "draft_tokens": 3, "acceptance": 0.7, "context": 100}
    for policy in ("w4a16_g128", "gguf:Q4_K_M"):
        both = memory_footprint(load_workload("mixtral-8x7b", policy=policy, **run), "fp32")
        alone = [stored(name, policy, phase="decode", context=100) for name in ("mixtral-8x7b", "mistral-7b-v0.1")]
        for key in ("gemm_weight_bytes", "other_weight_bytes", "weight_bytes"):
            assert both[key] == sum(one[key] for one in alone)
    swapped = {**run, "draft": "mixtral-8x7b"}  # a draft with experts without tokens
    assert memory_footprint(load_workload("mistral-7b-v0.1", **swapped), "w4a16_g128")["weight_bytes"] == sum(
        stored(name, "w4a16_g128")["weight_bytes"] for name in ("mixtral-8x7b", "mistral-7b-v0.1")
    )


def test_a_mixed_batch_stores_what_its_parts_do():
    found = stored("llama-3-8b", "w4a8kv4", phase="mixed", requests=["prefill:50", "decode@100x2"])
    assert found["gemm_weight_bytes"] == gemm_weights(**LLAMA_3_8B) // 2
    assert found["kv_cache_bytes"] == (50 + 2 * 101) * 2 * 1024 * 32 // 2


def test_bitnet_is_ternary_within_blocks():
    # BitNet b1.58 2B4T: hidden 2560, FFN 6912, 30 layers, 20 heads on 5, 128256 tokens, tied head in BF16
    blocks = 30 * (2 * 2560 * 2560 + 2 * 2560 * 640 + 3 * 2560 * 6912)
    found = stored("bitnet-b1.58-2b-4t", "bitnet", phase="decode", context=64)
    assert found["gemm_weight_bytes"] == blocks * 2 // 8 + 2 * 128256 * 2560
    assert found["kv_cache_bytes"] == 65 * 2 * 640 * 30 * 2


@pytest.mark.parametrize("recipe", ["nvfp4_training", "fp8_training", "quartet_training"])
def test_recipes_quantize_copies_of_weights_of_two_bytes(recipe):
    trace = load_workload("llama-3.2-1b", phase="training", policy=recipe, seq_len=64)
    found, count = memory_footprint(trace, "fp16"), gemm_weights(**LLAMA_32_1B)
    others = other_weights(LLAMA_32_1B, tied=True)
    assert (found["gemm_weight_bytes"], found["other_weight_bytes"]) == (2 * count, 2 * others)
    assert found["gradient_bytes"] + found["optimizer_bytes"] == 14 * (count + others)  # ZeRO: 2 + 4 + 4 + 4
    block = (count - 128256 * 2048) // 16
    if recipe == "nvfp4_training":  # 2 of 62 and 8 of 62 layers, rounded up to 1 and 3 of 16, stay; 8 bits per 16
        assert found["weight_copies_bytes"] == 12 * block * 9 // 16
    parts = ("weight", "gradient", "optimizer", "activation_kept", "weight_copies", "activation_peak", "kv_cache")
    assert found["total_bytes"] == sum(found[f"{part}_bytes"] for part in parts)


def test_copies_are_of_the_experts_that_have_tokens_however_many():
    # 3 tokens to 2 experts of 8 each: 6 have one; 5 tokens: 2 have two, 6 have one
    matrix, kept = 4096 * 14336, 2 + 5  # layers in BF16: 2 and 8 of 62, rounded up of 32
    attention = 2 * 4096 * 4096 + 2 * 4096 * 1024
    for tokens, experts in ((3, 6), (5, 8)):
        trace = load_workload("mixtral-8x7b", phase="training", policy="nvfp4_training", seq_len=tokens)
        found = memory_footprint(trace, "int4")
        assert found["weight_copies_bytes"] == (32 - kept) * (attention + 3 * matrix * experts) * 9 // 16
        assert found["gemm_weight_bytes"] == 2 * gemm_weights(**MIXTRAL)


def test_eight_bit_adam_keeps_two_states_in_blocks_and_a_master_copy():
    found = stored("gpt2", "bf16", phase="training", seq_len=32, optimizer="adam_8bit")
    blocks = -(-124_439_808 // 2048)  # of INT8 with an FP32 scale, arXiv 2110.02861
    assert found["weight_bytes"] == found["gradient_bytes"] == 2 * 124_439_808
    assert found["optimizer_bytes"] == 4 * 124_439_808 + 2 * (124_439_808 + 4 * blocks)


@pytest.mark.parametrize(("name", "parameters"), [("gpt2", 124_439_808), ("resnet-50", 25_557_032)])
def test_fp32_is_four_bytes_of_everything(name, parameters):
    assert stored(name, "fp32")["weight_bytes"] == 4 * parameters
    mapping = Policy.from_mapping({"preset": "fp32", "a_format": "fp16"})
    assert stored(name, mapping)["weight_bytes"] == 4 * parameters


def mixes() -> list[tuple[str, str]]:
    found = []
    for name in ("gguf_mix_bpw.csv", "gguf_mix_bpw_llama_3.1.csv"):
        with (DATA / name).open(newline="") as stream:
            found += [(row["model"], row["mix"]) for row in csv.DictReader(stream)]
    return found


@pytest.mark.parametrize(("model", "mix"), mixes())
def test_a_mix_stores_what_its_bits_per_weight_say(model, mix):
    trace = load_workload(model, phase="decode", policy=f"gguf:{mix}")
    found = memory_footprint(trace, "fp32")
    bits = mix_bits_per_weight(load_workload(model), mix) * trace.meta["parameters"]
    assert bits.denominator == 1
    assert found["weight_bytes"] == sum(
        -(-part // 8) for part in (bits - trace.meta["other_bits"], trace.meta["other_bits"])
    )
    assert summarize(trace)["formats"] == f"gguf:{mix}"


def test_llama_3_in_q4_k_m_has_a_quantized_table_and_norms_of_four_bytes():
    found = memory_footprint(load_workload("llama-3-8b", policy="gguf:Q4_K_M"), "fp16")
    table = 128256 * 4096 * 144 // 256  # Q4_K: 144 bytes per 256
    assert found["other_weight_bytes"] == table + 4 * other_weights(LLAMA_3_8B, tied=True)
    assert found["weight_bytes"] == pytest.approx(4.92e9, rel=2e-3)  # the file that users download


def test_all_experts_of_a_mix_have_the_type_of_their_tensor():
    """The rule for experts asks how many the tensor holds, not how many have tokens."""
    plain = load_workload("mixtral-8x7b")
    facts = facts_of(plain)
    kinds = [ggml_type(mix_type("Q4_K_M", "ffn_down", 14336, facts, layer, experts=8)) for layer in range(32)]
    bits = sum(8 * 4096 * 14336 * kind.bits_per_element for kind in kinds)
    for run in ({}, {"phase": "decode"}):
        trace = apply_policy(load_workload("mixtral-8x7b", **run), "gguf:Q4_K_M")
        down = [g for g in (*trace.gemms, *trace.meta.get("idle_weights", ())) if g.layer == "moe.down_proj"]
        from hwsim.formats import parse_format

        assert sum(g.w_bits(parse_format(g.w_format)) for g in down) == bits
    assert mix_bits_per_weight(plain, "Q4_K_M") == mix_bits_per_weight(
        load_workload("mixtral-8x7b", phase="decode"), "Q4_K_M"
    )


def test_a_trace_with_all_formats_is_left_as_it_is():
    trace = apply_policy(load_workload("mixtral-8x7b", phase="decode"), "w4a16")
    assert apply_policy(trace, "fp32") is trace
    assert trace.meta["formats"] == "w4a16"


def test_overrides_are_named_as_what_states_formats(tmp_path):
    over = [{"match": "lm_head", "w_format": "int8"}]
    trace = load_workload("gpt2", overrides=over, policy="w4a16")
    assert trace.meta["formats"] == "w4a16, 1 overrides"
    assert "policy_note" not in trace.meta
    write_trace(load_workload("gpt2", overrides=over), tmp_path / "t.csv")
    over = [{"match": "mlp.*", "w_format": "int2"}]
    again = load_workload(tmp_path / "t.csv", overrides=over)
    assert (
        summarize(again)["formats"] == "W of 25 of 73 GEMMs as in t.csv and overrides, the rest fp16 (no policy given)"
    )
    noted = load_workload(tmp_path / "t.csv", overrides=over, policy="w4a16").meta["policy_note"]
    assert noted == "policy w4a16: 1 of 73 GEMMs keep the formats of W that t.csv states"


def test_what_a_bare_trace_does_not_say_is_named():
    summary = summarize(Trace("t", (Gemm("a", 2, 3, 4),)))
    assert summary["stored_unknown"].startswith("tables, norms, cache")
    assert "stored_unknown" not in summarize(load_workload("gpt2"))


LAYERS = "num_hidden_layers"


def config(tmp_path: Path, **more: Any) -> Path:
    shape = {
        "model_type": "mixtral", "hidden_size": 512, "intermediate_size": 768, LAYERS: 4, "num_attention_heads": 8,
        "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 256, "vocab_size": 1000,
        "num_local_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**shape, **more}))
    return path


def test_a_quantization_config_is_that_of_experts_without_tokens_and_of_the_table(tmp_path):
    method = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}
    path = config(tmp_path, torch_dtype="float32", quantization_config=method)
    matrix, table = 512 * 768, 1000 * 512
    blocks = 4 * (2 * 512 * 512 + 2 * 512 * 128 + 4 * 3 * matrix)
    found = [
        memory_footprint(load_workload(path, **run), "w8a8")
        for run in ({"seq_len": 9}, {"phase": "decode"}, {"phase": "generation", "seq_len": 1, "new_tokens": 3})
    ]
    assert len({one["weight_bytes"] for one in found}) == 1
    # GPTQ: 4 bits, FP16 scale and a zero point of 4 bits per 128; router, head, table and norms as torch_dtype says
    assert found[0]["gemm_weight_bytes"] == grouped(blocks, 4, 20, 128) + 4 * (4 * 4 * 512 + table)
    assert found[0]["other_weight_bytes"] == 4 * (table + 9 * 512)
    label = summarize(load_workload(path, phase="decode"))["formats"]
    assert "as in quantization_config, the rest fp16 (no policy given)" in label


def test_bits_per_weight_are_exact_fractions():
    assert mix_bits_per_weight(load_workload("llama-2-7b"), "F16") == Fraction(
        16 * 6_738_415_616 + 16 * 65 * 4096, 6_738_415_616
    )


TABLE = {"llama-3-8b": 128256 * 4096, "bert-base": 30522 * 768, "pixart": 0}


@pytest.mark.parametrize("run", [{}, {"phase": "decode"}, {"phase": "generation", "seq_len": 5, "new_tokens": 3}])
@pytest.mark.parametrize("match", ["embed", "embedding"])
def test_an_override_gives_a_table_its_format(run, match):
    policy = {"preset": "w4a16_g128", "overrides": [{"match": match, "w_format": "int8_channel_fp32"}]}
    found, plain = (stored("llama-3-8b", one, **run) for one in (policy, "w4a16_g128"))
    saved = 8 * TABLE["llama-3-8b"] - 32 * 128256
    assert 8 * (plain["other_weight_bytes"] - found["other_weight_bytes"]) == saved
    assert found["gemm_weight_bytes"] == plain["gemm_weight_bytes"]
    over = [{"match": match, "w_format": "int8_channel_fp32"}]
    assert stored("llama-3-8b", "w4a16_g128", overrides=over, **run) == found


def test_a_table_of_an_encoder_and_of_a_draft():
    found, plain = (stored("bert-base", {"preset": "w8a8", "overrides": over}) for over in
                    ([{"match": "embed", "w_format": "int8"}], []))  # fmt: skip
    assert plain["other_weight_bytes"] - found["other_weight_bytes"] == TABLE["bert-base"]
    run = {"phase": "speculative", "draft": "mistral-7b-v0.1", "draft_tokens": 3, "acceptance": 0.7, "context": 100}
    for preset, before, after in (("w4a16_g128", 16, 8), ("gguf:Q4_K_M", 4.5, 8)):
        for match, tables in (("embed", 1), ("embedding", 2), ("draft.embed", 1)):
            over = [{"match": match, "w_format": "int8"}]
            found, plain = (stored("mixtral-8x7b", {"preset": preset, "overrides": one}, **run) for one in (over, []))
            more = found["other_weight_bytes"] - plain["other_weight_bytes"]
            assert more == tables * 32000 * 4096 * (after - before) / 8


def test_a_table_of_blocks_is_stored_in_rows():
    found = stored("opt-125m", {"preset": "w4a16", "other_format": "fp16", "overrides": []})
    assert found["other_weight_bytes"] > 0  # OPT's table is its head, positions and norms are left
    policy = {"preset": "w4a16", "other_format": "int4_g128"}
    hidden, tokens = 4096, 32000
    rest = 65 * hidden  # two norms of each layer and the last one, one row of blocks
    assert (
        stored("llama-2-7b", policy)["other_weight_bytes"] * 8
        == tokens * hidden * 4 + (tokens * hidden // 128) * 16 + rest * 4 + rest // 128 * 16
    )


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("llama-2-7b", {"match": "final_norm", "w_format": "int8"}, "w_format has no meaning.*other_format"),
        ("llama-2-7b", {"match": "attn.softmax", "kv_format": "int8"}, "kv_format has no meaning for attn.softmax"),
        (
            "llama-2-7b",
            {"match": "embed", "kv_format": "int8"},
            "kv_format has no meaning.*the format of a table is its w_format",
        ),
        ("llama-2-7b", {"match": "attn.score", "w_format": "int8"}, "K and V of attention are in kv_format"),
        ("llama-2-7b", {"match": "mlp.*", "kv_format": "int8"}, "their W is in w_format"),
        ("llama-2-7b", {"match": "attn.rope", "accumulator": "fp32"}, "valid for GEMMs"),
        ("opt-125m", {"match": "embed", "w_format": "int8"}, "tied to the LM head: name lm_head"),
    ],
)
def test_an_override_that_would_change_nothing_is_refused(name, entry, words):
    for given in ({"policy": {"preset": "w8a8", "overrides": [entry]}}, {"overrides": [entry]},
                  {"policy": {"preset": "llm_int8", "overrides": [entry]}}):  # fmt: skip
        with pytest.raises(SpecError, match=words):
            load_workload(name, **given)


def test_overrides_of_a_preset_may_match_nothing_and_those_beside_it_may_not():
    entry = {"match": "mpl.*", "w_format": "int8"}
    load_workload("resnet-18", policy="llm_int8")
    with pytest.raises(SpecError, match="'mpl..' matches nothing.*mlp"):
        load_workload("llama-2-7b", policy={"preset": "llm_int8", "overrides": [entry]})


@pytest.mark.parametrize(
    ("name", "policy", "read"),
    [
        ("llama-2-7b", "w8a8", "fp16"),  # the table is in other_format
        ("llama-2-7b", {"preset": "w8a8", "overrides": [{"match": "embed", "w_format": "int4"}]}, "int4"),
        ("llama-2-7b", {"preset": "w8a8", "other_format": "fp32"}, "fp32"),
        ("llama-2-7b", "gguf:Q4_K_M", "q4_k"),
        ("opt-125m", "w8a8", "int8"),  # the table is the LM head
        ("llama-3.2-1b", "gguf:Q4_K_M", "q6_k"),
        ("bert-base", "w8a8", "fp16"),
        ("mixtral-8x7b", "w4a16", "fp16"),
        ("dit-xl-2", "w8a8", "int8"),  # a table of classes, which is not known by name
    ],
)
def test_lookups_read_tables_as_they_are_stored(name, policy, read):
    chosen = Policy.from_mapping(policy) if isinstance(policy, dict) else policy
    for run in ({}, {"phase": "training"}) if policy == "w8a8" and name != "dit-xl-2" else ({},):
        trace = apply_policy(load_workload(name, **run), chosen)
        lookups = [op for op in trace.vector_ops if op.op == "embedding"]
        assert {op.a_format for op in lookups} == {read}
        assert {op.o_format for op in lookups} == {"int8" if "w8a8" in str(policy) else "fp16"}


def test_a_run_reads_the_table_in_its_format():
    """Llama 2 7B, 256 tokens of 4096 elements: 4 or 16 bits each from DRAM."""
    found = []
    for entry in ([{"match": "embed", "w_format": "int4"}], []):
        result = hwsim.run(
            "systolic_32x32_28nm",
            {"model": "llama-2-7b", "seq_len": 256, "policy": {"preset": "fp16", "overrides": entry}},
        )
        found.append(next(row for row in result.layer_rows if row["layer"] == "embed")["dram_read_bytes"])
    assert found[1] - found[0] == 256 * 4096 * 12 // 8
