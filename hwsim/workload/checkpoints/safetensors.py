"""Headers of safetensors files and of their index, read without the weights and without a library.

Eight bytes with the length of the header, then JSON: ``{name: {dtype, shape, data_offsets}}``. Files that end after
the header are welcome. Headers are refused above :data:`LONGEST_HEADER`; names of an index must be of files beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from hwsim.spec.errors import Problem, SpecError, did_you_mean, shown
from hwsim.spec.text import unreadable
from hwsim.workload.checkpoints.lfs import LFS_POINTER, LFS_REFUSAL

#: Bytes of a header and of an index; shards of DeepSeek-V3 have some 0.1 MB, its index of 92,000 tensors 9 MB.
LONGEST_HEADER, LONGEST_INDEX = 1 << 21, 1 << 24
MOST_FILES, LONGEST_NAME, LARGEST_SIZE, LARGEST_ELEMENTS = 1 << 12, 1 << 10, 1 << 40, 1 << 50
SUFFIX, INDEX_SUFFIX = ".safetensors", ".safetensors.index.json"

#: Bits per element (safetensors 0.8 ``Dtype``).
DTYPES = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip

Refuse = Callable[[str], SpecError]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: type, shape, its file, where its data begin there, and their bits."""

    dtype: str
    shape: tuple[int, ...]
    file: Path
    begin: int
    bits: int


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of all files by name; ``complete`` if the files hold all data."""

    tensors: Mapping[str, Entry]
    complete: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the tensors of a file, or of all files that an index names.

    Raises
    ------
    SpecError
        If a file cannot be read, ends within its header, or holds what none may.
    """
    if path.name.lower().endswith(".json"):
        return _read_index(path)
    tensors, complete = _read_file(path)
    return Checkpoint(tensors, complete)


def _refusal(path: Path) -> Refuse:
    return lambda message: SpecError([Problem(str(path), 0, 0, "", message)])


def _read_index(path: Path) -> Checkpoint:
    refuse = _refusal(path)
    text = _read_start(path, LONGEST_INDEX + 1, refuse)
    if len(text) > LONGEST_INDEX:
        raise refuse(f"is longer than {LONGEST_INDEX >> 20} MiB")
    index = _load(text, refuse)
    given = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(given, dict) or not given:
        raise refuse("no index of safetensors files: needs weight_map, names of tensors with those of their files")
    tensors: dict[str, Entry] = {}
    complete = True
    wanted: dict[str, list[str]] = {}
    for name, file in given.items():
        _check_name(file, refuse)
        wanted.setdefault(file, []).append(name)
    if len(wanted) > MOST_FILES:
        raise refuse(f"names {len(wanted):,} files; valid: up to {MOST_FILES:,}")
    for file, names in wanted.items():
        reason = unreadable(path.parent / file)
        if reason is not None:
            raise refuse(f"names {file}: {reason}; valid: all of its files beside it (or name config.json)")
        found, whole = _read_file(path.parent / file)
        complete &= whole
        for name in names:
            if name not in found:
                raise refuse(f"tensor {shown(name)} is not in {file}; {did_you_mean(name, found)}")
            tensors[name] = found[name]
    return Checkpoint(tensors, complete)


def _check_name(file: Any, refuse: Refuse) -> None:
    """Refuse what is no plain name of a safetensors file: other folders, other kinds of files, another index."""
    plain = isinstance(file, str) and file.isprintable() and not set("/\\:") & set(file)
    if not plain or not file.endswith(SUFFIX) or file.startswith("."):
        raise refuse(f"weight_map names the file {shown(file)}; valid: a name that ends on {SUFFIX}, beside the index")


def _read_start(path: Path, most: int, refuse: Refuse) -> bytes:
    reason = unreadable(path)
    if reason is not None:
        raise refuse(reason)
    with path.open("rb") as stream:
        return stream.read(most)


