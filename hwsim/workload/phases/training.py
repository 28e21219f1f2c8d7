"""One training step: forward, gradients of every product, and the optimizer's update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from hwsim.spec.errors import UsageError
from hwsim.workload.cutting import cut_ends
from hwsim.workload.ops import STAGE_END, Gemm, Op, VectorOp
from hwsim.workload.phase import Causal, prefill
from hwsim.workload.phases.base import PHASES, assemble, need
from hwsim.workload.phases.passes import Build
from hwsim.workload.places import places
from hwsim.workload.stored import idle_weights
from hwsim.workload.tables import fill_other
from hwsim.workload.trace import Trace
from hwsim.workload.training.backward import dgrad, forward_gemm, vector_gradient, wgrad
from hwsim.workload.training.optimizer import find_optimizer, update_ops
from hwsim.workload.training.recipe import Product, Recipe, find_recipe

Recompute = Literal["none", "attention", "all"]

RECOMPUTE = "recompute"


@dataclass(frozen=True)
class _Row:
    """A forward operation, whether a recipe's formats are for it, and whether its input has a gradient."""

    op: Op
    low: bool
    input_gradient: bool


@PHASES.register("training")
@dataclass(frozen=True)
class Training:
    """One step on ``batch`` sequences of ``seq_len`` tokens, or images.

    Every linear, attention and convolution product runs forward and as ``dgrad/…`` and ``wgrad/…``, but for the
    gradient of the model's own input: the first product has none, unless it reads an embedding, whose table is
    trained (a second input, such as a U-Net's beside its time step, is taken as needing one). ``recompute`` says
    which forward operations run once more before their gradients, so that their results need not be kept:
    ``attention`` scores, softmax and values (selective recomputation, Korthikanti et al., arXiv 2205.05198,
    section 5), ``all`` everything within the layers. The step has as many tokens per weight update as it states:
    no accumulation. ``recipe`` names the formats (:mod:`hwsim.workload.training.recipe`); every product prepares
    its own operands, also where several read the same one.
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
        rows = list(_rows(forward, recipe))
        ops = [op for row in rows for op in _product(row, "forward", forward_gemm, recipe)]
        for row in reversed(rows):
            ops.extend(self._backward(row, recipe))
        parameters = _parameters(forward)
        ops.extend(update_ops(self.optimizer, parameters))
        tokens = forward.meta.get("seq_len")
        label = " ".join(str(word) for word in ("training", tokens, self.recipe) if word)
        extra = {} if tokens is None else {"seq_len": tokens}
        made = assemble(
            forward, "training", label, ops, recompute=self.recompute, optimizer=self.optimizer, kv_vectors=0,
            trained_parameters=parameters, **extra, **({"recipe": self.recipe} if self.recipe else {}),
        )  # fmt: skip
        if recipe is None:
            return made
        left = [replace(gemm, w_format=gemm.w_format or recipe.high) for gemm in idle_weights(made)]
        return fill_other(replace(made, meta={**made.meta, "idle_weights": left}), recipe.high)

    def _backward(self, row: _Row, recipe: Recipe | None) -> Iterator[Op]:
        if recomputed(row.op, self.recompute):
            for op in _product(row, "forward", forward_gemm, recipe):
                yield replace(op, layer=f"{RECOMPUTE}{STAGE_END}{op.layer}")
        if isinstance(row.op, VectorOp):
            gradient = vector_gradient(row.op)
            if gradient is not None:
                yield recipe.high_op(gradient) if recipe else gradient
            return
        if row.input_gradient:
            yield from _product(row, "dgrad", dgrad, recipe)
        yield from _product(row, "wgrad", wgrad, recipe)


def recomputed(op: Op, recompute: str) -> bool:
    """Whether the forward operation ``op`` runs once more in the backward pass."""
    if recompute == "all":
        role = op.role if isinstance(op, Gemm) else op.op
        return role not in ("lm_head", "embedding")
    on_scores = op.role in ("score", "value") if isinstance(op, Gemm) else op.op.startswith("softmax")
    return recompute == "attention" and on_scores


def _rows(forward: Trace, recipe: Recipe | None) -> Iterator[_Row]:
    """Yield the forward operations, cut where a recipe keeps layers in its high format."""
    frozen = _reads_the_input(forward)
    for at, (op, place) in enumerate(zip(forward.ops, places(forward), strict=True)):
        if recipe is None or not isinstance(op, Gemm) or op.role not in recipe.roles:
            yield _Row(op, False, at != frozen)
            continue
        kept, between = cut_ends(op, place, *recipe.ends(place.depth))
        parts = ((kept, False), (between, True))
        yield from (_Row(part, low, at != frozen) for part, low in parts if part is not None)


def _product(row: _Row, product: Product, make: Callable[[Gemm], Gemm], recipe: Recipe | None) -> Iterator[Op]:
    op = make(row.op) if isinstance(row.op, Gemm) else row.op
    if recipe is None:
        yield op
    elif row.low and isinstance(op, Gemm):
        yield from recipe.low(op, product)
    else:
        yield recipe.high_op(op)


def _reads_the_input(forward: Trace) -> int | None:
    """Return which operation multiplies the model's input, which needs no gradient; None if an embedding is trained."""
    for at, op in enumerate(forward.ops):
        if isinstance(op, Gemm):
            return at
        if op.op == "embedding":
            return None
    return None


def _parameters(forward: Trace) -> int:
    """Return how many parameters an update changes: the model's, or without a model the weights of its products."""
    stated = forward.meta.get("parameters")
    weights = sum(g.stored_elements for g in forward.gemms if g.w_source == "dram")
    if not stated and not weights:
        raise UsageError(f"training: {forward.name} has no weights")
    return int(stated or weights)
