"""Rules of EventBridge and queues of SQS, which invoke the function that processes events."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from chalicelib.aws.clients import Clients
from chalicelib.aws.errors import client_error, code_of, ignoring, message_of, replacing
from conducto_core.errors import RefusedError
from conducto_core.events.rules.queues import MAX_RECEIVES
from conducto_core.installation.names import FUNCTION_SECONDS

_TARGET = "function"
_DIGITS = 32
#: Seconds for which a message is hidden after it was received. AWS recommends six times the
#: timeout of the function, so that throttled batches are not delivered twice.
HIDDEN_SECONDS = 6 * FUNCTION_SECONDS["hook_event"]
_KEPT_SECONDS = 14 * 86_400  # AWS's maximum
_DEAD = "-dead"
#: Errors of AWS for a queue or a mapping that was deleted a moment ago.
_RECENT = (
    "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueDeletedRecently",
    "ResourceConflictException",
    "ResourceInUseException",
)
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


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
        events, rule = self._clients.get("events"), self._rule(org, name)
        with ignoring("ResourceNotFoundException"):
            events.remove_targets(Rule=rule, Ids=[_TARGET])
            events.delete_rule(Name=rule)

    def _rule(self, org: str, name: str) -> str:
        """Return the name of a rule; names of triggers are longer than those of rules may be."""
        return self._prefix + _digest(org, name)


def _digest(org: str, name: str) -> str:
    return sha256(f"{org}/{name}".encode()).hexdigest()[:_DIGITS]


class SqsQueues:
    """A `chalicelib.events.port.EventQueues`.

    Args:
        prefix: That of the names of created queues, to which the permissions are limited.
        function: ARN of the function.
    """

    def __init__(self, clients: Clients, prefix: str, function: str) -> None:
        self._clients = clients
        self._prefix = prefix
        self._function = function

    def own(self, org: str, name: str) -> str:
        _, partition, _, region, account, *_ = self._function.split(":")
        return f"arn:{partition}:sqs:{region}:{account}:{self._prefix}{_digest(org, name)}"

    def create(self, org: str, name: str, batch_seconds: int) -> None:
        arn = self.own(org, name)
        kept = {"MessageRetentionPeriod": str(_KEPT_SECONDS), "SqsManagedSseEnabled": "true"}
        redrive = {"deadLetterTargetArn": f"{arn}{_DEAD}", "maxReceiveCount": MAX_RECEIVES}
        hidden = str(HIDDEN_SECONDS + batch_seconds)
        own = {**kept, "VisibilityTimeout": hidden, "RedrivePolicy": json.dumps(redrive)}
        for queue, attributes in ((f"{arn}{_DEAD}", kept), (arn, own)):
            # With attributes, it would refuse a queue that has others.
            with replacing(_RECENT, _again(name)):
                made = self._sqs.create_queue(QueueName=queue.rpartition(":")[2])
            self._sqs.set_queue_attributes(QueueUrl=made["QueueUrl"], Attributes=attributes)

    def delete(self, org: str, name: str) -> None:
        own = self.own(org, name).rpartition(":")[2]
        for queue in (own, f"{own}{_DEAD}"):
            with ignoring(*_NO_QUEUE):
                url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
                self._sqs.delete_queue(QueueUrl=url)

    def read(self, queue: str, batch: int, batch_seconds: int) -> None:
        """Deliver the messages of a queue to the function in batches."""
        lambda_ = self._clients.get("lambda")
        fields = {
            "FunctionName": self._function,
            "BatchSize": batch,
            "MaximumBatchingWindowInSeconds": batch_seconds,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "Enabled": True,
        }
        try:
            with replacing(_RECENT, _again(queue)):
                for mapping in self._mappings(queue):
                    lambda_.update_event_source_mapping(UUID=mapping, **fields)
                    return
                lambda_.create_event_source_mapping(EventSourceArn=queue, **fields)
        except client_error() as error:
            if code_of(error) != "InvalidParameterValueException":
                raise
            raise RefusedError(f"AWS does not read {queue}: {message_of(error)}") from error

    def leave(self, queue: str) -> None:
        """Deliver no more messages of a queue; raises `RefusedError` while AWS changes it."""
        for mapping in self._mappings(queue):
            with ignoring("ResourceNotFoundException"), replacing(_RECENT, _again(queue)):
                self._clients.get("lambda").delete_event_source_mapping(UUID=mapping)

    def _mappings(self, queue: str) -> list[str]:
        found = self._clients.get("lambda").list_event_source_mappings(
            EventSourceArn=queue, FunctionName=self._function
        )
        return [str(one["UUID"]) for one in found["EventSourceMappings"]]

    @property
    def _sqs(self) -> Any:
        return self._clients.get("sqs")


def _again(what: str) -> RefusedError:
    return RefusedError(f"AWS is still changing the queue of {what}; try again in a minute")
