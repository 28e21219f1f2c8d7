"""One run of a module on the meta device, recorded: every product, and what vector units do between them.

Operations are seen where PyTorch dispatches them, after its own decompositions. An operation of unknown kind is
an error, never left out: it might hold multiply-accumulates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import UsageError
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.products import Product, im2col_note, matmul
from hwsim.workload.graph.tensor import Tensor, carry
from hwsim.workload.graph.torch_products import PRODUCTS
from hwsim.workload.ops import Gemm

#: Operations by name: ``priced`` by a program, ``moved``, ``counted`` or ``made`` (from nothing), as in the data file.
ROWS = {row["op"]: row for row in read_csv_rows("graphs", "torch_vector_ops.csv")}
#: Modules that are one operation, by the end of their class's name, whatever they are made of.
_WHOLE = ((re.compile(r"RMSNorm"), "rmsnorm"), (re.compile(r"LayerNorm"), "layernorm"), (re.compile(r"GELU"), "gelu"))
_RESHAPED = ("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "alias", "detach", "flatten")
_SAME = ("clone", "_to_copy", "lift_fresh", "contiguous", "to", "positive", "native_dropout", "copy")


class Recorder(TorchDispatchMode):  # type: ignore[misc]
    """Records what runs while it is active; ``module`` names the tensors that are stored."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.collector = Collector()
        self.path = [""]
        #: What is known of tensors by their identity, kept alive so that it stays theirs.
        self.known: dict[int, tuple[Any, Tensor]] = {}
        #: Storages that hold what the inputs decide, written in place.
        self.written: set[int] = set()
        #: Storages that a tensor's values were moved through.
        self.chains: dict[int, frozenset[int]] = {}
        #: For products of activations, the storages that their second operand came through.
        self.second: dict[int, frozenset[int]] = {}
        #: Names of stored tensors that products multiply.
        self.multiplied: set[str] = set()
        self.quiet = 0
        #: The stored tensor that makes the logits of a language model.
        self.head = _head_of(module)
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            self.tell(tensor, Tensor(tuple(tensor.shape), constant=True, name=name))

    # What is known of tensors.

    def tell(self, tensor: Any, info: Tensor) -> None:
        """Remember what is known of a tensor."""
        self.known[id(tensor)] = (tensor, info.told(str(id(tensor))))

    def of(self, tensor: Any) -> Tensor:
        """Return what is known of a tensor; one that nothing made is a constant of the module."""
        if id(tensor) not in self.known:
            self.tell(tensor, Tensor(tuple(tensor.shape), constant=True))
        _, info = self.known[id(tensor)]
        return replace(info, constant=False) if info.constant and _storage(tensor) in self.written else info

    def chain(self, tensor: Any) -> frozenset[int]:
        """Return the storages that a tensor's values were moved through, its own too."""
        return self.chains.get(id(tensor), frozenset()) | {_storage(tensor)}

    # What runs.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record it."""
        kwargs = kwargs or {}
        before = [(value, self.of(value)) for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        outputs = [value for value in tree_leaves(result) if isinstance(value, torch.Tensor)]
        if func.namespace in ("aten", "prims") or name.startswith("grouped_mm"):
            self._record(func, name, args, kwargs, before, outputs)
        elif before:
            self._refuse(func)
        return result

    def _record(self, func: Any, name: str, args: Any, kwargs: Any, before: Any, outputs: list[Any]) -> None:
        base = name.rstrip("_") if not name.startswith("_") else name
        infos = [info for _, info in before]
        running = any(not info.constant for info in infos)
        product = PRODUCTS.get(base)
        if product is not None:
            with self._named(base):
                number = self._product(base, product([self._argument(arg) for arg in args], kwargs, outputs), args)
            for output in outputs:
                self.tell(output, Tensor(tuple(output.shape), constant=not running, origin=number))
            return
        row = ROWS.get(base)
        if row is None and torch.Tag.pointwise not in func.tags and not func.is_view:
            if not running:
                return
            self._refuse(func)
        for output in outputs:
            info = self._moved(base, args, infos, tuple(output.shape))
            if func.is_view and info.constant:
                info = replace(info, part=_part(infos[0], output))
            self.tell(output, info)
            if not info.constant:
                self.written.add(_storage(output))
            if (row is not None and row["kind"] == "moved") or func.is_view or base in _SAME:
                self.chains[id(output)] = frozenset().union(*(self.chain(value) for value, _ in before))
        if running and not self.quiet:
            self._vector(base, row, infos, outputs, func.is_view)

    def _argument(self, arg: Any) -> Any:
        return self.of(arg) if isinstance(arg, torch.Tensor) else arg

    def _refuse(self, func: Any) -> None:
        raise UsageError(
            f"{self.path[-1] or 'module'}: operation {func} is not understood, and may hold multiply-accumulates"
        )

    def _product(self, base: str, product: Product, args: Any, role: str = "") -> int:
        own = self.path[-1]
        plain = base in ("mm", "addmm", "convolution", "linear") and own
        layer = _named_weight(own, product.w) or (own if plain else f"{own}.{base.strip('_')}".strip("."))
        note = im2col_note(product) if base == "convolution" else ""
        if product.w.name and product.w.name == self.head:
            role = "lm_head"
        number = self.collector.product(layer, product, "conv" if base == "convolution" else role, note)
        if number >= 0 and product.w.stored:
            self.multiplied.add(product.w.name)
        elif number >= 0:
            tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
            self.second[number] = self.chain(tensors[-1])
        return number

    def _moved(self, base: str, args: Any, infos: list[Tensor], shape: tuple[int, ...]) -> Tensor:
        """Return what is known of the result of an operation that is no product."""
        if not infos:
            return Tensor(shape, constant=True)
        source = infos[0]
        if base in _RESHAPED:
            return source.reshape(shape)
        if base == "expand":
            return source.expand(shape)
        if base in ("t", "transpose", "permute"):
            return source.permute(_order(base, args, source.rank))
        if base in _SAME and len(infos) == 1:
            return source if source.shape == shape else carry([source], shape)
        if base in ("_softmax", "_safe_softmax"):
            if source.origin >= 0:
                self.collector.name_role(source.origin, "score")
            return replace(carry([source], shape), softmax=not source.constant, origin=-1)
        if source.constant and source.rank > 2 and any(not info.constant for info in infos[1:]) and _rows(base, args):
            return Tensor(shape, name=source.name, chosen=source.shape[0])
        return carry(infos, shape)

    def _vector(
        self, base: str, row: Mapping[str, str] | None, infos: list[Tensor], outputs: list[Any], view: bool
    ) -> None:
        if view or not outputs or base in _SAME or (row is not None and row["kind"] in ("moved", "made")):
            return
        shape = tuple(outputs[0].shape)
        pooled = base == "mean" and infos[0].rank == 4 and shape in (infos[0].shape[:2], (*infos[0].shape[:2], 1, 1))
        if not pooled and (row is None or row["kind"] == "counted"):
            self.collector.skip(base)
            return
        program = "avgpool" if pooled or row is None else row["program"]
        if program in ("add", "mul") and _fused(program, infos, shape):
            return
        if program == "avgpool" or program == "maxpool":
            shape = infos[0].shape if program == "avgpool" else shape
            shape = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape
        self.collector.vector(self.path[-1] or base, program, shape)

    def attention(self, q: Any, k: Any, v: Any) -> Any:
        """Record scaled dot-product attention as two products and a softmax; return a tensor of its result's shape."""
        heads = q.shape[-3] if q.dim() > 2 else 1
        query, key, value = (self.of(tensor) for tensor in (q, k, v))
        key, value = (_repeated(tensor, heads) for tensor in (key, value))
        order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
        scores = (*query.shape[:-1], key.shape[-2])
        self._product("scores", matmul(query, key.permute(order)), (q, k), "score")
        if not self.quiet:
            self.collector.vector(f"{self.path[-1]}.softmax".strip("."), "softmax", scores)
        self._product("values", matmul(Tensor(scores, softmax=True), value), (q, v), "value")
        result = torch.empty((*q.shape[:-1], v.shape[-1]), dtype=q.dtype, device=q.device)
        self.tell(result, Tensor(tuple(result.shape)))
        return result

    @contextmanager
    def _named(self, base: str) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self.path[-1] or 'module'}: {base}: {error}") from None

    # What is done once the run is over.

    def cache(self, result: Any) -> None:
        """Say of products whose second operand is in the KV cache of a result that it comes from there."""
        held = next((found for name in ("cache", "past_key_values") if (found := getattr(result, name, None))), None)
        # A decoder that reads an encoder has a cache of its own tokens, which grows, and one of the encoder's.
        kinds = [getattr(held, kind, None) for kind in ("self_attention_cache", "cross_attention_cache")]
        own, cross = (
            [tensor for tensor in _cache_tensors(cache) if tensor.dim() == 4]
            for cache in (kinds if any(kinds) else (held, None))
        )
        stored = {_storage(tensor) for tensor in (*own, *cross)}
        for number, chain in self.second.items():
            op = self.collector.ops[number]
            if chain & stored and isinstance(op, Gemm):
                self.collector.ops[number] = replace(op, w_source="kv")
        shapes = [tuple(tensor.shape) for tensor in (*own, *cross)]  # (sequences, KV heads, tokens, width)
        if len({width for *_, width in shapes}) == 1:
            grows = sum(heads * width for _, heads, _, width in shapes[: len(own)])
            self.collector.meta["kv_bytes_per_token_fp16"] = 2 * grows
            self.collector.meta["kv_vectors"] = sum(batch * heads * tokens for batch, heads, tokens, _ in shapes)
            self.collector.meta["head_dim"] = shapes[0][3]

    def count_parameters(self, module: Any) -> None:
        """Count parameters, and those that no product multiplies: norms, biases, tables that are looked up."""
        sizes = {name: tensor.numel() for name, tensor in module.named_parameters()}
        multiplied = sum(sizes.get(name, 0) for name in self.multiplied)
        self.collector.meta |= {"parameters": sum(sizes.values()), "other_parameters": sum(sizes.values()) - multiplied}


