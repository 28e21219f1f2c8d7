"""What a run stores besides the weights that it reads: idle weights, tables and norms, in ``meta`` of its trace.

* ``idle_weights``: matrices that no product of the run reads, such as experts without tokens and an encoder in
  decode, as GEMMs of one row. Whatever gives formats to a trace gives them theirs too: :func:`with_idle`.
* ``kv_vectors`` of ``head_dim``: keys and values in the cache; ``kv_stores`` where there are several caches.
* ``other_parameters``: norms, biases, positions and tables, which no GEMM multiplies. ``other_bits`` are the bits of
  those whose formats are stated, ``other_open`` is how many are left to a policy: without the two, all.
  Embedding tables are among these: :mod:`hwsim.workload.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hwsim.workload.ops import DRAFT, STAGE_END, Gemm, Op, bare_name
from hwsim.workload.trace import Trace

#: Stage of idle weights while they get their formats with all others.
IDLE = f"idle{STAGE_END}"


class KvStore(NamedTuple):
    """One cache of keys and values: of the products whose layers begin with ``layers``, ``vectors`` of ``width``."""

    layers: str
    vectors: int
    width: int

    def has(self, layer: str) -> bool:
        """Whether the product ``layer`` reads this cache."""
        name = bare_name(layer)
        return name.startswith(self.layers) and (name.startswith(DRAFT) == self.layers.startswith(DRAFT))


def kv_stores(meta: Mapping[str, Any]) -> list[KvStore]:
    """Return the caches at the end of a run."""
    if not meta.get("kv_vectors", 0):
        return []
    whole = ("", int(meta["kv_vectors"]), int(meta.get("head_dim", 1)))
    return [KvStore(*store) for store in meta.get("kv_stores", [whole])]


def idle_weights(trace: Trace) -> tuple[Gemm, ...]:
    """Return the matrices that ``trace`` stores and does not read."""
    return tuple(trace.meta.get("idle_weights", ()))


def is_idle(op: Op) -> bool:
    """Whether ``op`` stands for weights alone, in a trace that :func:`with_idle` hands on."""
    return op.layer.startswith(IDLE)


def with_idle(trace: Trace, change: Callable[[Trace], Trace]) -> Trace:
    """Return ``change(trace)``, which gives formats, with those of its idle weights changed as well."""
    idle = idle_weights(trace)
    if not idle:
        return change(trace)
    named = tuple(replace(gemm, layer=f"{IDLE}{gemm.layer}") for gemm in idle)
    changed = change(replace(trace, ops=(*trace.ops, *named)))
    left = [
        replace(op, layer=op.layer.removeprefix(IDLE)) for op in changed.ops if is_idle(op) and isinstance(op, Gemm)
    ]
    ops = tuple(op for op in changed.ops if not is_idle(op))
    return replace(changed, ops=ops, meta={**changed.meta, "idle_weights": left})


def open_parameters(meta: Mapping[str, Any]) -> int:
    """Return how many parameters that no GEMM multiplies have no format yet."""
    every = 0 if "other_bits" in meta else meta.get("other_parameters", 0)
    return int(meta.get("other_open", every))


def state_other(trace: Trace, bits: int) -> Trace:
    """Return ``trace`` with ``bits`` for all parameters that no GEMM multiplies and no one gave a format yet."""
    stated = int(trace.meta.get("other_bits", 0)) + bits
    return replace(trace, meta={**trace.meta, "other_bits": stated, "other_open": 0})
