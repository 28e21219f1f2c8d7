"""Short names that a person can read: of values, designs and workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from hwsim.explore.values import UNITS, Quantity, canonical_json, meaning, quantity_text, read_quantity
from hwsim.spec.units import SIZE

_ROWS, _COLS = "array.rows", "array.cols"

#: Last path components that say nothing beside their parent: ``memories.weights.size`` is "weights".
_GENERIC = frozenset({"size", "family", "format", "name", "preset"})


def value_text(value: Any, path: str = "") -> str:
    """Return a short text: ``512KiB``, ``1GHz``, ``float_mac fp16``, ``16``.

    Words of a mapping stand bare, its numbers with their key; weight and activation formats are
    joined as ``int4_g128/int8``, items of a list with a plus.
    """
    if isinstance(value, Mapping):
        return _mapping_text(value)
    if isinstance(value, (list, tuple)):
        return "+".join(value_text(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and path.rpartition(".")[2] == "size":
        value = f"{value} B"
    quantity = read_quantity(value)
    if quantity is not None:
        return _quantity_label(quantity)
    return "none" if value is None else str(value)


def _quantity_label(quantity: Quantity) -> str:
    exact = quantity_text(quantity).replace(" ", "")
    units = [u for u in ("GiB", "MiB", "KiB") if quantity.is_size and quantity.exact >= UNITS[u][1]]
    if not units:
        return exact
    # 1.5MiB is nicer than 1536KiB, but a rounded size would no longer name the design.
    short = f"{float(quantity.exact / UNITS[units[0]][1]):g}{units[0]}"
    read = read_quantity(short)
    return short if read is not None and read.exact == quantity.exact else exact


def _mapping_text(value: Mapping[str, Any]) -> str:
    rest = dict(value)
    parts = [str(rest.pop("family"))] if "family" in rest else []
    if "w_format" in rest and "a_format" in rest:
        parts.append(f"{rest.pop('w_format')}/{rest.pop('a_format')}")
    for key, item in rest.items():
        text = value_text(item, key)
        bare = isinstance(item, (list, tuple)) or (isinstance(item, str) and read_quantity(item) is None)
        parts.append(text if bare else f"{key}={text}")
    return " ".join(parts) or "{}"


def axis_texts(path: str, values: Sequence[Any]) -> list[str]:
    """Return one text per value of an axis; spelt out in full where short ones would be equal.

    A zipped path may hold one value several times; it has one text.
    """
    texts = [value_text(value, path) for value in values]
    distinct = {meaning(value) for value in values}
    return texts if len(set(texts)) == len(distinct) else [canonical_json(value) for value in values]


def design_label(values: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the name of a design from its swept ``values`` and their ``texts``.

    Mappings (the PE) come first, then the array as ``32x32``, then the rest. Words, and a size or
    frequency that is the only one of its kind, stand bare; others carry the end of their path.
    Tied paths have no text and appear only in the array's shape.
    """
    first = [text for path, text in texts.items() if isinstance(values[path], Mapping)]
    shape = [f"{values[_ROWS]}x{values[_COLS]}"] if _ROWS in values and _COLS in values else []
    shown = {_ROWS, _COLS} if shape else set()
    kinds = [_kind(path, values[path]) for path in texts if path not in shown]
    rest = []
    for path, text in texts.items():
        value = values[path]
        if path in shown or isinstance(value, Mapping):
            continue
        bare = kinds.count(_kind(path, value)) == 1 and _kind(path, value) != "number"
        rest.append(text if bare else f"{_short_path(path, texts)}={text}")
    return " ".join([*first, *shape, *rest])


def _kind(path: str, value: Any) -> str:
    quantity = read_quantity(value)
    if quantity is not None:
        return quantity.kind
    if isinstance(value, str):
        return "word"
    return SIZE.base if path.rpartition(".")[2] == "size" else "number"


def _short_path(path: str, among: Mapping[str, str]) -> str:
    """Return the shortest end of ``path`` that no other path of ``among`` shares."""
    parts = _meaningful(path)
    others = [_meaningful(other) for other in among if other != path]
    for length in range(1, len(parts) + 1):
        end = parts[-length:]
        if all(other[-length:] != end for other in others):
            return ".".join(end)
    return path


def _meaningful(path: str) -> list[str]:
    parts = path.split(".")
    return parts[:-1] if len(parts) > 1 and parts[-1] in _GENERIC else parts


def workload_label(workload: Mapping[str, Any] | str) -> str:
    """Return the name of a workload: ``llama-2-7b decode context=2048 batch=1``."""
    if isinstance(workload, str):
        return _file_label(workload)
    rest = dict(workload)
    parts = []
    if "name" in rest:
        return str(rest["name"])
    for key in ("model", "trace", "config", "source"):
        if key in rest:
            text = str(rest.pop(key))
            parts.append(text if key == "model" else _file_label(text))
    if "phase" in rest:
        parts.append(str(rest.pop("phase")))
    return " ".join([*parts, *(f"{key}={value_text(item, key)}" for key, item in rest.items())])


def _file_label(path: str) -> str:
    """Return the name of a file without its ending; of a ``config.json`` that of its folder."""
    pure = PurePath(path)
    return pure.parent.name if pure.name == "config.json" and pure.parent.name else pure.stem
