"""config.json: reading, checking, and what each key changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import FAMILIES, Trace, decode, model_config, model_names, prefill
from hwsim.workload.config import Config
from hwsim.workload.importers.hf_config import build_trace, read_config, read_model
from hwsim.workload.zoo import find_model, zoo


def changed(name: str, **keys: Any) -> dict[str, Any]:
    """Return a shipped config with keys replaced, or removed where the value is ``...``."""
    config = {**model_config(name), **keys}
    return {key: value for key, value in config.items() if value is not ...}


def parameters(config: dict[str, Any]) -> int:
    return int(build_trace(config, prefill()).meta["parameters"])


def shapes(trace: Trace) -> dict[str, tuple[int, int, int]]:
    return {gemm.layer: (gemm.m, gemm.k, gemm.n) for gemm in trace.gemms}


def test_every_problem_is_reported_at_once() -> None:
    config = Config({"model_type": "x", "a": -1, "b": 1.5, "c": "yes", "d": [], "e": "tanh"}, "my.json")
    assert config.integer("a") == 1
    assert config.integer("missing") == 1
    assert config.integer("b") == 1
    assert config.flag("c", True) is True
    assert config.integers("d") == (1,)
    assert config.choice("e", {"relu": "relu"}, "relu") == "relu"
    assert config.number("c", 2.0) == 2.0
    with pytest.raises(UsageError) as caught:
        config.check()
    text = str(caught.value)
    assert all(line.startswith("my.json: '") for line in text.splitlines())
    for key in ("'a'", "'missing' is missing", "'b'", "'c' must be true or false", "'d'", "'e': unknown 'tanh'"):
        assert key in text


def test_defaults_apply_to_absent_and_null_keys() -> None:
    config = Config({"null": None, "three": 3})
    assert config.integer("absent", 7) == config.integer("null", 7) == 7
    assert config.optional_integer("null") is None
    assert config.optional_integer("three") == 3
    assert config.number("absent", 0.5) == 0.5
    config.check()


def test_labels() -> None:
    assert Config({"id2label": {"0": "cat", "1": "dog"}}).labels() == 2
    assert Config({"num_labels": 1000}).labels() == 1000


def message_without(name: str, key: str) -> str:
    try:
        build_trace(changed(name, **{key: ...}), prefill())
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", model_names())
def test_missing_keys_are_named(name: str) -> None:
    """Each required key, left out, is named in the message; every other key has a documented default."""
    messages = {key: message_without(name, key) for key in model_config(name)}
    required = {key: message for key, message in messages.items() if message}
    assert all(repr(key) in message for key, message in required.items())
    # Files of diffusers may leave out nearly all, and searches and transforms have few keys.
    own = ("embedding_search", "fft_conv", "modular_gemm")
    kind = model_config(name).get("model_type")
    assert len(required) >= {None: 1}.get(kind, 2 if kind in own else 4)


def test_model_type_mistakes() -> None:
    with pytest.raises(UsageError, match="'model_type' is missing"):
        build_trace({}, prefill())
    with pytest.raises(UsageError, match="'model_type' must be text, not a list of 1 item"):
        build_trace({"model_type": ["llama"]}, prefill())
    with pytest.raises(UsageError, match="'model_type' 'lama' is not supported; .*did you mean 'llama'"):
        build_trace({"model_type": "lama"}, prefill())
    state_space = {"model_type": "jamba", "num_experts": 16, "mamba_d_state": 16}
    with pytest.raises(UsageError, match=r"'jamba' .*\(not modelled: its mixture of experts, state-space layers"):
        build_trace(state_space, prefill())
    indexed = {"model_type": "deepseek_v32", "kv_lora_rank": 512, "n_routed_experts": 256, "index_topk": 2048}
    with pytest.raises(UsageError, match="its latent attention, its mixture of experts, sparse attention by an index"):
        build_trace(indexed, prefill())


def test_reading_files(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(model_config("gpt2")))
    assert read_config(path) == model_config("gpt2")
    path.write_text('{\n  "model_type": "gpt2",\n  oops\n}')
    with pytest.raises(SpecError, match=r"config.json:3:3"):
        read_config(path)
    path.write_text("[1]")
    with pytest.raises(SpecError, match="must be a JSON object"):
        read_config(path)
    path.write_text("")
    with pytest.raises(SpecError, match=r"config.json:1:1"):
        read_config(path)
    with pytest.raises(UsageError, match="none.json: no such file"):
        read_config(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", ":1:1: file is empty"),
        ('{"a": 1,}', ":1:9: not valid JSON: "),
        ("{'a': 1}", ":1:2: not valid JSON: expecting property name enclosed in double quotes"),
        ("3", ":1:1: a model config must be a JSON object, not 3"),
        ("[" * 100_000, ": is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", ": holds a number of too many digits"),
        ('{"a": 1,\n "b": {"c": 2, "c": 3}}', ":2:16: b.c: key 'c' is given twice"),
        ('{\t"a": 1,\n\t"a": 2}', ": key 'a' is given twice"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_config(path)
    assert message in str(caught.value)


def test_mistakes_have_the_place_of_their_key(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(changed("llama-2-7b", hidden_size="4096", vocab_size=...), indent=1))
    with pytest.raises(SpecError) as caught:
        read_model(path, prefill())
    absent, wrong = caught.value.problems
    assert (absent.line, absent.message) == (0, "'vocab_size' is missing; model_type llama needs it")
    assert '"hidden_size": "4096"' in wrong.source_line
    assert wrong.source_line[wrong.column - 1 :].startswith('"4096"')
    # A second message, about what was put in place of the wrong value, would only confuse.
    assert wrong.message == "'hidden_size' must be a whole number from 1 to 1,000,000,000, not '4096'"


@pytest.mark.parametrize(
    "name", ["gpt2", "bert-base", "resnet-50", "qwen3-8b", "mixtral-8x7b", "t5-small", "dit-xl-2", "rag", "ds-cnn"]
)
@pytest.mark.parametrize("value", [None, [], {}, [[]], [0], "", "x", 0, -1, 10**30, 1.5, float("nan"), True])
def test_any_value_of_any_key_is_a_trace_or_a_usage_error(name: str, value: Any) -> None:
    for key in model_config(name):
        try:
            trace = build_trace(changed(name, **{key: value}), prefill())
        except UsageError as error:
            assert str(error)
        else:
            assert trace.macs > 0


# --- what single keys change -------------------------------------------------------------------


def test_head_dim_is_derived_only_when_absent() -> None:
    given = build_trace(changed("llama-2-7b", head_dim=100), prefill(8))
    assert shapes(given)["attn.q_proj"] == (8, 4096, 3200)
    derived = build_trace(changed("llama-2-7b"), prefill(8))
    assert shapes(derived)["attn.q_proj"] == (8, 4096, 4096)
    with pytest.raises(
        UsageError, match="'hidden_size' 5140 is no multiple of 'num_attention_heads' 40; valid: such as 5120"
    ):
        build_trace(changed("llama-2-13b", hidden_size=5140), prefill())
    assert shapes(build_trace(model_config("gemma-2-2b"), prefill(8)))["attn.score"] == (16, 256, 8)


def test_kv_heads_must_divide_heads() -> None:
    with pytest.raises(UsageError, match="'num_attention_heads' 32 is no multiple of 'num_key_value_heads' 5"):
        build_trace(changed("llama-3-8b", num_key_value_heads=5), prefill())


def test_tying_saves_one_table() -> None:
    untied, tied = changed("llama-2-7b"), changed("llama-2-7b", tie_word_embeddings=True)
    assert parameters(untied) - parameters(tied) == 32000 * 4096
    assert build_trace(tied, prefill(4)).macs == build_trace(untied, prefill(4)).macs


@pytest.mark.parametrize(
    ("name", "keys", "difference"),
    [
        ("llama-2-7b", {"attention_bias": True}, 32 * 4 * 4096),
        ("llama-2-7b", {"mlp_bias": True}, 32 * (2 * 11008 + 4096)),
        ("opt-125m", {"enable_bias": False}, -12 * (5 * 768 + 3072)),
        ("vit-base-16", {"qkv_bias": False}, -12 * 3 * 768),
        ("gpt2", {"n_positions": 2048}, 1024 * 768),
        ("bert-base", {"type_vocab_size": 4}, 2 * 768),
        ("bitnet-b1.58-2b-4t", {"tie_word_embeddings": False}, 128256 * 2560),
    ],
)
def test_parameters_follow_the_keys(name: str, keys: dict[str, Any], difference: int) -> None:
    assert parameters(changed(name, **keys)) - parameters(model_config(name)) == difference


def test_windows() -> None:
    def keys_seen(config: dict[str, Any]) -> list[tuple[int, int]]:
        trace = build_trace(config, decode(10_000))
        return [(gemm.n, gemm.repeat) for gemm in trace.gemms if gemm.role == "score"]

    assert keys_seen(model_config("mistral-7b-v0.1")) == [(4096, 32)]
    assert keys_seen(changed("mistral-7b-v0.1", sliding_window=None)) == [(10_001, 32)]
    assert keys_seen(model_config("gemma-2-9b")) == [(4096, 21), (10_001, 21)]
    qwen = {"sliding_window": 100, "max_window_layers": 21}
    assert keys_seen(changed("qwen2.5-7b", **qwen)) == [(10_001, 28)]
    assert keys_seen(changed("qwen2.5-7b", use_sliding_window=True, **qwen)) == [(10_001, 21), (100, 7)]
    with pytest.raises(UsageError, match="'max_window_layers' is missing"):
        keys_seen(changed("qwen2.5-7b", use_sliding_window=True, sliding_window=100))


def test_partial_rotary() -> None:
    def rotated(config: dict[str, Any]) -> int:
        return next(op.n for op in build_trace(config, prefill(4)).vector_ops if op.op == "rope")

    assert rotated(model_config("phi-2")) == 2 * 32 * 32
    assert rotated(changed("phi-2", partial_rotary_factor=...)) == 2 * 32 * 40
    assert rotated(model_config("llama-3-8b")) == (32 + 8) * 128


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("mixtral-8x7b", {"num_experts_per_tok": 9}, "'num_experts_per_tok' 9 is more than 'num_local_experts' 8"),
        ("mixtral-8x7b", {"expert_distribution": [1, 2]}, "'expert_distribution' must be 8 shares"),
        ("mixtral-8x7b", {"expert_distribution": "zipf:x"}, "must be uniform, zipf:S"),
        ("deepseek-v3", {"moe_layer_freq": 2}, "'moe_layer_freq' 2 other than 1"),
        ("gemma-2-2b", {"layer_types": ["mamba"] * 26}, "'layer_types' must be a list of full_attention"),
        ("gemma-2-2b", {"layer_types": ["chunked_attention"] * 26}, "'layer_types' must be a list of full_attention"),
        ("gemma-2-2b", {"layer_types": ["full_attention"]}, "'layer_types' has 1 entries for 26 layers"),
        ("t5-small", {"feed_forward_proj": "gated-swiglu"}, "'feed_forward_proj' 'gated-swiglu' is not relu"),
        ("sd-v1.5-unet", {"class_embed_type": "timestep"}, "'class_embed_type' 'timestep' is not supported"),
        ("sd-v1.5-unet", {"sample_size": 60}, "'sample_size' 60 cannot be halved 3 times"),
        ("sd-v1.5-unet", {"up_block_types": ["UpBlock2D"]}, "'up_block_types' must be 4 of"),
        ("dit-xl-2", {"sample_size": 33}, "'sample_size' 33 is no multiple of 'patch_size' 2"),
        ("cross-ntt", {"degree": 1000}, "'degree' 1000 is no power of two"),
        ("flash-fft-conv", {"factors": [3, 5]}, "must be above 1 with the product 'length' 4096"),
        ("rag", {"precision": "float4"}, "'precision': unknown 'float4'"),
        ("rag", {"pca_dim": 2000}, "'pca_dim' 2000 is more than the 1024 dimensions"),
        ("resnet-50", {"downsample_in_bottleneck": True}, "'downsample_in_bottleneck' true"),
        ("resnet-50", {"depths": [3, 4]}, "differ in length"),
        ("resnet-50", {"layer_type": "botleneck"}, "did you mean 'bottleneck'"),
        ("vit-base-16", {"image_size": 225}, "no multiple of 'patch_size'"),
        ("llama-2-7b", {"hidden_act": "sillu"}, "did you mean 'silu'"),
        ("llama-2-7b", {"num_hidden_layers": 0}, "'num_hidden_layers' must be"),
    ],
)
def test_unsupported_values_are_refused(name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_trace(changed(name, **keys), prefill())


# --- the shipped models ------------------------------------------------------------------------


def test_every_shipped_model_has_a_source_and_a_known_type() -> None:
    for name, model in zoo().items():
        assert len(model.source) > 10
        assert model.file == f"{name}.json"
        config = model_config(name)
        assert (config.get("model_type") or config["_class_name"]) in FAMILIES


def test_names_and_aliases_are_unique() -> None:
    every = [label for model in zoo().values() for label in (model.name, *model.aliases)]
    assert len(every) == len(set(every))
    assert model_names() == sorted(zoo())


def test_lookup() -> None:
    assert find_model("vit-b-16") is find_model("vit-base-16") is find_model("ViT-B-16")
    assert find_model("resnet50").name == "resnet-50"
    with pytest.raises(UsageError, match="unknown model 'lama-2-7b'.*did you mean 'llama-2-7b'"):
        find_model("lama-2-7b")


# --- models that also see ----------------------------------------------------------------------


def test_the_language_part_of_a_model_that_also_sees() -> None:
    """Gemma 3 4B: its published file leaves out heads and vocabulary, which transformers has defaults for."""
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    whole = {"model_type": "gemma3", "text_config": {**text, "model_type": "gemma3_text"}, "vision_config": {}}
    trace = build_trace(whole, prefill(64), "gemma-3-4b")
    assert trace.name == "gemma-3-4b prefill 64"
    assert trace.meta["part"] == "language model only"
    assert trace.meta["parameters"] == 3_880_263_168
    alone = build_trace({**text, "model_type": "gemma3_text"}, prefill(64))
    assert trace.ops == alone.ops
    mistral = {"model_type": "mistral3", "text_config": model_config("mistral-7b-v0.1")}
    assert build_trace(mistral, decode(99)).ops == build_trace(model_config("mistral-7b-v0.1"), decode(99)).ops


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "'text_config' is missing; model_type llava needs it"),
        ({"text_config": 3}, "'text_config' must be an object, not 3"),
        (
            {"text_config": {"model_type": "mamba"}},
            "'text_config' model_type 'mamba' is not supported .not modelled: state-space layers",
        ),
        ({"text_config": {"model_type": "llava"}}, "'text_config' model_type 'llava' is not supported"),
        ({"text_config": {"model_type": "llama"}}, "'hidden_size' is missing"),
    ],
)
def test_a_language_part_that_cannot_be_read(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_trace({"model_type": "llava", **keys}, prefill())
