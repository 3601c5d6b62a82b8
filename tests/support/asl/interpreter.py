"""A small interpreter of the Amazon States Language: the part that Conducto's compiler uses.

It is written from the specification, independently of moto's interpreter, so that two readings of a
definition must agree; and it is fast, about a millisecond per tree. It has no clock: a Wait never
ends, retries are immediate, and heartbeats are missed at a test's request. Events are counted as in
histories recorded by AWS.

Source: https://states-language.net/spec.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from support.asl.paths import PathError, evaluate, look_up, put
from support.asl.port import Offer, TaskGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conducto_core.asl.rules.compiler import Machine

State = dict[str, Any]
LARGEST = 262_144


@dataclass(slots=True, eq=False)
class Execution:
    """One execution of one machine.

    Attributes:
        status: The status in AWS's terms.
        events: Number of events in its history.
        transitions: Billed transitions; AWS also counts the start.
        data: The input of every state, as JSON.
    """

    id: str
    ended: Callable[[Execution], None]
    status: str = "RUNNING"
    output: Any = None
    events: int = 1
    transitions: int = 1
    visited: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    scopes: list[_Scope] = field(default_factory=list)

    def close(self, status: str, output: Any = None) -> None:
        if self.status != "RUNNING":
            return
        self.status, self.output = status, output
        self.events += 1
        for scope in self.scopes:
            scope.abort()
        self.ended(self)

    def abort(self) -> None:
        self.close("ABORTED")


@dataclass(slots=True, eq=False)
class _Scope:
    """The states of a machine or a branch, while they run.

    Attributes:
        ok: Called with the output when it ends.
        failed: Called with the error when it fails.
        inner: The scopes of its current state: branches, a nested execution.
    """

    execution: Execution
    states: dict[str, State]
    ok: Callable[[Any], None]
    failed: Callable[[str], None]
    open: bool = True
    inner: list[_Scope | Execution] = field(default_factory=list)

    def abort(self) -> None:
        open_ones: list[_Scope | Execution] = [self]
        while open_ones:  # iterative, because trees may be deep
            inner = open_ones.pop()
            if isinstance(inner, Execution):
                inner.abort()
            else:
                inner.open = False
                open_ones += inner.inner


@dataclass(slots=True, eq=False)
class _Visit:
    """One visit of a Task or a Parallel.

    Attributes:
        tries: Number of retries by the retrier's position.
    """

    scope: _Scope
    name: str
    data: Any
    tries: dict[int, int] = field(default_factory=dict)

    @property
    def state(self) -> State:
        return self.scope.states[self.name]


class Interpreter:
    """Runs state machines step by step; implements `support.asl.port.Engine`.

    Attributes:
        executions: ``{id: execution}``, including nested ones.
    """

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self._machines: dict[str, State] = {}
        self._tasks: dict[str, _Visit] = {}
        self._new: list[Offer] = []
        self._numbers = count(1)

    def create(self, machine: Machine) -> None:
        if machine.arn not in self._machines:
            self._machines[machine.arn] = json.loads(machine.definition)

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        return self._start(arn, data, lambda _: None).id

    def status(self, execution: str) -> str:
        return self.executions[execution].status

    def stop(self, execution: str) -> None:
        self.executions[execution].abort()

    def offers(self) -> list[Offer]:
        new, self._new = self._new, []
        for offer in new:
            visit = self._tasks[offer.token]
            visit.scope.execution.events += 1
        return [offer for offer in new if self._tasks[offer.token].scope.open]

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        visit = self._take(token)
        self._returned(visit, json.loads(json.dumps(output)))

    def fail(self, token: str, error: str) -> None:
        self._broke(self._take(token), error)

    # ---- one state after the other ----------------------------------------------------------

    def _start(self, arn: str, data: Any, ended: Callable[[Execution], None]) -> Execution:
        execution = Execution(f"{arn}:{next(self._numbers)}", ended)
        self.executions[execution.id] = execution
        scope = _Scope(
            execution,
            self._machines[arn]["States"],
            lambda output: execution.close("SUCCEEDED", output),
            lambda error: execution.close("FAILED", error),
        )
        execution.scopes.append(scope)
        self._enter(scope, self._machines[arn]["StartAt"], data)
        return execution

    def _enter(self, scope: _Scope, name: str, data: Any) -> None:
        while scope.open:
            state = scope.states[name]
            self._count(scope, name, state, data)
            match state["Type"]:
                case "Pass":
                    data = put(data, state.get("ResultPath", "$"), state.get("Result", data))
                case "Choice":
                    name = _choose(state, data)
                    continue
                case "Succeed":
                    scope.ok(_output(state, data))
                    return
                case "Fail":
                    scope.failed(state["Error"])
                    return
                case "Wait":
                    return
                case "Task" | "Parallel":
                    self._begin(_Visit(scope, name, data))
                    return
            data = _output(state, data)
            if state.get("End"):
                scope.ok(data)
                return
            name = state["Next"]

    def _count(self, scope: _Scope, name: str, state: State, data: Any) -> None:
        execution = scope.execution
        text = json.dumps(data)
        assert len(text) <= LARGEST, f"{name}: state data of {len(text)} bytes"
        execution.visited.append(name)
        execution.data.append(text)
        execution.transitions += 1
        execution.events += 1 if state["Type"] == "Fail" else 2

    def _begin(self, visit: _Visit) -> None:
        state, scope = visit.state, visit.scope
        scope.inner = []
        if state["Type"] == "Parallel":
            scope.execution.events += 2
            self._branch_out(visit)
            return
        try:
            asked = evaluate(state["Parameters"], visit.data, {"Execution": {"Id": "e"}})
        except PathError:
            scope.execution.close("FAILED", "States.Runtime")
            return
        if ":activity:" in state["Resource"]:
            scope.execution.events += 1
            token = f"t{next(self._numbers)}"
            self._tasks[token] = visit
            self._new.append(Offer(token, asked, state["Resource"]))
            return
        scope.execution.events += 3
        self._nest(visit, asked)

    def _branch_out(self, visit: _Visit) -> None:
        branches = visit.state["Branches"]
        results: list[Any] = [None] * len(branches)
        left = set(range(len(branches)))

        def done(position: int, output: Any) -> None:
            results[position] = output
            left.discard(position)
            if not left:
                self._returned(visit, results)

        def failed(error: str) -> None:
            for scope in visit.scope.inner:
                scope.abort()
            self._broke(visit, error)

        for i, branch in enumerate(branches):
            inner = _Scope(
                visit.scope.execution,
                branch["States"],
                lambda output, i=i: done(i, output),
                failed,
            )
            visit.scope.inner.append(inner)
        for inner, branch in zip(list(visit.scope.inner), branches, strict=True):
            if visit.scope.open and inner.open:
                self._enter(inner, branch["StartAt"], visit.data)

    def _nest(self, visit: _Visit, asked: Mapping[str, Any]) -> None:
        def ended(child: Execution) -> None:
            if not visit.scope.open:
                return
            if child.status == "SUCCEEDED":
                self._returned(visit, {"Output": child.output, "Status": child.status})
            else:
                self._broke(visit, "States.TaskFailed")

        arn = asked["StateMachineArn"]
        if arn not in self._machines:
            self._broke(visit, "StepFunctions.StateMachineDoesNotExistException")
            return
        child = self._start(arn, asked["Input"], ended)
        visit.scope.inner.append(child)

    # ---- what becomes of a Task or a Parallel -------------------------------------------------

    def _take(self, token: str) -> _Visit:
        visit = self._tasks.pop(token, None)
        if visit is None or not visit.scope.open:
            raise TaskGoneError(token)
        return visit

    def _returned(self, visit: _Visit, result: Any) -> None:
        state, scope = visit.state, visit.scope
        if state["Type"] == "Task":
            scope.execution.events += 1
        if "ResultSelector" in state:
            result = evaluate(state["ResultSelector"], result, {})
        data = _output(state, put(visit.data, state.get("ResultPath", "$"), result))
        if state.get("End"):
            scope.ok(data)
        else:
            self._enter(scope, state["Next"], data)

    def _broke(self, visit: _Visit, error: str) -> None:
        state, scope = visit.state, visit.scope
        if state["Type"] == "Task":
            scope.execution.events += 1
        for i, rule in enumerate(state.get("Retry", ())):
            if _matches(rule, error):
                visit.tries[i] = visit.tries.get(i, 0) + 1
                if visit.tries[i] <= rule.get("MaxAttempts", 3):
                    scope.execution.transitions += 1
                    self._begin(visit)
                    return
                break
        for rule in state.get("Catch", ()):
            if _matches(rule, error):
                data = put(visit.data, rule.get("ResultPath", "$"), {"Error": error})
                self._enter(scope, rule["Next"], data)
                return
        scope.failed(error)


def _matches(rule: State, error: str) -> bool:
    return error in rule["ErrorEquals"] or rule["ErrorEquals"] == ["States.ALL"]


def _choose(state: State, data: Any) -> str:
    for rule in state["Choices"]:
        if "IsPresent" in rule:
            try:
                look_up(data, rule["Variable"])
                present = True
            except PathError:
                present = False
            if present is rule["IsPresent"]:
                return str(rule["Next"])
        elif look_up(data, rule["Variable"]) is rule["BooleanEquals"]:
            return str(rule["Next"])
    return str(state["Default"])


def _output(state: State, data: Any) -> Any:
    return {} if state.get("OutputPath", "$") is None else data
