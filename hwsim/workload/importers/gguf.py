"""GGUF files of llama.cpp: the model by the file's keys, the formats by the tensors that are in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.spec.errors import Problem, SpecError
from hwsim.workload.checkpoints.gguf import Entry, Header, read_header
from hwsim.workload.checkpoints.gguf_config import gguf_key, to_config
from hwsim.workload.checkpoints.tensors import OUTSIDE, Tensor, Tensors, fill_formats, give_way
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.trace import Trace

_BLOCK = re.compile(r"blk\.(\d{1,6})\.(.+)")
#: Experts of old Mixtral files, one tensor each: ``ffn_gate.3``.
_EXPERT = re.compile(r"(ffn_(?:gate|up|down))\.(\d+)")
#: Latent attention by head: the shape is not that of the GEMM.
PER_HEAD = ("attn_k_b", "attn_v_b")
_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)


class Gguf(Importer):
    """A model with the types that its tensors really have; weights are not read."""

    summary = "a GGUF file of llama.cpp, or its header"
    suffixes = (".gguf",)
    shaped = True

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace, named after the file; the parts of a split file are read together."""
        path = Path(source)
        headers = [read_header(part) for part in _parts(path)]
        entries = [entry for header in headers for entry in header.tensors]
        tensors = _tensors(path, entries)
        config = to_config(headers[0].pairs, {e.name for e in entries}, _vocab(entries), tensors.refuse)
        try:
            trace = build_trace(config, request.phase, request.name or path.stem, str(path))
        except SpecError as error:
            raise _in_own_keys(error, str(headers[0].pairs["general.architecture"])) from None
        meta = _meta(headers, entries)
        filled = fill_formats(trace, tensors, "gguf", meta["checkpoint_bits"])
        filled = give_way(trace, filled, tensors, request.requantized)
        return replace(filled, meta={**filled.meta, **meta, "checkpoint": str(path)})


IMPORTERS.register("gguf")(Gguf())


@dataclass(frozen=True)
class GgufWeights:
    """The weights of a file by kind and block, and by name each tensor with its file and where its data begin there."""

    tensors: Tensors
    places: Mapping[str, tuple[Entry, Path, int]]


def read_gguf_weights(path: Path) -> GgufWeights:
    """Return what the headers of a file, or of the parts of one, say of its weights.

    Raises
    ------
    SpecError
        If a file is missing or wrong.
    """
    files = _parts(path)
    headers = [read_header(part) for part in files]
    tensors = _tensors(path, [entry for header in headers for entry in header.tensors])
    places = {
        entry.name: (entry, file, header.data_at + entry.offset)
        for file, header in zip(files, headers, strict=True)
        for entry in header.tensors
    }
    return GgufWeights(tensors, places)


def _in_own_keys(error: SpecError, arch: str) -> SpecError:
    """Return problems of a config.json under the names that the keys have in the file."""

    def own(found: re.Match[str]) -> str:
        return f"'{gguf_key(arch, found[1])}'"

    return SpecError(replace(problem, message=re.sub(r"'(\w+)'", own, problem.message)) for problem in error.problems)


def _parts(path: Path) -> list[Path]:
    """Return all files of a model that was split, or the one.

    Raises
    ------
    SpecError
        If one is missing.
    """
    match = _SPLIT.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match[3])
    if not 1 <= int(match[2]) <= count:
        message = f"is called part {int(match[2])} of {count}; parts are numbered from 1"
        raise SpecError([Problem(str(path), 0, 0, "", message)])
    found = [path.with_name(f"{match[1]}-{number:05d}-of-{count:05d}{path.suffix}") for number in range(1, count + 1)]
    for part in found:
        if not part.is_file():
            message = f"is one of {count} files of a model, but {part.name} is not beside it"
            raise SpecError([Problem(str(path), 0, 0, "", message)])
    return found


def _tensors(path: Path, entries: Iterable[Entry]) -> Tensors:
    """Return the weights of all blocks; single experts of old files as one tensor."""
    found: dict[str, Tensor] = {}
    for entry in entries:
        tensor = _tensor(path, entry)
        if tensor is None:
            continue
        other = found.get(f"{tensor.block} {tensor.kind}")
        if other is not None:
            tensor = _joined(path, other, tensor)
        found[f"{tensor.block} {tensor.kind}"] = tensor
    return Tensors.of(str(path), found.values())


def _tensor(path: Path, entry: Entry) -> Tensor | None:
    """Return a tensor of two or three sizes; None for norms and biases."""
    if len(entry.sizes) < 2 or not entry.name.endswith(".weight"):
        return None
    if not entry.type.format:
        message = f"tensor {entry.name} is in {entry.type.name}, which is no operand of a GEMM here"
        raise SpecError([Problem(str(path), 0, 0, "", message)])
    match = _BLOCK.fullmatch(entry.name.removesuffix(".weight"))
    block, kind = (int(match[1]), match[2]) if match else (OUTSIDE, entry.name.removesuffix(".weight"))
    expert = _EXPERT.fullmatch(kind)
    columns, rows, *rest = entry.sizes
    if kind in PER_HEAD:
        bits = 8 * entry.bytes
        return Tensor(entry.name, kind, block, 0, entry.elements, entry.type.format, bits, modules=(entry.name,))
    experts = rest[0] if rest else 1
    kind = f"{expert[1]}_exps" if expert else kind
    bits = 8 * entry.bytes
    return Tensor(entry.name, kind, block, rows, columns, entry.type.format, bits, experts, modules=(entry.name,))


def _joined(path: Path, one: Tensor, other: Tensor) -> Tensor:
    same = (one.rows, one.columns, one.format) == (other.rows, other.columns, other.format)
    if not same or not one.kind.endswith("_exps"):
        message = f"tensors {one.name} and {other.name} differ in shape or format; experts of a layer must not"
        raise SpecError([Problem(str(path), 0, 0, "", message)])
    modules = one.modules + other.modules
    return replace(one, experts=one.experts + 1, bits=one.bits + other.bits, modules=modules)


def _vocab(entries: Iterable[Entry]) -> int | None:
    return next((e.sizes[1] for e in entries if e.name == "token_embd.weight" and len(e.sizes) == 2), None)


def _meta(headers: list[Header], entries: list[Entry]) -> dict[str, Any]:
    """Return what the file stores: exact bits, and bits per element of each kind of tensor it is made of."""
    bits, elements = sum(8 * entry.bytes for entry in entries), sum(entry.elements for entry in entries)
    return {
        "checkpoint_bits": bits,
        "checkpoint_elements": elements,
        "checkpoint_complete": all(header.complete for header in headers),
    }
