"""What a trace needs in memory: weights, cache, activations, optimizer, to the bit, scales and zero points included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from hwsim.formats import Format, parse_format
from hwsim.workload.cutting import OUTLIERS
from hwsim.workload.latent import as_stored, weights_of
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp, bare_name, ceil_div
from hwsim.workload.policy import Policy, apply_policy
from hwsim.workload.stored import KvStore, idle_weights, kv_stores
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import DGRAD, RECOMPUTE, WGRAD
from hwsim.workload.training.kept import kept_bits, result_bits
from hwsim.workload.training.optimizer import GRADIENT, STAGE, in_place, stored_bits

#: Weights in the format of a product, beside those that are stored.
COPIES = "weight_copies"

#: How many tensors of the stated size operations read and write that do not read one and write one.
_OPERANDS = {
    "add": (2, 1), "mul": (2, 1), "mul_backward": (3, 2), "embedding": (0, 1),
    "embedding_backward": (2, 1), "maxpool_backward": (1, 1), "avgpool_backward": (0, 1),
}  # fmt: skip

#: As many of other gradients: they read what the forward operation read or made, and the gradient of its result.
_BACKWARD = (2, 1)

#: Stages that read the weights of the forward pass again.
_AGAIN = (DGRAD, RECOMPUTE)


def memory_footprint(trace: Trace, policy: Policy | str) -> dict[str, int]:
    """Return bytes that ``trace`` needs under ``policy``: :func:`memory_bits`, each rounded up to bytes.

    Keys: ``gemm_weight_bytes``, ``other_weight_bytes`` and their sum ``weight_bytes``; ``kv_cache_bytes``,
    ``activation_peak_bytes``; ``metadata_bytes``, the scales and zero points within weights of GEMMs and cache; of a
    training step also ``gradient_bytes``, ``optimizer_bytes``, ``activation_kept_bytes`` and, with a recipe,
    ``weight_copies_bytes``; ``total_bytes``, the sum of weights, cache, gradients, optimizer, kept activations, copies
    of weights and the peak.

    Raises
    ------
    UsageError
        If a format is unknown or an override matches nothing.
    """
    found = {name: _bytes(bits) for name, bits in memory_bits(trace, policy).items()}
    found["weight_bytes"] = found["gemm_weight_bytes"] + found["other_weight_bytes"]
    parts = ("weight", "kv_cache", GRADIENT, STAGE, COPIES, "activation_kept", "activation_peak")
    found["total_bytes"] = sum(found.get(f"{part}_bytes", 0) for part in parts)
    return found


def unknown_parts(trace: Trace) -> str:
    """Return what the footprint lacks of a trace that names its operations alone, such as one from CSV; or ``""``."""
    if "other_parameters" in trace.meta:
        return ""
    return "tables, norms, cache, weights not read: the trace names its operations alone"


def memory_bits(trace: Trace, policy: Policy | str) -> dict[str, int]:
    """Return exact bits, named as the bytes of :func:`memory_footprint` that they become.

    * Training: what an optimizer that updates weights in place (``sgd``, FP32) does not find in its format is stored
      in that as well, as part of its state.
    * Weights: every W that comes from DRAM once, however often passes, or stages such as ``prefill/…`` and
      ``decode/…``, read it; where stages differ in how much of it they touch, the most. Those that the run does not
      read at all, of experts and encoders (``idle_weights`` of the trace's ``meta``), are stored all the same.
    * Other weights: norms, biases, positions and embedding tables, in the formats that the source or a mix states,
      else in ``other_format``. A table tied to the LM head is stored once, as the head's weight. Needs a trace built
      from a model, else 0: :func:`unknown_parts`.
    * Cache: K and V of every token at the end of the run, blocks along the head; formats of K and V are those of
      the scores' and the values' products. Layers that differ in format count by their number.
    * Activation peak: the largest sum of inputs and results of one operation (with its batch, without what is counted
      elsewhere: weights and a recipe's copies of them, their gradients if the optimizer stores these, cache): a lower
      bound on working memory that no schedule without fusion undercuts.
    * Kept activations of training: the results of all forward operations, each once, as the backward pass reads them.
      Where it reads a recipe's quantized copies in their place, it keeps these: one per tensor and format, and the
      tensor too if anything reads it, such as the gradient of a norm or of an activation
      (:mod:`hwsim.workload.training.kept`). What recipes make of an operand on the way is not kept, nor what prepares
      the forward product alone. With recomputation without what runs again, of which one layer is held, and what every
      layer hands on. Masks and places of maxima, of a few bits, are not counted.
    * A recipe of training that quantizes weights reads them in its high format, which is what is stored; what it makes
      of them in the forward pass are copies, which the backward pass reads too.
    * Metadata: bits of weights and cache beyond the codes of elements.
    """
    filled = apply_policy(trace, policy)
    weights, codes = (sum(pair) for pair in zip(_weight_bits(filled), _idle_bits(filled), strict=True))
    cache, cache_codes = _kv_bits(filled)
    stored_operands = _stored_operands(filled)
    bits = {
        "gemm_weight_bytes": weights,
        "other_weight_bytes": int(filled.meta.get("other_bits", 0)),
        "kv_cache_bytes": cache,
        "metadata_bytes": weights - codes + cache - cache_codes,
        "activation_peak_bytes": max(_live_bits(op, stored_operands) for op in filled.ops),
    }
    if trace.meta.get("phase") == "training":
        stored = stored_bits(*_updated(filled))
        bits |= {f"{name}_bytes": value for name, value in stored.items()}
        bits["activation_kept_bytes"] = kept_bits(filled)
        if trace.meta.get("recipe"):
            made = [op for steps in _steps(filled).values() for op in steps if op.op == steps[-1].op]
            bits[f"{COPIES}_bytes"] = sum(result_bits(op, op.layers) for op in made)
    return bits


def _bytes(bits: int) -> int:
    return ceil_div(bits, 8)


def _updated(filled: Trace) -> tuple[str, int, int]:
    """Return optimizer and parameters of a step, and how many of these are not in the format of an update in place."""
    name, parameters = str(filled.meta["optimizer"]), int(filled.meta["trained_parameters"])
    weights = in_place(name)
    if weights is None:
        return name, parameters, 0
    fmt, prepared = parse_format(weights.format), _steps(filled)
    stored = [gemm for gemm in filled.gemms if gemm.w_source == "dram" and not gemm.layer.startswith(_AGAIN)]
    same = sum(
        gemm.n * gemm.k * gemm.batch * gemm.layers
        for gemm in (*stored, *idle_weights(filled))
        if parse_format(gemm.w_format) == fmt and (gemm.layer, gemm.w_format) not in prepared
    )
    others = int(filled.meta.get("other_parameters", 0))
    same += others if int(filled.meta.get("other_bits", 0)) == fmt.storage_bits(1, others) else 0
    return name, parameters, max(0, parameters - same)


def _weight_bits(filled: Trace) -> tuple[int, int]:
    """Return the bits of all different weights, and those of their codes alone."""
    stages: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    prepared = _steps(filled)
    for gemm in filled.gemms:
        if gemm.w_source != "dram" or gemm.layer.startswith(DGRAD):  # the forward pass has the same weights
            continue
        made = prepared.get((bare_name(gemm.layer), gemm.w_format))
        fmt = parse_format(made[0].a_format if made else gemm.w_format)
        bits = as_stored(gemm).stored_bits(fmt), gemm.stored_code_bits(fmt)
        stage = gemm.layer.rpartition(STAGE_END)[0]
        # Stages may cut another reduction of the same weights.
        layer = weights_of(bare_name(gemm.layer)).partition(OUTLIERS)[0]
        before = stages[layer].get(stage, (0, 0))
        stages[layer][stage] = (before[0] + bits[0], before[1] + bits[1])
    most = [max(found.values()) for found in stages.values()]
    return sum(bits for bits, _ in most), sum(codes for _, codes in most)


def _steps(filled: Trace) -> dict[tuple[str, str], list[VectorOp]]:
    """Return what a recipe of training makes of weights in the forward pass, by their layer and the last format.

    A layer has several rows where its experts have other numbers of tokens; the last step of all is the same.
    """
    found: dict[str, list[VectorOp]] = defaultdict(list)
    for op in filled.vector_ops if filled.meta.get("recipe") else ():
        if STAGE_END not in op.layer and op.layer.endswith(f".w.{op.op}"):
            found[op.layer.removesuffix(f".w.{op.op}")].append(op)
    return {(layer, steps[-1].o_format): steps for layer, steps in found.items()}


def _idle_bits(filled: Trace) -> tuple[int, int]:
    """Return the bits of stored weights that the run does not read, and those of their codes alone."""
    formats = [(gemm, parse_format(gemm.w_format)) for gemm in idle_weights(filled)]
    bits = sum(gemm.stored_bits(fmt) for gemm, fmt in formats)
    return bits, sum(gemm.stored_code_bits(fmt) for gemm, fmt in formats)


def _kv_bits(filled: Trace) -> tuple[int, int]:
    """Return the bits of the cache and those of its codes alone."""
    default = str(filled.meta.get("kv_format", ""))
    bits = codes = 0
    for store in kv_stores(filled.meta):
        for fmt, count, width in _dealt(filled, store, default) if store.vectors else ():
            bits += fmt.storage_bits(count, width) if count else 0
            codes += fmt.code_bits(count, width) if count else 0
    return bits, codes


def _dealt(filled: Trace, store: KvStore, default: str) -> list[tuple[Format, int, int]]:
    """Return formats, vectors and their widths: half are keys, half values, by the layers and shares of each format.

    Keys are cut along their width where their products are cut along K, values by tokens.
    """
    dealt: list[tuple[Format, int, int]] = []
    for role, half in (("score", store.vectors - store.vectors // 2), ("value", store.vectors // 2)):
        rows = [g for g in filled.gemms if g.role == role and g.w_source != "dram" and store.has(g.layer)]
        whole: dict[str, dict[str, int]] = defaultdict(dict)
        for gemm in rows:
            whole[gemm.layer.partition(OUTLIERS)[0]][gemm.layer] = gemm.k
        parts: dict[tuple[str, int], int] = defaultdict(int)
        for gemm in rows:
            widest = sum(whole[gemm.layer.partition(OUTLIERS)[0]].values())
            width = store.width * gemm.k // widest if role == "score" else store.width
            parts[gemm.w_format, width] += gemm.layers * gemm.k
        left, total = half * store.width, sum(parts.values())
        for at, ((name, width), weight) in enumerate((parts or {(default, store.width): 1}).items(), start=1):
            elements = half * store.width * weight // max(1, total) if at < len(parts) else left
            dealt.append((parse_format(name), elements // width, width))
            left -= elements
    return dealt


def _live_bits(op: Op, stored: Mapping[str, tuple[int, int]]) -> int:
    """Bits of inputs and results of one layer's operation that are not ``stored`` (:func:`_stored_operands`)."""
    in_store, out_store = stored.get(op.layer, (0, 0))
    if not isinstance(op, Gemm):
        if op.layer.startswith(f"{STAGE}{STAGE_END}"):
            return 0  # an optimizer streams what is counted as its state
        inputs, results = _OPERANDS.get(op.op, _BACKWARD if op.op.endswith("_backward") else (1, 1))
        read = (inputs - in_store) * parse_format(op.a_format).storage_bits(op.m, op.n)
        return read * op.batch + (results - out_store) * result_bits(op, 1)
    a = parse_format(op.a_format).storage_bits(op.m, op.k)
    w = parse_format(op.w_format).storage_bits(op.n, op.k) if op.w_source == "activation" else 0
    return (a + w) * op.batch + (1 - out_store) * result_bits(op, 1)


def _stored_operands(filled: Trace) -> dict[str, tuple[int, int]]:
    """Return, by operation of a training step, how many inputs and results are weights, copies or gradients of these.

    Inputs are those besides W of a product. Gradients are stored if the optimizer has them.
    """
    if filled.meta.get("phase") != "training":
        return {}
    weights = {gemm.layer for gemm in filled.gemms if gemm.w_source == "dram"}
    gradients = bool(stored_bits(str(filled.meta["optimizer"]), 1)[GRADIENT])
    found = {WGRAD + layer: (0, 1) for layer in weights if gradients}
    chains: dict[str, list[str]] = defaultdict(list)
    for op in filled.vector_ops:
        product, _, step = op.layer.rpartition(".w.")
        if product in weights and step == op.op:
            chains[product].append(op.layer)
        elif gradients and (op.op == "embedding_backward" or op.layer.rpartition(".o.")[0] in found):
            found[op.layer] = (1, 1)  # in place
    for product, steps in chains.items():
        for layer in steps:
            copy = layer == steps[-1] and not product.startswith(DGRAD)
            found[layer] = (int(layer == steps[0]), int(copy))
    return found
