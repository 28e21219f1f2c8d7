"""What to run, as written in YAML or on the command line, and how it becomes a trace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from hwsim.spec.bind import Spec, as_value_error, bind, validate_mapping
from hwsim.spec.document import load_document
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.importers.csv import read_trace_csv
from hwsim.workload.importers.hf_config import build_trace, read_config
from hwsim.workload.phase import Causal, LmHead, Phase, PhaseKind
from hwsim.workload.policy import Policy, apply_overrides, apply_policy, read_overrides
from hwsim.workload.trace import Trace
from hwsim.workload.zoo import find_model, model_config, model_names

YAML_SUFFIXES = (".yaml", ".yml")
SUFFIXES = (".csv", ".json", *YAML_SUFFIXES)

#: Fields that shape a model's run and mean nothing for a trace that is written out.
SHAPING = ("phase", "seq_len", "context", "batch", "causal", "lm_head")

ModelName = Annotated[str, AfterValidator(as_value_error(lambda name: find_model(name).name))]


class WorkloadSpec(Spec):
    """One workload: a model by name, a ``config.json`` or a trace CSV, and what is run of it."""

    model: ModelName | None = Field(None, description="a model that hwsim ships: hwsim list model")
    config: str | None = Field(None, description="path of a Hugging Face config.json")
    trace: str | None = Field(None, description="path of a trace CSV")
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
    policy: str | dict[str, Any] | None = Field(
        None, description="formats: a name such as w4a16_g128 or a mapping; default: the architecture's"
    )
    overrides: list[dict[str, str]] = Field(
        default=[], description="formats of some layers: {match: GLOB of layer or role, w_format: …}"
    )

    @model_validator(mode="after")
    def _consistent(self) -> WorkloadSpec:
        named = [key for key in ("model", "config", "trace") if getattr(self, key) is not None]
        if len(named) != 1:
            raise ValueError(f"name exactly one of model, config, trace, not {' and '.join(named) or 'none'}")
        stray = "context" if self.phase == "prefill" else "seq_len"
        if getattr(self, stray) is not None:
            right = {"context": "seq_len", "seq_len": "context"}[stray]
            raise ValueError(f"{stray} has no meaning in {self.phase}; use {right}")
        shaped = [key for key in SHAPING if key in self.model_fields_set]
        if self.trace is not None and shaped:
            raise ValueError(f"a trace is fixed; {', '.join(shaped)} cannot change it")
        return self

    @model_validator(mode="after")
    def _known_formats(self) -> WorkloadSpec:
        def check(spec: WorkloadSpec) -> WorkloadSpec:
            spec.find_policy()
            read_overrides(spec.overrides)
            return spec

        return as_value_error(check)(self)

    def find_policy(self) -> Policy | None:
        """Return the policy that :attr:`policy` names; UsageError if it is unknown."""
        if self.policy is None:
            return None
        return Policy.parse(self.policy) if isinstance(self.policy, str) else Policy.from_mapping(self.policy)

    def to_phase(self) -> Phase:
        """Return what is run of the model."""
        tokens = self.context if self.phase == "decode" else self.seq_len
        return Phase(self.phase, tokens, self.batch, self.causal, self.lm_head)


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
        If the name is unknown or the model has no such phase.
    SpecError
        With every mistake of the file.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(workload, WorkloadSpec):
        spec = workload
        if given:
            spec = validate_mapping({**workload.model_dump(exclude_unset=True), **given}, WorkloadSpec, "workload")
    elif isinstance(workload, Mapping):
        spec = validate_mapping({**workload, **given}, WorkloadSpec, "workload")
    elif Path(workload).suffix.lower() in YAML_SUFFIXES:
        folder = folder or Path(workload).parent
        spec = bind(load_document(workload).with_overrides(given), WorkloadSpec)
    else:
        source = _source(workload)
        spec = validate_mapping({**source, **given}, WorkloadSpec, str(workload))
    return spec_to_trace(spec, Path(folder or "."))


def _source(workload: str | Path) -> dict[str, str]:
    """Tell what a bare word or path means: a model, or a config or trace file."""
    path = Path(workload)
    kind = {".csv": "trace", ".json": "config"}.get(path.suffix.lower())
    if kind is not None:
        return {kind: str(workload)}
    if (path / "config.json").is_file() and (isinstance(workload, Path) or len(path.parts) > 1):
        return {"config": str(path / "config.json")}
    if isinstance(workload, Path) or path.is_file() or len(path.parts) > 1:
        raise UsageError(f"{workload}: unknown kind of workload file; valid: {', '.join(SUFFIXES)}, or a model name")
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
    if spec.overrides:
        trace = apply_overrides(trace, read_overrides(spec.overrides))
    policy = spec.find_policy()
    return apply_policy(trace, policy) if policy is not None else trace


def _source_trace(spec: WorkloadSpec, folder: Path) -> Trace:
    if spec.trace is not None:
        return read_trace_csv(_existing(folder / spec.trace))
    if spec.config is not None:
        path = _existing(folder / spec.config)
        return build_trace(read_config(path), spec.to_phase(), _config_name(path), str(path))
    model = find_model(str(spec.model))
    return build_trace(model_config(model.name), spec.to_phase(), model.name, f"{model.file}: {model.source}")


def _config_name(path: Path) -> str:
    """Name a model after its file, or after its folder when the file is called ``config.json``."""
    return path.resolve().parent.name if path.name == "config.json" else path.stem


def _existing(path: Path) -> Path:
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        near = did_you_mean(path.name, siblings)
        raise UsageError(f"{path}: no such file; {near}; models by name: {', '.join(model_names()[:4])}, …")
    return path
