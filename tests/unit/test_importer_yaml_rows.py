"""Traces in YAML: the same rows as in CSV, to and fro, and mistakes at their places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.spec.errors import SpecError
from hwsim.workload import Gemm, Trace, VectorOp, load_workload, read_trace, write_trace
from hwsim.workload.importers.csv import COLUMNS
from hwsim.workload.importers.yaml_rows import OpRow, write_yaml

ROWS = (
    Gemm(
        "a: b, {c} # d",
        4,
        5,
        6,
        2,
        3,
        "int4_g128",
        "fp16",
        "fp16",
        "kv",
        "activation",
        "score",
        "zeros=0.5",
        "laplace",
        'say "ä"',
    ),
    Gemm("1", 1, 1, 1),
    VectorOp("yes", "softmax", 4, 5, 2, 3, "fp16", "fp16", "~"),
    VectorOp("null", "add", 1, 1),
)


def test_every_field_survives(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    write_yaml(Trace("my trace", ROWS), path)
    trace = load_workload(path)
    assert (trace.name, trace.ops) == ("my trace", ROWS)


@pytest.mark.parametrize("model", ["opt-125m", "resnet-18"])
def test_csv_and_yaml_hold_the_same(model: str, tmp_path: Path) -> None:
    original = load_workload(model)
    write_yaml(original, tmp_path / "t.yaml")
    write_trace(load_workload(tmp_path / "t.yaml"), tmp_path / "t.csv")
    assert read_trace(tmp_path / "t.csv").ops == original.ops


def test_a_comment_states_what_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    write_yaml(Trace("t", ROWS), path)
    assert path.read_text().startswith("# operands without a distribution in w_stats, a_stats: gaussian is assumed\n")
    write_yaml(Trace("t", (Gemm("q", 1, 1, 1, w_stats="laplace", a_stats="laplace"),)), path)
    assert path.read_text().startswith("name: ")


def test_a_row_has_the_columns_of_the_csv() -> None:
    assert set(OpRow.model_fields) == set(COLUMNS)


def written(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "w.yaml"
    path.write_text("ops:\n" + "".join(f"  - {{{row}}}\n" for row in rows))
    return path


def test_mistakes_have_places(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "layer: a, op: gemm, m: 4, n: 5, k: 0",
        "layer: b, op: add, m: 4, n: 5, k: 3",
        "op: gemm, m: 1, n: 1, k: 1",
    )
    with pytest.raises(SpecError) as caught:
        load_workload(path)
    lines = [(problem.line, problem.path) for problem in caught.value.problems]
    assert lines == [(2, "ops.0.k"), (3, "ops.1.k"), (4, "ops.2")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("layer: a, op: gemm, m: 4, n: 5", "must be a whole number from 1"),
        ("layer: a, op: softmx, m: 4, n: 5", "did you mean 'softmax'?"),
        ("layer: a, op: gemm, m: 4, n: 5, k: 6, w_format: int9000", "int9000"),
        ("layer: a, op: gemm, m: 4, n: 5, k: 6, role: fnn", "did you mean 'ffn'?"),
        ("layer: a, op: gemm, m: 4, n: 5, k: 6, colour: red", "unknown key 'colour'"),
        ("layer: a, op: gemm, m: 1000000000, n: 1000000000, k: 9", "multiply-accumulates"),
    ],
)
def test_rows_that_are_wrong(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_workload(written(tmp_path, row))
    assert message in str(caught.value)


def test_rows_are_fixed_and_take_a_policy(tmp_path: Path) -> None:
    path = written(
        tmp_path, "layer: a, op: gemm, m: 4, n: 5, k: 6, w_format: int8", "layer: b, op: gemm, m: 4, n: 5, k: 6"
    )
    with pytest.raises(SpecError, match="a trace is fixed"):
        load_workload(path, batch=2)
    formats = [gemm.w_format for gemm in load_workload(path, policy="w4a16").gemms]
    assert formats[0] == "int8"
    assert formats[1] != ""
    with pytest.raises(SpecError, match="name exactly one of"):
        load_workload(path, model="gpt2")


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("ops: []\n")
    with pytest.raises(SpecError, match="ops"):
        load_workload(path)


def test_the_command_writes_yaml_by_the_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t.yaml"
    assert run_command(["trace", "opt-125m", "--seq-len", "8", "-o", str(target)]) == 0
    assert load_workload(target).ops == load_workload("opt-125m", seq_len=8).ops
    assert replace(load_workload(target), meta={}).name == "opt-125m prefill 8"
