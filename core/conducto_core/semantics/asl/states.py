"""The states of the Amazon States Language that a compiled tree is made of, one function each.

Rules for editors: a state here decides nothing about the tree; names of the next states come from
`conducto_core.semantics.asl.builder`. Every byte of `exec_task` is paid once per Exec: what is a
default of the language (``IntervalSeconds`` 1, ``BackoffRate`` 2.0) is left out. State data holds
ids only.

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
#: The fields that say where a state leads and what becomes of its result.
Exit = Mapping[str, Any]

HEARTBEAT_SECONDS: Final = 60
#: A year: as long as an execution may last.
FOREVER_SECONDS: Final = 31_536_000
#: How an execution fails whose top node failed.
NODE_FAILED: Final = "NodeFailed"

_MARGIN_SECONDS = 300
_MOST_TRIES = 100
# The language's own interpreters differ in what a missed heartbeat is called.
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
    """Return the exit of a state that ends its scope without an error, and without data."""
    return {"OutputPath": None, "End": True}


def go_on(next_: str) -> Exit:
    """Return the exit of a state that leads to ``next_``, and passes its input on."""
    return {"ResultPath": None, "Next": next_}


def exec_task(
    node: str, spec: NodeSpec, resource: str, caught: str, exit_: Exit, **extra: Any
) -> State:
    """Return the state that runs an Exec on a worker of its pool.

    Args:
        node: Id of the Exec.
        spec: The Exec.
        resource: ARN of the activity its workers wait for.
        caught: The state after a failure.
        exit_: Where it leads without one.
        extra: Fields that take the place of those given here.
    """
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
    """Return the state of a Lazy's Generate; its output names the machine of the tree.

    Args:
        node: Id of the Generate.
        spec: The Generate.
        resource: ARN of the activity.
        caught: The state after a failure.
        exit_: Where it leads without one.
        target: Id of the node that takes the tree.
        blocked: The state when there is no tree.
    """
    catch = [{**_catch_all(blocked), "ErrorEquals": [NO_TREE]}, _catch_all(caught)]
    result = {"ResultSelector": {"sm.$": "$.sm"}, "ResultPath": f"$.g.{target}"}
    return exec_task(node, spec, resource, caught, exit_, Catch=catch, **result)


def wait_task(node: str, spec: NodeSpec, resource: str, ended: str) -> State:
    """Return the state, last of its branch, that waits for an Exec which is in flight already.

    ``w`` tells who claims it that the order of the tree is not why it is here: an Exec that is
    no longer in flight is not to be started for its sake.
    """
    asked = {"n": node, "r.$": "$.r", "w": True}
    return exec_task(node, spec, resource, ended, end(), Parameters=asked)


def machine_task(
    resource: str, machine: Mapping[str, str], run_id: str, caught: str, exit_: Exit
) -> State:
    """Return the state that runs another machine and waits for its end.

    Args:
        resource: ARN of the integration that does so.
        machine: ``{"StateMachineArn": ARN}``, or the same with a path into the state data.
        run_id: Path of the run's id in the state data.
        caught: The state after a failure.
        exit_: Where it leads without one.
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
    """Return where `machine_task` finds the machine that was generated for ``target``."""
    return {"StateMachineArn.$": f"$.g.{target}.sm"}


def parallel(branches: list[State], exit_: Exit) -> State:
    """Return a Parallel whose outcome is known beforehand."""
    return {"Type": "Parallel", "Branches": branches, **exit_}


def parallel_noting(branches: list[State], choice: str) -> State:
    """Return a Parallel that notes whether a branch failed; ``choice`` reads it."""
    result = {"ResultSelector": _ANY_FAILED, "ResultPath": "$.p", "Next": choice}
    return {"Type": "Parallel", "Branches": branches, **result}


def parallel_ending(branches: list[State]) -> State:
    """Return a Parallel that ends a branch: what it says of its branches is said of this one."""
    return {"Type": "Parallel", "Branches": branches, "ResultSelector": _ANY_FAILED, "End": True}


def choice_any_failed(failed: str, otherwise: str) -> State:
    """Return the Choice after `parallel_noting`."""
    rule = {"Variable": "$.p.e", "BooleanEquals": True, "Next": failed}
    return {"Type": "Choice", "Choices": [rule], "Default": otherwise}


def choice_present(path: str, present: str, otherwise: str) -> State:
    """Return a Choice that asks whether the state data has something at ``path``."""
    rule = {"Variable": path, "IsPresent": True, "Next": present}
    return {"Type": "Choice", "Choices": [rule], "Default": otherwise}


def note(path: str, next_: str) -> State:
    """Return a Pass that puts something at ``path`` of the state data."""
    return {"Type": "Pass", "Result": {}, "ResultPath": path, "Next": next_}


def wait_for_ever(next_: str) -> State:
    """Return a state that stays until its execution is stopped."""
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
    """Return the seconds after which an Exec's worker must be broken.

    The worker itself enforces ``max_time`` on every try, and makes all tries in one task.
    """
    limit = FOREVER_SECONDS if spec.max_time is None else spec.max_time * most_tries(spec.callbacks)
    return min(ceil(limit) + _MARGIN_SECONDS, FOREVER_SECONDS)


def most_tries(callbacks: tuple[Callback, ...]) -> int:
    """Return how often an Exec may be tried without a person, at most; at least 1."""
    if not callbacks:
        return 1
    return max(_tries(callbacks, cause) for cause in Cause)


def _tries(callbacks: tuple[Callback, ...], cause: Cause) -> int:
    mem = 0.0
    for tries in range(1, _MOST_TRIES):
        decision = decide_failure(callbacks, Failure(state_of(cause), cause, tries, mem, 0.0))
        if decision.verdict is not FailureDecision.RETRY:
            return tries
        mem = mem if decision.mem is None else decision.mem
    return _MOST_TRIES
