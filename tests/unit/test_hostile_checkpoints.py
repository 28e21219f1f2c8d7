"""Hostile GGUF and safetensors files: one clear error within a second and a bounded memory, whatever they claim."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.checkpoints.gguf import MOST_STRINGS, MOST_TENSORS
from hwsim.workload.checkpoints.safetensors import LONGEST_HEADER
from hwsim.workload.trace import Trace
from tests.support import quantized as q
from tests.support.checkpoints import LLAMA, hf_tensors, write_gguf, write_safetensors
from tests.support.hostile import edits, in_time, mutated, read, relaxed, values


def refused(path: Path, *words: str) -> None:
    found = read(path)
    assert isinstance(found, str)
    assert str(path.parent) in found
    assert len(found.splitlines()) == 1, found
    assert len(found) < 1000
    for word in words:
        assert word in found, found


# GGUF


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes, sizes=(32, 4), kind=8, offset=0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def gguf(tensors=(), pairs=(), counts=None, magic=b"GGUF", version=3) -> bytes:
    nt, np_ = counts or (len(tensors), len(pairs))
    return magic + struct.pack("<IQQ", version, nt, np_) + b"".join(pairs) + b"".join(tensors)


ARCH = pair(b"general.architecture", 8, text(b"llama"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["0 bytes"]),
        (b"GGUF", ["ends within the header"]),
        (b"GGML" + bytes(100), ["no GGUF file"]),
        (gguf(version=1), ["version 1", "valid: 2, 3"]),
        (gguf(version=0x03000000), ["big-endian"]),
        (gguf(counts=(2**63, 0)), ["claims 9,223,372,036,854,775,808 tensors"]),
        (gguf(counts=(0, 2**64 - 1)), ["key-value pairs"]),
        (gguf(counts=(0, 3), pairs=[ARCH]), ["ends within the header"]),
        (gguf(pairs=[struct.pack("<Q", 10 << 30) + b"key" + bytes(20)]), ["10,737,418,240 bytes long"]),
        (gguf(pairs=[pair(b"\xff\xfe\x00bad", 8, text(b"x"))]), ["no UTF-8"]),
        (gguf(pairs=[ARCH, ARCH]), ["given twice"]),
        (gguf(pairs=[pair(b"a", 13, bytes(20))]), ["value type 13"]),
        (gguf(pairs=[pair(b"a", 9, struct.pack("<IQ", 4, 2**62))]), ["ends within the header, at the list 'a' of 4,611,686,018,427,387,904 values"]),
        (gguf(pairs=[pair(b"a", 9, struct.pack("<IQ", 8, 2**40))]), ["list of"]),
        (gguf(pairs=[pair(b"a", 9, struct.pack("<IQ", 9, 2) + bytes(40))]), ["list of value type 9"]),
        (gguf(pairs=[pair(b"a", 9, struct.pack("<IQ", 8, 2) + text(b"x") + struct.pack("<Q", 2**50))]), ["ends within the header, at the list 'a' of 2 texts"]),
        (gguf([tensor(b"x", ())], [ARCH]), ["0 sizes"]),
        (gguf([tensor(b"x", (32,) * 5)], [ARCH]), ["5 sizes"]),
        (gguf([tensor(b"x", (32, 0))], [ARCH]), ["32 × 0"]),
        (gguf([tensor(b"x", (2**40, 2**40))], [ARCH]), ["2^50"]),
        (gguf([tensor(b"x", (33, 4))], [ARCH]), ["no whole number of blocks"]),
        (gguf([tensor(b"x", kind=4)], [ARCH]), ["ggml type 4"]),
        (gguf([tensor(b"x"), tensor(b"x", offset=160)], [ARCH]), ["there twice"]),
        (gguf([tensor(b"x"), tensor(b"y", offset=32)], [ARCH]), ["'x' and 'y' overlap"]),
        (gguf([tensor(b"x", offset=7)], [ARCH]), ["no multiple of 32"]),
        (gguf([tensor(b"x")], [ARCH, pair(b"general.alignment", 4, struct.pack("<I", 0))]), ["general.alignment"]),
        (gguf([tensor(b"x")], [ARCH, pair(b"general.alignment", 6, struct.pack("<f", float("nan")))]), [".nan"]),
        (gguf([tensor(b"x")], [pair(b"general.architecture", 4, bytes(4))]), ["general.architecture"]),
        (gguf([tensor(b"x")], [pair(b"general.architecture", 8, text(b"rwkv"))]), ["'rwkv' is not supported"]),
        (gguf([tensor(b"blk.0.attn_q.weight")], [ARCH, pair(b"llama.block_count", 6, struct.pack("<f", float("nan")))]), ["llama.block_count"]),
        (gguf([tensor(b"blk.0.attn_q.weight")], [ARCH, pair(b"llama.block_count", 11, struct.pack("<q", -5))]), ["llama.block_count"]),
    ],
)  # fmt: skip
def test_gguf_claims(tmp_path, data, words):
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    found = read(path)
    assert isinstance(found, str)
    assert len(found) < 4000
    for word in words:
        assert word in found, found


def test_many_texts_and_many_tensors_are_refused_in_time(tmp_path):
    path = tmp_path / "texts.gguf"
    path.write_bytes(gguf(pairs=[pair(b"a", 9, struct.pack("<IQ", 8, 1 << 22) + bytes(8 << 22))]))
    refused(path, "4,194,304 texts")
    path.write_bytes(gguf(counts=(1 << 20, 0)) + bytes(24 << 20))
    refused(path, "1,048,576 tensors")


@pytest.fixture(scope="module")
def small_gguf(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    write_gguf(path, lambda *_: "Q4_K", layers=4, data=False)
    return path.read_bytes()


@relaxed
@given(edits)
def test_mutated_gguf(small_gguf, tmp_path, changes):
    path = tmp_path / "m.gguf"
    # the tokenizer's list is the longest part of the header and the least telling: changes go to its ends
    path.write_bytes(mutated(small_gguf, changes))
    assert isinstance(read(path), Trace | str)


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic(tmp_path, data):
    path = tmp_path / "any.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 3) + data)
    assert isinstance(read(path), Trace | str)


# safetensors


def safe(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F16", shape=(2, 2), places=(0, 8)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(places)}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["0 bytes"]),
        (b"\x01", ["1 bytes"]),
        (safe(b"{}", 10 << 30), ["claims a header of 10,737,418,240 bytes"]),
        (safe(b"{}", 2**64 - 1), ["claims a header"]),
        (safe(b'{"a": 1', 4000), ["ends within the header"]),
        (safe(b'{"a": 1'), ["no JSON"]),
        (safe(b"\xff\xfe{}"), ["no"]),
        (safe(b"[" * 100_000), ["nested too deeply"]),
        (safe(b'{"a":' * 100_000), ["nested too deeply"]),
        (safe(b"[1]"), ["JSON object"]),
        (safe(b'{"a": NaN}'), ["NaN"]),
        (safe(json.dumps({"a": 5}).encode()), ["must have dtype"]),
        (safe(json.dumps({"a": entry("F17")}).encode()), ["F17", "F16"]),
        (safe(json.dumps({"a": entry(shape=(-1, 2))}).encode()), ["shape [-1, 2]"]),
        (safe(b'{"a": {"dtype": "F16", "shape": [1e400, 2], "data_offsets": [0, 8]}}'), ["shape"]),
        (safe(b'{"a": {"dtype": "F16", "shape": [%s], "data_offsets": [0, 8]}}' % (b"9" * 5000)), ["number"]),
        (safe(json.dumps({"a": entry(shape=(2**60,), places=(0, 2**61))}).encode()), ["shape"]),
        (safe(json.dumps({"a": entry(shape=(2**39, 2**39), places=(0, 2**61))}).encode()), ["2^50"]),
        (safe(json.dumps({"a": entry(places=(0, 9))}).encode()), ["9 bytes"]),
        (safe(json.dumps({"a": entry(places=(8, 0))}).encode()), ["bytes"]),
        (safe(json.dumps({"a": entry(places=(0,))}).encode()), ["data_offsets"]),
        (safe(json.dumps({"a": entry(), "b": entry(places=(4, 12))}).encode()), ["'a' and 'b' overlap"]),
        (safe(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2)), ["there twice"]),
        (safe(json.dumps({"n" * 5000: entry()}).encode()), ["5,000 characters"]),
        (safe(json.dumps({"a": entry(shape=())}).encode()), ["bytes"]),
    ],
)
def test_safetensors_claims(tmp_path, data, words):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    refused(path, *words)


def test_a_header_of_the_longest_length_is_read_in_time(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    path = tmp_path / "model.safetensors"
    names = {f"model.layers.{n}.x.weight": entry(places=(8 * n, 8 * n + 8)) for n in range(18_000)}
    text = json.dumps(names).encode()
    assert LONGEST_HEADER // 2 < len(text) < LONGEST_HEADER
    path.write_bytes(safe(text))
    with in_time(), pytest.raises(UsageError, match="no tensor of"):
        load_workload(path, seq_len=8)


@pytest.mark.parametrize(
    "file",
    ["../../etc/passwd", "/etc/passwd", "..\\x.safetensors", "a/../../x.safetensors", "model.safetensors.index.json",
     "C:x.safetensors", ".safetensors", "x\0.safetensors", "", None, 5, ["model.safetensors"]],
)  # fmt: skip
def test_an_index_stays_in_its_folder(tmp_path, file):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": file}}))
    refused(path, "valid: a name that ends on .safetensors, beside the index")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["no JSON"]),
        (b"[]", ["weight_map"]),
        (b'{"weight_map": {}}', ["weight_map"]),
        (b'{"weight_map": [1]}', ["weight_map"]),
        (b'{"weight_map": {"a": "gone.safetensors"}}', ["gone.safetensors"]),
        (b'{"weight_map": {"a": "model.safetensors"}}', ["'a' is not in model.safetensors"]),
        (b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', ["there twice"]),
        (b'{"a":' * 100_000, ["nested too deeply"]),
        (json.dumps({"weight_map": {f"t{n}": f"{n}.safetensors" for n in range(5000)}}).encode(), ["5,000 files"]),
    ],
)
def test_hostile_indexes(tmp_path, data, words):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "model.safetensors").write_bytes(safe(b"{}"))
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(data)
    refused(path, *words)


def test_patterns_that_would_keep_a_matcher_busy_are_refused(tmp_path):
    for pattern in ("re:(.*)*x", "re:" + ".*" * 40, "*" * 30, "re:" + "a" * 500):
        config = {**LLAMA, "quantization_config": q.compressed(q.weights(), ignore=[pattern])}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert "pattern" in str(read(tmp_path / "config.json"))


@pytest.fixture(scope="module")
def small_safetensors(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("safe")
    config = {**LLAMA, "quantization_config": q.METHODS["gptq"][1]}
    data = write_safetensors(folder, hf_tensors(q.gptq()), config).read_bytes()
    return data[: 8 + struct.unpack("<Q", data[:8])[0]]


@relaxed
@given(edits)
def test_mutated_safetensors(small_safetensors, tmp_path, changes):
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "quantization_config": q.METHODS["gptq"][1]}))
    path = tmp_path / "model.safetensors"
    header = mutated(small_safetensors[8:], changes)
    path.write_bytes(safe(header))
    assert isinstance(read(path), Trace | str)


keys = st.sampled_from(
    ["quant_method", "bits", "group_size", "config_groups", "ignore", "weight_block_size", "modules_to_not_convert",
     "dynamic", "load_in_4bit", "bnb_4bit_quant_type", "modules_in_block_to_quantize", "lm_head"]
)  # fmt: skip
methods = st.sampled_from(["gptq", "awq", "fp8", "mxfp4", "bitnet", "bitsandbytes", "compressed-tensors"])


@settings(relaxed, max_examples=60)
@given(st.dictionaries(keys, values, max_size=4), methods)
def test_any_quantization_config(tmp_path, config, method):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**LLAMA, "quantization_config": {"quant_method": method, **config}}))
    assert isinstance(read(path), Trace | str)


def test_a_gguf_header_of_the_most_tensors_and_texts_is_read_in_time(tmp_path):
    path = tmp_path / "most.gguf"
    texts = pair(b"tokens", 9, struct.pack("<IQ", 8, MOST_STRINGS) + bytes(8 * MOST_STRINGS))
    tensors = [tensor(b"blk.%d.x.weight" % n, offset=160 * n) for n in range(MOST_TENSORS // 2)]
    path.write_bytes(gguf(tensors, [ARCH, texts]))
    with in_time(), pytest.raises(UsageError, match=r"llama\.block_count|missing"):
        load_workload(path, seq_len=8)
