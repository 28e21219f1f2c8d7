"""The sweep file as a model: its fields, how each may be written, what each must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from hwsim.explore.constraints import parse_condition
from hwsim.explore.metrics import ALL_METRICS, Direction
from hwsim.explore.search import SEARCHES
from hwsim.explore.space import Axis
from hwsim.explore.values import expand_axis, expand_values
from hwsim.spec.bind import Spec
from hwsim.spec.errors import did_you_mean


def _form_schema(form: str, third: str) -> dict[str, Any]:
    items = {"type": "array", "minItems": 3, "maxItems": 3, "description": f"[first, last, {third}]"}
    return {"type": "object", "properties": {form: items}, "required": [form], "additionalProperties": False}


_AXIS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "minItems": 1},
        _form_schema("range", "step"),
        _form_schema("linear", "count"),
        _form_schema("geometric", "count"),
    ],
    "examples": [[16, 32, 64], {"geometric": ["64 KiB", "2 MiB", 6]}],
}
_GROUP_SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": _AXIS_SCHEMA}
_ZIP_SCHEMA: dict[str, Any] = {"anyOf": [_GROUP_SCHEMA, {"type": "array", "items": _GROUP_SCHEMA}]}


def _known_metric(name: str) -> str:
    if name not in ALL_METRICS:
        raise ValueError(f"unknown metric {name!r}; {did_you_mean(name, ALL_METRICS)}")
    return name


def _known_search(name: str) -> str:
    SEARCHES.get(name)
    return name


def _known_engine(name: str) -> str:
    from hwsim.simulate.engine import ENGINES

    ENGINES.get(name)
    return name


def _condition(text: str) -> str:
    return parse_condition(text).text


def _some(written: Any) -> Any:
    # A minimum length would also be missed, says pydantic, by one workload that is wrong itself.
    if written == []:
        raise ValueError("found no workloads; valid: at least one")
    return written


def _groups(written: Any) -> Any:
    """One group may be written without its list."""
    return [written] if isinstance(written, Mapping) else written


AxisValues = Annotated[tuple[Any, ...], BeforeValidator(expand_axis), WithJsonSchema(_AXIS_SCHEMA)]
Workloads = Annotated[tuple[str | dict[str, Any], ...], BeforeValidator(_some)]
Condition = Annotated[str, AfterValidator(_condition)]
Engine = Annotated[str, AfterValidator(_known_engine)]
Metric = Annotated[str, AfterValidator(_known_metric)]
Method = Annotated[str, AfterValidator(_known_search)]
#: One path of a zip; it may hold a value twice, because other paths tell the steps apart.
ZipValues = Annotated[tuple[Any, ...], BeforeValidator(expand_values)]
ZipGroups = Annotated[tuple[dict[str, ZipValues], ...], BeforeValidator(_groups), WithJsonSchema(_ZIP_SCHEMA)]


class LatinHypercubeSpec(Spec):
    """A random subset of the designs that uses every axis evenly."""

    samples: int = Field(ge=1, le=10_000_000, description="designs to draw")
    seed: int = Field(0, description="another seed, another draw")


class SearchSpec(Spec):
    """How the space is searched."""

    method: Method = "exhaustive"


class SweepSpec(Spec):
    """A sweep file."""

    name: str = Field(min_length=1, description="what tables and reports call the sweep")
    description: str = ""
    base: str = Field(description="architecture file that every design starts from, relative to this file")
    workloads: Workloads = Field(
        description="each design runs each of these; a mapping, or the path of a workload file",
        json_schema_extra={"minItems": 1},
    )
    engine: Engine = Field("fast", description="the engine that turns schedules into cycles")
    grid: dict[str, AxisValues] = Field({}, description="dotted path of the architecture: its values; all combinations")
    zip: ZipGroups = Field((), description="paths that advance together; one mapping or a list of them")
    tie: dict[str, str] = Field({}, description="path: swept path whose value it copies")
    latin_hypercube: LatinHypercubeSpec | None = Field(None, description="sample the grid instead of running all")
    constraints: tuple[Condition, ...] = Field((), description="conditions on fields and metrics")
    objectives: dict[Metric, Direction] | None = Field(
        None,
        min_length=1,
        description="metric: min or max; default: energy_mj and latency_ms, on FPGA devices lut6 and latency_ms, in a "
        "sweep of both latency_ms and sqnr_db",
    )
    search: SearchSpec = SearchSpec()

    def axes(self) -> list[Axis]:
        """Return the swept fields in the order of the file, grid first."""
        single = [Axis((path,), tuple((value,) for value in values)) for path, values in self.grid.items()]
        return [*single, *(Axis(tuple(g), tuple(zip(*g.values(), strict=True))) for g in self.zip if g)]
