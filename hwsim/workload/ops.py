"""What a model computes: matrix products (:class:`Gemm`) and vector operations (:class:`VectorOp`).

Convention: ``O[M,N] = A[M,K] · W[K,N]``. M counts tokens or output pixels, K is the reduction, N
counts output features. ``batch`` counts independent instances with operands of their own (heads,
convolution groups, experts); ``repeat`` counts identical layers. Sequences that share a weight
matrix are rows of M, not instances of ``batch``.

Sizes are plain integers and all totals are exact. Formats are names; an empty name is filled by
a :class:`~hwsim.workload.policy.Policy`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hwsim.formats.operand import read_operand_stats
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from hwsim.formats import Format

#: Where a stationary operand comes from: weights in DRAM, the KV cache, or another layer's output.
W_SOURCES = ("dram", "kv", "activation")

#: Where a streamed operand comes from.
A_SOURCES = ("activation", "dram")

#: What a GEMM is for. Policies select by role.
ROLES = ("qkv", "attn_out", "score", "value", "ffn", "router", "lm_head", "conv", "embed", "linear", "other")

#: Roles whose product of two activations is attention; of other roles it is the gradient of a weight.
_ATTENTION_ROLES = ("score", "value", "other")

#: Ends the stage in the name of a layer: ``decode/mlp.up_proj`` is ``mlp.up_proj`` in the stage ``decode``.
STAGE_END = "/"

#: Begins the names of the layers of a draft model, whose weights are its own.
DRAFT = "draft."


def bare_name(layer: str) -> str:
    """Return the name of ``layer`` without its stage. Rows of several stages with one name share their weights."""
    return layer.rpartition(STAGE_END)[2]


@lru_cache(maxsize=1)
def vector_op_names() -> tuple[str, ...]:
    """Return the names of all vector operations that have a cost, in the order of the data file."""
    return tuple(row["op"] for row in read_csv_rows("vector", "ops.csv") if row["per"] == "element")


def ceil_div(value: int, divisor: int) -> int:
    """Return ``value / divisor`` rounded up, exactly."""
    return -(-value // divisor)


def _positive(owner: str, **sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{owner}: {name} must be a whole number of at least 1, not {value!r}")


def _check_passes(owner: str, repeat: int, passes: int) -> None:
    if repeat % passes:
        raise UsageError(f"{owner}: repeat {repeat} is no multiple of {passes} passes")


def _one_of(owner: str, name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise UsageError(f"{owner}: unknown {name} {value!r}; {did_you_mean(value, valid)}")


@dataclass(frozen=True, slots=True)
class Gemm:
    """``batch × repeat`` products ``O[M,N] = A[M,K] · W[K,N]``.

    Parameters
    ----------
    layer
        Name within a layer, for example ``attn.q_proj``; identical layers share one row.
    m, n, k
        Sizes of one instance.
    batch
        Independent instances, each with its own A and W.
    repeat
        Identical layers, each with its own A and W, run one after the other.
    w_format, a_format, o_format
        Format names; ``""`` is filled by the run's policy.
    w_source
        ``dram`` (weights), ``kv`` (KV cache) or ``activation``.
    a_source
        ``activation`` or ``dram``.
    role
        One of :data:`ROLES`.
    w_stats, a_stats
        Statistics of the operands: figures such as ``zeros=0.5 held=64`` (:mod:`hwsim.formats.operand`),
        or the name of a distribution for data-dependent hardware; ``""`` leaves them to the run.
    note
        Free text.
    passes
        How often the same layers run: ``repeat / passes`` layers, each with weights of its own, which
        every pass reads again.
    accumulator
        Format whose every value the PE's sums must hold; ``""`` leaves it to the PE.
    weights_of
        Layer whose row stores the weights, where another row reads them too; ``""`` if this row does.

    Raises
    ------
    UsageError
        If a size is no positive integer, a source or role is unknown, statistics are malformed, or
        ``repeat`` is no multiple of ``passes``.
    """

    layer: str
    m: int
    n: int
    k: int
    batch: int = 1
    repeat: int = 1
    w_format: str = ""
    a_format: str = ""
    o_format: str = ""
    w_source: str = "dram"
    a_source: str = "activation"
    role: str = "other"
    w_stats: str = ""
    a_stats: str = ""
    note: str = ""
    passes: int = 1
    accumulator: str = ""
    weights_of: str = ""

    def __post_init__(self) -> None:
        owner = f"gemm {self.layer!r}"
        _positive(owner, m=self.m, n=self.n, k=self.k, batch=self.batch, repeat=self.repeat, passes=self.passes)
        _check_passes(owner, self.repeat, self.passes)
        _one_of(owner, "w_source", self.w_source, W_SOURCES)
        _one_of(owner, "a_source", self.a_source, A_SOURCES)
        _one_of(owner, "role", self.role, ROLES)
        for stats in (self.w_stats, self.a_stats):
            read_operand_stats(stats)

    @property
    def op(self) -> str:
        """The name of the operation in tables: ``gemm``."""
        return "gemm"

    @property
    def cost_key(self) -> tuple[Hashable, ...]:
        """What decides the cost of one instance with its batch: not its name, not its repeats."""
        return (self.m, self.k, self.n, self.batch, self.w_format, self.a_format, self.o_format,
                self.w_source, self.w_stats, self.a_stats)  # fmt: skip

    @property
    def instances(self) -> int:
        """Products in all: ``batch × repeat``."""
        return self.batch * self.repeat

    @property
    def macs(self) -> int:
        """Multiply-accumulates in all: ``m · n · k · batch · repeat``."""
        return self.m * self.n * self.k * self.instances

    @property
    def w_elements(self) -> int:
        """Elements of W over all instances."""
        return self.k * self.n * self.instances

    @property
    def a_elements(self) -> int:
        """Elements of A over all instances (im2col counts a pixel once per window that holds it)."""
        return self.m * self.k * self.instances

    @property
    def o_elements(self) -> int:
        """Elements of O over all instances."""
        return self.m * self.n * self.instances

    @property
    def layers(self) -> int:
        """Layers with weights of their own: ``repeat / passes``."""
        return self.repeat // self.passes

    @property
    def kind(self) -> str:
        """``conv``, ``attention`` (no operand is a stored weight, nor the result the gradient of one) or ``linear``."""
        if self.role == "conv":
            return "conv"
        return "attention" if self.w_source != "dram" and self.role in _ATTENTION_ROLES else "linear"

    def w_bits(self, fmt: Format) -> int:
        """Bits of all W in ``fmt``, metadata included; blocks run along K, one row per output."""
        return fmt.storage_bits(self.n, self.k) * self.instances

    @property
    def stored_matrices(self) -> int:
        """Different W: what passes read again counts once, what another row stores not at all."""
        return 0 if self.weights_of else self.batch * self.layers

    @property
    def stored_elements(self) -> int:
        """Elements of the different W."""
        return self.k * self.n * self.stored_matrices

    def stored_bits(self, fmt: Format) -> int:
        """Bits of the different W in ``fmt``."""
        return fmt.storage_bits(self.n, self.k) * self.stored_matrices

    def stored_code_bits(self, fmt: Format) -> int:
        """Bits of :meth:`stored_bits` that are codes of elements, without scales and zero points."""
        return fmt.code_bits(self.n, self.k) * self.stored_matrices

    def a_bits(self, fmt: Format) -> int:
        """Bits of all A in ``fmt``, metadata included; blocks run along K."""
        return fmt.storage_bits(self.m, self.k) * self.instances

    def o_bits(self, fmt: Format) -> int:
        """Bits of all O in ``fmt``, metadata included; blocks run along N, the next layer's K."""
        return fmt.storage_bits(self.m, self.n) * self.instances


