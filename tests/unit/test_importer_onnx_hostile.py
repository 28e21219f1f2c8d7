"""Truncated, damaged and hostile ONNX files: one clear error within a second and little memory, or a trace."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.graph import onnx_file
from tests.support.graph_models import FOLDER
from tests.support.onnx_graphs import write_graph

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.helper import make_node  # noqa: E402

#: What a file may take to be refused, in seconds of this process; the machine that tests may be busy.
LIMIT_S = 1.0


def attempt(path: Path, settings: dict[str, object] | None = None) -> str:
    """Read a file; return the error's text, "" for a trace. Anything but a UsageError fails the test."""
    start = time.process_time()
    try:
        load_workload({"source": str(path), "settings": settings or {}})
    except UsageError as error:
        assert time.process_time() - start < LIMIT_S
        return str(error)
    return ""


@pytest.fixture
def small(tmp_path: Path) -> bytes:
    nodes = [
        make_node("MatMul", ["x", "w"], ["u"]),
        make_node("Reshape", ["u", "s"], ["v"]),
        make_node("Softmax", ["v"], ["y"]),
    ]
    path = write_graph(tmp_path / "small.onnx", nodes, {"x": [2, 8]}, {"w": (8, 6), "s": np.array([3, 4])})
    return path.read_bytes()


def test_every_beginning_of_a_file_is_refused_or_read(small, tmp_path):
    path = tmp_path / "t.onnx"
    refused = 0
    for length in range(len(small)):
        path.write_bytes(small[:length])
        refused += bool(attempt(path))
    assert refused > 0.95 * len(small)


@pytest.mark.parametrize("model", ["llama", "vit"])
def test_a_cut_file_says_that_it_is_cut(model, tmp_path):
    data = (FOLDER / f"{model}.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert "it is truncated" in attempt(path)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes(seed, small, tmp_path):
    chance, path = random.Random(seed), tmp_path / "d.onnx"
    for _ in range(150):
        data = bytearray(small)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        attempt(path)


@pytest.mark.parametrize("model", ["llama", "mixtral"])
def test_damaged_bytes_of_a_model(model, tmp_path):
    data, path, chance = (FOLDER / f"{model}.onnx").read_bytes(), tmp_path / "d.onnx", random.Random(model)
    for _ in range(12):
        broken = bytearray(data)
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        path.write_bytes(bytes(broken))
        attempt(path, {"batch": 1, "sequence": 8})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file is empty"),
        (b"\x00" * 100, "is no ONNX model, or damaged: no field starts at byte 0"),
        (b"PK\x03\x04" + b"a" * 100, "is no ONNX model"),
        (b"\xff" * 40, "no number ends after byte 0"),
        # the graph says that it is 2**60 bytes long
        (b"\x08\x08\x3a" + onnx_file._varint(1 << 60), "it is truncated"),
        (b"\x08\x08", "it names no graph or no opset"),
    ],
)
def test_what_is_no_model(content, message, tmp_path):
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    assert message in attempt(path)


def test_endless_small_fields_are_refused(tmp_path):
    path = tmp_path / "many.onnx"
    nodes = b"\x0a\x00" * 2_000_000  # nodes without anything
    path.write_bytes(b"\x3a" + onnx_file._varint(len(nodes)) + nodes)
    assert "holds more than 300,000 fields" in attempt(path)


def test_graphs_within_graphs_are_refused(tmp_path):
    body = b"\x00" * 5000
    inner = b"\x52" + onnx_file._varint(len(body)) + body  # a long doc string keeps every level large
    for _ in range(60):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # an attribute's graph, a node's attribute, a graph's node
            inner = tag + onnx_file._varint(len(inner)) + inner
    path = tmp_path / "deep.onnx"
    path.write_bytes(b"\x3a" + onnx_file._varint(len(inner)) + inner)
    assert "deep" in attempt(path)


def test_functions_that_double_are_refused(tmp_path):
    path = write_graph(tmp_path / "f.onnx", [make_node("F40", ["x"], ["y"], domain="own")], {"x": [2, 8]})
    model = onnx.load(path)
    imports = [helper.make_opsetid("own", 1)]
    model.opset_import.extend(imports)
    for level in range(1, 31):
        calls = [
            make_node(f"F{40 - level + 1}" if level > 1 else "Relu", [a], [b], domain="own" if level > 1 else "")
            for a, b in (("a", "b"), ("b", "c"))
        ]
        model.functions.append(
            helper.make_function("own", f"F{40 - level}" if level < 30 else "F40", ["a"], ["c"], calls, imports)
        )
    model.functions[-1].name = "F40"
    path.write_bytes(model.SerializeToString())
    assert attempt(path)


@pytest.mark.parametrize("dims", [(1 << 62, 8), (-1, 8), (1 << 40, 1 << 40), (0,) * 70])
def test_absurd_shapes_of_weights(dims, tmp_path):
    path = write_graph(tmp_path / "s.onnx", [make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, {"w": (8, 6)})
    model = onnx.load(path)
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].ClearField("dims")
    model.graph.initializer[0].dims.extend(dims)
    path.write_bytes(model.SerializeToString())
    assert "is no tensor's" in attempt(path)


def test_constants_that_would_fill_memory_are_not_computed(tmp_path):
    nodes = [
        make_node("ConstantOfShape", ["big"], ["c"]),
        make_node("Tile", ["c", "times"], ["t"]),
        make_node("Range", ["zero", "end", "one"], ["r"]),
        make_node("MatMul", ["x", "t"], ["y"]),
    ]
    stored = {
        "big": np.array([1 << 20, 1 << 10]), "times": np.array([1, 1 << 10]), "zero": np.array(0), "end": np.array(1 << 40),
        "one": np.array(1),
    }  # fmt: skip
    path = write_graph(tmp_path / "big.onnx", nodes, {"x": [2, 1 << 20]}, stored)
    assert attempt(path) == ""
    assert load_workload(str(path)).macs == 2 << 40


def test_large_weights_are_left_on_disk(tmp_path):
    path = write_graph(
        tmp_path / "l.onnx", [make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4096]}, {"w": (4096, 4096)}
    )
    assert path.stat().st_size > 64 << 20
    code = (
        "import resource, sys\nfrom hwsim.workload import load_workload\nimport onnx.shape_inference, onnx.inliner\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"load_workload({str(path)!r})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 24 << 10  # KiB; the file has 64 MiB
