"""Errors a caller of the client can catch.

ClientError
├── ApiError               the server answered with a problem
└── AgentUnreachableError  no server answered
"""

from conducto_core.model.requests import Problem


class ClientError(Exception):
    """The base of what the client raises."""


class ApiError(ClientError):
    """The server refused, or failed.

    Attributes:
        problem: What it said.
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
    """No server answered at the address; the message says which and what to do."""
