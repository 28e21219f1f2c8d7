"""ONNX graphs: every product, with the formats of quantized operands; weights stay on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.workload.importers.base import IMPORTERS, Importer, Request
from hwsim.workload.trace import Trace


class OnnxGraph(Importer):
    """A graph whose extents are numbers, or names with a setting each."""

    summary = "an ONNX graph"
    suffixes = (".onnx",)
    settings: ClassVar[Mapping[str, str] | None] = None

    def read(self, source: str, request: Request) -> Trace:
        """Return the trace of the graph, named after the file."""
        from hwsim.workload.graph.onnx_file import read_onnx
        from hwsim.workload.graph.onnx_graph import GraphReader
        from hwsim.workload.graph.onnx_symbols import whole_settings

        values = whole_settings(request.settings)
        model = read_onnx(source)
        name = request.name or Path(source).stem
        try:
            collected = GraphReader(model).read(values)
            label = " ".join([name, *(f"{key}={value}" for key, value in values.items())])
            return collected.trace(label, {"model": name, "source": source, **values})
        except SpecError:
            raise
        except UsageError as error:
            if str(error).startswith("settings:"):
                raise
            raise SpecError([Problem(source, 0, 0, "", str(error))]) from None


IMPORTERS.register("onnx")(OnnxGraph())
