"""A table in plain text."""

from collections.abc import Iterator, Sequence

from conducto_cli.text.text import pad, printable, width


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, its cells below those of the row before."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
