"""Errors of function calls."""


class FunctionError(Exception):
    """A function raised an exception or was cut off; the message is Lambda's."""


class EndedError(FunctionError):
    """A function reached its time limit, or its process ended during a call."""


class TooManyRequestsError(Exception):
    """The maximum concurrency of functions was reached."""


class PayloadError(Exception):
    """An event or a response is too large for Lambda."""
