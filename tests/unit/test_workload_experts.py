"""Which experts get how many rows, and what a run with experts reads, computes and stores."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload import Trace, load_workload, memory_footprint
from hwsim.workload.experts import Experts, apportion, is_routed, shares

experts = st.builds(
    lambda count, top_k, steep: Experts(1, count, min(top_k, count), 8, distribution=f"zipf:{steep}"),
    st.integers(1, 40),
    st.integers(1, 8),
    st.sampled_from([0, 0.5, 1, 3]),
)


@given(st.integers(1, 300), experts)
def test_rows_are_conserved_and_no_expert_sees_a_token_twice(rows: int, model: Experts) -> None:
    loads = model.loads(rows)
    assert sum(load * number for load, number in loads) == rows * model.top_k
    assert all(0 < load <= rows for load, _ in loads)
    assert sum(number for _, number in loads) <= model.count
    assert loads == sorted(loads, reverse=True)


@given(st.integers(1, 300), experts)
def test_uniform_is_as_even_as_can_be_and_touches_as_many_as_can_be(rows: int, model: Experts) -> None:
    loads = replace(model, distribution="uniform").loads(rows)
    assert sum(number for _, number in loads) == min(model.count, rows * model.top_k)
    assert loads[0][0] - loads[-1][0] <= 1


@given(st.integers(0, 60), st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_no_apportionment_is_nearer_to_the_shares(rows: int, weights: list[int]) -> None:
    """Largest remainder: no row moved from one to another makes the sum of squares smaller."""
    parts = [Fraction(weight, sum(weights)) for weight in weights]
    given_rows = apportion(rows, parts, most=rows)
    assert sum(given_rows) == rows
    off = [Fraction(got) - rows * part for got, part in zip(given_rows, parts, strict=True)]
    assert all((a - 1) ** 2 + (b + 1) ** 2 >= a**2 + b**2 for a in off for b in off if a is not b)


def test_what_an_expert_cannot_take_goes_to_the_others() -> None:
    assert apportion(10, [Fraction(9, 10), Fraction(1, 10), Fraction(0)], most=4) == [4, 4, 2]
    assert apportion(6, [Fraction(1), Fraction(0), Fraction(0)], most=4) == [4, 1, 1]
    assert [float(share) for share in shares("zipf:1", 3)] == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert sum(shares("zipf:0.7", 100)) == 1
    assert shares((1.0, 3.0), 2) == [Fraction(1, 4), Fraction(3, 4)]


def mixtral(**options: Any) -> Trace:
    return load_workload({"model": "mixtral-8x7b", **options})


def routed(trace: Trace) -> list[tuple[int, int]]:
    return [(gemm.m, gemm.batch) for gemm in trace.gemms if is_routed(gemm) and gemm.layer == "moe.down_proj"]


@pytest.mark.parametrize(("batch", "touched"), [(1, 2), (3, 6), (4, 8), (5, 8)])
def test_decode_touches_as_many_experts_as_rows_allow(batch: int, touched: int) -> None:
    trace = mixtral(phase="decode", context=10, batch=batch)
    assert sum(number for _, number in routed(trace)) == touched
    read = sum(gemm.w_elements for gemm in trace.gemms if is_routed(gemm))
    assert read == 32 * touched * 3 * 4096 * 14336


def test_the_distribution_is_stated_and_moves_rows_only() -> None:
    uniform = mixtral(seq_len=100)
    skewed = mixtral(seq_len=100, settings={"expert_distribution": [8, 1, 1, 1, 1, 1, 1, 0]})
    assert routed(uniform) == [(25, 8)]
    assert routed(skewed) == [(100, 1), (17, 4), (16, 2)]  # 114 are due to the first; no token goes there twice
    assert uniform.meta["expert_distribution"] == "uniform"
    assert skewed.meta["expert_distribution"] == (8, 1, 1, 1, 1, 1, 1, 0)
    assert skewed.macs == uniform.macs
    assert "uniform" in next(gemm.note for gemm in uniform.gemms if is_routed(gemm))
    zipf = mixtral(seq_len=100, settings={"expert_distribution": "zipf:1"})
    assert zipf.macs == uniform.macs
    assert routed(zipf)[0] == (74, 1)


def test_all_experts_are_stored_whatever_is_read() -> None:
    found = {memory_footprint(mixtral(**o), "w4a16_g128")["weight_bytes"] for o in ({}, {"phase": "decode"})}
    assert len(found) == 1


def test_dense_layers_and_shared_experts() -> None:
    trace = load_workload("deepseek-v3", seq_len=64)
    by_layer = {gemm.layer: gemm for gemm in trace.gemms}
    assert by_layer["mlp.up_proj"].repeat == 3
    assert by_layer["moe.router"].repeat == 58
    assert by_layer["moe.shared.up_proj"].n == 2048
    assert routed(trace) == [(2, 256)]


def test_a_setting_that_no_expert_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"llama has no key 'expert_distribution'"):
        load_workload({"model": "llama-2-7b", "settings": {"expert_distribution": "uniform"}})
