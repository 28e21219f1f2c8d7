"""What to run, as written in YAML or on the command line, and how it becomes a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from hwsim.formats.own import look_beside
from hwsim.spec.bind import Spec, as_value_error, bind
from hwsim.spec.document import Document, load_document, plain
from hwsim.spec.errors import Problem, SpecError, UsageError
from hwsim.spec.text import exists, unreadable
from hwsim.workload.importers.base import (
    IMPORTERS,
    Request,
    check_settings,
    find_importer,
    possible_importers,
    source_endings,
)
from hwsim.workload.importers.hf_config import build_trace
from hwsim.workload.importers.yaml_rows import OpRow, rows_trace
from hwsim.workload.phase import Causal, LmHead, Phase, PhaseKind
from hwsim.workload.policy import Policy, apply_overrides, apply_policy, read_overrides
from hwsim.workload.trace import Trace
from hwsim.workload.zoo import find_model, model_config

YAML_SUFFIXES = (".yaml", ".yml")

#: Fields of which a workload has exactly one.
SOURCES = ("model", "config", "trace", "source", "ops")
#: Fields that name their importer.
IMPORTER_OF = {"config": "hf_config", "trace": "csv", "ops": "csv"}
#: What messages call the place of the options that replace fields.
OPTIONS = "options"

#: Fields that shape a model's run and mean nothing for a trace that is written out.
SHAPING = ("phase", "seq_len", "context", "batch", "causal", "lm_head")


def _known_policy(policy: str | dict[str, Any]) -> str | dict[str, Any]:
    _parse_policy(policy)
    return policy


def _known_override(entry: dict[str, str]) -> dict[str, str]:
    read_overrides([entry])
    return entry


ModelName = Annotated[str, AfterValidator(as_value_error(lambda name: find_model(name).name))]
PolicyName = Annotated[str | dict[str, Any], AfterValidator(as_value_error(_known_policy))]
OverrideEntry = Annotated[dict[str, str], AfterValidator(as_value_error(_known_override))]


class WorkloadSpec(Spec):
    """One workload: a model by name, a ``config.json`` or a trace CSV, and what is run of it."""

    model: ModelName | None = Field(None, description="a model that hwsim ships: hwsim list model")
    config: str | None = Field(None, description="path of a Hugging Face config.json")
    trace: str | None = Field(None, description="path of a trace CSV")
    source: str | None = Field(
        None, description="path of any other file that hwsim trace reads, or what python: names: hwsim list importer"
    )
    ops: list[OpRow] | None = Field(
        None, min_length=1, description="the operations themselves, with the columns of a trace CSV as fields"
    )
    settings: dict[str, Any] = Field({}, description="further values that the importer of a source takes, by name")
    name: str | None = Field(None, min_length=1, description="what tables call it; default: model, phase, length")
    phase: PhaseKind = Field("prefill", description="prefill: a whole prompt or image; decode: one token")
    seq_len: int | None = Field(
        None, ge=1, le=1 << 24, description="tokens of a prefill; default: 2048 or the model's maximum"
    )
    context: int | None = Field(
        None, ge=1, le=1 << 24, description="cached tokens of a decode step; default as seq_len"
    )
    batch: int = Field(1, ge=1, le=1 << 20, description="sequences or images in parallel")
    causal: Causal = Field("full", description="scores of a prefill: all S*S, or the half that the mask keeps")
    lm_head: LmHead = Field("all", description="positions that the LM head sees in a prefill")
    policy: PolicyName | None = Field(
        None, description="formats: a name such as w4a16_g128 or a mapping; default: the architecture's"
    )
    overrides: list[OverrideEntry] = Field(
        [], description="formats of some layers: {match: GLOB of layer or role, w_format: …}"
    )

    @model_validator(mode="after")
    def _consistent(self) -> WorkloadSpec:
        named = [key for key in SOURCES if getattr(self, key) is not None]
        if not named:
            raise ValueError(f"missing: name exactly one of {', '.join(SOURCES)}")
        if len(named) > 1:
            raise ValueError(f"{named[-1]}: name exactly one of {', '.join(SOURCES)}, not {' and '.join(named)}")
        stray, right = ("context", "seq_len") if self.phase == "prefill" else ("seq_len", "context")
        if getattr(self, stray) is not None:
            raise ValueError(f"{stray}: has no meaning in {self.phase}; use {right}")
        importer = self.importer
        shaped = [key for key in SHAPING if key in self.model_fields_set]
        if importer is not None and shaped and not IMPORTERS.get(importer).shaped:
            what = "a trace" if importer == "csv" else IMPORTERS.get(importer).summary
            raise ValueError(f"{shaped[0]}: {what} is fixed; {', '.join(shaped)} cannot change it")
        if self.settings and importer is None:
            raise ValueError(f"settings: a model by name takes none; valid: {', '.join(SHAPING)}")
        # Which of several importers reads a file is known once its folder is.
        if importer is not None and (self.source is None or len(possible_importers(self.source)) == 1):
            as_value_error(check_settings)(importer, self.settings)
        return self

    @property
    def importer(self) -> str | None:
        """The name of the importer that reads the source; None for a model by name.

        Raises
        ------
        ValueError
            If no importer knows the kind of file.
        """
        field = next(key for key in SOURCES if getattr(self, key) is not None)
        if field != "source":
            return IMPORTER_OF.get(field)
        name = find_importer(str(self.source))
        if name is None:
            raise ValueError(f"source: {self.source}: unknown kind of file; valid: {', '.join(source_endings())}")
        return name

    def find_policy(self) -> Policy | None:
        """Return the policy that :attr:`policy` names; UsageError if it is unknown."""
        return None if self.policy is None else _parse_policy(self.policy)

    def to_phase(self) -> Phase:
        """Return what is run of the model."""
        tokens = self.context if self.phase == "decode" else self.seq_len
        return Phase(self.phase, tokens, self.batch, self.causal, self.lm_head)


def _parse_policy(policy: str | Mapping[str, Any]) -> Policy:
    return Policy.parse(policy) if isinstance(policy, str) else Policy.from_mapping(policy)


def load_workload(
    workload: WorkloadSpec | Mapping[str, Any] | str | Path, *, folder: str | Path | None = None, **options: Any
) -> Trace:
    """Return the trace of a workload.

    Parameters
    ----------
    workload
        A :class:`WorkloadSpec` or its fields; or the name of a shipped model; or the path of a
        ``config.json`` (or its folder), a trace ``.csv`` or a workload ``.yaml``.
    folder
        Where relative paths inside a spec start; a YAML file's own folder by default.
    **options
        Fields of :class:`WorkloadSpec` that replace those of the workload, such as ``phase``,
        ``seq_len``, ``context``, ``batch``; ``None`` counts as not given.

    Raises
    ------
    UsageError
        If the name is unknown.
    SpecError
        With every mistake, at its place in the file; also if the model has no such phase.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if not isinstance(workload, (WorkloadSpec, Mapping)) and Path(workload).suffix.lower() in YAML_SUFFIXES:
        folder = folder or Path(workload).parent
        look_beside(workload)
        document = load_document(workload)
    else:
        document = _without_file(workload)
    return document_to_trace(document.with_overrides(given, OPTIONS) if given else document, Path(folder or "."))


