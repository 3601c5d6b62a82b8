"""Why there is no debug shell."""


class DebugError(Exception):
    """There is no shell, or it was lost; the message says why.

    Attributes:
        no_engine: The container engine cannot be used.
    """

    def __init__(self, message: str, *, no_engine: bool = False) -> None:
        super().__init__(message)
        self.no_engine = no_engine
