"""Products of tensors as GEMMs: contractions of two operands, and convolutions of any dimension.

Every index of a contraction is one of four kinds. An index that both operands and the result have counts
instances (``batch``); one that both have and the result has not is reduced (K); the rest are rows (M) or
columns (N). Instances along which one operand does not change share it: they are rows of M if that is W,
columns of N if it is A. So a matrix that multiplies a batch of sequences is one GEMM, and so is a KV
head's cache for its group of query heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.layout import aligned, expanded, size_of
from hwsim.workload.graph.tensor import Tensor


@dataclass(frozen=True)
class Product:
    """A GEMM without its name; ``a`` and ``w`` are the operands as they stand in the graph."""

    m: int
    n: int
    k: int
    batch: int
    a: Tensor
    w: Tensor
    k_axis: int = -1
    #: Instances along which W does not change, by repetition: sequences, or query heads of one KV head.
    shared: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.m * self.n * self.k * self.batch


def contract(equation: str, a: Tensor, b: Tensor) -> Product:
    """Return the contraction of ``a`` and ``b`` by an explicit equation without dots, such as ``bij,bjk->bik``.

    W is the stored operand, else ``b``.

    Raises
    ------
    UsageError
        If the equation does not fit the shapes, or sums an index of one operand alone.
    """
    left, _, out = equation.partition("->")
    a_labels, _, b_labels = left.partition(",")
    _check(equation, a_labels, a, b_labels, b, out)
    if a.stored and not b.stored:
        a, b, a_labels, b_labels = b, a, b_labels, a_labels
    sizes = {"m": 1, "n": 1, "k": 1, "batch": 1, "shared": 1}
    dims_a, dims_b = dict(zip(a_labels, a.layout, strict=True)), dict(zip(b_labels, b.layout, strict=True))
    for label in dict.fromkeys(a_labels + b_labels):
        if label not in b_labels:
            sizes["m"] *= size_of(dims_a[label])
        elif label not in a_labels:
            sizes["n"] *= size_of(dims_b[label])
        elif label not in out:
            sizes["k"] *= max(size_of(dims_a[label]), size_of(dims_b[label]))
        else:
            extent = max(size_of(dims_a[label]), size_of(dims_b[label]))
            if a.chosen or b.chosen:  # every instance has the matrix that its data choose
                sizes["batch"] *= extent
                continue
            pair = (expanded((dims[label],), (extent,))[0] for dims in (dims_a, dims_b))
            for size, in_a, in_b in aligned(*pair):
                sizes["m" if in_b else "n" if in_a else "batch"] *= size
                sizes["shared"] *= size if in_b else 1
    reduced = [label for label in b_labels if label in a_labels and label not in out]
    return Product(**sizes, a=a, w=b, k_axis=b_labels.index(reduced[-1]) if reduced else -1)


def _check(equation: str, a_labels: str, a: Tensor, b_labels: str, b: Tensor, out: str) -> None:
    sizes: dict[str, int] = {}
    for labels, tensor in ((a_labels, a), (b_labels, b)):
        if len(labels) != tensor.rank or len(set(labels)) != len(labels):
            raise UsageError(f"{equation!r} does not fit an operand of shape {list(tensor.shape)}")
        for label, size in zip(labels, tensor.shape, strict=True):
            if sizes.setdefault(label, size) not in (size, 1) and size != 1:
                raise UsageError(f"{equation!r}: {label} is {sizes[label]} and {size}")
            sizes[label] = max(sizes[label], size)
    alone = [label for label in sizes if label not in out and not (label in a_labels and label in b_labels)]
    summed = [label for label in alone if sizes[label] != 1]
    if summed or not set(out) <= set(sizes):
        raise UsageError(f"{equation!r}: {', '.join(summed or sorted(set(out) - set(sizes)))} is in one place only")


def matmul(a: Tensor, b: Tensor) -> Product:
    """Return ``a @ b`` with NumPy's rules: vectors are rows and columns, leading dimensions broadcast."""
    if a.rank == 1:
        a = a.reshape((1, *a.shape))
    if b.rank == 1:
        b = b.reshape((*b.shape, 1))
    if a.rank < 2 or b.rank < 2:
        raise UsageError(f"a product of shapes {list(a.shape)} and {list(b.shape)}")
    depth = max(a.rank, b.rank) - 2
    if depth > 20:
        raise UsageError(f"a product of {depth + 2} dimensions; at most 22 are read")
    batch = "abcdefghijlopqrstuvwxyz"[:depth]
    return contract(f"{batch[depth + 2 - a.rank :]}MK,{batch[depth + 2 - b.rank :]}KN->{batch}MN", a, b)


def convolution(x: Tensor, w: Tensor, out: Sequence[int], groups: int) -> Product:
    """Return the im2col GEMM of images ``(B, C, *pixels)`` with weights ``(O, C/groups, *kernel)``.

    Stride, padding and dilation are in the output's shape ``out``.

    Raises
    ------
    UsageError
        If the channels do not fit.
    """
    channels, filters = x.shape[1], w.shape[0]
    if groups < 1 or w.shape[1] * groups != channels or filters % groups:
        raise UsageError(f"{channels} channels, {groups} groups and weights of shape {list(w.shape)} do not fit")
    return Product(out[0] * prod(out[2:]), filters // groups, prod(w.shape[1:]), groups, x, w, k_axis=1)


def transposed_convolution(x: Tensor, w: Tensor, groups: int) -> Product:
    """Return a transposed convolution of images ``(B, C, *pixels)`` with weights ``(C, O/groups, *kernel)``.

    Every input pixel is multiplied with the whole kernel and its results are added up where they land, so
    M counts input pixels and N outputs × kernel.

    Raises
    ------
    UsageError
        If the channels do not fit.
    """
    channels = x.shape[1]
    if groups < 1 or w.shape[0] != channels or channels % groups:
        raise UsageError(f"{channels} channels, {groups} groups and weights of shape {list(w.shape)} do not fit")
    return Product(x.shape[0] * prod(x.shape[2:]), prod(w.shape[1:]), channels // groups, groups, x, w, k_axis=0)


def im2col_note(product: Product, more: str = "") -> str:
    """Return what a note says of a convolution: the sizes of image and kernel."""
    image, kernel = ("x".join(map(str, sizes)) for sizes in (product.a.shape[1:], product.w.shape[2:]))
    return f"im2col: {image}, kernel {kernel}{more}"


def spread_rows(rows: int, experts: int) -> list[tuple[int, int]]:
    """Return ``(rows, experts)``: so many experts get so many rows each, as evenly as whole numbers allow.

    Experts without rows are left out: a decode step reads ``min(experts, rows)`` of them.
    """
    each, more = divmod(rows, experts)
    return [(size, count) for size, count in ((each + 1, more), (each, experts - more)) if size and count]
