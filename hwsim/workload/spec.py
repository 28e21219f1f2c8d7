"""What to run, as written in YAML or on the command line; :mod:`hwsim.workload.loading` makes its trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hwsim.spec.bind import Spec, as_value_error
from hwsim.workload.importers.base import (
    IMPORTERS,
    check_settings,
    find_importer,
    possible_importers,
    source_endings,
)
from hwsim.workload.importers.yaml_rows import OpRow
from hwsim.workload.naming import IMPORTER_OF
from hwsim.workload.phase import Causal, LmHead, Phase
from hwsim.workload.phases import PHASES, Basic, Build, Run
from hwsim.workload.phases.mixed import Request as BatchRequest
from hwsim.workload.phases.mixed import read_request
from hwsim.workload.phases.training import Recompute
from hwsim.workload.policy import Policy, read_overrides
from hwsim.workload.trace import Trace
from hwsim.workload.training.optimizer import find_optimizer
from hwsim.workload.training.recipe import recipe_names
from hwsim.workload.zoo import find_model

#: Fields of which a workload has exactly one.
SOURCES = ("model", "config", "trace", "source", "ops")
#: The phases that a family of models knows itself, and the field with their length; all others are made of these.
BASIC = {"prefill": "seq_len", "decode": "context"}

#: What a workload can run: the basic phases and those of :data:`~hwsim.workload.phases.PHASES`.
PhaseName = Literal["prefill", "decode", "chunked_prefill", "generation", "mixed", "speculative", "training"]

#: Fields that every basic phase takes.
_COMMON = ("phase", "batch", "causal", "lm_head")

#: Fields that shape a model's run and mean nothing for a trace that is written out.
SHAPING = (
    *_COMMON, "seq_len", "context", "chunk", "new_tokens", "draft", "draft_tokens", "acceptance", "requests",
    "recompute", "optimizer",
)  # fmt: skip

#: Of these, what a training step of a trace that is written out takes.
_ON_FIXED = ("phase", "recompute", "optimizer")


def _known_policy(policy: str | dict[str, Any]) -> str | dict[str, Any]:
    if policy not in recipe_names():
        _parse_policy(policy)
    return policy


def _known_override(entry: dict[str, Any]) -> dict[str, Any]:
    read_overrides([entry])
    return entry


def _known_optimizer(name: str) -> str:
    find_optimizer(name)
    return name


ModelName = Annotated[str, AfterValidator(as_value_error(lambda name: find_model(name).name))]
PolicyName = Annotated[str | dict[str, Any], AfterValidator(as_value_error(_known_policy))]
RequestEntry = Annotated[BatchRequest, BeforeValidator(as_value_error(read_request))]
OptimizerName = Annotated[str, AfterValidator(as_value_error(_known_optimizer))]
OverrideEntry = Annotated[dict[str, Any], AfterValidator(as_value_error(_known_override))]


class WorkloadSpec(Spec):
    """One workload: a model by name, a ``config.json`` or a trace CSV, and what is run of it."""

    model: ModelName | None = Field(None, description="a model that hwsim ships: hwsim list model")
    config: str | None = Field(None, description="path of a Hugging Face config.json")
    trace: str | None = Field(None, description="path of a trace CSV")
    source: str | None = Field(
        None,
        description="path of any other file that hwsim trace reads, of a folder with a model, or what python: names: "
        "hwsim list importer",
    )
    ops: list[OpRow] | None = Field(
        None, min_length=1, description="the operations themselves, with the columns of a trace CSV as fields"
    )
    settings: dict[str, Any] = Field(
        {}, description="keys of a model's config.json that differ, or what else the importer of a source takes"
    )
    name: str | None = Field(None, min_length=1, description="what tables call it; default: model, phase, length")
    phase: PhaseName = Field(
        "prefill",
        description="prefill: a whole prompt or image; decode: one token; chunked_prefill: a prompt in chunks; "
        "generation: a prefill and decode steps; speculative: a draft proposes, the model verifies; "
        "mixed: a continuous batch; training: forward, gradients and update of one step",
    )
    seq_len: int | None = Field(
        None, ge=1, le=1 << 24, description="tokens of a prefill; default: 2048 or the model's maximum"
    )
    context: int | None = Field(
        None, ge=1, le=1 << 24, description="cached tokens of a decode step; default as seq_len"
    )
    chunk: int | None = Field(None, ge=1, le=1 << 24, description="tokens of a chunk in chunked_prefill")
    new_tokens: int | None = Field(None, ge=1, le=1 << 24, description="decode steps of a generation")
    draft: str | None = Field(None, description="the model that proposes in speculative: a name or a config.json")
    draft_tokens: int | None = Field(None, ge=1, le=1 << 16, description="tokens that the draft proposes per step")
    acceptance: float | None = Field(None, ge=0, le=1, description="share of proposed tokens that are accepted")
    requests: list[RequestEntry] | None = Field(
        None, description="sequences of a mixed batch: {phase, tokens, context, count}, or as text decode@2048x8"
    )
    recompute: Recompute | None = Field(
        None, description="in training, forward operations that run again instead of being kept; default: none"
    )
    optimizer: OptimizerName | None = Field(None, description="in training: adam (default), adam_8bit, sgd, none …")
    batch: int = Field(1, ge=1, le=1 << 20, description="sequences or images in parallel")
    causal: Causal = Field("full", description="scores of a prefill: all S*S, or the half that the mask keeps")
    lm_head: LmHead = Field("all", description="positions that the LM head sees in a prefill")
    policy: PolicyName | None = Field(
        None, description="formats: a name, a mapping, or a recipe of training; default: the architecture's"
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
        self._check_fields()
        importer = self.importer
        free = _ON_FIXED if self.phase == "training" else ()
        shaped = [key for key in SHAPING if key in self.model_fields_set and key not in free]
        if importer is not None and shaped and not IMPORTERS.get(importer).shaped:
            what = "a trace" if importer == "csv" else IMPORTERS.get(importer).summary
            raise ValueError(f"{shaped[0]}: {what} is fixed; {', '.join(shaped)} cannot change it")
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

    def _check_fields(self) -> None:
        """Refuse fields of other phases, and what a phase itself refuses."""
        takes = self._fields_of_phase()
        for key in SHAPING:
            if key in self.model_fields_set and getattr(self, key) is not None and key not in ("phase", *takes):
                right = BASIC.get(self.phase) or ", ".join(takes)
                raise ValueError(f"{key}: has no meaning in {self.phase}; use {right}")
        if self._recipe and self.phase != "training":
            raise ValueError(f"policy: {self.policy} is a recipe of phase training, not of {self.phase}")
        if self.phase not in BASIC:
            as_value_error(self.to_run)(no_model)

    def _fields_of_phase(self) -> tuple[str, ...]:
        if self.phase in BASIC:
            return (*_COMMON, BASIC[self.phase])
        names = (field.name for field in fields(PHASES.get(self.phase)))  # type: ignore[arg-type]
        return tuple(name for name in names if name in SHAPING)

    def find_policy(self) -> Policy | str | None:
        """Return the policy of the formats, by its name if it has one; None for a recipe; UsageError if unknown."""
        if self.policy is None or self._recipe:
            return None
        found = _parse_policy(self.policy)
        return self.policy if isinstance(self.policy, str) else found

    @property
    def _recipe(self) -> str | None:
        """The recipe of training that :attr:`policy` names."""
        return self.policy if isinstance(self.policy, str) and self.policy in recipe_names() else None

    def to_run(self, draft: Build) -> Run:
        """Return what is run of the model; ``draft`` makes the model that proposes, if one is named."""
        if self.phase == "prefill" or self.phase == "decode":
            tokens = self.context if self.phase == "decode" else self.seq_len
            return Basic(Phase(self.phase, tokens, self.batch, self.causal, self.lm_head))
        given = {name: getattr(self, name) for name in self._fields_of_phase() if name in self.model_fields_set}
        given = {name: draft if name == "draft" else value for name, value in given.items() if value is not None}
        if self._recipe:
            given["recipe"] = self._recipe
        return PHASES.get(self.phase)(**given)


def no_model(phase: Any) -> Trace:
    """Stand for the draft of a workload that has none, or is only checked."""
    raise AssertionError(f"no model is built while a workload is checked: {phase}")


def _parse_policy(policy: str | Mapping[str, Any]) -> Policy:
    return Policy.parse(policy) if isinstance(policy, str) else Policy.from_mapping(policy)
