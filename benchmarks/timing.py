"""How long one call takes, for the benchmarks beside it."""

from __future__ import annotations

import time
from collections.abc import Callable


def microseconds(work: Callable[[], object], runs: int = 300) -> float:
    """Return the time of one call, the best of five rounds of ``runs``."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(runs):
            work()
        best = min(best, time.perf_counter() - start)
    return best / runs * 1e6
