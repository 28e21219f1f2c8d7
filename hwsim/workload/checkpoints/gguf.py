"""Headers of GGUF files (llama.cpp), read without the weights and without a library.

Magic, version, counts, typed key-value pairs, then per tensor its name, sizes (the row length first), type and
offset; all little-endian. Files that end after the header are welcome: only sizes and types are read. Whatever a
hostile file claims, no more is read or kept than the file holds, and lists of the tokenizer are counted, not kept.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.formats.block.ggml import GgmlType, ggml_types
from hwsim.spec.errors import Problem, SpecError, shown
from hwsim.spec.text import unreadable
from hwsim.workload.checkpoints.lfs import LFS_POINTER, LFS_REFUSAL

MAGIC = b"GGUF"
VERSIONS = (2, 3)
#: Larger counts are no model's: Kimi K2 has 1,096 tensors, vocabularies 262,144 tokens and as many merges and more.
MOST_PAIRS, MOST_TENSORS, MOST_STRINGS, MOST_KEPT = 1 << 14, 1 << 15, 1 << 20, 1 << 12
LONGEST_NAME, LARGEST_SIZE, LARGEST_ELEMENTS = 1 << 16, 1 << 40, 1 << 50
#: struct codes of the scalar types by number (gguf.md of ggml); 8 is a string, 9 a list.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, LIST = 8, 9
DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True)
class Count:
    """A list that was counted but not kept."""

    length: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: sizes with the row length first, and where its data begin, from the end of the header."""

    name: str
    sizes: tuple[int, ...]
    type: GgmlType
    offset: int

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        found = 1
        for size in self.sizes:
            found *= size
        return found

    @property
    def bytes(self) -> int:
        """Bytes of its data."""
        return self.elements // self.type.block * self.type.bytes


@dataclass(frozen=True)
class Header:
    """What a file says of itself: key-value pairs and tensors; ``data_at`` is where the data begin."""

    pairs: Mapping[str, Any]
    tensors: Sequence[Entry]
    data_at: int
    file_bytes: int

    @property
    def complete(self) -> bool:
        """Whether the file holds all data of its tensors."""
        return all(self.data_at + tensor.offset + tensor.bytes <= self.file_bytes for tensor in self.tensors)


def read_header(path: Path) -> Header:
    """Return the header of a file.

    Raises
    ------
    SpecError
        If the file cannot be read, ends within the header, or holds what no GGUF file may.
    """
    reason = unreadable(path)
    if reason is not None:
        raise SpecError([Problem(str(path), 0, 0, "", reason)])
    size = path.stat().st_size
    if size < len(MAGIC):
        raise SpecError([Problem(str(path), 0, 0, "", f"is {size} bytes long; no GGUF file")])
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(path, data).header()


