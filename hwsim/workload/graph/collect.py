"""Operations of a graph, gathered in order into a trace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.products import Product, spread_rows
from hwsim.workload.graph.roles import role_of
from hwsim.workload.importers.csv import LARGEST_PRODUCT, LARGEST_SIZE
from hwsim.workload.ops import Gemm, Op, VectorOp
from hwsim.workload.trace import Trace

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")

#: How often which rows read a stored tensor, in order.
_Reads = tuple[tuple[Op, int], ...]


@dataclass
class Collector:
    """Collects what a graph runs.

    ``meta`` is what the reader knows of the model besides. ``unpriced`` counts element-wise operations that
    have no program on a vector unit; they hold no MACs.
    ``folded`` counts products of values that are known before the run.
    """

    ops: list[Op] = field(default_factory=list)
    unpriced: Counter[str] = field(default_factory=Counter)
    meta: dict[str, Any] = field(default_factory=dict)
    folded: int = 0
    #: Layers whose product has an extent of 0.
    empty: list[str] = field(default_factory=list)
    #: What tells the stored tensor that a product reads from others, by the product's number.
    stored: dict[int, str] = field(default_factory=dict)

    def product(
        self, layer: str, product: Product, role: str = "", note: str = "", repeat: int = 1, **formats: str
    ) -> int:
        """Add a product and return its number, -1 if nothing runs; a product without a sum is element-wise.

        Raises
        ------
        UsageError
            If it is larger than any trace may hold.
        """
        if product.a.constant and product.w.constant:
            self.folded += 1
            return -1
        if not product.macs:
            self.empty.append(layer)
            return -1
        sizes = (product.m, product.n, product.k, product.batch)
        if max(sizes) > LARGEST_SIZE or product.m * product.n * product.k > LARGEST_PRODUCT:
            raise UsageError(f"{layer}: a product of {' × '.join(map(str, sizes))} is larger than any machine finishes")
        if product.k == 1 and role != "conv" and not product.w.stored:
            self.vector(layer, "mul", (product.batch * product.m, product.n), note="outer product: nothing is summed")
            return -1
        gemms = self._gemms(layer, product, role, note, repeat, formats)
        if product.w.stored and product.w.identity:
            # Rows of one product read different matrices of the tensor: experts by their number of rows.
            self.stored |= {len(self.ops) + at: f"{product.w.identity} {at}" for at in range(len(gemms))}
        self.ops += gemms
        return len(self.ops) - 1

    def _gemms(
        self, layer: str, product: Product, role: str, note: str, repeat: int, formats: dict[str, str]
    ) -> list[Op]:
        weights = product.w
        if weights.stored:
            source, role = "dram", role or role_of(layer)
        else:
            source = "kv" if weights.cached else "activation"
            if not role and (product.a.softmax or weights.softmax):
                role, layer = "value", f"{layer}.values"
            role = role or "other"
            note = note or (f"{product.shared} heads share each" if product.shared > 1 else "")
        shared: dict[str, Any] = {
            "repeat": repeat,
            "w_format": weights.fmt,
            "a_format": product.a.fmt,
            **formats,
            "w_source": source,
            "role": role,
        }
        if not weights.chosen:
            gemm = Gemm(layer, product.m, product.n, product.k, product.batch, **shared, note=note)
            return [gemm]
        # Each instance has one row and a matrix that the data choose from those stored.
        rows = product.batch * product.m
        note = f"{rows} rows over {weights.chosen} experts: uniform, the graph does not say which"
        return [
            Gemm(layer, size, product.n, product.k, count, **shared, note=note)
            for size, count in spread_rows(rows, weights.chosen)
        ]

    def name_role(self, number: int, role: str) -> None:
        """Give a product of activations its role, once what follows tells it."""
        op = self.ops[number]
        if isinstance(op, Gemm) and op.w_source != "dram" and op.role == "other":
            self.ops[number] = replace(op, role=role, layer=f"{op.layer}.{role}s")

    def vector(self, layer: str, op: str, shape: tuple[int, ...], note: str = "", repeat: int = 1) -> None:
        """Add a vector operation on a tensor; rows run along the last dimension."""
        if prod(shape) and repeat:
            n = shape[-1] if shape else 1
            self.ops.append(VectorOp(layer, op, prod(shape) // n, n, repeat=repeat, note=note))

    def skip(self, what: str, count: int = 1) -> None:
        """Count operations without MACs that have no program."""
        self.unpriced[what] += count

    def trace(self, name: str, meta: dict[str, Any], merge: bool = True) -> Trace:
        """Return the trace; layers that differ in one number of their name alone are one row with ``repeat``.

        Raises
        ------
        UsageError
            If nothing was collected.
        """
        if not self.ops:
            raise UsageError(f"{name}: holds no operation that has a cost")
        stated = {"unpriced": ", ".join(f"{what} {count}" for what, count in sorted(self.unpriced.items()))}
        if self.folded:
            stated["folded"] = f"{self.folded} products of constants"
        ops = merge_layers(self.ops, self.stored, merge)
        trace = Trace(name, tuple(ops), {**meta, **self.meta, **{key: value for key, value in stated.items() if value}})
        totals = {f"macs_{kind}": macs for kind, macs in trace.macs_by_kind.items()}
        return Trace(name, trace.ops, {**trace.meta, **totals, "macs": trace.macs})


def merge_layers(ops: Sequence[Op], stored: Mapping[int, str], merge: bool = True) -> list[Op]:
    """Return ``ops`` with rows merged whose names differ only in numbers between dots, written ``*`` then.

    ``stored`` tells which stored tensor an operation reads, by its number. Rows are of tensors that are all read
    alike: each ``passes`` times by this row and, if others read them too, stored by the first of those rows.
    """
    keys = [replace(op, layer=_NUMBER.sub("*", op.layer) if merge else op.layer, repeat=1) for op in ops]
    reads: dict[str, Counter[Op]] = {}
    for at, tensor in stored.items():
        reads.setdefault(tensor, Counter())[keys[at]] += ops[at].repeat
    alike = {tensor: tuple(found.items()) for tensor, found in reads.items()}
    groups: dict[tuple[Op, _Reads], list[int]] = {}
    for at, key in enumerate(keys):
        groups.setdefault((key, alike[stored[at]] if at in stored else ((key, 1),)), []).append(at)
    names: dict[_Reads, str] = {}
    merged: list[Op] = []
    for (key, rows), group in groups.items():
        layer = ops[group[0]].layer if len({ops[at].layer for at in group}) == 1 else key.layer
        row = replace(ops[group[0]], layer=layer, repeat=sum(ops[at].repeat for at in group))
        first = names.setdefault(rows, layer)
        if isinstance(row, Gemm):
            row = replace(row, passes=dict(rows)[key], weights_of="" if key == rows[0][0] else first)
        merged.append(row)
    return merged
