"""Why Lambda has no response of a function."""


class FunctionError(Exception):
    """A function raised something, or was cut off; the message is what Lambda would say of it."""


class EndedError(FunctionError):
    """A function took too long, or its process ended, in the middle of its call."""


class TooManyRequestsError(Exception):
    """So many functions run already that Lambda refuses to invoke one more."""


class PayloadError(Exception):
    """An event or a response is larger than Lambda takes."""
