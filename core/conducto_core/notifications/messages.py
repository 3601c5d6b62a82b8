"""The text of notifications, from the state of a node when the callback was due."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from conducto.integrations.http import DeliveryError
from conducto.wire.printable import shell_word
from conducto_core.command.masking import Mask
from conducto_core.diagnosis.model import Diagnosis
from conducto_core.diagnosis.rules.markdown import markdown
from conducto_core.diagnosis.rules.text import render
from conducto_core.notifications.channels import WEBHOOK
from conducto_core.notifications.model import (
    ALERTS,
    DeliveryState,
    NotificationChannel,
    NotificationEvent,
    NotificationRecord,
    NotificationRule,
)
from conducto_core.notifications.rules import (
    COMMIT_STATUS,
    RULE_CALLBACK,
    STATUS_CONTEXT,
    STATUS_PROVIDERS,
    event_of,
    previous_result,
    wants,
)
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import Counts, PipelineRecord
from conducto_core.run.model.states import FAILED, State
from conducto_core.run.rules.live_nodes import LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.secrets.rules import is_untrusted
from conducto_core.tree.model import Callback

#: Callbacks about the root, whichever node defines them.
_ABOUT_ROOT = "github_pipeline_status"


class Message(Protocol):
    """A pipeline in memory, on either target."""

    notified: int

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def record(self) -> PipelineRecord:
        """Its record."""

    @property
    def tree(self) -> TreeState:
        """The states of its nodes."""

    def counts(self, path: str = "/") -> Counts:
        """Return the Execs at or below a node, by state."""


def compose(live: Message, command: ev.Notify, now: float) -> NotificationRecord:
    """Return a new notification; `masked` hides the values of secrets in it."""
    path, state, callback = command.path, command.state, command.callback
    about = live.tree.root if callback.name == _ABOUT_ROOT else live.tree.nodes[path]
    shown = about.state if callback.name == _ABOUT_ROOT else state
    subject = f"{live.record.title}: {about.path} {_verb(about, shown)}"
    live.notified += 1
    return NotificationRecord(
        number=live.notified,
        path=path,
        about=about.path,
        state=shown,
        attempt=about.attempt,
        callback=callback.name,
        arguments=dict(callback.arguments),
        subject=subject,
        text="\n".join(_lines(live, about, shown, callback)),
        created=now,
    )


def masked(notification: NotificationRecord, mask: Mask) -> NotificationRecord:
    return notification.model_copy(
        update={"subject": mask.text(notification.subject), "text": mask.text(notification.text)}
    )


def _lines(live: Message, node: LiveNode, state: State, callback: Callback) -> list[str]:
    message = callback.arguments.get("message")
    lines = [str(message)] if message else []
    lines.append(f"{live.record.title}: {node.path} {_verb(node, state)}" + _why(node))
    if callback.arguments.get("node_summary"):
        lines.append(_summary(live, node))
    asks = _asks(node, state)
    again = f" --attempt {node.attempt}" if node.attempt > 1 else ""
    how = f"approve {live.id} {shell_word(node.path)}{again}" if asks else f"show {live.id}"
    lines.append(f"conducto {how}")
    return lines


def _asks(node: LiveNode, state: State) -> bool:
    return node.spec.approval is not None and state is State.QUEUED


def _verb(node: LiveNode, state: State) -> str:
    return "waits for approval" if _asks(node, state) else f"is {state.value}"


def _why(node: LiveNode) -> str:
    return "" if node.cause is None else f" ({node.cause.value.replace('_', ' ')})"


def _summary(live: Message, node: LiveNode) -> str:
    counts = live.counts(node.path).model_dump()
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no Execs"


# ----------------------------------------------------------------------------------------
# The messages of rules: what a notification of a rule becomes when it is sent.
#
# The event is decided when it is sent, because it depends on the program's earlier pipelines.


_LABELS = {
    NotificationEvent.START: "started",
    NotificationEvent.SUCCESS: "done",
    NotificationEvent.FAILURE: "failed",
    NotificationEvent.FAILED_AGAIN: "failed again",
    NotificationEvent.FIXED: "fixed",
    NotificationEvent.APPROVAL: "waits for an approval",
    NotificationEvent.LATE: "is late",
    NotificationEvent.LONG: "takes longer than usual",
    NotificationEvent.EXPENSIVE: "is expensive",
    NotificationEvent.WAITING: "waits",
}


@dataclass(frozen=True, slots=True)
class RuleLookup:
    """The facts that the message of a rule needs.

    Attributes:
        rules: Returns the current rules.
        records: Returns the records of all pipelines.
        notifications: Returns the notifications of the pipeline, in order.
        web_app: Address of the web app, or "".
    """

    rules: Callable[[], Iterable[NotificationRule]]
    records: Callable[[], Iterable[PipelineRecord]]
    notifications: Callable[[], Iterable[NotificationRecord]]
    web_app: str = ""


def message_of(
    notification: NotificationRecord, record: PipelineRecord, lookup: RuleLookup
) -> NotificationRecord | None:
    """Return a notification as its channel sends it; None if its rule does not want the event."""
    if notification.callback == COMMIT_STATUS:
        return _commit_status(notification, record, lookup.web_app)
    if notification.callback != RULE_CALLBACK:
        # A fork must not use the organisation's tokens: not for messages either.
        return None if is_untrusted(record) else notification
    name = notification.arguments.get("rule")
    rule = next((rule for rule in lookup.rules() if rule.name == name), None)
    if rule is None or rule.suspended:
        return None  # it was deleted
    earlier = [
        other
        for other in lookup.notifications()
        if other.number < notification.number
        and other.path == notification.path
        and other.arguments.get("rule") == name
    ]
    event = event_of(notification, earlier, previous_result(lookup.records(), record))
    if event is None or not wants(rule, event):
        return None
    return _message(notification, record, rule, event, lookup.web_app)


def example_message(rule: NotificationRule) -> NotificationRecord:
    """Return a message that tries a rule's channel; it is about no pipeline."""
    record = PipelineRecord(id="test", title="Test of a notification rule")
    notification = NotificationRecord(
        number=1,
        path="/",
        about="/",
        state=State.DONE,
        callback=RULE_CALLBACK,
        text=f"\nThe rule {rule.name} works: its messages arrive here.",
    )
    found = _message(notification, record, rule, NotificationEvent.SUCCESS, "")
    if found is None:
        raise ValueError(f"{rule.name}: a status needs the commit of a pipeline")
    return found


