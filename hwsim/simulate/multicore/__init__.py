"""Several cores on one chip: how a GEMM is cut for them, and what that moves, takes and costs."""

from __future__ import annotations

from hwsim.simulate.multicore.plan import Plan, plans_of
from hwsim.simulate.multicore.run import Run, run_plan

__all__ = ["Plan", "Run", "plans_of", "run_plan"]
