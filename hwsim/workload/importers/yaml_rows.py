"""A trace in YAML: the rows of a trace CSV as a list ``ops`` of mappings, in a workload file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model, model_validator

from hwsim.formats.operand import DEFAULT_DISTRIBUTION, assumed_stats
from hwsim.spec.bind import Spec
from hwsim.spec.errors import UsageError
from hwsim.workload.importers.csv import CHOICES, COLUMNS, FORMATS, GEMM_ONLY, LARGEST_SIZE, REQUIRED, SIZES, read_row
from hwsim.workload.ops import Op, VectorOp
from hwsim.workload.trace import Trace

#: Fields that count one where they are left out.
_ONE = ("batch", "repeat", "passes")


class _Row(Spec):
    """One operation, with the columns of a trace CSV as fields; those left out are empty there."""

    @model_validator(mode="after")
    def _readable(self) -> _Row:
        self.to_op()
        return self

    def to_op(self) -> Op:
        """Return the operation; UsageError, beginning with the field, if it makes none."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return read_row({name: "" if value is None else str(value) for name, value in given.items()})


def _field(name: str) -> tuple[Any, Any]:
    """Return type and default of a column, as pydantic takes them."""
    size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
    if name in _ONE:
        return size, 1
    if name in SIZES:
        return (size | None, None) if name in ("k",) else (size, ...)
    if name in ("layer", "op"):
        return Annotated[str, Field(min_length=1)], ...
    what = "a format; left out: as the policy says" if name in FORMATS else f"one of {', '.join(CHOICES.get(name, ()))}"
    return str | None, Field(None, description=what if name in FORMATS or name in CHOICES else None)


#: One entry of ``ops``.
OpRow: Any = create_model(
    "OpRow", __base__=_Row, __module__=__name__, __doc__=_Row.__doc__, **{name: _field(name) for name in COLUMNS}
)  # type: ignore[call-overload]


def rows_trace(rows: Iterable[Any], name: str = "ops") -> Trace:
    """Return the trace of a list of :data:`OpRow`; UsageError if there is none."""
    return Trace(name, tuple(row.to_op() for row in rows), {"source": "ops"})


def write_yaml(trace: Trace, path: Path) -> None:
    """Write ``trace`` as a workload file, one row per line, without empty fields; a comment says what is assumed.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    silent = [gemm for gemm in trace.gemms if assumed_stats(gemm.w_stats, gemm.a_stats)]
    lines = [f"# operands without a distribution in w_stats, a_stats: {DEFAULT_DISTRIBUTION} is assumed"] * bool(silent)
    lines += [f"name: {_scalar(trace.name)}", "ops:"]
    lines += [
        f"  - {{{', '.join(f'{key}: {_scalar(value)}' for key, value in _given(op).items())}}}" for op in trace.ops
    ]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path}: cannot write the trace: {error.strerror or error}") from error


def _given(op: Op) -> dict[str, Any]:
    """Return the fields of an operation that are not empty or 1."""
    vector = isinstance(op, VectorOp)
    names = [name for name in COLUMNS if not (vector and (name == "k" or name in GEMM_ONLY))]
    values = {name: getattr(op, name) for name in names}
    return {
        key: value for key, value in values.items() if value not in ("", 1) or (key in REQUIRED[:5] and value != "")
    }


def _scalar(value: int | str) -> str:
    """Return a value on one line; JSON's quotes are YAML's."""
    return json.dumps(" ".join(value.split()) if isinstance(value, str) else value, ensure_ascii=False)