class _Attention(TorchFunctionMode):  # type: ignore[misc]
    """Sees attention before it is taken apart."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            names = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            return self.recorder.attention(names["query"], names["key"], names["value"])
        return func(*args, **kwargs)


def record(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Collector:
    """Run ``module`` once and return what it ran.

    Raises
    ------
    UsageError
        If an operation is not understood.
    """
    recorder = Recorder(module)
    for tensor in tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor):
            recorder.tell(tensor, Tensor(tuple(tensor.shape)))
    with torch.no_grad(), torch.device("meta"), _hooks(recorder, module), recorder, _Attention(recorder):
        result = module(*args, **kwargs)
    recorder.cache(result)
    recorder.count_parameters(module)
    return recorder.collector


@contextmanager
def _hooks(recorder: Recorder, module: Any) -> Iterator[None]:
    """Keep the path of the running module, and take whole modules as one operation."""
    names = {id(one): name for name, one in module.named_modules()}
    stack: list[tuple[str, int]] = []

    def enter(one: Any, inputs: Any) -> None:
        program = _whole(one)
        stack.append((program, len(recorder.collector.ops)))
        recorder.quiet += bool(program)
        recorder.path.append(names.get(id(one), recorder.path[-1]))

    def leave(one: Any, inputs: Any, result: Any) -> None:
        program, _ = stack.pop()
        recorder.quiet -= bool(program)
        if program and not recorder.quiet and inputs and isinstance(inputs[0], torch.Tensor):
            recorder.collector.vector(recorder.path[-1], program, tuple(inputs[0].shape))
        recorder.path.pop()

    register = torch.nn.modules.module
    handles = [register.register_module_forward_pre_hook(enter), register.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _head_of(module: Any) -> str:
    """Return the name of the weights that transformers' models say make their logits, ``""`` for none."""
    with suppress(Exception):  # of any kind: modules without logits refuse, or have another method of that name
        weight = module.get_output_embeddings().weight
        return next((name for name, tensor in module.named_parameters() if tensor is weight), "")
    return ""


