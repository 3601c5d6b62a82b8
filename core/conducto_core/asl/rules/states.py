"""The states of the Amazon States Language that a compiled tree uses, one function each.

Rules for editors: a state here decides nothing about the tree;
`conducto_core.asl.rules.compiler` passes the names of the next states. Every byte of `exec_task`
counts once per Exec: defaults of the language (``IntervalSeconds`` 1, ``BackoffRate`` 2.0) are left
out. State data holds ids only.

Source: https://states-language.net/spec.html
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from conducto_core.asl.rules.naming import MAX_OFFERS, NO_TREE, RETRY_LATER, WORKER_LOST
from conducto_core.run.model.states import Cause, NodeType
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_core.run.rules.outcomes import (
    Failure,
    FailureDecision,
    Outcome,
    decide_failure,
    holds_back_siblings,
    state_of,
)
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Callback, NodeSpec

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
#: The output of a branch: every one has the field, so that no path selects nothing.
_OK, _FAILED = {"e": False}, {"e": True}
_ANY_FAILED = {"e.$": "States.ArrayContains($[*].e, true)"}


def end() -> Exit:
    """Return the exit of a task or Parallel that ends its scope without a failure."""
    return {"ResultSelector": _OK, "End": True}


def pass_on(next_: str) -> Exit:
    """Return the exit of a state that passes its input on to ``next_``."""
    return {"ResultPath": None, "Next": next_}


def exec_task(
    node: str,
    spec: NodeSpec,
    resource: str,
    caught: str,
    exit_: Exit,
    *,
    later: str | None = None,
    **extra: Any,
) -> State:
    """Return the state that runs an Exec on a worker of its pool.

    Args:
        node: The node's id.
        spec: The Exec.
        resource: ARN of the activity of its pool.
        caught: The state after a failure.
        exit_: The exit after success.
        later: The state after a failed attempt that is retried after a delay, if it may be.
        extra: Fields that override those here.
    """
    catch = [{**_catch_all(later), "ErrorEquals": [RETRY_LATER]}] if later is not None else []
    return {
        "Type": "Task",
        "Resource": resource,
        "Parameters": {"n": node, "r.$": "$.r"},
        "TimeoutSeconds": backstop(spec),
        "HeartbeatSeconds": HEARTBEAT_SECONDS,
        "Retry": _RETRY_EXEC,
        "Catch": [*catch, *extra.pop("catch", ()), _catch_all(caught)],
        **exit_,
        **extra,
    }


def generate_task(
    node: str,
    spec: NodeSpec,
    resource: str,
    caught: str,
    next_: str,
    *,
    target: str,
    blocked: str,
    later: str | None = None,
) -> State:
    """Return the state of a Lazy's Generate; its output names the machine of the tree."""
    catch = [{**_catch_all(blocked), "ErrorEquals": [NO_TREE]}]
    result = {"ResultSelector": {"sm.$": "$.sm"}, "ResultPath": f"$.g.{target}"}
    exit_ = pass_on(next_)
    return exec_task(node, spec, resource, caught, exit_, later=later, catch=catch, **result)


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


def pass_value(path: str, next_: str) -> State:
    """Return a Pass that sets a value at ``path`` of the state data."""
    return {"Type": "Pass", "Result": {}, "ResultPath": path, "Next": next_}


def wait_for_ever(next_: str) -> State:
    """Return a state that waits until its execution is stopped."""
    return {"Type": "Wait", "Seconds": FOREVER_SECONDS, "Next": next_}


def branch_ok() -> State:
    """Return the last state of a branch without a failure."""
    return {"Type": "Pass", "Result": _OK, "End": True}


def branch_failed() -> State:
    """Return the last state of a branch that failed; the branch itself always succeeds."""
    return {"Type": "Pass", "Result": _FAILED, "End": True}


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
    tries = max_tries(spec.callbacks)
    if spec.retry is not None and not spec.retry.delay:
        tries = max(tries, spec.retry.number + 1)
    limit = FOREVER_SECONDS if spec.max_time is None else spec.max_time * tries
    return min(ceil(limit) + _MARGIN_SECONDS, FOREVER_SECONDS)


def max_tries(callbacks: tuple[Callback, ...]) -> int:
    """Return the maximum number of attempts that the callbacks of an Exec make; at least 1."""
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


# ----------------------------------------------------------------------------------------
# The part of a tree that is still to run, given the states of its nodes.
#
# The cloud compiles this, not the tree: nodes that do not run cost nothing, and reset, skip, resume
# and Lazy need no special handling in the graph.


