"""ONNX graphs: every product, with the formats of quantized operands; weights stay on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
            _check_extents(values, collected.empty)
            label = " ".join([name, *(f"{key}={value}" for key, value in values.items())])
            return collected.trace(label, {"model": name, "source": source, **values})
        except SpecError:
            raise
        except UsageError as error:
            if str(error).startswith("settings:"):
                raise
            raise SpecError([Problem(source, 0, 0, "", str(error))]) from None


def _check_extents(values: Mapping[str, int], empty: Sequence[str]) -> None:
    """Refuse extents of 0 that leave products with nothing to compute; a cache may be that long.

    Raises
    ------
    UsageError
        With the settings that are 0.
    """
    zero = [name for name, value in values.items() if not value]
    if zero and empty:
        verb = "leave" if len(zero) > 1 else "leaves"
        given = ", ".join(f"{name}=0" for name in zero)
        raise UsageError(f"settings: {given} {verb} {empty[0]} nothing to multiply; valid: at least 1")


IMPORTERS.register("onnx")(OnnxGraph())
