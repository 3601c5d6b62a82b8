"""Lambda's Invoke operation in moto's server: it calls the functions of the installation."""

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError

from conducto_core.model.deployment import function_name
from conducto_emulator.asynchronous import AsyncCalls
from conducto_emulator.limits import LAMBDA_ASYNC_PAYLOAD, LAMBDA_SYNC_PAYLOAD
from conducto_emulator.packaged_errors import TooManyRequestsError

logger = logging.getLogger(__name__)

Call = Callable[[str, Any], Any]
_TOO_LARGE = "Request must be smaller than {} bytes for the InvokeFunction operation"
_Response = tuple[int, dict[str, str], str]


def install(call: Call, stage: str, functions: tuple[str, ...], later: AsyncCalls) -> None:
    """Make moto's server in this process invoke functions."""
    known = {function_name(stage, name): name for name in functions}

    def invoke(self: Any) -> _Response:
        asked = unquote(self.path.rsplit("/", 2)[-2]).rpartition(":")[2]
        if asked not in known:
            raise AWSError(f"Function not found: {asked}", "ResourceNotFoundException")
        name, body = known[asked], self.body or b"{}"
        is_event = self.headers.get("X-Amz-Invocation-Type") == "Event"
        maximum = (LAMBDA_ASYNC_PAYLOAD if is_event else LAMBDA_SYNC_PAYLOAD).value
        if len(body) > maximum:
            raise AWSError(_TOO_LARGE.format(maximum), "RequestTooLargeException", 413)
        if is_event:
            later.submit(name, lambda: call(name, json.loads(body)))
            return 202, {}, ""
        return _invoked(call, name, json.loads(body))

    LambdaResponse.invoke = invoke


def _invoked(call: Call, name: str, event: Any) -> _Response:
    try:
        return 200, {}, json.dumps(call(name, event))
    except TooManyRequestsError as error:
        raise AWSError(str(error), "TooManyRequestsException", 429) from error
    except Exception as error:  # as in Lambda, the caller gets the error
        logger.exception("the function %s failed", name)
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return 200, {"x-amz-function-error": "Unhandled"}, json.dumps(told)
