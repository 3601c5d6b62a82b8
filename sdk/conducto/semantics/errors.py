"""Errors a definition or an order can cause.

ConductoError
├── DefinitionError      the tree is wrong; nothing has run
└── TransitionError      a bug of ours: an event that cannot happen in this state
"""

from conducto.model.limits import shortened


class ConductoError(Exception):
    """The base of what the semantics raise."""


class DefinitionError(ConductoError):
    """The tree is wrong.

    Attributes:
        path: The node that is wrong; None when it is the tree as a whole.
    """

    def __init__(self, path: str | None, message: str) -> None:
        super().__init__(f"{shortened(path)}: {message}" if path is not None else message)
        self.path = path


class TransitionError(ConductoError):
    """An event that cannot happen in this state.

    Attributes:
        path: The node.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
