"""Mixtures of experts: a router sends each token to ``top_k`` of ``count`` feed-forward networks.

Which experts get how many tokens depends on data. A trace states the distribution that it takes:

* ``uniform``: rows as even as whole numbers allow, so that R rows over E experts touch
  ``min(E, R)`` of them: a decode step of B sequences reads ``min(E, B·top_k)`` experts' weights;
* ``zipf:S``: the share of the expert of rank r is proportional to ``r**-S``;
* a list of shares, one per expert.

Rows are apportioned by largest remainder; no expert gets more rows than there are tokens, since a
token goes to each expert at most once. Experts with equally many rows are one GEMM with
``batch`` = their number. Expert weights that a run does not touch are stored all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from hwsim.workload.config import Config
from hwsim.workload.ops import Gemm, Op, VectorOp

UNIFORM = "uniform"
ZIPF = "zipf:"


@dataclass(frozen=True)
class Experts:
    """The experts of a model.

    Parameters
    ----------
    layers
        Layers that have them; the others have the dense MLP.
    count, top_k
        Experts, and how many each token sees.
    width
        Inner width of one expert.
    shared
        Inner width of the MLP that every token sees beside its experts; 0: none.
    shared_gate
        Whether one more output per token scales the shared MLP.
    shared_fused, mlp_bias
        Whether the shared MLP has one projection for gate and up; whether experts have biases.
    router_bias
        Whether the router has a bias or correction per expert.
    distribution
        As in the module's text.
    placed
        Numbers of the layers that have them; None: the last ones.
    """

    layers: int
    count: int
    top_k: int
    width: int
    shared: int = 0
    shared_gate: bool = False
    shared_fused: bool = False
    gated: bool = True
    mlp_bias: bool = False
    router_bias: bool = False
    distribution: str | tuple[float, ...] = UNIFORM
    placed: tuple[int, ...] | None = None

    @property
    def matrices(self) -> int:
        """Matrices of one expert."""
        return 3 if self.gated else 2

    def weights(self, hidden: int) -> int:
        """Weights of all experts, shared MLPs and routers."""
        each = self.matrices * hidden * (self.count * self.width + self.shared)
        return self.layers * (each + hidden * (self.count + self.shared_gate))

    def extras(self, hidden: int) -> int:
        """Biases of all layers."""
        bias = self.mlp_bias * self.count * (self.width * (self.matrices - 1) + hidden)
        return self.layers * (bias + self.router_bias * self.count)

    def idle_weights(self, rows: int, hidden: int) -> list[Gemm]:
        """Weights of routed experts that ``rows`` tokens do not touch, as GEMMs of one row."""
        idle = self.count - sum(number for _, number in self.loads(rows))
        inner, name = self.first_matrix
        shapes = ((name, inner, hidden), ("moe.down_proj", hidden, self.width))
        return [Gemm(layer, 1, n, k, idle, self.layers, role="ffn") for layer, n, k in shapes] if idle else []

    @property
    def first_matrix(self) -> tuple[int, str]:
        """Outputs and layer of the first matrix of an expert: gate and up projection in one where it has a gate."""
        return (2 * self.width, "moe.gate_up_proj") if self.gated else (self.width, "moe.up_proj")

    def loads(self, rows: int) -> list[tuple[int, int]]:
        """Return ``(rows, experts)``: so many experts get so many rows each, the largest first."""
        found = Counter(apportion(rows * self.top_k, shares(self.distribution, self.count), rows))
        return sorted(((load, number) for load, number in found.items() if load), reverse=True)


def shares(distribution: str | Sequence[float], count: int) -> list[Fraction]:
    """Return the share of each expert, exact, summing to 1."""
    if distribution == UNIFORM:
        return [Fraction(1, count)] * count
    if isinstance(distribution, str):
        steepness = float(distribution.removeprefix(ZIPF))
        parts = [Fraction((rank + 1) ** -steepness) for rank in range(count)]
    else:
        parts = [Fraction(share) for share in distribution]
    total = sum(parts)
    return [part / total for part in parts]


def apportion(rows: int, parts: Sequence[Fraction], most: int) -> list[int]:
    """Split ``rows`` by shares into whole numbers of at most ``most``, by largest remainder.

    What an expert cannot take goes to the others, by their shares.
    """
    given = [0] * len(parts)
    left, open_to = rows, list(range(len(parts)))
    while left:
        weight = sum(parts[i] for i in open_to)
        exact = {i: (left * parts[i] / weight if weight else Fraction(left, len(open_to))) for i in open_to}
        full = [i for i in open_to if exact[i] >= most]
        if not full:
            return _largest_remainder(given, exact, left)
        for i in full:
            given[i] = most
        left -= most * len(full)
        open_to = [i for i in open_to if i not in set(full)]
    return given


def _largest_remainder(given: list[int], exact: dict[int, Fraction], rows: int) -> list[int]:
    for i, share in exact.items():
        given[i] = int(share)
    short = rows - sum(given[i] for i in exact)
    for i in sorted(exact, key=lambda i: (int(exact[i]) - exact[i], i))[:short]:
        given[i] += 1
    return given


def read_distribution(config: Config, count: int) -> str | tuple[float, ...]:
    """Read ``expert_distribution``, a key of hwsim's own: ``uniform``, ``zipf:S`` or a list of shares."""
    given = config.get("expert_distribution", UNIFORM)
    if isinstance(given, list | tuple):
        good = all(isinstance(x, int | float) and not isinstance(x, bool) and 0 <= x < float("inf") for x in given)
        holds = good and len(given) == count and sum(given) > 0
        config.require(holds, f"'expert_distribution' must be {count} shares of at least 0, one per expert")
        return tuple(float(x) for x in given) if holds else UNIFORM
    if given == UNIFORM or (isinstance(given, str) and given.startswith(ZIPF) and _steepness(given) is not None):
        return str(given)
    config.require(
        False, f"'expert_distribution' must be uniform, zipf:S (such as zipf:0.8) or {count} shares, not {given!r}"
    )
    return UNIFORM


