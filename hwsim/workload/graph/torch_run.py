"""A recorded run of a user's module, with what goes wrong in it told in one line."""

from __future__ import annotations

from typing import Any

from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.python_source import blaming


def run(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Collector:
    """Run ``module`` once and return what it ran; UsageError if it fails or runs what is not understood."""
    from hwsim.workload.graph.torch_record import record

    with blaming("fails when it runs on the meta device, where tensors have no values"):
        return record(module, args, kwargs)
