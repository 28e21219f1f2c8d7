"""Damaged and hostile text sources: whatever stands in them, a trace or one message, in time and in bounded memory.

Checkpoints have tests of their own, as have ONNX files.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.workload import load_workload, model_config, model_names, write_trace
from hwsim.workload.graph.python_source import check_source
from hwsim.workload.importers.base import IMPORTERS
from hwsim.workload.importers.yaml_rows import write_yaml
from hwsim.workload.trace import Trace
from tests.support.hostile import edits, mutated, read, relaxed, values

#: What a config.json may hold in the place of a number, a name or a list; large numbers are walks of hours.
odd = st.one_of(
    st.sampled_from([
        None, True, False, 0, -1, 3, 4096, 10**6, 10**9, 10**12, 2**70, -(2**70), float("nan"), float("inf"), 0.5, -0.0,
        "", "x", "64", [], [0], [None], [[]], {}, {"a": 1}, ["full_attention"] * 3, {"model_type": "mamba"}, "zipf:nan",
    ]),
    values,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a config."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def put(config: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Replace a value, if the change before left its place."""
    *above, last = path
    inner: Any = config
    for key in above:
        if (
            not isinstance(inner, dict | list)
            or (isinstance(inner, list) and key >= len(inner))
            or key not in (inner if isinstance(inner, dict) else range(len(inner)))
        ):
            return
        inner = inner[key]
    if isinstance(inner, dict) or (isinstance(inner, list) and isinstance(last, int) and last < len(inner)):
        inner[last] = value


@settings(relaxed, max_examples=300)
@given(st.sampled_from(model_names()), st.data())
def test_any_value_anywhere_in_a_config(tmp_path: Path, name: str, data: st.DataObject) -> None:
    config = copy.deepcopy(model_config(name))
    chosen = st.lists(st.sampled_from(list(places(config))), min_size=1, max_size=3)
    for path in data.draw(chosen):
        put(config, path, copy.deepcopy(data.draw(odd)))
    source = tmp_path / "config.json"
    source.write_text(json.dumps(config))
    found = read(
        source, **data.draw(st.sampled_from([{"seq_len": 8}, {"phase": "decode", "context": 8}, {"batch": 3}]))
    )
    assert isinstance(found, Trace) or str(source) in found or "options: " in found


POLICY = """\
model: opt-125m
phase: generation
seq_len: 16
new_tokens: 5
batch: 2
settings: {num_hidden_layers: 3}
policy:
  preset: w4a16_g128
  kv_format: int8
  accumulator: fp32
  overrides:
  - {first: 2, last: 2, w_format: int8}
  - {match: mlp.down_proj, share: 0.01, block: 64, w_format: fp16}
  - {layers: "0-1,2", match: "attn*", a_format: int8}
overrides:
- {match: "attn.q*", w_format: int6}
"""
SPECULATIVE = """\
model: opt-1.3b
phase: speculative
context: 16
draft: opt-125m
draft_tokens: 3
acceptance: 0.5
policy: llm_int8
"""
MIXED = """\
model: llama-3.2-1b
phase: mixed
requests: [prefill:12, decode@34x2, {phase: decode, context: 5, count: 2}]
policy: {w_format: int4, a_format: int8, mix: Q4_K_M, other_format: fp16}
"""
CONV = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 15, 15, 3, 3, 3, 8, 2,
ConvDP, 7, 7, 3, 3, 8, 8, 1, 2:4
"""
GEMM = "Layer, M, N, K,\nqkv, 12, 96, 32,\nout, 12, 32, 32, 1:2\n"

#: What stands in the place of a word: numbers that are none, large ones, formats, patterns, other files, YAML's own.
WORDS = [
    "0", "-1", "nan", ".nan", ".inf", "1e999", "true", "null", "~", "", "x", "[]", "{}", "[1", "'", '"', "*a", "&a b",
    "!!python/object:x", "9" * 30, "9" * 5000, "1e999999999", '"1e999999999"', "0x10", "1_000", "１２", "²", "\u202e",
    "[[[[", "int4", "int0", "fp8_e99m99", "w4a4", "gguf:Q4_K_M", "1/3", "1/0", "0.5", "-0.5", "99999999", "*", '"[!"',
    "attn*", "0-99999999999", "5-2", "zeros=2", "zeros=nan", "../x", "/etc/passwd", ".", "decode@1x99999999999999",
    "prefill:0", "zipf:1", "<<",
]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, text: str) -> bytes:
    """Draw ``text`` with some of its words replaced, or bytes set, cut out and put in."""
    if draw(st.booleans()):
        return mutated(text.encode(), draw(edits))
    for _ in range(draw(st.integers(1, 3))):
        word = draw(st.sampled_from(list(re.finditer(r"[\w./*@:%-]+", text))))
        text = text[: word.start()] + draw(st.sampled_from(WORDS)) + text[word.end() :]
        if not re.search(r"\w", text):
            break
    return text.encode()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Valid sources by name; those of rows are what ``hwsim trace`` writes."""
    folder = tmp_path_factory.mktemp("texts")
    trace = load_workload("opt-125m", seq_len=8, policy="w8a8")
    write_trace(trace, folder / "t.csv")
    write_yaml(trace, folder / "t.yaml")
    return {
        "rows.csv": (folder / "t.csv").read_text(), "rows.yaml": (folder / "t.yaml").read_text(), "conv.csv": CONV,
        "gemm.csv": GEMM, "policy.yaml": POLICY, "draft.yaml": SPECULATIVE, "mixed.yaml": MIXED,
        "config.json": json.dumps(model_config("mixtral-8x7b"), indent=1),
    }  # fmt: skip


