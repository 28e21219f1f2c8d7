"""Our traces as a recorder of torch calls sees the modules: the view that two scorers compare.

Rules, from the recorded tables:

* a projection is one ``gemm`` of all rows; ``count`` sums its calls over layers;
* attention is two ``bmm`` with one instance per query head: keys and values of a KV head are repeated
  for its group (``repeat_kv``), where our trace has one product per KV head with the group's rows;
* a convolution is one ``conv_im2col(groups=G)`` with M output pixels, K inputs of one output, and N
  outputs of all groups; our trace has the groups as instances;
* routed experts are one ``grouped_mm`` of all routed rows, gate and up projection in one; our trace has
  one product per number of rows that an expert gets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

from hwsim.spec.errors import UsageError
from hwsim.workload import Gemm, Trace, load_workload, model_config
from hwsim.workload.experts import is_routed
from hwsim.workload.zoo import ZooModel, find_model

#: Latent pixels stand for so many of the image along an edge (Stable Diffusion's and DiT's autoencoder).
LATENT = 8
#: Keys that fix the size of an image model, and those of a Whisper that are no length of text.
IMAGE, LATENT_IMAGE = "image_size", "sample_size"
_SIZE = re.compile(r"(.+)-(\d+)")


class Shape(NamedTuple):
    """A recorded product; ``groups`` are those of a convolution, ``batch`` is 0 for routed experts."""

    op: str
    groups: int
    batch: int
    m: int
    k: int
    n: int


def find_recorded(name: str) -> tuple[ZooModel, int | None]:
    """Return the shipped model of a recorded name, and the size of the image where the name ends with one.

    Raises
    ------
    UsageError
        If hwsim ships no such model.
    """
    try:
        return find_model(name), None
    except UsageError:
        sized = _SIZE.fullmatch(name)
        if sized is None:
            raise
        return find_model(sized[1]), int(sized[2])


def recorded_trace(model: ZooModel, phase: str, sizes: Sequence[int]) -> Trace:
    """Return our trace of a recorded run; ``sizes`` are the numbers that describe its input.

    For a language model the first is the prompt or context; for an image model the edge of image,
    latent image or number of patches; for Whisper what is not its sound is the text.
    """
    config = model_config(model.name)
    settings = _settings(config, sizes)
    given: dict[str, Any] = {"model": model.name, "phase": phase, "settings": settings}
    if "vocab_size" in config and "decoder_layers" not in config and sizes:
        given["context" if phase == "decode" else "seq_len"] = sizes[0]
    return load_workload(given)


def _settings(config: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
    if "max_target_positions" in config:
        sound = {config["num_mel_bins"], config["max_source_positions"], 2 * config["max_source_positions"]}
        text = [size for size in sizes if size not in sound and size <= config["max_target_positions"]]
        return {"decoder_tokens": text[-1] if text else config["max_target_positions"]}
    if not sizes or isinstance(config.get(IMAGE), list):
        return {}
    size = sizes[0]
    if IMAGE in config:
        return {} if size == config[IMAGE] else {IMAGE: size}
    if LATENT_IMAGE in config:
        edge, patch = config[LATENT_IMAGE], config.get("patch_size", 1)
        if size in (edge, LATENT * edge, (edge // patch) ** 2):
            return {}
        return {LATENT_IMAGE: size // LATENT if size >= 2 * LATENT**2 else size}
    return {}


def recorded_shapes(trace: Trace) -> Counter[Shape]:
    """Return how often each product is called, as a recorder sees it."""
    shapes: Counter[Shape] = Counter()
    routed: dict[tuple[str, int, int, int], int] = {}
    for gemm in trace.gemms:
        if is_routed(gemm):
            key = (gemm.layer, gemm.k, gemm.n, gemm.repeat)
            routed[key] = routed.get(key, 0) + gemm.m * gemm.batch
        else:
            shapes[_shape(gemm, trace)] += gemm.repeat
    for (_, k, n, calls), rows in routed.items():
        shapes[Shape("grouped_mm", 1, 0, rows, k, n)] += calls
    return shapes


def _shape(gemm: Gemm, trace: Trace) -> Shape:
    if gemm.role == "conv":
        return Shape("conv_im2col", gemm.batch, 1, gemm.m, gemm.k, gemm.n * gemm.batch)
    if gemm.kind != "attention":
        return Shape("gemm", 1, gemm.batch, gemm.m, gemm.k, gemm.n)
    group = int(trace.meta.get("queries_per_kv_head", 1))
    return Shape("bmm", 1, gemm.batch * group, gemm.m // group, gemm.k, gemm.n)


def read_shape(row: Mapping[str, str]) -> Shape:
    """Read a row ``op,batch,M,K,N``; ``op`` may state its groups, ``conv_im2col(groups=32)``.

    Raises
    ------
    UsageError
        If a number is none.
    """
    op, _, rest = row["op"].partition("(")
    groups = re.search(r"\d+", rest)
    batch, m, k, n = (_whole(row, key) for key in ("batch", "M", "K", "N"))
    if op.startswith("grouped"):
        return Shape("grouped_mm", 1, 0, m, k, n)
    return Shape(op, int(groups[0]) if groups else 1, batch, m, k, n)


def _whole(row: Mapping[str, str], key: str) -> int:
    try:
        return int(row[key])
    except (TypeError, ValueError):
        raise UsageError(f"{key} must be a whole number, not {row[key]!r}") from None


def sizes_of(model: ZooModel, phase: str, shapes: Sequence[Shape]) -> list[int]:
    """Return the numbers that describe the input of a recorded run, from its products.

    A prompt is the rows of the largest projection, a context one less than the keys of a decode step; an
    image is known by the pixels or patches of its largest convolution (a CNN runs at its own size).
    """
    config = model_config(model.name)
    if "max_target_positions" in config:
        return [shape.m for shape in shapes if shape.n == config["vocab_size"]]
    if "vocab_size" in config:
        if phase == "decode":
            return [max((max(s.k, s.n) for s in shapes if s.op == "bmm"), default=2) - 1]
        return [max((s.m for s in shapes if s.op == "gemm"), default=1)]
    pixels = max((s.m for s in shapes if s.op == "conv_im2col"), default=0)
    patch = config.get("patch_size", 1)
    if not pixels or (IMAGE in config and "patch_size" not in config):
        return []
    return [isqrt(pixels) * patch]
