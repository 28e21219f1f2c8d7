"""What is known of a tensor between two operations of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from hwsim.workload.graph.layout import Layout, expanded, fresh, permuted, reshaped

#: A part of a stored tensor that is not told from others yet.
UNKNOWN = "?"


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph.

    Parameters
    ----------
    shape
        Its extents.
    constant
        Its values are known before the run: weights, and what shapes and weights alone decide.
    name
        The stored tensor that it is a view of, ``""`` for none.
    part
        What tells it from other parts of that tensor, or from what else is computed of it; ``""``: all of it.
        :data:`UNKNOWN` where whoever knows the value's own name is to say it (:meth:`told`).
    fmt
        The format that its values are quantized in, ``""`` where none says.
    block
        The axis of blocks and ``(elements per block, format of scales, zero points)``, for :attr:`fmt` of a weight.
    origin
        Number of the product that made it, for what only moves, scales or masks the result; -1 for none.
    softmax
        It is the result of a softmax, moved or masked.
    cached
        It is, or becomes, part of a KV cache.
    chosen
        Of how many stored matrices along its first dimension each is one that the data choose; 0: none. Its
        values are stored, but not known before the run.
    layout
        Repeats among its extents.
    """

    shape: tuple[int, ...]
    constant: bool = False
    name: str = ""
    fmt: str = ""
    block: tuple[int, int, str, bool] | None = None
    origin: int = -1
    softmax: bool = False
    cached: bool = False
    chosen: int = 0
    layout: Layout = field(default=())
    part: str = ""

    def __post_init__(self) -> None:
        if len(self.layout) != len(self.shape):
            object.__setattr__(self, "layout", fresh(self.shape))

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return prod(self.shape)

    @property
    def stored(self) -> bool:
        """Whether its values are stored weights, chosen by the data or not."""
        return self.constant or self.chosen > 0

    @property
    def identity(self) -> str:
        """What tells its stored values from others, ``""`` where nothing does."""
        return "" if self.part == UNKNOWN else " ".join(text for text in (self.name, self.part) if text)

    def told(self, name: str) -> Tensor:
        """Return the tensor, named after the value that it is if nothing else tells it from others."""
        unknown = self.part == UNKNOWN or (self.constant and not self.identity)
        return replace(self, part=f"{UNKNOWN}{name}") if unknown else self

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def like(self, layout: Layout, shape: Sequence[int]) -> Tensor:
        """Return the same values in another arrangement."""
        return replace(self, shape=tuple(shape), layout=layout)

    def reshape(self, shape: Sequence[int]) -> Tensor:
        """Return the tensor regrouped row-major."""
        moved = self.like(reshaped(self.layout, shape), shape)
        return moved if self.block is None or tuple(shape) == self.shape else replace(moved, block=None)

    def expand(self, shape: Sequence[int]) -> Tensor:
        """Return the tensor broadcast to ``shape``."""
        return self.like(expanded(self.layout, shape), shape)

    def permute(self, order: Sequence[int]) -> Tensor:
        """Return the tensor with its dimensions in another order."""
        moved = self.like(permuted(self.layout, order), [self.shape[axis] for axis in order])
        if self.block is None:
            return moved
        axis, *rest = self.block
        return replace(moved, block=(list(order).index(axis), *rest))  # type: ignore[arg-type]


def carry(inputs: Iterable[Tensor], shape: Sequence[int]) -> Tensor:
    """Return the result of an element-wise operation: what it leaves of its inputs' history.

    The result repeats itself where one input of its shape does and the others are single values.
    """
    shape = tuple(shape)
    given = list(inputs)
    running = [tensor for tensor in given if not tensor.constant]
    if not running:
        main = max((tensor for tensor in given if tensor.name), key=lambda tensor: tensor.elements, default=None)
        if main is None:
            return Tensor(shape, constant=True, part=UNKNOWN)
        part = main.part if main.elements == prod(shape) else UNKNOWN
        return Tensor(shape, constant=True, name=main.name, part=part)
    main = next((tensor for tensor in running if tensor.origin >= 0 or tensor.softmax), running[0])
    large = [tensor for tensor in given if tensor.elements != 1]
    layout = large[0].layout if len(large) == 1 and large[0].shape == shape else fresh(shape)
    return Tensor(
        shape,
        origin=main.origin,
        softmax=main.softmax,
        cached=any(tensor.cached for tensor in running),
        layout=layout,
    )
