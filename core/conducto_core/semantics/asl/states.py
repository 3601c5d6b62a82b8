"""The states of the Amazon States Language that a compiled tree uses, one function each.

Rules for editors: a state here decides nothing about the tree;
`conducto_core.semantics.asl.builder` passes the names of the next states. Every byte of `exec_task`
counts once per Exec: defaults of the language (``IntervalSeconds`` 1, ``BackoffRate`` 2.0) are left
out. State data holds ids only.

Source: https://states-language.net/spec.html
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from conducto_core.model.nodes import Callback, NodeSpec
from conducto_core.model.states import Cause
from conducto_core.semantics.naming import MAX_OFFERS, NO_TREE, WORKER_LOST
from conducto_core.semantics.rules import Failure, FailureDecision, decide_failure, state_of

State = dict[str, Any]
#: The fields of a state that name its successor and handle its result.
Exit = Mapping[str, Any]

HEARTBEAT_SECONDS: Final = 60
#: A year: the maximum duration of an execution.
FOREVER_SECONDS: Final = 31_536_000
#: The error of an execution whose top node failed.
NODE_FAILED: Final = "NodeFailed"

_MARGIN_SECONDS = 300
_MAX_TRIES = 100
# Implementations of the language differ in the error name of a missed heartbeat.
_RETRY_EXEC = [
    {
        "ErrorEquals": ["States.Timeout", "States.HeartbeatTimeout", WORKER_LOST],
        "MaxAttempts": MAX_OFFERS - 1,
    }
]
_RETRY_MACHINE = [
    {
        "ErrorEquals": [
            "StepFunctions.ExecutionLimitExceededException",
            "StepFunctions.ExecutionLimitExceeded",
            "StepFunctions.ThrottlingException",
        ],
        "IntervalSeconds": 5,
        "MaxAttempts": 5,
    }
]
_ANY_FAILED = {"e.$": "States.ArrayContains($[*].e, true)"}


def end() -> Exit:
    """Return the exit of a state that ends its scope without an error or data."""
    return {"OutputPath": None, "End": True}


def go_on(next_: str) -> Exit:
    """Return the exit of a state that passes its input on to ``next_``."""
    return {"ResultPath": None, "Next": next_}


def exec_task(
    node: str, spec: NodeSpec, resource: str, caught: str, exit_: Exit, **extra: Any
) -> State:
    """Return the state that runs an Exec on a worker of its pool; ``extra`` overrides fields."""
    return {
        "Type": "Task",
        "Resource": resource,
        "Parameters": {"n": node, "r.$": "$.r"},
        "TimeoutSeconds": backstop(spec),
        "HeartbeatSeconds": HEARTBEAT_SECONDS,
        "Retry": _RETRY_EXEC,
        "Catch": [_catch_all(caught)],
        **exit_,
        **extra,
    }


def generate_task(
    node: str,
    spec: NodeSpec,
    resource: str,
    caught: str,
    exit_: Exit,
    *,
    target: str,
    blocked: str,
) -> State:
    """Return the state of a Lazy's Generate; its output names the machine of the tree."""
    catch = [{**_catch_all(blocked), "ErrorEquals": [NO_TREE]}, _catch_all(caught)]
    result = {"ResultSelector": {"sm.$": "$.sm"}, "ResultPath": f"$.g.{target}"}
    return exec_task(node, spec, resource, caught, exit_, Catch=catch, **result)


def wait_task(node: str, spec: NodeSpec, resource: str, ended: str) -> State:
    """Return the last state of a branch, which waits for an Exec that is already in flight.

    ``w`` marks a claim that only waits: an Exec that is no longer in flight must not start because
    of it.
    """
    asked = {"n": node, "r.$": "$.r", "w": True}
    return exec_task(node, spec, resource, ended, end(), Parameters=asked)


