"""Retrieval for generation: queries against a database of embeddings, by inner product.

A file of hwsim's own: ``vectors`` (N), ``dim`` (d), ``precision`` (float32, float16, float8, int8 or
binary: what the database is stored in and queries are turned into), ``pca_dim`` (the database keeps
so many principal components; each query is projected), ``top_k``. ``batch`` counts queries.
"""

from __future__ import annotations

from typing import Any

from hwsim.workload.config import Config
from hwsim.workload.models import FAMILIES
from hwsim.workload.models.bert import refuse_decode
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace
from hwsim.workload.transformer import finish

#: Formats of precisions: those of storage, with scores in FP32 (binary: matching bits counted in INT32).
PRECISIONS = {"float32": "fp32", "float16": "fp16", "float8": "fp8_e4m3", "int8": "int8", "binary": "binary"}
SCORES = {"int8": "int32", "binary": "int32"}
QUERY = "fp32"


@FAMILIES.register("embedding_search")
def embedding_search(config: Config, phase: Phase) -> Trace:
    """Exhaustive search: every query meets every vector, and the best ``top_k`` scores are kept."""
    refuse_decode("embedding search", phase)
    if phase.tokens is not None:
        config.require(False, "'vectors' is what has a length here; seq_len has no meaning")
    vectors, dim = config.integer("vectors"), config.integer("dim")
    kept, best = config.optional_integer("pca_dim"), config.integer("top_k", default=10)
    name = config.choice("precision", PRECISIONS, "float32")
    config.require(kept is None or kept <= dim, f"'pca_dim' {kept} is more than the {dim} dimensions")
    config.require(best <= vectors, f"'top_k' {best} is more than the {vectors} vectors")
    config.check()
    queries, width = phase.batch, kept or dim
    scores = SCORES.get(name, "fp32")
    ops: list[Op] = []
    if kept:
        full: dict[str, Any] = {"w_format": QUERY, "a_format": QUERY, "o_format": QUERY}
        ops.append(VectorOp("pca.center", "add", queries, dim, a_format=QUERY, o_format=QUERY))
        ops.append(Gemm("pca.project", queries, kept, dim, role="embed", **full))
    if name != QUERY:
        ops.append(VectorOp("query.quantize", "quantize", queries, width, a_format=QUERY, o_format=name))
    ops.append(Gemm("search", queries, vectors, width, w_format=name, a_format=name, o_format=scores))
    ops.append(VectorOp("search.top_k", "topk", queries, vectors, a_format=scores, o_format=scores))
    stored = vectors * width
    projection = dim * (kept + 1) if kept else 0
    return finish("embedding_search", phase, None, ops, stored + projection, dim if kept else 0)
