"""Dataflows: how a tile of a GEMM is laid on the array, cycle by cycle.

One file per dataflow. Each gives the same array twice: as closed forms (cycles, SRAM accesses)
that the mapper and the fast engine use, and as a cycle-stepped array that carries real data,
which the ``pe`` engine runs. Tests hold the two against each other.
"""

from __future__ import annotations

from hwsim.simulate.dataflow.base import DATAFLOWS, ArrayShape, Dataflow, DotUnit, Totals, get_dataflow

__all__ = ["DATAFLOWS", "ArrayShape", "Dataflow", "DotUnit", "Totals", "get_dataflow"]
