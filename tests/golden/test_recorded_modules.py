"""Every family against a module of transformers 5.23.0 or diffusers 0.42.1.

``recorded_modules.jsonl`` has one module per line: its configuration, the input, the number of its
parameters, and every product of one forward and one decode step on the meta device as
``[op, batch, M, K, N, calls]``. ``tests/support/record_modules.py`` records them again.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hwsim.explore.score._recorded import Shape, read_shape, recorded_shapes
from hwsim.workload import FAMILIES, Phase, Trace, model_config, model_names
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.models.multimodal import multimodal

DATA = Path(__file__).parents[1] / "data" / "recorded_modules.jsonl"
MODULES: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in map(json.loads, DATA.open(encoding="utf-8"))}

#: Their modules expand the whole cache at each step; ours is the absorbed form (tests/unit/test_workload_latent.py).
LATENT = ("deepseek", "glm4_moe_lite", "minicpm3", "youtu")
#: Its module computes every expert for every token; ours those that the router chooses.
ALL_EXPERTS = ("llama4b", "llama4_text")


def traced(entry: dict[str, Any], kind: Any) -> Trace:
    config, tokens = dict(entry["config"]), entry["tokens"]
    if "target" in entry:
        config |= {"decoder_tokens": entry["target"], "source_tokens": tokens}
        tokens = None
    if "text" in entry:
        config["text_tokens"] = entry["text"]
    return build_trace(config, Phase(kind, tokens))


def recorded(rows: list[list[Any]]) -> Counter[Shape]:
    found: Counter[Shape] = Counter()
    for op, batch, m, k, n, calls in rows:
        found[read_shape({"op": op, "batch": batch, "M": m, "K": k, "N": n})] += calls
    return found


@pytest.mark.parametrize("name", MODULES)
def test_parameters(name: str) -> None:
    assert traced(MODULES[name], "prefill").meta["parameters"] == MODULES[name]["parameters"]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ALL_EXPERTS])
def test_products_of_a_forward(name: str) -> None:
    assert recorded_shapes(traced(MODULES[name], "prefill")) == recorded(MODULES[name]["prefill"])


@pytest.mark.parametrize(
    "name",
    [n for n, entry in MODULES.items() if "decode" in entry and n not in ALL_EXPERTS and not n.startswith(LATENT)],
)
def test_products_of_a_decode_step(name: str) -> None:
    assert recorded_shapes(traced(MODULES[name], "decode")) == recorded(MODULES[name]["decode"])


@pytest.mark.parametrize("name", ALL_EXPERTS)
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_llama_4_computes_the_experts_that_are_chosen(name: str, phase: str) -> None:
    ours, theirs = recorded_shapes(traced(MODULES[name], phase)), recorded(MODULES[name][phase])
    experts = [shape for shape in theirs - ours if shape.op == "bmm"]
    assert len(experts) == 2
    for shape in experts:  # all E experts see all T tokens there; top_k of them here
        chosen = Shape("grouped_mm", 1, 0, shape.m * MODULES[name]["config"]["num_experts_per_tok"], shape.k, shape.n)
        assert ours[chosen] == theirs[shape]
    assert sum((theirs - ours).values()) == sum((ours - theirs).values())


def test_every_family_is_recorded_or_shipped_with_a_golden_row() -> None:
    seen = {entry["config"].get("model_type") or entry["config"]["_class_name"] for entry in MODULES.values()}
    shipped = {model_config(name).get("model_type") or model_config(name)["_class_name"] for name in model_names()}
    # Models that also see: their language models are recorded.
    wrappers = {name for name, family in FAMILIES.items() if family is multimodal}
    # The same functions as a recorded one, under further names.
    twins = {"camembert"}
    assert set(FAMILIES.names()) == seen | shipped | wrappers | twins
