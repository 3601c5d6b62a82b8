"""Names of functions that say nothing, and documented attributes that do not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.prose_rules import Finding

#: They do not name an object or a known verb; with and without a leading underscore.
EMPTY_NAMES = frozenset(
    ("go_on", "hear", "keep", "kept", "known", "landed", "let_go", "look", "made", "means", "note",
     "of", "say", "stay", "take", "told", "where")
)  # fmt: skip
#: The code that people use and extend; tests have stand-ins with the names of other libraries.
PRODUCT = ("sdk/", "core/", "cli/", "local_runner/", "functions/", "worker/", "emulator/",
           "infra/", "web/")  # fmt: skip
_SECTION = re.compile(r"^( *)Attributes:\n((?:\1 +\S.*\n|\s*\n)*)", re.MULTILINE)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Class:
    """A class as its source has it.

    Attributes:
        bases: Last names of its bases.
        members: Names that it or its methods assign.
        documented: Attributes in its docstring, with their lines.
    """

    path: str
    name: str
    bases: list[str]
    members: set[str] = field(default_factory=set)
    documented: dict[str, int] = field(default_factory=dict)


def empty_names(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Yield the functions of the product whose names say nothing."""
    if not path.startswith(PRODUCT):
        return
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS) and node.name.strip("_") in EMPTY_NAMES:
            remedy = "a verb and its object, such as 'read_schedule'"
            yield Finding(path, node.lineno, "name", node.name, remedy)


def classes(path: str, tree: ast.Module) -> Iterator[Class]:
    """Yield the classes of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found = Class(path, node.name, [_last_name(base) for base in node.bases])
            found.members = {name for part in ast.walk(node) for name in _assigned(part)}
            found.documented = dict(_documented(node))
            yield found


def missing_attributes(known: Mapping[str, list[Class]]) -> Iterator[Finding]:
    """Yield documented attributes that neither a class nor its bases have.

    Args:
        known: All classes by name.
    """
    for one in (one for same in known.values() for one in same):
        members = _members(one, known)
        for name, line in one.documented.items():
            if name not in members:
                remedy = f"{one.name} has no such attribute; name an existing one"
                yield Finding(one.path, line, "attribute", name, remedy)


def _members(one: Class, known: Mapping[str, list[Class]]) -> set[str]:
    members: set[str] = set()
    seen: set[str] = set()
    waiting = [one]
    while waiting:
        each = waiting.pop()
        members |= each.members
        new = set(each.bases) - seen
        seen |= new
        waiting += [base for name in new for base in known.get(name, ())]
    return members


def _assigned(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
            yield from (part.value for part in ast.walk(value) if isinstance(part, ast.Constant))


def _last_name(base: ast.expr) -> str:
    while isinstance(base, ast.Subscript):
        base = base.value
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    if ast.get_docstring(node, clean=False) is None:
        return
    value = node.body[0].value  # type: ignore[attr-defined]
    for section in _SECTION.finditer(value.value + "\n"):
        line = value.lineno + value.value.count("\n", 0, section.start(2))
        lines = section[2].split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        for number, text in enumerate(lines):
            entry = re.match(rf" {{{indent}}}(\w+)(?: \([^)]*\))?:", text)
            if entry is not None:
                yield entry[1], line + number
