"""Errors of requests; `conducto.errors` has the whole tree.

ClientError
├── ApiError               the server responded with a problem
└── AgentUnreachableError  no server responded
"""

from conducto import errors
from conducto.errors import AgentUnreachableError, ClientError
from conducto_core.run.model.requests import Problem

__all__ = ["AgentUnreachableError", "ApiError", "ClientError"]


class ApiError(errors.ApiError):
    """The server rejected the request, or failed.

    Attributes:
        problem: The problem in its response.
        status: The HTTP status, e.g. 404.
    """

    def __init__(self, problem: Problem) -> None:
        remedy = f"\n{problem.remedy}" if problem.remedy is not None else ""
        super().__init__(f"{problem.detail}{remedy}")
        self.problem = problem
        self.status = problem.status

    def __reduce__(self) -> tuple[type["ApiError"], tuple[Problem]]:
        return (ApiError, (self.problem,))
