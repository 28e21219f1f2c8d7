"""Registries: one file is one member, found without editing any list.

A :class:`Registry` imports every module of its package on first use, so a new file that
calls :meth:`Registry.register` is a new member. Third-party packages add members through
entry points in the group ``hwsim.<kind>``; built-ins take the same road.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from hwsim.spec.errors import UsageError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Named members of one kind.

    Parameters
    ----------
    kind
        What a member is called in messages and in the entry-point group (``"pe"``).
    package
        Dotted name of the package whose modules register the built-in members.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._members: dict[str, T] = {}
        self._lock = threading.RLock()
        self._loading = False
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under ``name``.

        Raises
        ------
        ValueError
            If another member already has that name.
        """

        def file_under_name(member: T) -> T:
            other = self._members.setdefault(name, member)
            if other is not member and _origin(other) != _origin(member):
                raise ValueError(f"{self.kind} {name!r} is registered twice: {_origin(other)}, {_origin(member)}")
            self._members[name] = member
            return member

        return file_under_name

    def get(self, name: str) -> T:
        """Return the member called ``name``.

        Raises
        ------
        UsageError
            If there is none; the message lists the valid names and the nearest one.
        """
        self._load()
        if isinstance(name, str) and name in self._members:
            return self._members[name]
        raise UsageError(f"unknown {self.kind} {name!r}; {did_you_mean(name, self._members)}")

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._load()
        return sorted(self._members)

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield ``(name, member)`` in the order of the names."""
        self._load()
        yield from sorted(self._members.items(), key=lambda item: item[0])

    def __contains__(self, name: object) -> bool:
        self._load()
        return isinstance(name, str) and name in self._members

    def _load(self) -> None:
        if self._loaded:
            return
        with self._lock:
            # A member's module may ask this registry while it is being imported.
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                self._import_members()
                self._loaded = True  # only now: a failed import must fail again, not hide members
            finally:
                self._loading = False

    def _import_members(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry in importlib.metadata.entry_points(group=f"hwsim.{self.kind}"):
            self._add_plugin(entry)

    def _add_plugin(self, entry: importlib.metadata.EntryPoint) -> None:
        try:
            member = entry.load()
        except Exception as error:
            raise UsageError(f"{self.kind} plugin {entry.name!r} ({entry.value}) does not load: {error}") from error
        if self._members.setdefault(entry.name, member) is not member:
            raise UsageError(f"{self.kind} plugin {entry.name!r} ({entry.value}) takes a name that is in use")


def _origin(member: object) -> str:
    """Return where a class or function was defined; a module imported again defines the same one."""
    named = member if hasattr(member, "__qualname__") else type(member)
    place = f"{named.__module__}.{named.__qualname__}"
    return place if named is member else f"{place} at {id(member):#x}"
