"""Records of the API about services."""

from conducto_core.record import Record
from conducto_core.results.model import OutputParams


class ServiceOutputParams(OutputParams):
    """The attempt, and the service, whose output is queried.

    Attributes:
        service: Name of the service; None: all, each line after the name of its service.
    """

    service: str | None = None


class ServiceOutput(Record):
    """The output of the services of an attempt.

    Attributes:
        attempt: Number of the attempt; None if the node has none.
        text: The lines so far, with secrets masked.
    """

    attempt: int | None = None
    text: str = ""
