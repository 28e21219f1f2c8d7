"""Latent attention: the absorbed form of a decode step computes what the expanded one does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.workload import Gemm, Trace, load_workload, memory_footprint
from hwsim.workload.latent import Latent, absorbed_attention, expanded_attention


def test_both_forms_agree_on_numbers_in_the_shapes_of_the_trace() -> None:
    """Keys and values expanded from the latent, against query and result taken to the latent."""
    rng = np.random.default_rng(7)
    latent, heads, tokens = Latent(q_rank=0, kv_rank=6, nope_dim=4, rope_dim=2, v_dim=3), 5, 9
    nope, turned = rng.normal(size=(heads, 4)), rng.normal(size=(heads, 2))
    cache, keys_turned = rng.normal(size=(tokens, 6)), rng.normal(size=(tokens, 2))
    w_uk, w_uv = rng.normal(size=(heads, 4, 6)), rng.normal(size=(heads, 3, 6))
    keys = np.einsum("tr,hdr->htd", cache, w_uk)
    values = np.einsum("tr,hdr->htd", cache, w_uv)
    scores = np.einsum("hd,htd->ht", nope, keys) + turned @ keys_turned.T
    expected = np.einsum("ht,htd->hd", scores, values)

    absorb_k, score, value, absorb_v = (
        op for op in absorbed_attention(latent, heads, 1, 1, ((1, tokens),)) if isinstance(op, Gemm)
    )
    query = np.einsum("hd,hdr->hr", nope, w_uk)
    assert (absorb_k.batch, absorb_k.m, absorb_k.k, absorb_k.n) == (heads, 1, *w_uk.shape[1:])
    query = np.concatenate([query, turned], axis=1)
    held = np.concatenate([cache, keys_turned], axis=1)
    assert (score.m, score.k) == query.shape
    assert (score.n, score.k) == held.shape
    found = query @ held.T
    assert (value.m, value.k) == found.shape
    assert (value.k, value.n) == cache.shape
    found = found @ cache
    assert (absorb_v.batch, absorb_v.k, absorb_v.n) == (heads, 6, 3)
    found = np.einsum("hr,hdr->hd", found, w_uv)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def decode(**options: Any) -> Trace:
    return load_workload("deepseek-v3", phase="decode", **options)


def test_a_step_does_not_grow_by_expansion() -> None:
    """Linear products do not depend on the context; those of attention grow by latent and rotary key."""
    short, long = decode(context=1000), decode(context=2000)
    assert short.macs_by_kind["linear"] == long.macs_by_kind["linear"]
    grown = long.macs_by_kind["attention"] - short.macs_by_kind["attention"]
    assert grown == 61 * 128 * 1000 * (512 + 64 + 512)


def test_the_same_weights_are_stored_in_both_phases() -> None:
    prefill, step = load_workload("deepseek-v3", seq_len=300, policy="fp16"), decode(policy="fp16")
    assert memory_footprint(prefill, "fp16")["weight_bytes"] == memory_footprint(step, "fp16")["weight_bytes"]


@pytest.mark.parametrize("batch", [1, 4])
def test_the_cache_is_one_latent_per_token(batch: int) -> None:
    trace = decode(context=99, batch=batch)
    assert memory_footprint(trace, "fp16")["kv_cache_bytes"] == batch * 100 * 70_272
    score = next(gemm for gemm in trace.gemms if gemm.role == "score")
    assert 2 * score.w_elements == batch * 100 * 70_272


def test_a_prefill_is_expanded() -> None:
    latent = Latent(0, 512, 128, 64, 128)
    expand, score, value = (op for op in expanded_attention(latent, 16, 2, 20, 3, ((10, 10),)) if isinstance(op, Gemm))
    assert (expand.m, expand.n, expand.k) == (20, 16 * 256, 512)
    assert (score.batch, score.m, score.n, score.k) == (32, 10, 10, 192)
    assert (value.batch, value.m, value.n, value.k) == (32, 10, 128, 10)