NAMES = ["rows.csv", "rows.yaml", "conv.csv", "gemm.csv", "policy.yaml", "draft.yaml", "mixed.yaml", "config.json"]


def test_the_texts_are_valid(texts: dict[str, str], tmp_path: Path) -> None:
    assert list(texts) != []
    assert sorted(texts) == sorted(NAMES)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert load_workload(tmp_path / name).macs


@pytest.mark.parametrize("name", NAMES)
@settings(relaxed, max_examples=60)
@given(data=st.data())
def test_changed_texts(texts: dict[str, str], tmp_path: Path, name: str, data: st.DataObject) -> None:
    source = tmp_path / name
    source.write_bytes(data.draw(changed(texts[name])))
    found = read(source, name="any") if name.endswith(".yaml") else read(source, policy="w8a8")
    assert isinstance(found, Trace) or found.startswith(("options: ", str(source)))


ENDINGS = sorted(
    {end for _, importer in IMPORTERS.items() for end in importer.suffixes} | {".yaml", ".yml", ".other", ""}
)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(relaxed, max_examples=25)
@given(data=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_under_every_ending(tmp_path: Path, ending: str, data: bytes) -> None:
    source = tmp_path / f"any{ending}"
    source.write_bytes(data)
    found = read(source, policy="w8a8")
    assert isinstance(found, Trace) or str(source) in found


@settings(relaxed, max_examples=100)
@given(edits)
def test_changed_programs(tmp_path: Path, changes: Any) -> None:
    """Without running them: the text is only read."""
    path = tmp_path / "net.py"
    path.write_bytes(
        mutated(b"import torch\nif True:\n    def net():\n        return torch.nn.Linear(3, 4)\n", changes)
    )
    try:
        check_source(f"python:{path}:net")
    except ValueError as error:  # UsageError is one
        assert str(path) in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def net(): ...", True),
        ("class net: ...", True),
        ("net = lambda: 1", True),
        ("(a, net), b = x", True),
        ("try:\n    import net\nexcept ImportError:\n    pass", True),
        ("from a import b as net", True),
        ("from a import *", True),
        ("def __getattr__(name): ...", True),
        ("for net in x: pass", True),
        ("if (net := 3): pass", True),
        ("def other():\n    net = 3", False),
        ("f = lambda net: net", False),
        ("x.net = 3", False),
        ("import net.inner", True),
        ("import inner as other", False),
    ],
)
def test_names_that_a_file_binds(tmp_path: Path, text: str, found: bool) -> None:
    (tmp_path / "m.py").write_text(text)
    if found:
        check_source(f"python:{tmp_path / 'm.py'}:net")
        return
    with pytest.raises(ValueError, match="has no 'net'"):
        check_source(f"python:{tmp_path / 'm.py'}:net")
