"""Emulates EventBridge: delivers events and schedules to the app's functions."""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError
from moto.events.models import Rule
from moto.events.utils import _BASE_EVENT_MESSAGE

from conducto_core.events.rules.patterns import matches
from conducto_core.installation.names import function_name
from conducto_emulator.faults.latency import LAMBDA_ASYNC_PAYLOAD, LAMBDA_SYNC_PAYLOAD, Dice
from conducto_emulator.faults.strict import Strictness

# ----------------------------------------------------------------------------------------
# Lambda's asynchronous invocations, in separate threads and with retries.


logger = logging.getLogger(__name__)

#: Seconds before the two retries of a failed invocation: none.
AT_ONCE = (0.0, 0.0)


class AsyncCalls:
    """Executes calls until they succeed or have no retries left.

    Args:
        pauses: Seconds before each retry.
    """

    def __init__(self, pauses: Sequence[float] = AT_ONCE) -> None:
        self._pauses = tuple(pauses)
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="events")
        self._closed = threading.Event()
        self._timers: set[threading.Timer] = set()
        self._lock = threading.Lock()

    def submit(self, what: str, call: Callable[[], object], delay: float = 0.0) -> None:
        """Execute a call after some seconds; ``what`` names it in the log."""
        self._later(delay, lambda: self._try(what, call, 0))

    def execute(self, what: str, call: Callable[[], object]) -> None:
        """Execute a call in this thread, and its retries later."""
        self._try(what, call, 0)

    def close(self) -> None:
        """Stop starting calls and wait for the running ones."""
        self._closed.set()
        with self._lock:
            timers = list(self._timers)
        for timer in timers:
            timer.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        if self._closed.is_set():
            return
        if delay <= 0:
            self._begin(call)
            return
        timer = threading.Timer(delay, lambda: self._due(timer, call))
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()

    def _due(self, timer: threading.Timer, call: Callable[[], None]) -> None:
        with self._lock:
            self._timers.discard(timer)
        self._begin(call)

    def _begin(self, call: Callable[[], None]) -> None:
        try:
            self._pool.submit(call)
        except RuntimeError:  # it was closed meanwhile
            logger.info("dropped a call: the emulator is stopping")

    def _try(self, what: str, call: Callable[[], object], tried: int) -> None:
        try:
            call()
        except Exception:
            logger.exception("%s failed (attempt %s)", what, tried + 1)
            if tried < len(self._pauses):
                self._later(self._pauses[tried], lambda: self._try(what, call, tried + 1))


Function = Callable[[dict[str, Any], Any], Any]
#: Event patterns and the functions that they trigger.
Rules = Iterable[tuple[Mapping[str, Any], Function]]


class EventBus:
    """Calls functions for events and schedules.

    Attributes:
        copies: Number of deliveries of every event.
    """

    def __init__(
        self,
        rules: Rules,
        region: str,
        account: str,
        calls: AsyncCalls,
        strictness: Strictness | None = None,
    ) -> None:
        self.copies = 1
        self._calls = calls
        self._strictness = strictness
        self._dice = Dice(strictness.seed if strictness else 0)
        self._rules = tuple(rules)
        self._region = region
        self._account = account
        self._leaving = threading.Event()
        self._clocks: list[threading.Thread] = []

    def publish(self, source: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Deliver an event, possibly later."""
        event = self._event(source, kind, detail)
        for function in [each for pattern, each in self._rules if matches(pattern, event)]:
            for _ in range(self.copies + self._duplicates()):
                self._call(function, event, self._delay())

    def every(self, seconds: float, function: Function) -> None:
        """Call a function at an interval."""

        def run() -> None:
            while not self._leaving.wait(seconds):
                # One at a time: on a busy machine the number of calls in progress would grow.
                self.call_scheduled(function)

        self._clocks.append(threading.Thread(target=run, daemon=True, name="schedule"))
        self._clocks[-1].start()

    def call_scheduled(self, function: Function) -> None:
        """Call a function as its schedule does, and wait for its end."""
        event = self._event("aws.events", "Scheduled Event", {})
        for _ in range(1 + self._duplicates()):
            self._calls.execute("Scheduled Event", partial(function, event, None))

    def close(self) -> None:
        self._leaving.set()
        self._calls.close()
        for each in self._clocks:
            each.join()

    def _event(self, source: str, kind: str, detail: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": source,
            "account": self._account,
            "time": datetime.now(UTC).isoformat(),
            "region": self._region,
            "resources": [],
            "detail": dict(detail),
        }

    def _duplicates(self) -> int:
        strictness = self._strictness
        return int(
            strictness is not None and self._dice.happens("duplicate", strictness.duplicates)
        )

    def _delay(self) -> float:
        strictness = self._strictness
        if strictness is None or not self._dice.happens("late", strictness.late):
            return 0.0
        return strictness.late_seconds * self._dice.draw("how late")

    def _call(self, function: Function, event: dict[str, Any], delay: float) -> None:
        if not self._leaving.is_set():
            self._calls.submit(str(event["detail-type"]), partial(function, event, None), delay)


# ----------------------------------------------------------------------------------------
# Rules that the functions create in moto's EventBridge, for PutEvents and objects in S3.


_WHOLE_EVENT = "<aws.events.event.json>"


def install_rules(call: "Call", stage: str, functions: tuple[str, ...], later: AsyncCalls) -> None:
    """Make moto's rules invoke functions of the installation."""
    known = {function_name(stage, name): name for name in functions}

    def send(self: Rule, event: dict[str, Any], transform_input: bool = True) -> None:  # noqa: ARG001
        pattern = self.event_pattern.get_pattern()
        if self.state != "ENABLED" or not pattern or not matches(pattern, event):
            return
        if event["id"] == _BASE_EVENT_MESSAGE["id"]:  # all of moto's events of S3 have this one
            event = {**event, "id": str(uuid.uuid4())}
        for target in self.targets:
            name = known[target["Arn"].rpartition(":")[2]]
            template = target["InputTransformer"]["InputTemplate"]
            body = json.loads(template.replace(_WHOLE_EVENT, json.dumps(event)))
            later.submit(name, partial(call, name, body))

    Rule.send_to_targets = send


# ----------------------------------------------------------------------------------------
# Errors of function calls.


class FunctionError(Exception):
    """A function raised an exception or was cut off; the message is Lambda's."""


class AuthorizerError(Exception):
    """The authorizer of a request failed or was throttled."""


class EndedError(FunctionError):
    """A function reached its time limit, or its process ended during a call."""


class TooManyRequestsError(Exception):
    """The maximum concurrency of functions was reached."""


class PayloadError(Exception):
    """An event or a response is too large for Lambda."""


# ----------------------------------------------------------------------------------------
# Lambda's Invoke operation in moto's server: it calls the functions of the installation.


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