def _message(
    notification: NotificationRecord,
    record: PipelineRecord,
    rule: NotificationRule,
    event: NotificationEvent,
    web_app: str,
) -> NotificationRecord | None:
    page = _page(record, web_app)
    subject = f"{record.title}: {_LABELS[event]}"
    has_message = event is NotificationEvent.APPROVAL or event in ALERTS
    skipped = 0 if has_message else 1  # the state, which the subject has
    lines = [subject, *notification.text.splitlines()[skipped:], *([page] if page else ())]
    changes: dict[str, Any] = {"subject": subject, "text": "\n".join(lines)}
    match rule.channel:
        case NotificationChannel.SLACK:
            changes |= {"callback": "slack_status", "arguments": {"recipient": rule.to}}
        case NotificationChannel.MAIL:
            changes |= {"callback": "email", "arguments": {"to": rule.to}}
        case NotificationChannel.GITHUB:
            return _commit_status(notification, record, web_app, f"conducto {rule.name}")
        case NotificationChannel.WEBHOOK:
            document = _document(notification, record, rule, event, page)
            arguments = {"url": rule.to, "secret": rule.secret, "document": document}
            changes |= {"callback": WEBHOOK, "arguments": arguments}
    return notification.model_copy(update=changes)


def _page(record: PipelineRecord, web_app: str) -> str | None:
    return f"{web_app.rstrip('/')}/p/{quote(record.id)}" if web_app else None


def _commit_status(
    notification: NotificationRecord,
    record: PipelineRecord,
    web_app: str,
    context: str = STATUS_CONTEXT,
) -> NotificationRecord | None:
    git = record.git
    if git is None or git.provider not in STATUS_PROVIDERS:
        return None  # no trigger launched it, so there is no commit
    arguments = {
        "repository": git.repository,
        "sha": git.sha,
        "page": _page(record, web_app),
        "context": context,
    }
    return notification.model_copy(
        update={"callback": f"{git.provider}_commit", "arguments": arguments}
    )


