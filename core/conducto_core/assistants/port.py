"""What the tools of assistants need from a server: the operations of its API."""

from typing import Any, Protocol

from conducto_core.api.operation import AnyOperation
from conducto_core.record import Record


class Api(Protocol):
    """The API with the token of an assistant, over any connection; may be used by several threads.

    Attributes:
        client: The program of the assistant, as it names itself.
    """

    client: str

    def call(
        self,
        operation: AnyOperation,
        query: Record,
        body: Record | None = None,
        key: str | None = None,
    ) -> Any:
        """Return the response of an operation, which is executed once for each ``key``.

        Raises:
            ToolError: The server refuses the request, or is unreachable.
        """
