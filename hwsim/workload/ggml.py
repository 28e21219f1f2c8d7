"""llama.cpp's mixes: which type each tensor of a model gets when it is quantized to ``Q4_K_M`` and the like.

The rules are rows of ``data/models/ggml_mix_rules.csv``, read from llama.cpp's ``llama_tensor_get_type`` of two times:
``present``, and ``2023``, when the sizes of Llama 2 were published, which differs in a few rows. The first rule that
fits a tensor decides; without one the tensor has the type of ``ggml_mixes.csv``. What a rule asks for:

* ``gqa:G``, ``experts:E``, ``experts=E``: at least G query heads per KV head, at least or exactly E experts;
* ``first:P``, ``below:C``: layers before n/P (whole) or before C; ``middle``: from n/8 to before 7n/8;
* ``more_bits``: the first and last eighth of all layers and every third between;
* ``imatrix``, ``no_imatrix``: with or without an importance matrix;
* ``ragged``: rows are no whole number of blocks; ``experts``: the tensor holds experts.

A type that ends on ``+`` is Q5_K in the 70B models. Rows that are no whole number of blocks of the type fall back
as ``tensor_type_fallback`` says. Norms, biases, positions and the router stay F32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Literal, TypeGuard

from hwsim.formats import parse_format
from hwsim.formats.block.ggml import ggml_type
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.experts import is_routed
from hwsim.workload.layers import Formats, numbered, split_layers
from hwsim.workload.ops import DRAFT, Gemm, Op, VectorOp, bare_name
from hwsim.workload.stored import idle_weights, open_parameters, state_other
from hwsim.workload.tables import fill_tables
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import DGRAD

Rules = Literal["present", "2023"]

#: ``tensor_type_fallback`` of llama.cpp 007dbbf src/llama-quant.cpp; what still does not fit is F16.
FALLBACKS = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
#: Types that no mix is made of but by these names alone: nothing is quantized.
PLAIN = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Facts:
    """What rules ask of a model: query heads per KV head, experts, whether it is one of the 70B models."""

    layers: int
    gqa: int
    experts: int
    is_70b: bool
    tied: bool


@dataclass(frozen=True)
class Rule:
    """One row of the rules; ``tensors`` and ``mixes`` may be ``*``."""

    rules: str
    mixes: tuple[str, ...]
    tensors: tuple[str, ...]
    when: tuple[str, ...]
    type: str

    def names(self, mix: str, tensor: str) -> bool:
        """Whether the rule is about ``tensor`` in ``mix``."""
        return (mix in self.mixes or "*" in self.mixes) and (tensor in self.tensors or "*" in self.tensors)


@cache
def mixes() -> dict[str, str]:
    """Return the type that tensors have in each mix unless a rule says other."""
    return {row["mix"]: row["type"] for row in read_csv_rows("models", "ggml_mixes.csv")}


@cache
def _needing_imatrix() -> frozenset[str]:
    """Return the mixes that llama.cpp does not make without an importance matrix."""
    return frozenset(row["mix"] for row in read_csv_rows("models", "ggml_mixes.csv") if row["imatrix"])


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(
        Rule(
            row["rules"],
            tuple(row["mixes"].split()),
            tuple(row["tensors"].split()),
            tuple(row["when"].split()),
            row["type"],
        )
        for row in read_csv_rows("models", "ggml_mix_rules.csv")
    )


@cache
def gguf_names() -> dict[str, str]:
    """Return llama.cpp's name of the tensor behind each layer of a trace; of several the last one's."""
    return {
        row["layer"]: row["gguf"].partition("|")[0].rpartition("+")[2]
        for row in read_csv_rows("models", "tensor_names.csv")
    }


def facts_of(trace: Trace) -> Facts:
    """Return what the rules ask, from the shapes of a trace.

    Raises
    ------
    UsageError
        If the trace is of no model that llama.cpp would quantize: one without attention and LM head.
    """
    forward = [gemm for gemm in trace.gemms if gemm.w_source == "dram" and not gemm.layer.startswith(DGRAD)]
    weights = {bare_name(gemm.layer): gemm for gemm in forward}
    head, out = weights.get("lm_head"), weights.get("attn.o_proj")
    if head is None or out is None:
        raise UsageError(f"{trace.name}: mixes of llama.cpp are for language models with attn.o_proj and lm_head")
    layers = sum(gemm.layers for gemm in trace.gemms if gemm.layer == out.layer)
    fused = weights.get("attn.qkv_proj")
    values = (fused.n - out.k) // 2 if fused else weights["attn.v_proj"].n if "attn.v_proj" in weights else out.k
    gqa = max(1, out.k // max(1, values))
    experts = weights["moe.router"].n if "moe.router" in weights else 1
    other = int(trace.meta.get("other_parameters", head.n * head.k))
    # LLM_TYPE_70B: 80 layers with grouped queries (llama.cpp llama-model.cpp load_hparams).
    return Facts(layers, gqa, experts, layers == 80 and gqa > 1, other < head.n * head.k)


def mix_type(
    mix: str,
    tensor: str,
    columns: int,
    facts: Facts,
    layer: int = 0,
    experts: int = 1,
    imatrix: bool | None = None,
    rules: Rules = "present",
) -> str:
    """Return the ggml type of one tensor.

    Parameters
    ----------
    tensor
        llama.cpp's name without layer and ending: ``attn_v``, ``ffn_down``, ``output``, ``token_embd`` …
    columns
        Length of a row: K of the GEMM.
    experts
        Experts that the tensor holds.
    imatrix
        Whether there is an importance matrix; None if only where the mix cannot be made without.

    Raises
    ------
    UsageError
        If there is no such mix.
    """
    default = _default(mix)
    if mix in PLAIN:
        return default
    kind = "output" if tensor == "token_embd" and facts.tied else tensor.removesuffix("_exps").removesuffix("_shexp")
    if kind == "ffn_gate_inp":
        return "F32"
    weighed = mix in _needing_imatrix() if imatrix is None else imatrix
    found = default
    for rule in _rules():
        if (
            rule.rules in (rules, "present")
            and rule.names(mix, kind)
            and all(
                _holds(word, facts, layer, columns % ggml_type(default).block, experts, weighed) for word in rule.when
            )
        ):
            found = default if rule.type == "default" else rule.type
            break
    if found.endswith("+"):
        found = "Q5_K" if facts.is_70b else found[:-1]
    return _fitting(found, columns)


def _fitting(name: str, columns: int) -> str:
    if columns % ggml_type(name).block == 0:
        return name
    other = FALLBACKS.get(name)
    return other if other is not None and columns % ggml_type(other).block == 0 else "F16"


def _holds(word: str, facts: Facts, layer: int, rest: int, experts: int, imatrix: bool) -> bool:
    """Whether a word of a rule's condition holds; see the module."""
    n = facts.layers
    key, _, number = word.replace("=", ":").partition(":")
    value = int(number or 0)
    return {
        "gqa": facts.gqa >= value,
        "experts": facts.experts == value if "=" in word else facts.experts >= value if number else experts > 1,
        "first": bool(value) and layer < n // max(1, value),
        "below": layer < value,
        "middle": n // 8 <= layer < 7 * n // 8,
        "more_bits": layer < n // 8 or layer >= 7 * n // 8 or (layer - n // 8) % 3 == 2,
        "imatrix": imatrix,
        "no_imatrix": not imatrix,
        "ragged": rest != 0,
    }[key]


