"""Errors that a person reads: what is wrong, where it stands, what would be right.

Each class owns its exit code, so the command line needs no table of its own:

==============================  =========  ======================================================
class                           exit code  raised when
==============================  =========  ======================================================
:class:`HwsimError`             1          something inside hwsim failed
:class:`UsageError`             2          a name, flag, file or value given by the user is wrong
:class:`SpecError`              2          a YAML, CSV or JSON file holds problems (all at once)
:class:`MissingFigureError`     2          a cost was asked for that no source gives
:class:`InfeasibleError`        2          a design is legal to write but cannot run the workload
:class:`IncompleteError`        3          a sweep finished with failed or infeasible points
:class:`ComparisonError`        4          a comparison with reference rows fell short
:class:`ConservationError`      1          a result broke a conservation law: a bug in hwsim
==============================  =========  ======================================================
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

#: Characters of an offending source line that a message shows.
EXCERPT = 100
#: Characters of a value that a message shows.
LONGEST_VALUE = 60


class HwsimError(Exception):
    """Root of all hwsim errors."""

    exit_code: ClassVar[int] = 1


class UsageError(HwsimError, ValueError):
    """A name, flag, file or value given by the user is wrong.

    It is a ``ValueError`` too, so a pydantic validator may call any function that raises one and
    the message is reported at the field's place in the file.
    """

    exit_code: ClassVar[int] = 2


class MissingFigureError(UsageError):
    """A cost was asked for that no source gives; it must be supplied, never guessed."""


class InfeasibleError(UsageError):
    """The design cannot run this workload, for example because a buffer cannot hold one tile."""


class IncompleteError(HwsimError):
    """A sweep finished, but some of its points failed or are infeasible (stored with the reason)."""

    exit_code: ClassVar[int] = 3


class ComparisonError(HwsimError):
    """A comparison with reference rows missed one of its bars."""

    exit_code: ClassVar[int] = 4


class ConservationError(HwsimError):
    """A result broke a conservation law (lost MACs, more than 100 % utilization, …)."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file: where it stands, what was found, what would be valid.

    ``line`` and ``column`` count from 1; 0 means unknown. ``path`` is the dotted field
    (``memories.weights.size``). ``source_line`` is the offending line, printed with a caret.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    source_line: str = ""

    def __str__(self) -> str:
        where = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])
        text = f"{where}: {printable(self.path)}: {self.message}" if self.path else f"{where}: {self.message}"
        if self.source_line:
            shown, caret = _excerpt(self.source_line, max(self.column - 1, 0))
            text += f"\n    {shown}\n    {' ' * caret}^"
        return text


class SpecError(UsageError):
    """A file holds one or more problems; all are reported at once, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[Sequence[Problem]]]:
        # The default would rebuild from the text; worker processes send these errors home.
        return type(self), (self.problems,)


def shown(value: Any) -> str:
    """Return a value as a message shows it: as YAML writes it, and short."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} item{'s' * (len(value) != 1)}" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    text = _digits(value) if isinstance(value, int) else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}…"


def _digits(value: int) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python converts
        return f"an integer of {value.bit_length()} bits"


def printable(text: str) -> str:
    """Return ``text`` on one line, control characters written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def closest(name: object, valid: Iterable[object], likeness: float = 0.6) -> str | None:
    """Return the member of ``valid`` nearest to ``name`` in spelling, case aside, or None below ``likeness`` (0 to 1).

    ``likeness`` is that of :mod:`difflib`: at 0.6 half a name may be another's, which suits names of fields; above
    0.8 only typing errors pass, which suits names that look alike and mean other things.
    """
    wanted = str(name).lower()
    names = {text.lower(): text for text in sorted(map(str, valid), reverse=True)}
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=likeness)
    return names[close[0]] if close else None


def did_you_mean(name: object, valid: Iterable[object], *, ordered: bool = False, likeness: float = 0.6) -> str:
    """Return ``"valid: a, b, c (did you mean 'b'?)"`` for an unknown ``name``.

    Names are sorted unless ``ordered`` says that theirs is an order worth keeping; then the first
    one that continues ``name`` is the nearest. The list is cut after 24 entries so that a message
    fits one screen. ``likeness`` as in :func:`closest`.
    """
    names = [str(v) for v in valid] if ordered else sorted(str(v) for v in valid)
    shown = ", ".join(names[:24]) + (f", … ({len(names)} in all)" if len(names) > 24 else "")
    longer = (n for n in names if ordered and n.lower().startswith(str(name).lower()))
    close = next(longer, None) or closest(name, names, likeness)
    hint = f" (did you mean {close!r}?)" if close is not None else ""
    return f"valid: {shown or 'none'}{hint}"


def _excerpt(line: str, offset: int) -> tuple[str, int]:
    """Return at most :data:`EXCERPT` printable characters around ``offset``, and its place in them."""
    clean = "".join(c if c.isprintable() else " " for c in line.rstrip())
    if len(clean) <= EXCERPT:
        return clean, offset
    start = max(0, min(offset - EXCERPT // 2, len(clean) - EXCERPT))
    return ("…" if start else "") + clean[start : start + EXCERPT], offset - start + bool(start)
