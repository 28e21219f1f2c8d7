"""Formats of your own: one YAML each, named like its file.

``formats/mine.yaml`` makes the format ``mine`` known wherever a format is named, and with it
``mine_g128``, ``mine_channel_fp32`` and all other scaled formats. Files are looked for in the
directory ``formats`` of the working directory, or in those that the environment variable
``HWSIM_FORMATS`` lists, and in the directory ``formats`` beside every sweep, architecture and workload
file that is opened; hwsim's own are in ``hwsim/data/formats``. What a file may hold is in
:mod:`hwsim.formats.own_file`. Nothing is read before a name is looked up.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hwsim.spec.data import data_path
from hwsim.spec.errors import UsageError

if TYPE_CHECKING:
    from hwsim.formats.base import ElementFormat

#: Directories of format files, separated as in ``PATH``, in place of ``formats``.
VARIABLE = "HWSIM_FORMATS"
FOLDER = "formats"
SUFFIXES = (".yaml", ".yml")


def folders() -> list[Path]:
    """Return the directories in which format files are looked for, the packaged one first."""
    listed = os.environ.get(VARIABLE)
    own = [Path(part) for part in listed.split(os.pathsep) if part] if listed else [Path(FOLDER)]
    return [data_path("formats"), *own]


def look_beside(file: str | Path) -> None:
    """Look for format files in the directory ``formats`` beside ``file`` too, also in processes that start later."""
    found = Path(file).absolute().parent / FOLDER
    if found.is_dir() and not any(folder.exists() and folder.samefile(found) for folder in folders()):
        os.environ[VARIABLE] = os.pathsep.join([os.environ.get(VARIABLE) or FOLDER, str(found)])


def files() -> dict[str, Path]:
    """Return the format files by the name of the format.

    Raises
    ------
    UsageError
        If two files give a format of the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted(path for folder in folders() if folder.is_dir() for path in folder.iterdir()):
        if path.suffix not in SUFFIXES:
            continue
        other = found.setdefault(path.stem, path)
        if other != path and not other.samefile(path):
            raise UsageError(f"format {path.stem!r} is defined twice: {found[path.stem]} and {path}; rename one")
    return found


class Origin(NamedTuple):
    """A format file as it was when it was read."""

    path: Path
    changed_ns: int


def origin(name: str) -> Origin | None:
    """Return the format file of the format ``name``, or of the elements that it scales; None where there is none."""
    known = files()
    parts = name.split("_")
    stems = ("_".join(parts[:count]) for count in range(len(parts), 0, -1))
    path = next((known[stem] for stem in stems if stem in known), None)
    return None if path is None else Origin(path.absolute(), path.stat().st_mtime_ns)


def own_format(name: str) -> ElementFormat | None:
    """Return the format that a file defines under ``name``, or None if there is no such file.

    Raises
    ------
    SpecError
        If the file defines none.
    """
    path = files().get(name)
    return None if path is None else load_format(path)


def load_format(path: Path) -> ElementFormat:
    """Return the format that a file defines, whatever directory it is in.

    Raises
    ------
    SpecError
        With every mistake, each at its line and column.
    """
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _loaded(path.absolute(), path, stamp)


@lru_cache(maxsize=256)
def _loaded(_: Path, path: Path, __: int) -> ElementFormat:
    from hwsim.formats.own_file import read_format

    return read_format(path)


def digests() -> dict[str, str]:
    """Return the SHA-256 of every format file, by the name of its format."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files().items())}
