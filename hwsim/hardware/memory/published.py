"""Figures of a memory that a user gives, measured or published: they go before any model's.

Each stands for one access of the whole width, or for the whole memory; what is not given is answered by
the models. A source is part of them, and every output shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pydantic import Field, model_validator

from hwsim.hardware.memory.figures import NAMES, Answer, Macro, Story, made
from hwsim.hardware.memory.sram import Request
from hwsim.spec.bind import Spec
from hwsim.spec.errors import UsageError
from hwsim.spec.units import AreaMm2, EnergyPj, PowerW, TimeNs

M = TypeVar("M", bound=Macro)
#: Our figure by the field that gives it, and what the field's unit is in ours.
FIELDS = {
    "read_energy": ("read_pj", 1.0),
    "write_energy": ("write_pj", 1.0),
    "leakage": ("leakage_mw", 1e3),
    "area": ("area_mm2", 1.0),
    "access_time": ("access_ns", 1.0),
    "cycle_time": ("cycle_ns", 1.0),
}


class PublishedSpec(Spec):
    """Measured or published figures of a memory, which go before the models' figures."""

    source: str = Field(min_length=1, description="where the figures come from: paper and table, or what was measured")
    read_energy: EnergyPj | None = Field(None, description="of a read of the whole width")
    write_energy: EnergyPj | None = Field(None, description="of a write of the whole width")
    leakage: PowerW | None = Field(None, description="of the whole memory, at the temperature of its source")
    area: AreaMm2 | None = Field(None, description="of the whole memory")
    access_time: TimeNs | None = Field(None, description="from address to data")
    cycle_time: TimeNs | None = Field(None, description="least time from one access to the next")

    @model_validator(mode="after")
    def _some(self) -> PublishedSpec:
        if not self.figures:
            raise ValueError(f"figures: a source without any figure; valid: {', '.join(FIELDS)}")
        return self

    @property
    def whole(self) -> bool:
        """Whether no figure is left to a model."""
        return len(self.figures) == len(FIELDS)

    @property
    def figures(self) -> dict[str, float]:
        """What is given, by our names and in our units."""
        given = {name: (getattr(self, field), unit) for field, (name, unit) in FIELDS.items()}
        return {name: value * unit for name, (value, unit) in given.items() if value is not None}


def with_published(memory: M, published: PublishedSpec | None) -> M:
    """Return the memory with the figures that are given in the place of the models'."""
    if published is None:
        return memory
    given: dict[str, Any] = published.figures
    return replace(memory, **given, tell=partial(_tell, memory.tell, tuple(given), published.source))


def _tell(models: Callable[[], Story], given: tuple[str, ...], source: str) -> Story:
    how, sources, estimates = models()
    text = f"given by the user: {source.replace('; ', ', ')}"
    here = [name in given for name in NAMES]
    return Story(
        f"{', '.join(given)} given by the user" + ("" if all(here) else f", else {how}"),
        tuple(text if own else model for own, model in zip(here, sources, strict=True)),
        tuple(not own and model for own, model in zip(here, estimates, strict=True)),
    )


def published_or(published: PublishedSpec | None, kind: type[M], request: Request, model: Callable[[], M]) -> M:
    """Return what ``model`` builds with the figures that are given, or these alone where it refuses.

    Raises
    ------
    UsageError, MissingFigureError, InfeasibleError
        If the model refuses and a figure is not given; the message names those.
    """
    try:
        return with_published(model(), published)
    except UsageError as error:
        if published is None:
            raise
        fields = [field for field, (name, _) in FIELDS.items() if name not in published.figures]
        if fields:
            raise type(error)(f"{error}; figures: not given, so a model must answer: {', '.join(fields)}") from None
        given = published.figures
        story = partial(Story.of, "published figures", f"given by the user: {published.source}", False)
        logs = [math.log(given[name]) for name in NAMES]
        return made(kind, Answer(logs, story, tuple(given[name] for name in NAMES)), request._asdict().items())
