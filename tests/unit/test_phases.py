"""Phases against the sum of their steps one by one, as whole numbers."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.common import PHASE_NAMES
from hwsim.formats import parse_format
from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace, apply_policy, decode, load_workload, prefill, read_trace, write_trace
from hwsim.workload.importers.yaml_rows import write_yaml
from hwsim.workload.ops import bare_name
from hwsim.workload.phases import PHASES
from hwsim.workload.phases.chunked import ChunkedPrefill
from hwsim.workload.phases.mixed import Mixed
from hwsim.workload.phases.passes import Segment, Steps, forward
from hwsim.workload.phases.speculative import expected_tokens
from hwsim.workload.spec import BASIC, PhaseName
from hwsim.workload.zoo import model_names

#: Plain, grouped, windowed in every layer, windowed in every other, learned positions, tied.
MODELS = ["llama-2-7b", "llama-3-8b", "mistral-7b-v0.1", "gemma-2-2b", "opt-125m", "qwen3-8b"]


def build(name: str) -> Callable[[Any], Trace]:
    fields = {"prefill": "seq_len", "decode": "context"}
    return lambda p: load_workload(
        name, phase=p.kind, batch=p.batch, **{fields[p.kind]: p.tokens},
        **({} if p.decode else {"causal": p.causal, "lm_head": p.lm_head}),
    )  # fmt: skip


def bits(traces: Iterable[Trace], policy: str) -> Counter[str]:
    """Return MACs by kind and bits of weights, cache, streamed operands and results."""
    found: Counter[str] = Counter()
    for trace in traces:
        for gemm in apply_policy(trace, policy).gemms:
            w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
            found[f"{gemm.kind} MACs"] += gemm.macs
            found[f"{gemm.w_source} bits"] += gemm.w_bits(w)
            found["streamed bits"] += gemm.a_bits(a)
            found["result bits"] += gemm.o_bits(o)
        for op in trace.vector_ops:
            found[f"{op.op} elements"] += op.elements
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("policy", ["fp16", "mxfp4", "int4_g128", "nvfp4"])
def test_generation_is_the_sum_of_its_steps(name: str, policy: str) -> None:
    tokens, new, batch = 100, 173, 3
    trace = load_workload(name, phase="generation", seq_len=tokens, new_tokens=new, batch=batch)
    steps = [build(name)(decode(tokens + i, batch)) for i in range(new)]
    assert bits([trace], policy) == bits([build(name)(prefill(tokens, batch)), *steps], policy)
    assert len(trace.unique()) < 60


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 600), st.integers(1, 400))
def test_generation_of_any_length(tokens: int, new: int) -> None:
    trace = load_workload("gemma-2-2b", phase="generation", seq_len=tokens, new_tokens=new)
    steps = [build("gemma-2-2b")(decode(tokens + i)) for i in range(new)]
    assert bits([trace], "mxfp4") == bits([build("gemma-2-2b")(prefill(tokens)), *steps], "mxfp4")


def test_generation_beyond_a_window() -> None:
    """Mistral keeps 4096 tokens: steps before, across and after that."""
    trace = load_workload("mistral-7b-v0.1", phase="generation", seq_len=4000, new_tokens=300)
    steps = [build("mistral-7b-v0.1")(decode(4000 + i)) for i in range(300)]
    assert bits([trace], "mxfp4") == bits([build("mistral-7b-v0.1")(prefill(4000)), *steps], "mxfp4")


def test_generation_of_a_thousand_tokens_stays_small() -> None:
    trace = load_workload("llama-3-8b", phase="generation", seq_len=2048, new_tokens=8192)
    assert len(trace.unique()) < 20
    assert trace.meta["kv_vectors"] == 2 * 8 * 32 * (2048 + 8192)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunk", [1, 7, 64, 96, 128, 1000])
@pytest.mark.parametrize("lm_head", ["all", "last"])
def test_chunks_compute_what_a_prefill_computes(name: str, chunk: int, lm_head: str) -> None:
    """Each query of a chunk sees the cache before it: under the mask the same work in all, whatever the chunk."""
    options: dict[str, Any] = {"seq_len": 500, "batch": 2, "lm_head": lm_head, "causal": "half"}
    chunked = load_workload(name, phase="chunked_prefill", chunk=chunk, **options)
    assert chunked.macs_by_kind == load_workload(name, **options).macs_by_kind
    weights = sum(g.w_elements for g in chunked.gemms if g.role == "qkv")
    whole = sum(g.w_elements for g in load_workload(name, **options).gemms if g.role == "qkv")
    assert weights == -(-500 // chunk) * whole


def test_full_chunks_see_all_keys_so_far() -> None:
    chunked = load_workload("llama-2-7b", phase="chunked_prefill", seq_len=1000, chunk=300)
    per_head = 32 * 32
    scores = [(g.m, g.n) for g in chunked.gemms if g.role == "score"]
    assert scores == [(300, 300), (300, 600), (300, 900), (100, 1000)]
    assert sum(g.w_elements for g in chunked.gemms if g.role == "score") == per_head * 128 * (300 + 600 + 900 + 1000)
    assert [g.m for g in chunked.gemms if g.role == "lm_head"] == [300, 100]
    last = load_workload("llama-2-7b", phase="chunked_prefill", seq_len=1000, chunk=300, lm_head="last")
    assert [(g.m, g.repeat) for g in last.gemms if g.role == "lm_head"] == [(1, 1)]


def test_many_chunks_of_a_window() -> None:
    options: dict[str, Any] = {"seq_len": 9000, "causal": "half"}
    chunked = load_workload("mistral-7b-v0.1", phase="chunked_prefill", chunk=128, **options)
    assert chunked.macs == load_workload("mistral-7b-v0.1", **options).macs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("causal", ["full", "half"])
def test_a_batch_of_one_kind_is_a_prefill_or_a_step(name: str, causal: str) -> None:
    mixed = load_workload(name, phase="mixed", requests=["prefill:77x3"], causal=causal)
    assert mixed.ops == load_workload(name, seq_len=77, batch=3, causal=causal).ops
    steps = load_workload(name, phase="mixed", requests=["decode@77x3"])
    assert steps.ops == load_workload(name, phase="decode", context=77, batch=3).ops
    assert steps.meta["kv_vectors"] == load_workload(name, phase="decode", context=77, batch=3).meta["kv_vectors"]


def test_a_mixed_batch_shares_weights_and_attends_alone() -> None:
    requests = [{"phase": "prefill", "tokens": 100}, {"phase": "prefill", "tokens": 20, "context": 50}, "decode@500x4"]
    mixed = load_workload("llama-3-8b", phase="mixed", requests=requests, lm_head="last")
    rows = 100 + 20 + 4
    assert {g.m for g in mixed.gemms if g.role in ("qkv", "attn_out", "ffn")} == {rows}
    assert [(g.m, g.n, g.batch) for g in mixed.gemms if g.role == "score"] == [
        (4 * 100, 100, 8), (4 * 20, 70, 8), (4, 501, 32),
    ]  # fmt: skip
    assert [g.m for g in mixed.gemms if g.role == "lm_head"] == [6]
    alone = [
        load_workload("llama-3-8b", seq_len=100), load_workload("llama-3-8b", phase="decode", context=500, batch=4),
    ]  # fmt: skip
    attention = sum(t.macs_by_kind["attention"] for t in alone) + 2 * 32 * 32 * 128 * 20 * 70
    assert mixed.macs_by_kind["attention"] == attention
    assert mixed.meta["kv_vectors"] == 2 * 8 * 32 * (100 + 70 + 4 * 501)


@pytest.mark.parametrize(("acceptance", "proposed", "tokens"), [
    (Fraction(0), 5, 1), (Fraction(1), 5, 6), (Fraction(1, 2), 2, Fraction(7, 4)), (Fraction(4, 5), 4, None),
])  # fmt: skip
def test_expected_tokens(acceptance: Fraction, proposed: int, tokens: Fraction | None) -> None:
    found = expected_tokens(acceptance, proposed)
    assert tokens is None or found == tokens
    if acceptance != 1:
        assert found == (1 - acceptance ** (proposed + 1)) / (1 - acceptance)


def test_a_speculative_step_is_draft_steps_and_one_pass() -> None:
    trace = load_workload(
        "llama-3-8b", phase="speculative", draft="llama-3.2-1b", draft_tokens=4, acceptance=0.8, context=512, batch=2
    )
    draft = Trace("draft", tuple(op for op in trace.ops if op.layer.startswith("draft.")))
    steps = [build("llama-3.2-1b")(decode(512 + i, 2)) for i in range(4)]
    assert bits([draft], "mxfp4") == bits(steps, "mxfp4")
    verify = Trace("verify", tuple(op for op in trace.ops if op.layer.startswith("verify/")))
    assert {g.m for g in verify.gemms if g.role not in ("score", "value")} == {2 * 5}
    assert [(g.m, g.n) for g in verify.gemms if g.role == "score"] == [(4 * 5, 517)]
    assert trace.meta["expected_tokens"] == pytest.approx(2 * 3.3616, rel=1e-12)  # (1 - 0.8^5) / 0.2
    assert trace.meta["macs_per_token"] == trace.macs / trace.meta["expected_tokens"]


def test_operations_rise_as_leviathan_says() -> None:
    """Theorem 3.11: total operations rise by (1-α)(γĉ + γ + 1) / (1 - α^(γ+1)), ĉ = operations draft / target."""
    small, large = (
        load_workload(n, phase="decode", context=64).macs_by_kind["linear"] for n in ("opt-125m", "opt-1.3b")
    )
    alpha, gamma = Fraction(3, 4), 5
    trace = load_workload(
        "opt-1.3b", phase="speculative", draft="opt-125m", draft_tokens=gamma, acceptance=float(alpha), context=64
    )
    rise = trace.macs_by_kind["linear"] / expected_tokens(alpha, gamma) / large
    ratio = Fraction(small, large)
    assert rise == (1 - alpha) * (gamma * ratio + gamma + 1) / (1 - alpha ** (gamma + 1))


@pytest.mark.parametrize(
    ("target", "draft", "settings", "sizes"),
    [
        ("llama-2-70b", "llama-2-7b", {}, None),
        ("opt-30b", "opt-125m", {}, None),
        ("mixtral-8x7b", "mistral-7b-v0.1", {}, None),  # two families, one size
        ("qwen2.5-7b", "qwen2.5-0.5b", {}, None),  # one tokenizer, padded to 152,064 and to 151,936
        ("opt-1.3b", "opt-125m", {"vocab_size": 50272 + 129}, ("50,272", "50,401")),
        ("opt-1.3b", "opt-125m", {"vocab_size": 50272 + 128}, None),
        ("opt-1.3b", "opt-125m", {"vocab_size": 50272 - 129}, ("50,272", "50,143")),
        ("opt-1.3b", "gpt2", {}, ("gpt2 has 50,257 tokens", "opt-1.3b has 50,272")),  # as near, but of two families
        ("llama-3-8b", "llama-2-7b", {}, ("32,000", "128,256")),
        ("gpt2-xl", "opt-125m", {}, ("50,272", "50,257")),
    ],
)
def test_a_draft_shares_the_vocabulary(target: str, draft: str, settings: Any, sizes: tuple[str, str] | None) -> None:
    asked = {"phase": "speculative", "draft": draft, "draft_tokens": 2, "acceptance": 0.5}
    asked |= {"context": 16} if sizes is None else {}  # a default that the draft may lack is not what is wrong
    spec = {"model": target, "settings": settings, **asked}
    if sizes is None:
        assert load_workload(spec).macs
        return
    with pytest.raises(UsageError) as caught:
        load_workload(spec)
    message = str(caught.value)
    assert "draft: another vocabulary" in message
    assert all(size in message for size in (*sizes, "at most 128 more or fewer")), message


PHASE_OPTIONS: dict[str, dict[str, Any]] = {
    "chunked_prefill": {"seq_len": 300, "chunk": 128},
    "generation": {"seq_len": 40, "new_tokens": 30},
    "mixed": {"requests": ["prefill:50", "decode@100x2"]},
    "speculative": {"draft": "opt-125m", "draft_tokens": 3, "acceptance": 0.7, "context": 100},
}


@pytest.mark.parametrize("phase", sorted(PHASE_OPTIONS))
def test_phases_survive_a_csv(phase: str) -> None:
    trace = apply_policy(load_workload("opt-125m", phase=phase, **PHASE_OPTIONS[phase]), "w8a8")
    text = io.StringIO()
    write_trace(trace, text)
    assert read_trace(io.StringIO(text.getvalue())).ops == trace.ops
    assert all(g.repeat % g.passes == 0 for g in trace.gemms)


def test_every_phase_is_offered_everywhere() -> None:
    assert set(get_args(PhaseName)) == {*BASIC, *PHASES.names()} == set(PHASE_NAMES)
    assert set(PHASE_OPTIONS) | {"training"} >= set(PHASES.names())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"phase": "generation"}, "new_tokens: missing; generation needs it"),
        ({"phase": "chunked_prefill", "seq_len": 5}, "chunk: missing"),
        ({"phase": "prefill", "chunk": 4}, "chunk: has no meaning in prefill; use seq_len"),
        ({"phase": "generation", "new_tokens": 4, "context": 5}, "context: has no meaning in generation; use seq_len"),
        ({"phase": "speculative", "draft_tokens": 4, "acceptance": 0.5}, "draft: missing"),
        ({"phase": "speculative", "draft": "opt-125m", "draft_tokens": 4}, "acceptance: missing"),
        (
            {"phase": "speculative", "draft": "opt-126m", "draft_tokens": 4, "acceptance": 0.5},
            "did you mean 'opt-125m'",
        ),
        ({"phase": "mixed"}, "requests: missing"),
        ({"phase": "mixed", "requests": ["decode:4"]}, "context missing"),
        ({"phase": "mixed", "requests": ["decod@4"]}, "did you mean 'decode'"),
        ({"phase": "mixed", "requests": ["prefill"]}, "tokens missing"),
        ({"phase": "mixed", "requests": ["512"]}, "valid: KIND"),
        ({"phase": "mixed", "requests": ["prefill:5"], "batch": 2}, "batch: has no meaning in mixed"),
        ({"phase": "generation", "seq_len": 2000, "new_tokens": 100}, "2,099 tokens, but opt has 2,048"),
    ],
)
def test_mistakes(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_workload({"model": "opt-125m", **fields})


def test_an_encoder_has_no_such_phases() -> None:
    for phase, options in PHASE_OPTIONS.items():
        with pytest.raises(UsageError, match="bert has no decode phase"):
            load_workload("bert-base", phase=phase, **options)


def test_keys_that_do_not_follow_the_context_are_not_stretched() -> None:
    """Attention to another sequence, as in a decoder with an encoder: queries grow, keys stay."""

    def cross(phase: Any) -> Trace:
        rows = phase.batch
        return Trace("x", (
            Gemm("q", rows, 8, 8, role="qkv"),
            Gemm("attn.score", 1, phase.tokens + 1, 8, phase.batch, w_source="kv", role="score"),
            Gemm("attn.value", 1, 8, phase.tokens + 1, phase.batch, w_source="kv", role="value"),
            Gemm("cross.score", 1, 1500, 8, phase.batch, w_source="kv", role="score"),
            Gemm("cross.value", 1, 8, 1500, phase.batch, w_source="kv", role="value"),
        ))  # fmt: skip

    ops = list(forward(Steps(cross, 5000), [Segment(2, 7, 4994, 1)]))
    assert [(op.layer, op.m, op.n, getattr(op, "k", 0), op.batch) for op in ops] == [
        ("q", 14, 8, 8, 1), ("attn.score", 7, 5001, 8, 2), ("attn.value", 7, 8, 5001, 2),
        ("cross.score", 7, 1500, 8, 2), ("cross.value", 7, 8, 1500, 2),
    ]  # fmt: skip


def test_a_prompt_of_a_model_with_an_encoder_is_not_cut() -> None:
    def spoken(phase: Any) -> Trace:
        encoder = () if phase.decode else (Gemm("encoder.q", 1500, 8, 8, role="qkv"),)
        rows = phase.batch * (1 if phase.decode else phase.tokens)
        return Trace("x", (*encoder, Gemm("q", rows, 8, 8, role="qkv")), {"seq_len": phase.tokens})

    for run in (ChunkedPrefill(8, 4), Mixed(("prefill:8",))):
        with pytest.raises(UsageError, match="this model's prefill has other parts"):
            run.trace(spoken)


def test_keys_that_follow_no_window_are_refused() -> None:
    def strided(phase: Any) -> Trace:
        return Trace("x", (Gemm("s", 1, phase.tokens // 3 + 2, 8, phase.batch, w_source="kv", role="score"),))

    with pytest.raises(UsageError, match="s sees .* passes need one more per token"):
        list(forward(Steps(strided, 100), [Segment(1, 2, 50, 1)]))


def test_stages_are_no_part_of_a_layer() -> None:
    assert bare_name("decode/mlp.up_proj") == bare_name("mlp.up_proj") == "mlp.up_proj"


#: Words of the reasons why a model has no such phase, or not at its usual length.
WHY_NOT = ("use prefill", "takes", "positions", "keys on contexts", "passes of a decoder", "has no meaning")


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize(
    "run",
    [{"phase": "generation", "new_tokens": 2}, {"phase": "chunked_prefill", "chunk": 64}, {"phase": "decode"},
     {"phase": "mixed", "requests": ["prefill:8", "decode@8"]}],
    ids=lambda run: run["phase"],
)  # fmt: skip
def test_every_model_has_a_phase_or_says_why_not(name: str, run: dict[str, Any]) -> None:
    try:
        trace = load_workload(name, **run)
    except UsageError as error:
        assert any(word in str(error) for word in WHY_NOT), error
        return
    assert trace.macs > 0


@pytest.mark.parametrize(
    "run",
    [{"phase": "generation", "seq_len": 8, "new_tokens": 3}, {"phase": "chunked_prefill", "seq_len": 8, "chunk": 3},
     {"phase": "speculative", "draft": "opt-125m", "draft_tokens": 2, "acceptance": 0.5, "context": 9},
     {"phase": "mixed", "requests": ["prefill:8", "decode@8x2"]}, {"phase": "training", "seq_len": 8}],
    ids=lambda run: run["phase"],
)  # fmt: skip
def test_a_yaml_trace_of_any_phase_is_read_back(tmp_path: Path, run: dict[str, Any]) -> None:
    trace = load_workload("opt-125m", **run)
    write_yaml(trace, tmp_path / "t.yaml")
    assert load_workload(tmp_path / "t.yaml").ops == trace.ops
