from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.spec.bind import json_schema
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Gemm, Trace, WorkloadSpec, load_workload, model_config, write_trace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_trace(Trace("t", (Gemm("q", 2, 3, 4, role="qkv"),)), tmp_path / "mine.csv")
    (tmp_path / "tiny.json").write_text(json.dumps(model_config("opt-125m")))
    named = tmp_path / "my-llama"
    named.mkdir()
    (named / "config.json").write_text(json.dumps(model_config("llama-3.2-1b")))
    (tmp_path / "work.yaml").write_text("config: tiny.json\nphase: decode\ncontext: 64\nbatch: 2\n")
    return tmp_path


def test_a_name_a_config_a_trace_and_a_yaml(folder: Path) -> None:
    assert load_workload("opt-125m", seq_len=16).name == "opt-125m prefill 16"
    assert load_workload(folder / "tiny.json", seq_len=16).name == "tiny prefill 16"
    assert load_workload(str(folder / "my-llama" / "config.json"), seq_len=16).name == "my-llama prefill 16"
    assert load_workload(folder / "my-llama", seq_len=16).name == "my-llama prefill 16"
    assert load_workload(folder / "mine.csv").ops == (Gemm("q", 2, 3, 4, role="qkv"),)
    trace = load_workload(folder / "work.yaml")
    assert trace.name == "tiny decode 64"
    assert trace.meta["batch"] == 2
    assert trace.ops == load_workload("opt-125m", phase="decode", context=64, batch=2).ops


def test_options_replace_fields_and_none_means_not_given(folder: Path) -> None:
    assert load_workload(folder / "work.yaml", context=8, batch=None).name == "tiny decode 8"
    spec = WorkloadSpec(model="opt-125m", seq_len=16)
    assert load_workload(spec, seq_len=8).name == "opt-125m prefill 8"
    assert load_workload({"model": "opt-125m"}, seq_len=8) == load_workload(spec, seq_len=8)


def test_specs_are_resolved_where_they_stand(folder: Path) -> None:
    assert load_workload({"trace": "mine.csv"}, folder=folder).macs == 24
    with pytest.raises(UsageError, match=r"trace: '.*mien.csv': no such file \(did you mean '.*mine.csv'"):
        load_workload({"trace": "mien.csv"}, folder=folder)


def test_aliases_become_names() -> None:
    assert WorkloadSpec(model="vit-b-16").model == "vit-base-16"
    assert load_workload("ViT-B-16").name == "vit-base-16 prefill"


def test_a_name_can_be_given() -> None:
    assert load_workload({"model": "opt-125m", "name": "chat", "seq_len": 4}).name == "chat"