def _without_file(workload: WorkloadSpec | Mapping[str, Any] | str | Path) -> Document:
    """Return the fields of a workload that no YAML file gives."""
    if isinstance(workload, WorkloadSpec):
        return Document("workload", workload.model_dump(exclude_unset=True))
    if isinstance(workload, Mapping):
        return Document("workload", plain(workload))
    return Document(str(workload), _source(workload))


def document_to_trace(document: Document, folder: Path) -> Trace:
    """Return the trace that the fields of ``document`` describe; relative paths start at ``folder``.

    Raises
    ------
    SpecError
        With every mistake, each at its place.
    """
    spec = bind(document, WorkloadSpec)
    with document.blame():
        return spec_to_trace(spec, folder)


def _source(workload: str | Path) -> dict[str, str]:
    """Tell what a bare word or path means: a model, or a config or trace file."""
    path = Path(workload)
    importer = find_importer(str(workload))
    if importer is not None:
        reason = None if _has_scheme(str(workload), importer) else unreadable(path)
        if reason is not None:
            raise SpecError([Problem(str(workload), 0, 0, "", reason)])
        field = next((field for field, name in IMPORTER_OF.items() if name == importer), "source")
        return {field: str(workload)}
    if exists(path / "config.json") and (isinstance(workload, Path) or len(path.parts) > 1):
        return {"config": str(path / "config.json")}
    if isinstance(workload, Path) or len(path.parts) > 1 or (exists(path) and path.is_file()):
        valid = (*source_endings(), *YAML_SUFFIXES)
        raise UsageError(f"{workload}: unknown kind of workload file; valid: {', '.join(valid)}, or a model name")
    return {"model": find_model(workload).name}


def spec_to_trace(spec: WorkloadSpec, folder: Path) -> Trace:
    """Return the trace that ``spec`` describes; relative paths start at ``folder``.

    Raises
    ------
    UsageError
        If a file is missing, the model has no such phase, or an override matches nothing.
    """
    trace = _source_trace(spec, folder)
    if spec.name is not None:
        trace = Trace(spec.name, trace.ops, trace.meta)
    with _in_field("overrides"):
        trace = apply_overrides(trace, read_overrides(spec.overrides))
    policy = spec.find_policy()
    with _in_field("policy"):
        return apply_policy(trace, policy) if policy is not None else trace


@contextmanager
def _in_field(field: str) -> Iterator[None]:
    """Begin the message of a UsageError with the field that caused it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{field}: {error}") from error


def _source_trace(spec: WorkloadSpec, folder: Path) -> Trace:
    if spec.importer is None:
        model = find_model(str(spec.model))
        return build_trace(model_config(model.name), spec.to_phase(), model.name, f"{model.file}: {model.source}")
    if spec.ops is not None:
        return rows_trace(spec.ops)
    field = next(key for key in SOURCES if getattr(spec, key) is not None)
    source, importer = str(getattr(spec, field)), spec.importer
    if not _has_scheme(source, importer):
        source = str(_readable(field, folder / source))
        importer = find_importer(source) or importer if field == "source" else importer
    check_settings(importer, spec.settings)
    return IMPORTERS.get(importer).read(source, Request(spec.to_phase(), settings=spec.settings))


def _has_scheme(source: str, importer: str) -> bool:
    """Whether ``source`` is no file but something that ``importer`` knows by its beginning."""
    schemes = IMPORTERS.get(importer).schemes
    return bool(schemes) and source.startswith(schemes)


def _readable(field: str, path: Path) -> Path:
    reason = unreadable(path)
    if reason is not None:
        raise UsageError(f"{field}: {str(path)!r}: {reason}")
    return path