def _whole(module: Any) -> str:
    """Return the program that a module is as a whole, ``""`` for none; one that holds others is none."""
    if next(module.children(), None) is not None:
        return ""
    name = type(module).__name__
    return next((program for pattern, program in _WHOLE if pattern.search(name)), "")


def _storage(tensor: Any) -> int:
    """Return what tells a tensor's storage from others."""
    return int(tensor.untyped_storage()._cdata)


def _named_weight(own: str, weights: Tensor) -> str:
    """Return the name of a product whose module ``own`` holds weights by several names, ``""`` if it has its own.

    A module that multiplies its ``weight`` is named itself; ``in_proj_weight`` and ``out_proj.weight`` of an
    attention, which does not run its parts as modules, make ``in_proj`` and ``out_proj``.
    """
    if not weights.stored or not weights.name.startswith(f"{own}.".lstrip(".")):
        return ""
    inner = weights.name[len(f"{own}.".lstrip(".")) :]
    return "" if inner == "weight" else f"{own}.{re.sub(r'[._]weight$', '', inner)}".strip(".")


def _part(source: Tensor, view: Any) -> str:
    """Return what tells a view of a constant from others: where it lies, unless it is all of its source."""
    if view.numel() >= source.elements:
        return source.part
    steps = sorted(step for step in zip(view.stride(), view.shape, strict=True) if step[1] > 1)
    return f"{source.part.partition('[')[0]}[{view.storage_offset()} {steps}]"


