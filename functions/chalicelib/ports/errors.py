"""What may go wrong with a service, in words of ours."""

from conducto_core.semantics.start_failures import DENIED_REMEDY


class ConflictError(Exception):
    """Another one wrote first: read again, decide again."""


class ThrottledError(Exception):
    """The service asks to come back later; nothing was done."""


class PlanLimitError(Exception):
    """The organisation's plan does not allow it; the message says what to do."""


class CapacityError(Exception):
    """AWS has no room for another task now; the message is its own."""


class AccessDeniedError(Exception):
    """AWS denies a call to one of our roles; the message is its own."""

    remedy = DENIED_REMEDY


class TaskGoneError(Exception):
    """The execution that waited for this task does not any more."""
