"""Rules of EventBridge, whose target is the function that processes events."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from chalicelib.aws.clients import Clients
from chalicelib.aws.errors import ignoring

_TARGET = "function"
_DIGITS = 32


class EventBridgeRules:
    """A `chalicelib.events.port.EventRules`.

    Args:
        prefix: That of the rules' names, to which the permissions are limited.
        function: ARN of the function.
    """

    def __init__(self, clients: Clients, prefix: str, function: str) -> None:
        self._clients = clients
        self._prefix = prefix
        self._function = function

    def put(self, org: str, name: str, pattern: Mapping[str, Any]) -> None:
        """Route the events that match a pattern to a trigger."""
        events, rule = self._clients.get("events"), self._rule(org, name)
        about = f"Conducto: the trigger {name} of {org}"
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern), Description=about)
        place = json.dumps([org, name])
        template = f'{{"trigger": {place}, "event": <aws.events.event.json>}}'
        target = {
            "Id": _TARGET,
            "Arn": self._function,
            "InputTransformer": {"InputPathsMap": {}, "InputTemplate": template},
        }
        events.put_targets(Rule=rule, Targets=[target])

    def delete(self, org: str, name: str) -> None:
        """Route no more events to a trigger."""
        events, rule = self._clients.get("events"), self._rule(org, name)
        with ignoring("ResourceNotFoundException"):
            events.remove_targets(Rule=rule, Ids=[_TARGET])
            events.delete_rule(Name=rule)

    def _rule(self, org: str, name: str) -> str:
        """Return the name of a rule; names of triggers are longer than those of rules may be."""
        return self._prefix + sha256(f"{org}/{name}".encode()).hexdigest()[:_DIGITS]
