"""What ``python:`` names, checked before anything runs or is imported that may be missing."""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hwsim.spec.errors import SpecError, UsageError, did_you_mean, printable
from hwsim.spec.text import read_text, unreadable

SCHEME = "python:"
_FORMS = "python:package.function or python:path/to/file.py:function"


def split_source(source: str) -> tuple[str, str]:
    """Return the module or file of ``source``, and the name in it.

    Raises
    ------
    UsageError
        If one is left out.
    """
    text = source.removeprefix(SCHEME)
    file, colon, name = text.rpartition(":")
    if not colon and not text.endswith(".py"):
        file, _, name = text.rpartition(".")
    if not file or not name:
        raise UsageError(f"name a function: {_FORMS}")
    return file, name


def check_source(source: str) -> None:
    """Refuse a source whose file, module or name does not exist, by the text of the file.

    Raises
    ------
    UsageError
        With the names that the file has.
    """
    file, name = split_source(source)
    path = Path(file) if file.endswith(".py") else _module_path(file)
    if path is None:
        return  # built in, or compiled
    reason = unreadable(path)
    if reason is not None:
        raise UsageError(f"{path}: {reason}")
    try:
        tree = ast.parse(read_text(path), str(path))
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno or 1}: is no Python: {printable(str(error.msg))}") from None
    except SpecError:
        raise  # no text
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path}: is no Python: {printable(str(error))}") from None
    names = set(_bound(tree.body))
    if name not in names and not {"*", "__getattr__"} & names:
        public = [one for one in names if not one.startswith("_")]
        raise UsageError(f"{path} has no {name!r}; {did_you_mean(name, public)}")


def _module_path(name: str) -> Path | None:
    """Return the file of a module, None if it has none that can be read."""
    with from_here(), blaming("cannot be imported"):
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError as error:
            raise UsageError(f"there is no module {error.name!r} here or installed; valid: {_FORMS}") from None
    if spec is None:
        raise UsageError(f"there is no module {name!r} here or installed; valid: {_FORMS}")
    return Path(spec.origin) if spec.origin is not None and spec.origin.endswith(".py") else None


def _bound(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind where they stand, ``*`` for all of another module."""
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
        elif isinstance(one, ast.Import | ast.ImportFrom):
            for alias in one.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        elif not isinstance(one, ast.Lambda):
            yield from _bound(ast.iter_child_nodes(one))


@contextmanager
def from_here() -> Iterator[None]:
    """Find modules in the current directory too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Tell of an error in the user's code: where, which and why, in one line."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        text = " ".join(printable(str(error)).split())[:300]
        raise UsageError(f"{what}: {type(error).__name__}: {text}{place}") from None
