"""Phases on architectures: rows that stand for many steps against the steps one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.evaluate import Result, evaluate
from hwsim.spec.data import find_example
from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload, write_trace

PHASES: dict[str, dict[str, Any]] = {
    "chunked_prefill": {"seq_len": 100, "chunk": 32, "causal": "half"},
    "generation": {"seq_len": 20, "new_tokens": 30},
    "mixed": {"requests": ["prefill:50", "prefill:9@30", "decode@100x2"]},
    "speculative": {"draft": "opt-125m", "draft_tokens": 3, "acceptance": 0.7, "context": 100},
    "training": {"seq_len": 16, "recompute": "attention"},
}


def machine(name: str) -> Simulated:
    return open_arch(find_example("arch_configs", name), {})


def total(results: list[Result], column: str) -> float:
    return sum(row[column] for result in results for row in result.layer_rows)


@pytest.mark.parametrize("arch", ["edge_16x16_45nm", "systolic_32x32_28nm", "bitmod_28nm", "tpu_like_7nm"])
@pytest.mark.parametrize(("tokens", "new"), [(33, 50), (200, 100)])
def test_a_generation_costs_what_its_steps_cost(arch: str, tokens: int, new: int) -> None:
    """Work and DRAM traffic are equal. Cycles differ by the mapper's choices at average in place of single lengths."""
    simulated = machine(arch)
    whole = [evaluate(simulated, load_workload("gpt2", phase="generation", seq_len=tokens, new_tokens=new))]
    steps = [evaluate(simulated, load_workload("gpt2", phase="decode", context=tokens + i)) for i in range(new)]
    steps.append(evaluate(simulated, load_workload("gpt2", seq_len=tokens)))
    for column in ("macs", "dram_read_bytes", "dram_write_bytes"):
        assert total(whole, column) == total(steps, column), column
    # measured on the four examples: cycles within 0.12 %, energy within 0.01 %
    assert total(whole, "cycles") == pytest.approx(total(steps, "cycles"), rel=2e-3)
    assert total(whole, "energy_pj") == pytest.approx(total(steps, "energy_pj"), rel=2e-4)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("arch", ["edge_16x16_45nm", "tpu_like_7nm"])
def test_phases_run_and_their_csv_runs_alike(phase: str, arch: str, tmp_path: Path) -> None:
    trace = load_workload("opt-125m", phase=phase, **PHASES[phase])
    write_trace(trace, tmp_path / "t.csv")
    simulated = machine(arch)
    found, again = (evaluate(simulated, t) for t in (trace, load_workload(tmp_path / "t.csv")))
    assert [dict(row) for row in found.layer_rows] == [dict(row) for row in again.layer_rows]
    assert total([found], "macs") == trace.macs
    assert total([found], "cycles") > 0


def test_an_optimizer_moves_its_states_through_dram() -> None:
    """Adam: gradient in, two moments and the master copy in and out, weights out: 2 + 8 + 4, then 8 + 4 + 2 bytes."""
    trace = load_workload("opt-125m", phase="training", seq_len=16)
    found = evaluate(machine("tpu_like_7nm"), trace)
    updates = [row for row in found.layer_rows if row["layer"].startswith("optimizer/")]
    parameters = trace.meta["parameters"]
    assert sum(row["dram_read_bytes"] for row in updates) == 14 * parameters
    assert sum(row["dram_write_bytes"] for row in updates) == 14 * parameters


MIXED = {"family": "float_mac", "w_format": "fp8_e4m3", "a_format": "fp8_e5m2"}
RECIPES: dict[str, list[Any]] = {
    "nvfp4_training": ["bf16", "nvfp4"],
    "quartet_training": ["bf16", "mxfp4"],
    "fp8_training": ["bf16", "fp8_e4m3", MIXED, {**MIXED, "w_format": "fp8_e5m2", "a_format": "fp8_e4m3"}],
    "llm_int8": ["fp16", "int8"],
}


@pytest.mark.parametrize("policy", RECIPES)
def test_recipes_and_decompositions_run_where_the_pe_takes_their_formats(policy: str) -> None:
    pe = {"family": "multi", "modes": RECIPES[policy]}
    simulated = open_arch(find_example("arch_configs", "systolic_32x32_28nm"), {"pe": pe})
    phase = "training" if policy.endswith("_training") else "prefill"
    trace = load_workload("opt-125m", phase=phase, seq_len=16, policy=policy)
    found = evaluate(simulated, trace)
    assert total([found], "macs") == trace.macs
    assert {row["w_format"] for row in found.layer_rows if row["op"] == "gemm"} == {g.w_format for g in trace.gemms}


def test_a_pipeline_of_chips_runs_one_pass() -> None:
    simulated = open_arch(
        find_example("arch_configs", "tpu_like_7nm"),
        {"chips": {"count": 2, "parallel": "pipeline", "link_bandwidth": "10 GB/s", "link_energy": "8 pJ/bit"}},
    )
    evaluate(simulated, load_workload("opt-125m", seq_len=16))
    with pytest.raises(UsageError, match="decode/.* 3 passes: a pipeline of chips takes one"):
        evaluate(simulated, load_workload("opt-125m", phase="generation", seq_len=16, new_tokens=3))
