"""Statistics of weights: codes counted piece by piece are those of the whole tensor; runs use them and say so."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.measured import codes_of, measured_shares, measured_word, read_measured, relative, resolved
from hwsim.formats.operand import OperandStats, read_operand_stats
from hwsim.formats.statistics import bit_statistics
from hwsim.hardware.pe.digit_cycles import code_shares
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import load_workload, read_trace, write_trace
from hwsim.workload.checkpoints import measure as pieces
from hwsim.workload.statistics import measure
from tests.support import quantized as q
from tests.support.checkpoints import LLAMA, hf_tensors, write_safetensors
from tests.support.small import small

#: Two layers of 64 × 64 … 96: small enough for runs.
TINY = {**LLAMA, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 128}  # fmt: skip
SHAPES = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96),
}  # fmt: skip


def weights(seed=0, dtype=np.float16):
    rng = np.random.default_rng(seed)
    found = {
        name: rng.standard_normal((128, 64)).astype(dtype) for name in ("model.embed_tokens.weight", "lm_head.weight")
    }
    for layer in range(2):
        for name, shape in SHAPES.items():
            found[f"model.layers.{layer}.{name}.weight"] = (rng.standard_t(3, shape) * 0.1).astype(dtype)
    return found


@pytest.fixture
def checkpoint(tmp_path):
    tensors = weights()
    return write_safetensors(tmp_path / "tiny", tensors, TINY), tensors


@pytest.mark.parametrize("name", ["int8", "int8_channel", "int4_g32", "int4_asym_g32", "nvfp4", "mxfp4", "fp8_e4m3", "int8_tensor", "int4_t16x16", "bitmod4_g32", "uint4"])  # fmt: skip
@pytest.mark.parametrize("chunk", [64, 1000, 1 << 20])
def test_pieces_have_the_codes_of_the_whole(tmp_path, checkpoint, monkeypatch, name, chunk):
    path, tensors = checkpoint
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    fmt = parse_format(name)
    measured = measure(load_workload(path, seq_len=8), path, [name], tmp_path / "t.stats.json")
    row = next(gemm for gemm in measured.gemms if gemm.layer == "mlp.down_proj")
    expected = np.zeros(2**fmt.bits, dtype=np.int64)
    for layer in range(2):
        x = tensors[f"model.layers.{layer}.mlp.down_proj.weight"].astype(np.float32)
        expected += np.bincount(codes_of(fmt, x).reshape(-1).astype(np.int64), minlength=expected.size)
    assert np.array_equal(read_measured(row.w_stats)[name], expected)
    assert row.w_format == name
    assert row.note == "stored in fp16"


def test_digits_are_those_of_bit_statistics(tmp_path, checkpoint):
    path, tensors = checkpoint
    target = tmp_path / "t.stats.json"
    measure(load_workload(path, seq_len=8), path, ["int8_channel"], target)
    entry = json.loads(target.read_text())["entries"]["attn.q_proj:fp16"]
    assert (entry["tensors"], entry["elements"]) == (2, 2 * 64 * 64)
    both = np.concatenate([tensors[f"model.layers.{layer}.self_attn.q_proj.weight"] for layer in range(2)])
    found = bit_statistics(both.astype(np.float32), parse_format("int8_channel"))
    assert entry["formats"]["int8_channel"]["histogram"] == found.histogram.tolist()
    for encoding, counts in entry["formats"]["int8_channel"]["digits"].items():
        assert counts == found.digit_histograms[encoding].tolist()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_floats(tmp_path, dtype):
    x = np.random.default_rng(1).standard_normal((8, 32)).astype(np.float32)
    stored = x if dtype == "float32" else (x.view(np.uint32) >> 16).astype(np.uint16)
    values = x if dtype == "float32" else (stored.astype(np.uint32) << 16).view(np.float32)
    header = json.dumps(
        {"w": {"dtype": "F32" if dtype == "float32" else "BF16", "shape": [8, 32], "data_offsets": [0, stored.nbytes]}}
    ).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + stored.tobytes())
    from hwsim.workload.checkpoints.safetensors import read_checkpoint

    fmt = parse_format("int8_g32")
    found = pieces.float_histograms(read_checkpoint(path).tensors["w"], (8, 32), [fmt])[fmt]
    assert np.array_equal(found, np.bincount(codes_of(fmt, values).reshape(-1), minlength=256))


def packed_int32(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack codes along the last axis, the lowest first, as GPTQ, AWQ (but for its order) and compressed-tensors do."""
    per = 32 // bits
    parts = codes.reshape(*codes.shape[:-1], -1, per).astype(np.uint32)
    return (parts << (bits * np.arange(per, dtype=np.uint32))).sum(axis=-1, dtype=np.uint32).view(np.int32)


