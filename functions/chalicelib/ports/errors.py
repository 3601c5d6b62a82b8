"""Errors of the ports, independent of AWS error codes."""

from conducto_core.semantics.start_failures import DENIED_REMEDY


class ConflictError(Exception):
    """Another writer was first: read again and decide again."""


class ThrottledError(Exception):
    """The service throttled the call; nothing was done. Retry later."""


class PlanLimitError(Exception):
    """The organisation's plan does not allow it; the message has the remedy."""


class CapacityError(Exception):
    """AWS has no capacity for another task now; the message is from AWS."""


class AccessDeniedError(Exception):
    """AWS denied a call to one of Conducto's roles; the message is from AWS."""

    remedy = DENIED_REMEDY


class TaskGoneError(Exception):
    """The execution no longer waits for this task."""
