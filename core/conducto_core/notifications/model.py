"""Notifications about nodes, with their delivery states."""

from enum import StrEnum
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from conducto_core.record import Dollars, Name, Record
from conducto_core.run.model.states import State


class DeliveryState(StrEnum):
    """The delivery state of a notification; a rule did not want the event of a dropped one."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class NotificationRecord(Record):
    """A notification that a callback requested when its node reached a state.

    It is stored together with that state, and sent afterwards, with retries. It describes the state
    at that time, whatever has happened since.

    Attributes:
        number: Counted from 1 in its pipeline, in order of time.
        about: The node that is reported, the root for ``github_pipeline_status``.
        attempt: The node's newest attempt at that time.
        subject: One line, for text messages.
        text: The whole text, as plain text.
        delivery: Delivery state; a failed notification is not retried.
        tries: Number of deliveries tried.
        ended: Time when it was sent or given up.
    """

    number: int
    path: str
    about: str
    state: State
    attempt: int = 0
    callback: str
    arguments: dict[str, Any] = {}
    subject: str = ""
    text: str = ""
    created: float = 0.0
    delivery: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    error: str | None = None
    ended: float | None = None


# ----------------------------------------------------------------------------------------
# Rules that send notifications about pipelines, without a callback in their scripts.


#: Maximum number of rules of an organisation or a machine.
MAX_RULES = 50
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

Pattern = Annotated[str, Field(min_length=1, max_length=200)]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class NotificationEvent(StrEnum):
    """An event of a pipeline that a rule reports.

    ``failed_again`` is also a ``failure``, and ``fixed`` is also a ``success``: a rule for the
    general event reports the special one, too. The last four are alerts about a running pipeline:
    ``late``: it has not ended `RuleRequest.minutes` after its start; ``long``: it takes longer than
    its program usually does; ``expensive``: it has cost `RuleRequest.dollars`; ``waiting``: a
    command has waited for `RuleRequest.minutes`.
    """

    START = "start"
    SUCCESS = "success"
    FAILURE = "failure"
    FAILED_AGAIN = "failed_again"
    FIXED = "fixed"
    APPROVAL = "approval"
    LATE = "late"
    LONG = "long"
    EXPENSIVE = "expensive"
    WAITING = "waiting"


#: Events of running pipelines, which are checked each minute.
ALERTS = frozenset(
    {
        NotificationEvent.LATE,
        NotificationEvent.LONG,
        NotificationEvent.EXPENSIVE,
        NotificationEvent.WAITING,
    }
)


class NotificationChannel(StrEnum):
    """The service that a rule sends notifications to."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    MAIL = "mail"
    GITHUB = "github"


class RuleParams(Record):
    """The name of a rule."""

    name: Name


class RuleRequest(Record):
    """A rule.

    Attributes:
        to: URL of a webhook, channel of Slack, or address of a mail; empty for ``github``, which
            sets the status of the commit that a trigger launched the pipeline for.
        on: The events.
        title: Only pipelines whose title matches; ``*`` stands for any text.
        schedule: Only pipelines that a schedule of a matching name launched.
        secret: Name of the secret that signs a webhook.
        minutes: Time limit of ``late`` and ``waiting``.
        dollars: Limit of ``expensive``.
    """

    channel: NotificationChannel
    to: str = Field(default="", max_length=2000)
    on: tuple[NotificationEvent, ...] = (NotificationEvent.FAILURE, NotificationEvent.FIXED)
    title: Pattern | None = None
    schedule: Pattern | None = None
    secret: SecretName | None = None
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    dollars: Dollars | None = None

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        problem = _problem(self)
        if problem is not None:
            raise ValueError(problem)
        return self


class NotificationRule(RuleRequest):
    """A stored rule.

    Attributes:
        owner: The member who stored it; None on a machine.
        suspended: Its owner may not store it any more, so it sends nothing; not stored.
    """

    name: Name
    owner: str | None = None
    suspended: bool = False


class RuleTest(Record):
    """The result of a test message.

    Attributes:
        error: Why it was not sent; None if it was.
    """

    error: str | None = None


class RuleList(Record):
    """Rules, by name."""

    rules: tuple[NotificationRule, ...]


def _problem(rule: RuleRequest) -> str | None:
    if not rule.on:
        return "on: name at least one event"
    if NotificationEvent.LATE in rule.on and rule.minutes is None:
        return "minutes: 'late' needs the minutes after which a pipeline should have ended"
    if NotificationEvent.EXPENSIVE in rule.on and rule.dollars is None:
        return "dollars: 'expensive' needs the cost of a pipeline from which it is reported"
    if rule.channel is NotificationChannel.GITHUB and ALERTS & set(rule.on):
        return "on: a status on GitHub reports no alerts; use another channel"
    if rule.secret is not None and rule.channel is not NotificationChannel.WEBHOOK:
        return "secret: only webhooks are signed"
    return _wrong_address(rule)


def _wrong_address(rule: RuleRequest) -> str | None:
    if not rule.to.isprintable():
        return f"to: {rule.to!r} has a line break or another control character; remove it"
    match rule.channel:
        case NotificationChannel.WEBHOOK if not _is_url(rule.to):
            return f"to: {rule.to!r} is not an address that starts with https://"
        case NotificationChannel.SLACK if not rule.to.strip():
            return "to: give a channel, such as #builds"
        case NotificationChannel.MAIL if "@" not in rule.to or any(map(str.isspace, rule.to)):
            return f"to: {rule.to!r} is not a mail address"
        case NotificationChannel.GITHUB if rule.to:
            return "to: a rule for GitHub reports on the commit of the pipeline; leave it out"
    return None


def _is_url(text: str) -> bool:
    if " " in text:
        return False
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return False
    if parts.username is not None:
        return False  # use a secret: rules are listed
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme, host in _LOOPBACK) == ("http", True)
    )
