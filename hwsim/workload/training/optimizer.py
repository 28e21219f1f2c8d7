"""Optimizers: what an update reads, writes and computes per parameter, and what is stored between steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from hwsim.formats import parse_format
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.ops import STAGE_END, VectorOp

#: Begins the names of an optimizer's rows.
STAGE = "optimizer"

#: The tensors whose formats are those of stored gradients and of the weights that an update writes.
GRADIENT, WEIGHTS = "gradient", "weights"


@dataclass(frozen=True)
class OptimizerTensor:
    """A tensor with one element per parameter (or as many as ``stored``), moved by the vector operation ``op``."""

    tensor: str
    op: str
    format: str
    stored: int
    source: str

    def bits(self, parameters: int) -> int:
        """Return the bits that are stored for so many parameters, scales included."""
        return parse_format(self.format).storage_bits(1, parameters) * self.stored


@lru_cache(maxsize=1)
def optimizers() -> dict[str, tuple[OptimizerTensor, ...]]:
    """Return all optimizers by name, each as its tensors in the order of an update."""
    found: dict[str, tuple[OptimizerTensor, ...]] = {}
    for row in read_csv_rows("training", "optimizers.csv"):
        one = (OptimizerTensor(row["tensor"], row["op"], row["format"], int(row["stored"]), row["source"]),)
        found[row["optimizer"]] = found.get(row["optimizer"], ()) + (one if row["op"] else ())
    return found


def find_optimizer(name: str) -> tuple[OptimizerTensor, ...]:
    """Return the tensors of the optimizer called ``name``.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in optimizers():
        raise UsageError(f"unknown optimizer {name!r}; {did_you_mean(name, optimizers())}")
    return optimizers()[name]


def update_ops(name: str, parameters: int) -> list[VectorOp]:
    """Return the operations of one update of ``parameters`` parameters."""
    return [
        VectorOp(f"{STAGE}{STAGE_END}{t.tensor}", t.op, 1, parameters, a_format=t.format, o_format=t.format)
        for t in find_optimizer(name)
    ]


def in_place(name: str) -> OptimizerTensor | None:
    """Return the weights of the forward pass if the optimizer called ``name`` reads and writes these; or None."""
    return next((t for t in find_optimizer(name) if (t.tensor, t.op) == (WEIGHTS, "stream_update")), None)


def stored_bits(name: str, parameters: int, other_format: int = 0) -> dict[str, int]:
    """Return the bits of ``gradient`` and of ``optimizer`` state (moments, master weights) between steps.

    Of weights that are updated in place, those that the run stores in an ``other_format`` need the updated ones beside
    them: so many are counted as state.
    """
    tensors, weights = find_optimizer(name), in_place(name)
    gradient = sum(t.bits(parameters) for t in tensors if t.tensor == GRADIENT)
    master = replace(weights, stored=1).bits(other_format) if weights and other_format else 0
    return {GRADIENT: gradient, STAGE: sum(t.bits(parameters) for t in tensors) - gradient + master}
