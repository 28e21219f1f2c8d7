"""A Hugging Face ``config.json``, read key by key with checks; all problems are reported at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.spec.errors import Problem, SpecError, did_you_mean, shown

#: Larger whole numbers are typing errors: no model has so many of anything.
LARGEST = 10**9
#: As many layers, experts and factors are walked one by one: DeepNet has 1,000 layers, Switch 2,048 experts.
MOST_PARTS = 1 << 12
_PARTS = re.compile("layers?(_per_block)?$|experts$|^order$|^depths$")

_QUOTED = re.compile("'([^']+)'")


@dataclass
class Config:
    """Checked access to the keys of a ``config.json``.

    A reader that meets a bad key notes it, returns a harmless value and goes on; :meth:`check`
    then raises once with all of them. Where Hugging Face's configuration class has a default,
    the family passes it as ``default``: such keys are left out of real files. Each problem quotes
    first the key that it is about.
    """

    values: Mapping[str, Any]
    source: str = "config.json"
    problems: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key as it stands, and note that the family knows the key."""
        self.known.add(key)
        return self.values.get(key, default)

    def section(self, key: str) -> Config:
        """Return the object under ``key`` as a config of its own that notes problems here."""
        value = self.get(key)
        if not isinstance(value, Mapping):
            wrong = "is missing" if value is None else f"must be an object, not {shown(value)}"
            self.problems.append(f"{key!r} {wrong}; model_type {self.model_type} needs it")
            value = {}
        return Config(value, self.source, self.problems, self.known)

    @property
    def model_type(self) -> str:
        """The architecture's name."""
        return str(self.values.get("model_type") or self.values.get("_class_name") or "")

    def integer(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        """Return a whole number from ``minimum`` to :data:`LARGEST`, or :data:`MOST_PARTS` of layers and experts."""
        most = MOST_PARTS if _PARTS.search(key) else LARGEST
        value = self.get(key)
        if value is None:
            if default is None:
                self.problems.append(f"{key!r} is missing; model_type {self.model_type} needs it")
                return minimum
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= most:
            self.problems.append(f"{key!r} must be a whole number from {minimum} to {most:,}, not {shown(value)}")
            return minimum
        return value

    def optional_integer(self, key: str) -> int | None:
        """Return a positive whole number, or ``None`` if the key is absent or null."""
        return self.integer(key) if self.get(key) is not None else None

    def number(self, key: str, default: float) -> float:
        """Return a finite number above 0."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            self.problems.append(f"{key!r} must be a number above 0, not {shown(value)}")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problems.append(f"{key!r} must be true or false, not {shown(value)}")
            return default
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers, each as of :meth:`integer`."""
        most = MOST_PARTS if _PARTS.search(key) else LARGEST
        value = self.get(key)
        if not isinstance(value, list | tuple) or not value:
            self.problems.append(f"{key!r} must be a list of whole numbers, not {shown(value)}")
            return (1,)
        wrong = [one for one in value if isinstance(one, bool) or not isinstance(one, int) or not 1 <= one <= most]
        if wrong:
            self.problems.append(f"{key!r} must be whole numbers from 1 to {most:,}, not {shown(wrong[0])}")
            return (1,)
        return tuple(value)

    def choice(self, key: str, names: Mapping[str, str], default: str) -> str:
        """Return the hwsim name of one of the Hugging Face names in ``names``."""
        value = self.get(key, default)
        if not isinstance(value, str) or value not in names:
            self.problems.append(f"{key!r}: unknown {shown(value)}; {did_you_mean(value, names)}")
            return next(iter(names.values()))
        return names[value]

    def labels(self) -> int:
        """Return the number of classes: ``num_labels``, or the length of ``id2label``."""
        labels = self.get("id2label")
        if "num_labels" not in self.values and isinstance(labels, Mapping) and labels:
            return len(labels)
        return self.integer("num_labels")

    def require(self, holds: bool, message: str) -> None:
        """Note ``message`` unless ``holds``, or a key that it quotes is known to be wrong already."""
        if not holds and not quoted(message) & {key_of(problem) for problem in self.problems}:
            self.problems.append(message)

    def divides(self, part_key: str, part: int, whole_key: str, whole: int) -> None:
        """Note that ``whole`` is no multiple of ``part``, unless it is: heads of a width, groups of heads."""
        near = max(part, whole // part * part)
        message = f"{whole_key!r} {whole} is no multiple of {part_key!r} {part}; valid: such as {near} or {near + part}"
        self.require(whole % part == 0, message)

    def check(self) -> None:
        """Raise for everything noted so far.

        Raises
        ------
        SpecError
            With all problems of the file.
        """
        if self.problems:
            raise SpecError(Problem(self.source, 0, 0, "", message) for message in self.problems)


def quoted(message: str) -> set[str]:
    """Return the keys that a message about a config quotes."""
    return set(_QUOTED.findall(message))


def key_of(message: str) -> str | None:
    """Return the key that a message about a config quotes first."""
    quoted = _QUOTED.search(message)
    return quoted[1] if quoted else None


#: Hugging Face's names of activation functions (transformers ``ACT2FN``) and ours. ``quick_gelu`` is
#: x·sigmoid(1.702·x), priced as SiLU.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "quick_gelu": "silu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
    "tanh": "tanh",
}
