"""One picture of all pages for each theme and width: ``python docs/contact_sheet.py DIRECTORY``.

The directory has the pictures of ``make looks``, such as ``pipelines.light.1440.png``. The sheets
go there, too: ``sheet.light.1440.png``. They are for a review, and are not committed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageDraw

#: Widths of the pages, with the number of columns and the width of a cell.
WIDTHS = {"390": (10, 220), "1440": (5, 560)}
LABEL = 18
GAP = 10


def main(directory: Path) -> None:
    """Write the sheets."""
    pages: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    for picture in sorted(directory.glob("*.png")):
        name, _, kind = picture.stem.partition(".")
        theme, _, width = kind.partition(".")
        if width in WIDTHS and name != "sheet":
            pages[theme, width].append(picture)
    for (theme, width), pictures in pages.items():
        target = directory / f"sheet.{theme}.{width}.png"
        _sheet(pictures, theme, *WIDTHS[width]).save(target)
        sys.stdout.write(f"{target}: {len(pictures)} pages\n")


def _sheet(pictures: list[Path], theme: str, columns: int, cell: int) -> Image.Image:
    """Return a picture with a row for each ``columns`` pages, each under its name."""
    with Image.open(pictures[0]) as first:
        height = cell * first.height // first.width
    rows = -(-len(pictures) // columns)
    step = (cell + GAP, height + LABEL + GAP)
    ground, ink = ("white", "black") if theme == "light" else ("black", "white")
    sheet = Image.new("RGB", (columns * step[0] + GAP, rows * step[1] + GAP), ground)
    draw = ImageDraw.Draw(sheet)
    for place, picture in enumerate(pictures):
        left, top = GAP + place % columns * step[0], GAP + place // columns * step[1]
        draw.text((left, top), picture.name.split(".")[0], ink)
        with Image.open(picture) as page:
            shown = page.convert("RGB").resize((cell, height), Image.Resampling.LANCZOS)
        sheet.paste(shown, (left, top + LABEL))
        draw.rectangle((left, top + LABEL, left + cell, top + LABEL + height), outline="gray")
    return sheet


if __name__ == "__main__":
    main(Path(sys.argv[1]))
