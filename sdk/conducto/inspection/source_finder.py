"""Source text of a function or a ``with`` block, from its file.

Nothing is imported or executed: the file is read and parsed.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
import textwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, List, Optional, Union

    Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Module]

_FIRST_FENCE = 3


class Source:
    """A definition and the lines of its file.

    Attributes:
        lines: Every line of the file, with its end.
    """

    def __init__(self, node: Definition, lines: List[str]) -> None:
        self.node = node
        self.lines = lines

    def doc(self) -> str:
        """Return the docstring without indentation, or ``""``."""
        return clean_doc(ast.get_docstring(self.node, clean=False))

    def doc_and_source(self) -> str:
        """Return the docstring, then the source without it as a code fence."""
        return f"{self.doc()}\n\n{fence(self._without_doc())}"

    def comment(self) -> str:
        """Return the ``#`` block above the definition, or the one at the start of its body."""
        if isinstance(self.node, ast.Module):
            return _uncomment(_leading(self.lines[1:] if self._has_shebang() else self.lines))
        above = _leading(list(reversed(self.lines[: self._first_line() - 1])))
        return _uncomment(list(reversed(above))) or _uncomment(self._body_comment())

    def _has_shebang(self) -> bool:
        return bool(self.lines) and self.lines[0].startswith("#!")

    def _first_line(self) -> int:
        if isinstance(self.node, ast.Module):
            return 1
        return min([self.node.lineno, *(item.lineno for item in self.node.decorator_list)])

    def _last_line(self) -> int:
        if isinstance(self.node, ast.Module):
            return len(self.lines)
        return self.node.end_lineno or self.node.lineno

    def _docstring(self) -> Optional[ast.stmt]:
        has_one = ast.get_docstring(self.node, clean=False) is not None
        return self.node.body[0] if has_one else None

    def _without_doc(self) -> str:
        first, last = self._first_line() - 1, self._last_line()
        doc = self._docstring()
        if doc is None:
            kept = self.lines[first:last]
        else:
            kept = self.lines[first : doc.lineno - 1] + self.lines[doc.end_lineno or 0 : last]
        return textwrap.dedent("".join(kept))

    def _body_comment(self) -> List[str]:
        """Return the comment between the header (or docstring) and the first statement."""
        doc = self._docstring()
        body = self.node.body[1:] if doc is not None else self.node.body
        end = body[0].lineno - 1 if body else self._last_line()
        lines = self.lines[self._first_line() - 1 : end]
        return list(reversed(_leading(list(reversed(lines)))))


def find(code: CodeType) -> Optional[Source]:
    """Return the source of ``code``, or ``None`` if it is not available."""
    lines = linecache.getlines(code.co_filename)
    tree = _parse("".join(lines)) if lines else None
    if tree is None:
        return None
    if code.co_name == "<module>":
        return Source(tree, lines)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _starts_at(node, code):
            return Source(node, lines)
    return None


def find_with(filename: str, line: int) -> Optional[str]:
    """Return the body of the ``with`` statement whose header is at ``line``, without indentation.

    ``None`` if the source is not available. Comments before the first statement belong to the body.
    """
    lines = linecache.getlines(filename)
    tree = _parse("".join(lines)) if lines else None
    if tree is None:
        return None
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.With, ast.AsyncWith))
        and node.lineno <= line <= max(node.lineno, node.body[0].lineno - 1)
    ]
    if not blocks:
        return None
    block = max(blocks, key=lambda node: node.lineno)
    header_end = max(item.context_expr.end_lineno or block.lineno for item in block.items)
    return textwrap.dedent("".join(lines[header_end : block.end_lineno or header_end]))


def split_comment(text: str) -> tuple[str, str]:
    """Return the comment at the start of ``text``, as prose, and the rest."""
    lines = text.splitlines(keepends=True)
    comment = _leading(lines)
    return _uncomment(comment), "".join(lines[len(comment) :])


def code_of(func: Callable[..., Any]) -> CodeType:
    """Return the code of a function behind decorators, methods and partials.

    Raises:
        TypeError: It is not a function written in Python.
    """
    plain: Any = func
    while isinstance(plain, functools.partial):
        plain = plain.func
    plain = inspect.unwrap(plain)
    plain = getattr(plain, "__func__", plain)
    code = getattr(plain, "__code__", None)
    if code is None:
        raise TypeError(f"magic_doc needs a function written in Python, got {func!r}")
    found: CodeType = code
    return found


def clean_doc(doc: Optional[str]) -> str:
    """Return a docstring without indentation and without blank lines around it."""
    return inspect.cleandoc(doc) if doc else ""


def fence(source: str) -> str:
    """Return ``source`` as a python code fence, longer than any run of backquotes in it."""
    runs = [len(run) for run in re.findall("`+", source)]
    mark = "`" * max([_FIRST_FENCE, *(run + 1 for run in runs if run >= _FIRST_FENCE)])
    end = "" if source.endswith("\n") else "\n"
    return f"{mark}python\n{source}{end}\n{mark}"


def _starts_at(node: Union[ast.FunctionDef, ast.AsyncFunctionDef], code: CodeType) -> bool:
    starts = {node.lineno, *(item.lineno for item in node.decorator_list)}
    return node.name == code.co_name and code.co_firstlineno in starts


def _parse(text: str) -> Optional[ast.Module]:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):  # changed on disk since it was loaded
        return None


def _leading(lines: List[str]) -> List[str]:
    for index, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            return lines[:index]
    return lines


def _uncomment(lines: List[str]) -> str:
    prose = [re.sub(r"^\s*#+", "", line).rstrip() for line in lines]
    return textwrap.dedent("\n".join(prose)).strip("\n")
