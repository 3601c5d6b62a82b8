"""The Chalice app in this process, behind an emulated API Gateway and Lambda."""

import base64
import importlib.util
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chalice.app import Chalice, CloudWatchEventConfig, Rate, ScheduledEventConfig
from chalice.config import Config
from chalice.local import (
    CustomLocalChalice,
    LocalChalice,
    LocalGateway,
    LocalGatewayException,
    NotAuthorizedError,
)

from conducto_core.installation.model import GATEWAY_PROBLEMS, PROBLEM_TYPE
from conducto_emulator.lambdas.events import (
    AuthorizerError,
    Function,
    FunctionError,
    PayloadError,
    Rules,
    TooManyRequestsError,
)

logger = logging.getLogger(__name__)

#: Name of the app's module in this process.
MODULE = "conducto_emulated_app"
#: API Gateway's response if the function fails.
_FAILED = b'{"message": "Internal server error"}'
_JSON = [("Content-Type", "application/json")]
_UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class AppError(Exception):
    """The app cannot be loaded."""


def load(functions: Path) -> Chalice:
    """Return the app in a directory of functions.

    Raises:
        AppError: It is missing or cannot be loaded.
    """
    path = functions / "app.py"
    if not path.is_file():
        raise AppError(f"{path} is missing: the emulator runs from a checkout of Conducto")
    if str(functions) not in sys.path:
        sys.path.insert(0, str(functions))
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise AppError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    app: Chalice = module.app
    # Chalice keeps the current request on the app; this class serves concurrent requests.
    CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
    app.__class__ = CustomLocalChalice
    return app


class Functions:
    """The functions of the app."""

    def __init__(self, app: Chalice) -> None:
        self._app = app
        self._gateway = LocalGateway(app, Config.create(chalice_app=app, lambda_timeout=60))

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Handle a request like API Gateway; return status, headers and body."""
        try:
            response = self._gateway.handle_request(method, target, dict(headers), body)
        except LocalGatewayException as error:
            return _problem(_response_type(error))
        except AuthorizerError:
            return _problem("AUTHORIZER_FAILURE")
        except PayloadError:
            return 413, _JSON, b'{"message": "Request Too Long"}'
        except TooManyRequestsError:
            return 500, _JSON, _FAILED
        except FunctionError:
            logger.exception("%s %s", method, target.partition("?")[0])
            return 502, _JSON, _FAILED
        return response["statusCode"], list(_headers(response)), _body(response)

    def call(self, name: str, event: Mapping[str, Any]) -> Any:
        return self._app.handler_map[name](dict(event), None)

    def socket(self, route: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call the function of a route of the WebSocket API; return its response."""
        found = self._app.websocket_handlers.get(route)
        if found is None:
            return {"statusCode": 403}
        try:
            response = self._app.handler_map[found.name](dict(event), None)
        except (FunctionError, TooManyRequestsError):
            logger.exception("the function of %s", route)
            return {"statusCode": 500}
        return response if isinstance(response, Mapping) else {"statusCode": 200}

    def rules(self) -> Rules:
        """Return the event patterns of the functions."""
        return [
            (source.event_pattern, self._app.handler_map[source.name])
            for source in self._app.event_sources
            if isinstance(source, CloudWatchEventConfig)
        ]

    def schedules(self) -> Iterator[tuple[float, Function]]:
        """Yield the scheduled functions with their intervals in seconds."""
        for source in self._app.event_sources:
            if isinstance(source, ScheduledEventConfig):
                yield _seconds(source.schedule_expression), self._app.handler_map[source.name]


def _problem(kind: str) -> tuple[int, list[tuple[str, str]], bytes]:
    problem = GATEWAY_PROBLEMS[kind]
    said = problem.model_dump_json(exclude_none=True).encode()
    return problem.status, [("Content-Type", PROBLEM_TYPE)], said


def _response_type(error: LocalGatewayException) -> str:
    """Return API Gateway's response type for an error of Chalice."""
    if isinstance(error, NotAuthorizedError):
        return "UNAUTHORIZED"
    denied = error.headers.get("x-amzn-ErrorType") == "AccessDeniedException"
    return "ACCESS_DENIED" if denied else "MISSING_AUTHENTICATION_TOKEN"


def _seconds(expression: object) -> float:
    """Return the seconds of a rate; a cron expression counts as once a day."""
    text = expression.to_string() if isinstance(expression, Rate) else str(expression)
    words = text.removeprefix("rate(").removesuffix(")").split()
    if text.startswith("rate(") and len(words) == 2:  # noqa: PLR2004  (number and unit)
        return float(words[0]) * _UNIT_SECONDS[words[1].lower().removesuffix("s")]
    return _UNIT_SECONDS["day"]


def _headers(response: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in (response.get("headers") or {}).items():
        yield str(name), str(value)
    for name, values in (response.get("multiValueHeaders") or {}).items():
        for value in values:
            yield str(name), str(value)


def _body(response: Mapping[str, Any]) -> bytes:
    body = response.get("body") or b""
    if response.get("isBase64Encoded"):
        return base64.b64decode(body)
    return body.encode() if isinstance(body, str) else bytes(body)
