"""A function for native Execs. It is imported in containers, so it imports nothing itself."""


def nothing() -> None:
    """Do nothing."""
