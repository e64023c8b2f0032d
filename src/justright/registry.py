"""A catalogue: entries registered under a name, looked up with suggestions, discovered from a folder."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from justright.errors import CatalogueError

__all__ = ["Catalogue"]

Entry = TypeVar("Entry")


class Catalogue(Mapping[str, Entry], Generic[Entry]):
    """Named entries of one kind, found in a package and in the entry points of other distributions.

    Parameters
    ----------
    kind
        What an entry is called in messages: ``"diagnostic"``, ``"operator"``.
    package
        Dotted name of the package whose modules register entries when they are imported.
        Third parties register theirs through the entry point group of the same name.

    Examples
    --------
    >>> shapes = Catalogue("shape", package="")
    >>> shapes.register("circle", "round")
    'round'
    >>> shapes["circel"]
    Traceback (most recent call last):
    ...
    justright.errors.CatalogueError: shape 'circel': got a name that is not in the catalogue
      expected: one of the 1 names listed
      try: circle
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._discovered = not package

    def register(self, name: str, entry: Entry) -> Entry:
        """Add an entry; a second entry under one name is an error."""
        if name in self._entries:
            raise CatalogueError(
                "a name that is taken", where=f"{self.kind} {name!r}", expected="a new name", try_="choose another name"
            )
        self._entries[name] = entry
        return entry

    def entry(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers what it decorates under `name`."""
        return lambda entry: self.register(name, entry)

    def __getitem__(self, name: str) -> Entry:
        """Return the entry, or raise `CatalogueError` with the nearest names."""
        self._discover()
        try:
            return self._entries[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.5)
            raise CatalogueError(
                "a name that is not in the catalogue",
                where=f"{self.kind} {name!r}",
                expected=f"one of the {len(self._entries)} names listed",
                try_=", ".join(near) or ", ".join(sorted(self._entries)[:8]),
            ) from None

    def __contains__(self, name: object) -> bool:
        """Say whether the name is there, without raising."""
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in sorted order."""
        self._discover()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        """Count the entries."""
        self._discover()
        return len(self._entries)

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, self._package + "."):
            importlib.import_module(module.name)
        for point in entry_points(group=self._package):
            point.load()
