"""Text files in UTF-8, and what a person is told when one cannot be read."""

from __future__ import annotations

import codecs
import errno
from collections.abc import Callable
from pathlib import Path

from hwsim.spec.errors import Problem, SpecError, closest

#: Files of a directory that a message lists.
LISTED = 12


def read_text(path: str | Path, blame: Callable[[str], Problem] | None = None) -> str:
    """Return the text of a file, without byte order mark.

    Parameters
    ----------
    path
        A file in UTF-8.
    blame
        Makes the problem of a file that cannot be opened; by default it is the file's own. A file
        that another one names is better reported there.

    Raises
    ------
    SpecError
        If the file is missing, is no file, cannot be read or is no UTF-8 text.
    """
    try:
        raw = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    except (OSError, ValueError) as error:
        message = _open_failure(Path(path), error)
        raise SpecError([blame(message) if blame else Problem(str(path), 0, 0, "", message)]) from None
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or (raw[:1] != b"\0" and raw[1:4:2] == b"\0\0"):
        raise SpecError([Problem(str(path), 1, 1, "", "file is UTF-16 text; save it as UTF-8")])
    try:
        text = raw.decode()
        wrong = raw.find(b"\0")
    except UnicodeDecodeError as error:
        wrong = min(at for at in (error.start, raw.find(b"\0")) if at >= 0)
    if wrong < 0:
        return text
    before = raw[:wrong].decode()
    message = f"byte 0x{raw[wrong]:02x} is no UTF-8 text; is this a binary file or another encoding?"
    raise SpecError([Problem(str(path), before.count("\n") + 1, len(before) - before.rfind("\n"), "", message)])


def exists(path: Path) -> bool:
    """Return whether there is such a file or directory; False for what can be no path."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False


def unreadable(path: str | Path) -> str | None:
    """Return why ``path`` cannot be read as a file, or None if it can."""
    try:
        with Path(path).open("rb"):
            return None
    except (OSError, ValueError) as error:
        return _open_failure(Path(path), error)


def _open_failure(path: Path, error: Exception) -> str:
    """Return why ``path`` cannot be read as a file, and what may be meant instead."""
    if not isinstance(error, FileNotFoundError):
        if isinstance(error, OSError) and error.errno in (errno.EISDIR, errno.EACCES) and path.is_dir():
            return f"is a directory{_listing('it', path, path.suffix or '.yaml')}"
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if not path.parent.is_dir():
        return f"no such file; there is no directory {str(path.parent)!r}"
    stems = {p.stem: p for p in _siblings(path.parent, path.suffix)}
    near = closest(path.stem, stems)
    if near is not None:
        return f"no such file (did you mean {str(stems[near])!r}?)"
    return f"no such file{_listing('its directory', path.parent, path.suffix)}"


def _listing(who: str, folder: Path, suffix: str) -> str:
    names = [p.name for p in _siblings(folder, suffix)] if suffix else []
    more = f", … ({len(names)} in all)" if len(names) > LISTED else ""
    return f"; {who} holds {', '.join(names[:LISTED])}{more}" if names else ""


def _siblings(folder: Path, suffix: str) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.name.endswith(suffix))
    except OSError:
        return []