def test_packed_codes_are_counted_in_their_own_format(tmp_path):
    rng = np.random.default_rng(3)
    seen = np.zeros(16, dtype=np.int64)

    def linear(name, n, k):
        codes = np.minimum(rng.integers(0, 16, (n, k)), rng.integers(0, 16, (n, k)))
        if name.endswith("mlp.up_proj"):
            np.add.at(seen, codes.reshape(-1), 1)
        own = q.gptq()(name, n, k)
        return {
            **own,
            f"{name}.qweight": packed_int32(codes, 4).T.copy(),
        }

    config = {**LLAMA, "num_hidden_layers": 2, "quantization_config": q.METHODS["gptq"][1]}
    path = write_safetensors(tmp_path / "q", hf_tensors(linear, layers=2), config)
    measured = measure(load_workload(path, seq_len=8), path, ["int8"], tmp_path / "t.stats.json")
    row = next(gemm for gemm in measured.gemms if gemm.layer == "mlp.up_proj")
    assert row.w_format == "int4_asym_g64_z4"
    assert np.array_equal(read_measured(row.w_stats)["int4_asym_g64_z4"], seen)


def test_symmetric_packed_integers_become_two_s_complement(tmp_path):
    values = np.array([-8, -1, 0, 7, 7, 7, 7, 7])

    def linear(name, n, k):
        stored = np.broadcast_to(np.resize(values, k) + 8, (n, k))
        return {**q.packed(name, n, k), f"{name}.weight_packed": packed_int32(stored, 4)}

    config = {**LLAMA, "num_hidden_layers": 1, "quantization_config": q.METHODS["packed"][1]}
    path = write_safetensors(tmp_path / "q", hf_tensors(linear, layers=1), config)
    measured = measure(load_workload(path, seq_len=8), path, ["int8"], tmp_path / "t.stats.json")
    row = next(gemm for gemm in measured.gemms if gemm.layer == "attn.q_proj")
    shares = measured_shares(row.w_stats, parse_format("int4_g64"))
    assert np.array_equal(shares, np.array([1, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0, 1]) / 8)


def test_runs_use_what_was_measured_and_say_so(tmp_path, checkpoint):
    path, _ = checkpoint
    out = tmp_path / "out"
    out.mkdir()
    assert run_command(["trace", str(path), "--seq-len", "8", "--stats", "int8", "-o", str(out / "t.csv")]) == 0
    text = (out / "t.csv").read_text()
    assert "measured:t.stats.json#attn.q_proj%3Afp16" in text
    trace = read_trace(out / "t.csv")
    machine = small(pe={"family": "laconic", "lanes": 2})
    found = evaluate(machine, trace)
    assert any("weights measured, attn.q_proj:fp16 of t.stats.json" in note for note in found.notes)
    plain = [gemm.__class__(**{**{f: getattr(gemm, f) for f in gemm.__slots__}, "w_stats": ""}) for gemm in trace.gemms]
    assumed = evaluate(machine, trace.__class__("assumed", tuple(plain)))
    assert found.layer_rows[0]["cycles"] != assumed.layer_rows[0]["cycles"]
    assert any("weights gaussian (assumed)" in note for note in assumed.notes)


def test_traces_with_statistics_may_move_with_their_file(tmp_path, checkpoint):
    path, _ = checkpoint
    one, other = tmp_path / "one dir", tmp_path / "other"
    one.mkdir()
    measured = measure(load_workload(path, seq_len=8), path, ["int4_g32"], one / "a b.stats.json")
    write_trace(measured, one / "t.csv")
    one.rename(other)
    moved = read_trace(other / "t.csv")
    word = moved.gemms[0].w_stats
    assert str(other) in word
    assert read_operand_stats(word).distribution_text == "measured, attn.q_proj:fp16 of a b.stats.json"
    assert resolved(relative(word, other), other) == word


