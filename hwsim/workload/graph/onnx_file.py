"""ONNX files without their weights: read field by field, bulk data left on disk.

The file is a protocol buffer (onnx.proto): a message is a run of fields, each a tag, then a number, four or
eight bytes, or a length and so many bytes. Messages that may hold bulk data are walked; all else is copied.
What remains is small, whatever the weights' size, and is parsed by the ``onnx`` library.
"""

from __future__ import annotations

import mmap
from collections import Counter
from pathlib import Path
from typing import Any

from hwsim.spec.errors import Problem, SpecError, UsageError

#: Bytes of a tensor's data that are kept: shapes, axes and scales are smaller.
KEPT_DATA = 1 << 12
#: Bytes that may remain of a file; the largest known graphs need a few MB.
LARGEST_GRAPH = 32 << 20
#: Fields that are walked, and nodes that may stand in a graph once functions are inlined.
MOST_FIELDS = 300_000
MOST_NODES = 100_000
#: Graphs within graphs.
DEEPEST = 32

#: Field numbers of onnx.proto by message: fields that hold messages to walk, and fields to leave out.
_WALKED = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_DROPPED = {
    "model": {6, 14, 20},
    "graph": {10, 14, 16},
    "function": {8},
    "node": {6},
    "attribute": {13},
    "tensor": {12, 16},
}
#: Fields of a tensor that hold its data.
_DATA = {4, 5, 6, 7, 9, 10, 11}


def read_onnx(path: str) -> Any:
    """Return the ``onnx.ModelProto`` of a file, functions inlined, without data of more than a few KiB.

    Raises
    ------
    SpecError
        If the file is truncated, damaged or no ONNX model.
    """
    onnx = import_onnx()
    try:
        model = onnx.ModelProto.FromString(_stripped(path))
    except UsageError as error:
        raise SpecError([Problem(path, 0, 0, "", str(error))]) from None
    except Exception as error:  # DecodeError of the library that is installed, or text that is no UTF-8
        raise SpecError([Problem(path, 0, 0, "", f"is no ONNX model, or damaged: {error}")]) from None
    if not model.HasField("graph") or not model.opset_import:
        raise SpecError([Problem(path, 0, 0, "", "is no ONNX model: it names no graph or no opset")])
    try:
        return _inlined(model)
    except UsageError as error:
        raise SpecError([Problem(path, 0, 0, "", str(error))]) from None


