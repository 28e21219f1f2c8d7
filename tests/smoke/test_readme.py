"""Every command of the README, and every example file, runs as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from hwsim.cli.main import run_command
from hwsim.spec.data import example_names
from hwsim.workload.importers.base import IMPORTERS
from tests.support.checkpoints import LLAMA, hf_tensors, write_gguf, write_safetensors
from tests.support.quantized import plain

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


FILES = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith(("# formats/", "# workloads/"))]


def commands():
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    return [line for line in lines if line.startswith("hwsim ") and ("python:" not in line or find_spec("torch"))]


def test_there_are_exactly_two_commands_for_a_fresh_machine():
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    assert [line for line in lines if line.startswith("make ")] == ["make demo", "make test"]
    assert len(commands()) >= 12


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder that looks like a checkout: the README's commands share their files in order."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("arch_configs", "sweeps"):
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    (folder / "formats").mkdir()
    (folder / "workloads").mkdir()
    for text in FILES:
        (folder / text.split(":")[0].removeprefix("# ")).write_text(text)
    write_own_models(folder / "my")
    return folder


def write_own_models(folder):
    """Write one of each kind of source that a user brings."""
    write_safetensors(folder / "llama", hf_tensors(plain), LLAMA)
    write_gguf(folder / "model.gguf", lambda *_: "Q4_K")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "sequence", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.0] * 8)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")], "g", [x], [y], [w])
    save(helper.make_model(graph), folder / "model.onnx")
    (folder / "net.py").write_text(
        "def make():\n    import torch\n    return torch.nn.Linear(4, 2), torch.zeros(3, 4)\n"
    )
    (folder / "topology.csv").write_text("Layer, M, N, K,\nfc, 3, 2, 4,\n")
    (folder / "rows.csv").write_text("layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\nfc,gemm,3,2,4,1,1,,,\n")
    (folder / "rows.yaml").write_text("ops:\n- {layer: fc, op: gemm, m: 3, n: 2, k: 4}\n")


def test_every_kind_of_source_has_a_command():
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    sources = [shlex.split(line)[2] for line in lines if line.startswith("hwsim trace ")]
    for ending in {end for _, one in IMPORTERS.items() for end in (*one.suffixes, *one.schemes)} - {
        ".safetensors.index.json"
    }:
        assert any(source.endswith(ending) or source.startswith(ending) for source in sources), ending
    assert {"llama-3-8b", "my/rows.yaml", "my/topology.csv", "my/rows.csv"} <= set(sources)


@pytest.mark.xdist_group("readme")
def test_all_commands_in_order(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for line in commands():
        assert run_command(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
        assert capsys.readouterr().err.count("error") == 0, line


PYTHON = [text for kind, text in BLOCKS if kind == "python"]
SHOWN = [("energy_pj", "mxfp4"), ("posit8_es2", "fp4_e2m1_g16_ue5m3")]


@pytest.mark.parametrize(("code", "shown"), list(zip(PYTHON, SHOWN, strict=True)))
def test_python_examples(code, shown, workplace):
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in shown)


def test_yaml_example_is_a_valid_architecture(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text(next(text for kind, text in BLOCKS if kind == "yaml" and text not in FILES))
    assert run_command(["validate", str(tmp_path / "mine.yaml")]) == 0
    assert run_command(["run", str(tmp_path / "mine.yaml"), "opt-125m", "--phase", "decode", "--context", "64"]) == 0


@pytest.mark.parametrize("name", example_names("arch_configs"))
def test_every_architecture_runs_a_model(name, capsys):
    assert run_command(["validate", str(ROOT / "arch_configs" / f"{name}.yaml")]) == 0
    assert run_command(["run", name, "opt-125m", "--phase", "decode", "--context", "128"]) == 0


@pytest.mark.parametrize("name", example_names("sweeps"))
def test_every_sweep_is_valid(name, capsys):
    assert run_command(["validate", str(ROOT / "sweeps" / f"{name}.yaml")]) == 0


def test_the_acceptance_sweep_is_as_large_as_promised():
    from hwsim.explore.evaluation import open_sweep

    sweep = open_sweep(ROOT / "sweeps" / "llama2_7b_formats.yaml")
    assert len(sweep.space) >= 200
    assert sweep.workload_labels[0].split()[1] == "prefill"
    assert sweep.workload_labels[1].split()[1] == "decode"
    assert len(sweep.spec.grid["pe"]) >= 10
    assert {"array.rows", "memories.weights.size"} <= set(sweep.spec.grid)
