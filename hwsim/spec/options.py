"""Reading plain values from the options of a YAML entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.spec.errors import UsageError


def take_count(options: Mapping[str, Any], key: str, default: int, valid: range, where: str = "") -> int:
    """Return the whole number ``options[key]``, one of ``valid``; ``where`` stands before the key in errors.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    found = options.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or found not in valid:
        span = f"{valid.start} to {valid.stop - 1}"
        raise UsageError(f"{where}{key}: must be a whole number from {span}, not {found!r}; valid: {span}")
    return found
