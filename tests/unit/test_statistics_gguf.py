"""Histograms of GGUF tensors: codes as gguf's own reader dequantizes them, a few megabytes at a time."""

from __future__ import annotations

import json
import tracemalloc

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.block.ggml import ggml_types
from hwsim.formats.measured import codes_of
from hwsim.spec.errors import SpecError
from hwsim.workload import load_workload
from hwsim.workload.checkpoints.measure_gguf import UNPACK, block_histogram
from hwsim.workload.statistics import measure
from tests.support.checkpoints import write_gguf


def blocks_with(name: str, count: int, seed: int = 0) -> np.ndarray:
    """Return random blocks whose scales are one and whose minima are zero: what they decode to are their elements."""
    block = ggml_types()[name]
    data = np.random.default_rng(seed).integers(0, 256, (count, block.bytes), dtype=np.uint8)
    one = np.frombuffer(np.float16(1).tobytes(), np.uint8)
    if name in ("Q4_0", "Q8_0"):
        data[:, :2] = one
    elif name == "Q6_K":
        data[:, 192:208], data[:, 208:] = 1, one
    else:  # twelve bytes of 6-bit scales and minima: the first four scales in bytes 0 to 3, the others in 8 to 11
        data[:, :2], data[:, 2:16] = one, 0
        data[:, 4:8], data[:, 12:16] = 1, 1
    return data


@pytest.mark.parametrize("name", list(UNPACK))
def test_codes_are_those_that_gguf_dequantizes(name):
    blocks = blocks_with(name, 40)
    values = gguf.quants.dequantize(blocks, Kind[name]).reshape(-1)
    element = parse_format(ggml_types()[name].format).element
    codes = UNPACK[name](blocks).reshape(-1)
    assert np.array_equal(element.decode(codes.astype(np.uint32)), values)


@pytest.mark.parametrize("name", list(UNPACK))
def test_histograms_count_every_element_once(tmp_path, name):
    """Also where blocks end within what is read at once, and behind other data."""
    blocks, kind = blocks_with(name, 70_000 // ggml_types()[name].bytes), ggml_types()[name]
    path = tmp_path / "data"
    path.write_bytes(b"before" + blocks.tobytes())
    codes = UNPACK[name](blocks).reshape(-1)
    counts = block_histogram(path, 6, blocks.size, kind)
    assert counts.sum() == len(blocks) * kind.block
    assert np.array_equal(counts, np.bincount(codes, minlength=counts.size))
    with pytest.raises(SpecError, match="the file ends before its data do"):
        block_histogram(path, 6 + kind.bytes, blocks.size, kind)


def test_a_mix_is_measured_in_the_types_that_it_has(tmp_path, capsys):
    kinds = {"attn_q": "Q4_0", "attn_k": "Q8_0", "attn_v": "Q6_K", "attn_output": "Q5_K", "ffn_gate": "F16",
             "ffn_up": "F32", "ffn_down": "Q3_K"}  # fmt: skip
    path = tmp_path / "model.gguf"
    write_gguf(path, lambda kind, layer: kinds.get(kind, "Q4_K"))
    target = tmp_path / "t.csv"
    assert run_command(["trace", str(path), "--seq-len", "8", "--stats", "int8", "-o", str(target)]) == 0
    entries = json.loads((tmp_path / "t.stats.json").read_text())["entries"]
    sizes = {key: {name: sum(one["histogram"]) for name, one in entry["formats"].items()} for key, entry in
             entries.items()}  # fmt: skip
    assert sizes["attn.q_proj:int4_g32"] == {"int4_g32": 4 * 512 * 512}
    assert sizes["attn.k_proj:int8_g32"] == {"int8_g32": 4 * 128 * 512}
    assert sizes["attn.v_proj:q6_k"] == {"q6_k": 4 * 128 * 512}
    assert sizes["attn.o_proj:q5_k"] == {"q5_k": 4 * 512 * 512}
    assert sizes["mlp.gate_proj:fp16"] == {"int8": 4 * 768 * 512}
    assert sizes["mlp.up_proj:fp32"] == {"int8": 4 * 768 * 512}
    assert sizes["lm_head:q4_k"] == {"q4_k": 1000 * 512}
    assert "mlp.down_proj:q3_k" not in sizes  # not unpacked: the assumed distribution stays
    rows = load_workload(target)
    assert {gemm.layer for gemm in rows.gemms if gemm.w_source == "dram" and not gemm.w_stats} == {"mlp.down_proj"}
    reader = gguf.GGUFReader(path)
    raw = next(t for t in reader.tensors if t.name == "output.weight")
    block = UNPACK["Q4_K"](np.asarray(raw.data).reshape(-1, 144))
    found = entries["lm_head:q4_k"]["formats"]["q4_k"]["histogram"]
    assert found == np.bincount(block.reshape(-1), minlength=16).tolist()


def test_floats_are_those_of_safetensors(tmp_path):
    from gguf import GGUFWriter

    from tests.support.checkpoints import LAYER, finish, llama_keys

    path, rng = tmp_path / "f.gguf", np.random.default_rng(1)
    writer = GGUFWriter(path, "llama")
    llama_keys(writer, 1)
    values = {kind: rng.standard_normal(shape).astype(np.float32) for kind, shape in LAYER.items()}
    writer.add_tensor("token_embd.weight", np.zeros((1000, 512), np.float32))
    for kind, one in values.items():
        bf16 = kind == "ffn_down"
        data = gguf.quants.quantize(one, Kind.BF16) if bf16 else one
        writer.add_tensor(f"blk.0.{kind}.weight", data, raw_dtype=Kind.BF16 if bf16 else None)
    finish(writer)
    trace = measure(load_workload(path, seq_len=8), path, ["int4_g128"], tmp_path / "t.stats.json")
    assert all(gemm.w_stats for gemm in trace.gemms if gemm.w_source == "dram")
    entries = json.loads((tmp_path / "t.stats.json").read_text())["entries"]
    fmt = parse_format("int4_g128")
    for key, one in (("mlp.up_proj:fp32", values["ffn_up"]), ("mlp.down_proj:bf16", None)):
        if one is None:
            one = gguf.quants.dequantize(gguf.quants.quantize(values["ffn_down"], Kind.BF16), Kind.BF16)
        expected = np.bincount(codes_of(fmt, one).reshape(-1), minlength=16).tolist()
        assert entries[key]["formats"]["int4_g128"]["histogram"] == expected


def test_memory_is_bounded(tmp_path):
    """A tensor of 288 MB, a hole of the file, is counted in a few megabytes."""
    path, kind = tmp_path / "sparse", ggml_types()["Q4_K"]
    blocks = 2_000_000
    with path.open("wb") as file:
        file.truncate(blocks * kind.bytes)
    tracemalloc.start()
    counts = block_histogram(path, 0, blocks * kind.bytes, kind)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts[0] == blocks * 256
    assert peak < 128 << 20
