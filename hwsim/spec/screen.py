"""An error on one screen: long lines wrapped, long words and long lists of problems cut."""

from __future__ import annotations

import re
import textwrap

from hwsim.spec.errors import SpecError, printable

WIDTH = 120
HEIGHT = 24

#: Characters of one message and of one word in it; more is a huge value that the message quotes.
LONGEST = 800
LONGEST_WORD = 200

#: Where an excerpt of the file and its caret begin; such lines are kept as they are.
_INDENT = "    "

_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD},}}")


def on_screen(error: BaseException, prefix: str = "error: ") -> str:
    """Return the message of ``error`` in at most :data:`HEIGHT` lines of :data:`WIDTH` columns.

    Of many problems the first ones that fit are shown, each with its line of the file, and the
    rest are counted.
    """
    problems = error.problems if isinstance(error, SpecError) else ()
    messages = [str(problem) for problem in problems] or [str(error)]
    messages[0] = prefix + messages[0]
    lines: list[str] = []
    for number, message in enumerate(messages):
        block = [line for text in message.split("\n") for line in _wrapped(text)]
        if number and len(lines) + len(block) >= HEIGHT:
            left = len(messages) - number
            return "\n".join([*lines, f"… and {left} more problem{'s' * (left > 1)}"])
        lines += block
    return "\n".join(lines if len(lines) <= HEIGHT else [*lines[: HEIGHT - 1], "…"])


def fitted(text: str) -> str:
    """Return any text with its long lines wrapped as :func:`on_screen` does."""
    return "\n".join(line for part in text.split("\n") for line in _wrapped(part))


def _wrapped(text: str) -> list[str]:
    clean = printable(text.replace("\t", " ").rstrip())
    if clean.startswith(_INDENT):
        return [clean]
    clean = _LONG_WORD.sub(lambda word: f"{word[0][: LONGEST_WORD // 2]}…", clean)
    if len(clean) > LONGEST:
        clean = f"{clean[: LONGEST // 2]} … {clean[-LONGEST // 2 :]}"
    return textwrap.wrap(clean, WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]
