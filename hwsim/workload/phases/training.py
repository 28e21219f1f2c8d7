"""One training step: forward, gradients of every product, and the optimizer's update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hwsim.spec.errors import UsageError
from hwsim.workload.cutting import cut_ends
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.phase import Causal, prefill
from hwsim.workload.phases.base import PHASES, assemble, need
from hwsim.workload.phases.passes import Build
from hwsim.workload.places import Place, places
from hwsim.workload.stated import formats_text, kept_note
from hwsim.workload.stored import idle_weights
from hwsim.workload.tables import fill_other
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import RECOMPUTE, dgrad, forward_gemm, reads_the_input, vector_gradient, wgrad
from hwsim.workload.training.optimizer import find_optimizer, update_ops
from hwsim.workload.training.recipe import Product, Recipe, find_recipe

Recompute = Literal["none", "attention", "all"]


@dataclass(frozen=True)
class _Row:
    """A forward operation: whether a recipe's formats are for it, its input has a gradient, it runs once more."""

    op: Op
    low: bool
    input_gradient: bool
    again: bool


@PHASES.register("training")
@dataclass(frozen=True)
class Training:
    """One step on ``batch`` sequences of ``seq_len`` tokens, or images.

    Every linear, attention and convolution product runs forward and as ``dgrad/…`` and ``wgrad/…``, but for the
    gradient of the model's own input: the first product has none, unless it reads an embedding, whose table is
    trained (a second input, such as a U-Net's beside its time step, is taken as needing one). ``recompute`` says
    which forward operations run once more before their gradients, so that their results need not be kept:
    ``attention`` scores, softmax and values (selective recomputation, Korthikanti et al., arXiv 2205.05198,
    section 5), ``all`` everything within the layers (:mod:`hwsim.workload.places`): the blocks of a model that has
    some, not its embeddings, final norm and head; in a model without blocks all but these, each product with weights
    and what follows it being a layer. The step has as many tokens per weight update as it states:
    no accumulation. ``recipe`` names the formats (:mod:`hwsim.workload.training.recipe`); every product prepares
    its own operands, also where several read the same one. Products of no known role with stored weights count as
    linear layers, but for those outside of a model's blocks, such as its classifier.
    """

    seq_len: int | None = None
    batch: int = 1
    causal: Causal = "full"
    recompute: Recompute = "none"
    optimizer: str = "adam"
    recipe: str | None = None

    def __post_init__(self) -> None:
        need("training", batch=self.batch)
        find_optimizer(self.optimizer)
        if self.recipe is not None:
            find_recipe(self.recipe)

    def trace(self, build: Build) -> Trace:
        """Return the trace; UsageError if an operation has no gradient."""
        forward = build(prefill(self.seq_len, self.batch, self.causal))
        return self.of(forward)

    def of(self, forward: Trace) -> Trace:
        """Return the training step of a forward pass that is at hand."""
        recipe = find_recipe(self.recipe) if self.recipe else None
        rows = list(_rows(forward, recipe, self.recompute))
        ops = [op for row in rows for op in _product(row, "forward", forward_gemm, recipe)]
        for row in reversed(rows):
            ops.extend(self._backward(row, recipe))
        parameters = _parameters(forward)
        ops.extend(update_ops(self.optimizer, parameters))
        tokens = forward.meta.get("seq_len")
        label = " ".join(str(word) for word in ("training", tokens, self.recipe) if word)
        extra: dict[str, Any] = {} if tokens is None else {"seq_len": tokens}
        made = assemble(
            forward, "training", label, ops, recompute=self.recompute, optimizer=self.optimizer, kv_vectors=0,
            trained_parameters=parameters, **extra, **({"recipe": self.recipe} if self.recipe else {}),
        )  # fmt: skip
        if recipe is None:
            return made
        left = [replace(gemm, w_format=gemm.w_format or recipe.high) for gemm in idle_weights(made)]
        told: dict[str, str] = {}
        if note := kept_note(forward, str(self.recipe)):
            told = {"policy_note": note, "formats": formats_text(forward, f"recipe {self.recipe}")}
        if note := _unused_note(rows, str(self.recipe), recipe):
            told = {"policy_note": note, "formats": note.partition(",")[0]}
        return fill_other(replace(made, meta={**made.meta, "idle_weights": left, **told}), recipe.high)

    def _backward(self, row: _Row, recipe: Recipe | None) -> Iterator[Op]:
        if row.again:
            for op in _product(row, "forward", forward_gemm, recipe):
                yield replace(op, layer=RECOMPUTE + op.layer)
        if isinstance(row.op, VectorOp):
            gradient = vector_gradient(row.op)
            if gradient is not None:
                yield recipe.high_op(gradient) if recipe else gradient
            return
        if row.input_gradient:
            yield from _product(row, "dgrad", dgrad, recipe)
        yield from _product(row, "wgrad", wgrad, recipe)