def _steepness(text: str) -> float | None:
    try:
        value = float(text.removeprefix(ZIPF))
    except ValueError:
        return None
    return value if isfinite(value) and 0 <= value <= 8 else None


def expert_ops(experts: Experts, rows: int, hidden: int, activation: str) -> Iterator[Op]:
    """Yield router, experts, shared MLP and their sum, for ``rows`` tokens of every layer with experts."""
    layers, top_k = experts.layers, experts.top_k
    yield Gemm("moe.router", rows, experts.count, hidden, repeat=layers, role="router")
    yield VectorOp("moe.router.softmax", "softmax", rows, experts.count, repeat=layers)
    loads = experts.loads(rows)
    note = f"{rows * top_k} rows over {experts.count} experts: {_stated(experts.distribution)}"
    inner, name = experts.first_matrix
    for load, number in loads:
        yield Gemm(name, load, inner, hidden, number, layers, role="ffn", note=note)
    yield VectorOp("moe.act", activation, rows * top_k, experts.width, repeat=layers)
    if experts.gated:
        yield VectorOp("moe.gate", "mul", rows * top_k, experts.width, repeat=layers)
    for load, number in loads:
        yield Gemm("moe.down_proj", load, hidden, experts.width, number, layers, role="ffn", note=note)
    yield VectorOp("moe.weight", "mul", rows * top_k, hidden, repeat=layers)
    sums = top_k - 1 + (experts.shared > 0)
    if sums:
        yield VectorOp("moe.sum", "add", rows * sums, hidden, repeat=layers)
    if experts.shared:
        yield from _shared_ops(experts, rows, hidden, activation)


def _shared_ops(experts: Experts, rows: int, hidden: int, activation: str) -> Iterator[Op]:
    layers, width = experts.layers, experts.shared
    if experts.gated and not experts.shared_fused:
        yield Gemm("moe.shared.gate_proj", rows, width, hidden, repeat=layers, role="ffn")
    fused = experts.gated and experts.shared_fused
    inner, name = (2 * width, "gate_up_proj") if fused else (width, "up_proj")
    yield Gemm(f"moe.shared.{name}", rows, inner, hidden, repeat=layers, role="ffn")
    yield VectorOp("moe.shared.act", activation, rows, width, repeat=layers)
    if experts.gated:
        yield VectorOp("moe.shared.gate", "mul", rows, width, repeat=layers)
    yield Gemm("moe.shared.down_proj", rows, hidden, width, repeat=layers, role="ffn")
    if experts.shared_gate:
        yield Gemm("moe.shared.scale", rows, 1, hidden, repeat=layers, role="router")
        yield VectorOp("moe.shared.scale.mul", "mul", rows, hidden, repeat=layers)


def _stated(distribution: str | tuple[float, ...]) -> str:
    return distribution if isinstance(distribution, str) else "shares as given"


def is_routed(gemm: Gemm) -> bool:
    """Whether ``gemm`` is a product of routed experts."""
    return gemm.layer.startswith("moe.") and gemm.role == "ffn" and not gemm.layer.startswith("moe.shared")
