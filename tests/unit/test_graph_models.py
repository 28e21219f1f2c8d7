"""The same model by four roads: config.json, PyTorch on the meta device (recorded, live), ONNX, a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hwsim.workload import FAMILIES, load_workload, model_config
from tests.support.graph_models import (
    BATCH,
    FOLDER,
    MODELS,
    SEQ_LEN,
    config_of,
    gemm_multiset,
    recorded_multiset,
    recorded_tensors,
)

needs_family = {
    model: pytest.mark.skipif(config_of(model)["model_type"] not in FAMILIES, reason="this family is not there yet")
    for model in MODELS
}
ALL = [pytest.param(model, marks=needs_family[model]) for model in MODELS]


def by_config(model: str, folder: Path):
    path = folder / "config.json"
    path.write_text(json.dumps(config_of(model)))
    return load_workload(path, batch=BATCH, **lengths(model))


def by_onnx(model: str):
    pytest.importorskip("onnx")
    names = {"batch": BATCH} if model == "vit" else {"batch": BATCH, "sequence": SEQ_LEN}
    return load_workload({"source": str(FOLDER / f"{model}.onnx"), "settings": names})


def lengths(model: str) -> dict[str, int]:
    return {} if model == "vit" else {"seq_len": SEQ_LEN}


@pytest.mark.parametrize("model", ALL)
def test_config_and_recorded_run_have_the_same_gemms(model, tmp_path):
    assert gemm_multiset(by_config(model, tmp_path)) == recorded_multiset(model)


@pytest.mark.parametrize("model", MODELS)
def test_onnx_graph_and_recorded_run_have_the_same_gemms(model):
    assert gemm_multiset(by_onnx(model)) == recorded_multiset(model)


@pytest.mark.parametrize("model", ALL)
def test_checkpoint_and_recorded_run_have_the_same_gemms(model, tmp_path):
    """A checkpoint with the tensors that transformers saves, written by the official library."""
    (tmp_path / "config.json").write_text(json.dumps(config_of(model)))
    tensors = recorded_tensors(model)
    assert {dtype for dtype, _ in tensors.values()} == {"F32"}
    path = tmp_path / "model.safetensors"
    save_file({name: np.zeros(shape, np.float32) for name, (_, shape) in tensors.items()}, path)
    trace = load_workload({"source": str(path), "batch": BATCH, **lengths(model)})
    assert gemm_multiset(trace) == recorded_multiset(model)
    assert {gemm.w_format for gemm in trace.gemms if gemm.w_source == "dram"} == {"fp32"}


@pytest.mark.parametrize("model", ALL)
def test_config_and_onnx_graph_agree_on_where_weights_are(model, tmp_path):
    stored = [
        sorted((g.m, g.n, g.k, g.batch, g.repeat) for g in trace.unique() if g.w_source == "dram")
        for trace in (by_config(model, tmp_path), by_onnx(model))
    ]
    assert stored[0] == stored[1]


@pytest.mark.parametrize("model", MODELS)
def test_module_on_the_meta_device_runs_as_recorded(model):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    trace = load_workload(f"python:tests.support.graph_models.{model}", batch=BATCH, **lengths(model))
    assert gemm_multiset(trace) == recorded_multiset(model)


@pytest.mark.parametrize(
    "name",
    ["bert-large", "bitnet-b1.58-2b-4t", "deit-small-16", "gemma-2-2b", "gpt2", "llama-3-70b", "mistral-7b-v0.1",
     "opt-1.3b", "phi-2", "phi-3-mini-4k", "qwen2.5-0.5b", "qwen3-8b", "resnet-50"],
)  # fmt: skip
def test_shipped_models_have_the_gemms_that_transformers_runs(name, monkeypatch):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.support import graph_models

    fields = {key: value for key, value in model_config(name).items() if key != "torch_dtype"}
    heads = {"bert": "BertModel", "vit": "ViTForImageClassification", "resnet": "ResNetForImageClassification"}

    def shipped():
        config = transformers.AutoConfig.for_model(**fields)
        if config.model_type in heads:
            config.architectures = [heads[config.model_type]]
        return config

    monkeypatch.setattr(graph_models, "shipped", shipped, raising=False)
    kind = fields["model_type"]
    length = {} if kind in ("vit", "resnet") else {"seq_len": 128}
    settings = {"image_size": 224} if kind == "resnet" else {}
    ran = load_workload({"source": "python:tests.support.graph_models.shipped", "settings": settings, **length})
    ours = load_workload(name, **length)
    assert gemm_multiset(ran) == gemm_multiset(ours)
    known = ("parameters", "other_parameters", "kv_bytes_per_token_fp16", "kv_vectors", "head_dim")
    assert {key: ran.meta.get(key) or None for key in known} == {key: ours.meta.get(key) or None for key in known}


@pytest.mark.parametrize("model", ["llama", "bert", "vit"])
def test_eager_attention_is_the_same_as_fused(model, monkeypatch):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.support import graph_models

    def eager():
        fields = config_of(model)
        config = transformers.AutoConfig.for_model(**fields)
        config._attn_implementation = "eager"
        return getattr(transformers, fields["architectures"][0])(config)

    monkeypatch.setattr(graph_models, "eager", eager, raising=False)
    trace = load_workload("python:tests.support.graph_models.eager", batch=BATCH, **lengths(model))
    assert gemm_multiset(trace) == recorded_multiset(model)
    roles = {gemm.role for gemm in trace.gemms}
    assert {"score", "value"} <= roles


@pytest.mark.parametrize("model", ["llama", "opt"])
def test_a_decode_step_with_its_cache_is_that_of_the_config(model, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.support import graph_models

    fields = config_of(model)
    heads = fields.get("num_key_value_heads", fields["num_attention_heads"])

    def step():
        cache = transformers.DynamicCache()
        for layer in range(fields["num_hidden_layers"]):
            shape = (BATCH, heads, SEQ_LEN, fields["hidden_size"] // fields["num_attention_heads"])
            cache.update(torch.zeros(shape), torch.zeros(shape), layer)
        ids = torch.zeros((BATCH, 1), dtype=torch.long)
        return graph_models.build(model), {"input_ids": ids, "past_key_values": cache}

    monkeypatch.setattr(graph_models, "step", step, raising=False)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields))
    ours = load_workload(path, phase="decode", context=SEQ_LEN, batch=BATCH)
    ran = load_workload("python:tests.support.graph_models.step")
    assert gemm_multiset(ran) == gemm_multiset(ours)
    assert {gemm.w_source for gemm in ran.gemms if gemm.kind == "attention"} == {"kv"}
    assert ran.meta["kv_vectors"] == ours.meta["kv_vectors"]


@pytest.mark.parametrize("model", ["llama", "mixtral"])
def test_heads_that_share_a_kv_head_are_rows_of_one_product(model):
    config = config_of(model)
    groups = config["num_attention_heads"] // config["num_key_value_heads"]
    scores = [gemm for gemm in by_onnx(model).gemms if gemm.role == "score"]
    assert [(g.batch, g.m) for g in scores] == [(BATCH * config["num_key_value_heads"], groups * SEQ_LEN)]