def _document(
    notification: NotificationRecord,
    record: PipelineRecord,
    rule: NotificationRule,
    event: NotificationEvent,
    page: str | None,
) -> dict[str, Any]:
    return {
        "event": event.value,
        "rule": rule.name,
        "time": notification.created,
        "pipeline": {
            "id": record.id,
            "title": record.title,
            "state": notification.state.value,
            "owner": record.owner,
            "tags": list(record.tags),
            "program": record.program,
            "git": None if record.git is None else record.git.model_dump(mode="json"),
        },
        "path": notification.path,
        "text": notification.text,
        "url": page,
    }


# ----------------------------------------------------------------------------------------
# The diagnosis in a message. It is made when the message is sent: an event has no time for it.


#: Maximum bytes of a diagnosis in a message.
_MAX_DIAGNOSIS = 3000
#: Characters that Slack would read as a mention, a link or the end of the block.
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"})


def needs_diagnosis(notification: NotificationRecord, message: NotificationRecord) -> bool:
    """Return whether a message explains a failure: one with a summary, on a channel for text."""
    summary = bool(notification.arguments.get("node_summary"))
    return summary and message.state in FAILED and message.callback in _TEXTS


def with_diagnosis(
    message: NotificationRecord, found: Diagnosis, nonce: str, mask: Mask
) -> NotificationRecord:
    """Return a message with the diagnosis of its node, if that has failures (it may run again)."""
    if not found.failures:
        return message
    return message.model_copy(update=_TEXTS[message.callback](message, found, nonce, mask))


def _plain(message: NotificationRecord, found: Diagnosis, nonce: str, mask: Mask) -> dict[str, Any]:
    text = mask.text(render(found, _MAX_DIAGNOSIS, nonce))
    return {"text": f"{message.text}\n\n{text}"}


def _slack(message: NotificationRecord, found: Diagnosis, nonce: str, mask: Mask) -> dict[str, Any]:
    text = mask.text(render(found, _MAX_DIAGNOSIS, nonce)).translate(_SLACK)
    return {"text": f"{message.text}\n```\n{text}\n```"}


def _webhook(
    message: NotificationRecord, found: Diagnosis, _nonce: str, mask: Mask
) -> dict[str, Any]:
    text = mask.text(markdown(found, _MAX_DIAGNOSIS))
    document = {**message.arguments["document"], "diagnosis": text}
    return {"arguments": {**message.arguments, "document": document}}


_TEXTS = {"slack_status": _slack, "email": _plain, WEBHOOK: _webhook}


# ----------------------------------------------------------------------------------------
# The result of a delivery, and the time of the next one.


logger = logging.getLogger(__name__)

#: Maximum deliveries, and seconds between them: doubled each time up to the maximum. About three
#: hours in total.
TRIES = 20
FIRST_DELAY = 1.0
LONGEST_DELAY = 900.0


class DeliveryResult(NamedTuple):
    """A notification after a delivery.

    Attributes:
        delay: Seconds before the next delivery; None if there is none.
    """

    notification: NotificationRecord
    delay: float | None


def delay_after(tries: int, asked: float | None) -> float:
    """Return the seconds before the next delivery; ``asked`` is the service's requested delay."""
    own = min(FIRST_DELAY * 2.0 ** (tries - 1), LONGEST_DELAY)
    return own if asked is None else min(max(own, asked), LONGEST_DELAY)


def after_try(
    pipeline_id: str, notification: NotificationRecord, error: DeliveryError | None, now: float
) -> DeliveryResult:
    """Return a notification after a delivery, and log it; ``error`` must not contain a secret."""
    tries = notification.tries + 1
    again = error is not None and error.temporary and tries < TRIES
    changes: dict[str, Any] = {"tries": tries, "error": None if error is None else str(error)}
    if not again:
        state = DeliveryState.SENT if error is None else DeliveryState.FAILED
        changes.update(delivery=state, ended=now)
    tried = notification.model_copy(update=changes)
    _log(pipeline_id, tried)
    return DeliveryResult(tried, delay_after(tries, error.after) if again and error else None)


def dropped(notification: NotificationRecord, now: float) -> DeliveryResult:
    """Return a notification that no rule wants."""
    changes = {"delivery": DeliveryState.DROPPED, "ended": now}
    return DeliveryResult(notification.model_copy(update=changes), None)


def _log(pipeline_id: str, notification: NotificationRecord) -> None:
    about = {
        "pipeline": pipeline_id,
        "path": notification.path,
        "callback": notification.callback,
        "tries": notification.tries,
    }
    if notification.error is None:
        logger.info("notification sent", extra=about)
    else:
        logger.warning("notification not sent", extra={**about, "why": notification.error})
