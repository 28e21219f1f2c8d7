"""Five small models, as config.json, as ONNX graphs without weights, and as GEMMs that PyTorch ran.

``python -m tests.support.graph_models`` writes ``tests/data/graphs`` anew. It needs torch, transformers, onnx and
onnxscript, which the tests do not: they read what is stored. Each row names the versions that made it.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from hwsim.workload import Trace

FOLDER = Path(__file__).parents[1] / "data" / "graphs"
MODELS = ("bert", "llama", "mixtral", "opt", "vit")
BATCH, SEQ_LEN = 2, 24
COLUMNS = ("m", "n", "k", "batch", "kind")
#: Metadata of nodes that the ONNX graphs keep: which module a node comes from.
_SCOPES = "pkg.torch.onnx.name_scopes"


def config_of(model: str) -> dict[str, Any]:
    """Return the config.json of a model; one file holds all five."""
    found: dict[str, Any] = json.loads((FOLDER / "configs.json").read_text())[model]
    return found


def gemm_multiset(trace: Trace) -> Counter[tuple[Any, ...]]:
    """Return how many GEMMs of each shape a trace has, weights and activations apart."""
    found: Counter[tuple[Any, ...]] = Counter()
    for gemm in trace.gemms:
        found[gemm.m, gemm.n, gemm.k, gemm.batch, gemm.kind] += gemm.repeat
    return found


def recorded_multiset(model: str) -> Counter[tuple[Any, ...]]:
    """Return the GEMMs that PyTorch ran, as stored."""
    with (FOLDER / "torch_gemms.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == model]
    return Counter({(*(int(row[name]) for name in COLUMNS[:-1]), row["kind"]): int(row["count"]) for row in rows})


def build(model: str) -> Any:
    """Return the transformers model with random weights, as its config names it."""
    import transformers

    fields = config_of(model)
    config = transformers.AutoConfig.for_model(**fields)
    return getattr(transformers, fields["architectures"][0])(config).eval()


def export_onnx(model: str) -> Any:
    """Return the ONNX graph of a model, with names for batch and sequence."""
    import torch

    made = build(model)
    made.config.use_cache = False
    if model == "mixtral":
        made.config._experts_implementation = "batched_mm"  # the grouped product has no ONNX form
    if model == "vit":
        edge = config_of(model)["image_size"]
        inputs, axes = {"pixel_values": torch.randn(BATCH, 3, edge, edge)}, {0: "batch"}
    else:
        inputs, axes = {"input_ids": torch.zeros(BATCH, SEQ_LEN, dtype=torch.long)}, {0: "batch", 1: "sequence"}
    shapes = dict.fromkeys(inputs, axes)
    program = torch.onnx.export(made, (), kwargs=inputs, dynamo=True, dynamic_shapes=shapes, verbose=False)
    return program.model_proto


def without_weights(proto: Any) -> bytes:
    """Return a graph's bytes without bulk data, text about its making, and shapes that the reader finds itself."""
    from hwsim.workload.graph.onnx_file import KEPT_DATA

    del proto.graph.value_info[:]
    del proto.metadata_props[:]
    for entry in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del entry.metadata_props[:]
    for tensor in proto.graph.initializer:
        if tensor.ByteSize() > KEPT_DATA:
            tensor.ClearField("raw_data")
    for node in proto.graph.node:
        node.ClearField("doc_string")
        kept = [entry for entry in node.metadata_props if entry.key == _SCOPES]
        del node.metadata_props[1:]
        if kept:
            node.metadata_props[0].CopyFrom(kept[0])
        else:
            del node.metadata_props[:]
    data: bytes = proto.SerializeToString()
    return data


def saved_tensors(model: str) -> dict[str, tuple[str, list[int]]]:
    """Return dtype and shape of each tensor of the checkpoint that transformers saves."""
    import tempfile

    from safetensors import safe_open

    with tempfile.TemporaryDirectory() as folder:
        build(model).save_pretrained(folder)
        with safe_open(str(Path(folder) / "model.safetensors"), "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (one.get_dtype(), one.get_shape()) for name, one in slices.items()}


def recorded_tensors(model: str) -> dict[str, tuple[str, list[int]]]:
    """Return dtype and shape of each tensor of a model's checkpoint, as stored."""
    found: dict[str, tuple[str, list[int]]] = json.loads((FOLDER / "tensors.json").read_text())[model]
    return found


def main() -> None:
    """Write the ONNX graphs, the recorded GEMMs and the tensors of checkpoints."""
    import torch
    import transformers

    from hwsim.workload.importers.base import IMPORTERS, Request
    from hwsim.workload.phase import Phase

    source = f"recorded: torch {torch.__version__}, transformers {transformers.__version__}, meta device"
    rows: list[tuple[Any, ...]] = []
    for model in MODELS:
        (FOLDER / f"{model}.onnx").write_bytes(without_weights(export_onnx(model)))
        tokens = None if model == "vit" else SEQ_LEN
        request = Request(Phase(tokens=tokens, batch=BATCH), name=model)
        trace = IMPORTERS.get("torch").read(f"python:tests.support.graph_models.{model}", request)
        rows += [(model, *key, count, source) for key, count in sorted(gemm_multiset(trace).items())]
    with (FOLDER / "torch_gemms.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("model", *COLUMNS, "count", "source"), *rows])
    tensors = {"source": f"transformers {transformers.__version__} save_pretrained"}
    tensors |= {model: saved_tensors(model) for model in MODELS}
    (FOLDER / "tensors.json").write_text(json.dumps(tensors, separators=(",", ":")) + "\n")


def __getattr__(name: str) -> Any:
    """Make the name of a model what ``python:`` takes: a function that builds it."""
    if name in MODELS:
        return lambda: build(name)
    raise AttributeError(name)


if __name__ == "__main__":
    main()
