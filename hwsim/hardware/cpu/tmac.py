"""T-MAC (arXiv 2407.00088): matrix products on a CPU by table lookups instead of multiplications.

An M × K matrix of b-bit weights times K × N activations. Each group of g activations gets a table of
its 2^g signed sums; each bit plane of a row looks one of them up per group and adds it. So
b · M · N · K / g lookups, and as many adds, stand for M · N · K multiply-adds: cost is linear in b
and independent of the activations' type. Half of a table is the negative of the other half.

Counts are those of the published kernels (repository microsoft/T-MAC, ``lut_ctor.cc`` and ``tbl.cc``):
g - 1 adds for each of 2^(g-1) sums, as many negations, a multiplication by the quantization scale
per entry; entries are INT8; sums of ``activation_group`` activations are converted and scaled once
per output and plane.

Time is that of the slowest of its kind: lookups or bytes, as they overlap, after the tables have
been made. What a CPU sustains is an input: see :class:`Cpu`; no figure is built in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from hwsim.spec.errors import UsageError

#: Activations per table: 16 INT8 entries fill one vector register of ``tbl`` and ``pshufb``.
GROUP = 4
#: Widest weights: the published kernels take 1 to 4 bits; the algorithm is the same up to 8.
MAX_BITS = 8
SCALE_BYTES, ACTIVATION_BYTES, ENTRY_BYTES = 2, 2, 1


@dataclass(frozen=True, slots=True)
class TMacWork:
    """What a product takes: operations on single values, and bytes.

    Attributes
    ----------
    lookups, adds
        Of the product itself: one each per group, plane and output.
    table_adds, table_negations, table_multiplications
        To make the tables, once per column of activations.
    scalings
        Conversions of partial sums to floats with a multiply-add.
    weight_bytes, activation_bytes, table_bytes, output_bytes
        Moved once each; scales of weights are with the weights.
    """

    lookups: int
    adds: int
    table_adds: int
    table_negations: int
    table_multiplications: int
    scalings: int
    weight_bytes: int
    activation_bytes: int
    table_bytes: int
    output_bytes: int

    @property
    def dram_bytes(self) -> int:
        """Bytes from and to memory; tables stay in the cache."""
        return self.weight_bytes + self.activation_bytes + self.output_bytes


@dataclass(frozen=True, slots=True)
class Cpu:
    """What a CPU sustains with the threads that are used.

    Attributes
    ----------
    lookups_per_s
        Table lookups, each with its add, of single INT8 values: vector instructions times their lanes.
    table_adds_per_s
        Adds while tables are made; their negations and multiplications take time in proportion.
    bytes_per_s
        Memory bandwidth.

    Raises
    ------
    UsageError
        If one is not positive.
    """

    lookups_per_s: float
    table_adds_per_s: float
    bytes_per_s: float

    def __post_init__(self) -> None:
        for name in ("lookups_per_s", "table_adds_per_s", "bytes_per_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"cpu.{name}: {getattr(self, name)!r}; valid: numbers above 0")


def tmac_work(
    m: int, n: int, k: int, bits: int, group: int = GROUP, scale_group: int | None = 128, activation_group: int = 64
) -> TMacWork:
    """Return the work of an ``m`` × ``k`` weight matrix times ``n`` columns of activations.

    Parameters
    ----------
    m, n, k
        Outputs per column, columns (1: a matrix-vector product), reduction.
    bits
        Weight bits.
    group
        Activations per table.
    scale_group
        Weights along k that share an FP16 scale; None for one scale per matrix.
    activation_group
        Activations whose table entries share a quantization scale.

    Raises
    ------
    UsageError
        If a size is not positive, weights are wider than 8 bits, or groups do not nest.
    """
    _check(m, n, k, bits, group, activation_group)
    if scale_group is not None and scale_group < 1:
        raise UsageError(f"tmac: scale_group={scale_group}; valid: whole numbers from 1, or None")
    tables, half = n * -(-k // group), 1 << (group - 1)
    lookups = bits * m * tables
    scales = 0 if scale_group is None else m * -(-k // scale_group)
    return TMacWork(
        lookups=lookups,
        adds=lookups,
        table_adds=tables * half * (group - 1),
        table_negations=tables * half,
        table_multiplications=tables * 2 * half,
        scalings=bits * m * n * -(-k // activation_group),
        weight_bytes=-(-m * k * bits // 8) + scales * SCALE_BYTES,
        activation_bytes=n * k * ACTIVATION_BYTES,
        table_bytes=tables * 2 * half * ENTRY_BYTES,
        output_bytes=n * m * ACTIVATION_BYTES,
    )


def _check(m: int, n: int, k: int, bits: int, group: int, activation_group: int) -> None:
    sizes = {"m": m, "n": n, "k": k, "bits": bits, "group": group, "activation_group": activation_group}
    for name, value in sizes.items():
        if value < 1:
            raise UsageError(f"tmac: {name}={value}; valid: whole numbers from 1")
    if bits > MAX_BITS or group > MAX_BITS:
        raise UsageError(f"tmac: weights of {bits} bits in groups of {group}; valid: up to {MAX_BITS} each")
    if activation_group % group:
        raise UsageError(f"tmac: activation_group={activation_group}; valid: multiples of the group of {group}")


def mac_operations(m: int, n: int, k: int) -> tuple[int, int]:
    """Return multiplications and adds of the same product without tables."""
    return m * n * k, m * n * k


def seconds(works: Iterable[TMacWork], cpu: Cpu) -> float:
    """Return the time of products one after the other: tables, then lookups or memory, whichever is slower."""
    return sum(
        w.table_adds / cpu.table_adds_per_s + max(w.lookups / cpu.lookups_per_s, w.dram_bytes / cpu.bytes_per_s)
        for w in works
    )


def lookup_rate(works: Iterable[TMacWork], measured_seconds: float) -> float:
    """Return the lookups per second that a measured time of ``works`` means: a lower bound of the kernel's.

    Raises
    ------
    UsageError
        If the time is not positive.
    """
    if not measured_seconds > 0:
        raise UsageError(f"tmac: a measured time of {measured_seconds!r} s; valid: numbers above 0")
    return float(Fraction(sum(w.lookups for w in works)) / Fraction(measured_seconds))


def joules_per_token(power_w: float, tokens_per_s: float) -> float:
    """Return the energy of a token, in J: power over speed.

    Raises
    ------
    UsageError
        If power is negative or speed is not positive.
    """
    if power_w < 0 or not tokens_per_s > 0:
        raise UsageError(f"tmac: {power_w!r} W at {tokens_per_s!r} tokens/s; valid: power from 0, speed above 0")
    return power_w / tokens_per_s
