"""Fixes for the Step Functions interpreter of moto 5.2.5, so that it runs our machines.

Moto contains the interpreter of another emulator without its surrounding parts. Each function
``_patch_…`` fixes one defect, which its docstring describes, and has its own test in
``tests/conformance/test_moto_shim.py``; `install` applies all. Private names are used, so moto's
version is pinned, and a new version has to pass those tests first.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.settings import moto_server_port
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.component import eval_component
from moto.stepfunctions.parser.asl.component.state import state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import (
    state_task_activitiy as activity,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback as callbacks,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_sfn as nested,
)
from moto.stepfunctions.parser.asl.eval import environment
from moto.stepfunctions.parser.asl.eval.callback import callback
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.backend import execution as executions
from moto.stepfunctions.parser.backend import execution_worker
from moto.stepfunctions.parser.backend.activity import Activity as WaitingRoom
from moto.stepfunctions.parser.backend.activity import ActivityTask
from moto.stepfunctions.responses import StepFunctionResponse

from conducto_emulator.gateway.access import AccessKey

if TYPE_CHECKING:
    from collections.abc import Mapping

STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
_PAGE = 1_000


class Desk:
    """The tasks that wait for workers, across all executions.

    Attributes:
        poll_seconds: Seconds that a poll without a task stays open; AWS: 60.
    """

    def __init__(self) -> None:
        self.poll_seconds = 1.0
        self._changed = threading.Condition()
        self._rooms: dict[str, WaitingRoom] = {}
        self._tasks: dict[str, Any] = {}

    def get(self, arn: str, default: object = None) -> WaitingRoom | None:
        """Return the waiting room of an activity; called by moto as its activity store."""
        del default
        with self._changed:
            return self._rooms.setdefault(arn, WaitingRoom(arn, arn.rsplit(":", 1)[-1]))

    def publish(self, arn: str, endpoint: Any) -> None:
        """Offer a task to workers; its endpoint must be ready to be notified."""
        room = self.get(arn)
        assert room is not None
        token = endpoint.callback_id
        with self._changed:
            self._tasks[token] = endpoint
            room.add_task(ActivityTask(token, endpoint.get_activity_input()))
            self._changed.notify_all()

    def poll(self, arn: str, worker: str | None) -> dict[str, str]:
        """Return ``{"taskToken", "input"}`` of the next task, empty if there was none in time."""
        room = self.get(arn)
        assert room is not None
        end = time.monotonic() + self.poll_seconds
        with self._changed:
            while True:
                while room._tasks:
                    task = room._tasks.popleft()
                    endpoint = self._tasks[task.task_token]
                    if is_waited_for(endpoint):
                        endpoint.notify_activity_task_start(worker)
                        return {"taskToken": task.task_token, "input": task.task_input}
                left = end - time.monotonic()
                if left <= 0:
                    return {}
                self._changed.wait(left)

    def waiting(self, token: str) -> Any:
        """Return the endpoint of an open task, or raise AWS's error."""
        endpoint = self._tasks.get(token)
        if endpoint is None:
            raise AWSError("Invalid Token: 'Invalid token'", "InvalidToken")
        if not is_waited_for(endpoint):
            raise AWSError("Task Timed Out: 'Provided task does not exist anymore'", "TaskTimedOut")
        return endpoint


DESK = Desk()


class RequestPace:
    """The pace of executions.

    Attributes:
        seconds: Returns the duration of one state transition.
    """

    def __init__(self) -> None:
        self.seconds: Callable[[], float] = _at_once


def _at_once() -> float:
    return 0.0


PACE = RequestPace()

#: Called with an execution (moto's object) when it has ended, in its thread.
ON_EXECUTION_ENDED: list[Callable[[Any], None]] = []


def is_waited_for(endpoint: Any) -> bool:
    """Return whether a task is still open."""
    over = getattr(endpoint, "over", False) or endpoint.get_outcome() is not None
    return not over and endpoint.consumer_error is None


@cache
def install() -> None:
    """Apply all fixes in this process, once."""
    _patch_activity_store()
    _patch_publication()
    _patch_late_heartbeat()
    _patch_late_answers()
    _patch_worker_routes()
    _patch_nested_executions()
    _patch_stop()
    _patch_history_pages()
    _patch_end_of_executions()
    _patch_pace()
    _patch_costs()
    _patch_parsing()


def _patch_activity_store() -> None:
    """Defect: executions have an empty activity store, and all get the name None."""

    class Execution(models.Execution):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            super().__init__(**{**given, "activity_store": DESK})

    start = models.StepFunctionsParserBackend.start_execution

    def start_execution(self: Any, arn: str, name: str | None = None, *rest: Any) -> Any:
        return start(self, arn, str(uuid.uuid4()) if name is None else name, *rest)

    models.Execution = Execution
    models.StepFunctionsParserBackend.start_execution = start_execution


