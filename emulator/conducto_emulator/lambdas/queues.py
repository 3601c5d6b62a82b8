"""Lambda's event source mappings of queues in moto's SQS: they call functions with batches."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError
from moto.sqs.models import Message, Queue, sqs_backends

from conducto_core.installation.names import FUNCTION_SECONDS, function_name

logger = logging.getLogger(__name__)

_STEP_SECONDS = 0.1
#: Maximum messages of one request to SQS.
_AT_ONCE = 10
Call = Callable[[str, Any], Any]
_Response = tuple[int, dict[str, str], str]


class Mappings:
    """The mappings of queues to functions, each with a thread that polls its queue.

    Args:
        call: Calls a function of the installation.
        functions: Names of those that queues may invoke.
    """

    def __init__(self, call: Call, stage: str, functions: Sequence[str]) -> None:
        self._call = call
        self._known = {function_name(stage, name): name for name in functions}
        self._found: dict[str, _Mapping] = {}

    def install(self) -> None:
        """Make moto's server in this process use these mappings."""
        found = self._found

        def create(self_: Any) -> _Response:
            fields = json.loads(self_.body)
            if any(
                one.fields["EventSourceArn"] == fields["EventSourceArn"] for one in found.values()
            ):
                raise AWSError("the mapping already exists", "ResourceConflictException", 409)
            name = self._known[fields["FunctionName"].rpartition(":")[2]]
            mapping = _Mapping(self._call, name, fields)
            mapping.check()
            found[mapping.id] = mapping
            mapping.start()
            return 202, {}, json.dumps(mapping.view())

        def list_(self_: Any) -> str:
            (queue,) = self_.querystring["EventSourceArn"]
            views = [one.view() for one in found.values() if one.fields["EventSourceArn"] == queue]
            return json.dumps({"EventSourceMappings": views})

        def update(self_: Any) -> _Response:
            mapping = _existing(found, self_)
            mapping.fields.update(json.loads(self_.body))
            return 202, {}, json.dumps(mapping.view())

        def delete(self_: Any) -> _Response:
            mapping = _existing(found, self_)
            found.pop(mapping.id).close()
            return 202, {}, json.dumps(mapping.view())

        LambdaResponse.create_event_source_mapping = create
        LambdaResponse.list_event_source_mappings = list_
        LambdaResponse.update_event_source_mapping = update
        LambdaResponse.delete_event_source_mapping = delete

    def close(self) -> None:
        """Stop polling, and wait for calls in progress."""
        for mapping in list(self._found.values()):
            mapping.close()
        for mapping in list(self._found.values()):
            mapping.join()


def _existing(found: Mapping[str, "_Mapping"], request: Any) -> "_Mapping":
    identity = request.path.rpartition("/")[2]
    if identity not in found:
        raise AWSError(f"no mapping {identity}", "ResourceNotFoundException", 404)
    return found[identity]


class _Mapping(threading.Thread):
    """A queue and the function that gets its messages."""

    def __init__(self, call: Call, function: str, fields: dict[str, Any]) -> None:
        super().__init__(name="queue", daemon=True)
        self.id = str(uuid.uuid4())
        self.fields = fields
        self._call = call
        self._function = function
        self._leaving = threading.Event()
        *_, self._region, self._account, self._queue = fields["EventSourceArn"].split(":")

    def view(self) -> dict[str, Any]:
        """Return the mapping as Lambda describes it."""
        return {**self.fields, "UUID": self.id, "State": "Enabled"}

    def check(self) -> None:
        """Refuse a queue as Lambda does."""
        seconds = FUNCTION_SECONDS[self._function]
        hidden = self._messages().visibility_timeout or 0
        if hidden < seconds:
            raise AWSError(
                f"Queue visibility timeout: {hidden} seconds is less than Function timeout: "
                f"{seconds} seconds",
                "InvalidParameterValueException",
            )

    def close(self) -> None:
        self._leaving.set()

    def run(self) -> None:
        while not self._leaving.is_set():
            batch = self._batch()
            if batch:
                self._deliver(batch)

    def _messages(self) -> Queue:
        queue: Queue = sqs_backends[self._account][self._region].get_queue(self._queue)
        return queue

    def _batch(self) -> list[Message]:
        """Return messages: as many as fit into a batch, or those that arrived in its time."""
        size, window = self.fields["BatchSize"], self.fields["MaximumBatchingWindowInSeconds"]
        found: list[Message] = []
        end: float | None = None
        while len(found) < size and not self._leaving.is_set():
            received = self._receive(min(_AT_ONCE, size - len(found)))
            found += received
            end = time.monotonic() + window if found and end is None else end
            if not received and (end is None or time.monotonic() >= end):
                break
            if not received:
                self._leaving.wait(_STEP_SECONDS)
        if not found:
            self._leaving.wait(_STEP_SECONDS)
        return found

    def _receive(self, count: int) -> list[Message]:
        backend = sqs_backends[self._account][self._region]
        try:
            hidden = int(self._messages().visibility_timeout or 0)
            found: list[Message] = backend.receive_message(self._queue, count, 0, hidden, ["All"])
        except Exception:  # noqa: BLE001  the queue was deleted
            self._leaving.set()
            return []
        return found

    def _deliver(self, batch: Sequence[Message]) -> None:
        records = [self._record(message) for message in batch]
        try:
            response = self._call(self._function, {"Records": records}) or {}
        except Exception:
            logger.exception("the messages of %s stay in it", self._queue)
            return
        failed = {one["itemIdentifier"] for one in response.get("batchItemFailures", [])}
        backend = sqs_backends[self._account][self._region]
        for message in batch:
            if message.id not in failed:
                backend.delete_message(self._queue, message.receipt_handle)

    def _record(self, message: Message) -> dict[str, Any]:
        attributes = {
            name: {"dataType": value["DataType"], "stringValue": value.get("StringValue")}
            for name, value in message.message_attributes.items()
        }
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.approximate_receive_count),
                "SentTimestamp": str(message.sent_timestamp),
            },
            "messageAttributes": attributes,
            "eventSource": "aws:sqs",
            "eventSourceARN": self.fields["EventSourceArn"],
            "awsRegion": self._region,
        }