def test_shares_take_the_place_of_a_named_distribution(tmp_path, checkpoint):
    path, _ = checkpoint
    measured = measure(load_workload(path, seq_len=8), path, ["int4_g32", "int8"], tmp_path / "t.stats.json")
    row = measured.gemms[0]
    assert row.w_format == ""  # two were measured: the run's policy chooses
    fmt = parse_format("int8")
    counts = read_measured(row.w_stats)["int8"]
    assert np.allclose(code_shares(fmt, read_operand_stats(row.w_stats)), counts / counts.sum(), rtol=0, atol=0)
    with pytest.raises(UsageError, match=r"was not measured in int6; valid: int4_g32, int8"):
        code_shares(parse_format("int6"), read_operand_stats(row.w_stats))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("measured:", "measured:FILE#KEY"),
        ("measured:gone.json#x", "no such file"),
        ("measured:{folder}/bad.json#x", "no file of statistics"),
        ("measured:{folder}/good.json#x", "holds no statistics of 'x'"),
    ],
)
def test_wrong_words_are_named(tmp_path, word, message):
    (tmp_path / "bad.json").write_text(
        '{"hwsim": "tensor statistics", "entries": {"x": {"formats": {"int2": {"histogram": [1, -1]}}}}}'
    )
    (tmp_path / "good.json").write_text('{"hwsim": "tensor statistics", "entries": {}}')
    with pytest.raises(UsageError, match=message):
        OperandStats(distribution=word.format(folder=tmp_path))


def test_what_cannot_be_measured_is_named(tmp_path, checkpoint):
    path, _ = checkpoint
    trace = load_workload(path, seq_len=8)
    with pytest.raises(UsageError, match="fp16 has no histogram of codes"):
        measure(trace, path, ["fp16"], tmp_path / "t.stats.json")
    with pytest.raises(UsageError, match=r"measured from \.safetensors"):
        measure(trace, Path("model.onnx"), ["int8"], tmp_path / "t.stats.json")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SpecError, match="ends before its data do"):
        measure(trace, path, ["int8"], tmp_path / "t.stats.json")
    assert run_command(["trace", str(path), "--stats", "int8"]) == 2


def test_weights_that_are_not_finite_are_refused(tmp_path):
    tensors = weights()
    tensors["model.layers.0.mlp.up_proj.weight"][3, 4] = np.inf
    path = write_safetensors(tmp_path / "tiny", tensors, TINY)
    with pytest.raises(SpecError, match="not finite"):
        measure(load_workload(path, seq_len=8), path, ["int8"], tmp_path / "t.stats.json")


def sparse_checkpoint(folder: Path, columns: int, rows: int) -> Path:
    """Write a checkpoint of one layer whose data are a hole of the file: zeros that take no room on disk."""
    config = {**TINY, "hidden_size": columns, "intermediate_size": rows, "num_hidden_layers": 1, "head_dim": 16}
    shapes = {"model.embed_tokens.weight": (128, columns), "lm_head.weight": (128, columns)}
    widths = {
        "self_attn.q_proj": (64, columns),
        "self_attn.k_proj": (32, columns),
        "self_attn.v_proj": (32, columns),
        "self_attn.o_proj": (columns, 64),
    }
    widths |= {"mlp.gate_proj": (rows, columns), "mlp.up_proj": (rows, columns), "mlp.down_proj": (columns, rows)}
    shapes |= {f"model.layers.0.{name}.weight": shape for name, shape in widths.items()}
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / "model.safetensors"
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + at)
    return path


MEASURE = """
import resource, sys
from pathlib import Path
from hwsim.workload import load_workload
from hwsim.workload.statistics import measure
path = Path(sys.argv[1])
trace = load_workload(path, seq_len=8)
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
measure(trace, path, ["int8_channel"], path.with_name("t.stats.json"))
print(start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_checkpoint(tmp_path):
    """A file of 0.4 GB is measured in less than 150 MB more than an empty run takes; the bound for 13 GB is 2 GiB."""
    path = sparse_checkpoint(tmp_path / "big", columns=4096, rows=16384)
    assert path.stat().st_size > 400e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, timeout=170
    )
    start, peak = (int(word) * 1024 for word in done.stdout.split())
    assert peak - start < 150e6
    assert peak < 2 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


def test_index_files_are_measured_too(tmp_path):
    tensors = weights()
    names = list(tensors)
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, members in files.items():
        save_file({name: tensors[name] for name in members}, tmp_path / file)
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, members in files.items() for name in members}}))
    one = write_safetensors(tmp_path / "one", tensors, TINY)
    measure(load_workload(index, seq_len=8), index, ["int8"], tmp_path / "i.stats.json")
    measure(load_workload(one, seq_len=8), one, ["int8"], tmp_path / "o.stats.json")
    found = [json.loads((tmp_path / f"{name}.stats.json").read_text())["entries"] for name in "io"]
    assert found[0] == found[1]
    assert measured_word(tmp_path / "x y.json", "a:b").endswith("x%20y.json#a%3Ab")
