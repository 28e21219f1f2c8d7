"""Tensors of a checkpoint, and how their formats come into the trace of the model.

A row of a trace is the tensors that ``data/models/tensor_names.csv`` names for its layer: alternatives separated by
``|``, several tensors of one GEMM by ``+``, ``*`` for the number of an expert. Layers are counted along the blocks
that have the tensor; rows whose layers differ in format are split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import Problem, SpecError
from hwsim.workload.layers import Formats, shares_layers, split_layers
from hwsim.workload.ops import Gemm, bare_name
from hwsim.workload.stated import PLAIN_FLOATS
from hwsim.workload.stored import state_other, with_idle
from hwsim.workload.tables import read_tables_in
from hwsim.workload.trace import Trace

#: In names of tensors that hold queries, keys and values.
FUSED = ("qkv", "query_key_value")
#: Layers of absorbed latent attention: each is a part of the tensor, turned.
PART_OF_KV = "attn.absorb_"
#: Block of tensors that are in none: embeddings, LM head.
OUTSIDE = -1


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight: ``experts`` matrices of ``rows`` outputs by ``columns`` inputs in ``format``.

    ``bits`` is what the file stores of it, metadata included; ``block`` the number of its layer, or
    :data:`OUTSIDE`; ``kind`` its name without them and without ``.weight``. ``a_format`` is what the checkpoint
    says of the other operand, ``""`` if nothing. Where the file does not keep the shape, ``rows`` is 0 and
    ``columns`` are all elements. ``modules`` are the modules of the checkpoint that it is made of.
    """

    name: str
    kind: str
    block: int
    rows: int
    columns: int
    format: str
    bits: int
    experts: int = 1
    a_format: str = ""
    modules: tuple[str, ...] = ()


