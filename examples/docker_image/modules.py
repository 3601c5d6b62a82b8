"""The largest modules of Python's standard library, as a table."""

import os
import sysconfig
from pathlib import Path


def table(rows: int = 5) -> None:
    """Print the modules with the most lines."""
    import tabulate  # only the images have it  # noqa: PLC0415

    library = Path(sysconfig.get_path("stdlib"))
    lines = {path.stem: path.read_bytes().count(b"\n") for path in library.glob("*.py")}
    largest = sorted(lines.items(), key=lambda item: -item[1])[:rows]
    style = os.environ["TABLE_STYLE"]
    print(f"style {style}, from {Path(__file__).resolve().parent}")
    print(tabulate.tabulate(largest, headers=["module", "lines"], tablefmt=style))


if __name__ == "__main__":
    table()