class _Reader:
    """Reads one file from the front; every read is checked against its end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at, self.strings = path, data, 0, 0

    def refuse(self, message: str) -> SpecError:
        return SpecError([Problem(str(self.path), 0, 0, f"byte {self.at:,}", message)])

    def ended(self, what: str) -> SpecError:
        """Return the error of a header that is cut off at ``what``."""
        needed = "the whole header is needed, the weights after it are not"
        return self.refuse(f"the file ends within the header, at {what}, after {len(self.data):,} bytes; {needed}")

    def take(self, code: str, what: str) -> Any:
        size = struct.calcsize("<" + code)
        if self.at + size > len(self.data):
            raise self.ended(what)
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return value

    def text(self, what: str, most: int = LONGEST_NAME) -> str:
        length = self._length(what, most)
        try:
            found = self.data[self.at : self.at + length].decode()
        except UnicodeDecodeError:
            raise self.refuse(f"{what} is no UTF-8 text") from None
        self.at += length
        return found

    def _length(self, what: str, most: int) -> int:
        length = int(self.take("Q", f"the length of {what}"))
        if length > most:
            raise self.refuse(f"{what} is {length:,} bytes long; valid: at most {most:,}")
        if length > len(self.data) - self.at:
            raise self.ended(f"{what} ({length:,} bytes)")
        return length

    def header(self) -> Header:
        magic = bytes(self.data[:4])
        if magic == LFS_POINTER[:4]:
            raise SpecError([Problem(str(self.path), 0, 0, "", LFS_REFUSAL)])
        if magic != MAGIC:
            raise self.refuse(f"no GGUF file: begins with {shown(magic)}, not {MAGIC!r}")
        self.at = 4
        version = self.take("I", "the version")
        if version not in VERSIONS:
            swapped = int.from_bytes(struct.pack("<I", version), "big") in VERSIONS
            hint = " (written big-endian)" if swapped else ""
            raise self.refuse(f"GGUF version {version}{hint} is not supported; valid: 2, 3")
        tensors = self._count("tensors", MOST_TENSORS)
        pairs = self._pairs(self._count("key-value pairs", MOST_PAIRS))
        alignment = pairs.get("general.alignment", DEFAULT_ALIGNMENT)
        if isinstance(alignment, bool) or not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise self.refuse(f"general.alignment must be a whole number of bytes, not {shown(alignment)}")
        entries = self._tensors(tensors)
        self._check_places(entries, alignment)
        return Header(pairs, entries, -(-self.at // alignment) * alignment, len(self.data))

    def _count(self, what: str, most: int) -> int:
        count = int(self.take("Q", f"the number of {what}"))
        if count > most:
            raise self.refuse(f"claims {count:,} {what}; valid: up to {most:,}")
        return count

    def _pairs(self, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number in range(1, count + 1):
            key = self.text(f"key {number} of {count}")
            if key in found:
                raise self.refuse(f"key {shown(key)} is given twice")
            found[key] = self._value(self.take("I", f"the type of {shown(key)}"), key)
        return found

    def _value(self, kind: int, key: str) -> Any:
        if kind in SCALARS:
            return self.take(SCALARS[kind], shown(key))
        if kind == STRING:
            return self.text(shown(key), 1 << 26)
        if kind != LIST:
            raise self.refuse(f"{shown(key)} has value type {kind}; valid: 0 to 12")
        item, length = self.take("I", f"the type of {shown(key)}"), int(self.take("Q", f"the length of {shown(key)}"))
        if item == STRING:
            return self._strings(length, key)
        if item not in SCALARS:
            raise self.refuse(f"{shown(key)} is a list of value type {item}; valid: scalars and strings")
        size = struct.calcsize("<" + SCALARS[item])
        if length * size > len(self.data) - self.at:
            raise self.ended(f"the list {shown(key)} of {length:,} values")
        start, self.at = self.at, self.at + length * size
        if length > MOST_KEPT:
            return Count(length)
        return list(struct.unpack_from(f"<{length}{SCALARS[item]}", self.data, start))

    def _strings(self, length: int, key: str) -> Count:
        self.strings += length
        if self.strings > MOST_STRINGS:
            raise self.refuse(f"{shown(key)} is a list of {length:,} texts; valid: up to {MOST_STRINGS:,} in the file")
        if length * 8 > len(self.data) - self.at:
            raise self.ended(f"the list {shown(key)} of {length:,} texts")
        unpack, data, end, at = struct.Struct("<Q").unpack_from, self.data, len(self.data), self.at
        for _ in range(length):
            at += 8 + unpack(data, at)[0] if at + 8 <= end else end + 1
            if at > end:
                raise self.ended(f"the list {shown(key)} of {length:,} texts")
        self.at = at
        return Count(length)

    def _tensors(self, count: int) -> list[Entry]:
        types = {kind.id: kind for kind in ggml_types().values()}
        found: dict[str, Entry] = {}
        for number in range(1, count + 1):
            name = self.text(f"the name of tensor {number} of {count}")
            if name in found:
                raise self.refuse(f"tensor {shown(name)} is there twice")
            own = f"{shown(name)}, tensor {number} of {count}"
            ndim = self.take("I", f"the number of sizes of {own}")
            if not 1 <= ndim <= 4:
                raise self.refuse(f"tensor {shown(name)} has {ndim} sizes; valid: 1 to 4")
            sizes = tuple(int(self.take("Q", f"the sizes of {own}")) for _ in range(ndim))
            kind = self.take("I", f"the type of {own}")
            if kind not in types:
                known = ", ".join(f"{id_} {one.name}" for id_, one in types.items())
                raise self.refuse(f"tensor {shown(name)} has ggml type {kind}; valid: {known}")
            entry = Entry(name, sizes, types[kind], int(self.take("Q", f"the offset of {own}")))
            self._check_sizes(entry)
            found[name] = entry
        return list(found.values())

    def _check_sizes(self, entry: Entry) -> None:
        if not all(1 <= size <= LARGEST_SIZE for size in entry.sizes) or entry.elements > LARGEST_ELEMENTS:
            listed = " × ".join(f"{size:,}" for size in entry.sizes)
            raise self.refuse(f"tensor {shown(entry.name)} has {listed} elements; valid: sizes from 1, 2^50 in all")
        if entry.sizes[0] % entry.type.block:
            rows = f"rows of {entry.sizes[0]:,}, no whole number of blocks of {entry.type.block}"
            raise self.refuse(f"tensor {shown(entry.name)} in {entry.type.name} has {rows}")

    def _check_places(self, entries: list[Entry], alignment: int) -> None:
        end, last = 0, ""
        for entry in sorted(entries, key=lambda entry: entry.offset):
            if entry.offset % alignment:
                raise self.refuse(f"tensor {shown(entry.name)} begins at {entry.offset:,}, no multiple of {alignment}")
            if entry.offset < end:
                raise self.refuse(f"tensors {shown(last)} and {shown(entry.name)} overlap at {entry.offset:,}")
            end, last = entry.offset + entry.bytes, entry.name
