"""Errors of debug shells."""


class DebugError(Exception):
    """A shell could not be opened or was lost; the message has the reason.

    Attributes:
        no_engine: The container engine cannot be used.
    """

    def __init__(self, message: str, *, no_engine: bool = False) -> None:
        super().__init__(message)
        self.no_engine = no_engine
