from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload.phase import Phase, attention_spans, decode, prefill

lengths = st.integers(1, 5000)
windows = st.one_of(st.none(), st.integers(1, 6000))


@given(lengths, windows)
def test_half_counts_what_the_mask_keeps(tokens: int, window: int | None) -> None:
    spans = attention_spans(prefill(tokens, causal="half"), tokens, window)
    kept = sum(min(i + 1, window or tokens) for i in range(tokens))
    assert sum(queries * keys for queries, keys in spans) == kept
    assert sum(queries for queries, _ in spans) == tokens
    assert all(queries >= 1 and keys >= 1 for queries, keys in spans)


@given(st.integers(2, 5000))
def test_half_reads_every_key_of_the_triangle(tokens: int) -> None:
    spans = attention_spans(prefill(tokens, causal="half"), tokens)
    assert sum(keys for _, keys in spans) == tokens + 1


@given(lengths, windows)
def test_full_is_square(tokens: int, window: int | None) -> None:
    assert attention_spans(prefill(tokens), tokens, window) == ((tokens, tokens),)


@given(lengths, windows)
def test_decode_sees_the_cache_and_itself(tokens: int, window: int | None) -> None:
    expected = min(tokens + 1, window or tokens + 1)
    assert attention_spans(decode(tokens), tokens, window) == ((1, expected),)


def test_names() -> None:
    assert prefill(5).length_name == "seq_len"
    assert decode(5).length_name == "context"
    assert decode().decode
    assert not prefill().decode


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "decod"}, "unknown phase 'decod'.*did you mean 'decode'"),
        ({"causal": "halve"}, "unknown causal 'halve'.*did you mean 'half'"),
        ({"lm_head": "first"}, "unknown lm_head 'first'"),
        ({"tokens": 0}, "tokens must be a whole number of at least 1, not 0"),
        ({"batch": 0}, "batch must be"),
        ({"batch": None}, "batch must be"),
        ({"tokens": 1.5}, "tokens must be"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Phase(**options)  # type: ignore[arg-type]
