"""Published accuracy of quantized models: perplexities and task scores, each row with its source.

``hwsim/data/accuracy/published.csv`` keeps every figure as its source prints it, with the source's
own label. Where that label fixes a format of hwsim (element, block and symmetry), ``w_format`` and
``a_format`` name it; a plain ``fp8_e4m3`` there has one scale per row. Labels that leave something
open have no name: ``INT4 g128`` does not say whether it is symmetric.

Rows are comparable only within one ``group`` (one document, one protocol) and one model, dataset
and metric: sequence length, tokenizer and word or token perplexity differ between documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from hwsim.formats.names import parse_format
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class PublishedAccuracy:
    """One figure of one source.

    Attributes
    ----------
    model, dataset
        What was measured, on what; models in lower case as hwsim writes them.
    metric
        ``ppl`` (per token), ``word_ppl`` (per word), ``acc`` and ``acc_avg`` (shares),
        ``acc_avg_pct`` (percent), ``acc_delta_pct`` (points against the unquantized model),
        ``ppl_ratio_vs_fp16``, ``max_ppl_increase_vs_FP16``.
    value
        The figure as printed.
    label
        The source's own name of the format.
    w_bits, a_bits, kv_bits
        Widths as the source prints them; empty where it does not.
    w_format, a_format, kv_format
        Names that :func:`~hwsim.formats.parse_format` reads, or empty.
    method
        How weights were quantized: ``RTN`` (plain rounding), ``GPTQ``, … ``-`` for none.
    group
        Rows of other groups are not comparable.
    tag
        ``paper`` or ``repo`` (figures of a public repository).
    source
        Where the figure stands.
    """

    model: str
    dataset: str
    metric: str
    value: float
    label: str
    w_bits: str
    a_bits: str
    kv_bits: str
    w_format: str
    a_format: str
    kv_format: str
    method: str
    group: str
    tag: str
    source: str

    @property
    def comparable(self) -> tuple[str, str, str, str]:
        """What two rows must share to be compared."""
        return (self.group, self.model, self.dataset, self.metric)


@cache
def _rows() -> tuple[PublishedAccuracy, ...]:
    rows = read_csv_rows("accuracy", "published.csv")
    return tuple(PublishedAccuracy(**{**row, "value": float(row["value"])}) for row in rows)  # type: ignore[arg-type]


def published(
    model: str | None = None,
    w_format: str | None = None,
    a_format: str | None = None,
    metric: str | None = None,
    group: str | None = None,
) -> list[PublishedAccuracy]:
    """Return the published rows that match everything given, in the order of the table.

    Parameters
    ----------
    model
        Name of a model, in any case: ``Llama-2-7B``.
    w_format, a_format
        Name of a format in any spelling (``e4m3fn`` finds ``fp8_e4m3``), or a source's label
        (``INT4 g128``, in ``w_format``).
    metric, group
        As in :class:`PublishedAccuracy`.

    Raises
    ------
    UsageError
        If there is no such model, format, metric or group; names the nearest one.
    """
    rows: Iterable[PublishedAccuracy] = _rows()
    if model is not None:
        wanted = _known("model", model, {row.model for row in rows})
        rows = [row for row in rows if row.model == wanted]
    if w_format is not None:
        labels = {row.label.lower() for row in _rows()}
        if (label := w_format.lower()) in labels:
            rows = [row for row in rows if label in (row.label.lower(), row.w_format)]
        else:
            name = parse_format(w_format).name
            rows = [row for row in rows if row.w_format == name]
    if a_format is not None:
        name = parse_format(a_format).name
        rows = [row for row in rows if row.a_format == name]
    for column, value in (("metric", metric), ("group", group)):
        if value is not None:
            wanted = _known(column, value, {getattr(row, column) for row in _rows()})
            rows = [row for row in rows if getattr(row, column) == wanted]
    return list(rows)


def _known(kind: str, name: str, valid: set[str]) -> str:
    found = {text.lower(): text for text in valid}.get(name.lower())
    if found is None:
        raise UsageError(f"no published accuracy of {kind} {name!r}; {did_you_mean(name, valid)}")
    return found
