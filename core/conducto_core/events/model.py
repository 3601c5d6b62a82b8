"""Events with a payload: their triggers are schedules with `EventRule` instead of times."""

from typing import Annotated, Any, Literal

from pydantic import Field

from conducto_core.programs.model import ProgramCall
from conducto_core.record import Record

#: Maximum bytes of a payload, as JSON.
MAX_PAYLOAD = 64 << 10
#: Maximum characters of an event pattern, which is EventBridge's, and of a path into a payload.
MAX_PATTERN = 2048
MAX_PATH = 300
#: Maximum events of a trigger in a minute.
MAX_RATE = 300
MAX_DEBOUNCE = 3600.0
#: Maximum messages of a queue that launch one pipeline: they are stored in one transaction.
MAX_BATCH = 100
#: Maximum seconds for which a batch collects messages; both are within Lambda's maximum.
MAX_BATCH_SECONDS = 300
#: Seconds for which payloads are kept, and repeated events are recognised.
REMEMBERED_SECONDS = 40 * 86_400
#: The part of a launch form with the payload of the event that launched it.
PAYLOAD_PART = "payload"

EventSource = Literal["webhook", "s3", "eventbridge", "sqs", "watch"]
#: Sources whose events are those of the AWS account of an installation.
ACCOUNT_SOURCES = ("s3", "eventbridge", "sqs")
_Text = Annotated[str, Field(max_length=1000)]
_Path = Annotated[str, Field(min_length=1, max_length=MAX_PATH)]


class EventRule(Record):
    """The events that fire a trigger, and the values that it takes from their payloads.

    Attributes:
        parameters: ``{parameter of the program: path into the payload}``.
        redact: Paths whose values are masked before the payload is stored.
        rate: Maximum events in a minute; further ones are rejected.
        debounce: Seconds without another event after which the last one fires; 0: each one fires.
        pattern: Of ``eventbridge``: the event pattern, as JSON.
        bucket: Of ``s3``: the bucket; ``prefix`` and ``suffix`` are those of the keys.
        queue: Of ``sqs``: the ARN of the queue; without one, the server sets that of a new queue.
        batch: Of ``sqs``: maximum messages that launch one pipeline.
        batch_seconds: Of ``sqs``: maximum seconds for which a batch collects messages.
        directory: Of ``watch``: the absolute path of a directory on the agent's machine.
        call: The program that is launched; the server sets it.
    """

    source: EventSource
    parameters: dict[Annotated[str, Field(max_length=200)], _Path] = Field({}, max_length=50)
    redact: tuple[_Path, ...] = Field((), max_length=50)
    rate: Annotated[int, Field(ge=1, le=MAX_RATE)] = 60
    debounce: Annotated[float, Field(ge=0, le=MAX_DEBOUNCE, allow_inf_nan=False)] = 0.0
    pattern: Annotated[str | None, Field(max_length=MAX_PATTERN)] = None
    bucket: Annotated[str | None, Field(pattern=r"^[a-z0-9][a-z0-9.-]{2,62}$")] = None
    prefix: _Text = ""
    suffix: _Text = ""
    queue: Annotated[str | None, Field(max_length=200)] = None
    batch: Annotated[int, Field(ge=1, le=MAX_BATCH)] = 10
    batch_seconds: Annotated[int, Field(ge=1, le=MAX_BATCH_SECONDS)] = 5
    directory: _Text | None = None
    call: ProgramCall | None = None


class EventOrigin(Record):
    """The event of a firing.

    Attributes:
        mark: Identifies it by its source and id.
        source: The sender's name for itself, if the event has one; so are ``id`` and ``type``.
        count: Number of events that this one stands for, of a trigger with ``debounce``, or number
            of messages.
    """

    mark: str
    id: str = ""
    source: str = ""
    type: str = ""
    count: int = 1


class Event(Record):
    """An event that arrived.

    Attributes:
        key: Its identity: an event with a known one changes nothing.
    """

    key: str
    id: str = ""
    source: str = ""
    type: str = ""
    payload: Any = None


class StoredEvent(Record):
    """An event as it is stored: its payload is masked.

    Attributes:
        firing: Id of its first firing.
        payload: None if it was too large, or if another message of its batch has it.
    """

    origin: EventOrigin
    firing: str
    time: float
    payload: Any = None


class EventTrial(Record):
    """A payload to try.

    Attributes:
        launch: Fire the trigger with it.
    """

    payload: Any
    launch: bool = False


class TriedEvent(Record):
    """What a payload would launch.

    Attributes:
        payload: The payload, masked.
        parameters: ``{parameter: value}`` that the program would get.
        problems: ``{parameter: reason}`` of values that it would not accept.
        firing: The firing that was launched.
        pipeline: The pipeline that it launched, so far.
        why: Reason for which there is none.
    """

    payload: Any
    parameters: dict[str, str] = {}
    problems: dict[str, str] = {}
    firing: str | None = None
    pipeline: str | None = None
    why: str | None = None


class FiringParams(Record):
    """One firing of a schedule or trigger."""

    name: Annotated[str, Field(max_length=200)]
    firing: Annotated[str, Field(min_length=1, max_length=100)]


class PayloadView(Record):
    """The event of a firing with its payload, which is masked."""

    origin: EventOrigin
    payload: Any = None


class NewHook(Record):
    """The webhook of a trigger.

    Attributes:
        url: Its address.
        secret: Its secret, which is shown once; an earlier one is no longer valid.
    """

    url: str
    secret: str = Field(repr=False)