def test_policies_and_overrides_fill_formats() -> None:
    base: dict[str, Any] = {"model": "opt-125m", "seq_len": 4}
    filled = load_workload({**base, "policy": "w4a16_g128"})
    assert {gemm.w_format for gemm in filled.gemms if gemm.w_source == "dram"} == {"int4_g128"}
    mixed = load_workload({**base, "overrides": [{"match": "lm_head", "w_format": "int8"}]})
    assert [gemm.layer for gemm in mixed.gemms if gemm.w_format] == ["lm_head"]
    both = load_workload({**base, "policy": {"preset": "w8a8", "kv_format": "int4"}, "overrides": [
        {"role": "ffn", "w_format": "int4"}]})  # fmt: skip
    assert {gemm.role: gemm.w_format for gemm in both.gemms} == {
        "qkv": "int8", "score": "int4", "value": "int4", "attn_out": "int8", "ffn": "int4", "lm_head": "int8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "missing: name exactly one of model, config, trace"),
        ({"model": "gpt2", "trace": "x.csv"}, "not model and trace"),
        ({"model": "gtp2"}, "unknown model 'gtp2'.*did you mean 'gpt2'"),
        ({"model": "gpt2", "phase": "decde"}, "did you mean 'decode'"),
        ({"model": "gpt2", "context": 5}, "workload: context: has no meaning in prefill; use seq_len"),
        ({"model": "gpt2", "phase": "decode", "seq_len": 5}, "seq_len: has no meaning in decode; use context"),
        ({"model": "gpt2", "seqlen": 5}, "unknown key 'seqlen'.*did you mean 'seq_len'"),
        ({"model": "gpt2", "seq_len": 0}, "seq_len: .*0"),
        ({"model": "gpt2", "batch": 1.5}, "batch: .*1.5"),
        ({"trace": "x.csv", "batch": 2}, "a trace is fixed; batch cannot change it"),
        ({"trace": "x.csv", "phase": "prefill"}, "a trace is fixed; phase cannot change it"),
        ({"model": "gpt2", "policy": "w4a61_x"}, "policy: unknown policy 'w4a61_x'"),
        ({"model": "gpt2", "policy": {"w_format": "int8", "a_format": 7}}, "policy: .* 7"),
        ({"model": "gpt2", "policy": {"preset": 7}}, "policy: .* 7"),
        ({"model": "gpt2", "policy": {"preset": "w8a8", "overrides": 3}}, "policy: .* 3"),
        ({"model": "gpt2", "policy": {"preset": "w8a8", "bits": 4}}, "unknown key 'bits'"),
        ({"model": "gpt2", "overrides": [{"match": "lm_head", "w_format": "int8x"}]}, "int8x"),
        ({"model": "gpt2", "overrides": [{"match": "lm_haed", "w_format": "int8"}]}, "matches nothing"),
        ({"model": "bert-base", "phase": "decode"}, "bert has no decode phase"),
        ({"model": "resnet-50", "seq_len": 5}, "resnet takes images"),
    ],
)
def test_mistakes(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_workload(fields)


def test_yaml_mistakes_have_a_place(folder: Path) -> None:
    path = folder / "bad.yaml"
    path.write_text("model: llama-2-7\nphase: prefil\nbatch: 0\n")
    with pytest.raises(SpecError) as caught:
        load_workload(path)
    assert [(p.line, p.path) for p in caught.value.problems] == [(1, "model"), (2, "phase"), (3, "batch")]


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("model: bert-base\nphase: decode\n", 2, "phase"),
        ("model: bert-base\nseq_len: 9999\n", 2, "seq_len"),
        ("trace: mine.csv\nbatch: 2\n", 2, "batch"),
        ("model: gpt2\ntrace: mine.csv\n", 2, "trace"),
        ("name: x\ntrace: absent.csv\n", 2, "trace"),
        ("name: x\nconfig: absent.json\n", 2, "config"),
        ("name: x\nmodel: gpt2\npolicy: w4a99\n", 3, "policy"),
        ("model: gpt2\noverrides:\n- {match: ffn, w_format: int8}\n- {w_format: int8}\n", 4, "overrides.1"),
        ("model: gpt2\noverrides:\n- {match: fnn, w_format: int8}\n", 3, "overrides"),
    ],
)
def test_mistakes_beyond_one_field_have_a_place_too(folder: Path, text: str, line: int, path: str) -> None:
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        load_workload(folder / "bad.yaml")
    assert [(p.line, p.path) for p in caught.value.problems] == [(line, path)]


def test_options_are_named_as_such(folder: Path) -> None:
    with pytest.raises(SpecError, match="^options: batch: a trace is fixed; batch cannot change it$"):
        load_workload(folder / "mine.csv", batch=2)
    with pytest.raises(SpecError, match="^options: phase: bert has no decode phase; use prefill$"):
        load_workload("bert-base", phase="decode")


def test_unknown_words_and_files(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'llama-2-7'.*did you mean 'llama-2-7b'"):
        load_workload("llama-2-7")
    with pytest.raises(UsageError, match="no such file"):
        load_workload(str(folder / "absent.json"))
    with pytest.raises(UsageError, match=r"model\.zip: no such file; valid: a file \(\.csv, .*\.json.*\), a folder or"):
        load_workload(folder / "model.zip")
    (folder / "model.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"unknown kind of workload file; valid: \.csv, .*\.json"):
        load_workload(folder / "model.zip")


def test_the_schema_describes_every_field() -> None:
    schema = json_schema(WorkloadSpec, "workload")
    for name, field in schema["properties"].items():
        assert "description" in field, name
    json.dumps(schema)


def test_the_public_face_is_complete() -> None:
    import hwsim.workload as face

    assert sorted(face.__all__) == list(face.__all__)
    for name in face.__all__:
        assert getattr(face, name).__doc__


def test_importing_workload_does_not_load_pandas() -> None:
    import subprocess
    import sys

    code = "import sys, hwsim.workload; print([m for m in ('pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