def mix_formats(
    trace: Trace, mix: str, imatrix: bool | None = None, rules: Rules = "present"
) -> tuple[list[list[str] | None], Trace]:
    """Return the formats that a mix gives the layers of each row, and ``trace`` with tables and norms in theirs.

    None stands for rows without stored weights, and for those that state a format. A draft model has its own layers.

    Raises
    ------
    UsageError
        If there is no such mix, or the trace is no language model's.
    """
    models = _models(trace)
    facts_by_model = {start: facts_of(model) for start, model in models.items()}

    def types(gemm: Gemm, numbers: Sequence[int]) -> list[str]:
        start = _model_of(gemm)
        facts, own = facts_by_model[start], replace(gemm, layer=bare_name(gemm.layer).removeprefix(start))
        tensor, experts = gguf_names().get(own.layer, "other"), facts.experts if is_routed(own) else gemm.batch
        columns = gemm.n if gemm.layer.startswith(DGRAD) else gemm.k  # gradients of inputs take W turned
        return [_format(mix_type(mix, tensor, columns, facts, n, experts, imatrix, rules)) for n in numbers]

    kinds = [types(op, numbers) if _open_weight(op) else None for op, numbers, _ in numbered(trace)]

    def table(lookup: VectorOp) -> str:
        facts = facts_by_model[DRAFT if lookup.layer.startswith(DRAFT) else ""]
        return _format(mix_type(mix, "token_embd", lookup.n, facts, imatrix=imatrix, rules=rules))

    stated = fill_tables(trace, table)
    rest = open_parameters(stated.meta)
    return kinds, state_other(stated, 32 * rest) if rest else stated  # norms and the like are F32


