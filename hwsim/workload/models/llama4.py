"""Llama 4: experts in some layers beside a shared MLP, attention within chunks in three layers of four."""

from __future__ import annotations

from dataclasses import replace

from hwsim.spec.errors import UsageError
from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.llama import read_llama
from hwsim.workload.models.mixtral import read_experts
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import decoder_trace, resolve_tokens


@FAMILIES.register("llama4_text")
def llama4_text(config: Config, phase: Phase) -> Trace:
    """Scout and Maverick up to ``attention_chunk_size`` tokens, within which a chunk hides nothing.

    The norm of queries and keys has no parameters. Transformers' module computes every expert for
    every token; the trace counts the tokens that the router sends.
    """
    model = read_llama(config)
    every = config.integer("interleave_moe_layer_step", default=1)
    named = config.get("moe_layers")
    sparse = len(named) if isinstance(named, list) else model.layers // every
    experts = read_experts(config, sparse, model.ffn, top_k_key="num_experts_per_tok")
    dense = config.integer("intermediate_size_mlp")
    chunk = config.optional_integer("attention_chunk_size")
    config.check()
    model = replace(model, ffn=dense, experts=replace(experts, shared=model.ffn))
    tokens = resolve_tokens(model, phase)
    if chunk is not None and tokens > chunk:
        raise UsageError(
            f"{phase.length_name}: {tokens:,} tokens, but attention in chunks of {chunk:,} is modelled up to one chunk"
        )
    return decoder_trace(model, phase)