def _load(text: bytes, refuse: Refuse) -> Any:
    twins: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) < len(found) and not twins:
            twins.append(Counter(key for key, _ in found).most_common(1)[0][0])
        return result

    try:
        loaded = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise refuse("the header is no UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise refuse(f"the header is no JSON at byte {error.pos:,}: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except RecursionError:
        raise refuse("the header is nested too deeply") from None
    except ValueError as error:
        what = str(error) if str(error).endswith("no number") else "a number of too many digits"
        raise refuse(f"the header holds {what}") from None
    if twins:
        raise refuse(f"{shown(twins[0])} is there twice")
    return loaded


def _no_number(text: str) -> Any:
    raise ValueError(f"{text}, which is no number")


def _read_file(path: Path) -> tuple[dict[str, Entry], bool]:
    refuse = _refusal(path)
    start = _read_start(path, 8, refuse)
    size = path.stat().st_size
    if len(start) < 8:
        raise refuse(f"is {size} bytes long; no safetensors file")
    if start == LFS_POINTER[:8]:
        raise refuse(LFS_REFUSAL)
    length = int.from_bytes(start, "little")
    if length > LONGEST_HEADER:
        raise refuse(f"no safetensors file: claims a header of {length:,} bytes; valid: up to {LONGEST_HEADER:,}")
    if 8 + length > size:
        raise refuse(f"the file ends within the header: {length:,} bytes are claimed, {size - 8:,} are there")
    with path.open("rb") as stream:
        stream.seek(8)
        header = _load(stream.read(length), refuse)
    if not isinstance(header, dict):
        raise refuse(f"the header must be a JSON object, not {shown(header)}")
    data_at = 8 + length
    found = {name: _entry(name, one, path, data_at, refuse) for name, one in header.items() if name != "__metadata__"}
    end, last = data_at, ""
    for name, entry in sorted(found.items(), key=lambda item: (item[1].begin, item[1].bits)):
        if entry.begin < end:
            raise refuse(f"tensors {shown(last)} and {shown(name)} overlap at {entry.begin - data_at:,}")
        end, last = entry.begin + entry.bits // 8, name
    return found, end <= size


def _entry(name: str, given: Any, path: Path, data_at: int, refuse: Refuse) -> Entry:
    if not isinstance(given, dict):
        raise refuse(f"tensor {shown(name)} must have dtype, shape and data_offsets, not {shown(given)}")
    if len(name) > LONGEST_NAME:
        raise refuse(f"a tensor's name is {len(name):,} characters long; valid: up to {LONGEST_NAME:,}")
    dtype, shape, places = (given.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise refuse(f"tensor {shown(name)} has dtype {shown(dtype)}; {did_you_mean(dtype, DTYPES)}")
    if not _whole_numbers(shape, 16) or max(shape, default=0) > LARGEST_SIZE:
        raise refuse(f"tensor {shown(name)} has shape {_listed(shape)}; valid: up to 16 sizes of 0 to {LARGEST_SIZE:,}")
    if not _whole_numbers(places, 2) or len(places) != 2:
        raise refuse(f"tensor {shown(name)} has data_offsets {_listed(places)}; valid: begin and end in bytes")
    elements = prod(shape)
    bits = elements * DTYPES[dtype]
    if elements > LARGEST_ELEMENTS:
        raise refuse(f"tensor {shown(name)} has {elements:,} elements; valid: up to 2^50")
    if 8 * (places[1] - places[0]) != bits:
        takes = f"takes {places[1] - places[0]:,} bytes"
        raise refuse(f"tensor {shown(name)} {takes}, but {dtype} of shape {_listed(shape)} has {bits:,} bits")
    return Entry(dtype, tuple(shape), path, data_at + places[0], bits)


def _whole_numbers(value: Any, most: int) -> TypeGuard[list[int]]:
    return isinstance(value, list) and len(value) <= most and all(type(one) is int and one >= 0 for one in value)


def _listed(value: Any) -> str:
    if not isinstance(value, list) or len(value) > 16:
        return shown(value)
    return f"[{', '.join(shown(one) for one in value)}]"
