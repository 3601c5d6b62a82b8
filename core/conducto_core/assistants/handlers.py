"""The check of an assistant's requests, for the servers of both targets."""

from collections.abc import Collection, Mapping

from conducto_core.api.operation import AnyOperation
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.model import CLIENT_HEADER, MAX_REQUESTS
from conducto_core.assistants.rules.authority import client_name, refusal_of_scopes
from conducto_core.run.model.requests import Problem


def client_in(headers: Mapping[str, str]) -> str:
    """Return the name of a request's client; the names of headers are in lower case."""
    return client_name(headers.get(CLIENT_HEADER.lower(), ""))


def check_scopes(scopes: Collection[str], operation: AnyOperation, body: bytes) -> None:
    """Check that the scopes of a token allow a request; raises `ProblemError` (403)."""
    refusal = refusal_of_scopes(scopes, operation, body)
    if refusal is not None:
        raise ProblemError(
            Problem(title="not allowed", status=403, detail=refusal.detail, remedy=refusal.remedy)
        )


def check_pace(count: int) -> None:
    """Check the number of an assistant's requests in this minute; raises `ProblemError` (429)."""
    if count > MAX_REQUESTS:
        raise ProblemError(
            Problem(
                title="too many requests",
                status=429,
                detail=f"an assistant may send {MAX_REQUESTS} requests in a minute",
                remedy="wait a minute; use 'wait' instead of asking again and again",
            )
        )
