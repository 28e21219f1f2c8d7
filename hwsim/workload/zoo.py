"""The models that hwsim ships: names, aliases, and a ``config.json`` with its source for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hwsim.spec.data import data_path, read_csv_rows
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.workload.quantization.base import CONFIG_KEYS


@dataclass(frozen=True)
class ZooModel:
    """One shipped model: its name, further names, config file and where the sizes come from."""

    name: str
    aliases: tuple[str, ...]
    file: str
    source: str


@lru_cache(maxsize=1)
def zoo() -> dict[str, ZooModel]:
    """Return all shipped models by name, in the order of the file."""
    return {
        row["name"]: ZooModel(row["name"], tuple(row["aliases"].split()), row["file"], row["source"])
        for row in read_csv_rows("models", "zoo.csv")
    }


def model_names() -> list[str]:
    """Return the names of all shipped models, sorted, without aliases."""
    return sorted(zoo())


def is_model(name: str) -> bool:
    """Whether a shipped model has that name or alias, in any case."""
    wanted = name.lower()
    return any(wanted in (model.name, *model.aliases) for model in zoo().values())


def find_model(name: str) -> ZooModel:
    """Return the model called ``name`` or having that alias, in any case.

    Raises
    ------
    UsageError
        If there is none; the message lists the names and the nearest one.
    """
    wanted = name.lower()
    for model in zoo().values():
        if wanted in (model.name, *model.aliases):
            return model
    raise UsageError(f"unknown model {name!r}; {did_you_mean(name, model_names())}")


def open_settings(name: str) -> dict[str, None]:
    """Return the settings that leave formats open of a shipped model whose checkpoint states some; none for others."""
    if not any(name.lower() in (model.name, *model.aliases) for model in zoo().values()):
        return {}
    return {key: None for key in model_config(name) if key in CONFIG_KEYS}


def model_config(name: str) -> dict[str, Any]:
    """Return the ``config.json`` of a shipped model.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    config: dict[str, Any] = json.loads(data_path("models", find_model(name).file).read_text(encoding="utf-8"))
    return config
