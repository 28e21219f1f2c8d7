"""PyTorch modules: what is recorded, what is named, what is refused. Without PyTorch, only the refusals run."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Trace, load_workload
from hwsim.workload.footprint import memory_footprint
from tests.support import graph_models

ENCODER_DECODERS = {
    "t5": (
        "T5",
        {"d_model": 64, "d_ff": 160, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
         "vocab_size": 150},
    ),
    "whisper": (
        "Whisper",
        {"d_model": 64, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 160, "num_mel_bins": 20,
         "max_source_positions": 50, "max_target_positions": 64, "pad_token_id": 0, "bos_token_id": 1,
         "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
         "vocab_size": 200},
    ),
}  # fmt: skip

MODULES = """
import torch
from torch import nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, dim=32, heads=4, kv_heads=2, fused=True):
        super().__init__()
        self.heads, self.kv_heads, self.fused = heads, kv_heads, fused
        self.q_proj = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * kv_heads * dim // heads)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, s, d = x.shape
        q = self.q_proj(x).view(b, s, self.heads, -1).transpose(1, 2)
        k, v = self.kv(x).view(b, s, 2, self.kv_heads, -1).permute(2, 0, 3, 1, 4)
        if self.fused:
            o = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        else:
            k, v = (t[:, :, None].expand(-1, -1, self.heads // self.kv_heads, -1, -1).reshape(b, self.heads, s, -1) for t in (k, v))
            o = torch.softmax(q @ k.transpose(2, 3) / 4, -1) @ v
        return self.out_proj(o.transpose(1, 2).reshape(b, s, d))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 32)
        self.layers = nn.ModuleList(Attention() for _ in range(3))

    def forward(self, tokens):
        x = self.table(tokens)
        for layer in self.layers:
            x = x + layer(x)
        return x


class Rotating(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("frequency", torch.ones(4))

    def forward(self, x):
        positions = torch.arange(x.shape[1]).float()
        return x * (positions[:, None] @ self.frequency[None, :]).repeat(1, 2)[None] @ x.transpose(1, 2)


class Chooses(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.Parameter(torch.zeros(4, 8, 6))

    def forward(self, x, which):
        return torch.bmm(x[:, None], self.experts[which])


class Reads(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum().item() > 0 else x


class Transforms(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x)


def fused():
    return Attention(), torch.zeros(2, 7, 32)


def eager():
    return Attention(fused=False), torch.zeros(2, 7, 32)


def tokens():
    return Tokens()


def image():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4),
        nn.ConvTranspose2d(8, 4, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10),
    )


def encoder():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 3), torch.zeros(2, 7, 32)


def cross():
    return nn.MultiheadAttention(32, 4, kdim=24, vdim=24), (torch.zeros(2, 32), torch.zeros(9, 24), torch.zeros(9, 24))


def lstm():
    return nn.LSTM(12, 20, 2, bidirectional=True), (torch.zeros(6, 3, 12), (torch.zeros(4, 3, 20), torch.zeros(4, 3, 20)))


def gru():
    return nn.GRU(12, 10, batch_first=True), (torch.zeros(3, 6, 12), torch.zeros(1, 3, 10))


def lstm_cell():
    return nn.LSTMCell(12, 20), (torch.zeros(3, 12), (torch.zeros(3, 20), torch.zeros(3, 20)))


def one_input():
    return nn.Linear(1, 64), torch.zeros(5, 1)


def volume():
    return nn.Conv3d(2, 4, (1, 2, 3), dilation=2), (torch.zeros(1, 2, 8, 8, 8),)


def rotating():
    return Rotating(), {"x": torch.zeros(2, 5, 8)}


def chooses():
    return Chooses(), (torch.zeros(10, 8), torch.zeros(10, dtype=torch.long))


def reads():
    return Reads(), torch.zeros(3)


def transforms():
    return Transforms(), torch.zeros(3, 8)


def nothing():
    return 3


def fails():
    raise KeyError("no such part")


number = 5
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "modules.py"
    path.write_text(MODULES)
    return f"python:{path}:"


def shapes(trace: Trace) -> list[tuple[int, ...]]:
    return [(g.m, g.n, g.k, g.batch) for g in trace.gemms]


def complaint(source: str, **options: object) -> str:
    with pytest.raises((UsageError, SpecError)) as caught:
        load_workload(source, **options)
    return str(caught.value)


class TestWithTorch:
    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch")

    @pytest.mark.parametrize("kind", ["fused", "eager"])
    def test_attention_with_shared_heads(self, source, kind):
        trace = load_workload(source + kind)
        assert shapes(trace) == [(14, 32, 32, 1), (14, 32, 32, 1), (14, 7, 8, 4), (14, 8, 7, 4), (14, 32, 32, 1)]
        assert [gemm.role for gemm in trace.gemms] == ["qkv", "other", "score", "value", "attn_out"]
        assert [op.op for op in trace.vector_ops] == ["softmax"]
        assert "2 heads share each" in trace.gemms[2].note

    def test_layers_are_named_after_modules_and_merged(self, source):
        trace = load_workload(source + "tokens", seq_len=7, batch=2)
        assert [(g.layer, g.repeat) for g in trace.gemms][:2] == [("layers.*.q_proj", 3), ("layers.*.kv", 3)]
        assert [(op.op, op.m, op.n, op.repeat) for op in trace.vector_ops if op.op != "softmax"] == [
            ("embedding", 14, 32, 1), ("add", 14, 32, 3),
        ]  # fmt: skip
        assert trace.meta["parameters"] == 100 * 32 + 3 * 3 * (32 * 32 + 32)

    def test_weights_that_a_module_holds_under_several_names_name_their_products(self, source):
        trace = load_workload(source + "encoder")
        assert [(g.layer, g.n, g.role, g.repeat) for g in trace.gemms if g.w_source == "dram"] == [
            ("layers.*.self_attn.in_proj", 96, "qkv", 3), ("layers.*.self_attn.out_proj", 32, "attn_out", 3),
            ("layers.*.linear1", 64, "ffn", 3), ("layers.*.linear2", 32, "ffn", 3),
        ]  # fmt: skip
        stored = [(g.layer, g.k, g.role) for g in load_workload(source + "cross").gemms if g.w_source == "dram"]
        assert stored == [
            ("q_proj", 32, "qkv"), ("k_proj", 24, "qkv"), ("v_proj", 24, "qkv"), ("out_proj", 32, "attn_out")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "gates", "inputs", "hidden", "steps"),
        [("lstm", 4, (12, 12, 40, 40), 20, 6), ("gru", 3, (12,), 10, 6), ("lstm_cell", 4, (12,), 20, 1)],
    )
    def test_recurrent_cells(self, source, kind, gates, inputs, hidden, steps):
        """MACs by hand: every step of every direction multiplies input and state by all gates."""
        trace = load_workload(source + kind)
        matrices = sum(gates * hidden * (width + hidden) for width in inputs)
        assert trace.macs == 3 * steps * matrices
        assert memory_footprint(trace, "fp16")["gemm_weight_bytes"] == 2 * matrices
        assert trace.meta["parameters"] == matrices + len(inputs) * 2 * gates * hidden
        sigmoids = (3 if gates == 4 else 2) * steps * len(inputs)
        assert trace.meta["unpriced"] == f"sigmoid {sigmoids}"

    def test_a_layer_of_one_input_is_a_product(self, source):
        assert shapes(load_workload(source + "one_input")) == [(5, 64, 1, 1)]

    def test_images(self, source):
        trace = load_workload({"source": source + "image", "batch": 2, "settings": {"image_size": 16}})
        assert shapes(trace) == [(128, 8, 27, 1), (72, 2, 18, 4), (72, 16, 8, 1), (2, 10, 4, 1)]
        assert [op.op for op in trace.vector_ops] == ["relu", "avgpool"]
        assert [gemm.kind for gemm in trace.gemms] == ["conv"] * 3 + ["linear"]

    def test_convolutions_in_three_dimensions(self, source):
        assert shapes(load_workload(source + "volume")) == [(8 * 6 * 4, 4, 12, 1)]

    def test_what_positions_alone_decide_does_not_run(self, source):
        trace = load_workload(source + "rotating")
        assert shapes(trace) == [(5, 5, 8, 2)]
        assert trace.meta["folded"] == "1 products of constants"

    def test_matrices_that_data_choose_are_experts(self, source):
        assert shapes(load_workload(source + "chooses")) == [(3, 6, 8, 2), (2, 6, 8, 2)]

    def test_a_module_that_reads_values_says_so(self, source):
        assert "fails when it runs on the meta device, where tensors have no values" in complaint(source + "reads")

    def test_an_operation_of_unknown_kind_is_refused(self, source):
        assert "_fft_r2c.default is not understood, and may hold multiply-accumulates" in complaint(
            source + "transforms"
        )

    def test_what_is_no_module(self, source):
        assert "returned int; valid: torch.nn.Module, or (module, inputs)" in complaint(source + "nothing")
        assert "KeyError: 'no such part' at " in complaint(source + "fails")

    def test_inputs_of_unknown_size(self, source):
        assert "its argument 'tokens' has no length; give --seq-len" in complaint(source + "tokens")
        assert "inputs of forward(input) are unknown; return (module, inputs)" in complaint(source + "image")

    def test_other_phases_than_a_forward_pass(self, source):
        assert "phase: a module runs as it is" in complaint(source + "fused", phase="decode")
        assert "causal: a module runs as it is" in complaint(source + "fused", causal="half")

    def test_a_configuration_is_a_model(self, tmp_path):
        pytest.importorskip("transformers")
        path = tmp_path / "small.py"
        path.write_text(
            "from transformers import GPT2Config\n"
            "def gpt2():\n    return GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=100, n_positions=64)\n"
        )
        trace = load_workload(f"python:{path}:gpt2", seq_len=8)
        assert trace.meta["parameters"] == 100 * 32 + 64 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32
        assert trace.macs_by_kind["linear"] == 8 * (2 * 12 * 32 * 32 + 100 * 32)
        assert {gemm.w_source for gemm in trace.gemms if gemm.kind == "attention"} == {"kv"}

    @pytest.mark.parametrize("model", ["t5", "whisper"])
    def test_the_caches_of_a_decoder_that_reads_an_encoder(self, model, tmp_path, monkeypatch):
        torch = pytest.importorskip("torch")
        transformers = pytest.importorskip("transformers")
        kind, small = ENCODER_DECODERS[model]
        config = getattr(transformers, f"{kind}Config")(architectures=[f"{kind}ForConditionalGeneration"], **small)
        (tmp_path / "config.json").write_text(config.to_json_string(use_diff=False))
        ours = load_workload(tmp_path / "config.json", seq_len=8)
        encoded = {"input_features": torch.zeros(1, 20, 100)} if model == "whisper" else {"input_ids": _ids(torch, 8)}

        def run():
            made = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
            return made, {**encoded, "decoder_input_ids": _ids(torch, 8)}

        monkeypatch.setattr(graph_models, "run", run, raising=False)
        ran = load_workload("python:tests.support.graph_models.run")
        assert _attention(ran) == _attention(ours)
        assert Counter(g.role for g in ran.gemms for _ in range(g.repeat)) == Counter(
            g.role for g in ours.gemms for _ in range(g.repeat)
        )
        for key in ("kv_bytes_per_token_fp16", "kv_vectors", "head_dim", "parameters"):
            assert ran.meta[key] == ours.meta[key]

    def test_a_name_of_a_package(self, source, monkeypatch):
        monkeypatch.chdir(Path(source.removeprefix("python:").removesuffix(":")).parent)
        monkeypatch.delitem(sys.modules, "modules", raising=False)
        assert shapes(load_workload("python:modules.volume")) == [(8 * 6 * 4, 4, 12, 1)]
        monkeypatch.delitem(sys.modules, "modules", raising=False)