def import_onnx() -> Any:
    """Return the ``onnx`` library.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        import onnx
        import onnx.defs
        import onnx.inliner
        import onnx.shape_inference
    except ImportError as error:
        raise UsageError(f"reading ONNX needs the library onnx: pip install 'hwsim[onnx]' ({error})") from None
    return onnx


def _stripped(path: str) -> bytes:
    """Return the file's message without bulk data.

    Raises
    ------
    UsageError
        If it is no run of fields.
    """
    with Path(path).open("rb") as file:
        if not file.seek(0, 2):
            raise UsageError("file is empty; expected an ONNX model")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return b"".join(_Walker(data).message("model", 0, len(data), 0))


class _Walker:
    """Copies a message but for its bulk data."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.fields = 0
        self.kept = 0

    def message(self, kind: str, start: int, end: int, depth: int) -> list[bytes]:
        """Return the pieces that remain of the message of ``kind`` in bytes ``start`` to ``end``."""
        if depth > DEEPEST:
            raise UsageError(f"graphs within graphs, more than {DEEPEST} deep")
        walked, dropped = _WALKED[kind], _DROPPED[kind]
        if kind == "tensor" and end - start > KEPT_DATA:
            dropped = dropped | _DATA
        pieces: list[bytes] = []
        at = copied = start
        while at < end:
            begin = at
            number, wire, value, at = self.field(at, end)
            # Small messages hold no bulk data: they are copied as they stand, with their neighbours.
            inside = wire == 2 and number in walked and at - value > KEPT_DATA
            if number not in dropped and not inside:
                continue
            pieces += self.copied(copied, begin)
            copied = at
            if number not in dropped:
                inner = self.message(walked[number], value, at, depth + 1)
                pieces += [_varint(number << 3 | 2), _varint(sum(map(len, inner))), *inner]
        return [*pieces, *self.copied(copied, end)]

    def copied(self, start: int, end: int) -> list[bytes]:
        self.kept += end - start
        if self.kept > LARGEST_GRAPH:
            raise UsageError(f"holds more than {LARGEST_GRAPH >> 20} MiB without its weights; is this an ONNX model?")
        return [self.data[start:end]] if end > start else []

    def field(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Return number and wire type of the field at ``at``, where its value starts and where it ends."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise UsageError(f"holds more than {MOST_FIELDS:,} fields; is this an ONNX model?")
        tag, value = self.varint(at, end) if at >= end or self.data[at] > 127 else (self.data[at], at + 1)
        number, wire = tag >> 3, tag & 7
        if not number or wire not in (0, 1, 2, 5):
            raise UsageError(f"is no ONNX model, or damaged: no field starts at byte {at}")
        if wire == 0:
            stop = self.varint(value, end)[1]
        elif wire == 2:
            if value >= end or self.data[value] > 127:
                length, value = self.varint(value, end)
            else:  # nearly all: a call for each would take as long as all the rest
                length, value = self.data[value], value + 1
            stop = value + length
        else:
            stop = value + (8 if wire == 1 else 4)
        if stop > end:
            size = len(self.data)
            what = f"the file has {size:,}: it is truncated" if stop > size else f"its message ends at byte {end}"
            raise UsageError(f"the field at byte {at} ends at byte {stop:,}, but {what}")
        return number, wire, value, stop

    def varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        for place in range(at, min(end, at + 10)):
            byte = self.data[place]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, place + 1
        raise UsageError(f"is truncated or no ONNX model: no number ends after byte {at}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _align_opsets(onnx: Any, model: Any) -> None:
    """Give functions the model's versions of operator sets, without which they are not inlined.

    Raises
    ------
    UsageError
        If an operation of a function means something else there.
    """
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for function in model.functions:
        for entry in function.opset_import:
            own, wanted = entry.version, versions.get(entry.domain, entry.version)
            names = {node.op_type for node in function.node if node.domain == entry.domain}
            changed = [name for name in names if own != wanted and _since(onnx, entry.domain, name, own, wanted)]
            if changed:
                raise UsageError(
                    f"function {function.name!r} uses {min(changed)} of opset {own}, the graph is of opset {wanted}; "
                    "convert the model to one opset"
                )
            entry.version = wanted


def _since(onnx: Any, domain: str, name: str, *versions: int) -> bool:
    """Return whether an operation was changed between two versions of its set."""
    known = [onnx.defs.has(name, version, domain) for version in versions]
    if not all(known):
        return any(known)
    return len({onnx.defs.get_schema(name, version, domain).since_version for version in versions}) > 1


def _inlined(model: Any) -> Any:
    """Return the model with calls of its own functions replaced by their nodes.

    Raises
    ------
    UsageError
        If functions call one another in a circle, or the result has too many nodes.
    """
    functions = {(one.domain, one.name): one for one in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], above: tuple[tuple[str, str], ...]) -> int:
        if key in above or len(above) > DEEPEST:
            raise UsageError(f"function {key[1]!r} calls itself, or functions more than {DEEPEST} deep")
        if key not in sizes:
            sizes[key] = nodes(functions[key].node, (*above, key))
        return sizes[key]

    def nodes(listed: Any, above: tuple[tuple[str, str], ...]) -> int:
        called = Counter((node.domain, node.op_type) for node in listed)
        total = sum(count * (size(key, above) if key in functions else 1) for key, count in called.items())
        if total > MOST_NODES:
            raise UsageError(f"holds more than {MOST_NODES:,} nodes")
        return total

    nodes(model.graph.node, ())
    if not functions:
        return model
    onnx = import_onnx()
    _align_opsets(onnx, model)
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the library's own, which has no common base
        raise UsageError(f"its functions cannot be inlined: {error}") from None
