"""What a person sees when a source of ``hwsim trace`` is wrong: files that importers read, folders, names, settings.

Each is given to the real command line from a folder of its own: one message, exit code 2, nothing written.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.spec.screen import HEIGHT, WIDTH
from tests.support.checkpoints import LLAMA, hf_tensors, write_gguf, write_safetensors
from tests.support.quantized import plain

pytestmark = pytest.mark.usefixtures("folded")

#: CPU seconds that one refusal may take, libraries imported.
SECONDS = 1.0
OPS = "ops:\n- {{layer: a, op: gemm, m: 1, n: 2, {}}}\n"
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
POLICY = "model: opt-125m\nseq_len: 4\npolicy: {{preset: w4a16, {}}}\n"
OVERRIDE = POLICY.replace("{}", "overrides: [{{match: ffn, w_format: fp16, {}}}]")


def quantized(**keys: object) -> str:
    return json.dumps({**LLAMA, "quantization_config": keys})


def config(**keys: object) -> str:
    return json.dumps({key: value for key, value in {**LLAMA, **keys}.items() if value != "left out"})


#: Name of the file, its text, words of the message.
TEXTS: dict[str, tuple[str, str, Sequence[str]]] = {
    # own rows
    "k left out in YAML": ("o.yaml", OPS.format("batch: 1"), ("o.yaml:2:3", "k: is missing", "gemm needs it")),
    "k of 0": ("o.yaml", OPS.format("k: 0"), ("o.yaml:2:", "ops.0.k: must be at least 1, not 0")),
    "k true": ("o.yaml", OPS.format("k: true"), ("ops.0.k: must be an integer, not true",)),
    "k not a number": ("o.yaml", OPS.format("k: .nan"), ("ops.0.k: must be an integer, not .nan",)),
    "k as text": ("o.yaml", OPS.format('k: "3"'), ("not '3'; remove the quotes",)),
    "kk for k": ("o.yaml", OPS.format("kk: 3"), ("unknown key 'kk'", "did you mean 'k'?")),
    "no rows": ("o.yaml", "ops: []\n", ("o.yaml:1:6: ops: must be at least 1 item long",)),
    "row as a list": ("o.yaml", "ops:\n- [a, gemm, 1, 2, 3]\n", ("o.yaml:2:3: ops.0: must be a mapping",)),
    "k left out in CSV": (
        "t.csv", "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\na,gemm,1,2,,1,1,,,\n",
        ("t.csv:2:12: k: is missing",),
    ),
    "no header": ("t.csv", "a,gemm,1,2,3,1,1,,,\n", ("t.csv:1:1: header: missing columns", "SCALE-Sim topology begins")),
    "columns of a topology in another order": ("t.csv", "Layer,M,K,N\nq,1,2,3\n", ("begins with Layer, M, N, K",)),
    # SCALE-Sim
    "stride of 0": ("t.csv", f"{CONV}c, 5,5,3,3,3,4,0,\n", ("t.csv:2:", "Strides: must be a whole number", "not '0'")),
    "kernel beyond the image": ("t.csv", f"{CONV}c, 5,5,7,7,3,4,1,\n", ("t.csv:2:1", "a kernel of 7 does not fit in 5")),
    "field too few": ("t.csv", f"{CONV}c, 5,5,3,3,3,4,\n", ("7 fields, but a layer has 8",)),
    "K below 0": ("t.csv", "Layer,M,N,K,\nq,1,2,-3,\n", ("t.csv:2:7: K: must be", "not '-3'")),
    "no layers": ("t.csv", CONV, ("t.csv: holds no layer",)),
    "sparsity above 1": ("t.csv", f"{CONV}c, 5,5,3,3,3,4,1,4:2\n", ("4:2 is no N:M with N from 1 to M",)),
    # config.json
    "state space": ("c.json", config(model_type="mamba2"), ("c.json:1:16", "not modelled: state-space layers", "ONNX", "python:")),
    "hybrid": ("c.json", config(model_type="nemotron_h"), ("not modelled: state-space layers",)),
    "linear attention": ("c.json", config(model_type="rwkv"), ("not modelled: linear attention",)),
    "typing error": ("c.json", config(model_type="qwen22"), ("did you mean 'qwen2'?",)),
    "another case": ("c.json", config(model_type="LLaMA"), ("did you mean 'llama'?",)),
    "nothing like it": ("c.json", config(model_type="frobnicate"), ("if they are Llama's", "--set model_type=llama")),
    "class alone": ("c.json", config(model_type=None, architectures=["LlamaForCausalLM"]), ("is it 'llama'?",)),
    "type as a list": ("c.json", config(model_type=["llama"]), ("must be text, not a list of 1 item",)),
    "zero heads": ("c.json", config(num_attention_heads=0), ("'num_attention_heads' must be a whole number", "not 0")),
    "zero KV heads": ("c.json", config(num_key_value_heads=0), ("'num_key_value_heads' must be", "not 0")),
    "KV heads that do not divide": (
        "c.json", config(num_key_value_heads=3), ("'num_attention_heads' 8 is no multiple of 'num_key_value_heads' 3",)
    ),
    "odd width": ("c.json", config(hidden_size=513), ("no multiple of 'num_attention_heads' 8; valid: such as 512 or 520",)),
    "NaN": ("c.json", config(hidden_size=float("nan")), ("'hidden_size' must be a whole number", "not .nan")),
    "infinity": ("c.json", config(num_hidden_layers=float("inf")), ("'num_hidden_layers' must be", "not .inf")),
    "boolean": ("c.json", config(vocab_size=True), ("'vocab_size' must be a whole number", "not true")),
    "a thousand million layers": ("c.json", config(num_hidden_layers=10**9), ("from 1 to 4,096",)),
    "more experts than there are": (
        "c.json", config(model_type="mixtral", num_local_experts=8, num_experts_per_tok=9),
        ("'num_experts_per_tok' 9 is more than 'num_local_experts' 8",),
    ),
    "a million experts": (
        "c.json", config(model_type="mixtral", num_local_experts=10**6, num_experts_per_tok=2), ("from 1 to 4,096",)
    ),
    "cut off": ("c.json", '{"model_type": "llama", "hidd', ("c.json:1:25", "not valid JSON")),
    # quantization_config
    "unknown method": ("c.json", quantized(quant_method="gptqq"), ("c.json:1:", "did you mean 'gptq'?")),
    "method left out": ("c.json", quantized(bits=4), ("quant_method null is not supported; valid: awq",)),
    "GPTQ of 5 bits": ("c.json", quantized(quant_method="gptq", bits=5), ("bits 5 is not supported; valid: 2, 3, 4, 8",)),
    "GPTQ of true bits": ("c.json", quantized(quant_method="gptq", bits=True), ("bits must be", "not true")),
    "GPTQ group of 0": (
        "c.json", quantized(quant_method="gptq", bits=4, group_size=0),
        ("'quantization_config' group_size must be a whole number from 1 to 65,536, not 0",),
    ),
    "GPTQ exception": (
        "c.json", quantized(quant_method="gptq", bits=4, dynamic={"a": 5}), ("dynamic: 'a' must have a mapping", "not 5")
    ),
    "AWQ group as text": ("c.json", quantized(quant_method="awq", group_size="128"), ("group_size must be", "not '128'")),
    "AWQ version": ("c.json", quantized(quant_method="awq", version="gemmm"), ("did you mean 'GEMM'?",)),
    "FP8 block": ("c.json", quantized(quant_method="fp8", weight_block_size=[128]), ("must be two sizes such as [128, 128]",)),
    "compressed-tensors without groups": ("c.json", quantized(quant_method="compressed-tensors"), ("config_groups must name",)),
    "compressed-tensors bits": (
        "c.json",
        quantized(quant_method="compressed-tensors", config_groups={"g": {"weights": {"num_bits": 5.5}}}),
        ("'quantization_config' config_groups.g.weights: num_bits must be a whole number from 2 to 8, not 5.5",),
    ),
    "bitsandbytes both": (
        "c.json", quantized(quant_method="bitsandbytes", load_in_4bit=True, load_in_8bit=True), ("both load_in_4bit and",)
    ),
    "bitsandbytes neither": ("c.json", quantized(quant_method="bitsandbytes"), ("load_in_4bit or load_in_8bit: true",)),
    "bitsandbytes type": (
        "c.json", quantized(quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type="nf5"), ("mean 'nf4'?",)
    ),
    "BitNet exceptions": ("c.json", quantized(quant_method="bitnet", modules_to_not_convert=5), ("list of names, not 5",)),
    "MXFP4 exceptions": ("c.json", quantized(quant_method="mxfp4", modules_to_not_convert="x"), ("list of names, not 'x'",)),
    "list of methods": ("c.json", config(quantization_config=["gptq"]), ("must be a mapping, not a list of 1 item",)),
    # policies
    "policy of an unknown key": ("p.yaml", POLICY.format("overides: []"), ("p.yaml:3:9", "did you mean 'overrides'?")),
    "share above 1": ("p.yaml", OVERRIDE.format("share: 1.5"), ("share must be between 0 and 1", "not 1.5")),
    "share true": ("p.yaml", OVERRIDE.format("share: true"), ("share must be between 0 and 1", "not true")),
    "share of hours": ("p.yaml", OVERRIDE.format('share: "1e999999999"'), ("not '1e999999999'",)),
    "share by 0": ("p.yaml", OVERRIDE.format("share: 1/0"), ("not '1/0'",)),
    "block of 0": ("p.yaml", OVERRIDE.format("share: 0.1, block: 0"), ("block must be a whole number of at least 1",)),
    "layers beyond the model": ("p.yaml", OVERRIDE.format("layers: 40-50"), ("layers 40-50 are none", "has layers 0 to 11")),
    "layers backwards": ("p.yaml", OVERRIDE.format("layers: 5-2"), ("layers '5-2'; valid: numbers and ranges",)),
    "match of nothing": (
        "p.yaml", POLICY.format("overrides: [{match: lm_heed, w_format: int8}]"), ("matches nothing", "mean 'lm_head'?")
    ),
    "format as a number": ("p.yaml", POLICY.format("kv_format: 8"), ("a format is named by text, not 8",)),
    "unknown mix": ("p.yaml", "model: opt-125m\npolicy: gguf:Q4_K_X\n", ("unknown mix 'Q4_K_X'", "mean 'Q4_K_S'?")),
    # workloads
    "folder without config.json": ("w.yaml", "config: .\n", ("w.yaml:1:9: config: 'config.json': no such file",)),
    "setting of a config": (
        "w.yaml", "model: llama-3-8b\nsettings: {num_hidden_layers: 0}\n",
        ("w.yaml:2:11: settings: 'num_hidden_layers' must be a whole number from 1",),
    ),
    "name that a file lacks": ("w.yaml", "source: python:w.py:net\n", ("w.yaml:1:9: source: w.py: no such file",)),
    "draft of another vocabulary": (
        "w.yaml", "model: llama-3-8b\nphase: speculative\ndraft: llama-2-7b\ndraft_tokens: 2\nacceptance: 0.5\n",
        ("w.yaml:3:8: draft: another vocabulary: llama-2-7b has 32,000 tokens, llama-3-8b has 128,256",),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], words: Sequence[str], *arguments: str) -> None:
    """Run a command that must end with one message and leave the folder as it is."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    start = time.process_time()
    code = run_command(list(arguments))
    taken = time.process_time() - start
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert "internal error" not in err
    assert err.count("error: ") == 1 or err.count("Error: ") == 1, err
    lines = err.splitlines()
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
    folded = " ".join(err.split())
    for part in words:
        assert part in folded, err
    assert taken < SECONDS, f"{taken:.2f} s"
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS)
def test_texts(case: tuple[str, str, Sequence[str]], capsys: pytest.CaptureFixture[str]) -> None:
    name, text, words = case
    Path(name).write_text(text)
    refused(capsys, words, "trace", name, "-o", "out.csv", "--plot", "out.svg")


