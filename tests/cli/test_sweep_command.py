"""``hwsim sweep`` and ``hwsim pareto`` as a user runs them: files, resumption, interruption, exit codes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pandas as pd
import pytest

from hwsim.cli.main import run_command

ARCH = """
name: small
technology: 28nm
clock: 500 MHz
array: {rows: 8, cols: 8, dataflow: weight_stationary}
pe: {family: int_mac, format: int8}
memories:
  weights: {size: 16 KiB}
  activations: {size: 16 KiB}
  outputs: {size: 16 KiB}
dram: {preset: ddr4_2400}
"""

TRACE = """layer,op,m,n,k,batch,repeat,w_format,a_format,o_format
one,gemm,24,40,56,1,3,,,
two,gemm,1,64,64,2,1,,,
act,gelu,24,40,,1,1,,,
"""

SWEEP = """
name: grid
base: small.yaml
workloads:
  - {{trace: trace.csv, name: whole}}
grid:
  array.rows: {rows}
  array.cols: [4, 8]
  pe:
    - {{family: int_mac, format: int8}}
    - {{family: float_mac, format: bf16}}
constraints: {constraints}
objectives: {{energy_mj: min, latency_ms: min}}
"""


@pytest.fixture
def files(tmp_path):
    def write(rows="[4, 8, 12]", constraints="[]"):
        (tmp_path / "small.yaml").write_text(ARCH)
        (tmp_path / "trace.csv").write_text(TRACE)
        sweep = tmp_path / "grid.yaml"
        sweep.write_text(SWEEP.format(rows=rows, constraints=constraints))
        return str(sweep)

    return write


def hwsim(*arguments):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "hwsim", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stored(path):
    """Return how many points a store has on disk; none while it is being made."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT COUNT(*) FROM results").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def wait_for_points(process, store, count):
    until = time.monotonic() + 60
    while stored(store) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def test_files_and_summary(files, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(["sweep", files(), "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "designs.csv", "pareto.png", "pareto.svg", "report.html", "results.sqlite"
    ]  # fmt: skip
    frame = pd.read_csv(out / "designs.csv")
    assert len(frame) == 12
    assert list(frame.columns[:5]) == ["design_id", "workload", "array.rows", "array.cols", "pe"]
    assert list(frame.columns[-4:]) == ["sqnr_db", "accuracy_source", "status", "reason"]
    assert set(frame["status"]) == {"ok"}
    assert set(frame["accuracy_source"]) == {"distribution"}
    shown = capsys.readouterr()
    assert "12 of 12 points: 12 ok" in shown.out
    assert "Pareto front" in shown.out
    assert "results.sqlite" not in shown.out
    assert "designs.csv" in shown.err


def test_tables_do_not_depend_on_jobs(files, tmp_path):
    sweep = files()
    for jobs in (1, 2, 3):
        assert run_command(["sweep", sweep, "--jobs", str(jobs), "-o", str(tmp_path / f"j{jobs}")]) == 0
    for name in ("designs.csv", "pareto.svg"):
        assert len({(tmp_path / f"j{jobs}" / name).read_bytes() for jobs in (1, 2, 3)}) == 1


def test_a_second_run_evaluates_nothing(files, tmp_path, capsys):
    sweep, out = files(), str(tmp_path / "out")
    run_command(["sweep", sweep, "-o", out])
    capsys.readouterr()
    assert run_command(["sweep", sweep, "-o", out]) == 0
    assert "0 evaluated now, 12 found" in capsys.readouterr().out
    assert run_command(["sweep", sweep, "--fresh", "-o", out]) == 0
    assert "12 evaluated now, 0 found" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_sweep_keeps_its_points_and_goes_on(files, tmp_path, capsys, jobs, how):
    sweep, out = files(rows="{range: [2, 400, 1]}"), tmp_path / "out"
    process = hwsim("sweep", sweep, "--jobs", jobs, "-o", out)
    wait_for_points(process, out / "results.sqlite", 20)
    os.killpg(process.pid, how) if how == signal.SIGKILL else process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130), errors
    if how == signal.SIGINT:
        assert "points are kept" in errors
        assert "Traceback" not in errors
    assert not (out / "designs.csv").exists()
    kept = stored(out / "results.sqlite")
    assert 20 <= kept < 1596
    small = files(rows="{range: [2, 31, 1]}")  # part of the same space: its points are there already
    assert run_command(["sweep", small, "-o", str(out)]) == 0
    summary = capsys.readouterr().out
    assert f"{min(kept, 120)} found in the store" in summary or int(summary.split("now, ")[1].split()[0]) >= 20
    assert run_command(["sweep", small, "-o", str(tmp_path / "whole")]) == 0
    assert (out / "designs.csv").read_bytes() == (tmp_path / "whole" / "designs.csv").read_bytes()


def test_infeasible_points_are_kept_with_their_reason_and_exit_code_3(files, tmp_path, capsys):
    out = tmp_path / "out"
    sweep = files(rows="[4, 4096]")  # a row of 4096 weights does not fit into half of 16 KiB, 4 columns do
    assert run_command(["sweep", sweep, "-o", str(out)]) == 3
    frame = pd.read_csv(out / "designs.csv")
    bad = frame[frame["status"] != "ok"]
    assert set(bad["status"]) == {"infeasible"}
    assert set(bad["array.rows"]) == {4096}
    assert bad["reason"].str.contains("valid").all()
    assert "infeasible" in capsys.readouterr().out


def test_constraints_exclude(files, tmp_path, capsys):
    out = tmp_path / "out"
    sweep = files(constraints="[array.rows * array.cols >= 64, area_mm2 <= 0.5]")
    assert run_command(["sweep", sweep, "-o", str(out)]) == 0
    frame = pd.read_csv(out / "designs.csv")
    assert (frame["array.rows"] * frame["array.cols"] >= 64).all()
    assert "left out by constraints" in capsys.readouterr().out


def test_pareto_reads_folder_store_and_table(files, tmp_path, capsys):
    out = tmp_path / "out"
    run_command(["sweep", files(), "-o", str(out)])
    capsys.readouterr()
    tables = []
    for source in (out, out / "results.sqlite", out / "designs.csv"):
        front = tmp_path / f"front_{source.suffix}"
        code = run_command(
            ["pareto", str(source), "-x", "area_mm2", "-y", "tops_per_watt", "-o", str(front), "--format", "csv"]
        )
        assert code == 0
        assert sorted(p.name for p in front.iterdir()) == ["pareto.csv", "pareto.png", "pareto.svg"]
        tables.append(capsys.readouterr().out)
    assert len(set(tables)) == 1
    front = pd.read_csv(tmp_path / "front_" / "pareto.csv").sort_values("area_mm2")
    assert front["tops_per_watt"].is_monotonic_increasing  # more area must buy more efficiency


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-x", "energy", "-y", "latency_ms"], ["unknown column 'energy'", "energy_mj"]),
        (["-x", "energy_mj", "-y", "energy_mj"], ["must differ"]),
        (["-x", "energy_mj:least", "-y", "latency_ms"], ["valid: min, max"]),
        (["-x", "energy_mj", "-y", "latency_ms", "--where", "area <= 2"], ["unknown variable 'area'"]),
        (["-x", "energy_mj", "-y", "latency_ms", "--sweep", "grit"], ["did you mean 'grid'"]),
    ],
)
def test_wrong_questions_to_pareto(files, tmp_path, capsys, arguments, words):
    out = tmp_path / "out"
    run_command(["sweep", files(), "-o", str(out)])
    capsys.readouterr()
    assert run_command(["pareto", str(out), *arguments, "-o", str(tmp_path / "front")]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert not (tmp_path / "front").exists()


def test_shards_are_parts(files, tmp_path):
    sweep = files()
    for part in ("1/2", "2/2"):
        assert run_command(["sweep", sweep, "--shard", part, "-o", str(tmp_path / part[0])]) == 0
    rows = [pd.read_csv(tmp_path / part / "designs.csv") for part in "12"]
    assert sum(map(len, rows)) == 12
    assert not set(rows[0]["design_id"]) & set(rows[1]["design_id"])


def test_progress_goes_to_stderr_only(files, tmp_path):
    process = hwsim("sweep", files(), "-o", tmp_path / "out", "--format", "csv")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("design_id,workload,")
    assert len(out.splitlines()) == 13
    assert "wrote" in err