def apply_mix(trace: Trace, mix: str, imatrix: bool | None = None, rules: Rules = "present") -> Trace:
    """Return ``trace`` with the weight formats of a mix, tables and norms included; rows whose layers differ are split.

    Weights that state a format keep it. Layers are counted along the rows of one name; a draft model has its own.

    Raises
    ------
    UsageError
        If there is no such mix, or the trace is no language model's.
    """
    kinds, stated = mix_formats(trace, mix, imatrix, rules)
    listed = iter(kinds)

    def formats(gemm: Gemm, numbers: Sequence[int], first: int) -> list[Formats]:
        return [Formats(name) for name in next(filter(None, listed))]

    return split_layers(stated, formats)


def _open_weight(op: Op) -> TypeGuard[Gemm]:
    return isinstance(op, Gemm) and op.w_source == "dram" and not op.w_format


def _model_of(gemm: Gemm) -> str:
    """Return what begins the layers of the model that ``gemm`` is of."""
    return DRAFT if bare_name(gemm.layer).startswith(DRAFT) else ""


def _models(trace: Trace) -> dict[str, Trace]:
    """Return the products of each model of a run, by what begins its layers, with what ``meta`` says of the model."""
    drafted = trace.meta.get("draft_meta")
    if drafted is None:
        return {"": trace}
    own = {key: int(trace.meta[key]) - count for key, count in drafted.items()}
    found = {}
    for start, meta in (("", own), (DRAFT, drafted)):
        ops = [replace(gemm, layer=bare_name(gemm.layer).removeprefix(start)) for gemm in trace.gemms
               if _model_of(gemm) == start]  # fmt: skip
        found[start] = Trace(f"{start}{trace.name}", tuple(ops), meta)
    return found


def default_format(mix: str) -> str:
    """Return the format of weights of which a mix says nothing.

    Raises
    ------
    UsageError
        If there is no such mix.
    """
    return _format(_default(mix))


def _default(mix: str) -> str:
    if mix not in mixes():
        raise UsageError(f"unknown mix {mix!r} of llama.cpp; {did_you_mean(mix, mixes())}")
    return mixes()[mix]


def _format(name: str) -> str:
    found = ggml_type(name).format
    if not found:
        raise UsageError(f"tensors of ggml type {name} are no operands of a GEMM here")
    return found


def mix_bits_per_weight(trace: Trace, mix: str, imatrix: bool | None = None, rules: Rules = "present") -> Fraction:
    """Return the bits of all tensors by all their elements, as llama.cpp prints it: embeddings and norms included.

    Raises
    ------
    UsageError
        As :func:`apply_mix`, or if the trace was not built from a model.
    """
    if "other_parameters" not in trace.meta:
        raise UsageError(f"{trace.name}: bits per weight need a trace that is built from a model")
    other = int(trace.meta["other_parameters"])
    stored = {"other_parameters": other, "tables": trace.meta.get("tables", {})}
    ops = tuple(_open(op) for op in (*trace.gemms, *idle_weights(trace)))
    filled = apply_mix(Trace(trace.name, ops, stored), mix, imatrix, rules)
    weights = [gemm for gemm in filled.gemms if gemm.w_source == "dram"]
    bits = sum(gemm.w_bits(parse_format(gemm.w_format)) for gemm in weights) + filled.meta.get("other_bits", 0)
    return Fraction(bits, sum(gemm.w_elements for gemm in weights) + other)


def _open(gemm: Gemm) -> Gemm:
    return replace(gemm, w_format="") if gemm.w_source == "dram" else gemm