@dataclass(slots=True)
class Residual:
    """A node with Execs left to run, or one that has failed for good. Treat it as frozen.

    Attributes:
        children: The rest of its children, in order.
        failed: It failed and was not reset: nothing runs here, and its parent sees a failure.
        waits: An Exec that waits for its retry: another run is planned when it is due.
        awaited: Execs in flight that the order of ``children`` does not include, such as a late
            sibling that still runs while an early one was reset. A group does not end before they
            do; an Exec does not start before they end.
    """

    spec: NodeSpec
    children: tuple["Residual", ...] = ()
    failed: bool = False
    waits: bool = False
    awaited: tuple[NodeSpec, ...] = ()

    def leaves(self) -> Iterator[NodeSpec]:
        """Yield the Execs that are left, in definition order, with those without a command."""
        stack = [self]
        while stack:
            node = stack.pop()
            if node.spec.type is NodeType.EXEC and not (node.failed or node.waits):
                yield node.spec
            stack.extend(reversed(node.children))

    def execs(self) -> Iterator[NodeSpec]:
        """Yield the commands that are left to run, in definition order."""
        return (spec for spec in self.leaves() if spec.has_command)

    def tasks(self) -> Iterator[NodeSpec]:
        """Yield the commands left to run, and those in flight that are only awaited."""
        stack = [self]
        while stack:
            node = stack.pop()
            spec = node.spec
            if spec.has_command and not (node.failed or node.waits):
                yield spec
            yield from (awaited for awaited in node.awaited if awaited.has_command)
            stack.extend(node.children)


def residual(tree: TreeState, top: LiveNode | None = None) -> Residual | None:
    """Return the part at or below ``top`` (default: the root) that is still to run, or None.

    Done and skipped nodes are left out. A failure that was not reset remains as a static one,
    unless it is one of a map that can be done nevertheless: the graph cannot count. The
    nodes after a child that stops its Serial are left out. An Exec in flight counts as still to
    run; the caller decides whether to wait for it or to run it again.
    """
    top = tree.root if top is None else top
    left: dict[str, Residual | None] = {}
    for node in reversed(list(tree.subtree(top))):
        left[node.path] = (
            _left_of_group(tree, node, left)
            if isinstance(node, LiveGroup)
            else _left_of_exec(tree, node)
        )
    return left[top.path]


def _left_of_exec(tree: TreeState, node: LiveNode) -> Residual | None:
    match node.seen():
        case Outcome.OK:
            return None
        case Outcome.FAILED if node.is_tolerated():
            return None
        case Outcome.FAILED:
            return Residual(node.spec, failed=True)
        case Outcome.UNFINISHED:
            awaited = () if node.spec.lazy_target is None else _old_tree_of(tree, node)
            waits = node.path in tree.retrying
            return Residual(sized(node), waits=waits, awaited=awaited)


def _left_of_group(
    tree: TreeState, node: LiveGroup, left: dict[str, Residual | None]
) -> Residual | None:
    if node.seen() is Outcome.OK:
        return None
    if node.skipped or node.expired:  # nothing new starts below; running Execs are awaited
        return Residual(node.spec, failed=not node.skipped, awaited=_flying(tree, [node]))
    if node.discarding:
        return Residual(replace(node.spec, children=(), awaits_tree=True))
    kept = _remaining_children(node, left)
    awaited = _out_of_turn(tree, node)
    settled = all(child.failed and not child.awaited for child in kept)
    if settled and not node.spec.awaits_tree:
        return Residual(node.spec, failed=True, awaited=awaited)
    return Residual(node.spec, tuple(kept), awaited=awaited)


def _remaining_children(node: LiveGroup, left: dict[str, Residual | None]) -> list[Residual]:
    serial = node.spec.type is NodeType.SERIAL
    stops = serial and holds_back_siblings(Outcome.FAILED, stop_on_error=node.spec.stop_on_error)
    kept: list[Residual] = []
    for child in node.children:
        rest = left[child.path]
        if rest is not None:
            kept.append(rest)
        if stops and child.seen() is Outcome.FAILED:
            break
    return kept


def _out_of_turn(tree: TreeState, node: LiveGroup) -> tuple[NodeSpec, ...]:
    """Return the Execs in flight after the child of a Serial that holds back the later ones."""
    first = node.tally.first_holding()
    if node.spec.type is not NodeType.SERIAL or first is None or not node.in_flight():
        return ()
    later = node.children[first + 1 :]
    return _flying(tree, [n for n in later if not (isinstance(n, LiveGroup) and n.discarding)])


def _old_tree_of(tree: TreeState, node: LiveNode) -> tuple[NodeSpec, ...]:
    """Return the Execs that must end before a Lazy generates its tree again."""
    target = tree.nodes.get(node.spec.lazy_target) if node.spec.lazy_target is not None else None
    if isinstance(target, LiveGroup) and target.discarding:
        return _flying(tree, [target])
    return ()


def _flying(tree: TreeState, nodes: Iterable[LiveNode]) -> tuple[NodeSpec, ...]:
    return tuple(sized(flying) for node in nodes for flying in tree.in_flight(node))


def sized(node: LiveNode) -> NodeSpec:
    """Return the definition with the memory that a retry requested."""
    if node.mem is None or node.mem == node.spec.placement.mem:
        return node.spec
    return replace(node.spec, placement=replace(node.spec.placement, mem=node.mem))
