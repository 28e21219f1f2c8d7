"""A sweep takes every workload that ``hwsim run`` takes, relative to its own file; results follow what files hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.identity import Identity
from hwsim.explore.store import Store
from hwsim.explore.sweep import SweepResult, run_sweep
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.errors import SpecError
from hwsim.workload import load_workload
from tests.support.checkpoints import LLAMA, hf_tensors, write_gguf, write_safetensors

ARCH = """name: small
technology: 28nm
clock: 200 MHz
array: {rows: 16, cols: 16, dataflow: weight_stationary}
pe: {family: float_mac, format: fp16}
memories:
  weights: {size: 64 KiB}
  activations: {size: 64 KiB}
  outputs: {size: 64 KiB}
dram: {preset: ddr4_2400}
"""
TRACE = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,w_stats\none,gemm,24,40,56,1,3,,,,{}\n"
CHAT = "model: opt-125m\nphase: decode\ncontext: 64\n"
STATISTICS = {
    "hwsim": "tensor statistics",
    "source": "made up",
    "entries": {"all": {"tensors": 1, "elements": 2, "formats": {"int8": {"histogram": [1] * 256, "digits": {}}}}},
}


def write_files(folder: Path) -> None:
    """Write one workload of each kind below ``folder``."""
    below = folder / "files"
    (below / "llama").mkdir(parents=True)
    (folder / "small.yaml").write_text(ARCH)
    (below / "llama" / "config.json").write_text(json.dumps(LLAMA))
    (below / "t.csv").write_text(TRACE.format(""))
    (below / "chat.yaml").write_text(CHAT)
    (below / "topology.csv").write_text("Layer, M, N, K,\nfc, 8, 16, 32,\n")
    write_gguf(below / "tiny.gguf", lambda *_: "F16")
    for home in (below, folder):
        (home / "alone").mkdir()
        shutil.copy(below / "tiny.gguf", home / "alone")
    write_safetensors(below / "tensors", hf_tensors(lambda name, n, k: {f"{name}.weight": half(n, k)}), LLAMA)


def half(n: int, k: int) -> Any:
    import numpy as np

    return np.zeros((n, k), dtype=np.float16)


def opened(folder: Path, *workloads: str) -> Any:
    path = folder / "sweep.yaml"
    lines = "".join(f"- {workload}\n" for workload in workloads)
    path.write_text(f"name: s\nbase: small.yaml\nworkloads:\n{lines}")
    return open_sweep(path)


def swept(folder: Path, *workloads: str, store: Store | None = None) -> SweepResult:
    sweep = opened(folder, *workloads)
    return run_sweep(sweep, PointEvaluator(sweep), store)


@pytest.mark.parametrize(
    ("written", "named", "options"),
    [
        ("resnet-18", "resnet-18", {}),
        ("{model: opt-125m, phase: decode, context: 32}", "opt-125m", {"phase": "decode", "context": 32}),
        ("files/chat.yaml", "files/chat.yaml", {}),
        ("{source: files/chat.yaml, batch: 4}", "files/chat.yaml", {"batch": 4}),
        ("{trace: files/chat.yaml}", "files/chat.yaml", {}),
        ("files/t.csv", "files/t.csv", {}),
        ("{trace: files/t.csv}", "files/t.csv", {}),
        ("{source: files/t.csv}", "files/t.csv", {}),
        ("files/topology.csv", "files/topology.csv", {}),
        ("files/llama", "files/llama", {"seq_len": None}),
        ("files/llama/config.json", "files/llama/config.json", {}),
        ("{config: files/llama/config.json, seq_len: 16}", "files/llama/config.json", {"seq_len": 16}),
        ("files/tiny.gguf", "files/tiny.gguf", {}),
        ("{source: files/tiny.gguf, phase: decode, context: 8}", "files/tiny.gguf", {"phase": "decode", "context": 8}),
        ("files/tensors/model.safetensors", "files/tensors/model.safetensors", {}),
        ("files/tensors", "files/tensors", {}),
        ("files/alone", "files/alone", {}),
        ("alone", "./alone", {}),
    ],
)
def test_a_sweep_runs_what_run_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, named: str, options: dict[str, Any]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_files(home)
    monkeypatch.chdir(tmp_path)  # paths of a sweep start at its own folder
    (row,) = swept(home, written).frame.to_dict("records")
    monkeypatch.chdir(home)
    alone = evaluate(open_arch("small.yaml"), load_workload(named, **options)).design_row
    assert row["status"] == "ok", row["reason"]
    for name in ("latency_ms", "energy_mj", "utilization"):
        assert row[name] == alone[name]


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("files/chap.yaml", "workloads.0", "no such file (did you mean"),
        ("files/x.gguf", "workloads.0", "no such file"),
        ("elsewhere/t.csv", "workloads.0", "no such file; there is no directory"),
        ("resnet-19", "workloads.0", "unknown model 'resnet-19'"),
        ("{source: files/chap.yaml}", "workloads.0.source", "no such file (did you mean"),
        ("{source: files/chat.yaml, batch: four}", "workloads.0.batch", "must be an integer, not 'four'"),
        ("{trace: files/chat.yaml, seq_len: 3}", "workloads.0.seq_len", "has no meaning in decode; use context"),
        ("{source: files/chat.yaml, model: gpt2}", "workloads.0.source", "name exactly one of"),
        ("{config: files/llama/confi.json}", "workloads.0.config", "no such file (did you mean"),
    ],
)
def test_a_wrong_workload_is_an_error_at_its_place(tmp_path: Path, written: str, path: str, message: str) -> None:
    write_files(tmp_path)
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, "gpt2", written)
    (problem,) = caught.value.problems
    assert Path(problem.file) == tmp_path / "sweep.yaml"
    assert (problem.line, problem.path) == (5, path.replace("0", "1"))
    assert message in problem.message


def test_mistakes_within_a_workload_file_are_at_its_own_lines(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "files" / "chat.yaml").write_text("model: opt-125n\nphase: decode\n")
    for written in ("files/chat.yaml", "{source: files/chat.yaml}"):
        with pytest.raises(SpecError) as caught:
            opened(tmp_path, written)
        (problem,) = caught.value.problems
        assert (Path(problem.file).name, problem.line, problem.path) == ("chat.yaml", 1, "model")


def change_trace(below: Path) -> None:
    (below / "t.csv").write_text(TRACE.format("").replace("24", "25"))


def change_chat(below: Path) -> None:
    (below / "chat.yaml").write_text(CHAT.replace("64", "65"))


def change_config(below: Path) -> None:
    (below / "llama" / "config.json").write_text(json.dumps(LLAMA | {"intermediate_size": 1024}))


def change_gguf(below: Path) -> None:
    write_gguf(below / "tiny.gguf", lambda *_: "F16", layers=3)


def change_beside(below: Path) -> None:
    """Change the configuration that a checkpoint reads, not the checkpoint."""
    config = json.loads((below / "tensors" / "config.json").read_text())
    (below / "tensors" / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 128}))


@pytest.mark.parametrize(
    ("written", "change"),
    [
        ("files/t.csv", change_trace),
        ("{source: files/t.csv}", change_trace),
        ("files/chat.yaml", change_chat),
        ("{source: files/chat.yaml, batch: 2}", change_chat),
        ("files/llama", change_config),
        ("{config: files/llama/config.json}", change_config),
        ("files/tiny.gguf", change_gguf),
        ("files/tensors/model.safetensors", change_beside),
    ],
)
def test_results_are_found_again_until_a_file_changes(
    tmp_path: Path, written: str, change: Callable[[Path], None]
) -> None:
    write_files(tmp_path)
    with Store(tmp_path / "results.sqlite") as store:
        assert swept(tmp_path, written, store=store).evaluated == 1
        again = swept(tmp_path, written, store=store)
        assert (again.evaluated, again.reused) == (0, 1)
        change(tmp_path / "files")
        changed = swept(tmp_path, written, store=store)
        assert (changed.evaluated, changed.reused) == (1, 0)
    assert changed.frame["latency_ms"][0] != again.frame["latency_ms"][0]


def test_measured_statistics_that_a_trace_names_count_by_their_content(tmp_path: Path) -> None:
    keys = []
    for number, folder in enumerate((tmp_path / "one", tmp_path / "two", tmp_path / "three")):
        folder.mkdir()
        write_files(folder)
        (folder / "files" / "t.csv").write_text(TRACE.format("measured:stats.json#all"))
        held = STATISTICS | {"source": "another"} if number == 2 else STATISTICS
        (folder / "files" / "stats.json").write_text(json.dumps(held))
        sweep = opened(folder, "files/t.csv")
        keys.append(Identity(sweep, "r").key(sweep.space[0]))
    assert keys[0] == keys[1] != keys[2]


def test_workloads_have_the_names_of_their_files(tmp_path: Path) -> None:
    write_files(tmp_path)
    sweep = opened(tmp_path, "files/llama/config.json", "{source: files/chat.yaml, batch: 2}", "files/t.csv")
    assert sweep.workload_labels == ("llama", "chat batch=2", "t")


def test_validate_reads_the_workloads_of_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path)
    opened(tmp_path, "files/chat.yaml")
    assert run_command(["validate", str(tmp_path / "sweep.yaml")]) == 0
    (tmp_path / "files" / "chat.yaml").unlink()
    assert run_command(["validate", str(tmp_path / "sweep.yaml")]) == 2
    assert "workloads.0" in capsys.readouterr().err