@dataclass
class Tensors:
    """The weights of a checkpoint by kind and block."""

    file: str
    by_kind: Mapping[str, Mapping[int, Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: str, tensors: Iterable[Tensor]) -> Tensors:
        """Return ``tensors`` by kind and block."""
        found: dict[str, dict[int, Tensor]] = defaultdict(dict)
        for tensor in tensors:
            found[tensor.kind][tensor.block] = tensor
        return cls(file, {kind: dict(sorted(blocks.items())) for kind, blocks in found.items()})

    def refuse(self, message: str) -> SpecError:
        """Return the error of this file."""
        return SpecError([Problem(self.file, 0, 0, "", message)])


@cache
def alternatives(column: str) -> Mapping[str, Sequence[Sequence[str]]]:
    """Return per layer of a trace the tensors that may be behind it, by ``gguf`` or ``hf`` names."""
    return {
        row["layer"]: tuple(tuple(one.split("+")) for one in row[column].split("|"))
        for row in read_csv_rows("models", "tensor_names.csv")
    }


def fill_formats(trace: Trace, tensors: Tensors, column: str, bits: int) -> Trace:
    """Return ``trace`` with the formats of the weights that are really there, read in this run or not.

    All other tensors, and what else is in the file, are what no GEMM multiplies.

    Parameters
    ----------
    column
        Whose names the tensors have: ``gguf`` or ``hf``.
    bits
        What all tensors of the checkpoint take.

    Raises
    ------
    SpecError
        If a weight is missing, of another shape than the model's keys say, or one GEMM has several formats.
    """
    used: dict[str, int] = {}
    filled = with_idle(trace, lambda whole: _fill(whole, tensors, column, used))
    stated = state_other(filled, bits - sum(used.values()))
    # Where the LM head has a tensor of its own, the others that it may be are the table.
    for kinds in alternatives(column)["lm_head"][1:]:
        for tensor in tensors.by_kind.get(kinds[0], {}).values():
            stated = read_tables_in(stated, tensor.format)
    return replace(stated, meta={**stated.meta, "formats_source": Path(tensors.file).name})


def give_way(trace: Trace, filled: Trace, tensors: Tensors, policy: bool) -> Trace:
    """Return ``filled``, which has the formats of ``tensors``; ``trace`` if they are plain floats and a policy follows.

    A checkpoint that holds other formats is quantized already: what its method leaves in plain floats stays.
    ``meta`` says which formats gave way, or would.
    """
    stated = {tensor.format for by_block in tensors.by_kind.values() for tensor in by_block.values()}
    if not stated <= set(PLAIN_FLOATS):
        return filled
    told = f"{' and '.join(sorted(stated))} of {Path(tensors.file).name}"
    if policy:
        return replace(trace, meta={**trace.meta, "requantized": told})
    return replace(filled, meta={**filled.meta, "plain_floats": told})


def _fill(trace: Trace, tensors: Tensors, column: str, used: dict[str, int]) -> Trace:
    """Return ``trace`` with its formats; ``used`` gets the bits of each tensor that is behind a GEMM."""
    names = alternatives(column)
    repeats: dict[str, int] = defaultdict(int)
    for gemm in trace.gemms:
        if gemm.w_source == "dram":
            name = gemm.layer
            shared = shares_layers(bare_name(name))
            repeats[name] = max(repeats[name], gemm.repeat) if shared else repeats[name] + gemm.repeat

    def formats(gemm: Gemm, numbers: Sequence[int], first: int) -> Sequence[Formats]:
        layer = bare_name(gemm.layer)
        found = _find(tensors, names.get(layer, ()))
        if found is None:
            valid = " or ".join("+".join(one) for one in names.get(layer, ())) or "none that is known"
            raise tensors.refuse(f"no tensor of {gemm.layer}; expected: {valid}")
        blocks = sorted(set.intersection(*(set(by_block) for by_block in found)))
        if len(blocks) != repeats[gemm.layer]:
            kinds = "+".join(next(iter(by_block.values())).kind for by_block in found)
            raise tensors.refuse(f"{len(blocks)} blocks have {kinds}, but the model's keys give {repeats[gemm.layer]}")
        rows = [[by[block] for by in found] for block in blocks[first:][: gemm.repeat]]
        used.update((tensor.name, tensor.bits) for row in rows for tensor in row)
        return [_one_format(tensors, gemm, row) for row in rows]

    return split_layers(trace, formats)


def tensors_of(tensors: Tensors, layer: str, column: str) -> list[Tensor]:
    """Return the tensors of all blocks behind a layer of a trace; none where there are none."""
    found = _find(tensors, alternatives(column).get(bare_name(layer), ()))
    return [tensor for by_block in found or () for tensor in by_block.values()]


def _find(tensors: Tensors, names: Sequence[Sequence[str]]) -> list[Mapping[int, Tensor]] | None:
    for kinds in names:
        if all(kind in tensors.by_kind for kind in kinds):
            return [tensors.by_kind[kind] for kind in kinds]
    return None


def _one_format(tensors: Tensors, gemm: Gemm, used: list[Tensor]) -> Formats:
    """Return the formats of the tensors of one GEMM of one layer, whose shapes must be those of the GEMM."""
    whole = not bare_name(gemm.layer).startswith(PART_OF_KV)
    for tensor in used:
        if whole and tensor.rows and tensor.columns != gemm.k:
            raise _other_shape(tensors, gemm, tensor)
    rows = sum(tensor.rows or tensor.columns // gemm.k for tensor in used)
    fused = len(used) == 1 and used[0].rows > gemm.n and any(name in used[0].kind for name in FUSED)
    if whole and rows != gemm.n and not fused:
        raise _other_shape(tensors, gemm, used[0])
    formats = {tensor.format for tensor in used}
    if len(formats) > 1:
        listed = ", ".join(f"{tensor.name} in {tensor.format}" for tensor in used)
        raise tensors.refuse(f"{gemm.layer} is one GEMM here, but of several formats: {listed}")
    return Formats(used[0].format, used[0].a_format)


def _other_shape(tensors: Tensors, gemm: Gemm, tensor: Tensor) -> SpecError:
    has = f"{tensor.name} has {tensor.rows} × {tensor.columns} weights"
    return tensors.refuse(f"{has}, but the model's keys give {gemm.layer} {gemm.n} × {gemm.k}")
