"""Reading hostile sources under the watch of clock and memory, and the changes that make them."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hwsim.spec.errors import UsageError
from hwsim.workload import load_workload
from hwsim.workload.trace import Trace

SECONDS = 1.0
#: What reading may take at its peak; a valid file of this size takes less than 4 MiB.
MEMORY = 64 << 20


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Fail if what is done within takes more time of this process; what tests have left on its heap is not searched."""
    gc.collect()
    gc.freeze()
    start = time.process_time()
    try:
        yield
    finally:
        taken = time.process_time() - start
        gc.unfreeze()
    assert taken < seconds, f"{taken:.2f} s"


def read(source: Path | dict[str, Any] | str, **options: Any) -> Trace | str:
    """Read a source under the watch of clock and memory; return its trace, or the message."""
    tracemalloc.start()
    start = time.process_time()
    try:
        found: Trace | str = load_workload(source, **(options or {"seq_len": 8}))
    except UsageError as error:
        found = str(error)
    taken, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY, f"{peak:,} bytes"
    assert taken < 2 * SECONDS, f"{taken:.2f} s, watched"  # tracemalloc halves the speed
    return found


edits = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.sampled_from(["set", "cut", "insert", "word"]), st.binary(min_size=1, max_size=8)),
    min_size=1, max_size=4,
)  # fmt: skip


def mutated(data: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    found = bytearray(data)
    for at, kind, value in changes:
        place = at % max(1, len(found))
        if kind == "cut":
            del found[place : place + 4 * len(value)]
        elif kind == "insert":
            found[place:place] = value
        elif kind == "word":
            found[place : place + 8] = (b"\xff" * 8 if len(value) % 2 else bytes(8))[: len(value)]
        else:
            found[place : place + len(value)] = value
    return bytes(found)


relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

#: Values as JSON holds them, NaN and infinity among them.
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
