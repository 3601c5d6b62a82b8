"""Requests and errors of the data function."""

from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from conducto_core.cache.views import DamagedObjectError
from conducto_core.errors import NotFoundError, RefusedError

What = Literal["stage", "fetch"]


_ERRORS: Mapping[str, type[Exception]] = {
    "not_found": NotFoundError,
    "refused": RefusedError,
    "timeout": TimeoutError,
    "damaged": DamagedObjectError,
}


def raise_error(response: Mapping[str, Any]) -> NoReturn:
    """Raise the error that a response of `serve` describes."""
    raise _ERRORS[response["error"]](response["message"])
