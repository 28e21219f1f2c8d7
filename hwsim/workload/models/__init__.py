"""Architectures: one file per family, found by the registry.

A family is a function ``(config, phase) -> Trace``, filed under the ``model_type`` of Hugging
Face's ``config.json``.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.spec.registry import Registry
from hwsim.workload.config import Config
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace

Family = Callable[[Config, Phase], Trace]

FAMILIES: Registry[Family] = Registry("model family", "hwsim.workload.models")
