"""``accuracy(w_format, a_format, …)``: the best answer there is, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from hwsim.formats.base import Format
from hwsim.formats.gemm import gemm_loss, named_gemm_loss
from hwsim.formats.published import PublishedAccuracy, published

Source = Literal["published", "measured", "distribution"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A figure of accuracy and its origin.

    Attributes
    ----------
    value
        The figure.
    metric
        ``sqnr_db`` (of a GEMM's result, higher is better), or a published metric such as ``ppl``.
    source
        ``published`` (a paper's or repository's figure for this model), ``measured`` (on the given
        tensors) or ``distribution`` (on a named distribution).
    detail
        Citation, or what was measured.
    """

    value: float
    metric: str
    source: Source
    detail: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} ({self.source}: {self.detail})"


def accuracy(
    w_format: Format,
    a_format: Format,
    model: str | None = None,
    tensors: tuple[NDArray[Any], NDArray[Any]] | None = None,
    distribution: str = "gaussian",
) -> Accuracy:
    """Return how accurate a GEMM, or a whole model, is with these formats.

    The first of these that there is: a published figure of exactly this model and pair; the SQNR of
    ``tensors``; the SQNR of a named distribution. Sums are exact in the latter two.

    Parameters
    ----------
    w_format, a_format
        Formats of weights and activations.
    model
        A model of the published tables, or any other name, for which none is published.
    tensors
        Activations (M, K) and weights (K, N).
    distribution
        Of both operands, when nothing else is known.

    Raises
    ------
    UsageError
        If the tensors' shapes do not fit, or the distribution is unknown.

    Notes
    -----
    Of several published rows plain rounding comes before other methods, then the order of the
    table counts; ``detail`` says how many more there are.
    """
    rows = [] if model is None else _exactly(model, w_format, a_format)
    if rows:
        return _cited(rows)
    pair = f"{a_format.name} × {w_format.name}"
    if tensors is not None:
        a, w = tensors
        shape = " × ".join(str(size) for size in (*a.shape, w.shape[-1]))
        return Accuracy(gemm_loss(a, w, a_format, w_format).sqnr_db, "sqnr_db", "measured", f"GEMM {shape} of {pair}")
    found = named_gemm_loss(a_format, w_format, distribution, distribution)
    return Accuracy(found.sqnr_db, "sqnr_db", "distribution", f"GEMM of {pair}, {distribution} operands")


def _exactly(model: str, w_format: Format, a_format: Format) -> list[PublishedAccuracy]:
    wanted = (model.lower(), w_format.name, a_format.name)
    return [row for row in published() if (row.model, row.w_format, row.a_format) == wanted]


#: Methods that round plainly: what a format alone does.
PLAIN = ("RTN", "RTN W+A", "-")


def _cited(rows: list[PublishedAccuracy]) -> Accuracy:
    best = min(rows, key=lambda row: row.method not in PLAIN)  # the first one among equals
    more = f"; {len(rows) - 1} more rows" if len(rows) > 1 else ""
    detail = f"{best.model}, {best.dataset}, {best.label}, method {best.method}; {best.source}{more}"
    return Accuracy(best.value, best.metric, "published", detail)
