"""Errors a caller of the client can catch.

ClientError
├── ApiError               the server responded with a problem
└── AgentUnreachableError  no server responded
"""

from conducto_core.model.requests import Problem


class ClientError(Exception):
    """The base class of the client's errors."""


class ApiError(ClientError):
    """The server rejected the request, or failed.

    Attributes:
        problem: The problem in its response.
    """

    def __init__(self, problem: Problem) -> None:
        remedy = f"\n{problem.remedy}" if problem.remedy is not None else ""
        super().__init__(f"{problem.detail}{remedy}")
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status, e.g. 404."""
        return self.problem.status


class AgentUnreachableError(ClientError):
    """No server responded at the address; the message has the address and a remedy."""