def _patch_publication() -> None:
    """Defect: a task can be polled before it can be completed."""

    def add_activity_task(
        self: Any, callback_id: str, activity_arn: str, activity_input: str
    ) -> Any:
        endpoint = callback.ActivityCallbackEndpoint(callback_id, activity_input)
        self._pool[callback_id] = endpoint
        DESK.publish(activity_arn, endpoint)
        return endpoint

    callback.CallbackPoolManager.add_activity_task = add_activity_task
    # Read before it is set if a task is stopped while it waits for a worker.
    callback.ActivityTaskStartEndpoint._outcome = None


def _patch_late_heartbeat() -> None:
    """Defect: a result that arrives before heartbeats are awaited is only seen after a timeout."""
    setup = callback.CallbackEndpoint.setup_heartbeat_endpoint

    def setup_heartbeat_endpoint(self: Any, heartbeat_seconds: int) -> Any:
        endpoint = setup(self, heartbeat_seconds)
        if self.get_outcome() is not None:
            endpoint.notify()
        return endpoint

    callback.CallbackEndpoint.setup_heartbeat_endpoint = setup_heartbeat_endpoint


def _patch_late_answers() -> None:
    """Defect: a task that timed out is still offered to workers and accepts results."""
    run = activity.StateTaskActivity._eval_execution

    def eval_execution(self: Any, env: Any) -> None:
        try:
            run(self, env)
        finally:
            task = env.states.context_object.context_object_data.get("Task")
            endpoint = task and env.callback_pool_manager.get(task["Token"])
            if endpoint:
                endpoint.over = True

    activity.StateTaskActivity._eval_execution = eval_execution


def _patch_worker_routes() -> None:
    """Defect: GetActivityTask is missing; SendTask* lose the cause and search all executions."""

    def get_activity_task(self: Any) -> ActionResult:
        arn = self._get_param("activityArn")
        if arn not in self.stepfunction_backend.activities:
            raise AWSError(f"Activity Does Not Exist: '{arn}'", "ActivityDoesNotExist")
        return ActionResult(DESK.poll(arn, self._get_param("workerName")))

    def send_task_success(self: Any) -> EmptyResult:
        token = self._get_param("taskToken")
        success = callback.CallbackOutcomeSuccess(token, self._get_param("output"))
        DESK.waiting(token).notify(success)
        return EmptyResult()

    def send_task_failure(self: Any) -> EmptyResult:
        token = self._get_param("taskToken")
        error, cause = self._get_param("error"), self._get_param("cause")
        DESK.waiting(token).notify(callback.CallbackOutcomeFailure(token, error, cause))
        return EmptyResult()

    def send_task_heartbeat(self: Any) -> EmptyResult:
        DESK.waiting(self._get_param("taskToken")).notify_heartbeat()
        return EmptyResult()

    for route in (get_activity_task, send_task_success, send_task_failure, send_task_heartbeat):
        setattr(StepFunctionResponse, route.__name__, route)


def _patch_nested_executions() -> None:
    """Defect: names of the language (``StateMachineArn``) are not converted to the API's."""
    service = nested.StateTaskServiceSfn
    normalise = service._normalise_parameters

    def normalise_parameters(
        self: Any, parameters: dict[str, Any], *rest: Any, **more: Any
    ) -> None:
        normalise(self, parameters, *rest, **more)
        _rename(parameters, str.lower)

    def normalise_response(self: Any, response: dict[str, Any], *_: Any, **__: Any) -> None:
        _rename(response, str.upper)
        for key, value in response.items():
            if isinstance(value, dt.datetime):
                response[key] = int(value.timestamp() * 1_000)

    service._normalise_parameters = normalise_parameters
    service._normalise_response = normalise_response
    callbacks._DELAY_SECONDS_SYNC_CONDITION_CHECK = 0.02


def _rename(fields: dict[str, Any], first: Callable[[str], str]) -> None:
    for key in list(fields):
        fields[first(key[0]) + key[1:]] = fields.pop(key)


def _patch_stop() -> None:
    """Defect: a stop does not stop waiting tasks and nested executions, and leaves an error."""
    for name in ("set_error", "set_timed_out"):
        setattr(environment.Environment, name, _unless_stopped(name))

    def stop_execution(self: Any) -> ActionResult:
        backend = self.stepfunction_backend
        execution = backend.describe_execution(self._get_param("executionArn"))
        _stop(backend, execution)
        return ActionResult({"stopDate": execution.stop_date})

    StepFunctionResponse.stop_execution = stop_execution


