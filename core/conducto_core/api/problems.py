"""The conversion of exceptions to the `Problem` that a client gets.

An exception type without a rule is a bug in Conducto: the client gets a number, and the log has the
same number with the traceback.
"""

import logging
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from conducto.errors import DefinitionError
from conducto_core.api.downloads import RangeError
from conducto_core.api.operation import MAX_JSON_DEPTH, Permission
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.requests import Problem

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_CLIP = 100


class ProblemError(Exception):
    """A request ends with this problem.

    Attributes:
        headers: ``(name, value)`` pairs that the response must have.
    """

    def __init__(self, problem: Problem, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = tuple(headers)


@dataclass(frozen=True, slots=True)
class ProblemRule:
    """The problem for one type of exception and its subclasses.

    Attributes:
        type: URI reference that identifies the problem for programs.
        numbers: The rule is for these error numbers of an `OSError` only.
    """

    error: type[Exception]
    status: int
    title: str
    type: str = "about:blank"
    numbers: frozenset[int] | None = None

    def matches(self, error: Exception) -> bool:
        number = error.errno if isinstance(error, OSError) else None
        return isinstance(error, self.error) and (self.numbers is None or number in self.numbers)


RULES: tuple[ProblemRule, ...] = (
    ProblemRule(NotFoundError, 404, "not found"),
    ProblemRule(RefusedError, 409, "refused"),
    ProblemRule(DefinitionError, 422, "wrong definition", "about:blank#definition"),
)


def problem_of(error: Exception, rules: Iterable[ProblemRule] = RULES) -> Problem:
    """Return the problem for ``error``.

    ``error.path`` and ``error.remedy``, if an exception has them, become fields of their own. An
    error without a rule is logged, under the id in the problem.
    """
    if isinstance(error, ProblemError):
        return error.problem
    for rule in rules:
        if rule.matches(error):
            return Problem(
                type=rule.type,
                title=rule.title,
                status=rule.status,
                detail=str(error),
                path=getattr(error, "path", None),
                remedy=getattr(error, "remedy", None),
            )
    number = secrets.token_hex(4)
    logger.error("request failed", exc_info=error, extra={"error_id": number})
    return Problem(
        type="about:blank#internal",
        title="internal error",
        status=500,
        detail=f"internal error {number}, a bug in Conducto; there is no result",
        remedy=f"look for {number} in the log of the server (locally agent.log) and report it",
    )


def invalid_request(error: ValidationError, where: str, *, quoting: bool = True) -> ProblemError:
    """Return the problem of a ``query`` or ``body`` that does not match its model."""
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return ProblemError(
            Problem(title="not JSON", status=400, detail=f"{where}: {found[0]['msg']}")
        )
    sentences = []
    for item in found:
        field = ".".join([where, *map(str, item["loc"])])
        unsaid = not quoting or item["type"] == "missing"
        value = "" if unsaid else f", got {_clip(item['input'])}"
        sentences.append(f"{field}: {item['msg'][:1].lower()}{item['msg'][1:]}{value}")
    return ProblemError(
        Problem(title="invalid request", status=422, detail="; ".join(sentences[:5]))
    )


def wrong_token() -> ProblemError:
    return ProblemError(
        Problem(
            title="wrong token",
            status=401,
            detail="the request carries no valid token",
            remedy="log in with 'conducto login'",
        )
    )


def not_allowed(lacking: Iterable[str]) -> ProblemError:
    """Return the problem of a token without the necessary permissions."""
    missing = tuple(lacking)
    who = "owner of the organisation" if Permission.MANAGE_BILLING in missing else "administrator"
    return ProblemError(
        Problem(
            title="not allowed",
            status=403,
            detail=f"this token lacks the permission: {', '.join(missing)}",
            remedy=f"ask an {who} for a token with it",
        )
    )


def check_allowed(needed: Iterable[str], held: Collection[str]) -> None:
    """Check that a token has permissions; raises `ProblemError` (403) with those that it lacks."""
    lacking = sorted(set(needed) - set(held))
    if lacking:
        raise not_allowed(lacking)


def unsigned(why: str) -> ProblemError:
    """Return the problem of a webhook without a valid signature."""
    return ProblemError(
        Problem(
            title="wrong signature",
            status=401,
            detail=why,
            remedy="send the event with the current signing secret of this webhook",
        )
    )


def no_assistant() -> ProblemError:
    """Return the problem of a request that needs the token of an assistant."""
    return ProblemError(
        Problem(
            title="not an assistant",
            status=403,
            detail="this address is for tokens of assistants only",
            remedy="create one: conducto tokens create NAME --assistant --allow read,control",
        )
    )


def gone(detail: str, remedy: str) -> ProblemError:
    """Return the problem of something that was valid once."""
    return ProblemError(Problem(title="gone", status=410, detail=detail, remedy=remedy))


def unknown_route(method: str, path: str) -> ProblemError:
    return ProblemError(
        Problem(
            title="no such route",
            status=404,
            detail=f"the API has no {method} {path!r}",
            remedy="update the client or the agent, so that both have one version",
        )
    )


def wrong_method(method: str, path: str, allowed: Sequence[str]) -> ProblemError:
    names = ", ".join(allowed)
    return ProblemError(
        Problem(
            title="wrong method", status=405, detail=f"{path} has no {method!r}; it has {names}"
        ),
        headers=[("allow", names)],
    )


def too_large(limit: int) -> ProblemError:
    """Return the problem of a body above ``limit`` bytes."""
    return ProblemError(
        Problem(
            title="body too large",
            status=413,
            detail=f"the body of this request may have {limit} bytes",
        ),
        headers=[("connection", "close")],  # the rest of the body is not read
    )


def too_deep() -> ProblemError:
    """Return the problem of a JSON body with more than `MAX_JSON_DEPTH` levels."""
    return ProblemError(
        Problem(
            title="body too deep",
            status=400,
            detail=f"body: it has more than {MAX_JSON_DEPTH} levels of arrays and objects",
            remedy="send a body with fewer levels",
        )
    )


def wrong_media_type(media_type: str) -> ProblemError:
    """Return the problem of a body with a media type other than JSON."""
    return ProblemError(
        Problem(
            title="wrong media type",
            status=415,
            detail=f"a body must be application/json, got {_clip(media_type)}",
        )
    )


def repeated_parameter(name: str) -> ProblemError:
    """Return the problem of a query parameter that occurs twice."""
    return ProblemError(
        Problem(
            title="invalid request",
            status=422,
            detail=f"query.{name}: given twice, or in the path as well",
        )
    )


def wrong_header(name: str, what: str) -> ProblemError:
    """Return the problem of a header; ``what`` continues the sentence after its name."""
    return ProblemError(
        Problem(title="invalid request", status=422, detail=f"header {name}: {what}")
    )


def cut_off() -> Problem:
    """Return the problem of a request that may have been executed before a server stopped."""
    return Problem(
        type="about:blank#cut-off",
        title="outcome unknown",
        status=409,
        detail="the first request with this Idempotency-Key was interrupted; it may have been done",
        remedy="check whether it was; if not, send it again with a new key",
    )


def wrong_range(error: RangeError) -> ProblemError:
    return ProblemError(
        Problem(title="wrong range", status=416, detail=str(error)),
        headers=[("content-range", f"bytes */{error.size}")],
    )


def _clip(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}…"
