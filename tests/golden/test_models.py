"""Our traces against traces of the real modules, and against published counts.

``models_golden.csv`` and ``models_gemms.csv`` were recorded by running the models of transformers,
torchvision and diffusers on the meta device and counting every mm, bmm and convolution. All counts are
compared as integers; ``as_recorded`` here is simpler than the view of ``hwsim score``, and independent of it.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hwsim.workload import Gemm, Trace, find_model, load_workload, model_config, model_names

DATA = Path(__file__).parents[1] / "data"

Shape = tuple[int, int, int, int]


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


GOLDEN = {row["model"]: row for row in rows("models_golden.csv")}
LANGUAGE = [name for name, row in GOLDEN.items() if row["input"].startswith("S=") and "unet" not in name]
DECODERS = [name for name, row in GOLDEN.items() if row["decode_macs_linear"]]


def tokens(name: str) -> int:
    return int(GOLDEN[name]["input"].removeprefix("S="))


def prefill(name: str, **options: Any) -> Trace:
    if name in LANGUAGE:
        options["seq_len"] = tokens(name)
    return load_workload(name, **options)


def decode(name: str, **options: Any) -> Trace:
    return load_workload(name, phase="decode", context=tokens(name), **options)


def test_every_shipped_family_has_golden_rows() -> None:
    assert len(GOLDEN) == 24
    assert {find_model(name).name for name in GOLDEN} <= set(model_names())


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters(name: str) -> None:
    trace = prefill(name)
    assert trace.meta["parameters"] == int(GOLDEN[name]["params_unique"])
    if GOLDEN[name]["published_params"]:
        assert trace.meta["parameters"] == int(GOLDEN[name]["published_params"])


@pytest.mark.parametrize("name", GOLDEN)
def test_prefill_macs(name: str) -> None:
    row, trace = GOLDEN[name], prefill(name)
    assert int(row["prefill_macs_grouped"]) in (0, trace.macs_by_kind["conv"])
    found = trace.macs_by_kind
    assert found["linear"] == int(row["prefill_macs_linear"])
    assert found["attention"] == int(row["prefill_macs_attn"])
    assert found["conv"] == int(row["prefill_macs_conv"])
    assert trace.macs == int(row["prefill_macs_total"]) == trace.meta["macs"]


@pytest.mark.parametrize("name", DECODERS)
def test_decode_macs_and_cache(name: str) -> None:
    row, trace = GOLDEN[name], decode(name)
    assert trace.macs_by_kind["linear"] == int(row["decode_macs_linear"])
    assert trace.macs_by_kind["attention"] == int(row["decode_macs_attn"])
    assert trace.meta["kv_bytes_per_token_fp16"] == int(row["kv_bytes_per_token_fp16"])


# DiT's paper prints 118.64, the recorded module has 118.67.
@pytest.mark.parametrize("name", [n for n, row in GOLDEN.items() if row["published_GMACs"] and n != "dit-xl-2-256"])
def test_published_giga_macs(name: str) -> None:
    published = GOLDEN[name]["published_GMACs"]
    digits = len(published.partition(".")[2])
    assert round(prefill(name).macs / 1e9, digits) == float(published)


# Figures printed by torchvision's weight metadata (GMAC, parameters) for models outside the golden rows.
@pytest.mark.parametrize(
    ("name", "parameters", "giga_macs"),
    [("resnet-18", 11_689_512, 1.814), ("vgg-16", 138_357_544, 15.47), ("vit-large-16", 304_326_632, 61.555)],
)
def test_torchvision_metadata(name: str, parameters: int, giga_macs: float) -> None:
    trace = load_workload(name)
    assert trace.meta["parameters"] == parameters
    assert round(trace.macs / 1e9, 3) == pytest.approx(giga_macs, abs=1e-9)


# mixtral: the total of its safetensors index; deepseek: of the module in transformers, as recorded; MatMul-free:
# closed form layers·(4d² + 3·d·ffn) + 2·d·vocab, to which norms and bounds come.
@pytest.mark.parametrize(
    ("name", "parameters", "cache"),
    [
        ("mixtral-8x7b", 46_702_792_704, 131_072),
        ("deepseek-v3", 671_026_404_352, 70_272),
        ("whisper-large-v3", 1_543_490_560, 163_840),
        ("sd-v1.5-unet", 859_520_964, 0),
        ("sdxl-unet", 2_567_463_684, 0),
    ],
)
def test_published_totals_of_other_structures(name: str, parameters: int, cache: int) -> None:
    trace = load_workload(name)
    assert trace.meta["parameters"] == parameters
    assert trace.meta["kv_bytes_per_token_fp16"] == cache


@pytest.mark.parametrize(("name", "billions"), [("matmulfree-1.3b", 1.364), ("matmulfree-2.7b", 2.701)])
def test_matmul_free_closed_form(name: str, billions: float) -> None:
    config = model_config(name)
    d, layers, vocab = config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]
    trace = load_workload(name, seq_len=3)
    weights = sum(gemm.w_elements for gemm in trace.gemms)
    ffn = next(gemm.k for gemm in trace.gemms if gemm.layer == "mlp.down_proj")
    assert weights + d * vocab == layers * (4 * d * d + 3 * d * ffn) + 2 * d * vocab
    assert round((weights + d * vocab) / 1e9, 3) == billions
    assert {gemm.kind for gemm in trace.gemms} == {"linear"}
    # 1.3B: 1,233,125,376 ternary accumulations per token in all layers
    if name == "matmulfree-1.3b":
        assert weights - d * vocab == 1_233_125_376


# Totals in the safetensors metadata of the models' own repositories (Llama, Qwen, Gemma, Phi-3), and
# ``params`` of Keras's presets (GPT-2, BERT); opt-1.3b as counted on the transformers module.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-2-13b", 13_015_864_320),
        ("llama-3-70b", 70_553_706_496),
        ("llama-3.2-3b", 3_212_749_824),
        ("qwen2.5-7b", 7_615_616_512),
        ("gemma-2-9b", 9_241_705_984),
        ("phi-3-mini-4k", 3_821_079_552),
        ("gpt2-medium", 354_823_168),
        ("gpt2-xl", 1_557_611_200),
        ("bert-large", 335_141_888),
        ("opt-1.3b", 1_315_758_080),
    ],
)
def test_published_parameters(name: str, parameters: int) -> None:
    assert load_workload(name).meta["parameters"] == parameters


def expected_shapes(name: str, phase: str) -> Counter[Shape]:
    """Shapes as recorded: ``count`` calls of ``batch`` products; grouped convolutions by group."""
    shapes: Counter[Shape] = Counter()
    for row in rows("models_gemms.csv"):
        if (row["model"], row["phase"]) != (name, phase):
            continue
        m, k, n = int(row["M"]), int(row["K"]), int(row["N"])
        groups = int(row["op"].partition("groups=")[2].rstrip(")") or 1)
        shapes[m, k, n // groups, int(row["batch"]) * groups] += int(row["count"])
    return shapes


def as_recorded(gemm: Gemm, name: str, trace: Trace) -> Shape:
    """Undo what a trace does on purpose: a GQA group is one product here, but one per head in torch."""
    if gemm.kind != "attention":
        return gemm.m, gemm.k, gemm.n, gemm.batch
    queries = 1 if trace.meta["phase"] == "decode" else (trace.meta.get("seq_len") or gemm.m)
    group = gemm.m // queries
    return queries, gemm.k, gemm.n, gemm.batch * group


def found_shapes(name: str, trace: Trace) -> Counter[Shape]:
    shapes: Counter[Shape] = Counter()
    for gemm in trace.gemms:
        shapes[as_recorded(gemm, name, trace)] += gemm.repeat
    return shapes


@pytest.mark.parametrize("name", GOLDEN)
def test_prefill_shapes(name: str) -> None:
    assert found_shapes(name, prefill(name)) == expected_shapes(name, "prefill")


@pytest.mark.parametrize("name", DECODERS)
def test_decode_shapes(name: str) -> None:
    assert found_shapes(name, decode(name)) == expected_shapes(name, "decode")


def test_lm_head_share_of_prefill() -> None:
    """The LM head on all positions is 7.0 %, 21 % and 23 % of linear prefill MACs (recorded traces)."""
    shares = {"llama-3-8b": 0.070, "llama-3.2-1b": 0.21, "gemma-2-2b": 0.23}
    for name, share in shares.items():
        every, last = prefill(name), prefill(name, lm_head="last")
        head = next(gemm for gemm in every.gemms if gemm.role == "lm_head")
        linear = every.macs_by_kind["linear"]
        assert head.macs / linear == pytest.approx(share, abs=0.006)
        assert linear - last.macs_by_kind["linear"] == head.macs * (tokens(name) - 1) // tokens(name)


def test_resnet_50_is_53_convolutions_and_a_classifier() -> None:
    gemms = load_workload("resnet-50").gemms
    assert [gemm.role for gemm in gemms].count("conv") == 53
    assert len(gemms) == 54
    assert sum(gemm.macs for gemm in gemms) == 4_089_184_256
