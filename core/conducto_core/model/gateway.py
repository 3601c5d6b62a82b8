"""Responses that API Gateway sends before, or instead of, the functions: problem documents.

The names are API Gateway's own. ``infra/`` configures these responses, and the emulator sends the
same ones.
"""

from collections.abc import Mapping
from types import MappingProxyType

from conducto_core.model.requests import Problem

PROBLEM_TYPE = "application/problem+json"
_UNKNOWN = Problem(
    title="not found",
    status=404,
    detail="there is no such operation",
    remedy="see the reference of the API; a newer client may need a newer installation",
)
_LOG_IN = "log in again: conducto login --url URL"

GATEWAY_PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "ACCESS_DENIED": Problem(
            title="wrong token",
            status=401,
            detail="the token is not valid here: it expired, was revoked, or never existed",
            remedy=_LOG_IN,
        ),
        "UNAUTHORIZED": Problem(
            title="no token", status=401, detail="the request carries no token", remedy=_LOG_IN
        ),
        # API Gateway's name for an unknown path or method.
        "MISSING_AUTHENTICATION_TOKEN": _UNKNOWN,
        "INVALID_SIGNATURE": _UNKNOWN,
        "RESOURCE_NOT_FOUND": _UNKNOWN,
        "REQUEST_TOO_LARGE": Problem(
            title="too large",
            status=413,
            detail="API Gateway accepts 10 MB in a request",
            remedy="upload the body to the address that POST /api/v1/uploads returns",
        ),
        "THROTTLED": Problem(
            title="busy",
            status=429,
            detail="too many requests at the same time",
            remedy="try again in a few seconds",
        ),
        "INTEGRATION_TIMEOUT": Problem(
            title="too slow",
            status=504,
            detail="the response took longer than the 29 s that API Gateway waits",
            remedy="check whether the operation was done before you try again",
        ),
    }
)
