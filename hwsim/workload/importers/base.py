"""What every importer offers: from a file, or an object that Python names, to a :class:`~hwsim.workload.trace.Trace`.

One importer is one file of this package. It says by suffix, scheme or content which sources are its own; the
longest suffix wins, and of several importers with the same suffix the one that recognises the content.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.registry import Registry
from hwsim.workload.phase import Phase
from hwsim.workload.trace import Trace


@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    Parameters
    ----------
    phase
        What is run; of meaning only to importers that are :attr:`Importer.shaped`.
    name
        What the trace is called; ``""`` leaves it to the importer.
    settings
        Further values by name, as :attr:`Importer.settings` lists them.
    requantized
        Whether a policy follows: weights that a checkpoint holds in plain floats are left to it.
    """

    phase: Phase = field(default_factory=Phase)
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    requantized: bool = False


class Importer(ABC):
    """A kind of source; stateless. Libraries that only it needs are imported where it reads."""

    #: What the source is, for lists and messages: "an ONNX graph".
    summary: ClassVar[str]
    #: Ends of file names, in lower case, with the dot: ``(".onnx",)``.
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: Beginnings of sources that are no files: ``("python:",)``.
    schemes: ClassVar[tuple[str, ...]] = ()
    #: Whether phase, lengths and batch shape the trace; a trace that is written out is fixed.
    shaped: ClassVar[bool] = False
    #: Names of settings with what they mean; ``None`` if the source itself says which there are.
    settings: ClassVar[Mapping[str, str] | None] = {}

    def recognises(self, path: Path) -> bool:
        """Whether the content of a file with one of :attr:`suffixes` is of this kind; never raises for bad content."""
        return True

    @abstractmethod
    def read(self, source: str, request: Request) -> Trace:
        """Return the trace of ``source``, a path that can be read or the whole text with its scheme.

        Raises
        ------
        SpecError
            With every mistake of the file, at its place.
        UsageError
            If the source cannot do what is asked.
        """


IMPORTERS: Registry[Importer] = Registry("importer", "hwsim.workload.importers")


def source_endings() -> list[str]:
    """Return all suffixes and schemes that importers know, sorted."""
    return sorted({end for _, importer in IMPORTERS.items() for end in (*importer.suffixes, *importer.schemes)})


def possible_importers(source: str) -> list[str]:
    """Return the names of the importers that may read ``source``, by its scheme or suffix."""
    name = source.lower()
    for known, importer in IMPORTERS.items():
        if importer.schemes and source.startswith(importer.schemes):
            return [known]
    fitting = [(end, known) for known, one in IMPORTERS.items() for end in one.suffixes if name.endswith(end)]
    longest = max((len(end) for end, _ in fitting), default=0)
    return [known for end, known in fitting if len(end) == longest]


def find_importer(source: str) -> str | None:
    """Return the name of the importer whose kind ``source`` is, None if none knows its scheme or suffix.

    Where only the content tells, ``source`` must be the path as it can be opened.
    """
    candidates = possible_importers(source)
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    special = [known for known in candidates if type(IMPORTERS.get(known)).recognises is not Importer.recognises]
    recognised = [known for known in special if IMPORTERS.get(known).recognises(Path(source))]
    plain = [known for known in candidates if known not in special]
    return (recognised or plain or candidates)[0]


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that the importer called ``name`` does not know.

    Raises
    ------
    UsageError
        With the names that it knows.
    """
    importer = IMPORTERS.get(name)
    known = importer.settings
    if known is None:
        return
    for key in settings:
        if key not in known:
            valid = did_you_mean(key, known) if known else f"{importer.summary} takes none"
            raise UsageError(f"settings: unknown setting {key!r}; {valid}")
