"""Lambda's call to invoke a function, answered by the functions of the app."""

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError

from conducto.model.deployment import function_name
from conducto_emulator.asynchronous import AsyncCalls
from conducto_emulator.limits import LAMBDA_ASYNC_PAYLOAD, LAMBDA_SYNC_PAYLOAD
from conducto_emulator.packaged_errors import TooManyRequestsError

logger = logging.getLogger(__name__)

Call = Callable[[str, Any], Any]
_TOO_LARGE = "Request must be smaller than {} bytes for the InvokeFunction operation"
_Answer = tuple[int, dict[str, str], str]


def install(call: Call, stage: str, functions: tuple[str, ...], later: AsyncCalls) -> None:
    """Have moto's server in this process call functions.

    Args:
        call: Calls one by what the app calls it.
        stage: Of the installation.
        functions: Those that there are.
        later: Carries asynchronous invocations out.
    """
    known = {function_name(stage, name): name for name in functions}

    def invoke(self: Any) -> _Answer:
        asked = unquote(self.path.rsplit("/", 2)[-2]).rpartition(":")[2]
        if asked not in known:
            raise AWSError(f"Function not found: {asked}", "ResourceNotFoundException")
        name, body = known[asked], self.body or b"{}"
        is_event = self.headers.get("X-Amz-Invocation-Type") == "Event"
        most = (LAMBDA_ASYNC_PAYLOAD if is_event else LAMBDA_SYNC_PAYLOAD).value
        if len(body) > most:
            raise AWSError(_TOO_LARGE.format(most), "RequestTooLargeException", 413)
        if is_event:
            later.submit(name, lambda: call(name, json.loads(body)))
            return 202, {}, ""
        return _called(call, name, json.loads(body))

    LambdaResponse.invoke = invoke


def _called(call: Call, name: str, event: Any) -> _Answer:
    try:
        return 200, {}, json.dumps(call(name, event))
    except TooManyRequestsError as error:
        raise AWSError(str(error), "TooManyRequestsException", 429) from error
    except Exception as error:  # as Lambda: whoever invoked it is told
        logger.exception("the function %s failed", name)
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return 200, {"x-amz-function-error": "Unhandled"}, json.dumps(told)