def _recomputed(op: Op, place: Place, recompute: Recompute) -> bool:
    """Whether the forward operation ``op`` runs once more in the backward pass."""
    role = op.role if isinstance(op, Gemm) else op.op
    if recompute == "all":
        return place.layers != () and role not in ("lm_head", "embedding")
    return recompute == "attention" and role.startswith(("score", "value", "softmax"))


def _is_linear(gemm: Gemm, place: Place) -> bool:
    """Whether a product of no known role is that of a linear layer within the layers, not of a head behind them."""
    return gemm.role == "other" and gemm.w_source == "dram" and place.layers != ()


def _rows(forward: Trace, recipe: Recipe | None, recompute: Recompute) -> Iterator[_Row]:
    """Yield the forward operations, cut where a recipe keeps layers in its high format."""
    frozen = reads_the_input(forward.ops)
    for at, (op, place) in enumerate(zip(forward.ops, places(forward), strict=True)):
        told = at != frozen, _recomputed(op, place, recompute)
        role = "linear" if isinstance(op, Gemm) and _is_linear(op, place) else getattr(op, "role", "")
        if recipe is None or role not in recipe.roles:
            yield _Row(op, False, *told)
            continue
        kept, between = cut_ends(op, place, *recipe.ends(place.depth))
        parts = ((kept, False), (between, True))
        yield from (_Row(part, low, *told) for part, low in parts if part is not None)


def _unused_note(rows: Sequence[_Row], name: str, recipe: Recipe) -> str:
    """Return that, and why, no product of ``rows`` runs in the formats of ``recipe``; or ``""``."""
    gemms = [(row, row.op) for row in rows if isinstance(row.op, Gemm)]
    if any(row.low and not (gemm.w_format and gemm.a_format) for row, gemm in gemms):
        return ""
    total = sum(gemm.layers for _, gemm in gemms)
    ends = f", and not for the first {recipe.keep.first} and last {recipe.keep.last} of the layers"
    return (
        f"recipe {name}: none of {total:,} GEMMs run in its formats, which are for weights whose formats are open, of "
        f"roles {', '.join(recipe.roles)}{ends if any(recipe.ends(1)) else ''}"
    )


def _product(row: _Row, product: Product, make: Callable[[Gemm], Gemm], recipe: Recipe | None) -> Iterator[Op]:
    """Yield one product of a row with what a recipe does before and after it; an operation that is none as it is."""
    op = make(row.op) if isinstance(row.op, Gemm) else row.op
    if recipe is None:
        yield op
    elif row.low and isinstance(op, Gemm):
        yield from recipe.low(op, product, alone=product == "wgrad" and not row.input_gradient)
    else:
        yield recipe.high_op(op)


def _parameters(forward: Trace) -> int:
    """Return how many parameters an update changes: the model's, or without a model the weights of its products."""
    stated = forward.meta.get("parameters")
    weights = sum(g.stored_elements for g in forward.gemms if g.w_source == "dram")
    if not stated and not weights:
        raise UsageError(f"training: {forward.name} has no weights")
    return int(stated or weights)