def _ids(torch, length: int):
    return torch.ones((1, length), dtype=torch.long)


def _attention(trace: Trace) -> list[tuple[object, ...]]:
    chosen = [g for g in trace.unique() if g.kind == "attention"]
    return sorted((g.m, g.n, g.k, g.batch, g.repeat, g.w_source) for g in chosen)


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file whose names are looked up before PyTorch matters."""
    monkeypatch.setattr("hwsim.workload.graph.torch_load.import_torch", lambda: None)
    path = tmp_path / "plain.py"
    path.write_text("number = 5\ndef module():\n    return 1\n")
    return f"python:{path}:"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("modul", "plain.py has no 'modul'; valid: module, number (did you mean 'module'?)"),
        ("number", "'number' is no function; valid: module"),
    ],
)
def test_names_that_are_not_there(plain, name, message):
    from hwsim.workload.graph.torch_load import find_maker

    with pytest.raises(UsageError) as caught:
        find_maker(plain + name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("python:nowhere.py:f", "nowhere.py: no such file"),
        ("python:module", "name a function: python:package.function"),
        ("python:no_such_package_here.f", "there is no module 'no_such_package_here' here or installed"),
    ],
)
def test_sources_that_name_nothing(source, message):
    from hwsim.workload.graph.torch_load import find_maker

    with pytest.raises(UsageError) as caught:
        find_maker(source)
    assert message in str(caught.value)


def test_without_pytorch_one_line_says_what_to_install(source, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run_command(["trace", source + "fused"]) == 2
    assert "pip install torch" in " ".join(capsys.readouterr().err.split())


def test_settings_are_whole_numbers(source):
    assert "settings: batch must be a whole number" in complaint(
        {"source": source + "fused", "settings": {"batch": "x"}}
    )
    assert "unknown setting 'seqlen'" in complaint({"source": source + "fused", "settings": {"seqlen": 4}})
