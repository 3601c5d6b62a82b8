"""The messages of rules: what a notification of a rule becomes when it is sent.

The event is decided when it is sent, because it depends on the program's earlier pipelines.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from conducto_core.model.notification_rules import (
    NotificationChannel,
    NotificationEvent,
    NotificationRule,
)
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import PipelineRecord
from conducto_core.model.states import State
from conducto_core.notifications.channels import WEBHOOK
from conducto_core.semantics.notification_rules import (
    COMMIT_STATUS,
    RULE_CALLBACK,
    STATUS_PROVIDERS,
    event_of,
    previous_result,
    wants,
)
from conducto_core.semantics.user_secrets import is_untrusted

_LABELS = {
    NotificationEvent.START: "started",
    NotificationEvent.SUCCESS: "done",
    NotificationEvent.FAILURE: "failed",
    NotificationEvent.FAILED_AGAIN: "failed again",
    NotificationEvent.FIXED: "fixed",
    NotificationEvent.APPROVAL: "waits for an approval",
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
    skipped = 0 if event is NotificationEvent.APPROVAL else 1  # the state, which the subject has
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
    context: str = "conducto pipeline",
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
