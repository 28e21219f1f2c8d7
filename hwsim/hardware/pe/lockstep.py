"""Which PEs of an array wait for one another, and what is known of the data that they work on.

PEs whose cycles depend on data take the next operands together: when the slowest one has done with the
last ones. How many PEs that are, and which of their operands are the same, is the dataflow's matter
(:meth:`hwsim.simulate.dataflow.Dataflow.lockstep`); what follows from it for the cycles is the PE's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.operand import OperandStats

#: What is stated of weights and of activations.
Data: TypeAlias = tuple[OperandStats, OperandStats]

#: Nothing is stated: :data:`hwsim.formats.operand.DEFAULT_DISTRIBUTION` of both.
UNSTATED: Data = (OperandStats(), OperandStats())


@dataclass(frozen=True, slots=True)
class Lockstep:
    """PEs that wait for one another.

    Parameters
    ----------
    groups
        Groups of PEs that have no operand in common.
    weights, activations
        Different vectors of weights and of activations in a group, each of these with each of those.
    least
        Cycles that a step takes anyway: for the ports, or for dequantizers.
    sum_steps
        Successive steps of a PE that go into one sum; None for as many as it can take.
    """

    groups: int = 1
    weights: int = 1
    activations: int = 1
    least: int = 1
    sum_steps: int | None = None

    @property
    def pes(self) -> int:
        """PEs that wait for one another."""
        return self.groups * self.weights * self.activations

    @property
    def weight_vectors(self) -> int:
        """Different vectors of weights: what matters where activations do not."""
        return self.groups * self.weights


def as_lockstep(given: int | Lockstep) -> Lockstep:
    """Return ``given``, a number as so many PEs that have no operand in common."""
    return given if isinstance(given, Lockstep) else Lockstep(groups=given)


def largest_of(distribution: ArrayLike, draws: int) -> NDArray[np.float64]:
    """Return the distribution of the largest of ``draws`` independent numbers from 0."""
    weights = np.asarray(distribution, dtype=np.float64)
    if draws == 1:
        return weights
    below = np.cumsum(weights) / weights.sum()
    return np.diff(below**draws, prepend=0.0)


def at_least(distribution: ArrayLike, least: int) -> NDArray[np.float64]:
    """Return the distribution of cycles where fewer than ``least`` become so many."""
    weights = np.asarray(distribution, dtype=np.float64)
    out = np.zeros(max(len(weights), least + 1))
    out[: len(weights)] = weights
    out[least] += out[:least].sum()
    out[:least] = 0.0
    return out
