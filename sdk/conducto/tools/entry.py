"""The console script ``conducto``, which dispatches quickly.

``conducto FILE [METHOD ...]`` runs a method of a Python file; containers call native functions this
way, where each import counts. Everything else is a command for users on the host.
"""

# ruff: noqa: PLC0415, PTH100, PTH113, PTH119, PTH120, PTH122
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import List, Optional, Sequence

_WRONG = 2
_NOT_FOUND = 127
#: The commands that also run inside containers, and their modules.
_TOOLS = {
    "build": "serialized",
    "validate-serialization": "serialized",
    "metric": "output_tools",
    "artifact": "output_tools",
    "result": "output_tools",
    "map-items": "map_items",
    "partition-items": "partition_items",
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command line, by default that of the process; return the exit code."""
    try:
        code = _dispatch(argv)
        print(end="", flush=True)
    except BrokenPipeError as error:
        from conducto.script.user_errors import FAILED, is_lost_reader

        if not is_lost_reader(error):
            raise
        return FAILED
    return code


def _dispatch(argv: Optional[Sequence[str]]) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    first = words[0] if words else ""
    if first.endswith(".py"):
        return run_file(first, words[1:])
    if first.endswith(".js"):
        try:
            os.execvp("node", ["node", *words])  # noqa: S606, S607 (the user's own interpreter)
        except FileNotFoundError:
            print(f"conducto: install Node.js, which runs {words[0]}", file=sys.stderr)
        return _NOT_FOUND
    if first and not first.startswith("-") and os.path.isfile(first):
        return run_file(first, words[1:])
    if first in _TOOLS:
        from importlib import import_module

        return int(import_module(f"conducto.tools.{_TOOLS[first]}").run(first, words[1:]))
    from conducto import _host

    return _host.run(words)


def run_file(path: str, argv: List[str]) -> int:
    """Load a Python file and call the method that ``argv`` names; return the exit code.

    The file is loaded as a module of its own name, not as ``__main__``, so its ``if __name__ ==
    "__main__"`` block does not run.
    """
    if not os.path.isfile(path):
        print(f"No such file or directory: {path!r}", file=sys.stderr)
        return _WRONG
    from conducto import main as commands

    run = getattr(commands, "main", commands)
    sys.argv = [path, *argv]

    def call(module: ModuleType, words: List[str]) -> int:
        return int(run(variables=vars(module), argv=words, filename=os.path.basename(path)))

    is_template = not argv and "CONDUCTO_FORK_SERVER" in os.environ
    if is_template or argv == ["--explain"]:
        from conducto.tools.fork_server import start

        return start.explain(path, load) if argv else start.serve(path, load_or_report, call)
    return call(load_or_report(path), argv)


def load_or_report(path: str) -> ModuleType:
    """Return the module that a Python file defines, or exit with the error in it."""
    try:
        return load(path)
    except Exception as error:
        from conducto.script import user_errors

        if user_errors.debugging():
            raise
        sys.exit(user_errors.report(error, os.path.basename(path)))


def load(path: str) -> ModuleType:
    """Return the module that a Python file defines, registered under the file's name."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    from conducto.main import Loading

    full = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(full))[0]
    sys.path.append(os.path.dirname(full))
    loader = SourceFileLoader(name, full)
    module = type(sys)(name)
    module.__file__ = full
    module.__loader__ = loader
    module.__spec__ = ModuleSpec(name, loader, origin=full)
    module.__spec__.has_location = True
    sys.modules[name] = module
    with Loading():
        loader.exec_module(module)
    return sys.modules[name]