def _order(base: str, args: Any, rank: int) -> list[int]:
    order = list(range(rank))
    if base == "permute":
        return [axis % rank for axis in args[1]]
    if rank < 2:
        return order
    first, second = (0, 1) if base == "t" else (axis % rank for axis in args[1:3])
    order[first], order[second] = second, first
    return order


def _rows(base: str, args: Any) -> bool:
    """Whether an operation selects along the first dimension alone."""
    if base == "index":
        return len(args[1]) == 1 and isinstance(args[1][0], torch.Tensor)
    return base == "index_select" and args[1] == 0


def _fused(program: str, infos: list[Tensor], shape: tuple[int, ...]) -> bool:
    """Whether one operand is a bias, gain or scale, or a mask on a product: part of what made the other."""
    constants = [info for info in infos if info.constant]
    if len(infos) == 1:
        return True
    if not constants:
        return min(info.elements for info in infos) == 1
    row = shape[-1] if shape else 1
    return all(info.elements <= row for info in constants) or (
        program == "add" and any(info.origin >= 0 for info in infos)
    )


def _repeated(tensor: Tensor, heads: int) -> Tensor:
    """Return keys or values repeated for ``heads`` query heads."""
    if tensor.rank < 3 or tensor.shape[-3] == heads or heads % tensor.shape[-3]:
        return tensor
    *front, own, length, width = tensor.shape
    split = tensor.reshape((*front, own, 1, length, width))
    return split.expand((*front, own, heads // own, length, width)).reshape((*front, heads, length, width))


def _cache_tensors(cache: Any) -> list[Any]:
    """Return the tensors of a KV cache: tuples of tensors, or layers with keys and values."""
    layers = getattr(cache, "layers", None)
    held = [(getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in layers] if layers else cache
    with suppress(Exception):
        return [value for value in tree_leaves(held) if isinstance(value, torch.Tensor)]
    return []
