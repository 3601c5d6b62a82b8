"""Checks for definitions that AWS would reject, or whose executions it would fail.

`problems` reads a definition as text, so it works for any definition and does not rely on the
compiler.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from conducto_core.asl.rules.compiler import MAX_BYTES

MAX_EVENTS: Final = 25_000
MAX_DATA_BYTES: Final = 262_144
MAX_NAME: Final = 80

_MACHINE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ENDS = frozenset({"Succeed", "Fail"})
_LONGEST_VALUE = 200  # bytes of an ARN or an id

State = dict[str, Any]


def problems(definition: str, name: str | None = None) -> list[str]:
    """Return the problems of a definition, one sentence each."""
    found = []
    if name is not None and not _MACHINE_NAME.fullmatch(name):
        found.append(f"a state machine cannot be called {name!r}")
    if len(definition.encode()) > MAX_BYTES:
        found.append(f"the definition has more than {MAX_BYTES:,} bytes")
    top = json.loads(definition)
    seen: set[str] = set()
    for scope in scopes(top):
        found += _of_scope(scope, seen)
    events = max_events(top)
    if events > MAX_EVENTS:
        found.append(
            f"an execution can have {events:,} events; AWS ends it at {MAX_EVENTS:,}: run parts "
            "of it in machines of their own"
        )
    data = _max_data(top)
    if data > MAX_DATA_BYTES:
        found.append(f"state data can grow to {data:,} bytes, more than {MAX_DATA_BYTES:,}")
    return found


def scopes(top: State) -> Iterator[State]:
    """Yield a machine and all its branches; each has ``StartAt`` and ``States``."""
    stack = [top]
    while stack:
        scope = stack.pop()
        yield scope
        for state in scope["States"].values():
            stack.extend(state.get("Branches", ()))


def max_events(top: State) -> int:
    """Return the maximum number of history events of an execution."""
    return 2 + sum(_events(s) for scope in scopes(top) for s in scope["States"].values())


def _events(state: State) -> int:
    """Return the events of one visit with every retry.

    Counted from histories that AWS recorded: a task is entered, scheduled, started, ended and
    exited; other integrations are also submitted; each retry schedules the task again.
    """
    match state["Type"]:
        case "Task":
            submitted = ":activity:" not in state["Resource"]
            each = 4 if submitted else 3
            retries = sum(int(retry.get("MaxAttempts", 3)) for retry in state.get("Retry", ()))
            return 2 + each * (1 + retries)
        case "Parallel":
            return 4
        case "Fail":
            return 1
        case _:
            return 2


def _of_scope(scope: State, seen: set[str]) -> Iterator[str]:
    states: dict[str, State] = scope["States"]
    if scope["StartAt"] not in states:
        yield f"StartAt names {scope['StartAt']!r}, which is not a state beside it"
    ends = False
    for name, state in states.items():
        if len(name) > MAX_NAME:
            yield f"{name!r}: the name is longer than {MAX_NAME} characters"
        if name in seen:
            yield f"{name!r}: there are two states of this name"
        seen.add(name)
        ends = ends or state.get("End", False) or state["Type"] in _ENDS
        yield from _of_state(name, state, states)
    if not ends:
        yield f"{scope['StartAt']!r}: nothing ends its scope"
    for name in states.keys() - _reached(scope):
        yield f"{name!r}: nothing leads to it"


def _of_state(name: str, state: State, states: dict[str, State]) -> Iterator[str]:
    for target in _targets(state):
        if target not in states:
            yield f"{name!r}: leads to {target!r}, which is not a state of the same scope"
    leaves = "Next" in state or "End" in state or state["Type"] in {*_ENDS, "Choice"}
    if not leaves:
        yield f"{name!r}: has neither Next nor End"
    if state["Type"] == "Task" and ":activity:" in state["Resource"]:
        timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
        if timeout is None or heartbeat is None or not heartbeat < timeout:
            yield f"{name!r}: needs a HeartbeatSeconds below its TimeoutSeconds"
    for key in ("Catch", "Retry"):
        rules = state.get(key, ())
        for i, rule in enumerate(rules):
            errors = rule["ErrorEquals"]
            if "States.ALL" in errors and (len(errors) > 1 or i < len(rules) - 1):
                yield f"{name!r}: States.ALL must be alone, and in the last {key}"


def _targets(state: State) -> list[str]:
    targets = [state[key] for key in ("Next", "Default") if key in state]
    for key in ("Catch", "Choices"):
        targets += [rule["Next"] for rule in state.get(key, ()) if "Next" in rule]
    return targets


def _reached(scope: State) -> set[str]:
    states = scope["States"]
    reached: set[str] = set()
    stack = [scope["StartAt"]]
    while stack:
        name = stack.pop()
        if name in states and name not in reached:
            reached.add(name)
            stack.extend(_targets(states[name]))
    return reached


def _max_data(top: State) -> int:
    """Return an upper bound for the bytes of state data: every result path filled once."""
    paths = {
        state["ResultPath"]
        for scope in scopes(top)
        for state in scope["States"].values()
        if state.get("ResultPath") is not None
    }
    widest = max((len(s["Branches"]) for s in _parallels(top)), default=0)
    return sum(len(path) + _LONGEST_VALUE for path in paths) + widest * len('{"e":true},')


def _parallels(top: State) -> Iterator[State]:
    for scope in scopes(top):
        for state in scope["States"].values():
            if state["Type"] == "Parallel":
                yield state
