"""RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA and DistilBERT: BERT with other tables around its blocks."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.config import ACTIVATIONS, Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import encoder_trace, read_encoder, refuse_decode
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import Transformer


@FAMILIES.register("roberta")
@FAMILIES.register("xlm-roberta")
@FAMILIES.register("camembert")
def roberta(config: Config, phase: Phase) -> Trace:
    """``RobertaModel`` with its pooler; the first positions of the table are padding's."""
    refuse_decode(config.model_type, phase)
    rows = config.integer("max_position_embeddings")
    padding = config.integer("pad_token_id", default=1, minimum=0)
    model = read_encoder(config, config.integer("vocab_size"), max(rows - padding - 1, 1), rows)
    types = config.integer("type_vocab_size", default=2)
    config.check()
    return encoder_trace(model, phase, types, pooler=True)


@FAMILIES.register("electra")
def electra(config: Config, phase: Phase) -> Trace:
    """``ElectraModel``: tables narrower than the blocks in the small sizes, no pooler."""
    refuse_decode("electra", phase)
    positions, types = config.integer("max_position_embeddings"), config.integer("type_vocab_size", default=2)
    model = read_encoder(config, config.integer("vocab_size"), positions, positions)
    width = config.integer("embedding_size", default=model.hidden)
    config.check()
    narrow = replace(model, embed_width=width if width != model.hidden else 0)
    return encoder_trace(narrow, phase, types, pooler=False)


@FAMILIES.register("distilbert")
def distilbert(config: Config, phase: Phase) -> Trace:
    """``DistilBertModel``: no types of tokens, no pooler."""
    refuse_decode("distilbert", phase)
    hidden, heads, layers = config.integer("dim"), config.integer("n_heads"), config.integer("n_layers")
    positions = config.integer("max_position_embeddings", default=512)
    config.divides("n_heads", heads, "dim", hidden)
    model = Transformer(
        family="distilbert",
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=config.integer("hidden_dim"),
        vocab=config.integer("vocab_size"),
        max_tokens=positions,
        activation=config.choice("activation", ACTIVATIONS, "gelu"),
        norm="layernorm",
        windows=((layers, None),),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        positions=positions,
    )
    config.check()
    return encoder_trace(model, phase, types=0, pooler=False)