@dataclass(frozen=True, slots=True)
class VectorOp:
    """``batch × repeat`` element-wise or row-wise operations on an ``m × n`` tensor.

    Row-wise operations (softmax, norms) reduce along ``n``. Binary operations (``add``, ``mul``)
    name the size of one operand. Formats, ``note`` and ``passes`` as in :class:`Gemm`.

    Raises
    ------
    UsageError
        If a size is no positive integer, the operation is unknown, or ``repeat`` is no multiple of ``passes``.
    """

    layer: str
    op: str
    m: int
    n: int
    batch: int = 1
    repeat: int = 1
    a_format: str = ""
    o_format: str = ""
    note: str = ""
    passes: int = 1

    def __post_init__(self) -> None:
        owner = f"vector op {self.layer!r}"
        _positive(owner, m=self.m, n=self.n, batch=self.batch, repeat=self.repeat, passes=self.passes)
        _check_passes(owner, self.repeat, self.passes)
        _one_of(owner, "op", self.op, vector_op_names())

    @property
    def cost_key(self) -> tuple[Hashable, ...]:
        """What decides the cost of one instance with its batch: not its name, not its repeats."""
        return (self.op, self.m, self.n, self.batch, self.a_format, self.o_format)

    @property
    def instances(self) -> int:
        """Tensors in all: ``batch × repeat``."""
        return self.batch * self.repeat

    @property
    def elements(self) -> int:
        """Elements over all instances."""
        return self.m * self.n * self.instances

    @property
    def layers(self) -> int:
        """Layers that every pass runs: ``repeat / passes``."""
        return self.repeat // self.passes

    @property
    def macs(self) -> int:
        """Always 0: vector operations are priced by primitive, not by multiply-accumulate."""
        return 0


Op = Gemm | VectorOp
