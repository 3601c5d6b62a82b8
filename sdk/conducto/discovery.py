"""The tree of test files that ``conducto discover`` runs.

A directory becomes a Parallel, a file an Exec that runs it with pytest, or with unittest if it uses
nothing else. Names and order are those of the files, so that the same files give the same tree.
"""

from __future__ import annotations

import ast
import os
import shlex
from pathlib import Path

from conducto.tree.image import Image
from conducto.tree.nodes import Exec, Parallel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto.tree.nodes import Node

#: The default patterns of pytest, which include unittest's own.
PATTERNS = ("test_*.py", "*_test.py", "test*.py")
#: Directories without tests of the project.
_NOT_OURS = {"node_modules", "venv", "env", "build", "dist", "site-packages", "__pycache__"}
_PYTHON = "python:3.11-slim"


class NothingFoundError(ValueError):
    """There is no test file, or no such directory; the message names the directory."""


def find_tests(directory: str = ".", image: str | Image | None = None) -> Parallel:
    """Return the tree of the test files in a directory and below it.

    Args:
        directory: The project: it is copied into the image, and commands run in it.
        image: Image of all nodes; by default a Python with pytest and the packages of the project's
            ``requirements.txt``.

    Raises:
        NothingFoundError: there are no test files, or there is no such directory.
    """
    root = Path(directory).resolve()
    if not root.is_dir():
        raise NothingFoundError(f"{root}: there is no such directory")
    files = list(_test_files(root))
    if not files:
        raise NothingFoundError(
            f"{root}: no test files here or below; they are called {' or '.join(PATTERNS)}"
        )
    chosen = image if isinstance(image, Image) else _image(root, image, files)
    tree = Parallel(image=chosen, doc=f"The tests of {root.name}.")
    for path in files:
        node = Exec(command_for(root, path), file=str(path), line=1)
        _group(tree, path.relative_to(root).parent)[path.name] = node
    return tree


def command_for(root: Path, path: Path) -> str:
    """Return the command that runs one test file, in the project's directory."""
    name = path.relative_to(root).as_posix()
    if uses_unittest_only(path):
        return f"python -m unittest -v {shlex.quote(name)}"
    return f"python -m pytest -v {shlex.quote(name)}"


def uses_unittest_only(path: Path) -> bool:
    """Return whether a file has unittest test cases and no tests that only pytest runs."""
    try:
        module = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False  # pytest will report the error
    names = {name for node in ast.walk(module) for name in _imported(node)}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    plain = [n for n in module.body if isinstance(n, functions) and n.name.startswith("test")]
    return "unittest" in names and "pytest" not in names and not plain


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _test_files(root: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(root):
        below[:] = sorted(d for d in below if d not in _NOT_OURS and not d.startswith("."))
        here = Path(folder)
        yield from (here / name for name in sorted(names) if _is_test(name))


def _is_test(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in PATTERNS)


def _group(tree: Node, folder: Path) -> Node:
    """Return the Parallel of a directory; create it, and those above it, if missing."""
    node = tree
    for name in folder.parts:
        if name not in node.children:
            node[name] = Parallel()
        node = node.children[name]
    return node


def _image(root: Path, name: str | None, files: list[Path]) -> Image:
    needed = [] if all(map(uses_unittest_only, files)) else ["pytest"]
    needed += _requirements(root / "requirements.txt")
    if name is not None:  # its owner decides its contents
        return Image(name, copy_dir=str(root))
    return Image(_PYTHON, copy_dir=str(root), install_pip=needed or None)


def _requirements(path: Path) -> list[str]:
    if not path.is_file():
        return []
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]