def machine_task(
    resource: str, machine: Mapping[str, str], run_id: str, caught: str, exit_: Exit
) -> State:
    """Return the state that runs another machine and waits for its end.

    Args:
        resource: ARN of the integration that runs it.
        machine: ``{"StateMachineArn": ARN}``, or the same with a path into the state data.
        run_id: Path of the run's id in the state data.
        caught: The state after a failure.
        exit_: The exit after success.
    """
    data = {
        "r.$": run_id,
        "e": {},
        "p": {},
        "g": {},
        "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id",
    }
    return {
        "Type": "Task",
        "Resource": resource,
        "Parameters": {**machine, "Input": data},
        "Retry": _RETRY_MACHINE,
        "Catch": [_catch_all(caught)],
        **exit_,
    }


def generated_machine(target: str) -> Mapping[str, str]:
    """Return the parameter that names the machine generated for ``target``."""
    return {"StateMachineArn.$": f"$.g.{target}.sm"}


def parallel(branches: list[State], exit_: Exit) -> State:
    """Return a Parallel whose outcome is already known."""
    return {"Type": "Parallel", "Branches": branches, **exit_}


def parallel_noting(branches: list[State], choice: str) -> State:
    """Return a Parallel that records whether a branch failed, for ``choice`` to read."""
    result = {"ResultSelector": _ANY_FAILED, "ResultPath": "$.p", "Next": choice}
    return {"Type": "Parallel", "Branches": branches, **result}


def parallel_ending(branches: list[State]) -> State:
    """Return a Parallel that ends a branch and passes the result of its branches on."""
    return {"Type": "Parallel", "Branches": branches, "ResultSelector": _ANY_FAILED, "End": True}


def choice_any_failed(failed: str, otherwise: str) -> State:
    """Return the Choice after `parallel_noting`."""
    rule = {"Variable": "$.p.e", "BooleanEquals": True, "Next": failed}
    return {"Type": "Choice", "Choices": [rule], "Default": otherwise}


def choice_present(path: str, present: str, otherwise: str) -> State:
    """Return a Choice on whether the state data has a value at ``path``."""
    rule = {"Variable": path, "IsPresent": True, "Next": present}
    return {"Type": "Choice", "Choices": [rule], "Default": otherwise}


def note(path: str, next_: str) -> State:
    """Return a Pass that sets a value at ``path`` of the state data."""
    return {"Type": "Pass", "Result": {}, "ResultPath": path, "Next": next_}


def wait_for_ever(next_: str) -> State:
    """Return a state that waits until its execution is stopped."""
    return {"Type": "Wait", "Seconds": FOREVER_SECONDS, "Next": next_}


def branch_ok() -> State:
    """Return the last state of a branch without a failure."""
    return {"Type": "Pass", **end()}


def branch_failed() -> State:
    """Return the last state of a branch that failed; the branch itself always succeeds."""
    return {"Type": "Pass", "Result": {"e": True}, "End": True}


def machine_ok() -> State:
    """Return the last state of an execution without a failure."""
    return {"Type": "Succeed", "OutputPath": None}


def machine_failed() -> State:
    """Return the last state of an execution whose top node failed."""
    return {"Type": "Fail", "Error": NODE_FAILED}


def _catch_all(next_: str) -> State:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": next_}


def backstop(spec: NodeSpec) -> int:
    """Return the timeout of an Exec's task in seconds, after which its worker must be broken.

    The worker itself enforces ``max_time`` on every attempt, and makes all attempts in one task.
    """
    limit = FOREVER_SECONDS if spec.max_time is None else spec.max_time * max_tries(spec.callbacks)
    return min(ceil(limit) + _MARGIN_SECONDS, FOREVER_SECONDS)


def max_tries(callbacks: tuple[Callback, ...]) -> int:
    """Return the maximum number of automatic attempts of an Exec; at least 1."""
    if not callbacks:
        return 1
    return max(_tries(callbacks, cause) for cause in Cause)


def _tries(callbacks: tuple[Callback, ...], cause: Cause) -> int:
    mem = 0.0
    for tries in range(1, _MAX_TRIES):
        decision = decide_failure(callbacks, Failure(state_of(cause), cause, tries, mem, 0.0))
        if decision.kind is not FailureDecision.RETRY:
            return tries
        mem = mem if decision.mem is None else decision.mem
    return _MAX_TRIES
