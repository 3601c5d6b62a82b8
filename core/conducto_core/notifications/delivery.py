"""The result of a delivery, and the time of the next one."""

import logging
from typing import Any, NamedTuple

from conducto.integrations.http import DeliveryError
from conducto_core.model.notifications import DeliveryState, NotificationRecord

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
