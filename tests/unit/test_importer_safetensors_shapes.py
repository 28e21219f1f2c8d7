"""safetensors without config.json: the same GEMMs from names, shapes and the few keys that these do not say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwsim.cli.main import run_command
from hwsim.spec.errors import SpecError
from hwsim.workload import load_workload
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.phase import decode, prefill
from tests.support import quantized as q
from tests.support.checkpoints import LLAMA, hf_tensors, write_safetensors
from tests.support.graph_models import BATCH, SEQ_LEN, config_of, gemm_multiset, recorded_multiset, recorded_tensors
from tests.support.hostile import in_time
from tests.support.record_checkpoints import CONFIGS, recorded
from tests.unit.test_importer_safetensors import write_typed

HEADS = {"num_attention_heads": 4}
#: What shapes do not say of each family.
MISSING = {
    "llama": HEADS, "mistral": HEADS, "qwen2": HEADS, "qwen3": {}, "olmo2": HEADS, "bitnet": HEADS, "phi3": HEADS,
    "qwen2_moe": {**HEADS, "num_experts_per_tok": 2}, "qwen3_moe": {"num_experts_per_tok": 2},
    "gemma2": {**HEADS, "sliding_window": 32}, "gemma3_text": {"sliding_window": 32},
    "gpt_oss": {"num_experts_per_tok": 2, "sliding_window": 32}, "gpt2": {"n_head": 4}, "opt": HEADS, "bert": HEADS,
    "roberta": HEADS,
}  # fmt: skip


def checkpoint(tmp_path, family):
    return write_typed(tmp_path / f"{family}.safetensors", recorded()[family])


def rows(trace):
    return sorted((op.op, op.m, op.n, getattr(op, "k", 0), op.batch, op.repeat) for op in trace.ops)


def test_every_recorded_checkpoint_is_tried():
    assert set(MISSING) == set(recorded()) == set(CONFIGS)


@pytest.mark.parametrize("family", list(MISSING))
def test_shapes_and_what_they_do_not_say_give_the_trace_of_the_config(tmp_path, family):
    path = checkpoint(tmp_path, family)
    found = load_workload(path, seq_len=SEQ_LEN, settings=MISSING[family] or None)
    whole = build_trace({"model_type": family, **CONFIGS[family]}, prefill(SEQ_LEN))
    assert gemm_multiset(found) == gemm_multiset(whole)
    assert rows(found) == rows(whole)
    assert found.meta["parameters"] == whole.meta["parameters"]
    assert "no config.json" in found.meta["assumed"]
    if family in ("bert", "roberta"):
        return
    step = load_workload(path, phase="decode", context=63, settings=MISSING[family] or None)
    assert rows(step) == rows(build_trace({"model_type": family, **CONFIGS[family]}, decode(63)))


@pytest.mark.parametrize("family", [family for family, keys in MISSING.items() if keys])
def test_the_error_lists_exactly_what_is_missing(tmp_path, family):
    path, missing = checkpoint(tmp_path, family), MISSING[family]
    with pytest.raises(SpecError) as caught:
        load_workload(path, seq_len=SEQ_LEN)
    said = str(caught.value)
    for key in missing:
        assert f"--set {key}=…" in said
    assert said.count("--set") == len(missing)
    for key in missing:
        with pytest.raises(SpecError, match=key):
            load_workload(path, seq_len=SEQ_LEN, settings={k: v for k, v in missing.items() if k != key} or None)


@pytest.mark.parametrize("model", ["llama", "opt", "bert", "mixtral"])
def test_the_gemms_are_those_that_torch_ran(tmp_path, model):
    path = write_typed(tmp_path / "model.safetensors", recorded_tensors(model))
    config = config_of(model)
    settings = {"num_attention_heads": config["num_attention_heads"]}
    if model == "mixtral":
        settings["num_experts_per_tok"] = config["num_experts_per_tok"]
    trace = load_workload(path, batch=BATCH, seq_len=SEQ_LEN, settings=settings)
    assert gemm_multiset(trace) == recorded_multiset(model)


@pytest.mark.parametrize(
    "given", [{"num_attention_heads": 8}, {"num_key_value_heads": 2}, {"head_dim": 64},
              {"num_attention_heads": 8, "num_key_value_heads": 2}],
)  # fmt: skip
def test_one_number_of_heads_gives_the_others(tmp_path, given):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), None)
    assert rows(load_workload(path, seq_len=16, settings=given)) == rows(build_trace(LLAMA, prefill(16)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_attention_heads": 8, "num_key_value_heads": 4}, "but the model's keys give attn.k_proj 256 × 512"),
        ({"num_attention_heads": 8, "num_hidden_layers": 2}, "4 blocks have self_attn.q_proj"),
        ({"num_attention_heads": 3}, "'hidden_size' 512 is no multiple of 'num_attention_heads' 3"),
        ({"num_attention_heads": 8, "heads": 8}, "llama has no key 'heads'"),
        ({"model_type": "lama"}, "'model_type' \"lama\" is not supported"),
    ],
)
def test_settings_that_do_not_fit_the_tensors(tmp_path, given, words):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), None)
    with pytest.raises(SpecError) as caught:
        load_workload(path, seq_len=16, settings=given)
    assert words in str(caught.value).replace("'lama'", '"lama"')


def test_families_may_be_named(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), None)
    given = {"model_type": "mistral", "num_attention_heads": 8, "sliding_window": 8}
    found = load_workload(path, seq_len=16, settings=given)
    assert rows(found) == rows(build_trace({**LLAMA, **given}, prefill(16)))
    assert "mistral by names" in found.meta["assumed"]
    strange = write_safetensors(tmp_path / "other", {"a.weight": np.zeros((8, 8), np.float32)}, None)
    with pytest.raises(SpecError, match="no family is known by these tensors: --set model_type=… of gpt2, opt"):
        load_workload(strange, seq_len=16)


def test_without_a_length_the_run_must_have_one(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), None)
    with pytest.raises(SpecError, match="max_position_embeddings; give .* follows from --seq-len or --context"):
        load_workload(path, settings={"num_attention_heads": 8})
    whole = load_workload(path, settings={"num_attention_heads": 8, "max_position_embeddings": 256})
    assert rows(whole) == rows(build_trace(LLAMA, prefill()))


def test_quantized_tensors_need_their_method_as_a_setting(tmp_path):
    linear, config, w, _ = q.METHODS["gptq"]
    path = write_safetensors(tmp_path, hf_tensors(linear), None)
    with pytest.raises(SpecError, match="quantization_config of config.json does not say"):
        load_workload(path, seq_len=16, settings={"num_attention_heads": 8})
    found = load_workload(path, seq_len=16, settings={"num_attention_heads": 8, "quantization_config": config})
    assert {g.w_format for g in found.gemms if g.w_source == "dram" and g.role != "lm_head"} == {w}
    assert rows(found) == rows(build_trace(LLAMA, prefill(16)))


def test_from_the_command_line(tmp_path, capsys):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), None)
    assert run_command(["trace", str(path), "--seq-len", "16"]) == 2
    assert "give --set num_attention_heads=…" in " ".join(capsys.readouterr().err.split())
    line = ["trace", str(path), "--seq-len", "16", "--set", "num_attention_heads=8", "-o", str(tmp_path / "t.csv")]
    assert run_command(line) == 0
    assert "llama by names and shapes of tensors, not mistral" in capsys.readouterr().err
    assert run_command([*line, "--stats", "int8"]) == 0
    assert json.loads((tmp_path / "t.stats.json").read_text())
    run = ["run", "systolic_32x32_28nm", str(path), "--seq-len", "8", "--set", "workload.num_attention_heads=8"]
    assert run_command(run) == 0


def test_a_config_beside_it_takes_settings_of_its_family(tmp_path):
    path = write_safetensors(tmp_path, hf_tensors(q.plain), LLAMA)
    with pytest.raises(SpecError, match="4 blocks have self_attn.q_proj, but the model's keys give 2"):
        load_workload(path, seq_len=16, settings={"num_hidden_layers": 2})
    assert "assumed" not in load_workload(path, seq_len=16).meta


@pytest.mark.parametrize("block", [999_999, 100_000])
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "qwen3_moe"])
def test_a_block_of_a_huge_number_is_refused_at_once(tmp_path, family, block):
    """As many layers as the last one's number says are no model's."""
    tensors = {name.replace("layers.1.", f"layers.{block}."): one for name, one in recorded()[family].items()}
    path = write_typed(tmp_path / "model.safetensors", tensors)
    with (
        in_time(),
        pytest.raises(SpecError, match=f"'num_hidden_layers' must be a whole number from 1 to 4,096, not {block + 1}"),
    ):
        load_workload(path, seq_len=16, settings=MISSING[family])
