"""Emulates eventually consistent lists, which may miss new resources.

Step Functions documents it for each of its lists ("eventually consistent … may not reflect very
recent updates"), ECS for all its calls (RunTask: "follows an eventual consistency model"), DynamoDB
for queries of global secondary indexes. Lookups by name are consistent.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from conducto_emulator.faults.latency import AwsCall, Dice

_KEY = ("pk", "sk")
_PUT, _TRANSACT, _QUERY = "PutItem", "TransactWriteItems", "Query"

#: ``{operation that creates: path to the name in the response}``; None stands for every entry.
_CREATES: Mapping[tuple[str, str], tuple[str | None, ...]] = {
    ("states", "CreateStateMachine"): ("stateMachineArn",),
    ("states", "CreateActivity"): ("activityArn",),
    ("states", "StartExecution"): ("executionArn",),
    ("ecs", "RegisterTaskDefinition"): ("taskDefinition", "taskDefinitionArn"),
    ("ecs", "RunTask"): ("tasks", None, "taskArn"),
}
#: ``{operation that lists: (field of the list, field of the name, or None for the entry itself)}``.
_LISTS: Mapping[tuple[str, str], tuple[str, str | None]] = {
    ("states", "ListStateMachines"): ("stateMachines", "stateMachineArn"),
    ("states", "ListActivities"): ("activities", "activityArn"),
    ("states", "ListExecutions"): ("executions", "executionArn"),
    ("ecs", "ListTaskDefinitions"): ("taskDefinitionArns", None),
    ("ecs", "ListTasks"): ("taskArns", None),
    ("ecs", "DescribeTasks"): ("tasks", "taskArn"),
}


class Recent:
    """The recently created resources."""

    def __init__(self, clock: Callable[[], float], dice: Dice) -> None:
        self._clock = clock
        self._dice = dice
        self._seen_from: dict[str, float] = {}
        self._lock = threading.Lock()

    def created(self, call: AwsCall, request: bytes, response: bytes, lag: float) -> None:
        """Record the resources that a call created."""
        for name in _created(call, request, response):
            with self._lock:
                if name not in self._seen_from:
                    self._seen_from[name] = self._clock() + lag * self._dice.draw("lag")

    def filtered(self, call: AwsCall, response: bytes) -> bytes:
        """Return the response of a list without hidden resources."""
        said = json.loads(response)
        field, name = ("Items", "") if call.operation == _QUERY else _LISTS[call]
        hidden = [each for each in said.get(field, ()) if self._is_hidden(_name(each, name))]
        if not hidden:
            return response
        said[field] = [each for each in said[field] if each not in hidden]
        if call.operation == "DescribeTasks":
            missing = [{"arn": each["taskArn"], "reason": "MISSING"} for each in hidden]
            said["failures"] = [*said.get("failures", ()), *missing]
        if "Count" in said:
            said["Count"] -= len(hidden)
        return json.dumps(said).encode()

    def _is_hidden(self, name: str) -> bool:
        with self._lock:
            return self._clock() < self._seen_from.get(name, 0.0)


def creates(call: AwsCall) -> bool:
    """Return whether a call creates resources that a list may miss."""
    return call in _CREATES or (call.service == "dynamodb" and call.operation in (_PUT, _TRANSACT))


def lists(call: AwsCall, request: bytes) -> bool:
    """Return whether a call is a list that may miss resources."""
    of_index = call == ("dynamodb", _QUERY) and b'"IndexName"' in request
    return call in _LISTS or of_index


def _created(call: AwsCall, request: bytes, response: bytes) -> Iterable[str]:
    if call.service != "dynamodb":
        return map(str, _at(json.loads(response), _CREATES[call]))
    asked = json.loads(request)
    if call.operation == _PUT:
        return [_name(asked["Item"], "")]
    puts = (each["Put"] for each in asked["TransactItems"] if "Put" in each)
    return [_name(put["Item"], "") for put in puts]


def _at(value: Any, fields: tuple[str | None, ...]) -> Iterator[Any]:
    if not fields:
        yield value
    elif fields[0] is None:
        for each in value:
            yield from _at(each, fields[1:])
    elif fields[0] in value:
        yield from _at(value[fields[0]], fields[1:])


def _name(entry: Any, field: str | None) -> str:
    """Return the name of an entry: itself, a field, or ("") the key of an item."""
    if field is None:
        return str(entry)
    if field == "":
        return json.dumps([entry.get(part) for part in _KEY])
    return str(entry[field])
