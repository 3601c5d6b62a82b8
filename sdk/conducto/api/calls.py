"""Calls of the Python client with the errors that callers of the original expect."""

from __future__ import annotations

from conducto import _host
from conducto.api import target
from conducto.api.errors import InvalidResponse, UnauthorizedResponse
from conducto.errors import ClientError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

_UNAUTHORIZED = 401


def client(name: str) -> Callable[..., Any]:
    """Return a function of the Python client, which raises the errors of this package."""
    return _translated(_host.client_name(name))


def original(name: str) -> Callable[..., Any]:
    """Return a function that only the original's API needs; likewise."""
    module: Any = _host.client_name("original", "co.api")
    return _translated(getattr(module, name))


def found(pipeline_id: str) -> Any:
    """Return the handle of a pipeline on the target of this process."""
    return client("get_pipeline")(pipeline_id, **where())


def where() -> Dict[str, Optional[str]]:
    """Return the target and the profile of this process, as arguments."""
    return {"target": target.of_launch(), "profile": target.profile_of_launch()}


def result_of(call: Callable[[], Any]) -> Any:
    """Return the result of a call; raise the errors that callers of the original expect."""
    try:
        return call()
    except (ClientError, UsageError) as error:
        status = getattr(error, "status", None)
        kind = UnauthorizedResponse if status == _UNAUTHORIZED else InvalidResponse
        raise kind(str(error), status_code=status) from error


def _translated(function: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: result_of(lambda: function(*args, **kwargs))
