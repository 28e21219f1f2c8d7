"""A table as CSV, JSON or Parquet, and back: equal tables give equal bytes, numbers come back exactly."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.report.wording import clean
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def _csv(frame: pd.DataFrame) -> bytes:
    return _utf8(frame.to_csv(index=False, lineterminator="\n"))


def _json(frame: pd.DataFrame) -> bytes:
    names = [json.dumps(str(name), ensure_ascii=False) for name in frame.columns]
    columns = [_json_cells(frame[name]) for name in frame.columns]
    rows = [", ".join(map(": ".join, zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
    return _utf8("[\n" + ",\n".join(f"{{{row}}}" for row in rows) + "\n]\n")


def _utf8(text: str) -> bytes:
    # File names may hold bytes that are no text; Python keeps those as lone surrogates.
    return text.encode("utf-8", "backslashreplace")


def _json_cells(column: pd.Series[Any]) -> list[str]:
    missing = column.isna().tolist()
    return ["null" if gone else _json_cell(v) for gone, v in zip(missing, column.tolist(), strict=True)]


def _json_cell(value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and math.isinf(plain):
        # JSON has no word for infinity, but every reader takes this number for it.
        return "1e999" if plain > 0 else "-1e999"
    return json.dumps(plain if isinstance(plain, (bool, int, float)) else str(plain), ensure_ascii=False)


def _parquet(frame: pd.DataFrame) -> bytes:
    pyarrow = _pyarrow()
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise UsageError(f"Parquet cannot hold this table ({clean(error)}); write CSV or JSON") from None
    return buffer.getvalue()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install hwsim[parquet]; or use CSV or JSON") from None
    return pyarrow


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    # Numbers are converted here: what pandas makes of the last digit depends on its version. Only
    # an empty cell is missing: "nan" or "None" may be the name of something.
    texts = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    return pd.DataFrame({name: _typed(texts[name].tolist()) for name in texts.columns})


def _typed(texts: list[str]) -> list[Any]:
    """Return the cells of a column as whole numbers, numbers, truth values or words, all alike."""
    present = [text for text in texts if text]
    kinds: tuple[tuple[str, Callable[[str], Any]], ...] = (
        (r"-?(0|[1-9]\d*)", int),
        (r"-?((0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?|inf)", float),
        ("True|False", lambda text: text == "True"),
    )
    for pattern, convert in kinds:
        if all(re.fullmatch(pattern, text) for text in present):
            return [convert(text) if text else None for text in texts]
    return [text or None for text in texts]


def _read_json(path: Path) -> pd.DataFrame:
    import pandas as pd

    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: expected a list of rows, each an object")
    return pd.DataFrame(rows)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    _pyarrow()
    return pd.read_parquet(path, engine="pyarrow")


#: Format to the functions that turn a table into bytes and a file into a table.
CODECS: dict[str, tuple[Callable[[pd.DataFrame], bytes], Callable[[Path], pd.DataFrame]]] = {
    "csv": (_csv, _read_csv),
    "json": (_json, _read_json),
    "parquet": (_parquet, _read_parquet),
}
