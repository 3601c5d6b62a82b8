"""Lambda's call to invoke a function, answered by the functions of the app."""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError

from conducto.model.deployment import function_name

logger = logging.getLogger(__name__)

Call = Callable[[str, Any], Any]
_Answer = tuple[int, dict[str, str], str]


def install(call: Call, stage: str, functions: tuple[str, ...]) -> None:
    """Have moto's server in this process call functions.

    Args:
        call: Calls one by what the app calls it.
        stage: Of the installation.
        functions: Those that there are.
    """
    known = {function_name(stage, name): name for name in functions}

    def invoke(self: Any) -> _Answer:
        asked = unquote(self.path.rsplit("/", 2)[-2]).rpartition(":")[2]
        if asked not in known:
            raise AWSError(f"Function not found: {asked}", "ResourceNotFoundException")
        event = json.loads(self.body or b"{}")
        if self.headers.get("X-Amz-Invocation-Type") == "Event":
            threading.Thread(target=_called, args=(call, known[asked], event), daemon=True).start()
            return 202, {}, ""
        return _called(call, known[asked], event)

    LambdaResponse.invoke = invoke


def _called(call: Call, name: str, event: Any) -> _Answer:
    try:
        return 200, {}, json.dumps(call(name, event))
    except Exception as error:  # as Lambda: whoever invoked it is told
        logger.exception("the function %s failed", name)
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return 200, {"x-amz-function-error": "Unhandled"}, json.dumps(told)
