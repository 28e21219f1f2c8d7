"""Registries: one file is one member, found without editing any list.

A :class:`Registry` imports every module of its package on first use, so a new file that
calls :meth:`Registry.register` is a new member. Third-party packages add members through
entry points in the group ``hwsim.<kind>``; built-ins take the same road.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
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
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under ``name``.

        Raises
        ------
        ValueError
            If another member already has that name.
        """

        def file_under_name(member: T) -> T:
            if self._members.setdefault(name, member) is not member:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
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
        try:
            return self._members[name]
        except KeyError:
            raise UsageError(f"unknown {self.kind} {name!r}; {did_you_mean(name, self._members)}") from None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._load()
        return sorted(self._members)

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield ``(name, member)`` in the order of the names."""
        self._load()
        yield from sorted(self._members.items())

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._members

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry in importlib.metadata.entry_points(group=f"hwsim.{self.kind}"):
            self._members.setdefault(entry.name, entry.load())
