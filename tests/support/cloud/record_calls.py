"""Records every AWS request of a function, for tests of permissions.

A prelude of `conducto_emulator.lambdas.host`, so only the standard library and the modules of
Lambda are available. Each line of the file in ``CONDUCTO_TEST_CALLS`` has the function, the
service, the operation and its parameters.
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

#: Parameters of AWS requests that are not recorded, because they may be long or secret.
_CARRIED = frozenset(
    [
        "Body",
        "Data",
        "ExpressionAttributeValues",
        "Item",
        "Payload",
        "Policy",
        "SecretString",
        "buildspecOverride",
        "cause",
        "containerDefinitions",
        "definition",
        "environmentVariablesOverride",
        "input",
        "output",
        "overrides",
        "taskToken",
    ]
)
_called: ContextVar[str] = ContextVar("_called", default="")


def note_calls(file: Path) -> None:
    """Record every AWS request that a function sends or signs."""
    begin, one = BaseClient._emit_api_params, threading.Lock()  # sends and signs
    written = file.open("a")

    def noting(self: Any, *given: Any, **named: Any) -> Any:
        params, operation = named["api_params"], named["operation_model"]
        call = {
            "function": _called.get(),
            "service": operation.service_model.service_name,
            "operation": operation.name,
            "params": _about(params),
        }
        with one:
            written.write(json.dumps(call) + "\n")
            written.flush()
        return begin(self, *given, **named)

    BaseClient._emit_api_params = noting
    _let_threads_know()


def _about(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _about(each) for name, each in value.items() if name not in _CARRIED}
    if isinstance(value, list | tuple):
        return [_about(each) for each in value]
    return value if isinstance(value, str | int | float | None) else type(value).__name__


def _let_threads_know() -> None:
    """Attribute the requests of a thread to the function that started it."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def started(self: Any) -> None:
        run, context = self.run, copy_context()
        self.run = lambda: context.run(run)
        start(self)

    def submitted(self: Any, task: Any, /, *given: Any, **named: Any) -> Any:
        return submit(self, copy_context().run, task, *given, **named)

    threading.Thread.start = started
    ThreadPoolExecutor.submit = submitted


def note_names(host: Any) -> None:
    """Remember which function is called."""
    respond = host.respond

    def named(self: Any, request: dict[str, Any], seconds: float) -> Any:
        _called.set(request.get("name", ""))
        return respond(self, request, seconds)

    host.respond = named


note_names(sys.modules["__main__"].SandboxHost)
note_calls(Path(os.environ["CONDUCTO_TEST_CALLS"]))
