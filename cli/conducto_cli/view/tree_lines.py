"""The tree of a pipeline as lines of text."""

from collections.abc import Iterable, Iterator

from conducto_cli.text.text import Line, Marks, Role, Span, printable
from conducto_cli.view.model import Row
from conducto_cli.view.rows import exec_line, group_line

_WIDEST_STATE = 8


def tree_lines(roots: Iterable[Row], now: float, marks: Marks) -> Iterator[Line]:
    """Yield a line for each node of these trees, parents before children."""
    for root in roots:
        stack = [(root, 0)]
        while stack:
            row, depth = stack.pop()
            name = root.path if row is root else row.name
            yield (_state(row), Span("  " * depth), *_line(row, name, now, marks))
            stack += [(child, depth + 1) for child in reversed(row.children.values())]


def _state(row: Row) -> Span:
    word = "skipped" if row.skipped else row.state.value
    return Span(f"{word:{_WIDEST_STATE}}", Role.FAINT)


def _line(row: Row, name: str, now: float, marks: Marks) -> Line:
    shown = printable(name)
    if row.is_exec:
        return exec_line(row, shown, now, marks, stated=True)
    return group_line(row, shown, now, marks, opened=bool(row.children), stated=True)


def flat_line(row: Row, now: float, marks: Marks) -> Line:
    """Return the line of a node in a list, with its whole path."""
    return (_state(row), *_line(row, row.path, now, marks))
