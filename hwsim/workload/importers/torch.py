"""Modules of PyTorch: run once on the meta device, without weights, and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hwsim.spec.errors import UsageError
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace

_WHOLE = ("batch", "seq_len", "image_size", "channels")


class TorchModule(Importer):
    """What a function returns: a module, a module with its inputs, or a configuration of transformers."""

    summary = "a PyTorch module that Python makes"
    schemes = ("python:",)
    shaped = True
    settings: ClassVar[Mapping[str, str] | None] = {
        "batch": "sequences or images in parallel",
        "seq_len": "tokens of each sequence",
        "image_size": "pixels of an image's edge",
        "channels": "channels of an image",
        "dtype": "float32, float16 or bfloat16: of weights and images",
    }

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace of one forward pass, named after the function."""
        from hwsim.workload.graph.python_source import check_source
        from hwsim.workload.graph.torch_load import Sizes, import_torch, make_module

        values = {name: _whole(name, request.settings[name]) for name in _WHOLE if name in request.settings}
        phase = request.phase
        _refuse_shaping(phase)
        sizes = Sizes(**{"batch": phase.batch, "seq_len": phase.tokens, **values})  # type: ignore[arg-type]
        try:
            check_source(source)
        except UsageError as error:
            raise UsageError(f"source: {error}") from None
        import_torch()
        module, args, kwargs = make_module(source, sizes, str(request.settings.get("dtype", "")))
        from hwsim.workload.graph.torch_run import run

        collected = run(module, args, kwargs)
        name = request.name or source.rpartition(":")[2].rpartition(".")[2]
        meta = {"model": name, "source": source, "phase": phase.kind, "batch": sizes.batch}
        return collected.trace(f"{name} {phase.kind}", meta)


def _whole(name: str, value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 1 <= int(text[:12]) <= 1 << 24:
        raise UsageError(f"settings: {name} must be a whole number from 1 to {1 << 24:,}, not {value!r}")
    return int(text)


def _refuse_shaping(phase: Phase) -> None:
    """Refuse what would need another forward pass than the module's own."""
    if phase.decode:
        raise UsageError("phase: a module runs as it is; for a decode step, return (module, inputs) with its cache")
    for name in ("causal", "lm_head"):
        if getattr(phase, name) != getattr(Phase(), name):
            raise UsageError(f"{name}: a module runs as it is; a config.json has this choice")


IMPORTERS.register("torch")(TorchModule())
