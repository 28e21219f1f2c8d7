"""Files that are either there in full or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from hwsim.spec.errors import UsageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, which then takes the name. A link is
    followed; a device such as ``/dev/null`` is written to, not replaced.

    Raises
    ------
    UsageError
        If the folder is missing or cannot be written, or ``path`` is a folder.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
