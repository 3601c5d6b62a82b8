"""A function for native Execs. It is imported in containers: the standard library only."""

from pathlib import Path

HERE = str(Path(__file__).parent)


def nothing() -> None:
    """Do nothing."""
