"""Statistics of weights whatever their layout in the file, under a policy, and from folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.measured import codes_of, read_measured
from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.checkpoints import measure as pieces
from hwsim.workload.statistics import measure
from tests.support.checkpoints import write_safetensors
from tests.unit.test_workload_statistics import TINY, weights

FORMATS = ("int8", "nf4_g64_dq8", "int4_g32")


def counted(name: str, *matrices: np.ndarray) -> np.ndarray:
    fmt = parse_format(name)
    codes = [codes_of(fmt, one.astype(np.float32)).reshape(-1).astype(np.int64) for one in matrices]
    return sum(np.bincount(one, minlength=2**fmt.element.bits) for one in codes)


def of_layer(trace, layer):
    return read_measured(next(gemm for gemm in trace.gemms if gemm.layer == layer).w_stats)


@pytest.mark.parametrize("chunk", [500, 1 << 20])
def test_windows_of_a_convolution_are_rows(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    config = {
        "model_type": "vit", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1,
        "num_attention_heads": 4, "image_size": 32, "patch_size": 8, "num_channels": 3, "num_labels": 10,
    }  # fmt: skip
    block = {"attention.attention.query": (64, 64), "attention.attention.key": (64, 64), "attention.attention.value": (64, 64),
             "attention.output.dense": (64, 64), "intermediate.dense": (128, 64), "output.dense": (64, 128)}  # fmt: skip
    tensors = {
        f"encoder.layer.0.{name}.weight": rng.standard_normal(shape).astype(np.float32) for name, shape in block.items()
    }
    tensors["embeddings.patch_embeddings.projection.weight"] = rng.standard_normal((64, 3, 8, 8)).astype(np.float32)
    tensors["classifier.weight"] = rng.standard_normal((10, 64)).astype(np.float32)
    path = tmp_path / "vit" / "model.safetensors"
    path.parent.mkdir()
    save_file(tensors, path)
    (path.parent / "config.json").write_text(json.dumps(config))
    trace = measure(load_workload(path), path, FORMATS, tmp_path / "t.stats.json")
    patches = tensors["embeddings.patch_embeddings.projection.weight"].reshape(64, 192)
    for name in FORMATS:
        assert np.array_equal(of_layer(trace, "patch_embed")[name], counted(name, patches))


@pytest.mark.parametrize("chunk", [300, 1 << 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_matrices_with_inputs_as_rows_are_turned(tmp_path, monkeypatch, chunk, dtype):
    """GPT-2 keeps Conv1D; square ones, whose shape says nothing, as well."""
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    rng = np.random.default_rng(1)
    config = {"model_type": "gpt2", "n_embd": 64, "n_layer": 1, "n_head": 4, "vocab_size": 50, "n_positions": 32}
    shapes = {"attn.c_attn": (64, 192), "attn.c_proj": (64, 64), "mlp.c_fc": (64, 256), "mlp.c_proj": (256, 64)}
    tensors = {f"h.0.{name}.weight": rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    tensors["wte.weight"] = rng.standard_normal((50, 64)).astype(dtype)
    path = tmp_path / "gpt2" / "model.safetensors"
    path.parent.mkdir()
    save_file(tensors, path)
    (path.parent / "config.json").write_text(json.dumps(config))
    trace = measure(load_workload(path, seq_len=8), path, FORMATS, tmp_path / "t.stats.json")
    for layer, name in (("attn.o_proj", "attn.c_proj"), ("mlp.up_proj", "mlp.c_fc"), ("mlp.down_proj", "mlp.c_proj")):
        for fmt in FORMATS:
            assert np.array_equal(of_layer(trace, layer)[fmt], counted(fmt, tensors[f"h.0.{name}.weight"].T))
    for fmt in FORMATS:
        assert np.array_equal(of_layer(trace, "lm_head")[fmt], counted(fmt, tensors["wte.weight"]))


@pytest.fixture
def tiny(tmp_path):
    return write_safetensors(tmp_path / "tiny", weights(), TINY)


@pytest.mark.parametrize(("policy", "own"), [("w8a8", "int8"), ("w4a16_g128", "int4_g128"), ("mxfp4", "mxfp4")])
def test_a_policy_is_measured_in_its_own_format(tmp_path, tiny, policy, own):
    trace = measure(load_workload(tiny, seq_len=8, policy=policy), tiny, ["int4_g32"], tmp_path / "t.stats.json")
    both = [weights()[f"model.layers.{layer}.mlp.down_proj.weight"] for layer in range(2)]
    found = of_layer(trace, "mlp.down_proj")
    for name in (own, "int4_g32"):
        assert np.array_equal(found[name], counted(name, *both))
    assert {gemm.w_format for gemm in trace.gemms if gemm.w_source == "dram"} == {own}


def test_layers_with_formats_of_their_own_are_measured_apart(tmp_path, tiny):
    policy = {"preset": "w8a8", "overrides": [{"match": "mlp.down_proj", "last": 1, "w_format": "int4"}]}
    trace = measure(load_workload(tiny, seq_len=8, policy=policy), tiny, ["int8"], tmp_path / "t.stats.json")
    for gemm in trace.gemms:
        if gemm.layer == "mlp.down_proj":
            layer = {"int8": 0, "int4": 1}[gemm.w_format]
            matrix = weights()[f"model.layers.{layer}.mlp.down_proj.weight"]
            assert np.array_equal(read_measured(gemm.w_stats)[gemm.w_format], counted(gemm.w_format, matrix))


def test_nothing_is_written_of_what_cannot_be_measured(tmp_path):
    from tests.support.checkpoints import write_gguf

    write_gguf(tmp_path / "q.gguf", lambda *_: "Q3_K")
    with pytest.raises(UsageError, match=r"none of its weights can be measured; the rows of the trace have q3_k"):
        measure(load_workload(tmp_path / "q.gguf", seq_len=8), tmp_path / "q.gguf", ["int8"], tmp_path / "t.stats.json")
    assert not (tmp_path / "t.stats.json").exists()


def test_folders_and_workload_files_are_measured(tmp_path, tiny, capsys):
    (tmp_path / "w.yaml").write_text("source: tiny\nseq_len: 8\n")
    found = []
    for number, source in enumerate((tiny, tiny.parent, tmp_path / "w.yaml")):
        target = tmp_path / f"t{number}.csv"
        assert run_command(["trace", str(source), "--seq-len", "8", "--stats", "int8", "-o", str(target)]) == 0
        found.append(json.loads(target.with_suffix("").with_suffix(".stats.json").read_text())["entries"])
    assert found[0] == found[1] == found[2]
    assert found[0]
