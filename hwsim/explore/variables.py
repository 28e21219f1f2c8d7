"""Fields of an architecture as the variables of an expression, by their dotted path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwsim.explore.labels import value_text
from hwsim.explore.values import base_number
from hwsim.spec.document import has_part


def dotted_leaves(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted path of every field, mappings included: ``pe`` and ``pe.family``."""
    for key, value in data.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in dotted_leaves(value))
        elif isinstance(value, (list, tuple)):
            below_list = {str(i): item for i, item in enumerate(value)}
            yield from (f"{key}.{below}" for below in dotted_leaves(below_list))


class Fields(Mapping[str, Any]):
    """An architecture's fields as variables: ``fields["memories.weights.size"]``.

    Quantities are numbers in their base unit; a mapping is its short text, so that
    ``pe == 'float_mac fp16'`` can be asked. A field that this design lacks is None.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __getitem__(self, name: str) -> Any:
        current: Any = self._data
        for key in name.split("."):
            part: Any = int(key) if isinstance(current, list) and key.isdecimal() else key
            if not has_part(current, part):
                return None
            current = current[part]
        return value_text(current) if isinstance(current, Mapping) else base_number(current)

    def __iter__(self) -> Iterator[str]:
        return dotted_leaves(self._data)

    def __len__(self) -> int:
        return sum(1 for _ in self)