# --- settings


def onnx_file() -> str:
    helper = pytest.importorskip("onnx.helper")
    onnx = pytest.importorskip("onnx")
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")],
        "g",
        [helper.make_tensor_value_info("x", kind, ["batch", 4])],
        [helper.make_tensor_value_info("y", kind, None)],
        [helper.make_tensor("w", kind, [4, 2], [0.0] * 8)],
    )
    onnx.save(helper.make_model(graph), "m.onnx")
    return "m.onnx"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0", ("settings: batch=0 leaves fc nothing to multiply; valid: at least 1",)),
        *((value, (f"settings: batch must be a whole number from 0 to 2^48, not '{value}'",))
          for value in ("-1", "NaN", "two", "1.5", "", "true", "1e3", "9" * 40)),
    ],
)  # fmt: skip
def test_sizes_of_a_graph(value: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, words, "trace", onnx_file(), "--set", f"batch={value}", "-o", "out.csv")


def test_other_settings_of_a_graph(capsys: pytest.CaptureFixture[str]) -> None:
    name = onnx_file()
    refused(capsys, ("batch is free; give sizes: hwsim trace … --set batch=1",), "trace", name)
    refused(capsys, ("no extent called 'btch'", "did you mean 'batch'?"), "trace", name, "--set", "btch=1")
    refused(capsys, ("phase: an ONNX graph is fixed",), "trace", name, "--set", "batch=1", "--phase", "decode")
    refused(capsys, ("expected PATH=VALUE",), "trace", name, "--set", "batch")
    Path(name).write_bytes(Path(name).read_bytes()[:40])
    refused(capsys, ("m.onnx", "it is truncated"), "trace", name, "--set", "batch=1")


