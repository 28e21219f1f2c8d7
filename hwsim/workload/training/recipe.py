"""Recipes: the formats of the three GEMMs of a layer in training, and the operations that prepare operands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hwsim.formats import parse_format
from hwsim.spec.bind import Spec, as_value_error, bind
from hwsim.spec.data import data_path
from hwsim.spec.document import load_document
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.ops import ROLES, Gemm, Op, VectorOp, vector_op_names

#: The three products of a layer.
Product = Literal["forward", "dgrad", "wgrad"]
PRODUCTS: tuple[Product, ...] = ("forward", "dgrad", "wgrad")


def _known_step(name: str) -> str:
    if name not in vector_op_names():
        raise UsageError(f"unknown vector operation {name!r}; {did_you_mean(name, vector_op_names())}")
    return name


def _known_role(name: str) -> str:
    if name not in ROLES:
        raise UsageError(f"unknown role {name!r}; {did_you_mean(name, ROLES)}")
    return name


Step = Annotated[str, AfterValidator(as_value_error(_known_step))]
Role = Annotated[str, AfterValidator(as_value_error(_known_role))]
FormatName = Annotated[str, AfterValidator(as_value_error(lambda name: parse_format(name).name))]
Share = Annotated[str, AfterValidator(as_value_error(lambda text: str(Fraction(text))))]


class OperandSpec(Spec):
    """An operand: its format, and the vector operations that make it from what is at hand, in order."""

    format: FormatName | None = Field(None, description="default: the recipe's high format")
    steps: list[Step] = Field([], description="vector operations on the operand; a result's come after the product")
    of: Literal["tensor", "copy"] = Field(
        "tensor",
        description="what the steps start from: the tensor in the high format, or the copy of it that the forward "
        "product reads; for w of dgrad and a of wgrad",
    )


class ProductSpec(Spec):
    """The operands of one product: streamed, stationary, result."""

    a: OperandSpec = Field(OperandSpec(), description="streamed: activation; in dgrad the gradient")
    w: OperandSpec = Field(OperandSpec(), description="stationary: weight; in wgrad the gradient")
    o: OperandSpec = Field(OperandSpec(), description="result")


class KeepSpec(Spec):
    """Shares of the layers that stay in the high format, rounded up to whole layers."""

    first: Share = Field("0", description="share of the layers at the beginning, such as 2/62")
    last: Share = Field("0", description="share of the layers at the end")


class Recipe(Spec):
    """A training recipe of formats."""

    source: str = Field(description="paper and section")
    high: FormatName = Field(description="format of everything that is not in a product of a listed role")
    roles: list[Role] = Field(description="roles of GEMMs that run in the recipe's formats")
    keep: KeepSpec = Field(KeepSpec(), description="layers that stay in the high format")
    forward: ProductSpec
    dgrad: ProductSpec
    wgrad: ProductSpec

    @model_validator(mode="after")
    def _copies_exist(self) -> Recipe:
        for product in PRODUCTS:
            spec: ProductSpec = getattr(self, product)
            for name in ("a", "w", "o"):
                if getattr(spec, name).of == "copy" and self._copy(product, name) is None:
                    raise ValueError(f"{product}: {name}: the forward product makes no copy that it could be of")
        return self

    def _copy(self, product: Product, operand: str) -> str | None:
        """Return the format of the copy that the forward product makes of an operand of another one, if it does."""
        made = {("dgrad", "w"): self.forward.w, ("wgrad", "a"): self.forward.a}.get((product, operand))
        return made.format if made is not None and made.steps else None

    def ends(self, layers: int) -> tuple[int, int]:
        """Return how many of ``layers`` at the beginning and at the end stay in the high format."""
        return ceil(Fraction(self.keep.first) * layers), ceil(Fraction(self.keep.last) * layers)

    def high_op(self, op: Op) -> Op:
        """Return ``op`` in the high format; formats that it states stay."""
        a, o = op.a_format or self.high, op.o_format or self.high
        if isinstance(op, VectorOp):
            return replace(op, a_format=a, o_format=o)
        return replace(op, w_format=op.w_format or self.high, a_format=a, o_format=o)

    def low(self, gemm: Gemm, product: Product, alone: bool = False) -> Iterator[Op]:
        """Yield what prepares the operands of ``gemm``, the product in the recipe's formats, and what follows it.

        A ``wgrad`` without steps of its own reads the gradient as ``dgrad`` prepares it; one that is ``alone``, as
        that of the first product is, prepares it itself. Operands whose format is stated are at hand in that.
        """
        spec: ProductSpec = getattr(self, product)
        gradient = spec.w.model_copy(update={"steps": spec.w.steps or self.dgrad.a.steps}) if alone else spec.w
        for name, rows, columns, operand in (("a", gemm.m, gemm.k, spec.a), ("w", gemm.n, gemm.k, gradient)):
            if not getattr(gemm, f"{name}_format"):
                start = self._copy(product, name) if operand.of == "copy" else None
                yield from self._steps(gemm, name, rows, columns, operand, start)
        yield replace(
            gemm,
            w_format=gemm.w_format or spec.w.format or self.high,
            a_format=gemm.a_format or spec.a.format or self.high,
            o_format=gemm.o_format or spec.o.format or self.high,
        )
        yield from self._steps(gemm, "o", gemm.m, gemm.n, spec.o)

    def _steps(
        self, gemm: Gemm, name: str, rows: int, columns: int, operand: OperandSpec, start: str | None = None
    ) -> Iterator[VectorOp]:
        read = start or self.high
        for step in operand.steps:
            made = operand.format if step.startswith("quantize") else None
            yield VectorOp(
                f"{gemm.layer}.{name}.{step}", step, rows, columns, gemm.batch, gemm.repeat, read, made or self.high,
                passes=gemm.passes,
            )  # fmt: skip
            read = self.high


@lru_cache(maxsize=1)
def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes, sorted."""
    return tuple(sorted(path.stem for path in data_path("training", "recipes").iterdir()))


@lru_cache(maxsize=16)
def find_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in recipe_names():
        raise UsageError(f"unknown recipe {name!r}; {did_you_mean(name, recipe_names())}")
    return bind(load_document(data_path("training", "recipes", f"{name}.yaml")), Recipe)
