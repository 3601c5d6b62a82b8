"""Errors of the ports, independent of AWS error codes."""

from conducto_core.model.wait_phases import Wait
from conducto_core.semantics.start_failures import DENIED_REMEDY


class ConflictError(Exception):
    """Another writer was first: read again and decide again."""


class ThrottledError(Exception):
    """The service throttled the call; nothing was done. Retry later."""


class PlanLimitError(Exception):
    """The organisation's plan does not allow it; the message has the remedy.

    Attributes:
        wait: The message of commands that wait for the plan.
    """

    def __init__(self, wait: Wait) -> None:
        super().__init__(str(wait))
        self.wait = wait


class CapacityError(Exception):
    """AWS has no capacity for another task now; the message is from AWS."""


class AccessDeniedError(Exception):
    """AWS denied a call to one of Conducto's roles; the message is from AWS."""

    remedy = DENIED_REMEDY


class TaskGoneError(Exception):
    """The execution no longer waits for this task."""