@pytest.mark.parametrize("source", ["llama-3-8b", "c.json"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("num_hidden_layers=0", ("settings: 'num_hidden_layers' must be a whole number from 1", "not 0")),
        ("num_hidden_layers=NaN", ("settings: 'num_hidden_layers' must be", "not 'NaN'")),
        ("num_hidden_layers=two", ("settings: 'num_hidden_layers' must be", "not 'two'")),
        ("num_hidden_layers=", ("settings: 'num_hidden_layers' is missing",)),
        ("num_hidden_layers=[2", ("settings: num_hidden_layers: this '[' is not closed",)),
        ("num_hiden_layers=2", ("no key 'num_hiden_layers'", "did you mean 'num_hidden_layers'?")),
        ("num_key_value_heads=7", ("settings: 'num_attention_heads'", "'num_key_value_heads' 7")),
        ("model_type=mamba", ("settings: 'model_type' 'mamba' is not supported (not modelled: state-space",)),
        ("batch=1", ("settings: llama has no key 'batch'",)),
    ],
)
def test_settings_of_a_config(
    source: str, setting: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.json").write_text(json.dumps(LLAMA))
    refused(capsys, words, "trace", source, "--set", setting, "-o", "out.csv")


def test_what_is_said_of_an_unknown_type_works(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.json").write_text(config(model_type="frobnicate"))
    assert run_command(["trace", "c.json", "--set", "model_type=llama", "--summary"]) == 0
    other = capsys.readouterr().out
    Path("c.json").write_text(config())
    assert run_command(["trace", "c.json", "--summary"]) == 0
    assert capsys.readouterr().out == other


# --- folders and names


def folder(name: str, *files: str) -> str:
    Path(name).mkdir()
    for file in files:
        Path(name, file).write_bytes(b"x")
    return name


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), ("d: is a directory without a model; looked for *.safetensors", "config.json, *.onnx; it holds no files")),
        (("params.json", "a.txt"), ("looked for *.safetensors.index.json", "it holds a.txt, params.json")),
        (("a.gguf", "b.gguf"), ("d: holds 2 files *.gguf; name one of a.gguf, b.gguf",)),
        (("a.safetensors", "config.json", "b.safetensors"), ("d: holds 2 files *.safetensors; name one of a",)),
        (("a.safetensors", "config.json", "model.safetensors"), ("d/model.safetensors: is 1 bytes long",)),
        (("adapter_model.safetensors", "config.json"), ("d/config.json:1:1: not valid JSON",)),
        (("config.json", "model.onnx"), ("d/config.json:1:1: not valid JSON",)),
        (("config.json", "a.gguf"), ("d/a.gguf: is 1 bytes long; no GGUF file",)),
        (("a.gguf",), ("d/a.gguf: is 1 bytes long; no GGUF file",)),
        (("model.safetensors.index.json", "a.safetensors"), ("d/model.safetensors.index.json",)),
        (("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"), ("d/m-00001-of-00002.gguf",)),
    ],
)
def test_folders(files: Sequence[str], words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder("d", *files)
    for source in ("d", "./d", "d/", str(Path("d").resolve())):
        told = [
            word.replace("d/", f"{Path(source)}/") if word.startswith("d/") else word.removeprefix("d: ")
            for word in words
        ]
        refused(capsys, told, "trace", source, "-o", "out.csv")


def test_a_folder_is_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    write_safetensors(Path(folder("hf")), hf_tensors(plain), LLAMA)
    folder("gguf")
    write_gguf(Path("gguf/m.gguf"), lambda *_: "Q4_K")
    for source, inside in (("hf", "hf/model.safetensors"), ("gguf", "gguf/m.gguf")):
        shown = []
        for one in (source, inside):
            assert run_command(["trace", one]) == 0
            shown.append(capsys.readouterr().out)
        assert shown[0] == shown[1]
    assert ",fp16," in shown[0] or ",q4_k," in shown[0]  # formats of the file, which a config does not know
    folder("gpt2")  # a name of a model is that model
    assert run_command(["trace", "gpt2", "--summary"]) == 0


def test_a_folder_in_yaml_is_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    write_safetensors(Path(folder("hf")), hf_tensors(plain), LLAMA)
    shown = []
    for source in ("hf", "hf/model.safetensors"):
        Path("w.yaml").write_text(f"source: {source}\nseq_len: 16\n")
        assert run_command(["trace", "w.yaml"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    Path("hf/model.safetensors").unlink()
    Path("hf/config.json").unlink()
    Path("w.yaml").write_text("source: hf\n")
    words = ("w.yaml:1:9: source: ", "hf: is a directory without a model")
    refused(capsys, words, "trace", "w.yaml", "-o", "out.csv")


def test_files_that_are_not_there_yet(capsys: pytest.CaptureFixture[str]) -> None:
    write_safetensors(Path(folder("hf")), hf_tensors(plain), LLAMA)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 39770208\n"
    Path("hf/model.safetensors").write_text(pointer)
    refused(
        capsys, ("hf/model.safetensors: is a pointer of Git LFS", "name config.json"), "trace", "hf", "-o", "out.csv"
    )
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    Path("hf/model.safetensors.index.json").write_text(json.dumps(index))
    words = ("names model-00001-of-00002.safetensors: no such file", "name config.json")
    refused(capsys, words, "trace", "hf", "-o", "out.csv")
    assert run_command(["trace", "hf/config.json", "--summary"]) == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", ("no source is given",)),
        ("./nothing", ("./nothing: no such file; valid: a file (.csv",)),
        ("gone/config.json", ("no such file; there is no directory 'gone'",)),
        ("meta-llama/Llama-2-7b", ("models are not fetched: 'llama-2-7b' is one that hwsim ships",)),
        ("lama-3-8b", ("unknown model 'lama-3-8b'", "did you mean 'llama-3-8b'?")),
        ("model.pt", ("model.pt: unknown kind of workload file; valid: .csv",)),
    ],
)
def test_names(source: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("model.pt").write_bytes(b"PK")
    refused(capsys, words, "trace", source, "-o", "out.csv")


def test_options_that_would_leave_half_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    write_safetensors(Path(folder("hf")), hf_tensors(plain), LLAMA)
    source = "hf/model.safetensors"
    refused(
        capsys, ("--plot x.pdf", ".svg, .png"), "trace", source, "--stats", "int8", "-o", "t.csv", "--plot", "x.pdf"
    )
    refused(capsys, ("no/x.csv: cannot write",), "trace", source, "-o", "no/x.csv")
    refused(capsys, ("--stats", "name it"), "trace", source, "--stats", "int8")
    refused(capsys, ("--stats", ".safetensors"), "trace", "gpt2", "--stats", "int8", "-o", "t.csv")


# --- Python


PROGRAMS = {
    "net.py": "import torch\nfrom torch import nn as layers\nLIMIT = 3\n\ndef net():\n    return torch.nn.Linear(3, 4)\n",
    "broken.py": "def net(:\n",
    "raises.py": "raise RuntimeError('no')\ndef net(): ...\n",
    "binary.py": "\0\1",
}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("python:", ("name a function: python:package.function or python:path/to/file.py:function",)),
        ("python:net.py", ("name a function",)),
        ("python:net.py:", ("name a function",)),
        ("python:gone.py:net", ("gone.py: no such file",)),
        ("python:net.py:nett", ("net.py has no 'nett'; valid: LIMIT, layers, net, torch (did you mean 'net'?)",)),
        ("python:net.nett", ("net.py has no 'nett'", "did you mean 'net'?")),
        ("python:no_such_package.net", ("there is no module 'no_such_package' here or installed",)),
        ("python:json.nope", ("__init__.py has no 'nope'",)),
        ("python:broken.py:net", ("broken.py:1: is no Python: invalid syntax",)),
        ("python:binary.py:net", ("binary.py:1:1: byte 0x00 is no UTF-8 text",)),
        ("python:net.py:net", ("needs PyTorch: pip install torch",)),
        ("python:raises.py:net", ("needs PyTorch: pip install torch",)),
        ("python:math.cos", ("needs PyTorch: pip install torch",)),
    ],
)
def test_python_sources_without_pytorch(
    source: str, words: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and name are checked first: what is wrong with them is said where PyTorch is not installed."""
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    for name, text in PROGRAMS.items():
        Path(name).write_text(text)
    refused(capsys, words, "trace", source, "-o", "out.csv")


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "two", "1.5", ""])
def test_sizes_of_a_module(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(PROGRAMS["net.py"])
    refused(
        capsys,
        ("settings: batch must be a whole number from 1",),
        "trace",
        "python:net.py:net",
        "--set",
        f"batch={value}",
    )


# --- checkpoints


def gguf_bytes() -> bytes:
    write_gguf(Path("whole.gguf"), lambda *_: "Q4_K", data=False)
    return Path("whole.gguf").read_bytes()


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (0, ("is 0 bytes long; no GGUF file",)),
        (3, ("is 3 bytes long; no GGUF file",)),
        (4, ("byte 4", "at the version, after 4 bytes")),
        (20, ("byte 16", "at the number of key-value pairs, after 20 bytes", "the whole header is needed")),
        (30, ("byte 24", "at the length of key 1 of", "after 30 bytes")),
        (60, ("at the length of 'general.architecture'",)),
        (400, ("the file ends within the header, at", "after 400 bytes")),
        (-20, ("the sizes of 'output.weight', tensor 39 of 39, after", "the weights after it are not")),
    ],
)  # fmt: skip
def test_gguf_that_ends_early(cut: int, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("g.gguf").write_bytes(gguf_bytes()[: cut or None] if cut else b"")
    refused(capsys, ("g.gguf", *words), "trace", "g.gguf", "-o", "out.csv")


def patched(key: bytes, value: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = data.index(key) + len(key) + 4
        return data[:at] + struct.pack("<I", value) + data[at + 4 :]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"GGUX" + data[4:], ("no GGUF file: begins with b'GGUX'",)),
        (lambda data: data[:4] + struct.pack("<I", 99) + data[8:], ("version 99 is not supported; valid: 2, 3",)),
        (lambda data: data[:8] + struct.pack("<Q", 2**62) + data[16:], ("claims 4,611,686,018,427,387,904 tensors",)),
        (patched(b"llama.attention.head_count", 0), ("'llama.attention.head_count' must be a whole number from 1", "not 0")),
        (patched(b"llama.attention.head_count_kv", 3), ("'llama.attention.head_count' 8 is no multiple of", "'llama.attention.head_count_kv' 3")),
        (patched(b"llama.block_count", 9), ("4 blocks have attn_q, but the model's keys give 9",)),
        (lambda data: data.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba", 1),
         ("general.architecture 'mamba' is not supported (not modelled: state-space layers",)),
    ],
)  # fmt: skip
def test_gguf_with_other_keys(
    change: Callable[[bytes], bytes], words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("g.gguf").write_bytes(change(gguf_bytes()))
    refused(capsys, ("g.gguf", *words), "trace", "g.gguf", "-o", "out.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:5], ("is 5 bytes long; no safetensors file",)),
        (lambda data: data[:100], ("the file ends within the header", "92 are there")),
        (lambda data: struct.pack("<Q", 10**10) + data[8:], ("claims a header of 10,000,000,000 bytes",)),
        (lambda data: data.replace(b'"F16"', b'"F61"', 1), ("has dtype 'F61'", "did you mean 'F64'?")),
        (lambda data: data.replace(b"[1000,512]", b"[-100,512]", 1), ("shape [-100, 512]",)),
    ],
)
def test_safetensors(
    change: Callable[[bytes], bytes], words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_safetensors(Path(), hf_tensors(plain), LLAMA)
    path.write_bytes(change(path.read_bytes()))
    refused(capsys, ("model.safetensors", *words), "trace", str(path), "-o", "out.csv")
    index = {"weight_map": {"lm_head.weight": "../model.safetensors"}}
    Path("model.safetensors.index.json").write_text(json.dumps(index))
    refused(capsys, ("weight_map names the file '../model",), "trace", "model.safetensors.index.json")


def test_names_of_files_that_mislead(capsys: pytest.CaptureFixture[str]) -> None:
    write_gguf(Path("m-00000-of-00000.gguf"), lambda *_: "Q4_K")
    refused(
        capsys, ("is called part 0 of 0; parts are numbered from 1",), "trace", "m-00000-of-00000.gguf", "-o", "out.csv"
    )
    Path("p.gguf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 39770208\n")
    refused(capsys, ("p.gguf: is a pointer of Git LFS",), "trace", "p.gguf", "-o", "out.csv")
    write_safetensors(Path(folder("hf")), hf_tensors(plain), LLAMA)
    Path("hf/model.safetensors").rename("hf/MODEL.SAFETENSORS")
    assert run_command(["trace", "hf", "--seq-len", "8"]) == 0
    assert ",fp16," in capsys.readouterr().out
    Path(folder("blobs"), "a1b2").write_bytes(Path("hf/MODEL.SAFETENSORS").read_bytes())
    Path("blobs/c3d4").write_bytes(Path("hf/config.json").read_bytes())
    Path(folder("snapshot"), "model.safetensors").symlink_to(Path("blobs/a1b2").resolve())
    Path("snapshot/config.json").symlink_to(Path("blobs/c3d4").resolve())
    for source in ("snapshot", "snapshot/config.json"):
        assert run_command(["trace", source, "--summary", "--seq-len", "8"]) == 0
        assert "snapshot prefill 8" in capsys.readouterr().out