def _unless_stopped(name: str) -> Callable[..., None]:
    original = getattr(environment.Environment, name)

    def guarded(self: Any, *given: Any, **named: Any) -> None:
        if not isinstance(self._program_state, environment.ProgramStopped):
            original(self, *given, **named)

    return guarded


def _stop(backend: Any, execution: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    end = time.monotonic() + 5
    while execution.exec_worker.env is None and time.monotonic() < end:
        time.sleep(0.002)  # its thread has not started
    execution.stop(stop_date=now, error=None, cause=None)
    _interrupt(execution)
    for other in backend._get_executions():
        data: Mapping[str, Any] = other.input_data
        if data.get(STARTED_BY) == execution.exec_arn and other.status == "RUNNING":
            _stop(backend, other)
    while execution.status == "RUNNING" and time.monotonic() < end:
        time.sleep(0.002)
        _interrupt(execution)  # a task that its thread was just about to wait for


def _interrupt(execution: Any) -> None:
    for endpoint in list(execution.exec_worker.env.callback_pool_manager._pool.values()):
        endpoint.over = True
        endpoint.interrupt_all()
        if isinstance(endpoint, callback.ActivityCallbackEndpoint):
            endpoint._activity_task_start_endpoint._next_activity_task_start_event.set()


def _patch_history_pages() -> None:
    """Defect: GetExecutionHistory has neither pages nor a reverse order."""

    def get_execution_history(self: Any) -> ActionResult:
        history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
        events = history["events"]
        if self._get_param("reverseOrder"):
            events = events[::-1]
        first = int(self._get_param("nextToken") or 0)
        after = first + int(self._get_param("maxResults") or _PAGE)
        page: dict[str, Any] = {"events": events[first:after]}
        if after < len(events):
            page["nextToken"] = str(after)
        return ActionResult(page)

    StepFunctionResponse.get_execution_history = get_execution_history


def _patch_end_of_executions() -> None:
    """Defect: the end of an execution has no notification; AWS sends an event to EventBridge."""
    terminated = executions.BaseExecutionWorkerCommunication.terminated

    def tell(self: Any) -> None:
        terminated(self)
        for each in tuple(ON_EXECUTION_ENDED):
            each(self.execution)

    executions.BaseExecutionWorkerCommunication.terminated = tell


def _patch_pace() -> None:
    """Defect: state transitions take no time."""
    evaluate = state.CommonStateField._eval_body

    def eval_body(self: Any, env: Any) -> None:
        time.sleep(PACE.seconds())
        evaluate(self, env)

    state.CommonStateField._eval_body = eval_body


def _patch_costs() -> None:
    """Defect: every failure prints the whole program, every nested execution creates a client."""

    def say_nothing(self: Any, *_: Any, **__: Any) -> None:
        del self

    component = eval_component.EvalComponent
    component._log_failure_event_exception = say_nothing
    component._log_exception = say_nothing
    nested.boto_client_for = client_for


def _patch_parsing() -> None:
    """Defect: a definition is parsed when it is created, and again for its first execution."""
    parse = asl_parser.AmazonStateLanguageParser.parse

    class Parser(asl_parser.AmazonStateLanguageParser):  # type: ignore[misc]
        @staticmethod
        def parse(definition: str) -> Any:
            parsed = parse(definition)
            with _programs_lock:
                PROGRAMS[definition] = parsed[0]
                while len(PROGRAMS) > _MAX_PROGRAMS:
                    del PROGRAMS[next(iter(PROGRAMS))]
            return parsed

    def entrypoint(self: Any) -> Any:
        definition = self._evaluation_details.state_machine_details.definition
        with _programs_lock:
            # Not shared: it may have state.
            program = PROGRAMS.pop(definition, None)
        return parse(definition)[0] if program is None else program

    models.AmazonStateLanguageParser = Parser
    execution_worker.ExecutionWorker._get_evaluation_entrypoint = entrypoint


#: Parsed programs of definitions that were created and not executed yet.
PROGRAMS: dict[str, Any] = {}
_programs_lock = threading.Lock()
_MAX_PROGRAMS = 32


class _Signing:
    """The key for the interpreter's own requests; moto itself accepts any."""

    key = AccessKey("test", "test")


_signing = _Signing()


def sign_with(key: AccessKey) -> None:
    """Sign the interpreter's own requests with a key."""
    _signing.key = key


def client_for(region: str, service: str, state_credentials: object = None) -> Any:
    """Return a client of this process's moto server, always the same one."""
    del state_credentials
    return _client(region, service, moto_server_port(), _signing.key)


@lru_cache
def _client(region: str, service: str, port: str, key: AccessKey) -> Any:
    return boto3.session.Session().client(
        service,
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50, read_timeout=70),
    )
