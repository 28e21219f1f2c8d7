"""hwsim: what a number format and a processing element cost on a whole accelerator.

>>> import hwsim
>>> result = hwsim.run("systolic_32x32_28nm", "llama-2-7b", phase="decode")
>>> result.frame  # the layer table, a pandas DataFrame

The functions mirror the command line; each returns an object whose ``frame`` is a DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.explore.api import compare_formats, load_trace, pe_costs, run, sweep

__all__ = ["compare_formats", "load_trace", "pe_costs", "run", "sweep"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line needs this package at once, pandas and pydantic late.
    if name not in __all__:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    from hwsim.explore import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
