"""A function for native Execs, without imports because it is imported in containers."""


def nothing() -> None:
    """Do nothing."""
