"""A second set of Conducto's modules with one line changed: bugs that the suite must detect.

Only the cloud's part uses the changed set; the local part keeps the real one. So a bug in a rule
affects one target only.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_CORE = "conducto_core."
#: Modules with decisions, and their importers. `events` and plain data stay shared.
_FAMILY = (
    *(
        _CORE + name
        for name in (
            "run.rules.outcomes",
            "run.rules.live_nodes",
            "run.rules.tree_state",
            "run.rules.machine",
            "asl.rules.states",
            "asl.rules.naming",
            "asl.rules.partition",
            "asl.rules.compiler",
            "asl.rules.machine",
        )
    ),
    "support.asl.cloud",
)


class Mutant(NamedTuple):
    """A bug.

    Attributes:
        name: The fault, as a sentence.
        module: Module below `conducto_core`.
        old: The text to replace; it must occur exactly once.
        new: Its replacement.
    """

    name: str
    module: str
    old: str
    new: str


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> Any:
        """Compile from source, never from a cache."""
        text = self.get_data(self.path).decode()
        if fullname == _CORE + self._mutant.module:
            found = text.count(self._mutant.old)
            assert found == 1, f"{self._mutant.name}: its text is there {found} times"
            text = text.replace(self._mutant.old, self._mutant.new)
        return compile(text, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname not in _FAMILY:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


def mutated_cloud(mutant: Mutant) -> type:
    """Return a `support.asl.cloud.Cloud` whose rules have this bug."""
    assert _CORE + mutant.module in _FAMILY, mutant.module
    with _set_aside():
        finder = _Finder(mutant)
        sys.meta_path.insert(0, finder)
        try:
            return importlib.import_module("support.asl.cloud").Cloud  # type: ignore[no-any-return]
        finally:
            sys.meta_path.remove(finder)


@contextmanager
def _set_aside() -> Iterator[None]:
    """Allow the modules to be imported again, and restore the real ones afterwards."""
    for name in _FAMILY:
        importlib.import_module(name)
    kept = {name: sys.modules.pop(name) for name in _FAMILY}
    for name in _FAMILY:
        parent, child = _place(name)
        delattr(parent, child)
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules[name] = module
            parent, child = _place(name)
            setattr(parent, child, module)


def _place(name: str) -> tuple[ModuleType, str]:
    parent, _, child = name.rpartition(".")
    return sys.modules[parent], child
