"""A table in plain text."""

from collections.abc import Iterator, Sequence
from math import inf

from conducto_cli.text.text import pad, printable, width

#: Columns of a value, such as a long variable, beyond which other rows are not aligned with it.
WIDEST = 60


def table(rows: Sequence[Sequence[str]], widest: float = inf) -> Iterator[str]:
    """Yield a line for each row, its cells below those of the row before.

    Args:
        rows: The cells.
        widest: A cell with more columns does not widen the other rows.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max((size for size in map(width, column) if size <= widest), default=0)
        for column in zip(*rows, strict=True)
    ]
    for row in rows:
        yield "  ".join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
