"""Registry of named entries: built in, registered by code, or installed as an entry point."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast, overload

from mirnagraph.errors import ConfigError

EntryT = TypeVar("EntryT")

ValueT = TypeVar("ValueT")


class Registry(Generic[EntryT]):
    """Entries of one kind by name; an entry is imported when it is read, not before.

    A name is looked up among the built-in and registered entries first, then among the installed
    entry points of the group, so a package adds an entry with four lines of its `pyproject.toml`::

        [project.entry-points."mirnagraph.towers"]
        my_tower = "my_package.towers:MyTower"

    Args:
        kind: what an entry is, for errors, e.g. ``"tower"``.
        group: group of the entry points, e.g. ``"mirnagraph.towers"``.
        builtin: name -> ``"module:attribute"``.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._registered: dict[str, EntryT] = {}

    @overload
    def register(self, name: str) -> Callable[[ValueT], ValueT]: ...
    @overload
    def register(self, name: str, entry: ValueT) -> ValueT: ...
    def register(
        self, name: str, entry: ValueT | None = None
    ) -> ValueT | Callable[[ValueT], ValueT]:
        """Add an entry under a new name, as a decorator or by a call; returns the entry.

        Raises:
            ConfigError: a built-in or registered entry has the name.
        """
        if name in self._builtin or name in self._registered:
            raise ConfigError(f"{self.kind} {name!r} is registered already")

        def add(value: ValueT) -> ValueT:
            self._registered[name] = cast(EntryT, value)
            return value

        return add if entry is None else add(entry)

    def names(self) -> list[str]:
        """Names of all entries: built-in, registered, then those of installed packages."""
        return list(dict.fromkeys([*self._builtin, *self._registered, *self._installed()]))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._registered or name in self._installed()

    def __getitem__(self, name: str) -> EntryT:
        """The entry of a name, imported where needed.

        Raises:
            ConfigError: unknown name, or an installed entry that cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return cast(EntryT, getattr(import_module(module), attribute))
        self.check(name)
        point = self._installed()[name]
        try:
            return cast(EntryT, point.load())
        except (ImportError, AttributeError) as error:
            where = f"{self.kind} {name!r} ({point.value})"
            raise ConfigError(f"{where} cannot be imported: {error}") from error

    def check(self, name: str) -> None:
        """Raise ConfigError with the nearest name where there is no such entry; imports nothing."""
        if name in self:
            return
        names = self.names()
        near = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"unknown {self.kind} {name!r}; {meant}known: {', '.join(names)}")

    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}
